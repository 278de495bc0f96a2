"""The controller of Warehouses: what wakes one, the pass over it, and what follows from how the pass ended.

A pass has a beginning (decide, discover) and an end (Freight, conditions, timer). On the wall clock a
worker thread does both; on a virtual clock the beginning happens at once and the end when discovery
would have been through, so that passes overlap and the limit of concurrent ones means something.
Source: discovery.md 2.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from random import Random
from types import MappingProxyType

import attrs

from kargo_lab.engine import reconciliation, timers
from kargo_lab.engine.clock import TICK_SECONDS, Clock, Interrupted
from kargo_lab.engine.discovery import Discoverer, Found
from kargo_lab.engine.queue import WorkQueue
from kargo_lab.engine.reconciliation import Conclusion, Criteria
from kargo_lab.engine.status import Status
from kargo_lab.engine.store import EventRecord, Store, WarehouseRecord
from kargo_lab.errors import LabError
from kargo_lab.resources.pipeline import Freight
from kargo_lab.resources.warehouse import Warehouse

log = logging.getLogger(__name__)
SHARD_LABEL = "kargo.akuity.io/shard"


@attrs.frozen
class Ranks:
    """Under which rank a Warehouse is queued, by what wakes it. A timer's rank is 0 or that of the pass that set it."""

    listed: int = 0  # it was there when the controller started
    refreshed: int = 0
    timer_inherits: bool = False
    retry_inherits: bool = False  # an attempt after an error


# controller-runtime v0.24 made its priority queue the default (pkg/controller/controller.go:253-262), and Kargo
# leaves it at that. Events rank 0, those of the initial listing -100 (pkg/handler/enqueue.go), and what a pass sets
# keeps the pass' rank (pkg/internal/controller/controller.go:479-506). So a refresh overtakes the fleet that was
# there at the start, until each of that fleet was refreshed once: then their timers rank as high.
RANKS: Mapping[str, Ranks | None] = MappingProxyType(
    {
        "in-order": None,
        "listed-last": Ranks(listed=-100, timer_inherits=True, retry_inherits=True),
        "refreshes-first": Ranks(refreshed=1, retry_inherits=True),
    }
)


@attrs.frozen(kw_only=True)
class Running:
    """A pass between its beginning and its end. `cause` is why it discovers, empty if it does not."""

    warehouse: Warehouse
    record: WarehouseRecord
    cause: str
    found: Found | None = None


class Warehouses:
    """All Warehouses of one controller. Safe to use from any thread."""

    def __init__(
        self,
        *,
        store: Store,
        discoverer: Discoverer,
        clock: Clock,
        criteria: Criteria,
        random: Random | None = None,
    ) -> None:
        self._store, self._discoverer, self._clock, self._criteria = store, discoverer, clock, criteria
        self.profile, self.settings = discoverer.shared.profile, discoverer.shared.settings
        self._random = random or Random()  # noqa: S311 - jitter, not secrets
        self._known: dict[str, Warehouse] = {}
        self._failures: dict[str, int] = {}
        self._bucket = timers.Bucket()
        ranks = RANKS[self.profile.work_queue]
        self._ranks, self._queue = ranks or Ranks(), WorkQueue(ranked=ranks is not None)
        self._started = False
        # Whoever wants to know: of a discovery (Warehouse, cause; the cause is empty at its end), and of new Freight.
        self.on_discovery: Callable[[str, str], None] = lambda _key, _cause: None
        self.on_freight: Callable[[Freight], None] = lambda _piece: None
        self.changed = threading.Condition()  # also the lock of all above

    # What wakes a Warehouse (2.1)

    def apply(self, warehouses: Iterable[Warehouse]) -> tuple[Warehouse, ...]:
        """Take over what is given: new ones and those whose spec changed are looked at, others are left alone."""
        applied = self._store.apply(warehouses)
        with self.changed:
            ours = {each.key: each for each in applied if self._is_ours(each)}
            for key in self._known.keys() - ours.keys():
                self._queue.forget(key)
                self._failures.pop(key, None)
            rank = 0 if self._started else self._ranks.listed
            for key, warehouse in ours.items():
                before = self._known.get(key)
                if before is None or before.generation != warehouse.generation:
                    self._queue.add(key, rank)
            if not self._started and self._ranks.refreshed:
                for key in self._store.unhandled():  # of whom the last controller knew
                    if key in ours:
                        self._queue.add(key, self._ranks.refreshed)
            self._known, self._started = ours, True
            self.changed.notify_all()
        return applied

    def _is_ours(self, warehouse: Warehouse) -> bool:
        """The shard rule; the admission webhook copies `spec.shard` into the label (2.1 rule 7)."""
        shard = warehouse.spec.shard or warehouse.labels.get(SHARD_LABEL, "")
        if shard:
            return shard == self.settings.shard
        # Up to v1.6 a controller with a shard is never the default one.
        default = self.settings.default_controller
        return default if self.profile.sharded_default_controller else not self.settings.shard

    def refresh(self, keys: Iterable[str], token: str) -> tuple[str, ...]:
        """Set the refresh token, durably, and look at those where it changed."""
        keys = tuple(keys)
        if (lean := self._discoverer.shared.lean) is not None:
            lean.refreshed(keys)  # before the token is there: a pass that sees it must not use what is older
        changed = self._store.refresh(keys, token)
        self.wake(changed)
        return changed

    def wake(self, keys: Iterable[str]) -> None:
        """Look at these as soon as a worker is free."""
        with self.changed:
            for key in keys:
                if key in self._known:
                    self._queue.add(key, self._ranks.refreshed)
            self.changed.notify_all()

    @property
    def known(self) -> Mapping[str, Warehouse]:
        """The Warehouses of this controller, by key."""
        return self._known

    # Whose turn it is

    def take(self) -> str | None:
        """The next Warehouse to look at; None if none is due or all workers are busy. `finish` has to follow."""
        with self.changed:
            free = self.settings.concurrent_reconciles - self._queue.active
            return self._queue.take(self._clock.monotonic(), self._at_least(free)) if free > 0 else None

    def _at_least(self, free: int) -> int | None:
        """The lowest rank that gets one of so many free workers: the last ones may be kept for refreshes."""
        spare = self.profile.spare_workers
        return self._ranks.refreshed if free <= spare < self.settings.concurrent_reconciles else None

    def next_moment(self) -> float | None:
        """When the next timer lies just behind, as `Clock.monotonic()` counts; None without timers or workers."""
        with self.changed:
            free = self.settings.concurrent_reconciles - self._queue.active
            if free <= 0:
                return None  # whatever is due waits for a worker, and no moment brings one
            if self._queue.ready(self._at_least(free)):
                return self._clock.monotonic()
            moment = self._queue.next_moment()
        return None if moment is None else moment + TICK_SECONDS

    # The pass (2.3)

    def begin(self, key: str, clock: Clock) -> Running | None:
        """Decide, and discover if it is due; None if the Warehouse is gone."""
        warehouse, record = self._known.get(key), self._store.warehouse(key)
        if warehouse is None or record is None:
            return None
        schedule = reconciliation.schedule(
            warehouse,
            record.status,
            refresh=record.refresh,
            now=clock.now(),
            operator_minimum_seconds=self.settings.minimum_interval_seconds,
        )
        if not (cause := timers.cause(schedule)):
            return Running(warehouse=warehouse, record=record, cause="")
        self._store.put_status(key, reconciliation.begin(warehouse, record.status, clock.now()))
        # What the patch answers counts from here on: spec and token as they are now, not when the pass began.
        warehouse, record = self._known.get(key, warehouse), self._store.warehouse(key) or record
        self.on_discovery(key, cause)
        same_spec = record.status.observed_generation == warehouse.generation
        found = self._discoverer.discover(warehouse, clock, previous=record.status.discovered if same_spec else None)
        return Running(warehouse=warehouse, record=record, cause=cause, found=found)

    def finish(self, key: str, running: Running | None) -> Conclusion | None:
        """End the pass: status, Freight, the next timer."""
        conclusion = None
        try:
            if running is not None and key in self._known:
                if running.found is not None:
                    self.on_discovery(key, "")
                conclusion = self._conclude(running)
                self._store.put_status(key, conclusion.status)
        finally:
            self._requeue(key, conclusion, failed=running is not None and conclusion is None)
        return conclusion

    def fail(self, key: str) -> None:
        """End a pass that broke; it is tried again as after any error."""
        self._requeue(key, None, failed=True)

    def _conclude(self, running: Running) -> Conclusion:
        warehouse, record, found, now = running.warehouse, running.record, running.found, self._clock.now()
        if found is None:
            return self._ending(running, record.status)
        if not found.failures:
            found_now = reconciliation.discovered(record.status, found.artifacts, refresh=record.refresh, now=now)
            return self._ending(running, found_now)
        status, created = record.status, None
        if found.artifacts.count:
            # What the others gave is kept, but neither the time nor the generation of a whole discovery:
            # the retry has to find the same reason to discover.
            before = status.discovered.discovered_at if status.discovered else None
            status = attrs.evolve(status, discovered=attrs.evolve(found.artifacts, discovered_at=before))
            if found.artifacts.count == len(warehouse.spec.subscriptions):
                ended = self._ending(running, status)
                created = ended.created
                status = attrs.evolve(ended.status, observed_generation=record.status.observed_generation)
        failed = reconciliation.fail(
            warehouse, status, found.error, refresh=record.refresh, now=now, profile=self.profile
        )
        return attrs.evolve(failed, created=created)

    def _ending(self, running: Running, status: Status) -> Conclusion:
        return reconciliation.conclude(
            running.warehouse,
            status,
            refresh=running.record.refresh,
            now=self._clock.now(),
            create=self._create,
            criteria=self._criteria,
            operator_minimum_seconds=self.settings.minimum_interval_seconds,
            profile=self.profile,
        )

    def _create(self, piece: Freight) -> Freight | None:
        now = self._clock.now()
        created = self._store.create_freight(piece, now=now, profile=self.profile)
        if created is not None and self.profile.freight_created_event:
            self._store.record_event(
                EventRecord(
                    time=now,
                    namespace=created.namespace,
                    object=f"Freight/{created.name}",
                    reason="FreightCreated",
                    message=f"Freight {created.alias} created by Warehouse {created.origin.name}",
                )
            )
        if created is not None:
            self.on_freight(created)
        return created

    # What follows (2.4, 2.7)

    def _requeue(self, key: str, conclusion: Conclusion | None, *, failed: bool) -> None:
        with self.changed:
            now = self._clock.monotonic()
            rank = self._queue.done(key)
            if failed or (conclusion is not None and conclusion.error):
                self._queue.add_at(key, now + self._back_off(key), rank if self._ranks.retry_inherits else 0)
            elif conclusion is not None:
                self._failures.pop(key, None)
                jitter = 1 + self.profile.interval_jitter * self._random.random()
                wait = conclusion.wait_seconds * jitter
                self._queue.add_at(key, now + wait, rank if self._ranks.timer_inherits else 0)
            self.changed.notify_all()

    def _back_off(self, key: str) -> float:
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        delay = timers.back_off(failures)
        if self.profile.error_back_off == "exponential-or-bucket":
            self._bucket, shared = self._bucket.take(timers.nanoseconds(self._clock.monotonic()))
            delay = max(delay, shared)
        return delay / timers.SECOND

    def abandon(self, key: str) -> None:
        """A pass that was broken off: as if the controller had died, whoever goes on has to do it anew."""
        with self.changed:
            self._queue.add(key, self._queue.done(key))

    def reconcile(self, key: str, clock: Clock | None = None) -> Conclusion | None:
        """A whole pass on the clock as it is: what a worker thread does with a key that it took."""
        try:
            running = self.begin(key, clock or self._clock)
        except Interrupted:
            self.abandon(key)
            return None
        except LabError as error:
            log.error("%s: %s", key, error)  # noqa: TRY400 - an expected error; its text says all
            self.fail(key)
            return None
        except Exception:
            log.exception("%s: the pass broke", key)
            self.fail(key)
            return None
        try:
            return self.finish(key, running)
        except LabError as error:
            log.error("%s: %s", key, error)  # noqa: TRY400 - as above
        except Exception:  # controller-runtime recovers panics and treats them as errors
            log.exception("%s: the pass broke", key)
        return None
