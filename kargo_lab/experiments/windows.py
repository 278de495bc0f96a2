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

from kargo_lab.experiments import chance, timeline
from kargo_lab.experiments.outcome import NEVER, Count, Found, Outcome
from kargo_lab.experiments.scenario import Quota, Scenario
from kargo_lab.experiments.service_line import LONG_AGO, Line, Served, serve
from kargo_lab.experiments.ticks import ticks
from kargo_lab.experiments.timeline import Ticks
from kargo_lab.experiments.timers import Flags, Numbers, Timers, inserted, without

GUESSES = 4
LOOK, LOOK_END = range(2)  # of each Warehouse's last discovery that was not refused


def simulate(scenario: Scenario) -> Outcome:
    """Compute the scenario step by step."""
    return Walk(scenario).walk()


class _Table:
    """A number for each Warehouse, given by fleet; looking up what is the same for all costs nothing."""

    def __init__(self, values: Iterable[int], sizes: list[int]) -> None:
        given = np.array(list(values), dtype=np.int64)
        self.is_same = len(set(given.tolist())) == 1
        self._values = given[:1] if self.is_same else np.repeat(given, sizes)

    def __getitem__(self, warehouse: Numbers) -> Numbers:
        if self.is_same:
            return np.broadcast_to(self._values, warehouse.shape)
        return np.asarray(self._values[warehouse])


@attrs.frozen(kw_only=True, eq=False)
class _Chain:
    """Webhooks of a step, and the polls of the same Warehouses, in order of Warehouse and moment."""

    warehouse: Numbers
    moment: Ticks
    is_hook: Flags
    group: Numbers  # where the Warehouse's first entry stands
    # The Warehouse's last discovery before the step: when it began and ended, and its turn.
    start: Ticks
    end: Ticks
    turn: Numbers


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
    hooks: Numbers  # places of those that a webhook began
    passing: Flags | None  # False where another of the same Warehouse follows in the step; None: nowhere
    number: Numbers  # how many discoveries of the Warehouse came before, where a draw needs to know
    served: Served

    def final(self, values: Any) -> Any:
        """Those of the values that belong to the last discovery of a Warehouse in the step."""
        return values if self.passing is None else values[self.passing]


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
        self._timers = Timers.begin(np.concatenate([timeline.phases(scenario, name) for name in self._names]))
        self._looks_at_start = True  # until a limiter or a quota comes between; so long the timers know enough
        self._past = np.full((2, 0), LONG_AGO, dtype=np.int64)
        # How many discoveries there were: those that end, or poll, at one instant do so in this order.
        self._served = many
        self._wait = 0  # for a worker, on average in the last step
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

    def walk(self) -> Outcome:
        """From the beginning to the end."""
        for begin in range(0, self.length, self.step):
            self.window(begin, min(begin + self.step, self.length))
        return self.outcome()

    # One step

    def window(self, begin: int, end: int) -> None:
        """Everything that arrives from `begin` to before `end`."""
        timers = self._timers
        due = int(np.searchsorted(timers.next, end))
        bounds = np.searchsorted(self._hook_time, (begin, end))
        hooks, times = self._hook_warehouse[slice(*bounds)], self._hook_time[slice(*bounds)]
        hooks, times = np.concatenate((self._carried[0], hooks)), np.concatenate((self._carried[1], times))
        self._expect(end)
        timers.find(hooks, self._event_warehouse[self._pending])
        # Polls of the Warehouses that a webhook is for: what becomes of them depends on one another.
        also = np.unique(timers.place[hooks])
        also = also[: np.searchsorted(also, due)]
        chain = self._chain(hooks, times, timers.who[also], timers.next[also])
        jobs = self._agree((due, also), chain, end)
        accepted = self._admitted(jobs)
        self._find(jobs, accepted)
        self._remember(jobs, accepted, due)

    def _chain(self, hooks: Numbers, times: Ticks, polls: Numbers, moments: Ticks) -> _Chain:
        warehouse, moment = np.concatenate((polls, hooks)), np.concatenate((moments, times))
        is_hook = np.arange(len(warehouse)) >= len(polls)
        order = np.lexsort((moment, warehouse))
        warehouse = warehouse[order]
        changes = np.concatenate(([True], np.diff(warehouse) != 0))[: len(warehouse)]
        place: Any = np.arange(len(warehouse))
        group = np.maximum.accumulate(np.where(changes, place, 0)) if len(warehouse) else place
        at = self._timers.place[warehouse]
        return _Chain(
            warehouse=warehouse,
            moment=moment[order],
            is_hook=is_hook[order],
            group=group,
            start=self._timers.start[at],
            end=self._timers.end[at],
            turn=self._timers.turn[at],
        )

    def _agree(self, polls: tuple[int, Numbers], chain: _Chain, end: int) -> _Jobs:
        """Compute who is served when, and what that makes of the webhooks, until both fit.

        `polls` are how many timers run out, and the places of those that are in the chain.
        """
        due, also = polls
        plain = without(also, self._timers.who[:due], self._timers.next[:due], self._timers.turn[:due])
        none = np.full(len(chain.warehouse), LONG_AGO, dtype=np.int64)
        fate = self._fate(chain, none, none, none, np.zeros(len(none), dtype=np.bool_), end)
        for _ in range(GUESSES):  # as if all had to wait as long as lately, which costs nothing and is nearly so
            starts = np.where(fate.alive, fate.arrival + self._wait, LONG_AGO)
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
        self._wait = int((starts - fate.arrival)[fate.alive].mean()) if fate.alive.any() else self._wait
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
        start = np.where(known, starts[before], chain.start)
        done = np.where(known, ends[before], chain.end)
        arrival = np.where(chain.is_hook, np.maximum(chain.moment, done), chain.moment)
        fresh = np.where(chain.is_hook, chain.moment > start, ~known)
        late = fresh & (arrival >= end)
        put_off = np.concatenate(([-1], np.maximum.accumulate(np.where(late, place, -1))[:-1]))[: len(place)]
        blocked = put_off >= chain.group
        # Those who idle are woken by their numbers; who follows a discovery of its own keeps that one's turn.
        follows = ~chain.is_hook | (chain.moment <= done)
        turn = np.where(known, ranks[before], chain.turn)
        return _Fate(
            alive=fresh & ~late & ~blocked,
            later=late & ~blocked,
            arrival=arrival,
            rank=np.where(fresh, np.where(follows, turn, chain.warehouse), 0),
        )

    def _serve(
        self, plain: tuple[Numbers, Ticks, Numbers], chain: _Chain, fate: _Fate
    ) -> tuple[_Jobs, Ticks, Ticks, Numbers]:
        """First come, first served; who comes at one instant, by rank."""
        alive = np.flatnonzero(fate.alive)
        taken = alive[np.argsort(fate.arrival[alive], kind="stable")]
        places = np.searchsorted(plain[1], fate.arrival[taken], side="right") + np.arange(len(taken))
        whose, arrival = inserted(places, plain[:2], (chain.warehouse[taken], fate.arrival[taken]))
        if len(places):
            self._by_rank(whose, arrival, places, fate.rank[taken], plain[2])
        numbers = whose
        if self._numbered:
            served_before: Numbers = np.cumsum(fate.alive) - fate.alive
            numbers = self._discoveries[whose]
            numbers[places] += (served_before - served_before[chain.group])[taken]
        lengths = self._length[whose] if self._fixed else self._drawn(whose, numbers)
        served = serve(self._line, arrival, lengths, self._source[whose], self._spacing[whose])
        starts = np.full(len(chain.warehouse), LONG_AGO, dtype=np.int64)
        ends, ranks = starts.copy(), starts.copy()
        starts[taken], ends[taken], ranks[taken] = served.start[places], served.end[places], places + self._served
        last = np.ones(len(chain.warehouse), dtype=np.bool_)
        last[alive[:-1]] = np.diff(chain.group[alive]) != 0
        passing = None
        if not last[taken].all():
            passing = np.ones(len(whose), dtype=np.bool_)
            passing[places] = last[taken]
        hooks = np.sort(places[chain.is_hook[taken]])
        jobs = _Jobs(warehouse=whose, hooks=hooks, passing=passing, number=numbers, served=served)
        return jobs, starts, ends, ranks

    def _by_rank(self, whose: Numbers, arrival: Ticks, places: Numbers, ranks: Numbers, turns: Numbers) -> None:
        """Put those right, in place, who come at one instant with somebody of the chain. Others are so already.

        `places` and `ranks` are those of the chain, `turns` those of the others.
        """
        came, last = arrival[places], len(arrival) - 1
        before, behind = arrival[np.maximum(places - 1, 0)], arrival[np.minimum(places + 1, last)]
        tied = ((before == came) & (places > 0)) | ((behind == came) & (places < last))
        if not tied.any():
            return
        moments = np.unique(came[tied])
        first = np.searchsorted(arrival, moments)
        many = np.searchsorted(arrival, moments, side="right") - first
        members = np.repeat(first - (np.cumsum(many) - many), many) + np.arange(int(many.sum()))
        chained = np.searchsorted(places, members)  # how many of the chain stand before each
        at_most = np.minimum(chained, len(places) - 1)
        others = np.minimum(members - chained, max(len(turns) - 1, 0))
        turn = ranks[at_most] if not len(turns) else np.where(places[at_most] == members, ranks[at_most], turns[others])
        order = np.lexsort((turn, np.repeat(moments, many)))
        back = np.arange(len(whose))
        back[members[order]] = members
        whose[members], places[:] = whose[members[order]], back[places]

    def _drawn(self, warehouse: Numbers, number: Numbers) -> Ticks:
        shares = chance.many(self.scenario.seed, chance.DURATION, warehouse, number)
        lengths = np.empty(len(warehouse), dtype=np.int64)
        fleets = self.fleet[warehouse]
        for index, length in enumerate(self._lengths):
            of = fleets == index
            lengths[of] = length.all_ticks(shares[of])
        return lengths

    # What follows

    def _admitted(self, jobs: _Jobs) -> Flags | None:
        """Which discoveries the quotas let through: so many in each of their windows, first come first served.

        None: all of them, as mostly.
        """
        look = jobs.served.look
        if not len(look):
            return None
        source, counted = self._source[jobs.warehouse], self._counted[jobs.warehouse]
        if self._source.is_same:
            inside = int(np.searchsorted(look, self.length))
            accepted = np.arange(len(look)) < inside if inside < len(look) else None
            quota = self._quotas[int(source[0])]
            return accepted if quota is None else self._within_windows(quota, int(source[0]), look, counted, accepted)
        accepted = look < self.length
        for number, quota in enumerate(self._quotas):
            place = np.flatnonzero((source == number) & accepted)
            if quota is not None and len(place):
                within = self._within_windows(quota, number, look[place], counted[place], None)
                if within is not None:
                    accepted[place] = within
        return None if accepted.all() else accepted

    def _within_windows(
        self, quota: Quota, number: int, look: Ticks, counted: Numbers, accepted: Flags | None
    ) -> Flags | None:
        """Of one source, whose requests go in order."""
        inside = len(look) if accepted is None else int(np.count_nonzero(accepted))
        if not inside:
            return accepted
        per = ticks(quota.per_seconds)
        for each in range(int(look[0]) // per, int(look[inside - 1]) // per + 1):
            first, last = np.searchsorted(look[:inside], (each * per, (each + 1) * per)).tolist()
            used = self._used.get((number, each), 0)
            allowed, more = _within(counted[first:last], quota.requests - used)
            self._used[number, each] = used + more
            if allowed is not None:
                accepted = np.ones(len(look), dtype=np.bool_) if accepted is None else accepted
                accepted[first:last] = allowed
        return accepted

    def _expect(self, end: int) -> None:
        """From here on events before `end` wait to be found as well."""
        upto = int(np.searchsorted(self._event_sorted, end))
        new, self._reached = self._event_order[self._reached : upto], upto
        self._pending = np.concatenate((self._pending, new))

    def _find(self, jobs: _Jobs, accepted: Flags | None) -> None:
        """Give every event that waits the first discovery that looked at its moment or later."""
        waiting = self._pending
        if not len(waiting):
            return
        warehouse, time = self._event_warehouse[waiting], self._event_time[waiting]
        if self._looks_at_start:
            at = self._timers.place[warehouse]
            looked, ended = self._timers.start[at], self._timers.end[at]
        else:
            looked, ended = self._past[:, warehouse]
        seen = looked >= time
        self._looked[waiting[seen]], self._found[waiting[seen]] = looked[seen], ended[seen]
        waiting, warehouse, time = waiting[~seen], warehouse[~seen], time[~seen]
        wanted = np.zeros(self._many, dtype=np.bool_)
        wanted[warehouse] = True
        asked = wanted[jobs.warehouse]
        place = np.flatnonzero(asked if accepted is None else accepted & asked)
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

    def _remember(self, jobs: _Jobs, accepted: Flags | None, due: int) -> None:
        """The state behind the step; of several discoveries of a Warehouse the last counts."""
        served, timers = jobs.served, self._timers
        if self._numbered:
            self._discoveries[jobs.warehouse] = jobs.number + 1
        self._count(jobs, accepted)
        if self._looks_at_start and not (accepted is None and served.look is served.start):
            self._past, self._looks_at_start = timers.by_warehouse(), False
        if not self._looks_at_start:
            # Of several looks of one Warehouse the last one that was not refused stays, as they come in order.
            which = slice(None) if accepted is None else accepted
            self._past[LOOK][jobs.warehouse[which]] = served.look[which]
            self._past[LOOK_END][jobs.warehouse[which]] = served.end[which]
        whose, end = jobs.final(jobs.warehouse), jobs.final(served.end)
        waits = self._interval[whose]
        if accepted is not None:
            waits = np.where(jobs.final(accepted), waits, self._retry)
        moment = end + waits
        if self.scenario.controller.jitter:
            share = chance.many(self.scenario.seed, chance.JITTER, whose, jobs.final(jobs.number))
            moment = moment + ((moment - end) * self.scenario.controller.jitter * share).astype(np.int64)
        turn = jobs.final(np.arange(self._served, self._served + len(jobs.warehouse)))
        self._served += len(jobs.warehouse)
        timers.wind(
            due,
            stopped=jobs.warehouse[jobs.hooks],
            who=whose,
            next=moment,
            start=jobs.final(served.start),
            end=end,
            turn=turn,
        )

    def _count(self, jobs: _Jobs, accepted: Flags | None) -> None:
        happened = int(np.searchsorted(jobs.served.start, self.length))  # they begin in order
        hooks = jobs.warehouse[jobs.hooks[: np.searchsorted(jobs.hooks, happened)]]
        refused = np.zeros(0, dtype=np.int64)
        if accepted is not None:
            refused = jobs.warehouse[~accepted & (jobs.served.look < self.length)]
        for column, (whose, sign) in enumerate(((jobs.warehouse[:happened], 1), (hooks, 1), (refused, 1))):
            self._counts[:, column] += sign * self._by_fleet(whose)
        self._counts[:, 0] -= self._by_fleet(hooks)

    def _by_fleet(self, warehouse: Numbers) -> Numbers:
        if self.fleet.is_same:
            return np.array([len(warehouse)])
        return np.bincount(self.fleet[warehouse], minlength=len(self._names))

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


def _within(counted: Numbers, room: int) -> tuple[Flags | None, int]:
    """Which of these fit, in order (None: all), and what they take.

    One that does not fit takes no room, so that a smaller one behind it may.
    """
    if not len(counted) or counted.strides == (0,) or counted.min() == counted.max():
        size = int(counted[0]) if len(counted) else 0
        fit = len(counted) if size == 0 else min(len(counted), room // size)
        return (None if fit == len(counted) else np.arange(len(counted)) < fit), fit * size
    allowed, used = np.zeros(len(counted), dtype=np.bool_), 0
    for place, size in enumerate(counted.tolist()):
        if used + size <= room:
            allowed[place] = True
            used += size
    return allowed, used
