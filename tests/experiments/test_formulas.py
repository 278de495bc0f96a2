"""Every closed form against a million simulated events, with a fixed seed: within 1 %."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest

from kargo_lab.experiments import fast, formulas, service_line, timeline
from kargo_lab.experiments.chance import Span
from kargo_lab.experiments.outcome import NEVER, Outcome
from kargo_lab.experiments.scenario import Controller, Events, Fleet, Scenario, Source, Webhook
from kargo_lab.experiments.ticks import TICKS

MILLION = 1_000_000
DAY = 86400.0
INTERVAL, DURATION = 300.0, 3.0
POLLING = Scenario(
    name="polling",
    length_seconds=10 * DAY,
    sources={"a": Source()},
    fleets={
        "f": Fleet(
            source="a",
            warehouses=500,
            interval_seconds=INTERVAL,
            events=Events(per_day=200.2),
            discovery=Span(DURATION),
        )
    },
)
RATE = 200.2 / DAY
# One event in 25 minutes, an interval of an hour, a fifth of the webhooks lost, discoveries of no length to speak of.
HOOKED_RATE, HOOKED_INTERVAL, LOSS = 1 / 1500, 3600.0, 0.2
HYBRID = Scenario(
    name="hybrid",
    length_seconds=60 * DAY,
    sources={"a": Source()},
    fleets={
        "f": Fleet(
            source="a",
            warehouses=300,
            interval_seconds=HOOKED_INTERVAL,
            events=Events(per_day=HOOKED_RATE * DAY),
            webhook=Webhook(latency=Span(2.0, "exponential"), loss=LOSS),
            discovery=Span(0.01),
        )
    },
)


@functools.cache
def simulated(which: str) -> Outcome:
    return fast.simulate({"polling": POLLING, "hybrid": HYBRID}[which])


@functools.cache
def gaps(kind: str) -> np.ndarray:
    """Distances between polls whose mean is INTERVAL."""
    random = np.random.default_rng(11)
    if kind == "memoryless":
        return random.exponential(INTERVAL, MILLION)
    place = random.uniform(0, INTERVAL, MILLION + 1)
    return INTERVAL + np.diff(place)


@functools.cache
def first_events(kind: str) -> np.ndarray:
    """From each poll to the first event behind it, capped by the next poll."""
    random = np.random.default_rng(12)
    return np.minimum(random.exponential(1 / RATE, MILLION), gaps(kind))


def periods() -> float:
    return POLLING.length_seconds / (INTERVAL + DURATION) * 500


def waiting_seconds() -> tuple[np.ndarray, np.ndarray]:
    """By productive poll: how long the first event it found had waited, and the sum of squares of that over two."""
    found = simulated("polling").found["f"]
    seen = found.looked != NEVER
    warehouse, looked, pushed = found.warehouse[seen], found.looked[seen], found.pushed[seen]
    first = np.concatenate(([True], (np.diff(warehouse) != 0) | (np.diff(looked) != 0)))
    waited = (looked[first] - pushed[first]) / TICKS
    return waited, waited**2 / 2


def queue(*, workers: int, exponential: bool) -> tuple[np.ndarray, service_line.Served]:
    random = np.random.default_rng(13)
    arrivals = np.cumsum(random.exponential(TICKS / (0.6 * workers), MILLION)).astype(np.int64)
    length = random.exponential(TICKS, MILLION) if exponential else np.full(MILLION, TICKS)
    idle = service_line.Line(workers=np.full(workers, service_line.LONG_AGO), limiters=np.zeros(1, dtype=np.int64))
    none = np.zeros(MILLION, dtype=np.int64)
    return arrivals, service_line.serve(idle, arrivals, length.astype(np.int64), none, none)


def mean_wait(*, workers: int, exponential: bool) -> float:
    arrivals, served = queue(workers=workers, exponential=exponential)
    return float((served.start - arrivals).mean() / TICKS)


def age_of_news() -> float:
    arrivals, served = queue(workers=1, exponential=True)
    came, done = arrivals / TICKS, served.end / TICKS
    return float((((done[1:] - came[:-1]) ** 2 - (done[1:] - came[1:]) ** 2) / 2).sum() / (done[-1] - done[0]))


def age_of_looks() -> float:
    random = np.random.default_rng(14)
    distance = random.geometric(1 - LOSS, MILLION) * INTERVAL
    return float((distance**2).sum() / 2 / distance.sum()) + DURATION


def lost_delays() -> float:
    """Mean wait of the events whose webhook never arrived."""
    made = timeline.pushes(HYBRID, "f")
    _, arrived = timeline.arrivals(HYBRID, "f", made)
    found = simulated("hybrid").found["f"]
    lost = ~np.isin(found.push, arrived) & (found.looked != NEVER)
    return float((found.looked[lost] - found.pushed[lost]).mean() / TICKS)


def separate_delays() -> float:
    random = np.random.default_rng(15)
    hooks = HOOKED_RATE * (1 - LOSS)
    return float(np.minimum(random.uniform(0, HOOKED_INTERVAL, MILLION), random.exponential(1 / hooks, MILLION)).mean())


def detections() -> int:
    random = np.random.default_rng(16)
    return int((random.poisson(RATE * INTERVAL, MILLION) > 0).sum())


def survivors(hook: Webhook) -> float:
    scenario = attrs.evolve(
        POLLING,
        length_seconds=20 * DAY,
        fleets={"f": attrs.evolve(POLLING.fleets["f"], warehouses=1, events=Events(per_day=50_000), webhook=hook)},
    )
    made = timeline.pushes(scenario, "f")
    _, push = timeline.arrivals(scenario, "f", made)
    if hook.outages_seconds:
        start, end = (np.array(hook.outages_seconds[0]) * TICKS).astype(np.int64)
        hit = np.flatnonzero((made.time >= start) & (made.time < end))
        return float(np.isin(hit, push).mean())
    return len(np.unique(push)) / len(made.time)


def busy_rate() -> float:
    """Seconds a Warehouse waits between two discoveries when 3 workers serve 500, each for 3 seconds."""
    scenario = attrs.evolve(
        POLLING,
        length_seconds=2 * DAY,
        controller=Controller(workers=3),
        fleets={"f": attrs.evolve(POLLING.fleets["f"], events=Events(per_day=0))},
    )
    return 500 * scenario.length_seconds / fast.simulate(scenario).counts["f"].by_poll


X = RATE * INTERVAL
FREE = RATE * (INTERVAL + DURATION)
CASES: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
    "polling delay, mean": (
        lambda: formulas.polling_delay_mean(INTERVAL, DURATION),
        lambda: float(simulated("polling").found["f"].delays_seconds().mean()),
    ),
    "polling delay, 95th percentile": (
        lambda: formulas.polling_delay_quantile(0.95, INTERVAL, DURATION),
        lambda: float(np.quantile(simulated("polling").found["f"].delays_seconds(), 0.95)),
    ),
    "effective period, workers short": (
        lambda: float(formulas.effective_period(INTERVAL, DURATION, warehouses=500, workers=3)),
        busy_rate,
    ),
    "effective period, workers enough": (
        lambda: float(formulas.effective_period(INTERVAL, DURATION, warehouses=500, workers=10)),
        lambda: 500 * POLLING.length_seconds / simulated("polling").counts["f"].by_poll,
    ),
    "wasted polls": (
        lambda: formulas.wasted_polls(RATE, INTERVAL + DURATION),
        lambda: float(simulated("polling").table()["wasted"].iloc[0]),
    ),
    "events per productive poll": (
        lambda: formulas.events_per_productive_poll(RATE, INTERVAL + DURATION),
        lambda: len(simulated("polling").found["f"].push) / simulated("polling").found["f"].productive(),
    ),
    "freshness, fixed": (
        lambda: formulas.freshness_fixed(RATE, INTERVAL + DURATION),
        lambda: 1 - float(waiting_seconds()[0].sum()) / (500 * POLLING.length_seconds),
    ),
    "age, fixed": (
        lambda: formulas.age_fixed(RATE, INTERVAL + DURATION),
        lambda: float(waiting_seconds()[1].sum()) / (500 * POLLING.length_seconds),
    ),
    **{
        f"freshness, {kind}": (
            lambda formula=formula: formula(RATE, INTERVAL),
            lambda kind=kind: float(first_events(kind).sum() / gaps(kind).sum()),
        )
        for kind, formula in (
            ("memoryless", formulas.freshness_memoryless),
            ("random order", formulas.freshness_random_order),
        )
    },
    **{
        f"age, {kind}": (
            lambda formula=formula: formula(RATE, INTERVAL),
            lambda kind=kind: float(((gaps(kind) - first_events(kind)) ** 2 / 2).sum() / gaps(kind).sum()),
        )
        for kind, formula in (("memoryless", formulas.age_memoryless), ("random order", formulas.age_random_order))
    },
    "rate, estimated": (lambda: RATE, lambda: float(formulas.rate_estimate(MILLION, detections(), INTERVAL))),
    "rate, likely": (lambda: RATE, lambda: float(formulas.rate_likely(MILLION, detections(), INTERVAL))),
    "rate, naive, is low by what several changes hide": (
        lambda: RATE * (1 - np.exp(-X)) / X,
        lambda: formulas.rate_naive(MILLION, detections(), INTERVAL),
    ),
    "hybrid rate": (
        lambda: formulas.hybrid_rate(HOOKED_RATE * (1 - LOSS), HOOKED_INTERVAL),
        lambda: float(simulated("hybrid").table()["discoveries"].iloc[0]) / HYBRID.length_seconds / 300,
    ),
    "hybrid delay": (
        lambda: formulas.hybrid_delay_mean(HOOKED_RATE, HOOKED_INTERVAL, loss=LOSS, latency=2.0, duration=0.01),
        lambda: float(simulated("hybrid").found["f"].delays_seconds().mean()),
    ),
    "delay of a lost event, clock starts anew": (
        lambda: formulas.lost_event_delay_reset(HOOKED_RATE * (1 - LOSS), HOOKED_INTERVAL),
        lost_delays,
    ),
    "delay of a lost event, clock of its own": (
        lambda: formulas.lost_event_delay_separate(HOOKED_RATE * (1 - LOSS), HOOKED_INTERVAL),
        separate_delays,
    ),
    "break-even interval": (
        lambda: 1 / 900.0,
        lambda: formulas.hybrid_rate(1 / 1500, formulas.break_even_interval(1 / 1500, 900.0)),
    ),
    "M/D/1 wait": (lambda: formulas.md1_wait(0.6, 1.0), lambda: mean_wait(workers=1, exponential=False)),
    "M/M/3 wait": (lambda: formulas.mmc_wait(1.8, 1.0, 3), lambda: mean_wait(workers=3, exponential=True)),
    "age of information, polling": (
        lambda: formulas.information_age_polling(INTERVAL, DURATION, LOSS),
        age_of_looks,
    ),
    "age of information, M/M/1": (lambda: formulas.information_age_mm1(0.6, 1.0), age_of_news),
    "survival, two retries": (
        lambda: formulas.survival(0.3, 2),
        lambda: survivors(Webhook(loss=0.3, retries_seconds=(10.0, 60.0))),
    ),
    "survival of an outage": (
        lambda: float(formulas.survival_of_outage(20_000.0, (3000.0, 9000.0))),
        lambda: survivors(
            Webhook(latency=Span(0.0), retries_seconds=(3000.0, 9000.0), outages_seconds=((40_000.0, 60_000.0),))
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_closed_form_is_within_one_percent_of_a_million_events(name: str) -> None:
    closed, simulation = CASES[name]
    assert simulation() == pytest.approx(closed(), rel=0.01)


def test_a_million_events_are_a_million() -> None:
    events = {name: len(simulated(name).found["f"].push) for name in ("polling", "hybrid")}
    assert min(events.values()) > 0.99 * MILLION


def test_a_queue_that_is_full_waits_for_ever() -> None:
    assert formulas.mmc_wait(3.0, 1.0, 3) == float("inf")


def test_the_published_allocation_of_five_polls_over_rates_one_to_five() -> None:
    # [CG-refresh], the example of five pages: what changes fastest is not polled at all.
    found = formulas.allocate_for_freshness([1, 2, 3, 4, 5], 5)
    np.testing.assert_allclose(found, [1.15, 1.36, 1.35, 1.14, 0.0], atol=0.006)


def test_no_other_allocation_is_fresher() -> None:
    rates, random = np.array([0.5, 2.0, 7.0]), np.random.default_rng(1)
    best = formulas.allocate_for_freshness(rates, 4.0)
    others = 4.0 * random.dirichlet(np.ones(3), 20_000)

    def fresh(polls: np.ndarray) -> np.ndarray:
        return formulas.freshness_fixed(rates, 1 / np.maximum(polls, 1e-9)).sum(axis=-1)

    assert fresh(best) >= fresh(others).max()


def test_no_other_allocation_is_quicker() -> None:
    rates, random = np.array([0.5, 2.0, 7.0]), np.random.default_rng(1)
    best = formulas.allocate_for_delay(rates, 4.0)
    others = 4.0 * random.dirichlet(np.ones(3), 20_000)
    assert (rates / best).sum() <= (rates / others).sum(axis=1).min()


@pytest.mark.parametrize("x", [pytest.param(x, id=f"{x:g} events a poll") for x in (0.2, 1.0, 2.0)])
def test_the_bias_reduced_estimate_has_less_bias_than_the_naive_one(x: float) -> None:
    changed = np.random.default_rng(2).binomial(20, 1 - np.exp(-x), 50_000)
    reduced = abs(formulas.rate_estimate(20, changed, 1.0).mean() - x)
    assert reduced < abs(formulas.rate_naive(20, changed, 1.0).mean() - x)
    assert reduced < 0.03 * x


def test_from_one_event_an_old_interval_on_nothing_breaks_even() -> None:
    assert formulas.break_even_interval(1 / 300, 300.0) == float("inf")


def test_webhooks_never_save_a_call_while_the_interval_stays() -> None:
    hooks = np.geomspace(1e-7, 1.0, 100)
    assert (formulas.hybrid_rate(hooks, 300.0) >= 1 / 300).all()


def test_every_formula_says_what_it_assumes() -> None:
    table = formulas.table()
    public = {name for name, what in vars(formulas).items() if callable(what) and not name.startswith("_")}
    functions = {name for name in public if getattr(vars(formulas)[name], "__module__", "") == formulas.__name__}
    assert functions - {"Formula", "table", "as_markdown"} == set(table.index)
    assert (table.map(len) > 0).all().all()


def test_the_table_in_the_documentation_is_that_of_the_module() -> None:
    page = Path(__file__).parents[2] / "docs" / "experiments.md"
    assert formulas.as_markdown() in page.read_text(encoding="utf-8")
