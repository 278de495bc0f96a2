"""What is made in memory: reproducible, and what clients and registries understand."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.platforms.oci.images import (
    Artifact,
    Child,
    created_text,
    make_artifact,
    make_chart,
    make_image,
    make_index,
    make_schema1,
    make_signature,
)
from kargo_lab.platforms.oci.manifests import OCI_INDEX, OCI_MANIFEST, ManifestReadingError, read
from kargo_lab.platforms.oci.storage import digest_of

MAKERS: dict[str, Callable[[], Artifact]] = {
    "an image": lambda: make_image("x", created="2026-01-01T00:00:00Z", labels={"a": "b"}),
    "a Docker image": lambda: make_image("x", docker=True),
    "an index": lambda: make_index([Child(make_image("x"), "linux/amd64")], attestations=True),
    "an artifact": lambda: make_artifact("x/y", subject=make_image("x")),
    "a signature": lambda: make_signature(make_image("x"))[0],
    "a chart": lambda: make_chart("app", "1.0.0"),
    "a schema 1 manifest": lambda: make_schema1("a", "b"),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_making_twice_gives_the_same_digest(make: Callable[[], Artifact]) -> None:
    assert make().digest == make().digest


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_everything_lies_under_its_own_digest(make: Callable[[], Artifact]) -> None:
    artifact = make()
    assert artifact.digest == digest_of(artifact.manifest)
    assert all(digest_of(blob) == digest for digest, blob in artifact.blobs.items())


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_whatever_a_manifest_names_is_there(make: Callable[[], Artifact]) -> None:
    artifact = make()
    reading = read(artifact.manifest, artifact.media_type)
    assert set(reading.blobs) <= set(artifact.blobs)
    assert set(reading.children) == {child.digest for child in artifact.children}


def test_digests_do_not_depend_on_the_machine() -> None:
    assert make_image("x").digest == "sha256:e4b31477c05c5bf7b7e753c9865ce9581cb9cbe3d89f4e46f314a4d0841bf97c"
    assert (
        make_chart("app", "1.0.0").digest == "sha256:dd8d8df61f072c6d422fc6150b8d046b612b5b58d45f2a8da670ae174eab8bbb"
    )


def test_a_layer_is_an_archive_whose_content_the_config_names() -> None:
    image = make_image("hello")
    manifest = json.loads(image.manifest)
    layer = image.blobs[manifest["layers"][0]["digest"]]
    config = json.loads(image.blobs[manifest["config"]["digest"]])
    with tarfile.open(fileobj=BytesIO(layer)) as files:
        content = files.extractfile("content")
        assert content is not None
        assert content.read() == b"hello"
    assert config["rootfs"]["diff_ids"] == [digest_of(gzip.decompress(layer))]


def test_attestations_are_entries_of_an_unknown_platform() -> None:
    entries = json.loads(make_index([Child(make_image("x"), "linux/amd64")], attestations=True).manifest)["manifests"]
    assert [entry["platform"]["os"] for entry in entries] == ["linux", "unknown"]
    assert entries[1]["annotations"]["vnd.docker.reference.digest"] == entries[0]["digest"]


def test_a_signature_has_cosigns_tag() -> None:
    image = make_image("x")
    assert make_signature(image)[1] == f"sha256-{image.digest[7:]}.sig"


@pytest.mark.parametrize(
    ("created", "text"), [(None, ""), ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z")], ids=["no date", "an odd date"]
)
def test_dates_may_be_missing_or_odd(created: Any, text: str) -> None:
    assert created_text(created) == text


@given(st.binary(max_size=200))
def test_whatever_is_pushed_as_a_manifest_is_read_or_refused(body: bytes) -> None:
    try:
        read(body, "")
    except ManifestReadingError:
        return


MEMBERS = ["config", "layers", "manifests", "subject", "annotations", "digest", "size", "mediaType", "platform"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["", OCI_INDEX, OCI_MANIFEST, "x/y"]))
def test_whatever_json_is_pushed_as_a_manifest_is_read_or_refused(document: Any, media_type: str) -> None:
    try:
        read(json.dumps(document).encode(), media_type)
    except ManifestReadingError:
        return
