"""The three ways to serve a line give the same line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.experiments import service_line
from kargo_lab.experiments.service_line import Line, serve


def idle(workers: int | None, sources: int = 1) -> Line:
    free = None if workers is None else np.full(workers, service_line.LONG_AGO)
    return Line(workers=free, limiters=np.full(sources, service_line.LONG_AGO))


@given(
    arrivals=st.lists(st.integers(0, 1000), min_size=1, max_size=60).map(sorted),
    workers=st.integers(1, 5),
    length=st.integers(0, 200),
    cut=st.integers(0, 60),
)
def test_equal_lengths_by_running_maximum_are_those_served_one_by_one(
    arrivals: list[int], workers: int, length: int, cut: int
) -> None:
    came = np.array(arrivals, dtype=np.int64)
    none = np.zeros(len(came), dtype=np.int64)
    line, starts = idle(workers), []
    for part in (came[:cut], came[cut:]):
        served = serve(line, part, np.full(len(part), length), none[: len(part)], none[: len(part)])
        starts.append(served.start)
        line = served.after
    free = [service_line.LONG_AGO] * workers
    expected = []
    for moment in arrivals:
        free.sort()
        free[0] = max(moment, free[0]) + length
        expected.append(free[0] - length)
    np.testing.assert_array_equal(np.concatenate(starts), expected)


@given(
    parts=st.lists(st.tuples(st.lists(st.integers(0, 99), min_size=1, max_size=6), st.integers(0, 200)), max_size=12),
    workers=st.integers(1, 4),
)
def test_a_longer_job_from_before_is_overtaken(parts: list[tuple[list[int], int]], workers: int) -> None:
    line, starts, expected, free = idle(workers), [], [], [service_line.LONG_AGO] * workers
    for number, (moments, length) in enumerate(parts):
        came = np.array(sorted(moments), dtype=np.int64) + 100 * number
        none = np.zeros(len(came), dtype=np.int64)
        served = serve(line, came, np.full(len(came), length), none, none)
        starts += served.start.tolist()
        line = served.after
        for moment in came.tolist():
            free.sort()
            free[0] = max(moment, free[0]) + length
            expected.append(free[0] - length)
    assert starts == expected


@given(jobs=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1), st.integers(1, 50)), min_size=1, max_size=60))
def test_limiters_without_workers_are_those_with_plenty(jobs: list[tuple[int, int, int]]) -> None:
    came, source, spacing = (np.array(column, dtype=np.int64) for column in zip(*sorted(jobs), strict=True))
    length = np.full(len(came), 7)
    alone = serve(idle(None, 2), came, length, source, spacing)
    plenty = serve(idle(1000, 2), came, length, source, spacing)
    np.testing.assert_array_equal(alone.look, plenty.look)


@pytest.mark.parametrize("workers", [None, 2])
def test_nobody_in_line_leaves_the_line_as_it_was(workers: int | None) -> None:
    none = np.zeros(0, dtype=np.int64)
    served = serve(idle(workers), none, none, none, none)
    assert len(served.start) == 0
