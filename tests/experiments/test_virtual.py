"""The real engine on its virtual clock against the closed forms (3 %) and against the model, event by event."""

from __future__ import annotations

import functools
from collections.abc import Callable

import attrs
import numpy as np
import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.errors import UsageError
from kargo_lab.experiments import fast, formulas, timeline, virtual
from kargo_lab.experiments.chance import Span
from kargo_lab.experiments.outcome import NEVER, Outcome
from kargo_lab.experiments.scenario import Controller, Events, Fleet, Scenario, Source, Webhook
from kargo_lab.experiments.ticks import TICKS

DAY = 86400.0
INTERVAL, DURATION, RATE = 300.0, 3.0, 1 / 250
HOOKED, HOOKED_INTERVAL, LOSS = 1 / 1500, 3600.0, 0.3
WAREHOUSES = 20
POLLING = Scenario(
    name="polling",
    length_seconds=DAY,
    sources={"a": Source()},
    fleets={
        "f": Fleet(
            source="a",
            warehouses=WAREHOUSES,
            interval_seconds=INTERVAL,
            events=Events(per_day=RATE * DAY),
            discovery=Span(DURATION),
        )
    },
    cold_start=True,
)
HYBRID = attrs.evolve(
    POLLING,
    length_seconds=9 * DAY,
    fleets={
        "f": attrs.evolve(
            POLLING.fleets["f"],
            interval_seconds=HOOKED_INTERVAL,
            events=Events(per_day=HOOKED * DAY),
            webhook=Webhook(latency=Span(2.0), loss=LOSS),
            discovery=Span(0.1),
        )
    },
)
SHORT_OF_WORKERS = attrs.evolve(
    POLLING,
    length_seconds=DAY / 2,
    controller=Controller(workers=1),
    fleets={"f": attrs.evolve(POLLING.fleets["f"], discovery=Span(20.0), events=Events(per_day=0))},
)
SCENARIOS = {"polling": POLLING, "hybrid": HYBRID, "short of workers": SHORT_OF_WORKERS}


@functools.cache
def lived(which: str) -> Outcome:
    return virtual.simulate(SCENARIOS[which])


def row(which: str, column: str) -> float:
    return float(lived(which).table()[column].iloc[0])


def discoveries(which: str) -> float:
    return row(which, "discoveries") / SCENARIOS[which].length_seconds / WAREHOUSES


def fresh() -> float:
    found = lived("polling").found["f"]
    seen = found.looked != NEVER
    warehouse, looked, pushed = found.warehouse[seen], found.looked[seen], found.pushed[seen]
    first = np.concatenate(([True], (np.diff(warehouse) != 0) | (np.diff(looked) != 0)))
    return 1 - float((looked[first] - pushed[first]).sum()) / TICKS / (WAREHOUSES * DAY)


def lost_delays() -> float:
    _, arrived = timeline.arrivals(HYBRID, "f", timeline.pushes(HYBRID, "f"))
    found = lived("hybrid").found["f"]
    lost = ~np.isin(found.push, arrived) & (found.looked != NEVER)
    return float((found.looked[lost] - found.pushed[lost]).mean() / TICKS)


PERIOD, ARRIVING = INTERVAL + DURATION, HOOKED * (1 - LOSS)
CASES: dict[str, tuple[float, Callable[[], float]]] = {
    "polling delay, mean": (
        formulas.polling_delay_mean(INTERVAL, DURATION),
        lambda: row("polling", "mean_delay_seconds"),
    ),
    "polling delay, 95th percentile": (
        formulas.polling_delay_quantile(0.95, INTERVAL, DURATION),
        lambda: row("polling", "p95_delay_seconds"),
    ),
    "effective period": (1 / PERIOD, lambda: discoveries("polling")),
    "effective period, workers short": (
        1 / float(formulas.effective_period(INTERVAL, 20.0, warehouses=WAREHOUSES, workers=1)),
        lambda: discoveries("short of workers"),
    ),
    "wasted polls": (formulas.wasted_polls(RATE, PERIOD), lambda: row("polling", "wasted")),
    "events per productive poll": (
        formulas.events_per_productive_poll(RATE, PERIOD),
        lambda: row("polling", "events") / lived("polling").found["f"].productive(),
    ),
    "freshness": (formulas.freshness_fixed(RATE, PERIOD), fresh),
    "hybrid rate": (formulas.hybrid_rate(ARRIVING, HOOKED_INTERVAL), lambda: discoveries("hybrid")),
    "hybrid delay": (
        formulas.hybrid_delay_mean(HOOKED, HOOKED_INTERVAL, loss=LOSS, latency=2.0, duration=0.1),
        lambda: row("hybrid", "mean_delay_seconds"),
    ),
    "delay of a lost event": (formulas.lost_event_delay_reset(ARRIVING, HOOKED_INTERVAL), lost_delays),
}


@pytest.mark.parametrize("name", CASES)
def test_a_closed_form_is_within_three_percent_of_the_engine(name: str) -> None:
    closed, engine = CASES[name]
    assert engine() == pytest.approx(closed, rel=0.03)


@pytest.mark.parametrize("which", ["polling", "short of workers"])
def test_the_engine_discovers_as_often_as_the_model(which: str) -> None:
    assert lived(which).counts["f"].by_poll == pytest.approx(
        fast.simulate(SCENARIOS[which]).counts["f"].by_poll, rel=0.005
    )


def test_the_engine_finds_each_event_within_a_millisecond_of_the_model() -> None:
    engine, model = lived("polling").found["f"], fast.simulate(POLLING).found["f"]
    both = (engine.found != NEVER) & (model.found != NEVER)
    assert np.abs(engine.found[both] - model.found[both]).max() < TICKS / 1000


def test_most_refreshes_are_discoveries_of_their_own() -> None:
    engine, model = lived("hybrid").counts["f"], fast.simulate(HYBRID).counts["f"]
    assert engine.by_webhook == pytest.approx(model.by_webhook, rel=0.01)


def test_webhooks_cost_more_calls_than_polling_while_the_interval_stays() -> None:
    same = attrs.evolve(HYBRID, length_seconds=DAY / 3)
    alone = attrs.evolve(same, fleets={"f": attrs.evolve(same.fleets["f"], webhook=None)})
    polls, both = (virtual.simulate(each).table()["discoveries"].iloc[0] for each in (alone, same))
    assert both > polls


def test_a_length_that_is_drawn_is_refused() -> None:
    drawn = attrs.evolve(POLLING, fleets={"f": attrs.evolve(POLLING.fleets["f"], discovery=Span(1.0, "exponential"))})
    with pytest.raises(UsageError, match="fixed length"):
        virtual.simulate(drawn)


def test_a_clock_that_is_sent_to_a_moment_is_never_before_it() -> None:
    for microseconds in range(10**9, 10**9 + 200_000, 7):
        moment = microseconds / 1e6 + 0.1
        clock = VirtualClock()
        clock.advance_to(moment)
        assert clock.monotonic() >= moment
