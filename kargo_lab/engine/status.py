"""The status of a Warehouse as values, and as the JSON that Kargo writes.

Field names in JSON are Kargo's (discovery.md 1.6), so that the lab API, the store and a reader of
`kubectl get warehouse -o json` see one shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from kargo_lab.resources.artifacts import (
    ArtifactReference,
    ChartDiscovery,
    Commit,
    CommitDiscovery,
    DiscoveredArtifacts,
    GenericDiscovery,
    ImageDiscovery,
    ImageReference,
    Observation,
)


@attrs.frozen(kw_only=True)
class Condition:
    """One condition; `generation` is the one that the pass saw."""

    type: str
    status: str  # True, False or Unknown
    reason: str
    message: str = ""
    generation: int = 0
    last_transition: datetime | None = None


@attrs.frozen(kw_only=True)
class Status:
    """All that a controller remembers of a Warehouse between two passes."""

    conditions: tuple[Condition, ...] = ()
    last_handled_refresh: str = ""
    observed_generation: int = 0
    last_freight_id: str = ""
    discovered: DiscoveredArtifacts | None = None

    def condition(self, kind: str) -> Condition | None:
        """The condition of a type, if there is one."""
        return next((each for each in self.conditions if each.type == kind), None)


def timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 in whole seconds, UTC, as Kubernetes writes times."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None) -> datetime | None:
    """The inverse; fractions, where somebody wrote some, are kept."""
    return None if not text else datetime.fromisoformat(text)


def to_json(status: Status) -> dict[str, Any]:
    """As `status:` of the Warehouse; what is empty is left out."""
    return _present(
        conditions=[_condition(each) for each in status.conditions],
        lastHandledRefresh=status.last_handled_refresh,
        observedGeneration=status.observed_generation,
        lastFreightID=status.last_freight_id,
        discoveredArtifacts=None if status.discovered is None else _artifacts(status.discovered),
    )


def from_json(document: Mapping[str, Any]) -> Status:
    """The inverse of `to_json`."""
    found = document.get("discoveredArtifacts")
    return Status(
        conditions=tuple(
            Condition(
                type=each["type"],
                status=each["status"],
                reason=each["reason"],
                message=each.get("message", ""),
                generation=each.get("observedGeneration", 0),
                last_transition=moment(each.get("lastTransitionTime")),
            )
            for each in document.get("conditions", ())
        ),
        last_handled_refresh=document.get("lastHandledRefresh", ""),
        observed_generation=document.get("observedGeneration", 0),
        last_freight_id=document.get("lastFreightID", ""),
        discovered=None if found is None else artifacts_from_json(found),
    )


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", 0, [], {})}


def _condition(each: Condition) -> dict[str, Any]:
    return {
        "type": each.type,
        "status": each.status,
        "reason": each.reason,
        "message": each.message,
        "observedGeneration": each.generation,
        "lastTransitionTime": timestamp(each.last_transition),
    }


def _artifacts(found: DiscoveredArtifacts) -> dict[str, Any]:
    return _present(
        discoveredAt=timestamp(found.discovered_at),
        git=[_git(each) for each in found.git],
        images=[
            _present(
                repoURL=each.repo_url,
                platform=each.platform,
                references=[_image(reference) for reference in each.references],
                subscriptionName=each.subscription_name,
            )
            for each in found.images
        ],
        charts=[
            _present(
                repoURL=each.repo_url,
                name=each.name,
                semverConstraint=each.semver_constraint,
                versions=list(each.versions),
                subscriptionName=each.subscription_name,
            )
            for each in found.charts
        ],
        results=[
            _present(
                name=each.name,
                artifactReferences=[
                    _present(
                        artifactType=reference.artifact_type,
                        subscriptionName=reference.subscription_name,
                        version=reference.version,
                        metadata=dict(reference.metadata),
                    )
                    for reference in each.references
                ],
            )
            for each in found.results
        ],
    )


def _git(each: CommitDiscovery) -> dict[str, Any]:
    observed = None
    if each.observed is not None:
        tags = each.observed.tags
        observed = (
            {"branchHead": each.observed.branch_head}
            if tags is None
            else {"tags": [{"name": name, "id": commit} for name, commit in tags]}
        )
    members = _present(
        repoURL=each.repo_url,
        commits=[
            _present(
                id=commit.id,
                branch=commit.branch,
                tag=commit.tag,
                subject=commit.subject,
                author=commit.author,
                committer=commit.committer,
                creatorDate=timestamp(commit.creator_date),
            )
            for commit in each.commits
        ],
        subscriptionName=each.subscription_name,
    )
    # An observation of no tags is one, so it may not be left out as empty.
    return members if observed is None else members | {"observedRefs": observed}


def _image(reference: ImageReference) -> dict[str, Any]:
    return _present(
        tag=reference.tag,
        digest=reference.digest,
        annotations=dict(reference.annotations),
        createdAt=timestamp(reference.created_at),
    )


def artifacts_from_json(found: Mapping[str, Any]) -> DiscoveredArtifacts:
    """The inverse of what `discoveredArtifacts:` holds."""
    return DiscoveredArtifacts(
        discovered_at=moment(found.get("discoveredAt")),
        git=tuple(_git_from(each) for each in found.get("git", ())),
        images=tuple(
            ImageDiscovery(
                repo_url=each["repoURL"],
                platform=each.get("platform", ""),
                references=tuple(
                    ImageReference(
                        tag=reference.get("tag", ""),
                        digest=reference.get("digest", ""),
                        annotations=reference.get("annotations", {}),
                        created_at=moment(reference.get("createdAt")),
                    )
                    for reference in each.get("references", ())
                ),
                subscription_name=each.get("subscriptionName", ""),
            )
            for each in found.get("images", ())
        ),
        charts=tuple(
            ChartDiscovery(
                repo_url=each["repoURL"],
                name=each.get("name", ""),
                semver_constraint=each.get("semverConstraint", ""),
                versions=tuple(each.get("versions", ())),
                subscription_name=each.get("subscriptionName", ""),
            )
            for each in found.get("charts", ())
        ),
        results=tuple(_generic_from(each) for each in found.get("results", ())),
    )


def _generic_from(each: Mapping[str, Any]) -> GenericDiscovery:
    return GenericDiscovery(
        name=each.get("name", ""),
        references=tuple(
            ArtifactReference(
                artifact_type=reference.get("artifactType", ""),
                subscription_name=reference.get("subscriptionName", ""),
                version=reference.get("version", ""),
                metadata=reference.get("metadata", {}),
            )
            for reference in each.get("artifactReferences", ())
        ),
    )


def _git_from(each: Mapping[str, Any]) -> CommitDiscovery:
    return CommitDiscovery(
        repo_url=each["repoURL"],
        commits=tuple(_commits_from(each.get("commits", ()))),
        subscription_name=each.get("subscriptionName", ""),
        observed=_observation_from(each.get("observedRefs")),
    )


def _commits_from(commits: Iterable[Mapping[str, Any]]) -> Iterable[Commit]:
    for commit in commits:
        yield Commit(
            id=commit.get("id", ""),
            branch=commit.get("branch", ""),
            tag=commit.get("tag", ""),
            subject=commit.get("subject", ""),
            author=commit.get("author", ""),
            committer=commit.get("committer", ""),
            creator_date=moment(commit.get("creatorDate")),
        )


def _observation_from(observed: Mapping[str, Any] | None) -> Observation | None:
    if observed is None:
        return None
    if "tags" in observed:
        return Observation(tags=tuple((tag["name"], tag["id"]) for tag in observed["tags"]))
    return Observation(branch_head=observed.get("branchHead", ""))
