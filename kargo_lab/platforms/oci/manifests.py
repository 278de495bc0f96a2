"""Reading manifests as a registry must: enough to store, link and list them, and no more.

Pure. OCI image manifests and indexes, Docker's schema 2 and manifest lists, and Docker's schema 1
(for tests of clients that must refuse it) are told apart here, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from kargo_lab.platforms.oci.storage import is_digest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})

# Layers that live elsewhere: a registry does not expect to have been given them.
FOREIGN = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")


class ManifestReadingError(ValueError):
    """Why a manifest is refused, in words for the `message` of the error."""


@attrs.frozen(kw_only=True)
class Reading:
    """What a registry needs to know of a manifest.

    `blobs` and `children` are the digests it refers to and that must be there before it.
    """

    media_type: str
    artifact_type: str = ""
    subject: str = ""
    annotations: Mapping[str, str] = MappingProxyType({})
    config_media_type: str = ""
    config_digest: str = ""
    config_size: int = 0
    blobs: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    platforms: tuple[tuple[str, str], ...] = ()

    def descriptor(self, digest: str, size: int) -> str:
        """The JSON that the list of referrers shows.

        The artifact type of an image manifest without one is the media type of its config
        (OCI distribution-spec, "Listing Referrers").
        """
        shown: dict[str, Any] = {"mediaType": self.media_type, "digest": digest, "size": size}
        if artifact_type := self.artifact_type or self.config_media_type:
            shown["artifactType"] = artifact_type
        if self.annotations:
            shown["annotations"] = dict(self.annotations)
        return json.dumps(shown)


def read(body: bytes, content_type: str) -> Reading:
    """Read a manifest. Raises ManifestReadingError for what is no manifest at all, or contradicts itself."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ManifestReadingError("the manifest is not JSON") from error
    if not isinstance(document, dict):
        raise ManifestReadingError("the manifest is not a JSON object")
    declared = _text(document, "mediaType")
    media_type = content_type.partition(";")[0].strip()
    if media_type in ("", "application/json"):
        media_type = declared or _guess(document)
    if declared and declared != media_type:
        raise ManifestReadingError(f"the manifest says it is {declared}, its Content-Type says {media_type}")
    if media_type in SCHEMA1:
        return Reading(media_type=media_type)
    if document.get("schemaVersion") not in (2, None):
        raise ManifestReadingError(f"schemaVersion {document['schemaVersion']} does not belong to {media_type}")
    if media_type in INDEXES:
        return _read_index(document, media_type)
    return _read_image(document, media_type)


def _read_index(document: dict[str, Any], media_type: str) -> Reading:
    entries = _descriptors(document, "manifests")
    platforms = (entry.get("platform") for entry in entries)
    return Reading(
        media_type=media_type,
        artifact_type=_text(document, "artifactType"),
        subject=_subject(document),
        annotations=_annotations(document),
        children=tuple(entry["digest"] for entry in entries),
        platforms=tuple(
            (_text(platform, "os"), _text(platform, "architecture"))
            for platform in platforms
            if isinstance(platform, dict)
        ),
    )


def _read_image(document: dict[str, Any], media_type: str) -> Reading:
    config = document.get("config")
    if media_type in (OCI_MANIFEST, DOCKER_MANIFEST) and not isinstance(config, dict):
        raise ManifestReadingError("the manifest has no config")
    config = _descriptor(config, "config") if isinstance(config, dict) else {}
    layers = [
        layer
        for layer in _descriptors(document, "layers")
        if not layer.get("urls") and not _text(layer, "mediaType").startswith(FOREIGN)
    ]
    named = ([config] if config else []) + layers
    return Reading(
        media_type=media_type,
        artifact_type=_text(document, "artifactType"),
        subject=_subject(document),
        annotations=_annotations(document),
        config_media_type=_text(config, "mediaType"),
        config_digest=config.get("digest", ""),
        config_size=config.get("size", 0),
        blobs=tuple(descriptor["digest"] for descriptor in named),
    )


def _guess(document: dict[str, Any]) -> str:
    if document.get("schemaVersion") == 1:
        return DOCKER_SCHEMA1_SIGNED if "signatures" in document else DOCKER_SCHEMA1
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise ManifestReadingError(f"{key} is not text")
    return value or ""


def _descriptor(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ManifestReadingError(f"{where} is not a descriptor")
    if not isinstance(value.get("digest"), str) or not is_digest(value["digest"]):
        raise ManifestReadingError(f"{where} has no valid digest")
    size = value.get("size", 0)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ManifestReadingError(f"{where} has no valid size")
    return value


def _descriptors(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = document.get(key)
    if values is None:
        return []
    if not isinstance(values, list):
        raise ManifestReadingError(f"{key} is not a list")
    return [_descriptor(value, f"{key}[{index}]") for index, value in enumerate(values)]


def _subject(document: dict[str, Any]) -> str:
    subject = document.get("subject")
    return "" if subject is None else str(_descriptor(subject, "subject")["digest"])


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    annotations = document.get("annotations") or {}
    if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
        raise ManifestReadingError("annotations is not a map of text")
    return annotations
