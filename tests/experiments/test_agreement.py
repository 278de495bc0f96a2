"""The event model and the array models agree event by event, to the microsecond."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kargo_lab.experiments import events, fast, windows
from kargo_lab.experiments.chance import Span
from kargo_lab.experiments.outcome import Outcome
from kargo_lab.experiments.scenario import Controller, Events, Fleet, Quota, Scenario, Source, Webhook

spans = st.builds(Span, st.floats(0.5, 90), st.sampled_from(["fixed", "uniform", "exponential"]))
hooks = st.builds(
    Webhook,
    latency=spans,
    loss=st.floats(0, 1),
    retries_seconds=st.lists(st.floats(0, 300), max_size=2).map(tuple),
    duplicates=st.floats(0, 1),
    outages_seconds=st.just(()) | st.just(((1000.0, 5000.0),)),
    filtered=st.booleans(),
)
processes = st.builds(
    Events,
    process=st.sampled_from(["poisson", "even", "bursts", "office-hours"]),
    per_day=st.floats(1, 800),
    burst_seconds=st.floats(1, 900),
    opens_hour=st.just(1.0),
    closes_hour=st.just(3.0),
) | st.builds(Events, process=st.just("trace"), trace_seconds=st.lists(st.floats(0, 12000), max_size=30).map(tuple))
sources = st.builds(
    Source,
    quota=st.none() | st.builds(Quota, requests=st.integers(5, 200), per_seconds=st.floats(100, 4000)),
    requests_per_second=st.none() | st.floats(0.05, 5),
)
controllers = st.builds(
    Controller,
    workers=st.none() | st.integers(1, 4),
    jitter=st.just(0.0) | st.floats(0, 0.5),
    retry_seconds=st.floats(100, 1000),
)


ANY_INTERVAL = st.floats(60, 2000)


def fleets(lengths: st.SearchStrategy[Span], intervals: st.SearchStrategy[float]) -> st.SearchStrategy[Fleet]:
    return st.builds(
        Fleet,
        source=st.sampled_from(["a", "b"]),
        warehouses=st.integers(1, 7),
        interval_seconds=intervals,
        repositories=st.integers(0, 3),
        events=processes,
        passes=st.sampled_from([0.3, 1.0]),
        webhook=st.none() | hooks,
        discovery=lengths,
        requests=st.integers(1, 4),
        counted=st.integers(0, 4),
    )


def scenarios(
    controllers: st.SearchStrategy[Controller],
    sources: st.SearchStrategy[Source],
    lengths: st.SearchStrategy[Span],
    intervals: st.SearchStrategy[float] = ANY_INTERVAL,
) -> st.SearchStrategy[Scenario]:
    fleet = fleets(lengths, intervals)
    return st.builds(
        Scenario,
        name=st.just("random"),
        length_seconds=st.floats(5000, 20000),
        sources=st.fixed_dictionaries({"a": sources, "b": sources}),
        fleets=st.fixed_dictionaries({"one": fleet}, optional={"two": fleet}),
        controller=controllers,
        seed=st.integers(0, 2**32),
        cold_start=st.booleans(),
    )


def assert_same(one: Outcome, other: Outcome) -> None:
    assert one.counts == other.counts
    for name, found in one.found.items():
        for field in ("warehouse", "push", "pushed", "looked", "found"):
            np.testing.assert_array_equal(getattr(found, field), getattr(other.found[name], field), err_msg=field)


class Played(events.Play):
    """Notes each discovery that found out something: when it looked, for whom, and when it ended."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.discoveries: list[tuple[int, int, int]] = []

    def find(self, number: int, length: int) -> None:
        self.discoveries.append((self.now, number, self.now + length))
        super().find(number, length)


class Walked(windows.Walk):
    """The same of the arrays."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.discoveries: list[tuple[int, int, int]] = []

    def _find(self, jobs: Any, accepted: Any) -> None:
        which = slice(None) if accepted is None else accepted
        columns = (jobs.served.look[which], jobs.warehouse[which], jobs.served.end[which])
        self.discoveries += zip(*(column.tolist() for column in columns), strict=True)
        super()._find(jobs, accepted)


def assert_same_step_by_step(scenario: Scenario) -> None:
    played, walked = Played(scenario), Walked(scenario)
    assert_same(walked.walk(), played.run())
    assert sorted(walked.discoveries) == sorted(played.discoveries)


free = scenarios(st.just(Controller()), st.just(Source()), spans.map(lambda span: Span(span.mean_seconds)))
# Equal lengths and round numbers: polls fall due at the very instants at which others' discoveries end.
alike = scenarios(
    controllers,
    st.just(Source()),
    st.just(Span(20.0)),
    st.sampled_from([60.0, 90.0, 100.0, 120.0]) | st.floats(60, 999),
)


@pytest.mark.timeout(120)
@settings(max_examples=25, deadline=None)
@given(scenario=free)
def test_without_limits_progressions_and_processes_agree(scenario: Scenario) -> None:
    assert fast.is_unlimited(scenario)
    assert_same(fast.simulate(scenario), events.simulate(scenario))


@pytest.mark.timeout(120)
@settings(max_examples=15, deadline=None)
@given(scenario=free)
def test_without_limits_progressions_and_steps_agree(scenario: Scenario) -> None:
    assert_same(fast.simulate(scenario), windows.simulate(scenario))


@pytest.mark.timeout(120)
@settings(max_examples=50, deadline=None)
@given(scenario=alike)
def test_with_workers_and_equal_lengths_steps_and_processes_agree(scenario: Scenario) -> None:
    assert_same_step_by_step(scenario)


@pytest.mark.timeout(120)
@settings(max_examples=100, deadline=None)
@given(scenario=scenarios(controllers, sources, spans))
def test_with_all_limits_and_chance_steps_and_processes_agree(scenario: Scenario) -> None:
    assert_same_step_by_step(scenario)


def test_who_waits_longest_comes_first_where_a_poll_falls_due_as_another_discovery_ends() -> None:
    fleet = Fleet(
        source="a",
        warehouses=5,
        interval_seconds=101.0,
        events=Events(per_day=718.0),
        passes=0.3,
        webhook=Webhook(latency=Span(5.0), filtered=False),
        discovery=Span(20.000007),
    )
    scenario = Scenario(
        name="at one instant",
        length_seconds=5000.0,
        sources={"a": Source()},
        fleets={"one": fleet},
        controller=Controller(workers=1),
        seed=0,
    )
    assert_same(windows.simulate(scenario), events.simulate(scenario))
