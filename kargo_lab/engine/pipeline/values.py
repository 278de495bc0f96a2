"""What a controller remembers of a Stage, as values and as the JSON that Kargo writes.

Times are RFC 3339 texts as in every status of this package; an origin is its key, `Warehouse/name`.
Source: discovery.md 8.5 to 8.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

MOST_COLLECTIONS = 10  # of a Stage's history (ST:699-714)
MOST_VERIFICATIONS = 10  # of a collection (ST:969-998)
HEALTHY, UNKNOWN = "Healthy", "Unknown"
SUCCESSFUL, PENDING = "Successful", "Pending"
FINISHED_VERIFICATIONS = frozenset({"Successful", "Failed", "Error", "Inconclusive", "Aborted"})
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class VerificationRecord:
    """One verification of a collection; `run` names the analysis that decides, empty if none was needed."""

    id: str
    phase: str
    message: str = ""
    started_at: str = ""
    finished_at: str = ""
    run: str = ""

    @property
    def finished(self) -> bool:
        """True if the phase is the last one."""
        return self.phase in FINISHED_VERIFICATIONS


@attrs.frozen(kw_only=True)
class Collection:
    """The Freight that is in a Stage together: origin key -> Freight name. Verifications are newest first."""

    id: str
    freight: Mapping[str, str]
    verifications: tuple[VerificationRecord, ...] = ()

    @property
    def verification(self) -> VerificationRecord | None:
        """The newest verification."""
        return self.verifications[0] if self.verifications else None

    @property
    def verifying(self) -> bool:
        """True while a verification has not ended."""
        return any(not each.finished for each in self.verifications)

    def verified_by(self, record: VerificationRecord) -> Collection:
        """The collection with this record instead of the one of its ID, or before all others."""
        others = tuple(each for each in self.verifications if each.id != record.id)
        if len(others) < len(self.verifications):
            kept = tuple(record if each.id == record.id else each for each in self.verifications)
            return attrs.evolve(self, verifications=kept)
        return attrs.evolve(self, verifications=(record, *others)[:MOST_VERIFICATIONS])


@attrs.frozen(kw_only=True)
class PromotionReference:
    """A Promotion as a Stage remembers it."""

    name: str
    freight: str = ""
    origin: str = ""
    phase: str = ""
    finished_at: str = ""


@attrs.frozen(kw_only=True)
class Hold:
    """Why an origin is not promoted automatically: somebody chose Freight that auto-promotion would not have."""

    origin: str
    freight: str = ""
    promotion: str = ""
    actor: str = ""
    created_at: str = ""


@attrs.frozen(kw_only=True)
class StageStatus:
    """`status:` of a Stage. `health` is empty where Kargo has none; `message` is the last pass's error."""

    current_promotion: PromotionReference | None = None
    last_promotion: PromotionReference | None = None
    history: tuple[Collection, ...] = ()
    health: str = ""
    holds: Mapping[str, Hold] = _NOTHING
    auto_promotion_enabled: bool = False
    observed_generation: int = 0
    last_handled_refresh: str = ""
    message: str = ""

    @property
    def current(self) -> Collection | None:
        """What is in the Stage now."""
        return self.history[0] if self.history else None

    def with_current(self, collection: Collection) -> StageStatus:
        """The status with the newest collection replaced."""
        return attrs.evolve(self, history=(collection, *self.history[1:]))

    def recorded(self, collection: Collection) -> StageStatus:
        """The status with one more collection in its history."""
        return attrs.evolve(self, history=(collection, *self.history)[:MOST_COLLECTIONS])


# JSON ---------------------------------------------------------------------------------------------------


def to_json(status: StageStatus) -> dict[str, Any]:
    """As `status:` of the Stage; what is empty is left out."""
    return _present(
        currentPromotion=_reference_json(status.current_promotion),
        lastPromotion=_reference_json(status.last_promotion),
        freightHistory=[collection_json(each) for each in status.history],
        health=_present(status=status.health),
        autoPromotionHolds={key: _hold_json(hold) for key, hold in status.holds.items()},
        autoPromotionEnabled=status.auto_promotion_enabled,
        observedGeneration=status.observed_generation,
        lastHandledRefresh=status.last_handled_refresh,
        message=status.message,
    )


def from_json(document: Mapping[str, Any]) -> StageStatus:
    """The inverse of `to_json`; also reads what Kargo itself wrote."""
    return StageStatus(
        current_promotion=_reference(document.get("currentPromotion")),
        last_promotion=_reference(document.get("lastPromotion")),
        history=tuple(collection(each) for each in document.get("freightHistory") or ()),
        health=(document.get("health") or {}).get("status", ""),
        holds={key: _hold(key, each) for key, each in (document.get("autoPromotionHolds") or {}).items()},
        auto_promotion_enabled=bool(document.get("autoPromotionEnabled")),
        observed_generation=document.get("observedGeneration", 0),
        last_handled_refresh=document.get("lastHandledRefresh", ""),
        message=document.get("message", ""),
    )


def collection(document: Mapping[str, Any]) -> Collection:
    """A collection out of its JSON."""
    return Collection(
        id=document.get("id", ""),
        freight={key: item.get("name", "") for key, item in (document.get("items") or {}).items()},
        verifications=tuple(_verification(each) for each in document.get("verificationHistory") or ()),
    )


def collection_json(each: Collection) -> dict[str, Any]:
    """A collection as Kargo writes it."""
    return _present(
        id=each.id,
        items={key: {"name": name, "origin": _origin_json(key)} for key, name in each.freight.items()},
        verificationHistory=[_verification_json(record) for record in each.verifications],
    )


def _verification(document: Mapping[str, Any]) -> VerificationRecord:
    return VerificationRecord(
        id=document.get("id", ""),
        phase=document.get("phase", ""),
        message=document.get("message", ""),
        started_at=document.get("startTime") or "",
        finished_at=document.get("finishTime") or "",
        run=(document.get("analysisRun") or {}).get("name", ""),
    )


def _verification_json(record: VerificationRecord) -> dict[str, Any]:
    return _present(
        id=record.id,
        phase=record.phase,
        message=record.message,
        startTime=record.started_at,
        finishTime=record.finished_at,
        analysisRun=_present(name=record.run),
    )


def _reference(document: Mapping[str, Any] | None) -> PromotionReference | None:
    if not document:
        return None
    freight = document.get("freight") or {}
    origin = freight.get("origin") or {}
    return PromotionReference(
        name=document.get("name", ""),
        freight=freight.get("name", ""),
        origin=f"{origin.get('kind', '')}/{origin.get('name', '')}" if origin else "",
        phase=(document.get("status") or {}).get("phase", ""),
        finished_at=document.get("finishedAt") or "",
    )


def _reference_json(reference: PromotionReference | None) -> dict[str, Any]:
    if reference is None:
        return {}
    return _present(
        name=reference.name,
        freight=_present(name=reference.freight, origin=_origin_json(reference.origin)),
        status=_present(phase=reference.phase),
        finishedAt=reference.finished_at,
    )


def _hold(key: str, document: Mapping[str, Any]) -> Hold:
    return Hold(
        origin=key,
        freight=document.get("freightName", ""),
        promotion=document.get("promotionName", ""),
        actor=document.get("actor", ""),
        created_at=document.get("createdAt") or "",
    )


def _hold_json(hold: Hold) -> dict[str, Any]:
    return _present(
        freightName=hold.freight,
        origin=_origin_json(hold.origin),
        promotionName=hold.promotion,
        actor=hold.actor,
        createdAt=hold.created_at,
    )


def _origin_json(key: str) -> dict[str, str]:
    kind, slash, name = key.partition("/")
    return {"kind": kind, "name": name} if slash else {}


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", 0, [], {}, False)}
