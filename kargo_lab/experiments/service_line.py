"""Who is served when: first come, first served, by so many workers and behind the client's own limiter.

Jobs come in the order of their arrival, with what the line still has to do from before. With equal lengths the
n-th job gets the worker that job n - C leaves, which makes the whole line one running maximum; that is exact
and fast. Everything else is served one by one, and so is what comes while a longer job from before still runs.
"""

from __future__ import annotations

import heapq

import attrs
import numpy as np
from numpy.typing import NDArray

Ticks = NDArray[np.int64]
LONG_AGO = -(2**61)


@attrs.frozen(kw_only=True, eq=False)
class Line:
    """What the past leaves behind: when each worker is free (sorted), when each source's limiter is."""

    workers: Ticks | None
    limiters: Ticks


@attrs.frozen(kw_only=True, eq=False)
class Served:
    """When each job was taken by a worker, when its requests went, and when it ended; and the line behind it."""

    start: Ticks
    look: Ticks
    end: Ticks
    after: Line


def serve(line: Line, arrival: Ticks, length: Ticks, source: NDArray[np.int64], spacing: Ticks) -> Served:
    """Serve jobs in this order. `spacing` is how long each keeps the limiter of its source; 0 is no limiter."""
    limited = bool(spacing[:1].any() if spacing.strides == (0,) else spacing.any())
    if line.workers is None and not limited:
        return Served(start=arrival, look=arrival, end=arrival + length, after=line)
    if line.workers is None:
        return _behind_limiters(line, arrival, length, source, spacing)
    if not limited and len(length) and (length.strides == (0,) or int(length.min()) == int(length.max())):
        first_end = max(int(arrival[0]), int(line.workers[0])) + int(length[0])
        if int(line.workers[-1]) <= first_end:  # else somebody is at a longer job from before, and is overtaken
            return _equal_lengths(line.workers, line.limiters, arrival, int(length[0]))
    return _one_by_one(line.workers, line.limiters, arrival, length, source, spacing)


def _equal_lengths(workers: Ticks, limiters: Ticks, arrival: Ticks, length: int) -> Served:
    """start[k] = max(arrival[k], start[k - C] + length), as a running maximum down C columns."""
    many, jobs = len(workers), len(arrival)
    if (arrival[:many] >= workers[:jobs]).all() and (arrival[many:] - arrival[:-many] >= length).all():
        start = arrival  # everybody finds a worker who is free
    else:
        rows = 1 + -(-jobs // many)
        moments = np.empty(rows * many, dtype=np.int64)
        moments[:many] = workers - length
        moments[many : many + jobs] = arrival
        moments[many + jobs :] = 2**61
        grid = moments.reshape(rows, many)
        passed = (np.arange(rows, dtype=np.int64) * length)[:, None]
        grid -= passed
        np.maximum.accumulate(grid, axis=0, out=grid)
        grid += passed
        start = moments[many : many + jobs]
    end = start + length
    after = np.concatenate((workers[jobs:], end[-many:]))
    return Served(start=start, look=start, end=end, after=Line(workers=after, limiters=limiters))


def _behind_limiters(line: Line, arrival: Ticks, length: Ticks, source: NDArray[np.int64], spacing: Ticks) -> Served:
    """look[k] = max(arrival[k], look[k - 1] + spacing[k - 1]) within each source, as a running maximum."""
    look, limiters = arrival.copy(), line.limiters.copy()
    for number in range(len(limiters)):
        place = np.flatnonzero((source == number) & (spacing > 0))
        if not len(place):
            continue
        before = np.cumsum(spacing[place]) - spacing[place]
        free = np.maximum(arrival[place], limiters[number]) - before
        look[place] = np.maximum.accumulate(free) + before
        limiters[number] = look[place[-1]] + spacing[place[-1]]
    return Served(start=arrival, look=look, end=look + length, after=Line(workers=None, limiters=limiters))


def _one_by_one(
    workers: Ticks,
    limiters: Ticks,
    arrival: Ticks,
    length: Ticks,
    source: NDArray[np.int64],
    spacing: Ticks,
) -> Served:
    free, turns = workers.tolist(), limiters.tolist()
    heapq.heapify(free)
    times = []
    for came, needs, whose, keeps in zip(
        arrival.tolist(), length.tolist(), source.tolist(), spacing.tolist(), strict=True
    ):
        start = max(came, free[0])
        look = start
        if keeps:
            look = max(start, turns[whose])
            turns[whose] = look + keeps
        heapq.heapreplace(free, look + needs)
        times.append((start, look, look + needs))
    started, looked, ended = np.array(times, dtype=np.int64).reshape(-1, 3).T
    after = Line(workers=np.array(sorted(free), dtype=np.int64), limiters=np.array(turns, dtype=np.int64))
    return Served(start=started, look=looked, end=ended, after=after)
