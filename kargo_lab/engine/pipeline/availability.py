"""Which Freight a Stage may be given: the answer for one piece, and the list for a Stage.

Kargo has two answers that do not agree, and both are here: `available` is asked when a Promotion is
made and run, `listed` when auto-promotion looks for something to promote. What differs is the soak in
`listed` (public issue 4586): it counts in Stages that nobody named. `recommended` lists exactly what is
available. Source: discovery.md 8.2, 8.3.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

import attrs

from kargo_lab.engine.pipeline import soak as soaks
from kargo_lab.errors import PipelineError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.pipeline import Freight, FreightRequest, Stage

ALL, MATCH_UPSTREAM = "All", "MatchUpstream"


@attrs.frozen(kw_only=True)
class Moment:
    """When, under which rules, and which Stages are control flow Stages."""

    now: datetime
    profile: Profile = LATEST
    control_flow: frozenset[str] = frozenset()

    def soaked(self, piece: Freight, stage: str, required: str) -> bool:
        """True if a piece has soaked long enough in a Stage."""
        return soaks.soaked(
            piece.status, stage, required, self.now, profile=self.profile, control_flow=self.control_flow
        )


def available(piece: Freight, stage: Stage, at: Moment) -> bool:
    """May this piece be promoted into the Stage (8.2)?"""
    return not refusal(piece, stage, at)


def refusal(piece: Freight, stage: Stage, at: Moment) -> str:
    """Why this piece may not be promoted into the Stage, a sentence; empty if it may (8.2)."""
    if piece.namespace != stage.namespace:
        return f"it is in Project {piece.namespace!r}, the Stage in {stage.namespace!r}"
    approved = stage.name in piece.status.approved_for
    if approved and not at.profile.approval_needs_origin:
        return ""
    reason = f"the Stage does not request Freight of {piece.origin.key}"
    for request in stage.requested_freight:
        if request.origin != piece.origin:
            continue
        if approved or request.direct or _ready(piece, request, at):
            return ""
        reason = _reason(piece, request, at)
        if request.availability_strategy == ALL:
            return reason
    return reason


def _ready(piece: Freight, request: FreightRequest, at: Moment) -> bool:
    """Verified and soaked in the upstreams, as the strategy wants it. `All` of none holds, one of none does not."""
    quantifier: Callable[[Iterable[object]], bool] = all if request.availability_strategy == ALL else any
    return quantifier(not _missing(piece, upstream, request, at) for upstream in request.stages)


def _missing(piece: Freight, upstream: str, request: FreightRequest, at: Moment) -> str:
    if upstream not in piece.status.verified_in:
        return f"not verified in {upstream}"
    if request.required_soak_time is not None and not at.soaked(piece, upstream, request.required_soak_time):
        return f"not soaked for {request.required_soak_time} in {upstream}"
    return ""


def _reason(piece: Freight, request: FreightRequest, at: Moment) -> str:
    missing = [text for upstream in request.stages if (text := _missing(piece, upstream, request, at))]
    return "it is " + "; ".join(missing) if missing else "the request names neither `direct` nor an upstream Stage"


def listed(
    stage: Stage, freight: Sequence[Freight], at: Moment, *, warehouses: Collection[str] | None = None
) -> tuple[Freight, ...]:
    """The Freight that auto-promotion chooses from (8.3), in the order of the requests.

    `freight` is that of the Stage's namespace. `warehouses` are the names of those that exist, None if
    all are taken to; one that is missing is an error for the whole Stage.
    """
    found: dict[str, Freight] = {}
    for request in stage.requested_freight:
        if warehouses is not None and request.origin.name not in warehouses:
            raise PipelineError(
                f"Stage {stage.key}", f"requests Freight of {request.origin.key}, and there is no such Warehouse"
            )
        for piece in freight:
            if piece.origin == request.origin and _is_listed(piece, stage, request, at):
                found.setdefault(piece.name, piece)
    return tuple(found.values())


def _is_listed(piece: Freight, stage: Stage, request: FreightRequest, at: Moment) -> bool:
    if request.direct:
        return True
    matching = at.profile.match_upstream and request.selection_policy == MATCH_UPSTREAM
    if matching and not any(upstream in piece.status.currently_in for upstream in request.stages):
        return False
    if stage.name in piece.status.approved_for:
        return True
    if at.profile.soak_listing == "upstreams":
        return _ready(piece, request, at)
    verified = [upstream in piece.status.verified_in for upstream in request.stages]
    if not (all(verified) if request.availability_strategy == ALL else any(verified)):
        return False
    required = request.required_soak_time
    if required is None or not request.stages:
        return True
    # Kargo asks in which of *all* Stages the piece has soaked (AW:228-254).
    long_enough = {name for name in piece.status.verified_in if at.soaked(piece, name, required)}
    return long_enough == set(request.stages) if request.availability_strategy == ALL else bool(long_enough)


def next_change(stage: Stage, freight: Iterable[Freight], at: Moment) -> int | None:
    """Nanoseconds until the next soak ends that the Stage waits for; None if it waits for none."""
    spans = [
        span
        for request in stage.requested_freight
        if request.required_soak_time is not None and not request.direct
        for piece in freight
        if piece.origin == request.origin and stage.name not in piece.status.approved_for
        for upstream in request.stages
        if (
            span := soaks.left_until(
                piece.status,
                upstream,
                request.required_soak_time,
                at.now,
                profile=at.profile,
                control_flow=at.control_flow,
            )
        )
    ]
    return min(spans, default=None)
