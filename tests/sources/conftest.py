"""Registries filled from a vector's own description, shared by the tests of images and of request counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from kargo_lab.platforms.access import AccessRow
from kargo_lab.platforms.oci.images import Artifact, Child, make_image, make_index
from kargo_lab.sources import oci

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x")


def kinds(rows: Iterable[AccessRow]) -> dict[str, int]:
    """Requests at the registry by the kinds of request-counts.json."""
    return dict(Counter(kind_of(row) for row in rows))


def kind_of(row: AccessRow) -> str:
    if row.path == "/v2/":
        return "ping"
    if row.path == "/token":
        return "token"
    if row.path.endswith("/tags/list"):
        return "tags"
    if "/manifests/" in row.path:
        return "manifest-by-digest" if "/manifests/sha256:" in row.path else "manifest-by-tag"
    if "/blobs/" in row.path and row.path.startswith("/v2/"):
        return "blob"
    return "redirected-blob"


def version(index: int) -> str:
    """The tags of the table: 1.0.0, 1.1.0, ... so that `^1\\.\\d\\.0$` takes ten of fifty."""
    return f"1.{index}.0"


def image(seed: str, *, platforms: int = 0, attestations: bool = False) -> Artifact:
    """A single image, or an index of so many platforms."""
    if not platforms:
        return make_image(seed, created="2026-01-01T00:00:00Z")
    children = [Child(make_image(f"{seed} {name}", platform=name), name) for name in PLATFORMS[:platforms]]
    return make_index(children, attestations=attestations)


def artifact(tag: Mapping[str, Any], media_types: str | None) -> Artifact:
    """An image or index as image-selection.json describes it."""
    docker = media_types == "docker"
    if tag["kind"] != "index":
        return make_image(
            tag["name"],
            created=tag.get("created") or None,
            labels=tag.get("labels"),
            annotations=tag.get("annotations"),
            docker=docker,
        )
    return make_index(
        [_child(tag["name"], place, child, docker) for place, child in enumerate(tag["children"])],
        annotations=tag.get("annotations"),
        docker=docker,
    )


def _child(name: str, place: int, child: Mapping[str, Any], docker: bool) -> Child:
    made = make_image(
        f"{name} {place}",
        created=child.get("created") or None,
        labels=child.get("labels"),
        annotations=child.get("manifest_annotations"),
        docker=docker,
    )
    parts = [child.get("os", ""), child.get("arch", ""), *([child["variant"]] if child.get("variant") else [])]
    shown = "" if child.get("no_platform") else "/".join(parts)
    if child.get("attestation"):
        shown = "unknown/unknown"
    return Child(made, shown, child.get("annotations") or {}, missing=bool(child.get("missing")))


@pytest.fixture(scope="session")
def scene() -> SimpleNamespace:
    """The functions above: test modules cannot import one another."""
    return SimpleNamespace(kinds=kinds, kind_of=kind_of, version=version, image=image, artifact=artifact)


@pytest.fixture(autouse=True)
def patient_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry without TLS says so at once, but on a crowded machine not within the 300 ms of lead that TLS has."""
    monkeypatch.setattr(oci, "TLS_LEAD_SECONDS", 10.0)
