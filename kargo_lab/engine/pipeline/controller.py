"""The controller behind the Freight: what wakes Stages, Promotions and analyses, and what their passes do.

One queue holds all three. A pass over a Stage is pure and quick and runs under the lock; steps of Promotions
and measurements take their time outside of it. Source: discovery.md 8.4 to 8.10.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from random import Random

import attrs

from kargo_lab.engine import timers
from kargo_lab.engine.clock import TICK_SECONDS, Clock
from kargo_lab.engine.pipeline import execution, passes, promotions, soak
from kargo_lab.engine.pipeline.admission import Admission
from kargo_lab.engine.pipeline.availability import Moment, refusal
from kargo_lab.engine.pipeline.keeping import Keeping
from kargo_lab.engine.pipeline.passes import Pass, View
from kargo_lab.engine.pipeline.values import VerificationRecord, collection_json
from kargo_lab.engine.pipeline.verification import Verifier
from kargo_lab.engine.queue import WorkQueue
from kargo_lab.engine.status import timestamp
from kargo_lab.engine.store import EventRecord, Store
from kargo_lab.engine.tracing import PROMOTION_CREATED, PROMOTION_ENDED, PROMOTION_STARTED, VERIFIED, Tracer
from kargo_lab.errors import LabError, PipelineError
from kargo_lab.profiles import Profile
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.pipeline import Freight, Promotion, Stage

log = logging.getLogger(__name__)
STAGE, PROMOTION, ANALYSIS = "stage", "promotion", "analysis"


class PassError(LabError):
    """A pass over a Stage ended with an error; the text says which object is to blame."""


class Pipeline:
    """All Stages of one installation. Safe to use from any thread.

    `admission` makes Promotions, `verifier` measures, `executor` runs steps; the controller decides when.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        profile: Profile,
        executor: execution.Executor,
        verifier: Verifier,
        tracer: Tracer,
        random: Random,
        concurrency: int = 4,
    ) -> None:
        self._store, self._clock, self.profile = store, clock, profile
        self._executor, self._verifier, self._tracer = executor, verifier, tracer
        self._concurrency = concurrency
        self.keeping = Keeping(store)
        self.admission = Admission(
            keeping=self.keeping, profile=profile, clock=clock, random=random, steps=executor.steps
        )
        self._queue, self._failures = WorkQueue(), dict[str, int]()
        self._reverify, self._abort_verification = dict[str, str](), dict[str, str]()
        self._aborted: set[str] = set()
        self.changed = threading.Condition()  # also the lock of all above

    # Resources

    @property
    def stages(self) -> Mapping[str, Stage]:
        """The Stages, by key."""
        return self.admission.stages

    @property
    def problems(self) -> tuple[PipelineError, ...]:
        """What is wrong with the Stages and Promotions as they were applied."""
        return self.admission.problems

    def apply(self, resources: Resources) -> None:
        """Take over Stages, tasks, policies, templates, and Freight that somebody declared."""
        with self.changed:
            before = dict(self.stages)
            self.admission.apply(resources)
            self._verifier.apply(resources.analysis_templates)
            for key in self.keeping.stages.keys() - self.stages.keys():
                self._remove(key)
            for piece in resources.freight:
                self._declare(piece)
            for key, stage in self.stages.items():
                if before.get(key) != stage:
                    self._queue.add(f"{STAGE}:{key}")
            for key, promotion in self.keeping.promotions.items():
                if not promotions.is_finished(promotion):
                    self._queue.add(f"{PROMOTION}:{key}")
            for name, analysis in self.keeping.analyses.items():
                if not analysis.finished:
                    self._queue.add(f"{ANALYSIS}:{name}")
            for problem in self.problems:
                log.warning("%s", problem)
            self.changed.notify_all()

    def _remove(self, key: str) -> None:
        """A Stage that is gone takes its marks on Freight with it."""
        namespace, _, name = key.partition("/")
        freed = [
            attrs.evolve(piece, status=soak.forgotten(piece.status, name))
            for piece in self.keeping.freight(namespace).values()
        ]
        self.keeping.write(freight=freed, stages=[(key, None)])
        self._queue.forget(f"{STAGE}:{key}")

    def _declare(self, piece: Freight) -> None:
        """Freight out of a file: it is created once, and may be given another alias later."""
        declared = self.admission.declare(piece, self._store)
        if declared is not None and declared.name in self.keeping.freight(piece.namespace):
            self.keeping.write(freight=[declared])
        elif declared is not None:
            self.keeping.note(declared)
            self._wake_of(declared)

    # What wakes

    def freight_created(self, piece: Freight) -> None:
        """A Warehouse made a piece; the Stages that take it directly look at it."""
        with self.changed:
            self.keeping.note(piece)
            self._wake_of(piece)

    def _wake_of(self, piece: Freight) -> None:
        self._wake(
            stage.key
            for stage in self.stages.values()
            if stage.namespace == piece.namespace
            and any(request.direct and request.origin == piece.origin for request in stage.requested_freight)
        )

    def _wake(self, stages: Iterable[str]) -> None:
        with self.changed:
            for key in stages:
                if key in self.stages:
                    self._queue.add(f"{STAGE}:{key}")
            self.changed.notify_all()

    def refresh(self, stage: str) -> None:
        """Look at a Stage now."""
        self.admission.stage(stage)
        self._wake([stage])

    def wake_promotions(self, keys: Iterable[str]) -> None:
        """Ask these Promotions' waiting steps again now, as a refresh annotation does."""
        with self.changed:
            for key in keys:
                if key in self.keeping.promotions:
                    self._queue.add(f"{PROMOTION}:{key}")
            self.changed.notify_all()

    # Whose turn it is

    def take(self) -> str | None:
        """The next thing to look at; None if nothing is due or all workers are busy. `reconcile` has to follow."""
        with self.changed:
            if self._queue.active >= self._concurrency:
                return None
            return self._queue.take(self._clock.monotonic())

    def next_moment(self) -> float | None:
        """When something is due next, as `Clock.monotonic()` counts."""
        with self.changed:
            if self._queue.has_ready and self._queue.active < self._concurrency:
                return self._clock.monotonic()
            moment = self._queue.next_moment()
        return None if moment is None else moment + TICK_SECONDS

    def reconcile(self, item: str) -> None:
        """Look at what `take` gave."""
        kind, _, key = item.partition(":")
        seconds: float | None = None
        try:
            seconds = {STAGE: self._stage, PROMOTION: self._promotion, ANALYSIS: self._analysis}[kind](key)
            self._failures.pop(item, None)
        except LabError as error:
            log.warning("%s", error)
            seconds = self._back_off(item)
        except Exception:  # a pass that breaks must not take its worker along
            log.exception("%s: the pass broke", item)
            seconds = self._back_off(item)
        finally:
            with self.changed:
                self._queue.done(item)
                if seconds is not None:
                    self._queue.add_at(item, self._clock.monotonic() + seconds)
                self.changed.notify_all()

    def _back_off(self, item: str) -> float:
        self._failures[item] = failures = self._failures.get(item, 0) + 1
        return timers.back_off(failures) / timers.SECOND

    def step(self) -> int:
        """Run all that is due now; how many passes ended."""
        ended = 0
        while (item := self.take()) is not None:
            self.reconcile(item)
            ended += 1
        return ended

    # A Stage

    def _stage(self, key: str) -> float | None:
        with self.changed:
            stage = self.stages.get(key)
            if stage is None:
                return None
            view = self._view(stage)
            ended = passes.control_flow(view) if stage.control_flow else passes.regular(view)
            before = {piece.name: view.freight[piece.name] for piece in ended.freight}
            self.keeping.write(freight=ended.freight, stages=[(key, ended.status)])
            self._follow(stage, view, ended, before)
        if ended.error:
            raise PassError(ended.error)
        seconds = ended.requeue_seconds
        return None if seconds is None or seconds == float("inf") else seconds

    def _view(self, stage: Stage) -> View:
        status = self.keeping.status(stage.key)
        record = status.current.verification if status.current else None
        run = self._verifier.record(self.keeping.analyses.get(record.run)) if record is not None else None
        existing = self.keeping.analysis_of(stage, status.current) if stage.verification is not None else None
        return View(
            stage=stage,
            status=status,
            freight=self.keeping.freight(stage.namespace),
            promotions=self.keeping.of_stage(stage.namespace, stage.name),
            at=self._at(stage.namespace),
            policies=self.admission.policies(stage.namespace),
            warehouses=self.admission.warehouses(stage.namespace),
            health=self._verifier.health(stage),
            run=run,
            existing=self._verifier.record(existing),
            unique=self.admission.unique(),
            reverify=self._reverify.get(stage.key, ""),
            abort=self._abort_verification.get(stage.key, ""),
        )

    def _at(self, namespace: str) -> Moment:
        flow = frozenset(
            stage.name for stage in self.stages.values() if stage.namespace == namespace and stage.control_flow
        )
        return Moment(now=self._clock.now(), profile=self.profile, control_flow=flow)

    def _follow(self, stage: Stage, view: View, ended: Pass, before: Mapping[str, Freight]) -> None:
        """What a pass leads to: wake-ups, analyses, Promotions, events."""
        self._tell_verification(stage, view, ended)
        for piece in ended.freight:
            fresh = stage.name in piece.status.verified_in and (
                stage.name not in before[piece.name].status.verified_in
                or (
                    stage.name in piece.status.currently_in and stage.name not in before[piece.name].status.currently_in
                )
            )
            if fresh:
                self._wake(self._downstream(stage, piece))
            if piece.name in ended.verified:
                self._tracer.of_freight(piece.key, VERIFIED, f"Stage/{stage.name}")
        if ended.analysis is not None:
            analysis = self._verifier.begin(stage, ended.analysis, self._clock.now())
            self.keeping.write(analyses=[analysis])
            self._reverify.pop(stage.key, None)
            self._queue.add(f"{ANALYSIS}:{analysis.name}")
        if ended.stopped:
            self._abort_verification.pop(stage.key, None)
            stopped = self.keeping.analyses.get(ended.stopped)
            if stopped is not None:
                self.keeping.write(analyses=[attrs.evolve(stopped, progress={}, message="terminated")])
        current, earlier = ended.status.current_promotion, view.status.current_promotion
        if current is not None and (earlier is None or earlier.name != current.name):
            self._queue.add(f"{PROMOTION}:{stage.namespace}/{current.name}")
        for name in ended.create:
            self._create(self.admission.automatic(stage, self.keeping.freight(stage.namespace)[name]), "automatically")

    def _tell_verification(self, stage: Stage, view: View, ended: Pass) -> None:
        after, earlier = ended.status.current, view.status.current
        record = after.verification if after else None
        known = {each.id: each.phase for each in earlier.verifications} if earlier else {}
        if after is None or record is None or not record.finished or known.get(record.id) == record.phase:
            return
        word = {"Successful": "Succeeded", "Error": "Errored"}.get(record.phase, record.phase)
        for name in after.freight.values():
            text = record.message or f"verification in Stage {stage.name}: {record.phase}"
            self._event(stage.namespace, f"Freight/{name}", f"FreightVerification{word}", text)

    def _downstream(self, stage: Stage, piece: Freight) -> list[str]:
        return [
            other.key
            for other in self.stages.values()
            if other.namespace == stage.namespace
            and any(
                stage.name in request.stages and request.origin == piece.origin for request in other.requested_freight
            )
        ]

    def _event(self, namespace: str, subject: str, reason: str, message: str) -> None:
        self._store.record_event(
            EventRecord(time=self._clock.now(), namespace=namespace, object=subject, reason=reason, message=message)
        )

    # A Promotion

    def _create(self, promotion: Promotion, how: str) -> Promotion:
        self.keeping.write(promotions=[promotion])
        piece = self.keeping.freight(promotion.namespace)[promotion.freight]
        message = f"{how} promoted Freight {piece.alias or piece.name} to Stage {promotion.stage}"
        self._event(promotion.namespace, f"Promotion/{promotion.name}", "PromotionCreated", message)
        self._tracer.of_freight(piece.key, PROMOTION_CREATED, f"Promotion/{promotion.name}", promotion.stage)
        self._queue.add(f"{PROMOTION}:{promotion.key}")
        self.changed.notify_all()
        return promotion

    def _promotion(self, key: str) -> float | None:
        promotion = self.keeping.promotions.get(key)
        if promotion is None or promotions.is_finished(promotion):
            return None
        stage_key = f"{promotion.namespace}/{promotion.stage}"
        if promotion.status.phase in ("", "Pending"):
            started = self._begin(promotion, stage_key)
            if started is None:
                return None
            promotion = started
        stage, freight = self.stages.get(stage_key), self._inside(promotion)
        if stage is None:
            self._finish(promotions.finished(promotion, "Errored", self._now(), f"Stage {stage_key} is gone"))
            return None
        promotion, seconds = self._executor.advance(promotion, stage, freight, self._keep, lambda: key in self._aborted)
        if promotions.is_finished(promotion):
            self._finish(promotion)
            return None
        return seconds

    def _now(self) -> str:
        return timestamp(self._clock.now()) or ""

    def _keep(self, promotion: Promotion) -> None:
        with self.changed:
            self.keeping.write(promotions=[promotion])
            self.changed.notify_all()

    def _begin(self, promotion: Promotion, stage_key: str) -> Promotion | None:
        """The Promotion as running; None if it has to wait, or ended here."""
        with self.changed:
            stage, status = self.stages.get(stage_key), self.keeping.status(stage_key)
            if promotion.key in self._aborted:
                self._finish(promotions.finished(promotion, "Aborted", self._now(), "aborted before it ran"))
                return None
            if promotion.status.phase == "":
                self._keep(attrs.evolve(promotion, status=attrs.evolve(promotion.status, phase="Pending")))
                self._wake([stage_key])
                return None
            if stage is None or status.current_promotion is None or status.current_promotion.name != promotion.name:
                return None
            piece = self.keeping.freight(promotion.namespace).get(promotion.freight)
            refused = (
                "it does not exist any more" if piece is None else refusal(piece, stage, self._at(stage.namespace))
            )
            if piece is None or refused:
                text = f"Freight {promotion.freight} is not available to Stage {stage.name}: {refused}"
                self._finish(promotions.finished(promotion, "Errored", self._now(), text))
                return None
            target = promotions.target(stage, status, piece)
            running = attrs.evolve(
                promotion.status,
                phase="Running",
                started_at=self._now(),
                freight_collection=collection_json(target),
            )
            started = attrs.evolve(promotion, status=running)
            self._keep(started)
            self._tracer.of_freight(piece.key, PROMOTION_STARTED, f"Promotion/{promotion.name}", promotion.stage)
            return started

    def _inside(self, promotion: Promotion) -> tuple[Freight, ...]:
        """The Freight of the Promotion's collection."""
        held = (promotion.status.freight_collection or {}).get("items", {})
        known = self.keeping.freight(promotion.namespace)
        return tuple(known[item["name"]] for item in held.values() if item["name"] in known)

    def _finish(self, promotion: Promotion) -> None:
        with self.changed:
            freight = f"{promotion.namespace}/{promotion.freight}"
            self._tracer.of_freight(freight, PROMOTION_ENDED, f"Promotion/{promotion.name}", promotion.status.phase)
            self._keep(promotion)
            self._aborted.discard(promotion.key)
            self._executor.forget(promotion)
            phase, key = promotion.status.phase, f"{promotion.namespace}/{promotion.stage}"
            message = promotion.status.message or f"Promotion to Stage {promotion.stage}: {phase}"
            self._event(promotion.namespace, f"Promotion/{promotion.name}", f"Promotion{phase}", message)
            current = self.keeping.status(key).current
            again = current is not None and promotion.freight in current.freight.values()
            if phase == "Succeeded" and again and current is not None and current.verification is not None:
                # Promoting what is there already asks for its verification anew (PR:640-663).
                self._reverify[key] = current.verification.id
            self._wake([key])

    # An analysis

    def _analysis(self, name: str) -> float | None:
        analysis = self.keeping.analyses.get(name)
        if analysis is None or analysis.finished:
            if analysis is not None:
                self._wake([analysis.stage])
            return None
        measured = self._verifier.measure(analysis, self._clock)
        with self.changed:
            if self.keeping.analyses.get(name) != analysis:
                return None  # it was terminated meanwhile
            self.keeping.write(analyses=[measured])
            self._wake([measured.stage])
        due = measured.next_due()
        if measured.finished or due is None:
            return None
        return max(0.0, (due - self._clock.now()).total_seconds())

    # What people ask for

    def promote(self, stage: str, freight: str, *, actor: str = "") -> Promotion:
        """Promote Freight (name, alias, or an origin as `Warehouse/name`) into a Stage (`namespace/name`).

        Raises PipelineError where it may not be.
        """
        with self.changed:
            found = self.admission.stage(stage)
            view = self._view(found)
            return self._create(self.admission.by_user(found, freight, view, actor), "a user")

    def approve(self, stage: str, freight: str, *, actor: str = "") -> Freight:
        """Approve Freight for a Stage, whatever it was verified in."""
        with self.changed:
            found = self.admission.stage(stage)
            piece = self.admission.approved(found, freight, self._clock.now())
            self.keeping.write(freight=[piece])
            text = f"approved for Stage {found.name}" + (f" by {actor}" if actor else "")
            self._event(piece.namespace, f"Freight/{piece.name}", "FreightApproved", text)
            self._wake([stage])
            return piece

    def delete_freight(self, namespace: str, freight: str) -> None:
        """Delete Freight (name or alias); what a Stage has is kept (7.6)."""
        with self.changed:
            piece = self.admission.freight(namespace, freight)
            if piece.status.currently_in:
                raise PipelineError(f"Freight {piece.key}", f"is in use by Stage {min(piece.status.currently_in)}")
            self._store.delete_freight(namespace, piece.name)
            self.keeping.forget(namespace, piece.name)

    def rename_freight(self, namespace: str, freight: str, alias: str) -> Freight:
        """Give Freight another alias; one that is taken is refused."""
        with self.changed:
            piece = self.admission.renamed(namespace, freight, alias)
            self.keeping.write(freight=[piece])
            return piece

    def abort(self, promotion: str) -> None:
        """Abort a Promotion (`namespace/name`): at once if it waits, else before its next step."""
        with self.changed:
            found = self.keeping.promotions.get(promotion)
            if found is None:
                raise PipelineError(f"Promotion {promotion}", "there is no such Promotion")
            if promotions.is_finished(found):
                raise PipelineError(f"Promotion {promotion}", f"has ended already: {found.status.phase}")
            self._aborted.add(promotion)
        self.wake_promotions([promotion])

    def reverify(self, stage: str) -> None:
        """Verify what is in the Stage once more."""
        self._reverify[stage] = self._current_verification(stage).id
        self._wake([stage])

    def abort_verification(self, stage: str) -> None:
        """End the verification that runs in a Stage; it counts as failed."""
        self._abort_verification[stage] = self._current_verification(stage).id
        self._wake([stage])

    def _current_verification(self, stage: str) -> VerificationRecord:
        self.admission.stage(stage)
        current = self.keeping.status(stage).current
        if current is None or current.verification is None:
            raise PipelineError(f"Stage {stage}", "has no verification")
        return current.verification
