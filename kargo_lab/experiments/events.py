"""The fleet as a play: every Warehouse, every push and every delivery is a process on SimPy's clock.

This is the model to read and to teach. It walks through each poll one by one, so it is slow;
`fast` computes the same, and a test compares the two event by event. Time is in ticks.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from kargo_lab.experiments import chance, timeline
from kargo_lab.experiments.outcome import NEVER, Count, Found, Outcome
from kargo_lab.experiments.scenario import Fleet, Scenario, Webhook
from kargo_lab.experiments.ticks import ticks

Process = Generator[simpy.Event, Any, None]
UNLIMITED = sys.maxsize
POLL, WEBHOOK, REFUSED = "poll", "webhook", "refused"


def simulate(scenario: Scenario) -> Outcome:
    """Play the scenario to its end."""
    return Play(scenario).run()


class Play:
    """The stage: what the processes share."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.clock = scenario, simpy.Environment()
        workers = scenario.controller.workers
        self.workers = simpy.Resource(self.clock, capacity=UNLIMITED if workers is None else workers)
        self.limiters: dict[str, int] = defaultdict(int)  # source -> when its next request may go
        self.used: dict[tuple[str, int], int] = defaultdict(int)  # source and quota window -> requests
        self.wake: dict[int, simpy.Event] = {}  # a Warehouse's refresh annotation: set, or not
        self.pending: dict[int, list[tuple[int, int]]] = defaultdict(list)  # not found yet: push and moment
        self.looks: dict[tuple[int, int], tuple[int, int]] = {}  # Warehouse and push -> looked, found
        self.counts: dict[str, dict[str, int]] = {}
        self.pushes = {name: timeline.pushes(scenario, name) for name in scenario.fleets}

    def run(self) -> Outcome:
        """Start all processes, and let the clock go on to the end."""
        for name, fleet in self.scenario.fleets.items():
            self.counts[name] = {POLL: 0, WEBHOOK: 0, REFUSED: 0}
            first = timeline.offset(self.scenario, name)
            for place, moment in enumerate(timeline.phases(self.scenario, name).tolist()):
                self.wake[first + place] = self.clock.event()
                self.clock.process(self.warehouse(first + place, name, fleet, moment))
            self.clock.process(self.people(name, fleet, first))
        self.clock.run(until=self.scenario.length)
        return self._outcome()

    def warehouse(self, number: int, name: str, fleet: Fleet, first: int) -> Process:
        """Wait for the timer or for a webhook, whichever is first; discover; start the timer anew."""
        wait, discoveries = first, 0
        while True:
            yield self.clock.timeout(wait) | self.wake[number]
            cause = WEBHOOK if self.wake[number].triggered else POLL
            with self.workers.request() as worker:
                yield worker
                # What refreshes from now on is another refresh; what came while we waited is this one.
                self.wake[number] = self.clock.event()
                self.counts[name][cause] += 1
                yield from self.limiter(fleet)
                admitted = self.admit(fleet)
                length = fleet.discovery.ticks(self.draw(chance.DURATION, number, discoveries))
                if admitted:
                    self.find(number, length)
                else:
                    self.counts[name][REFUSED] += 1
                yield self.clock.timeout(length)
            wait = self.pause(fleet, number, discoveries, admitted=admitted)
            discoveries += 1

    def limiter(self, fleet: Fleet) -> Process:
        """Wait until the client's own limiter lets this discovery's requests go."""
        rate = self.scenario.sources[fleet.source].requests_per_second
        if rate is None:
            return
        turn = max(self.now, self.limiters[fleet.source])
        self.limiters[fleet.source] = turn + ticks(fleet.requests / rate)
        if turn > self.clock.now:
            yield self.clock.timeout(turn - self.clock.now)

    @property
    def now(self) -> int:
        """The moment, which only ever moves by whole ticks."""
        return int(self.clock.now)

    def admit(self, fleet: Fleet) -> bool:
        """True if the source's quota has room for this discovery, which is then taken."""
        quota = self.scenario.sources[fleet.source].quota
        if quota is None:
            return True
        window = fleet.source, self.now // ticks(quota.per_seconds)
        if self.used[window] + fleet.counted > quota.requests:
            return False
        self.used[window] += fleet.counted
        return True

    def find(self, number: int, length: int) -> None:
        """Everything that was pushed until now is seen by this discovery, and is Freight when it ends."""
        for push, _ in self.pending.pop(number, ()):
            self.looks[number, push] = self.now, self.now + length

    def pause(self, fleet: Fleet, number: int, discoveries: int, *, admitted: bool) -> int:
        """How long the Warehouse's timer runs."""
        controller = self.scenario.controller
        length = ticks(fleet.interval_seconds if admitted else controller.retry_seconds)
        share = self.draw(chance.JITTER, number, discoveries)
        return length + int(length * controller.jitter * share) if controller.jitter else length

    def people(self, name: str, fleet: Fleet, first: int) -> Process:
        """Push, again and again; each push sets out a delivery."""
        made = self.pushes[name]
        base = timeline.number(self.scenario, name)
        for push, (moment, repository) in enumerate(zip(made.time.tolist(), made.repository.tolist(), strict=True)):
            yield self.clock.timeout(moment - self.clock.now)
            watching = range(first + repository, first + fleet.warehouses, fleet.watched)
            wanting = [each for each in watching if self.draw(chance.PASSES, push + base, each) < fleet.passes]
            for each in wanting:
                self.pending[each].append((push, moment))
            if fleet.webhook is not None:
                told = wanting if fleet.webhook.filtered else watching
                self.clock.process(self.delivery(fleet.webhook, push + base, list(told)))

    def delivery(self, hook: Webhook, push: int, told: list[int]) -> Process:
        """One delivery: attempts until one arrives, or the sender gives up."""
        for attempt in range(len(hook.retries_seconds) + 1):
            yield self.clock.timeout(hook.latency.ticks(self.draw(chance.LATENCY, push, attempt)))
            out = any(ticks(start) <= self.clock.now < ticks(end) for start, end in hook.outages_seconds)
            if not out and self.draw(chance.LOSS, push, attempt) >= hook.loss:
                self.refresh(told)
                if self.draw(chance.DUPLICATE, push, attempt) < hook.duplicates:
                    again = self.draw(chance.LATENCY, push, attempt + timeline.COPY)
                    yield self.clock.timeout(hook.latency.ticks(again))
                    self.refresh(told)
                return
            if attempt < len(hook.retries_seconds):
                yield self.clock.timeout(ticks(hook.retries_seconds[attempt]))

    def refresh(self, told: list[int]) -> None:
        """Set the refresh annotation of Warehouses; setting it twice is setting it once."""
        for number in told:
            if not self.wake[number].triggered:
                self.wake[number].succeed()

    def draw(self, stream: int, first: int, second: int) -> float:
        """A uniform number that belongs to what it is about."""
        return chance.one(self.scenario.seed, stream, first, second)

    def _outcome(self) -> Outcome:
        found = {}
        for name in self.scenario.fleets:
            wanted = timeline.wanted_events(self.scenario, name, self.pushes[name])
            pairs = zip(wanted.warehouse.tolist(), wanted.push.tolist(), strict=True)
            looks = [self.looks.get(pair, (NEVER, NEVER)) for pair in pairs]
            looked, ended = np.array(looks, dtype=np.int64).reshape(-1, 2).T
            found[name] = Found(
                warehouse=wanted.warehouse, push=wanted.push, pushed=wanted.time, looked=looked, found=ended
            )
        counts = {
            name: Count(by_poll=count[POLL], by_webhook=count[WEBHOOK], refused=count[REFUSED])
            for name, count in self.counts.items()
        }
        return Outcome(scenario=self.scenario, found=found, counts=counts)
