"""The reference implementation assembled: store, controller, sources, and the way in for webhooks.

One object is one Kargo installation. It either runs by itself (`start`, `stop`: worker threads on the
wall clock) or is driven (`step`, `run_until`: everything that is due, on the clock that was given).
"""

from __future__ import annotations

import gc
import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Self

import attrs

from kargo_lab.engine import admission, intake
from kargo_lab.engine.clock import Clock, Shift, Stopwatch, VirtualClock, WallClock
from kargo_lab.engine.criteria import satisfied
from kargo_lab.engine.discovery import NETWORK, Discover, Discoverer
from kargo_lab.engine.intake import Outcome, Route
from kargo_lab.engine.objects import Objects
from kargo_lab.engine.pipeline import assembly
from kargo_lab.engine.pipeline.analysis import Check
from kargo_lab.engine.pipeline.steps import Run
from kargo_lab.engine.pipeline.values import StageStatus
from kargo_lab.engine.pipeline.verification import Health
from kargo_lab.engine.reconciliation import Conclusion
from kargo_lab.engine.status import Status
from kargo_lab.engine.store import DeliveryRecord, Store
from kargo_lab.engine.tracing import Tracer
from kargo_lab.engine.warehouses import Running, Warehouses
from kargo_lab.errors import LabError, ManifestError, StoreError, UsageError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.receivers import RECEIVERS, Receive
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.pipeline import Freight, Promotion
from kargo_lab.resources.warehouse import Warehouse
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import OperatorSettings, Shared
from kargo_lab.wire import Answer, Delivery, NoAnswer

log = logging.getLogger(__name__)
JOIN_SECONDS = 10.0
LARGE_FLEET = 1000  # Warehouses
MOST_LEFT_ALONE = 50  # of a fleet of thousands, a log wants a sample
IDLE_SECONDS = 3600.0  # the longest that a worker sleeps without looking


class Lab:
    """One installation: `apply` resources, then either `start` it or drive it by `step`.

    `sources` answers subscriptions by type; the default asks the network. `environment` is what git
    may see of the outside, PATH and proxies; the process' own unless given. `seed` makes aliases and jitter repeatable.
    `checks` measure verifications, `steps` come beside the lab's own promotion steps, `health` says how a Stage is.
    Without `promote` Stages are left alone: what their steps do to repositories is real.
    On a virtual clock up to `at_once` passes of one moment ask the network side by side; 1 keeps even their requests
    in one order.
    """

    def __init__(
        self,
        *,
        profile: Profile = LATEST,
        clock: Clock | None = None,
        store: Store | None = None,
        base_url: str = "http://127.0.0.1:8080",
        settings: OperatorSettings | None = None,
        sources: Mapping[str, Discover] = NETWORK,
        ledger: Ledger | None = None,
        environment: Mapping[str, str] | None = None,
        seed: int | None = None,
        receivers: Mapping[str, Receive] = RECEIVERS,
        checks: Mapping[str, Check] | None = None,
        steps: Mapping[str, Run] | None = None,
        health: Health | None = None,
        promote: bool = True,
        at_once: int = 1,
    ) -> None:
        self.profile, self.clock = profile, clock or WallClock()
        self._receivers, self._promote, self._at_once = receivers, promote, at_once
        self.store = store or Store(random=Random(seed))  # noqa: S311 - aliases, not secrets
        self.ledger = ledger if ledger is not None else Ledger()
        virtual = isinstance(self.clock, VirtualClock)
        self.shared = Shared(
            ledger=self.ledger,
            profile=profile,
            settings=settings,
            environment=os.environ if environment is None else environment,
            workers=1 if virtual else 8,
        )
        self.settings = self.shared.settings
        self.warehouses = Warehouses(
            store=self.store,
            discoverer=Discoverer(shared=self.shared, sources=sources, secrets=lambda: self.objects.secrets),
            clock=self.clock,
            criteria=lambda expression, found: satisfied(expression, found, profile=profile),
            random=Random(seed),  # noqa: S311 - jitter, not secrets
        )
        self.objects = Objects(store=self.store, warehouses=self.warehouses, profile=profile, base_url=base_url)
        self.trace, self._workshop = Tracer(self.clock.now), assembly.Workshop()
        self.pipeline = assembly.build(
            store=self.store,
            shared=self.shared,
            clock=self.clock,
            tracer=self.trace,
            random=Random(seed),  # noqa: S311 - names, not secrets
            secrets=lambda: self.objects.secrets,
            workshop=self._workshop,
            checks=checks,
            steps=steps,
            health=health,
        )
        self.warehouses.on_freight, self.warehouses.on_discovery = self._freight_created, self._discovery
        self.objects.made = lambda: tuple(self.pipeline.keeping.promotions.values())
        self.objects.wake_promotions = self.pipeline.wake_promotions
        self._receiving = threading.local()  # the correlation ID of the delivery that a thread is at
        self.objects.on_refresh = lambda keys: self.trace.expect(self._receiving.correlation, keys)
        self._uniqueness = itertools.count()
        self._threads: list[threading.Thread] = []
        self._stopping, self._shift = False, Shift(self.clock)
        # On a virtual clock: passes between their beginning and their end, by the moment of the end.
        self._open: list[tuple[float, int, str, Running | None]] = []
        self._opened = itertools.count()

    # Resources

    @property
    def base_url(self) -> str:
        """What receivers' URLs begin with."""
        return self.objects.base_url

    def apply(self, resources: Resources) -> None:
        """Take over resources as a whole; what is not in them is gone, but for Freight, which stays.

        ManifestError names each object that Kargo's admission refuses; then nothing was taken over.
        """
        with self.pipeline.changed:  # which locks what is stored
            refused = admission.misfits(
                resources,
                self.pipeline.keeping.freight,
                cache_by_tag_policy=self.settings.cache_by_tag_policy,
                profile=self.profile,
            )
        if refused:
            raise ManifestError(refused)
        self.objects.apply(resources)
        self.pipeline.apply(resources if self._promote else attrs.evolve(resources, stages=()))
        self._spare()

    def _spare(self) -> None:
        """Keep Python's collector away from a large fleet: it would stop everything, refreshes too, to look through it.

        At 10,000 Warehouses that took 0.3 s, now and then. `stop` gives them back.
        """
        if self._threads and len(self.warehouses.known) >= LARGE_FLEET:
            gc.freeze()

    def resync(self, *, base_url: str | None = None) -> None:
        """Let the controllers of ProjectConfigs and the ClusterConfig pass once: receivers' paths are built anew."""
        if base_url is not None:
            self.objects.set_base_url(base_url)
        self.objects.resync()

    # Webhooks

    def route(self, path: str) -> Route | Answer:
        """The receiver behind a decoded request path, or the answer where there is none."""
        return intake.route(path, self.objects, profile=self.profile, base_url=self.base_url)

    def deliver(self, route: Route, delivery: Delivery) -> Answer | NoAnswer:
        """Judge a delivery and answer it; what it refreshes is on disk when this returns."""
        return self.receive(route, delivery).answer

    def receive(self, route: Route, delivery: Delivery) -> Outcome:
        """As `deliver`, with the verdict, what was refreshed and what was left alone, and why."""
        began = self.clock.now()
        self._receiving.correlation = correlation = self.trace.begin()
        outcome = intake.deliver(
            route,
            delivery,
            self.objects,
            profile=self.profile,
            now=began,
            uniqueness=next(self._uniqueness),
            receivers=self._receivers,
        )
        if any(each.success for each in outcome.refreshed):
            names = intake.DELIVERY_ID_HEADERS.get(route.type, ())
            identity = next((text for text in map(delivery.header, names) if text), "")
            self.trace.received(correlation, began, receiver=route.receiver, delivery=identity)
            self.trace.answered(correlation)
        self._log(route, delivery, outcome, (self.clock.now() - began).total_seconds())
        return outcome

    def _discovery(self, key: str, cause: str) -> None:
        if cause:
            self.trace.discovering(key, cause)
        else:
            self.trace.discovered(key)

    def _freight_created(self, piece: Freight) -> None:
        self.trace.created(f"{piece.namespace}/{piece.origin.name}", piece.key)
        self.pipeline.freight_created(piece)

    def _log(self, route: Route, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
        declined = {each.key: str(reason.text) for each, reason in outcome.declined[:MOST_LEFT_ALONE]}
        record = DeliveryRecord(
            time=self.clock.now(),
            receiver=route.receiver,
            type=route.type,
            delivery_id=outcome.delivery_id,
            status=outcome.answer.status if isinstance(outcome.answer, Answer) else 0,
            seconds=seconds,
            bytes=len(delivery.body),
            refreshed=tuple(f"{each.namespace}/{each.name}" for each in outcome.refreshed if each.success),
            details={"verdict": type(outcome.verdict).__name__, "left alone": declined, "detail": outcome.detail},
        )
        try:
            self.store.record_delivery(record)
        except StoreError:
            # What was refreshed is on disk; a log that cannot be written does not turn that into a failure.
            log.exception("a delivery could not be logged")

    def refresh(self, key: str) -> str:
        """Ask one Warehouse to refresh, as `kargo refresh warehouse` does; the token that was set."""
        if self.store.warehouse(key) is None:
            raise UsageError(f"there is no Warehouse {key!r}")
        token = intake.token(self.clock.now(), self.profile, uniqueness=next(self._uniqueness))
        self.warehouses.refresh((key,), token)
        return token

    # Running by itself

    def start(self) -> Self:
        """Start as many workers as Kargo would reconcile Warehouses at once."""
        if self._threads:
            raise UsageError("the lab is running already")
        self._stopping, self._shift = False, Shift(self.clock)
        self._threads = [
            threading.Thread(target=self._work, args=(self._shift,), name=f"warehouses-{number}", daemon=True)
            for number in range(self.settings.concurrent_reconciles)
        ]
        self._threads += [
            threading.Thread(target=self._work_behind, name=f"stages-{number}", daemon=True)
            for number in range(self.settings.concurrent_reconciles)
        ]
        for thread in self._threads:
            thread.start()
        self._spare()
        return self

    def stop(self) -> None:
        """Let the workers end; what waits is broken off, as if the process had died. The store stays open."""
        self._stopping = True
        self._shift.end()
        for part in (self.warehouses, self.pipeline):
            with part.changed:
                part.changed.notify_all()
        until = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if self._threads:
            gc.unfreeze()
        self._threads = []

    def close(self) -> None:
        """Stop, and let go of the store and of connections that lean mode kept."""
        self.stop()
        if self.shared.connections is not None:
            self.shared.connections.close()
        self._workshop.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _work(self, shift: Shift) -> None:
        while not self._stopping:
            key = self.warehouses.take()
            if key is not None:
                self.warehouses.reconcile(key, shift)
                continue
            with self.warehouses.changed:
                moment = self.warehouses.next_moment()
                pause = IDLE_SECONDS if moment is None else moment - self.clock.monotonic()
                if not self._stopping and pause > 0:
                    self.warehouses.changed.wait(min(pause, IDLE_SECONDS))

    def _work_behind(self) -> None:
        part = self.pipeline
        while not self._stopping:
            item = part.take()
            if item is not None:
                part.reconcile(item)
                continue
            with part.changed:
                moment = part.next_moment()
                pause = IDLE_SECONDS if moment is None else moment - self.clock.monotonic()
                if not self._stopping and pause > 0:
                    part.changed.wait(min(pause, IDLE_SECONDS))

    # Being driven

    def step(self) -> int:
        """Run all that is due now; how many passes ended. Time moves only by what the clock's `wait` moves."""
        ended = self._step_warehouses()
        while behind := self.pipeline.step():
            ended += behind + self._step_warehouses()
        return ended

    def _step_warehouses(self) -> int:
        ended = 0
        while True:
            if self._open and self._open[0][0] <= self.clock.monotonic():
                _, _, opened, running = heapq.heappop(self._open)
                self._finish(opened, running)
                ended += 1
                continue
            key = self.warehouses.take()
            if key is None:
                return ended
            if isinstance(self.clock, VirtualClock):
                self._open_passes([key, *itertools.islice(iter(self.warehouses.take, None), self._at_once - 1)])
            else:
                self.warehouses.reconcile(key)
                ended += 1

    def _open_passes(self, keys: list[str]) -> None:
        if len(keys) == 1:
            self._keep_open(self._begun(keys[0]))
            return
        with ThreadPoolExecutor(max_workers=len(keys), thread_name_prefix="passes") as pool:
            for begun in pool.map(self._begun, keys):
                self._keep_open(begun)

    def _begun(self, key: str) -> tuple[float, str, Running | None] | None:
        """A pass until all its requests were answered: when it ends, and what it found; None if it failed."""
        stopwatch = Stopwatch(self.clock)
        try:
            running = self.warehouses.begin(key, stopwatch)
        except LabError:
            self.warehouses.fail(key)
            return None
        return stopwatch.monotonic(), key, running

    def _keep_open(self, begun: tuple[float, str, Running | None] | None) -> None:
        if begun is not None:
            moment, key, running = begun
            heapq.heappush(self._open, (moment, next(self._opened), key, running))

    def _finish(self, key: str, running: Running | None) -> Conclusion | None:
        try:
            return self.warehouses.finish(key, running)
        except LabError:
            return None  # the Warehouse is tried again, as after any error

    def next_moment(self) -> float | None:
        """When `step` has something to do next, as `clock.monotonic()` counts; None if never."""
        both = (self.warehouses.next_moment(), self.pipeline.next_moment())
        moments = [moment for moment in both if moment is not None]
        moments += [self._open[0][0]] if self._open else []
        return min(moments, default=None)

    def run_until(self, monotonic: float) -> int:
        """On a virtual clock, live until that moment; how many passes ended."""
        if not isinstance(self.clock, VirtualClock):
            raise UsageError("only a virtual clock can be run ahead")
        ended = self.step()
        while (moment := self.next_moment()) is not None and moment <= monotonic:
            self.clock.advance_to(moment)
            ended += self.step()
        self.clock.advance_to(monotonic)
        return ended + self.step()

    # Looking

    def freight(self, namespace: str | None = None, *, origin: str | None = None) -> tuple[Freight, ...]:
        """Freight in the order of its creation."""
        return self.store.freight(namespace, origin=origin)

    def stage_status(self, key: str) -> StageStatus:
        """The status of a Stage (`namespace/name`); an empty one before its first pass."""
        return self.pipeline.keeping.status(key)

    def promotions(self) -> tuple[Promotion, ...]:
        """The Promotions that were made here, in the order of their names."""
        return tuple(sorted(self.pipeline.keeping.promotions.values(), key=lambda each: each.key))

    def warehouse_status(self, key: str) -> Status | None:
        """The status of a Warehouse (`namespace/name`); None if there is no such Warehouse."""
        record = self.store.warehouse(key)
        return None if record is None else record.status

    def warehouse(self, key: str) -> Warehouse | None:
        """The Warehouse as applied, with its generation."""
        return next((each for each in self.objects.warehouses() if each.key == key), None)
