"""What a refresh has to wait for in a crowd: from the 200 to the start of its discovery, on the virtual clock.

All Warehouses poll through one engine with Kargo's four workers, every discovery takes the same time, and webhooks
for some of them arrive at random moments. The delay is told in discoveries: 1.0 is as long as one discovery takes.
What is waited for is the work queue's doing, so it differs between versions (`engine/warehouses.py`); the clock
stands still while the engine computes, so what the computing costs is not in it (`benchmarks/crowd.py` has that).
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import attrs

from kargo_lab.engine.clock import EPOCH, VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.store import Store
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.configuration import ProjectConfig, Secret
from kargo_lab.resources.loading import Resources, loads
from kargo_lab.resources.warehouse import ImageSubscription, Warehouse, WarehouseSpec
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.memory import World
from kargo_lab.wire import Answer, Delivery

WAREHOUSES, WEBHOOKS, WORKERS = 10_000, 200, 4
REQUESTS = 5  # of a warm pass over a repository of one image: discovery.md 3.10
DISCOVERY_SECONDS = 1.0
BUSY = 0.7  # share of the workers' time that polling takes in a fleet that they keep up with
OVERLOADED = 8.0
SETTLED = 2  # cycles of the fleet before webhooks come
_PAST_EVERY_INTERVAL = timedelta(days=365)
_RECEIVER = """
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: p}
stringData: {auth-header: s3cr3t}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: p, namespace: p}
spec: {webhookReceivers: [{name: r, harbor: {secretRef: {name: s}}}]}
"""


@attrs.frozen(kw_only=True)
class Delays:
    """Delays of all webhooks, in discoveries."""

    situation: str
    profile: str
    all: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """The delay that so many of the webhooks do not exceed."""
        ordered = sorted(self.all)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@attrs.define
class Crowd:
    """One lab full of Warehouses, each with a registry of its own, and webhooks for some of them."""

    lab: Lab
    world: World
    size: int
    delays: list[float] = attrs.field(factory=list)
    _answered: dict[str, datetime] = attrs.field(factory=dict)
    _pushes: int = 0

    def listen(self) -> Crowd:
        """Take the time of whatever discovery follows a webhook."""
        known = self.lab.warehouses.on_discovery

        def noted(key: str, cause: str) -> None:
            if cause and (answered := self._answered.pop(key, None)) is not None:
                self.delays.append((self.lab.clock.now() - answered).total_seconds() / DISCOVERY_SECONDS)
            known(key, cause)

        self.lab.warehouses.on_discovery = noted
        return self

    def push(self, number: int) -> Answer:
        """Something new in one repository, and Harbor's delivery about it."""
        self._pushes += 1
        url, tag = f"{registry(number)}/web", f"1.{self._pushes}.0"
        self.world.push_image(url, tag)
        route = self.lab.route(self.lab.objects.receiver_entries(self.lab.objects.configs[0])[0].path)
        assert not isinstance(route, Answer)  # noqa: S101 - the path is the receiver's own
        resource = {"tag": tag, "resource_url": f"{url}:{tag}"}
        body = json.dumps({"type": "PUSH_ARTIFACT", "event_data": {"resources": [resource]}}).encode()
        answer = self.lab.receive(route, Delivery(headers={"Authorization": "s3cr3t"}, body=body)).answer
        self._answered[f"p/w{number}"] = self.lab.clock.now()
        assert isinstance(answer, Answer)  # noqa: S101 - Harbor's receiver always answers
        return answer


def registry(number: int) -> str:
    """The registry of a Warehouse: each has its own, so that Kargo's limit of requests a second says nothing here."""
    return f"r{number}.example"


def crowd(
    profile: str, size: int, interval_seconds: float, *, seed: int, restarted: bool = False, spread: bool = False
) -> Crowd:
    """So many Warehouses. Where restarted, an earlier controller discovered them: all long ago, or spread evenly."""
    world = World(request_seconds=DISCOVERY_SECONDS / REQUESTS)
    for number in range(size):
        world.push_image(f"{registry(number)}/web", "1.0.0")
    store = Store(random=random.Random(seed))  # noqa: S311 - aliases, not secrets
    made = Crowd(lab=_lab(profile, world, store, EPOCH, seed), world=world, size=size)
    made.lab.apply(resources(size, interval_seconds))
    if restarted:
        made.lab.run_until(1.01 * size * DISCOVERY_SECONDS / (WORKERS - 1))
        now = EPOCH + _PAST_EVERY_INTERVAL
        if spread:
            let_be_due(store, size, lambda number: timedelta(seconds=int(interval_seconds * number / size)), now)
        made.lab = _lab(profile, world, store, now, seed)
        made.lab.apply(resources(size, interval_seconds))
    return made.listen()


def let_be_due(store: Store, size: int, ago: Callable[[int], timedelta], now: datetime) -> None:
    """Move the discoveries of the Warehouses so far into the past, as if nobody had looked since."""
    for number in range(size):
        key = f"p/w{number}"
        record = store.warehouse(key)
        assert record is not None  # noqa: S101 - the Warehouse was applied
        assert record.status.discovered is not None  # noqa: S101 - and discovered
        discovered = attrs.evolve(record.status.discovered, discovered_at=now - ago(number))
        store.put_status(key, attrs.evolve(record.status, discovered=discovered))


def _lab(profile: str, world: World, store: Store, start: datetime, seed: int) -> Lab:
    return Lab(
        profile=PROFILES[profile],
        clock=VirtualClock(start),
        store=store,
        sources=world.sources,
        ledger=Ledger(keep=1000),
        environment={},
        seed=seed,
    )


def resources(size: int, interval_seconds: float) -> Resources:
    """The Warehouses, and a receiver for Harbor's deliveries."""
    receiver = loads(_RECEIVER)
    secrets: tuple[Secret, ...] = tuple(receiver.secrets)
    configs: tuple[ProjectConfig, ...] = tuple(receiver.project_configs)
    fleet = (
        Warehouse(
            namespace="p",
            name=f"w{number}",
            spec=WarehouseSpec(
                subscriptions=(ImageSubscription(repo_url=f"{registry(number)}/web"),),
                interval_seconds=interval_seconds,
            ),
        )
        for number in range(size)
    )
    return Resources(warehouses=tuple(fleet), secrets=secrets, project_configs=configs)


def webhooks(given: Crowd, begin: float, end: float, *, count: int, seed: int) -> tuple[float, ...]:
    """The delays of so many webhooks at random moments of a span, all of them answered by discoveries."""
    dice = random.Random(seed)  # noqa: S311 - moments, not secrets
    targets = dice.sample(range(given.size), count)
    for moment, number in zip(sorted(dice.uniform(begin, end) for _ in targets), targets, strict=True):
        given.lab.run_until(moment)
        given.push(number)
    while len(given.delays) < count:
        given.lab.run_until(given.lab.clock.monotonic() + given.size * DISCOVERY_SECONDS / WORKERS)
    return tuple(given.delays)


def alone(profile: str, _size: int, count: int, seed: int) -> tuple[float, ...]:
    """As many Warehouses as webhooks and none that is due: what the engine itself takes."""
    given = crowd(profile, count, 1e9, seed=seed)
    given.lab.run_until(count * DISCOVERY_SECONDS)
    return webhooks(given, 2 * count, 4 * count, count=count, seed=seed)


def keeping_up(profile: str, size: int, count: int, seed: int) -> tuple[float, ...]:
    """The fleet's polls are spread out and take 70 % of the workers' time."""
    interval = size * DISCOVERY_SECONDS / WORKERS / BUSY
    given = crowd(profile, size, interval, seed=seed, restarted=True, spread=True)
    return webhooks(given, 0.0, interval, count=count, seed=seed)


def all_due(profile: str, size: int, count: int, seed: int) -> tuple[float, ...]:
    """The controller starts anew and finds every interval elapsed; webhooks come while it works through them."""
    given = crowd(profile, size, 86400.0, seed=seed, restarted=True)
    return webhooks(given, 0.0, 0.9 * size * DISCOVERY_SECONDS / WORKERS, count=count, seed=seed)


def overloaded(profile: str, size: int, count: int, seed: int) -> tuple[float, ...]:
    """Eight times as many polls are due as workers can do, since the start."""
    cycle = size * DISCOVERY_SECONDS / WORKERS
    given = crowd(profile, size, cycle / OVERLOADED, seed=seed)
    return webhooks(given, SETTLED * cycle, (SETTLED + 1) * cycle, count=count, seed=seed)


def overloaded_and_refreshed(profile: str, size: int, count: int, seed: int) -> tuple[float, ...]:
    """As `overloaded`, and every Warehouse was refreshed once since the start."""
    cycle = size * DISCOVERY_SECONDS / WORKERS
    given = crowd(profile, size, cycle / OVERLOADED, seed=seed)
    given.lab.run_until(cycle)
    given.lab.warehouses.refresh([f"p/w{number}" for number in range(size)], "once")
    return webhooks(given, (SETTLED + 1) * cycle, (SETTLED + 2) * cycle, count=count, seed=seed)


SITUATIONS: dict[str, Callable[[str, int, int, int], tuple[float, ...]]] = {
    "nothing else is due": alone,
    "polls take 70 % of the workers": keeping_up,
    "all are due at once, after a restart": all_due,
    "eight times too many polls": overloaded,
    "the same, all were refreshed once before": overloaded_and_refreshed,
}
COMPARED = ("v1.11", "latest", "recommended")


def measure(*, size: int = WAREHOUSES, count: int = WEBHOOKS, seed: int = 7) -> tuple[Delays, ...]:
    """Every situation under every profile whose queue is another."""
    return tuple(
        Delays(situation=situation, profile=profile, all=delays(profile, size, count, seed))
        for situation, delays in SITUATIONS.items()
        for profile in COMPARED
    )


def as_markdown(measured: Sequence[Delays]) -> str:
    """The table of docs/engine.md: median, 99th percentile and maximum."""
    by_place = {(each.situation, each.profile): each for each in measured}
    lines = [f"| | {' | '.join(COMPARED)} |", f"| --- |{' ---: |' * len(COMPARED)}"]
    for situation in dict.fromkeys(each.situation for each in measured):
        row = [by_place[situation, profile] for profile in COMPARED]
        cells = [f"{each.quantile(0.5):,.1f} / {each.quantile(0.99):,.1f} / {max(each.all):,.1f}" for each in row]
        lines.append(f"| {situation} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown(measure(size=int((sys.argv[1:] or [str(WAREHOUSES)])[0]))))
