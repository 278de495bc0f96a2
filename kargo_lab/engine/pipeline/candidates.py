"""What auto-promotion would promote: one candidate an origin, the reasons to leave it, and holds.

Source: discovery.md 8.8, 8.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kargo_lab.engine import freight as pieces
from kargo_lab.engine.pipeline.availability import MATCH_UPSTREAM
from kargo_lab.engine.pipeline.values import Hold, StageStatus
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.pipeline import TERMINAL_PHASES, Freight, FreightRequest, Promotion, Stage

HOLD = "kargo.akuity.io/auto-promotion-hold"
RESUME = "kargo.akuity.io/auto-promotion-resume"
ACTOR = "kargo.akuity.io/create-actor"


def candidates(stage: Stage, listed: Iterable[Freight], *, profile: Profile = LATEST) -> dict[str, Freight]:
    """By origin key: the newest of the listed Freight; under MatchUpstream only if there is just one.

    `listed` is in the order in which the Freight was made.
    """
    by_origin: dict[str, list[Freight]] = {}
    for piece in listed:
        by_origin.setdefault(piece.origin.key, []).append(piece)
    found = {}
    for request in stage.requested_freight:
        choice = by_origin.get(request.origin.key, [])
        if matches_upstream(request, profile) and len(choice) > 1:
            continue
        newest = _newest(choice, profile)
        if newest is not None:
            found[request.origin.key] = newest
    return found


def _newest(choice: Sequence[Freight], profile: Profile) -> Freight | None:
    """The newest; times have whole seconds, so that of two made in one second Kargo takes the greater name."""
    if profile.newest_of_equals == "name":
        return pieces.newest(choice, profile=profile)
    latest = max((pieces.order_key(each, profile=profile)[0] for each in choice), default="")
    return next((each for each in reversed(choice) if pieces.order_key(each, profile=profile)[0] == latest), None)


def matches_upstream(request: FreightRequest, profile: Profile) -> bool:
    """True if the request follows its upstream instead of the newest Freight."""
    return profile.match_upstream and request.selection_policy == MATCH_UPSTREAM


# Holds ------------------------------------------------------------------------------------------------


def counts(promotion: Promotion, *, profile: Profile = LATEST) -> bool:
    """True if the intent of a Promotion counts, be it finished or not.

    In Kargo only an aborted one loses it, although its guide says that only a successful one applies it
    (RS:744-765; DS:190-193).
    """
    if profile.hold_intents == "succeeded":
        return promotion.status.phase == "Succeeded" or promotion.status.phase not in TERMINAL_PHASES
    return promotion.status.phase != "Aborted"


def hold_of(promotion: Promotion, origin: str) -> Hold:
    """The hold that a Promotion stands for."""
    return Hold(
        origin=origin,
        freight=promotion.freight,
        promotion=promotion.name,
        actor=promotion.annotations.get(ACTOR, ""),
        created_at=promotion.created_at,
    )


def after(
    holds: Mapping[str, Hold], promotion: Promotion, requested: frozenset[str], *, profile: Profile = LATEST
) -> Mapping[str, Hold]:
    """The holds once a finished Promotion has been recorded."""
    if not profile.holds or not counts(promotion, profile=profile):
        return holds
    if origin := promotion.annotations.get(HOLD, ""):
        return {**holds, origin: hold_of(promotion, origin)} if origin in requested else holds
    resumed = promotion.annotations.get(RESUME, "")
    return {origin: hold for origin, hold in holds.items() if origin != resumed}


def effective_holds(
    stage: Stage, status: StageStatus, promotions: Iterable[Promotion], *, profile: Profile = LATEST
) -> dict[str, Hold]:
    """The holds as they are right now: those recorded, and over them the newest intent not recorded yet."""
    if not profile.holds:
        return {}
    effective = dict(status.holds)
    recorded = status.last_promotion.name if status.last_promotion else ""
    newer = sorted(
        (each for each in promotions if each.name > recorded and counts(each, profile=profile)),
        key=lambda each: each.name,
    )
    for request in stage.requested_freight:
        origin = request.origin.key
        for promotion in newer:
            if promotion.annotations.get(HOLD) == origin:
                effective[origin] = hold_of(promotion, origin)
            elif promotion.annotations.get(RESUME) == origin:
                effective.pop(origin, None)
    return effective


def intent(piece: Freight, candidate: Freight | None, *, enabled: bool, profile: Profile = LATEST) -> dict[str, str]:
    """The annotation that a user's Promotion of a piece gets: hold, resume, or none."""
    if not (profile.holds and enabled):
        return {}
    is_candidate = candidate is not None and candidate.name == piece.name
    return {RESUME if is_candidate else HOLD: piece.origin.key}


# Guards -----------------------------------------------------------------------------------------------


def objection(
    request: FreightRequest,
    candidate: Freight,
    status: StageStatus,
    promotions: Sequence[Promotion],
    current: Freight | None,
    *,
    profile: Profile = LATEST,
) -> str:
    """Why the candidate is not promoted automatically, a few words; empty if nothing speaks against it.

    `promotions` are the Stage's. `current` is the Freight of the origin in the Stage, if it is known.
    """
    origin = request.origin.key
    if status.current is not None and status.current.freight.get(origin) == candidate.name:
        return "it is in the Stage already"
    reference = status.current_promotion
    if reference is not None and (reference.freight, reference.origin) == (candidate.name, origin):
        return f"Promotion {reference.name} is running for it"
    never_back = not profile.backward_promotion and not matches_upstream(request, profile)
    if never_back and current is not None and _is_older(candidate, current, profile):
        return f"it is older than {current.name}, which is in the Stage"
    of_candidate = [each for each in promotions if each.freight == candidate.name]
    return _repeated(request, of_candidate, status, profile)


def _is_older(one: Freight, other: Freight, profile: Profile) -> bool:
    return pieces.order_key(one, profile=profile)[0] < pieces.order_key(other, profile=profile)[0]


def _repeated(request: FreightRequest, of_candidate: Sequence[Promotion], status: StageStatus, profile: Profile) -> str:
    """The guard against promoting the same Freight for ever."""
    if profile.auto_promotion_guard == "any-promotion" and not matches_upstream(request, profile):
        return f"Promotion {of_candidate[0].name} was made for it before" if of_candidate else ""
    recorded = status.last_promotion.name if status.last_promotion else ""
    for each in of_candidate:
        if each.status.phase not in TERMINAL_PHASES:
            return f"Promotion {each.name} of it is not finished"
        unrecorded = profile.auto_promotion_guard == "newest-terminal" and each.name > recorded
        if each.status.phase == "Succeeded" and unrecorded:
            return f"Promotion {each.name} of it succeeded and is not recorded yet"
    newest = max(of_candidate, key=lambda each: (each.created_at, each.name), default=None)
    if newest is not None and newest.status.phase != "Succeeded":
        return f"Promotion {newest.name} of it ended {newest.status.phase}"
    return ""
