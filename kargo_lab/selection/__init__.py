"""Which tags, commits and versions a subscription takes, and which pushes a webhook may skip.

One selector a subscription answers both, so that the two cannot drift apart; every answer is a
`Reason`. What costs a request is asked for elsewhere, step by step (see `sources`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GenericSubscription,
    GitSubscription,
    ImageSubscription,
    Subscription,
)
from kargo_lab.rules.urls import normalize_chart, normalize_git, normalize_image
from kargo_lab.selection import charts, commits, images
from kargo_lab.selection.charts import ChartSelector
from kargo_lab.selection.commits import CommitFacts, CommitSelector, TagFacts
from kargo_lab.selection.images import ImageFacts, ImageSelector, PlatformFacts
from kargo_lab.selection.reasons import Reason

__all__ = [
    "ChartSelector",
    "CommitFacts",
    "CommitSelector",
    "ImageFacts",
    "ImageSelector",
    "PlatformFacts",
    "Reason",
    "Selector",
    "TagFacts",
    "build",
    "charts",
    "commits",
    "images",
    "repository_key",
]


class Selector(Protocol):
    """What all three selectors can be asked."""

    def matches(self, qualifiers: Sequence[str], changed_files: Sequence[str] = ()) -> Reason:
        """Whether a push of these tags, refs or versions, and files, may be of interest."""
        ...


def build(
    subscription: GitSubscription | ImageSubscription | ChartSubscription, profile: Profile = LATEST
) -> CommitSelector | ImageSelector | ChartSelector:
    """The selector of a subscription; raises SelectionError where Kargo cannot build one."""
    if isinstance(subscription, GitSubscription):
        return commits.build(subscription, profile)
    if isinstance(subscription, ImageSubscription):
        return images.build(subscription, profile)
    return charts.build(subscription, profile)


def repository_key(subscription: Subscription, profile: Profile = LATEST) -> str:
    """The URL under which deliveries find a subscription, in normal form; empty for a generic one."""
    if isinstance(subscription, GenericSubscription):
        return ""
    normalize = {"git": normalize_git, "image": normalize_image, "chart": normalize_chart}[subscription.TYPE]
    return normalize(subscription.repo_url, profile=profile)
