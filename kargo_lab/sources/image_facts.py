"""What a manifest, an index and a config say about an image: platforms, annotations, creation time.

Pure; the rules differ most between Kargo's versions, so each is one small function that asks the
profile (discovery.md 3.6, 3.7, 9). Times are nanoseconds since 1970, as NewestBuild sorts by full
precision and datetimes stop at microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from kargo_lab.errors import UpstreamError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.rules import json as gojson

CREATED_KEYS = ("org.opencontainers.image.created", "org.label-schema.build-date")
INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
IMAGE_TYPES = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
_UNKNOWN = ("", "unknown")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_ANNOTATIONS = gojson.MapOf(gojson.TEXT)
_PLATFORM = gojson.Struct({"architecture": gojson.TEXT, "os": gojson.TEXT, "variant": gojson.TEXT})
_DESCRIPTOR = gojson.Struct(
    {
        "mediaType": gojson.TEXT,
        "size": gojson.INT64,
        "digest": gojson.TEXT,
        "annotations": _ANNOTATIONS,
        "platform": gojson.Nullable(_PLATFORM),
    }
)
MANIFEST = gojson.Struct({"config": _DESCRIPTOR, "annotations": _ANNOTATIONS})
INDEX = gojson.Struct({"manifests": gojson.ListOf(_DESCRIPTOR), "annotations": _ANNOTATIONS})
CONFIG = gojson.Struct(
    {
        "architecture": gojson.TEXT,
        "os": gojson.TEXT,
        "variant": gojson.TEXT,
        "created": gojson.TIME,
        "config": gojson.Struct({"Labels": _ANNOTATIONS}),
    }
)


@attrs.frozen(kw_only=True)
class Platform:
    """One child of an index that is an image, or (up to v1.8) the platform in an image's config."""

    os: str
    arch: str
    variant: str = ""
    annotations: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def triple(self) -> tuple[str, str, str]:
        """What a platform constraint is compared with."""
        return self.os, self.arch, self.variant


@attrs.frozen(kw_only=True)
class ImageFacts:
    """What discovery knows of one image; `created` in nanoseconds since 1970, None if nothing tells."""

    digest: str
    created: int | None = None
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    platforms: tuple[Platform, ...] = ()

    @property
    def created_at(self) -> datetime | None:
        """The time as status stores it: whole seconds in UTC."""
        return None if self.created is None else _EPOCH + timedelta(seconds=self.created // 1_000_000_000)


@attrs.frozen(kw_only=True)
class Child:
    """One usable entry of an index."""

    digest: str
    platform: Platform


def parse_time(text: str) -> int | None:
    """RFC 3339 to nanoseconds since 1970; None for what Go does not read, and for its zero time."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(found[group]) for group in range(1, 7))
    try:
        # Year 0 is a year to Go and none to Python; nobody builds images before the year 1.
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    offset_hours, offset_minutes = int(found[9] or 0), int(found[10] or 0)
    if offset_hours > 24 or offset_minutes > 59:
        return None
    zone = (offset_hours * 60 + offset_minutes) * (-60 if found[8] == "-" else 60)
    span = local - _EPOCH
    whole = (span.days * 86400 + span.seconds - zone) * 1_000_000_000
    return whole + int((found[7] or "0")[:9].ljust(9, "0"))


_ZERO_TIME = parse_time("0001-01-01T00:00:00Z")


def stated(labels: Mapping[str, str]) -> int | None:
    """The first parsable creation time among annotations or labels."""
    for key in CREATED_KEYS:
        if key in labels and (found := parse_time(labels[key])) is not None:
            return found
    return None


def single_created(
    annotations: Mapping[str, str], config: Mapping[str, Any], *, profile: Profile = LATEST
) -> int | None:
    """The creation time of an image that is no index (discovery.md 3.6 rule 6)."""
    configured = parse_time(config["created"]) if config["created"] else None
    configured = None if configured == _ZERO_TIME else configured
    if profile.image_created == "config":
        return configured
    if (annotated := stated(annotations)) is not None:
        return annotated
    labelled = stated(config["config"]["Labels"])
    if profile.image_created == "first-found":
        return configured if labelled is None else labelled
    return latest((labelled, configured))


def latest(times: Iterable[int | None]) -> int | None:
    """The latest of some times, those that are not known left out."""
    return max((each for each in times if each is not None), default=None)


def index_created(
    annotations: Mapping[str, str],
    children: Iterable[tuple[Child, ImageFacts]],
    *,
    profile: Profile = LATEST,
) -> int | None:
    """The creation time of an index (discovery.md 3.6 rule 7); before HEAD just the newest child's own."""
    if profile.image_created != "annotation-then-later":
        return latest(facts.created for _, facts in children)
    if (annotated := stated(annotations)) is not None:
        return annotated
    return latest(
        facts.created if (entry := stated(child.platform.annotations)) is None else entry for child, facts in children
    )


def children(index: Mapping[str, Any]) -> tuple[Child, ...]:
    """The entries of an index that are images: those with a platform that is known."""
    found = []
    for entry in index["manifests"]:
        platform = entry["platform"]
        if platform is None or platform["os"] in _UNKNOWN or platform["architecture"] in _UNKNOWN:
            continue
        found.append(
            Child(
                digest=entry["digest"],
                platform=Platform(
                    os=platform["os"],
                    arch=platform["architecture"],
                    variant=platform["variant"],
                    annotations=entry["annotations"],
                ),
            )
        )
    return tuple(found)


def read(body: bytes, shape: gojson.Shape, what: str) -> Mapping[str, Any]:
    """A manifest, index or config as Go's structs hold it; UpstreamError if it is none."""
    try:
        document = gojson.decode(body, shape)
    except gojson.JSONError as error:
        raise UpstreamError(f"{what}: {error.message}") from None
    if not isinstance(document, Mapping):
        raise UpstreamError(f"{what}: not an object")
    return document
