"""How long Freight has been in a Stage, and what entering, leaving and being verified there write down.

Time counts only once the Freight is verified in the Stage; then, as Kargo has it, the whole present stay
counts, from before the verification too. Stays are never added up. `recommended` counts a stay from its
verification on, so that a soak adds something to it. Source: discovery.md 8.4.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import attrs

from kargo_lab.engine import timers
from kargo_lab.engine.status import moment, timestamp
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.pipeline import FreightStatus, VerifiedStage
from kargo_lab.rules import durations

NO_STAGES: frozenset[str] = frozenset()


def soak(
    status: FreightStatus,
    stage: str,
    now: datetime,
    *,
    profile: Profile = LATEST,
    control_flow: Collection[str] = NO_STAGES,
) -> int:
    """Nanoseconds of soak in a Stage. `control_flow` are the control flow Stages, which hold no Freight."""
    verified = status.verified_in.get(stage)
    if verified is None:
        return 0
    longest = durations.parse(verified.longest_soak) if verified.longest_soak else 0
    since = _counted_from(status, stage, verified, profile, stage in control_flow)
    return longest if since is None else max(longest, timers.instant(now) - since)


def _counted_from(
    status: FreightStatus, stage: str, verified: VerifiedStage, profile: Profile, passes_through: bool
) -> int | None:
    """The instant from which the present stay counts; None if there is no stay."""
    entered = moment(status.currently_in.get(stage))
    confirmed = moment(verified.verified_at)
    if entered is None:
        # Nothing is ever "in" a control flow Stage, so its soak is 0 (public issue 6360).
        known = passes_through and profile.control_flow_soak and confirmed is not None
        return timers.instant(confirmed) if known and confirmed else None
    if profile.soak_from == "verification" and confirmed is not None:
        return timers.instant(max(entered, confirmed))
    return timers.instant(entered)


def soaked(
    status: FreightStatus,
    stage: str,
    required: str,
    now: datetime,
    *,
    profile: Profile = LATEST,
    control_flow: Collection[str] = NO_STAGES,
) -> bool:
    """True if the soak in a Stage is at least the required duration (Go's text)."""
    return soak(status, stage, now, profile=profile, control_flow=control_flow) >= durations.parse(required)


def left_until(
    status: FreightStatus,
    stage: str,
    required: str,
    now: datetime,
    *,
    profile: Profile = LATEST,
    control_flow: Collection[str] = NO_STAGES,
) -> int | None:
    """Nanoseconds until the soak will be long enough if the stay goes on; None if it never will, or is already."""
    verified = status.verified_in.get(stage)
    if verified is None or _counted_from(status, stage, verified, profile, stage in control_flow) is None:
        return None
    left = durations.parse(required) - soak(status, stage, now, profile=profile, control_flow=control_flow)
    return left if left > 0 else None


def entered(status: FreightStatus, stage: str, now: datetime) -> FreightStatus:
    """The status of Freight that is in a Stage now; a stay that goes on keeps its beginning."""
    if stage in status.currently_in:
        return status
    return attrs.evolve(status, currently_in={**status.currently_in, stage: timestamp(now) or ""})


def left(status: FreightStatus, stage: str, now: datetime, *, profile: Profile = LATEST) -> FreightStatus:
    """The status of Freight that left a Stage: the stay is kept if it was verified there and the longest so far."""
    if stage not in status.currently_in:
        return status
    others: Mapping[str, Any] = {name: since for name, since in status.currently_in.items() if name != stage}
    verified = status.verified_in.get(stage)
    if verified is None:
        return attrs.evolve(status, currently_in=others)
    since = _counted_from(status, stage, verified, profile, False)
    stay = timers.instant(now) - since if since is not None else 0
    longest = durations.parse(verified.longest_soak) if verified.longest_soak else 0
    if stay > longest:
        verified = attrs.evolve(verified, longest_soak=durations.render(stay))
    return attrs.evolve(status, currently_in=others, verified_in={**status.verified_in, stage: verified})


def verified(status: FreightStatus, stage: str, when: str) -> FreightStatus:
    """The status of Freight that is verified in a Stage; a mark that exists never changes."""
    if stage in status.verified_in:
        return status
    return attrs.evolve(status, verified_in={**status.verified_in, stage: VerifiedStage(verified_at=when)})


def approved(status: FreightStatus, stage: str, now: datetime) -> FreightStatus:
    """The status of Freight that somebody approved for a Stage."""
    if stage in status.approved_for:
        return status
    return attrs.evolve(status, approved_for={**status.approved_for, stage: timestamp(now) or ""})


def forgotten(status: FreightStatus, stage: str) -> FreightStatus:
    """The status once a Stage is gone, its marks with it."""
    return attrs.evolve(
        status,
        currently_in={name: at for name, at in status.currently_in.items() if name != stage},
        verified_in={name: mark for name, mark in status.verified_in.items() if name != stage},
        approved_for={name: at for name, at in status.approved_for.items() if name != stage},
    )
