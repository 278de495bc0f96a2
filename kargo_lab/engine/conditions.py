"""The conditions of a Warehouse: what each situation sets, and what it leaves alone (discovery.md 2.5, 2.6).

Each situation is one row of a table: the conditions it sets, and those it removes. A type that a row
does not mention stays as it was, which matters on passes that do not discover.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from kargo_lab.engine.status import Condition
from kargo_lab.resources.artifacts import DiscoveredArtifacts

RECONCILING, READY, HEALTHY = "Reconciling", "Ready", "Healthy"
CRITERIA, CREATED = "FreightCreationCriteriaSatisfied", "FreightCreated"
MESSAGE_LIMIT = 32768  # bytes (CN:12)
_CUT = "... (truncated)"

Conditions = tuple[Condition, ...]


@attrs.frozen
class Situation:
    """What one situation does: (type, status, reason) to set, then types to remove."""

    sets: tuple[tuple[str, str, str], ...]
    removes: tuple[str, ...] = ()


DISCOVERY_STARTED = Situation(
    (
        (RECONCILING, "True", "ScheduledDiscovery"),
        (READY, "False", "DiscoveryInProgress"),
        (HEALTHY, "Unknown", "Pending"),
    ),
    (CRITERIA, CREATED),
)
DISCOVERY_FAILED = Situation(((READY, "False", "DiscoveryFailure"), (HEALTHY, "False", "DiscoveryFailed")))
CRITERIA_FAILED = Situation(
    ((READY, "False", "CriteriaEvaluationFailed"), (HEALTHY, "False", "CriteriaEvaluationFailed")), (RECONCILING,)
)
CRITERIA_REFUSED = Situation(((CRITERIA, "False", "CriteriaNotSatisfied"),))
CRITERIA_SATISFIED = Situation(((CRITERIA, "True", "CriteriaSatisfied"),))
CREATION_STARTED = Situation(
    (
        (RECONCILING, "True", "FreightCreationInProgress"),
        (READY, "False", "AwaitingFreightCreation"),
        (HEALTHY, "Unknown", "Pending"),
    )
)
BUILD_FAILED = Situation(((READY, "False", "FreightBuildFailure"), (HEALTHY, "False", "FreightBuildFailure")))
CREATE_FAILED = Situation(((READY, "False", "FreightCreationFailure"), (HEALTHY, "False", "FreightBuildFailure")))
FREIGHT_EXISTS = Situation(((CREATED, "False", "AlreadyExists"),))
FREIGHT_NEW = Situation(((CREATED, "True", "NewFreight"),))
SUCCEEDED = Situation(
    ((READY, "True", "ArtifactsDiscovered"), (HEALTHY, "True", "ReconciliationSucceeded")), (RECONCILING,)
)


def _missing(ready: str, healthy: str) -> Situation:
    return Situation(((READY, "False", ready), (HEALTHY, "False", healthy)), (RECONCILING,))


NOTHING_FOUND = _missing("MissingArtifacts", "MissingArtifacts")
NO_COMMITS = _missing("MissingCommits", "NoCommitsDiscovered")
NO_IMAGES = _missing("MissingImageReferences", "NoImageReferencesDiscovered")
NO_CHARTS = _missing("MissingChartVersions", "NoChartVersionsDiscovered")


def apply(
    conditions: Conditions,
    situation: Situation,
    *,
    generation: int,
    now: datetime,
    messages: dict[str, str] | None = None,
) -> Conditions:
    """The conditions after a situation. `messages` are by type, for those that it sets.

    As in Kargo, the time of the last transition is taken over from a condition of the same type,
    even where the status differs (CN:79-99).
    """
    kept = {each.type: each for each in conditions if each.type not in situation.removes}
    for kind, status, reason in situation.sets:
        before = kept.get(kind)
        kept[kind] = Condition(
            type=kind,
            status=status,
            reason=reason,
            message=shortened((messages or {}).get(kind, "")),
            generation=generation,
            last_transition=before.last_transition if before and before.last_transition else now,
        )
    return tuple(kept.values())


def shortened(message: str) -> str:
    """At most `MESSAGE_LIMIT` bytes, cut between characters, with an ending that says so."""
    if len(message) * 4 <= MESSAGE_LIMIT:
        return message
    encoded = message.encode(errors="replace")
    if len(encoded) <= MESSAGE_LIMIT:
        return message
    return encoded[: MESSAGE_LIMIT - len(_CUT)].decode(errors="ignore") + _CUT


def invalid(found: DiscoveredArtifacts | None) -> tuple[Situation, str] | None:
    """The first thing that makes a result useless, and the message; None if all is well.

    Nothing at all, then git, images, charts in their order. Generic results count for "nothing at
    all" and are not looked into (WC:717-845). Kargo's own tests pin the messages, and people search
    the status for them (warehouses_test.go, TestValidateDiscoveredArtifacts).
    """
    if found is None or not found.count:
        return NOTHING_FOUND, "No artifacts discovered"
    for commits in found.git:
        if not commits.commits:
            return NO_COMMITS, f'No commits discovered for Git repository "{commits.repo_url}"'
    for images in found.images:
        if not images.references:
            return NO_IMAGES, f'No references discovered for image repository "{images.repo_url}"'
    for charts in found.charts:
        if not charts.versions:
            name = f'"{charts.name}"' if charts.name else ""  # an OCI chart has none, and leaves two blanks
            return NO_CHARTS, f'No versions discovered for chart {name} from repository "{charts.repo_url}"'
    return None
