"""Promotions as values: their names, their order, what they are made of, and what they put into a Stage.

Source: discovery.md 8.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import attrs

from kargo_lab.engine import freight as pieces
from kargo_lab.engine.pipeline.values import Collection, PromotionReference, StageStatus
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.pipeline import TERMINAL_PHASES, Freight, Promotion, Stage

STAGE_PART = 218  # characters of the Stage's name, so that the whole stays within 253
FREIGHT_PART = 7
RANDOM_BITS = 80
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


def ulid(now: datetime, randomness: int) -> str:
    """26 characters that sort by their millisecond, then by `randomness` (80 bits); lower-case."""
    milliseconds = (now - _UNIX) // (_UNIX.resolution * 1000)
    value = (milliseconds << RANDOM_BITS) | (randomness % (1 << RANDOM_BITS))
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def name(stage: str, unique: str, freight: str, *, profile: Profile = LATEST) -> str:
    """`<stage>.<ulid>.<freight>`, lower-case (AP:82-121)."""
    short = stage[:STAGE_PART]
    if profile.promotion_name_trimmed and len(stage) > STAGE_PART:
        short = short.rstrip(".-")
    return f"{short}.{unique}.{freight[:FREIGHT_PART]}".lower()


def in_order(promotions: Iterable[Promotion]) -> tuple[Promotion, ...]:
    """Running ones, then those that wait, oldest first, then finished ones, newest first (AP:205-265)."""
    given = list(promotions)
    finished = [each for each in given if is_finished(each)]
    waiting = [each for each in given if not is_finished(each)]
    waiting.sort(key=lambda each: (each.status.phase != "Running", each.name))
    return (*waiting, *sorted(finished, key=lambda each: each.name, reverse=True))


def is_finished(promotion: Promotion) -> bool:
    """True in one of the four last phases."""
    return promotion.status.phase in TERMINAL_PHASES


def reference(promotion: Promotion, origin: str = "") -> PromotionReference:
    """What a Stage remembers of a Promotion."""
    return PromotionReference(
        name=promotion.name,
        freight=promotion.freight,
        origin=origin,
        phase=promotion.status.phase if is_finished(promotion) else "",
        finished_at=promotion.status.finished_at,
    )


def target(stage: Stage, status: StageStatus, piece: Freight) -> Collection:
    """What will be in the Stage once the piece is promoted (PR:672-701).

    With several requests, the other origins keep what they have, as far as they are still requested.
    """
    freight: dict[str, str] = {}
    if len(stage.requested_freight) > 1 and status.current is not None:
        requested = {request.origin.key for request in stage.requested_freight}
        freight = {origin: held for origin, held in status.current.freight.items() if origin in requested}
    freight[piece.origin.key] = piece.name
    return Collection(id=pieces.collection_id(freight.values()), freight=freight)


def of_stage(promotions: Iterable[Promotion], stage: Stage) -> tuple[Promotion, ...]:
    """Those of one Stage."""
    return tuple(each for each in promotions if (each.namespace, each.stage) == (stage.namespace, stage.name))


def finished(promotion: Promotion, phase: str, when: str, message: str = "") -> Promotion:
    """The Promotion at its end."""
    status = attrs.evolve(promotion.status, phase=phase, finished_at=when, message=message)
    return attrs.evolve(promotion, status=status)


def annotated(promotion: Promotion, extra: Mapping[str, str]) -> Promotion:
    """The Promotion with further annotations."""
    return attrs.evolve(promotion, annotations={**promotion.annotations, **extra}) if extra else promotion
