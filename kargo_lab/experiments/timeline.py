"""What happens to a fleet from outside: pushes, and the deliveries that arrive of them.

Nothing here depends on discovery, so the array models take all of it at once. The event model plays the
deliveries itself, attempt by attempt, from the same pushes and the same draws.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kargo_lab.experiments import chance
from kargo_lab.experiments.scenario import Events, Fleet, Scenario
from kargo_lab.experiments.ticks import TICKS, ticks

Ticks = NDArray[np.int64]
DAY, HOUR = 86400, 3600
FLEET_BITS = 40  # a draw about a push counts within the fleet, and fleets must not share draws
COPY = 1000  # the draws of a duplicate are those of this many attempts later


@attrs.frozen(kw_only=True)
class Pushes:
    """Pushes of a fleet in the order of time: moment and repository."""

    time: Ticks
    repository: NDArray[np.int64]


@attrs.frozen(kw_only=True)
class Sightings:
    """(Warehouse, moment, push) in the order of Warehouse, moment. Warehouses count through all fleets."""

    warehouse: NDArray[np.int64]
    time: Ticks
    push: NDArray[np.int64]


def offset(scenario: Scenario, fleet: str) -> int:
    """The number of the fleet's first Warehouse."""
    names = list(scenario.fleets)
    return sum(scenario.fleets[name].warehouses for name in names[: names.index(fleet)])


def number(scenario: Scenario, fleet: str) -> int:
    """What is added to the number of a push in draws."""
    return list(scenario.fleets).index(fleet) << FLEET_BITS


def pushes(scenario: Scenario, name: str) -> Pushes:
    """All pushes to the repositories of a fleet."""
    fleet = scenario.fleets[name]
    random = np.random.default_rng([scenario.seed, list(scenario.fleets).index(name)])
    moments, repository = _DRAW[fleet.events.process](fleet.events, fleet.watched, scenario.length_seconds, random)
    # Microseconds of its own for each fleet, and one for each push: who comes first at one and the same instant is
    # nothing that models could agree on.
    many, own = len(scenario.fleets), list(scenario.fleets).index(name)
    slot = np.rint(moments * TICKS).astype(np.int64) // many
    order = np.argsort(slot, kind="stable")
    slot, repository, turn = slot[order], repository[order], np.arange(len(slot))
    time = (np.maximum.accumulate(slot - turn) + turn) * many + own
    inside = (time >= 0) & (time < scenario.length)
    return Pushes(time=time[inside], repository=repository[inside])


_Drawn = tuple[NDArray[np.float64], NDArray[np.int64]]


def _poisson(events: Events, watched: int, seconds: float, random: np.random.Generator) -> _Drawn:
    count = random.poisson(events.per_day / DAY * seconds * watched)
    return random.uniform(0, seconds, count), random.integers(0, watched, count)


def _even(events: Events, watched: int, seconds: float, random: np.random.Generator) -> _Drawn:
    """Equal distances, each repository with its own beginning."""
    if events.per_day <= 0:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    distance = DAY / events.per_day
    moments = np.arange(int(seconds // distance) + 1) * distance
    begin = random.uniform(0, distance, watched)
    return (begin[:, None] + moments).ravel(), np.repeat(np.arange(watched), len(moments))


def _bursts(events: Events, watched: int, seconds: float, random: np.random.Generator) -> _Drawn:
    count = random.poisson(events.per_day / events.burst_size / DAY * seconds * watched)
    size = random.geometric(1 / events.burst_size, count)
    begin, repository = random.uniform(0, seconds, count), random.integers(0, watched, count)
    within = random.uniform(0, events.burst_seconds, int(size.sum()))
    return np.repeat(begin, size) + within, np.repeat(repository, size)


def _office_hours(events: Events, watched: int, seconds: float, random: np.random.Generator) -> _Drawn:
    days = int(np.ceil(seconds / DAY))
    working = np.array([day for day in range(days) if day % 7 < 5], dtype=np.float64)
    count = random.poisson(events.per_day * len(working) * watched)
    day = random.choice(working, count) if count else np.zeros(0)
    hour = random.uniform(events.opens_hour, events.closes_hour, count)
    return day * DAY + hour * HOUR, random.integers(0, watched, count)


def _trace(events: Events, watched: int, _seconds: float, _random: np.random.Generator) -> _Drawn:
    moments = np.asarray(events.trace_seconds, dtype=np.float64)
    return np.tile(moments, watched), np.repeat(np.arange(watched), len(moments))


_DRAW = {
    "poisson": _poisson,
    "even": _even,
    "bursts": _bursts,
    "office-hours": _office_hours,
    "trace": _trace,
}


def arrivals(scenario: Scenario, name: str, made: Pushes) -> tuple[Ticks, NDArray[np.int64]]:
    """When deliveries arrive, and of which push; several times for duplicates, never for what is lost for good."""
    hook = scenario.fleets[name].webhook
    if hook is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    push, sent = np.arange(len(made.time)), made.time
    base, times, found = number(scenario, name), [], []
    for attempt in range(len(hook.retries_seconds) + 1):
        arrives = sent + hook.latency.all_ticks(chance.many(scenario.seed, chance.LATENCY, push + base, attempt))
        lost = chance.many(scenario.seed, chance.LOSS, push + base, attempt) < hook.loss
        for start, end in hook.outages_seconds:
            lost |= (arrives >= ticks(start)) & (arrives < ticks(end))
        times.append(arrives[~lost])
        found.append(push[~lost])
        twice = ~lost & (chance.many(scenario.seed, chance.DUPLICATE, push + base, attempt) < hook.duplicates)
        again = hook.latency.all_ticks(chance.many(scenario.seed, chance.LATENCY, push[twice] + base, attempt + COPY))
        times.append(arrives[twice] + again)
        found.append(push[twice])
        if attempt < len(hook.retries_seconds):
            push, sent = push[lost], arrives[lost] + ticks(hook.retries_seconds[attempt])
    time, of = np.concatenate(times), np.concatenate(found)
    inside = time < scenario.length
    return time[inside], of[inside]


def _watchers(
    fleet: Fleet, first: int, repository: NDArray[np.int64], time: Ticks, push: NDArray[np.int64]
) -> Sightings:
    """Each of the given for every Warehouse that watches the repository, in order of Warehouse and time."""
    # By repository and time first: the Warehouses of a repository then see the same slice, without another sort.
    order = np.lexsort((time, repository))
    repository, time, push = repository[order], time[order], push[order]
    begin = np.searchsorted(repository, np.arange(fleet.watched + 1))
    watches = np.arange(fleet.warehouses) % fleet.watched
    count = (begin[1:] - begin[:-1])[watches]
    warehouse = np.repeat(np.arange(fleet.warehouses), count)
    before = np.concatenate(([0], np.cumsum(count)[:-1]))
    place = np.arange(len(warehouse)) - np.repeat(before - begin[:-1][watches], count)
    return Sightings(warehouse=warehouse + first, time=time[place], push=push[place])


def _wanted(scenario: Scenario, name: str, seen: Sightings) -> Sightings:
    """Only those that the Warehouse's filters let through."""
    passes = scenario.fleets[name].passes
    if passes >= 1:
        return seen
    drawn = chance.many(scenario.seed, chance.PASSES, seen.push + number(scenario, name), seen.warehouse)
    kept = drawn < passes
    return Sightings(warehouse=seen.warehouse[kept], time=seen.time[kept], push=seen.push[kept])


def wanted_events(scenario: Scenario, name: str, made: Pushes) -> Sightings:
    """Every (Warehouse, push) that has to be discovered, by the moment of the push."""
    fleet = scenario.fleets[name]
    everything = _watchers(fleet, offset(scenario, name), made.repository, made.time, np.arange(len(made.time)))
    return _wanted(scenario, name, everything)


def hooks(scenario: Scenario, name: str, made: Pushes) -> Sightings:
    """Every (Warehouse, push) that a delivery refreshes, by the moment of its arrival."""
    fleet = scenario.fleets[name]
    time, push = arrivals(scenario, name, made)
    everything = _watchers(fleet, offset(scenario, name), made.repository[push], time, push)
    filtered = fleet.webhook is not None and fleet.webhook.filtered
    return _wanted(scenario, name, everything) if filtered else everything


def phases(scenario: Scenario, name: str) -> Ticks:
    """When each Warehouse of a fleet discovers first."""
    fleet = scenario.fleets[name]
    if scenario.cold_start:
        return np.zeros(fleet.warehouses, dtype=np.int64)
    numbers = np.arange(fleet.warehouses) + offset(scenario, name)
    share = chance.many(scenario.seed, chance.PHASE, numbers)
    return (share * ticks(fleet.interval_seconds)).astype(np.int64)
