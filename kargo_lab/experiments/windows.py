"""The fleet in steps of the shortest interval: what `fast` does where Warehouses share something.

Within such a step a Warehouse polls at most once, since its next poll is an interval behind the end of the
last. So all polls of a step are known when it begins, but for those that a webhook comes before. Where a
webhook meets its own Warehouse waiting or running depends on who is served when, and the other way
round: the step is computed again until both agree. What agrees is what happened, as every moment
depends on earlier ones only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from kargo_lab.experiments import chance, timeline
from kargo_lab.experiments.outcome import NEVER, Count, Found, Outcome
from kargo_lab.experiments.scenario import Scenario
from kargo_lab.experiments.service_line import LONG_AGO, Line, Served, serve
from kargo_lab.experiments.ticks import ticks
from kargo_lab.experiments.timeline import Ticks

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
GUESSES = 4
START, END, LOOK, LOOK_END = range(4)  # what is known of each Warehouse's past


def simulate(scenario: Scenario) -> Outcome:
    """Compute the scenario step by step."""
    walk = Walk(scenario)
    for begin in range(0, scenario.length, walk.step):
        walk.window(begin, min(begin + walk.step, scenario.length))
    return walk.outcome()


class _Table:
    """A number for each Warehouse, given by fleet; looking up what is the same for all costs nothing."""

    def __init__(self, values: Iterable[int], sizes: list[int]) -> None:
        given = np.array(list(values), dtype=np.int64)
        self._same = len(set(given.tolist())) == 1
        self._values = given[:1] if self._same else np.repeat(given, sizes)

    def __getitem__(self, warehouse: Numbers) -> Numbers:
        if self._same:
            return np.broadcast_to(self._values, warehouse.shape)
        return np.asarray(self._values[warehouse])


@attrs.frozen(kw_only=True, eq=False)
class _Chain:
    """Webhooks of a step, and the polls of the same Warehouses, in order of Warehouse and moment."""

    warehouse: Numbers
    moment: Ticks
    is_hook: Flags
    group: Numbers  # where the Warehouse's first entry stands


@attrs.frozen(kw_only=True, eq=False)
class _Fate:
    """What became of each entry: served at `arrival`, or put off to a later step; else taken along by another."""

    alive: Flags
    later: Flags
    arrival: Ticks
    rank: Numbers  # who comes first among those that arrive at one instant

    def agrees(self, other: _Fate, polls: Ticks) -> bool:
        """True if both say the same; `polls` are the moments, in order, of those who are in no chain."""
        return (
            np.array_equal(self.alive, other.alive)
            and np.array_equal(self.later, other.later)
            and np.array_equal(self.arrival, other.arrival)
            and self._has_the_order_of(other, polls)
        )

    def _has_the_order_of(self, other: _Fate, polls: Ticks) -> bool:
        """True if no rank that differs could matter, since nobody else arrives at that instant."""
        differs = self.alive & (self.rank != other.rank)
        if not differs.any():
            return True
        asked, others = self.arrival[differs], (np.sort(self.arrival[self.alive]), polls)
        many = sum(np.searchsorted(each, asked, side="right") - np.searchsorted(each, asked) for each in others)
        return bool((many == 1).all())


@attrs.frozen(kw_only=True, eq=False)
class _Jobs:
    """Discoveries of a step in the order in which they are served."""

    warehouse: Numbers
    is_hook: Flags
    is_final: Flags  # no other of the same Warehouse follows in the step
    number: Numbers  # how many discoveries of the Warehouse came before, where a draw needs to know
    served: Served


class Walk:
    """The state between two steps, one entry a Warehouse."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.length = scenario, scenario.length
        controller, fleets = scenario.controller, list(scenario.fleets.values())
        self._names, self._many = list(scenario.fleets), scenario.warehouses
        sizes = [fleet.warehouses for fleet in fleets]
        names = list(scenario.sources)
        self.fleet = _Table(range(len(fleets)), sizes)
        self._source = _Table([names.index(fleet.source) for fleet in fleets], sizes)
        self._interval = _Table([ticks(fleet.interval_seconds) for fleet in fleets], sizes)
        self._counted = _Table([fleet.counted for fleet in fleets], sizes)
        rates = [scenario.sources[fleet.source].requests_per_second for fleet in fleets]
        spacing = [
            0 if rate is None else ticks(fleet.requests / rate) for fleet, rate in zip(fleets, rates, strict=True)
        ]
        self._spacing = _Table(spacing, sizes)
        self._lengths = [fleet.discovery for fleet in fleets]
        self._fixed = all(length.is_fixed for length in self._lengths)
        self._numbered = not self._fixed or controller.jitter > 0
        self._length = _Table([ticks(length.mean_seconds) for length in self._lengths], sizes)
        self._quotas = [scenario.sources[name].quota for name in names]
        self._used: dict[tuple[int, int], int] = {}
        quota = any(self._quotas)
        self._retry = ticks(controller.retry_seconds)
        self.step = min([*(ticks(fleet.interval_seconds) for fleet in fleets), *([self._retry] if quota else [])])
        workers = None if controller.workers is None else np.full(controller.workers, LONG_AGO, dtype=np.int64)
        self._line = Line(workers=workers, limiters=np.full(len(names), LONG_AGO, dtype=np.int64))
        self._begin()

    def _begin(self) -> None:
        scenario, many = self.scenario, self.scenario.warehouses
        pushes = {name: timeline.pushes(scenario, name) for name in self._names}
        self._wanted = {name: timeline.wanted_events(scenario, name, pushes[name]) for name in self._names}
        hooks = [timeline.hooks(scenario, name, pushes[name]) for name in self._names]
        time, warehouse = (np.concatenate([getattr(each, what) for each in hooks]) for what in ("time", "warehouse"))
        order = np.argsort(time, kind="stable")
        self._hook_time, self._hook_warehouse = time[order], warehouse[order]
        first = np.concatenate([timeline.phases(scenario, name) for name in self._names])
        order = np.argsort(first, kind="stable")
        # Who polls next, and when, in that order; and by Warehouse the last start and end, and both of the last look
        # that was not refused.
        self._who, self._next = order, first[order]
        self._past = np.full((4, many), LONG_AGO, dtype=np.int64)
        self._looks_at_start = True  # until a limiter or a quota comes between; so long only the first two are kept
        # Which discovery of all was its last: those that end, or poll, at one instant do so in this order.
        self._rank, self._served = np.arange(many), many
        self._discoveries = np.zeros(many, dtype=np.int64)
        self._counts = np.zeros((len(self._names), 3), dtype=np.int64)
        self._carried = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        self._begin_events()

    def _begin_events(self) -> None:
        parts = list(self._wanted.values())
        self._event_time = np.concatenate([part.time for part in parts])
        self._event_warehouse = np.concatenate([part.warehouse for part in parts])
        self._event_order = np.argsort(self._event_time, kind="stable")
        self._event_sorted = self._event_time[self._event_order]
        self._looked = np.full(len(self._event_time), NEVER, dtype=np.int64)
        self._found = np.full(len(self._event_time), NEVER, dtype=np.int64)
        self._pending, self._reached = np.zeros(0, dtype=np.int64), 0

    # One step

    def window(self, begin: int, end: int) -> None:
        """Everything that arrives from `begin` to before `end`."""
        due = int(np.searchsorted(self._next, end))
        polls, moments = self._who[:due], self._next[:due]
        bounds = np.searchsorted(self._hook_time, (begin, end))
        hooks, times = self._hook_warehouse[slice(*bounds)], self._hook_time[slice(*bounds)]
        hooks, times = np.concatenate((self._carried[0], hooks)), np.concatenate((self._carried[1], times))
        hooked = np.zeros(self._many, dtype=np.bool_)
        hooked[hooks] = True
        also = hooked[polls]
        chain = _chain(hooks, times, polls[also], moments[also])
        plain = (polls[~also], moments[~also])
        jobs = self._agree(plain, chain, end)
        accepted = self._admitted(jobs)
        self._find(jobs, accepted, end)
        self._remember(jobs, accepted, due)

    def _agree(self, plain: tuple[Numbers, Ticks], chain: _Chain, end: int) -> _Jobs:
        """Compute who is served when, and what that makes of the webhooks, until both fit."""
        none = np.full(len(chain.warehouse), LONG_AGO, dtype=np.int64)
        fate = self._fate(chain, none, none, none, np.zeros(len(none), dtype=np.bool_), end)
        for _ in range(GUESSES):  # as if nobody had to wait, which costs nothing and is mostly so
            starts = np.where(fate.alive, fate.arrival, LONG_AGO)
            before, fate = (
                fate,
                self._fate(chain, starts, starts + self._length[chain.warehouse], none, fate.alive, end),
            )
            if fate.agrees(before, plain[1]):
                break
        while True:
            jobs, starts, ends, ranks = self._serve(plain, chain, fate)
            judged = self._fate(chain, starts, ends, ranks, fate.alive, end)
            if judged.agrees(fate, plain[1]):
                break
            fate = judged
        later = fate.later
        order = np.argsort(fate.arrival[later], kind="stable")
        self._carried = (chain.warehouse[later][order], fate.arrival[later][order])
        self._line = jobs.served.after
        return jobs

    def _fate(self, chain: _Chain, starts: Ticks, ends: Ticks, ranks: Numbers, alive: Flags, end: int) -> _Fate:
        """What becomes of each entry, given when those that were served began and ended."""
        place = np.arange(len(chain.warehouse))
        before = np.concatenate(([-1], np.maximum.accumulate(np.where(alive, place, -1))[:-1]))[: len(place)]
        known = before >= chain.group
        start = np.where(known, starts[before], self._past[START, chain.warehouse])
        done = np.where(known, ends[before], self._past[END, chain.warehouse])
        arrival = np.where(chain.is_hook, np.maximum(chain.moment, done), chain.moment)
        fresh = np.where(chain.is_hook, chain.moment > start, ~known)
        late = fresh & (arrival >= end)
        put_off = np.concatenate(([-1], np.maximum.accumulate(np.where(late, place, -1))[:-1]))[: len(place)]
        blocked = put_off >= chain.group
        # Those who idle are woken by their numbers; who follows a discovery of its own keeps that one's turn.
        follows = ~chain.is_hook | (chain.moment <= done)
        turn = np.where(known, ranks[before], self._rank[chain.warehouse])
        return _Fate(
            alive=fresh & ~late & ~blocked,
            later=late & ~blocked,
            arrival=arrival,
            rank=np.where(fresh, np.where(follows, turn, chain.warehouse), 0),
        )

    def _serve(self, plain: tuple[Numbers, Ticks], chain: _Chain, fate: _Fate) -> tuple[_Jobs, Ticks, Ticks, Numbers]:
        taken = np.flatnonzero(fate.alive)
        group = chain.group[taken]
        final = np.concatenate(
            (np.ones(len(plain[0]), dtype=np.bool_), np.append(np.diff(group) != 0, True)[: len(group)])
        )
        warehouse = np.concatenate((plain[0], chain.warehouse[taken]))
        arrival = np.concatenate((plain[1], fate.arrival[taken]))
        is_hook = np.concatenate((np.zeros(len(plain[0]), dtype=np.bool_), chain.is_hook[taken]))
        number = warehouse
        if self._numbered:
            served_before: Numbers = np.cumsum(fate.alive) - fate.alive
            number = self._discoveries[warehouse]
            number[len(plain[0]) :] += (served_before - served_before[chain.group])[taken]
        order = self._order(warehouse, arrival, fate.rank[taken])
        whose = warehouse[order]
        numbers = number[order] if self._numbered else whose
        lengths = self._length[whose] if self._fixed else self._drawn(whose, numbers)
        served = serve(self._line, arrival[order], lengths, self._source[whose], self._spacing[whose])
        starts = np.full(len(chain.warehouse), LONG_AGO, dtype=np.int64)
        ends = starts.copy()
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        place = back[len(plain[0]) :]
        starts[taken], ends[taken] = served.start[place], served.end[place]
        ranks = starts.copy()
        ranks[taken] = place + self._served
        return (
            _Jobs(warehouse=whose, is_hook=is_hook[order], is_final=final[order], number=numbers, served=served),
            starts,
            ends,
            ranks,
        )

    def _order(self, warehouse: Numbers, arrival: Ticks, rank: Numbers) -> Numbers:
        """First come, first served; at one instant by rank. The last entries have the given ranks, others are polls."""
        polls = len(arrival) - len(rank)
        order = _merged(arrival, polls)
        ordered = arrival[order]
        same = ordered[1:] == ordered[:-1]
        if len(rank) and same.any():
            tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
            who = order[tied]
            of = np.where(who < polls, self._rank[warehouse[who]], rank[np.maximum(who - polls, 0)])
            order[tied] = who[np.lexsort((of, ordered[tied]))]
        return order

    def _drawn(self, warehouse: Numbers, number: Numbers) -> Ticks:
        shares = chance.many(self.scenario.seed, chance.DURATION, warehouse, number)
        lengths = np.empty(len(warehouse), dtype=np.int64)
        fleets = self.fleet[warehouse]
        for index, length in enumerate(self._lengths):
            of = fleets == index
            lengths[of] = length.all_ticks(shares[of])
        return lengths

    # What follows

    def _admitted(self, jobs: _Jobs) -> Flags:
        """Which discoveries the quotas let through: so many in each of their windows, first come first served."""
        look = jobs.served.look
        accepted = look < self.length
        source, counted = self._source[jobs.warehouse], self._counted[jobs.warehouse]
        for number, quota in enumerate(self._quotas):
            if quota is None:
                continue
            place = np.flatnonzero((source == number) & accepted)
            if not len(place):
                continue
            window = look[place] // ticks(quota.per_seconds)
            for each in range(int(window.min()), int(window.max()) + 1):
                inside = place[window == each]
                allowed, used = _within(counted[inside], quota.requests - self._used.get((number, each), 0))
                self._used[number, each] = self._used.get((number, each), 0) + used
                accepted[inside] = allowed
        return accepted

    def _find(self, jobs: _Jobs, accepted: Flags, end: int) -> None:
        """Give every event that waits the first discovery that looked at its moment or later."""
        upto = int(np.searchsorted(self._event_sorted, end))
        new, self._reached = self._event_order[self._reached : upto], upto
        waiting = np.concatenate((self._pending, new))
        if not len(waiting):
            self._pending = waiting
            return
        warehouse, time = self._event_warehouse[waiting], self._event_time[waiting]
        past = self._past[:LOOK] if self._looks_at_start else self._past[LOOK:]
        looked, ended = past[:, warehouse]
        seen = looked >= time
        self._looked[waiting[seen]], self._found[waiting[seen]] = looked[seen], ended[seen]
        waiting, warehouse, time = waiting[~seen], warehouse[~seen], time[~seen]
        wanted = np.zeros(self._many, dtype=np.bool_)
        wanted[warehouse] = True
        place = np.flatnonzero(accepted & wanted[jobs.warehouse])
        if len(place):
            span = 2 * self.length + 1
            keys = jobs.warehouse[place] * span + jobs.served.look[place]
            order = np.argsort(keys, kind="stable")
            keys, place = keys[order], place[order]
            at = np.searchsorted(keys, warehouse * span + time)
            at_most = np.minimum(at, len(place) - 1)
            hit = (at < len(place)) & (jobs.warehouse[place[at_most]] == warehouse)
            job = place[at_most[hit]]
            self._looked[waiting[hit]] = jobs.served.look[job]
            self._found[waiting[hit]] = jobs.served.end[job]
            waiting = waiting[~hit]
        self._pending = waiting

    def _remember(self, jobs: _Jobs, accepted: Flags, due: int) -> None:
        """The state behind the step; of several discoveries of a Warehouse the last counts."""
        served, final = jobs.served, jobs.is_final
        if self._numbered:
            self._discoveries[jobs.warehouse] = jobs.number + 1
        self._count(jobs, accepted)
        whose, end = jobs.warehouse[final], served.end[final]
        self._rank[whose] = np.flatnonzero(final) + self._served
        self._served += len(final)
        everything = bool(accepted.all())
        if self._looks_at_start and not (everything and served.look is served.start):
            self._past[LOOK:], self._looks_at_start = self._past[:LOOK], False
        self._past[START][whose], self._past[END][whose] = served.start[final], end
        if self._looks_at_start:
            moment = end + self._interval[whose]
        elif everything:
            self._past[LOOK][whose], self._past[LOOK_END][whose] = served.look[final], end
            moment = end + self._interval[whose]
        else:
            # Of several looks of one Warehouse the last one that was not refused stays, as they come in order.
            self._past[LOOK][jobs.warehouse[accepted]] = served.look[accepted]
            self._past[LOOK_END][jobs.warehouse[accepted]] = served.end[accepted]
            moment = end + np.where(accepted[final], self._interval[whose], self._retry)
        if self.scenario.controller.jitter:
            share = chance.many(self.scenario.seed, chance.JITTER, whose, jobs.number[final])
            moment = moment + ((moment - end) * self.scenario.controller.jitter * share).astype(np.int64)
        ran = np.zeros(self._many, dtype=np.bool_)
        ran[jobs.warehouse[jobs.is_hook]] = True
        stays = ~ran[self._who[due:]]
        after = np.concatenate((self._next[due:][stays], moment))
        order = np.argsort(after, kind="stable")
        self._who = np.concatenate((self._who[due:][stays], whose))[order]
        self._next = after[order]

    def _count(self, jobs: _Jobs, accepted: Flags) -> None:
        happened = jobs.served.start < self.length
        refused = ~accepted & (jobs.served.look < self.length)
        fleet, many = self.fleet[jobs.warehouse], len(self._names)
        for column, which in enumerate((happened & ~jobs.is_hook, happened & jobs.is_hook, refused)):
            if many == 1:
                self._counts[0, column] += np.count_nonzero(which)
            else:
                self._counts[:, column] += np.bincount(fleet[which], minlength=many)

    def outcome(self) -> Outcome:
        """What came of it."""
        found, counts, at = {}, {}, 0
        for index, name in enumerate(self._names):
            wanted = self._wanted[name]
            of = slice(at, at := at + len(wanted.time))
            found[name] = Found(
                warehouse=wanted.warehouse,
                push=wanted.push,
                pushed=wanted.time,
                looked=self._looked[of],
                found=self._found[of],
            )
            polls, hooks, refused = self._counts[index].tolist()
            counts[name] = Count(by_poll=polls, by_webhook=hooks, refused=refused)
        return Outcome(scenario=self.scenario, found=found, counts=counts)


def _chain(hooks: Numbers, times: Ticks, polls: Numbers, moments: Ticks) -> _Chain:
    warehouse, moment = np.concatenate((polls, hooks)), np.concatenate((moments, times))
    is_hook = np.arange(len(warehouse)) >= len(polls)
    order = np.lexsort((moment, warehouse))
    warehouse = warehouse[order]
    changes = np.concatenate(([True], np.diff(warehouse) != 0))[: len(warehouse)]
    place: Any = np.arange(len(warehouse))
    group = np.maximum.accumulate(np.where(changes, place, 0)) if len(warehouse) else place
    return _Chain(warehouse=warehouse, moment=moment[order], is_hook=is_hook[order], group=group)


def _merged(arrival: Ticks, many: int) -> Numbers:
    """The order of moments whose first `many` are in order already, and are most: as a stable argsort, but sooner."""
    behind = many + np.argsort(arrival[many:], kind="stable")
    places = np.searchsorted(arrival[:many], arrival[behind], side="right") + np.arange(len(behind))
    order = np.empty(len(arrival), dtype=np.int64)
    first = np.ones(len(arrival), dtype=np.bool_)
    first[places] = False
    order[places], order[first] = behind, np.arange(many)
    return order


def _within(counted: Numbers, room: int) -> tuple[Flags, int]:
    """Which of these fit, in order; one that does not fit takes no room, so that a smaller one behind it may."""
    if not len(counted) or counted.min() == counted.max():
        size = int(counted[0]) if len(counted) else 0
        fit = len(counted) if size == 0 else min(len(counted), room // size)
        return np.arange(len(counted)) < fit, fit * size
    allowed, used = np.zeros(len(counted), dtype=np.bool_), 0
    for place, size in enumerate(counted.tolist()):
        if used + size <= room:
            allowed[place] = True
            used += size
    return allowed, used
