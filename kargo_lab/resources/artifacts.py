"""What discovery finds, as a Warehouse's status records it.

Lists are ordered best first; element 0 of each is what automatic Freight takes (discovery.md 1.6, 7.2).
Values only: the engine, the expressions' functions and the reports all read these.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs


@attrs.frozen(kw_only=True)
class Commit:
    """One commit; `branch` is the subscription's own text, `tag` is set by the tag strategies only."""

    id: str
    branch: str = ""
    tag: str = ""
    subject: str = ""
    author: str = ""
    committer: str = ""
    creator_date: datetime | None = None


@attrs.frozen(kw_only=True)
class Observation:
    """What a listing of the remote showed: the tip of a branch, or the accepted tags by name.

    Two passes with equal observations need no clone in between (discovery.md 4.1). `tags` is None
    for the branch strategy; an empty tuple is an observation too.
    """

    branch_head: str = ""
    tags: tuple[tuple[str, str], ...] | None = None


@attrs.frozen(kw_only=True)
class CommitDiscovery:
    """The result for one git subscription."""

    repo_url: str
    commits: tuple[Commit, ...] = ()
    subscription_name: str = ""
    observed: Observation | None = None


@attrs.frozen(kw_only=True)
class ImageReference:
    """One image; `created_at` is None where the image tells no time."""

    tag: str
    digest: str = ""
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    created_at: datetime | None = None


@attrs.frozen(kw_only=True)
class ImageDiscovery:
    """The result for one image subscription; `repo_url` as the subscription has it."""

    repo_url: str
    platform: str = ""
    references: tuple[ImageReference, ...] = ()
    subscription_name: str = ""


@attrs.frozen(kw_only=True)
class ChartDiscovery:
    """The result for one chart subscription."""

    repo_url: str
    name: str = ""
    semver_constraint: str = ""
    versions: tuple[str, ...] = ()
    subscription_name: str = ""


@attrs.frozen(kw_only=True)
class ArtifactReference:
    """One artifact of a generic subscription."""

    artifact_type: str
    subscription_name: str
    version: str
    metadata: Mapping[str, object] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class GenericDiscovery:
    """The result for one generic subscription."""

    name: str
    references: tuple[ArtifactReference, ...] = ()


SubscriptionResult = CommitDiscovery | ImageDiscovery | ChartDiscovery | GenericDiscovery


@attrs.frozen(kw_only=True)
class DiscoveredArtifacts:
    """The result of one whole discovery; within a kind in the order of the subscriptions."""

    discovered_at: datetime | None = None
    git: tuple[CommitDiscovery, ...] = ()
    images: tuple[ImageDiscovery, ...] = ()
    charts: tuple[ChartDiscovery, ...] = ()
    results: tuple[GenericDiscovery, ...] = ()

    @property
    def count(self) -> int:
        """How many subscriptions gave a result."""
        return len(self.git) + len(self.images) + len(self.charts) + len(self.results)
