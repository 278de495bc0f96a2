"""One pass over a Stage: what was known goes in, what is to be written and done comes out.

The steps are Kargo's, in its order; an error stops the pass, and what was found until then is kept.
Source: discovery.md 8.5, 8.6, 8.7, 8.10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from kargo_lab.engine import timers
from kargo_lab.engine.pipeline import availability, candidates, policies, promotions, soak
from kargo_lab.engine.pipeline import values as stage_values
from kargo_lab.engine.pipeline.availability import Moment
from kargo_lab.engine.pipeline.values import HEALTHY, SUCCESSFUL, UNKNOWN, StageStatus, VerificationRecord
from kargo_lab.engine.status import timestamp
from kargo_lab.errors import PipelineError
from kargo_lab.resources.configuration import PromotionPolicy
from kargo_lab.resources.pipeline import Freight, FreightStatus, Promotion, Stage

REQUEUE_SECONDS = 300.0
SOON_SECONDS = 0.1


@attrs.frozen(kw_only=True)
class View:
    """All that a pass looks at. `freight` is that of the namespace, by name; `promotions` are the Stage's.

    `health` is what the checks of the last Promotion say now. `run` is the analysis of the current
    verification as it is now, None if it has not told anything; `existing` is an analysis that was made of
    this very collection in this Stage before, which is adopted unless `reverify` asks for a new one. `unique`
    makes IDs; the caller never repeats it. `policy` overrides the policies. `forbidden`: the API refuses to
    create Promotions.
    """

    stage: Stage
    status: StageStatus
    freight: Mapping[str, Freight]
    promotions: Sequence[Promotion]
    at: Moment
    policies: Sequence[PromotionPolicy] = ()
    policy: bool | None = None
    warehouses: frozenset[str] | None = None
    health: str = HEALTHY
    run: VerificationRecord | None = None
    existing: VerificationRecord | None = None
    unique: str = "id"
    forbidden: bool = False
    reverify: str = ""
    abort: str = ""


@attrs.frozen(kw_only=True)
class Pass:
    """What a pass leads to. `freight` are the pieces that changed; `create` are the names of those to promote.

    `analysis` is the record of a verification that has to be started; `stopped` the run of one to end.
    `requeue_seconds` says when to look again at the latest; None after an error, which backs off.
    """

    status: StageStatus
    freight: tuple[Freight, ...] = ()
    create: tuple[str, ...] = ()
    analysis: VerificationRecord | None = None
    stopped: str = ""
    requeue_seconds: float | None = REQUEUE_SECONDS
    error: str = ""
    verified: tuple[str, ...] = ()
    left_alone: Mapping[str, str] = attrs.field(factory=dict)


def regular(view: View) -> Pass:
    """One pass over a Stage that promotes."""
    return _Running(view).run()


class _Running:
    """A pass at work."""

    def __init__(self, view: View) -> None:
        self.view, self.stage, self.at = view, view.stage, view.at
        self.status = attrs.evolve(view.status, observed_generation=view.stage.generation, message="")
        self.freight = dict(view.freight)
        self.changed: dict[str, Freight] = {}
        self.soon = False
        self.create: list[str] = []
        self.verified: list[str] = []
        self.analysis: VerificationRecord | None = None
        self.stopped = ""
        self.left_alone: dict[str, str] = {}

    def run(self) -> Pass:
        try:
            enabled = self._enabled()
            self._promotions()
            self._membership()
            self._health()
            self._verification()
            self._mark()
            self._promote(enabled)
        except PipelineError as error:
            self.status = attrs.evolve(self.status, message=str(error))
            return self._result(None, str(error))
        seconds = SOON_SECONDS if self.soon else REQUEUE_SECONDS
        return self._result(_until_soaked(self.view, seconds), "")

    def _result(self, requeue: float | None, error: str) -> Pass:
        return Pass(
            status=self.status,
            freight=tuple(self.changed.values()),
            create=tuple(self.create),
            analysis=self.analysis,
            stopped=self.stopped,
            requeue_seconds=requeue,
            error=error,
            verified=tuple(self.verified),
            left_alone=self.left_alone,
        )

    def _enabled(self) -> bool:
        return is_enabled(self.view)

    # Promotions, 8.7.

    def _promotions(self) -> None:
        requested = frozenset(request.origin.key for request in self.stage.requested_freight)
        self._set(holds={key: hold for key, hold in self.status.holds.items() if key in requested})
        ordered = promotions.in_order(self.view.promotions)
        if not ordered:
            self._set(current_promotion=None)
            return
        first, current = ordered[0], self.status.current_promotion
        waiting = not promotions.is_finished(first)
        if current is not None and (current.name != first.name or not waiting):
            self._record(ordered, requested)
            self.soon = waiting
        elif self._next_must_wait():
            self.soon = waiting and self.status.current_promotion is None
        elif waiting:
            self._set(current_promotion=promotions.reference(first, self._origin(first)))

    def _next_must_wait(self) -> bool:
        """Only a Stage whose Freight has been judged goes on; an unhealthy one may be mended by the next."""
        current = self.status.current
        if current is None:
            return False
        if current.verifying:
            return True
        judged = current.verification is not None and current.verification.finished
        return self.status.health in ("", HEALTHY) and not judged

    def _record(self, ordered: Sequence[Promotion], requested: frozenset[str]) -> None:
        """Replay what finished since, oldest first."""
        last = self.status.last_promotion.name if self.status.last_promotion else ""
        self._set(current_promotion=None)
        for promotion in sorted((each for each in ordered if each.name > last), key=lambda each: each.name):
            if not promotions.is_finished(promotion):
                continue
            self._set(
                holds=candidates.after(self.status.holds, promotion, requested, profile=self.at.profile),
                last_promotion=promotions.reference(promotion, self._origin(promotion)),
            )
            if promotion.status.phase == "Succeeded" and promotion.status.freight_collection:
                self.status = self.status.recorded(stage_values.collection(promotion.status.freight_collection))
                self._set(health="")

    def _origin(self, promotion: Promotion) -> str:
        piece = self.freight.get(promotion.freight)
        return piece.origin.key if piece is not None else ""

    def _set(self, **members: object) -> None:
        self.status = attrs.evolve(self.status, **members)  # type: ignore[arg-type] # names are checked by attrs

    # Membership (RS:999-1069)

    def _membership(self) -> None:
        current = self.status.current
        inside = set(current.freight.values()) if current else set()
        for piece in list(self.freight.values()):
            if self.stage.name in piece.status.currently_in and piece.name not in inside:
                self._change(piece, soak.left(piece.status, self.stage.name, self.at.now, profile=self.at.profile))
        for name in sorted(inside):
            piece = self._known(name)
            self._change(piece, soak.entered(piece.status, self.stage.name, self.at.now))

    def _known(self, name: str) -> Freight:
        piece = self.freight.get(name)
        if piece is None:
            raise PipelineError(f"Stage {self.stage.key}", f"its Freight {name!r} does not exist any more")
        return piece

    def _change(self, piece: Freight, status: FreightStatus) -> None:
        if status != piece.status:
            changed = attrs.evolve(piece, status=status)
            self.freight[piece.name] = self.changed[piece.name] = changed

    # Health (RS:892-997) and verification (8.6)

    def _health(self) -> None:
        last = self.status.last_promotion
        if self.status.current_promotion is not None:
            health = UNKNOWN
        elif last is None:
            health = ""
        else:
            health = self.view.health if last.phase == "Succeeded" else UNKNOWN
        self._set(health=health)

    def _verification(self) -> None:
        current = self.status.current
        if current is None or self.status.current_promotion is not None:
            return
        record = current.verification
        if record is not None and not record.finished:
            self._follow(record)
        elif (record is None or record.id == self.view.reverify) and self.status.health == HEALTHY:
            self._start()
        if self.status.current is not None and self.status.current.verifying:
            self.soon = False  # the end of the verification wakes the Stage

    def _follow(self, record: VerificationRecord) -> None:
        """Take over what a verification has come to; this does not depend on health."""
        current = self.status.current
        assert current is not None  # noqa: S101 - the record is in it
        if self.view.abort == record.id:
            self.stopped = record.run
            ended = attrs.evolve(
                record, phase="Failed", message="Verification aborted by user", finished_at=self._now()
            )
            self.status = self.status.with_current(current.verified_by(ended))
        elif self.view.run is not None:
            told = attrs.evolve(
                record, phase=self.view.run.phase, message=self.view.run.message, finished_at=self.view.run.finished_at
            )
            self.status = self.status.with_current(current.verified_by(told))

    def _start(self) -> None:
        current = self.status.current
        assert current is not None  # noqa: S101 - asked for by the caller
        record = VerificationRecord(
            id=self.view.unique, phase=SUCCESSFUL, started_at=self._now(), finished_at=self._now()
        )
        if self.stage.verification is not None and self.view.existing is not None and not self.view.reverify:
            adopted = self.view.existing
            record = attrs.evolve(record, phase=adopted.phase, message=adopted.message, run=adopted.run)
        elif self.stage.verification is not None:
            run = f"{self.stage.name}.{self.view.unique}.{current.id[:7]}".lower()
            record = attrs.evolve(record, phase=stage_values.PENDING, finished_at="", run=run)
            self.analysis = record
        self.status = self.status.with_current(current.verified_by(record))

    def _now(self) -> str:
        return timestamp(self.at.now) or ""

    def _mark(self) -> None:
        """Freight is verified once, and for good (RS:1291-1350)."""
        current = self.status.current
        if self.status.health != HEALTHY or current is None or current.verifying:
            return
        record = current.verification
        if record is None or record.phase != SUCCESSFUL:
            return
        for name in current.freight.values():
            piece = self._known(name)
            if self.stage.name not in piece.status.verified_in:
                self._change(piece, soak.verified(piece.status, self.stage.name, record.finished_at or self._now()))
                self.verified.append(name)

    # Auto-promotion, 8.8.

    def _promote(self, enabled: bool) -> None:
        self._set(auto_promotion_enabled=enabled, **({} if enabled else {"holds": {}}))
        if not enabled:
            return
        profile = self.at.profile
        listed = availability.listed(self.stage, tuple(self.freight.values()), self.at, warehouses=self.view.warehouses)
        chosen = candidates.candidates(self.stage, listed, profile=profile)
        held = candidates.effective_holds(self.stage, self.status, self.view.promotions, profile=profile)
        for request in self.stage.requested_freight:
            origin = request.origin.key
            if origin in held:
                self.left_alone[origin] = f"held by Promotion {held[origin].promotion}"
                continue
            if origin not in chosen:
                self.left_alone[origin] = "no candidate"
                continue
            inside = self.status.current.freight.get(origin, "") if self.status.current else ""
            objection = candidates.objection(
                request, chosen[origin], self.status, self.view.promotions, self.freight.get(inside), profile=profile
            )
            if objection:
                self.left_alone[origin] = objection
            else:
                self._create(chosen[origin])

    def _create(self, piece: Freight) -> None:
        if refused := availability.refusal(piece, self.stage, self.at):
            # Listed and yet not available: the list counts soak in Stages that nobody asked for.
            raise PipelineError(f"Freight {piece.key}", f"is not available to Stage {self.stage.name}: {refused}")
        if self.view.forbidden:
            if self.at.profile.forbidden_auto_promotion == "error":
                raise PipelineError(f"Stage {self.stage.key}", "creating a Promotion is forbidden")
            self.left_alone[piece.origin.key] = "creating a Promotion is forbidden"
            return
        self.create.append(piece.name)


def is_enabled(view: View) -> bool:
    """Whether the Stage is promoted automatically."""
    if view.policy is not None:
        return view.policy
    return policies.auto_promotion(view.policies, view.stage.name, view.stage.labels)


def _until_soaked(view: View, seconds: float) -> float:
    """The requeue delay, shorter where the profile wakes a Stage at the end of a soak."""
    if not view.at.profile.soak_wakes:
        return seconds
    change = availability.next_change(view.stage, view.freight.values(), view.at)
    return seconds if change is None else min(seconds, change / timers.SECOND)


def control_flow(view: View) -> Pass:
    """One pass over a control flow Stage: all that is available is verified at once (8.10).

    Such a Stage has no timer; only `recommended` looks again when a soak ends.
    """
    status = StageStatus(
        observed_generation=view.stage.generation, last_handled_refresh=view.status.last_handled_refresh
    )
    try:
        found = availability.listed(view.stage, tuple(view.freight.values()), view.at, warehouses=view.warehouses)
    except PipelineError as error:
        return Pass(status=attrs.evolve(status, message=str(error)), requeue_seconds=None, error=str(error))
    now = timestamp(view.at.now) or ""
    changed = tuple(
        attrs.evolve(piece, status=soak.verified(piece.status, view.stage.name, now))
        for piece in found
        if view.stage.name not in piece.status.verified_in
    )
    never = float("inf")
    return Pass(
        status=status,
        freight=changed,
        verified=tuple(piece.name for piece in changed),
        requeue_seconds=_until_soaked(view, never),
    )
