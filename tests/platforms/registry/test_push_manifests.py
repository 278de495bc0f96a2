"""Pushing manifests. The OCI distribution specification, point by point, over real HTTP.

Endpoint ids are those of opencontainers/distribution-spec, spec.md.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from kargo_lab.platforms.oci.images import Artifact, Child, make_artifact, make_image, make_index, make_schema1
from kargo_lab.platforms.oci.manifests import OCI_INDEX, OCI_MANIFEST
from kargo_lab.platforms.oci.storage import digest_of

Client = Any  # the client of conftest.py


ALGORITHMS = ["sha256", "sha512"]
IMAGE = make_image("an image")
INDEX = make_index([Child(IMAGE, "linux/amd64"), Child(make_image("arm"), "linux/arm64")])
NOWHERE = "sha256:" + "1" * 64


def code(answer: requests.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


ARTIFACT = make_artifact("application/vnd.example", "content", annotations={"a": "b"})
PUSHED = {
    "an image": IMAGE,
    "an index": INDEX,
    "an index of indexes": make_index([Child(INDEX), Child(make_index([]))]),
    "an empty index": make_index([]),
    "an artifact": ARTIFACT,
    "an image with Docker's types": make_image("d", docker=True),
    "a manifest list": make_index([Child(make_image("d", docker=True), "linux/amd64")], docker=True),
    "a schema 1 manifest": make_schema1("a", "b"),
    "an image nearly as large as allowed": make_image("x", annotations={f"k{n}": "A" * 10_000 for n in range(390)}),
}


@pytest.mark.parametrize("by", ["tag", "digest"])
@pytest.mark.parametrize("artifact", PUSHED.values(), ids=PUSHED.keys())
def test_a_manifest_is_stored_and_found_at_its_location(call: Client, name: str, artifact: Artifact, by: str) -> None:
    answer = call.push_manifest(name, artifact, "v1" if by == "tag" else "")
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, artifact.digest)
    found = call("GET", answer.headers["Location"])
    assert (found.content, found.headers["Content-Type"]) == (artifact.manifest, artifact.media_type)


def test_a_manifest_is_stored_under_a_sha512_digest(call: Client, name: str) -> None:
    digest = digest_of(IMAGE.manifest, "sha512")
    answer = call.push_manifest(name, IMAGE, digest)
    assert answer.headers["Docker-Content-Digest"] == digest
    assert call("GET", f"{name}/manifests/{digest}").content == IMAGE.manifest


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_push_by_digest_sets_the_tags_of_its_parameters(call: Client, name: str, algorithm: str) -> None:
    digest = digest_of(IMAGE.manifest, algorithm)
    answer = call.push_manifest(name, IMAGE, f"{digest}?tag=one&tag=two")
    assert {tag.strip() for tag in answer.headers["OCI-Tag"].split(",")} == {"one", "two"}
    assert call("HEAD", f"{name}/manifests/two").headers["Docker-Content-Digest"] == digest


NO_LAYERS = b'{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"x/y","digest":"%s","size":2},"layers":[]%s}'


def test_a_manifest_without_layers_is_taken(call: Client, name: str) -> None:
    body = NO_LAYERS % (OCI_MANIFEST.encode(), call.push_blob(name, b"{}").encode(), b"")
    answer = call("PUT", f"{name}/manifests/v1", data=body, headers={"Content-Type": OCI_MANIFEST})
    assert answer.status_code == 201


def test_a_manifest_with_members_nobody_knows_comes_back_with_them(call: Client, name: str) -> None:
    body = NO_LAYERS % (OCI_MANIFEST.encode(), call.push_blob(name, b"{}").encode(), b',"org.example":[1]')
    call("PUT", f"{name}/manifests/v1", data=body, headers={"Content-Type": OCI_MANIFEST})
    assert call("GET", f"{name}/manifests/v1").content == body


def test_layers_that_live_elsewhere_need_not_be_pushed(call: Client, name: str) -> None:
    document = json.loads(NO_LAYERS % (OCI_MANIFEST.encode(), call.push_blob(name, b"{}").encode(), b""))
    document["layers"] = [
        {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "digest": NOWHERE, "size": 1}
    ]
    answer = call("PUT", f"{name}/manifests/v1", json=document, headers={"Content-Type": OCI_MANIFEST})
    assert answer.status_code == 201


@pytest.mark.parametrize("reference", [NOWHERE, "sha256:baddigeststring"])
def test_a_manifest_that_does_not_have_the_digest_is_400(call: Client, name: str, reference: str) -> None:
    answer = call.push_manifest(name, IMAGE, reference)
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")


def test_a_manifest_whose_blobs_are_missing_is_400(call: Client, name: str) -> None:
    answer = call("PUT", f"{name}/manifests/v1", data=IMAGE.manifest, headers={"Content-Type": OCI_MANIFEST})
    assert (answer.status_code, code(answer)) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_an_index_whose_children_are_missing_is_400(call: Client, name: str) -> None:
    answer = call("PUT", f"{name}/manifests/v1", data=INDEX.manifest, headers={"Content-Type": OCI_INDEX})
    assert (answer.status_code, code(answer)) == (400, "MANIFEST_BLOB_UNKNOWN")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"config":1}', b'{"config":{"digest":"sha256:1"}}',
        b'{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}', b'{"layers":{}}',
        b'{"config":{"digest":"' + NOWHERE.encode() + b'","size":-1}}', b"[" * 100_000,
        b'{"schemaVersion":1,"config":{}}',
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_400(call: Client, name: str, body: bytes) -> None:
    answer = call("PUT", f"{name}/manifests/v1", data=body, headers={"Content-Type": OCI_MANIFEST})
    assert (answer.status_code, code(answer)) == (400, "MANIFEST_INVALID")


def test_a_manifest_beyond_4_mib_is_413(call: Client, name: str) -> None:
    answer = call("PUT", f"{name}/manifests/v1", data=b" " * (4 << 20) + b"{}", headers={"Content-Type": OCI_MANIFEST})
    assert (answer.status_code, code(answer)) == (413, "SIZE_INVALID")


@pytest.mark.parametrize("tag", [".dot", "-dash", "a" * 129, "spa%20ce"])
def test_what_cannot_be_a_tag_is_400(call: Client, name: str, tag: str) -> None:
    assert call("PUT", f"{name}/manifests/{tag}", data=b"{}").status_code == 400


@pytest.mark.parametrize("repository", ["Upper/case", "a..b", "a/-b", "a" * 256, "a/_b"])
def test_what_cannot_be_a_repository_is_400(call: Client, repository: str) -> None:
    answer = call("GET", f"{repository}/tags/list")
    assert (answer.status_code, code(answer)) == (400, "NAME_INVALID")


def test_pushing_twice_is_pushing_once(call: Client, name: str) -> None:
    answers = [call.push_manifest(name, IMAGE, "v1").status_code for _ in range(2)]
    assert (answers, call("GET", f"{name}/tags/list").json()["tags"]) == ([201, 201], ["v1"])


def test_a_tag_moves_to_what_was_pushed_last(call: Client, name: str) -> None:
    for artifact in (IMAGE, ARTIFACT):
        call.push_manifest(name, artifact, "latest")
    assert call("HEAD", f"{name}/manifests/latest").headers["Docker-Content-Digest"] == ARTIFACT.digest
