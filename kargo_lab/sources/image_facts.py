"""What a manifest, an index and a config say about an image: its platforms, and when it was built.

Pure. The rules for times differ most between Kargo's versions, so each is one small function that
asks the profile (discovery.md 3.6, 9). Annotations can be set without a build, labels come from the
build file, the config has the builder's clock, and an index has no time of its own. Times are
nanoseconds since 1970, None where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from kargo_lab.profiles import LATEST, Profile
from kargo_lab.rules import rfc3339

CREATED_KEYS = ("org.opencontainers.image.created", "org.label-schema.build-date")
_UNKNOWN = ("", "unknown")


@attrs.frozen(kw_only=True)
class Platform:
    """An entry of an index that is an image, or the platform in an image's config."""

    os: str
    arch: str
    variant: str = ""
    annotations: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def triple(self) -> tuple[str, str, str]:
        """What a platform constraint is compared with."""
        return self.os, self.arch, self.variant


@attrs.frozen(kw_only=True)
class Child:
    """One usable entry of an index."""

    digest: str
    platform: Platform


def children(index: Mapping[str, Any]) -> tuple[Child, ...]:
    """The entries of an index that are images: those whose platform is known; attestations have none."""
    return tuple(
        Child(digest=entry["digest"], platform=platform(entry["platform"], entry["annotations"]))
        for entry in index["manifests"]
        if entry["platform"] is not None
        and entry["platform"]["os"] not in _UNKNOWN
        and entry["platform"]["architecture"] not in _UNKNOWN
    )


def platform(document: Mapping[str, Any], annotations: Mapping[str, str] | None = None) -> Platform:
    """The platform that an entry or a config names."""
    return Platform(
        os=document["os"],
        arch=document["architecture"],
        variant=document["variant"],
        annotations=annotations or {},
    )


def stated(texts: Mapping[str, str]) -> int | None:
    """The first parsable creation time among annotations or labels."""
    times = (rfc3339.instant(texts[key]) for key in CREATED_KEYS if key in texts)
    return next((time for time in times if time is not None), None)


def single_created(
    annotations: Mapping[str, str], config: Mapping[str, Any], *, profile: Profile = LATEST
) -> int | None:
    """The time of an image that is no index (discovery.md 3.6 rule 6)."""
    configured = rfc3339.instant(config["created"]) if config["created"] else None
    configured = None if configured == rfc3339.YEAR_ONE else configured
    if profile.image_created == "config":
        return configured
    if (annotated := stated(annotations)) is not None:
        return annotated
    labelled = stated(config["config"]["Labels"])
    if profile.image_created == "first-found":
        return configured if labelled is None else labelled
    return latest((labelled, configured))


def child_created(child: Child, own: int | None, *, profile: Profile = LATEST) -> int | None:
    """The time of an index's entry: what the entry is annotated with, else what the image behind it says."""
    if profile.image_created != "annotation-then-later":
        return own
    annotated = stated(child.platform.annotations)
    return own if annotated is None else annotated


def index_created(
    annotations: Mapping[str, str], entries: Iterable[int | None], *, profile: Profile = LATEST
) -> int | None:
    """The time of an index: its own annotation (since HEAD), else that of its newest entry (rule 7)."""
    if profile.image_created == "annotation-then-later" and (annotated := stated(annotations)) is not None:
        return annotated
    return latest(entries)


def latest(times: Iterable[int | None]) -> int | None:
    """The latest of some times, those that are not known left out."""
    return max((each for each in times if each is not None), default=None)
