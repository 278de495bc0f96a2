"""Images, indexes, attestations, signatures and charts as OCI artifacts, made in memory with reproducible digests.

Pure: the same arguments give the same bytes. The layers are real archives and the configs real
configs, so that skopeo and docker accept what is made here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import attrs

from kargo_lab.platforms.oci.chart_packages import CONFIG_MEDIA_TYPE, CONTENT_MEDIA_TYPE, gzip, package_chart, tar
from kargo_lab.platforms.oci.manifests import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    OCI_INDEX,
    OCI_MANIFEST,
)
from kargo_lab.platforms.oci.storage import digest_of

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
EMPTY_CONFIG = "application/vnd.oci.empty.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
COSIGN_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"

Created = datetime | str | None


@attrs.frozen(kw_only=True)
class Artifact:
    """A manifest with everything it needs: its blobs by digest, and the manifests it lists."""

    manifest: bytes
    media_type: str
    digest: str
    blobs: Mapping[str, bytes] = MappingProxyType({})
    children: tuple[Artifact, ...] = ()


@attrs.frozen
class Child:
    """An entry of an index. A platform reads `linux/arm64/v8`; empty for none.

    A `missing` child is listed and not stored, as after somebody deleted it.
    """

    artifact: Artifact
    platform: str = ""
    annotations: Mapping[str, str] = MappingProxyType({})
    missing: bool = False


def created_text(created: Created) -> str:
    """RFC 3339 in UTC; text is taken as it is, so that reproducible builds' odd dates can be had."""
    if isinstance(created, str):
        return created
    if created is None:
        return ""
    return created.astimezone(UTC).isoformat().replace("+00:00", "Z")


def make_image(
    content: bytes | str = b"",
    *,
    created: Created = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    platform: str = "linux/amd64",
    docker: bool = False,
    config_media_type: str = "",
    subject: Artifact | None = None,
) -> Artifact:
    """One image of one layer, which holds `content` as a file.

    Without `created` the config has no date at all. `docker` chooses Docker's media types; they know no annotations,
    yet registries store them, so they are written if given.
    """
    raw = content.encode() if isinstance(content, str) else content
    archive = tar({"content": raw})
    layer = gzip(archive)
    config = _image_config(created, labels, platform, digest_of(archive))
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        "config": _descriptor(config_media_type or (DOCKER_CONFIG if docker else OCI_CONFIG), config),
        "layers": [_descriptor(DOCKER_LAYER if docker else OCI_LAYER, layer)],
        **_optional(annotations, subject),
    }
    return _artifact(manifest, config, layer)


def _image_config(created: Created, labels: Mapping[str, str] | None, platform: str, layer: str) -> bytes:
    system, architecture, variant = [*platform.split("/", 2), "", ""][:3]
    config: dict[str, Any] = {"architecture": architecture, "os": system}
    if variant:
        config["variant"] = variant
    if text := created_text(created):
        config["created"] = text
    config["config"] = {"Labels": dict(labels)} if labels else {}
    config["rootfs"] = {"type": "layers", "diff_ids": [layer]}
    config["history"] = [{"created_by": "kargo-lab", **({"created": text} if text else {})}]
    return _json(config)


def make_index(
    children: Sequence[Child],
    *,
    annotations: Mapping[str, str] | None = None,
    attestations: bool = False,
    docker: bool = False,
    subject: Artifact | None = None,
) -> Artifact:
    """An index (or Docker's manifest list) of its children, followed by their attestations if wanted."""
    listed = list(children)
    if attestations:
        listed += [_attestation(child.artifact) for child in children]
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_LIST if docker else OCI_INDEX,
        "manifests": [_entry(child) for child in listed],
        **_optional(annotations, subject),
    }
    stored = tuple(child.artifact for child in listed if not child.missing)
    return attrs.evolve(_artifact(manifest), children=stored)


def _entry(child: Child) -> dict[str, Any]:
    entry = _descriptor(child.artifact.media_type, child.artifact.manifest)
    if child.annotations:
        entry["annotations"] = dict(child.annotations)
    if child.platform:
        system, architecture, variant = [*child.platform.split("/", 2), "", ""][:3]
        entry["platform"] = {"architecture": architecture, "os": system, **({"variant": variant} if variant else {})}
    return entry


def _attestation(image: Artifact) -> Child:
    """What BuildKit adds to an index for each image; its platform is `unknown/unknown` (platforms.md 13.1)."""
    statement = _json(
        {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{"name": "image", "digest": {"sha256": image.digest.partition(":")[2]}}],
            "predicate": {},
        }
    )
    config = _image_config(None, None, "unknown/unknown", digest_of(statement))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _descriptor(OCI_CONFIG, config),
        "layers": [_descriptor(IN_TOTO, statement)],
    }
    annotations = {
        "vnd.docker.reference.digest": image.digest,
        "vnd.docker.reference.type": "attestation-manifest",
    }
    return Child(_artifact(manifest, config, statement), "unknown/unknown", annotations)


def make_artifact(
    artifact_type: str,
    content: bytes | str = b"{}",
    *,
    annotations: Mapping[str, str] | None = None,
    subject: Artifact | None = None,
) -> Artifact:
    """Anything else: one blob, the empty config, and perhaps a subject it refers to."""
    raw = content.encode() if isinstance(content, str) else content
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": _descriptor(EMPTY_CONFIG, b"{}"),
        "layers": [_descriptor(artifact_type, raw)],
        **_optional(annotations, subject),
    }
    return _artifact(manifest, b"{}", raw)


def make_signature(image: Artifact) -> tuple[Artifact, str]:
    """A cosign-shaped signature of an image, and the tag `sha256-<hex>.sig` under which cosign pushes it."""
    payload = _json({"critical": {"image": {"docker-manifest-digest": image.digest}, "type": "cosign"}})
    config = _image_config(None, None, "/", digest_of(payload))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _descriptor(OCI_CONFIG, config),
        "layers": [_descriptor(COSIGN_LAYER, payload)],
    }
    return _artifact(manifest, config, payload), f"{image.digest.replace(':', '-')}.sig"


def make_chart(
    name: str, version: str, *, app_version: str = "", created: Created = None, values: str = ""
) -> Artifact:
    """A Helm chart as `helm push` stores it: Chart.yaml as the config, the archive as the only layer."""
    chart = package_chart(name, version, app_version=app_version, values=values)
    annotations = {
        "org.opencontainers.image.description": str(chart.metadata["description"]),
        "org.opencontainers.image.title": name,
        "org.opencontainers.image.version": version,
    }
    if text := created_text(created):
        annotations["org.opencontainers.image.created"] = text
    manifest = {
        "schemaVersion": 2,
        "config": _descriptor(CONFIG_MEDIA_TYPE, chart.config),
        "layers": [_descriptor(CONTENT_MEDIA_TYPE, chart.archive)],
        "annotations": annotations,
    }
    return _artifact(manifest, chart.config, chart.archive)


def make_schema1(name: str, tag: str) -> Artifact:
    """Docker's first manifest format, unsigned: only there to be refused."""
    manifest = {
        "schemaVersion": 1,
        "name": name,
        "tag": tag,
        "architecture": "amd64",
        "fsLayers": [],
        "history": [],
    }
    return attrs.evolve(_artifact(manifest), media_type=DOCKER_SCHEMA1)


def _optional(annotations: Mapping[str, str] | None, subject: Artifact | None) -> dict[str, Any]:
    optional: dict[str, Any] = {"annotations": dict(annotations)} if annotations else {}
    if subject is not None:
        optional["subject"] = _descriptor(subject.media_type, subject.manifest)
    return optional


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _artifact(manifest: dict[str, Any], *blobs: bytes) -> Artifact:
    body = _json(manifest)
    return Artifact(
        manifest=body,
        media_type=manifest.get("mediaType", OCI_MANIFEST),
        digest=digest_of(body),
        blobs={digest_of(blob): blob for blob in blobs},
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
