"""The fourth way: the real engine on its virtual clock, over a world in memory.

Nothing of a model is in here: selectors, work queue, status, Freight and the store are those that serve webhooks. A
scenario is played to it: pushes put a tag into the world, deliveries that arrive set refresh tokens. So what
the models leave out shows: Kargo stores times in whole seconds, and two refreshes within one are one.

Each Warehouse has a repository of its own, so that what its filters do not let through is simply not pushed.
All begin at once.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.errors import UsageError
from kargo_lab.experiments import timeline
from kargo_lab.experiments.outcome import NEVER, Count, Found, Outcome
from kargo_lab.experiments.scenario import Scenario
from kargo_lab.experiments.ticks import TICKS
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import ImageSubscription, Warehouse, WarehouseSpec
from kargo_lab.sources.memory import World
from kargo_lab.sources.shared import Context, OperatorSettings

HOST, PROJECT = "registry.example", "fleet"
PUSH, REFRESH = 0, 1
UNLIMITED = 1_000_000


def simulate(scenario: Scenario, *, profile: Profile = LATEST) -> Outcome:
    """Live through the scenario. Raises UsageError for a length of discovery that is drawn, which no engine has."""
    if not all(fleet.discovery.is_fixed for fleet in scenario.fleets.values()):
        raise UsageError("on the engine's clock a discovery takes as long as its requests: give it a fixed length")
    return Life(scenario, profile).run()


class Life:
    """One lab with its world, and what was seen of them."""

    def __init__(self, scenario: Scenario, profile: Profile) -> None:
        self.scenario, self.clock, self.world = scenario, VirtualClock(), World(profile=profile)
        workers = scenario.controller.workers or UNLIMITED
        self.lab = Lab(
            profile=profile,
            clock=self.clock,
            settings=OperatorSettings(
                minimum_interval_seconds=scenario.controller.minimum_interval_seconds,
                concurrent_reconciles=workers,
                registry_rate_limit=1e6,
            ),
            sources={**self.world.sources, "image": self._discover},
            seed=scenario.seed,
        )
        self.looks: list[list[tuple[int, int]]] = [[] for _ in range(scenario.warehouses)]
        self._lengths = [
            fleet.discovery.mean_seconds for fleet in scenario.fleets.values() for _ in range(fleet.warehouses)
        ]
        self._newest = ["0.0.0"] * scenario.warehouses
        self._refreshed = [False] * scenario.warehouses
        self._by_webhook = [0] * scenario.warehouses
        self._pushes = {name: timeline.pushes(scenario, name) for name in scenario.fleets}
        self._wanted = {name: timeline.wanted_events(scenario, name, self._pushes[name]) for name in scenario.fleets}

    def run(self) -> Outcome:
        """From the beginning to the end."""
        for number in range(self.scenario.warehouses):
            self.world.push_image(_url(number), "0.0.0")
        warehouses = [
            _warehouse(timeline.offset(self.scenario, name) + place, fleet.interval_seconds)
            for name, fleet in self.scenario.fleets.items()
            for place in range(fleet.warehouses)
        ]
        self.lab.apply(Resources(warehouses=tuple(warehouses)))
        for version, (moment, what, number) in enumerate(self._happenings(), 1):
            self.lab.run_until(moment / TICKS)
            if what == PUSH:
                self.world.push_image(_url(number), f"0.0.{version}")
                # Old tags would only make every look slower, as selectors read them all.
                self.world.delete_tag(_url(number), self._newest[number])
                self._newest[number] = f"0.0.{version}"
            else:
                self._refreshed[number] = True
                self.lab.refresh(f"{PROJECT}/{_name(number)}")
        self.lab.run_until(self.scenario.length_seconds)
        outcome = self._outcome()
        self.lab.close()
        return outcome

    def _happenings(self) -> Any:
        parts = []
        for name, made in self._pushes.items():
            hooks = timeline.hooks(self.scenario, name, made)
            for what, seen in ((PUSH, self._wanted[name]), (REFRESH, hooks)):
                parts.append(
                    sorted(zip(seen.time.tolist(), [what] * len(seen.time), seen.warehouse.tolist(), strict=True))
                )
        return heapq.merge(*parts)

    def _discover(self, subscription: ImageSubscription, context: Context) -> Any:
        number = int(subscription.repo_url.rpartition("/w")[2])
        begin = round(context.clock.monotonic() * TICKS)
        found = self.world.discover_images(subscription, context)
        context.clock.wait(self._lengths[number])
        self.looks[number].append((begin, round(context.clock.monotonic() * TICKS)))
        self._by_webhook[number] += self._refreshed[number]
        self._refreshed[number] = False
        return found

    def _outcome(self) -> Outcome:
        found, counts = {}, {}
        for name, fleet in self.scenario.fleets.items():
            wanted, first = self._wanted[name], timeline.offset(self.scenario, name)
            looked = np.full(len(wanted.time), NEVER, dtype=np.int64)
            ended = looked.copy()
            for number in range(first, first + fleet.warehouses):
                of = np.flatnonzero(wanted.warehouse == number)
                begin, end = np.array(self.looks[number], dtype=np.int64).T
                place = np.searchsorted(begin, wanted.time[of])
                hit = place < len(begin)
                looked[of[hit]], ended[of[hit]] = begin[place[hit]], end[place[hit]]
            found[name] = Found(
                warehouse=wanted.warehouse, push=wanted.push, pushed=wanted.time, looked=looked, found=ended
            )
            own = range(first, first + fleet.warehouses)
            hooks = sum(self._by_webhook[number] for number in own)
            counts[name] = Count(by_poll=sum(len(self.looks[number]) for number in own) - hooks, by_webhook=hooks)
        return Outcome(scenario=self.scenario, found=found, counts=counts)


def _name(number: int) -> str:
    return f"w{number}"


def _url(number: int) -> str:
    return f"{HOST}/w{number}"


def _warehouse(number: int, interval_seconds: float) -> Warehouse:
    subscription = ImageSubscription(repo_url=_url(number), discovery_limit=1)
    spec = WarehouseSpec(subscriptions=(subscription,), interval_seconds=interval_seconds)
    return Warehouse(namespace=PROJECT, name=_name(number), spec=spec)
