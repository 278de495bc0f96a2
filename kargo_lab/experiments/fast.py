"""The fleet as arrays: the same answers as `events`, for a hundred thousand Warehouses and months.

Two ways, chosen by what limits the fleet. Where nothing does, Warehouses do not notice one another and
polls between two webhooks are an arithmetic progression: counting them is a division, so the cost is
that of the webhooks and not of the polls. Where workers, limiters, quotas or chance make polls unequal, `windows`
walks through time in steps of an interval, in which each Warehouse polls at most once.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kargo_lab.errors import UsageError
from kargo_lab.experiments import timeline, windows
from kargo_lab.experiments.outcome import NEVER, Count, Found, Outcome
from kargo_lab.experiments.scenario import Fleet, Scenario
from kargo_lab.experiments.ticks import ticks
from kargo_lab.experiments.timeline import Sightings, Ticks


def simulate(scenario: Scenario) -> Outcome:
    """Compute the scenario. Raises UsageError for more than fits whole numbers of 64 bits."""
    if scenario.warehouses * (2 * scenario.length + 1) >= 2**62:
        raise UsageError("a fleet this large over a time this long does not fit; simulate it in parts")
    if not is_unlimited(scenario):
        return windows.simulate(scenario)
    found, counts = {}, {}
    for name, fleet in scenario.fleets.items():
        found[name], counts[name] = _fleet(scenario, name, fleet)
    return Outcome(scenario=scenario, found=found, counts=counts)


def is_unlimited(scenario: Scenario) -> bool:
    """True if no Warehouse can notice another, and every poll is like the one before."""
    controller = scenario.controller
    used = [scenario.sources[fleet.source] for fleet in scenario.fleets.values()]
    return (
        controller.workers is None
        and controller.jitter == 0
        and all(source.quota is None and source.requests_per_second is None for source in used)
        and all(fleet.discovery.is_fixed for fleet in scenario.fleets.values())
    )


@attrs.frozen(kw_only=True)
class _Chain:
    """Discoveries of every Warehouse as progressions, in order of Warehouse and time.

    Each begins at `start` and goes on by the fleet's period until the next of the same Warehouse. The first
    of each stands one period before its first poll.
    """

    warehouse: NDArray[np.int64]
    start: Ticks


def _fleet(scenario: Scenario, name: str, fleet: Fleet) -> tuple[Found, Count]:
    length, first = scenario.length, timeline.offset(scenario, name)
    duration = ticks(fleet.discovery.mean_seconds)
    period = ticks(fleet.interval_seconds) + duration
    made = timeline.pushes(scenario, name)
    wanted = timeline.wanted_events(scenario, name, made)
    hooks = timeline.hooks(scenario, name, made)
    begin = timeline.phases(scenario, name) - period
    chain, count = _progressions(hooks, first, begin, period, duration, length)
    looked = _first_looks(chain, wanted, period, length, first)
    seen = looked != NEVER
    found = Found(
        warehouse=wanted.warehouse,
        push=wanted.push,
        pushed=wanted.time,
        looked=looked,
        found=np.where(seen, looked + duration, NEVER),
    )
    return found, count


def _progressions(
    hooks: Sightings, first: int, begin: Ticks, period: int, duration: int, length: int
) -> tuple[_Chain, Count]:
    """Walk through the webhooks, the n-th of every Warehouse at once."""
    warehouses = len(begin)
    bounds = np.searchsorted(hooks.warehouse, np.arange(warehouses + 1) + first)
    many = np.diff(bounds)
    start, polls, by_webhook = begin.copy(), np.zeros(warehouses, dtype=np.int64), np.zeros(warehouses, dtype=np.int64)
    starts = np.empty(len(hooks.time), dtype=np.int64)
    # Warehouses with most webhooks first, so that those that still have some are always the first few.
    order = np.argsort(-many, kind="stable")
    left = warehouses
    for turn in range(int(many.max(initial=0))):
        while left and many[order[left - 1]] <= turn:
            left -= 1
        active = order[:left]
        place = bounds[active] + turn
        time, anchor = hooks.time[place], start[active]
        polled = np.maximum(time - anchor, 0) // period
        last = anchor + polled * period
        new = time > last  # else the discovery that is due, or just begins, takes it along
        started = np.where(new, np.maximum(time, last + duration), last)
        polls[active] += polled
        by_webhook[active] += new & (started < length)
        start[active] = starts[place] = started
    polls += np.maximum(length - 1 - start, 0) // period
    chain = _Chain(
        warehouse=np.concatenate((np.arange(warehouses) + first, hooks.warehouse)),
        start=np.concatenate((begin, starts)),
    )
    return chain, Count(by_poll=int(polls.sum()), by_webhook=int(by_webhook.sum()))


def _first_looks(chain: _Chain, wanted: Sightings, period: int, length: int, first: int) -> Ticks:
    """For each wanted event the first discovery that begins at its moment or later; NEVER if there is none."""
    span = 2 * length + period + 1  # wider than any moment, so that Warehouse and moment sort as one number
    keys = (chain.warehouse - first) * span + chain.start + period
    keys.sort()
    asked = (wanted.warehouse - first) * span + wanted.time + period
    # The last progression that began before the event, and the one that cuts it off.
    place = np.searchsorted(keys, asked, side="left") - 1
    anchor = keys[place]
    next_poll = anchor + -((anchor - asked) // period) * period
    following = np.append(keys, np.iinfo(np.int64).max)[place + 1]
    same = following // span == asked // span
    key = np.where(same, np.minimum(next_poll, following), next_poll)
    looked = key - (wanted.warehouse - first) * span - period
    return np.where(looked < length, looked, NEVER)
