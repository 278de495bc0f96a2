"""Pulling. The OCI distribution specification, point by point, over real HTTP.

Endpoint ids are those of opencontainers/distribution-spec, spec.md.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.oci.manifests import OCI_MANIFEST

Client = Any  # the client of conftest.py


ALGORITHMS = ["sha256", "sha512"]
BLOB = b"0123456789" * 200
IMAGE = make_image("an image")
NOWHERE = "sha256:" + "1" * 64


def code(answer: requests.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


def test_the_version_check_answers_200(call: Client) -> None:
    answer = call("GET", "/v2/")
    assert (answer.status_code, answer.headers["Docker-Distribution-Api-Version"]) == (200, "registry/2.0")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_manifest_is_pulled_with_its_type_length_and_digest(call: Client, name: str, method: str, by: str) -> None:
    call.push_manifest(name, IMAGE, "v1")
    answer = call(method, f"{name}/manifests/{'v1' if by == 'tag' else IMAGE.digest}")
    told = (answer.headers["Content-Type"], answer.headers["Docker-Content-Digest"], answer.headers["Content-Length"])
    assert told == (OCI_MANIFEST, IMAGE.digest, str(len(IMAGE.manifest)))


def test_the_bytes_of_a_manifest_come_back_as_they_were_pushed(call: Client, name: str) -> None:
    call.push_manifest(name, IMAGE, "v1")
    assert call("GET", f"{name}/manifests/v1").content == IMAGE.manifest


def test_a_head_answer_has_no_body(call: Client, name: str) -> None:
    call.push_manifest(name, IMAGE, "v1")
    assert call("HEAD", f"{name}/manifests/v1").content == b""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["missing", NOWHERE, "sha256:baddigeststring", ".not-a-tag"])
def test_a_manifest_that_is_not_there_is_404(call: Client, name: str, method: str, reference: str) -> None:
    assert call(method, f"{name}/manifests/{reference}").status_code == 404


def test_a_missing_manifest_is_named_by_its_error_code(call: Client, name: str) -> None:
    assert code(call("GET", f"{name}/manifests/missing")) == "MANIFEST_UNKNOWN"


def test_a_manifest_of_another_repository_is_not_seen(call: Client, name: str) -> None:
    call.push_manifest(name, IMAGE, "v1")
    assert call("GET", f"{name}-other/manifests/{IMAGE.digest}").status_code == 404


def test_a_known_manifest_is_not_sent_again(call: Client, name: str) -> None:
    call.push_manifest(name, IMAGE, "v1")
    etag = call("HEAD", f"{name}/manifests/v1").headers["ETag"]
    assert call("GET", f"{name}/manifests/v1", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_is_pulled_with_its_length_and_digest(call: Client, name: str, method: str, algorithm: str) -> None:
    digest = call.registry.storage.put_blob(name, BLOB, algorithm=algorithm)
    answer = call(method, f"{name}/blobs/{digest}")
    told = (answer.status_code, answer.headers["Content-Length"], answer.headers["Docker-Content-Digest"])
    assert told == (200, str(len(BLOB)), digest)
    assert answer.content == (BLOB if method == "GET" else b"")


@pytest.mark.parametrize(("digest", "status"), [(NOWHERE, 404), ("sha256:bad", 400), ("md5:" + "0" * 32, 400)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_that_is_not_there_is_refused(call: Client, name: str, method: str, digest: str, status: int) -> None:
    assert call(method, f"{name}/blobs/{digest}").status_code == status


def test_a_blob_of_another_repository_is_not_seen(call: Client, name: str) -> None:
    digest = call.push_blob(f"{name}/other", BLOB)
    assert code(call("GET", f"{name}/blobs/{digest}")) == "BLOB_UNKNOWN"


@pytest.mark.parametrize(
    ("range_", "first", "last"),
    [("500-1499", 500, 1499), ("500-", 500, 1999), ("-500", 1500, 1999), ("1900-5000", 1900, 1999), ("-9999", 0, 1999)],
)
def test_a_range_of_a_blob_is_206(call: Client, name: str, range_: str, first: int, last: int) -> None:
    digest = call.push_blob(name, BLOB)
    answer = call("GET", f"{name}/blobs/{digest}", headers={"Range": f"bytes={range_}"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (206, f"bytes {first}-{last}/2000")
    assert answer.content == BLOB[first : last + 1]


@pytest.mark.parametrize("range_", ["500-0", "5000-10000", "2000-", "-0"])
def test_a_range_beyond_a_blob_is_416(call: Client, name: str, range_: str) -> None:
    digest = call.push_blob(name, BLOB)
    answer = call("GET", f"{name}/blobs/{digest}", headers={"Range": f"bytes={range_}"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */2000")


@pytest.mark.parametrize("range_", ["bytes=0-1,5-6", "lines=0-1", "bytes=-", "bytes=x-y"])
def test_a_range_that_is_not_understood_is_the_whole_blob(call: Client, name: str, range_: str) -> None:
    digest = call.push_blob(name, BLOB)
    assert call("GET", f"{name}/blobs/{digest}", headers={"Range": range_}).status_code == 200
