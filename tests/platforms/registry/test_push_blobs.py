"""Pushing blobs. The OCI distribution specification, point by point, over real HTTP.

Endpoint ids are those of opencontainers/distribution-spec, spec.md.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from kargo_lab.platforms.oci.storage import digest_of

Client = Any  # the client of conftest.py


ALGORITHMS = ["sha256", "sha512"]
BLOB = b"0123456789" * 200
NOWHERE = "sha256:" + "1" * 64


def code(answer: requests.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


def begin(call: Client, name: str, **params: str) -> str:
    answer = call("POST", f"{name}/blobs/uploads/", params=params)
    assert answer.status_code == 202
    return str(answer.headers["Location"])


def assert_pulled(call: Client, answer: requests.Response, content: bytes) -> None:
    assert answer.status_code == 201
    assert call("GET", answer.headers["Location"]).content == content


@pytest.mark.parametrize("content", [BLOB, b""], ids=["some bytes", "an empty blob"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_post_then_put_stores_a_blob(call: Client, name: str, algorithm: str, content: bytes) -> None:
    digest = digest_of(content, algorithm)
    answer = call("PUT", begin(call, name), params={"digest": digest}, data=content)
    assert answer.headers["Docker-Content-Digest"] == digest
    assert_pulled(call, answer, content)


@pytest.mark.parametrize("content", [BLOB, b""], ids=["some bytes", "an empty blob"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_single_post_stores_a_blob(call: Client, name: str, algorithm: str, content: bytes) -> None:
    digest = digest_of(content, algorithm)
    assert_pulled(call, call("POST", f"{name}/blobs/uploads/", params={"digest": digest}, data=content), content)


@pytest.mark.parametrize("slash", ["/", ""])
def test_an_upload_begins_with_an_empty_range(call: Client, name: str, slash: str) -> None:
    answer = call("POST", f"{name}/blobs/uploads{slash}")
    assert (answer.status_code, answer.headers["Range"], answer.headers["Content-Length"]) == (202, "0-0", "0")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_stream_of_unknown_length_stores_a_blob(call: Client, name: str, algorithm: str) -> None:
    streamed = call("PATCH", begin(call, name), data=iter([BLOB[:700], BLOB[700:]]))
    assert (streamed.status_code, streamed.headers["Range"]) == (202, "0-1999")
    digest = digest_of(BLOB, algorithm)
    assert_pulled(call, call("PUT", streamed.headers["Location"], params={"digest": digest}), BLOB)


@pytest.mark.parametrize("last_method", ["PATCH", "PUT"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_chunks_in_order_store_a_blob(call: Client, name: str, algorithm: str, last_method: str) -> None:
    where, digest = begin(call, name), {"digest": digest_of(BLOB, algorithm)}
    answer = call("PATCH", where, data=BLOB[:900], headers={"Content-Range": "0-899"})
    assert answer.headers["Range"] == "0-899"
    final = {"params": digest} if last_method == "PUT" else {}
    answer = call(
        last_method, answer.headers["Location"], data=BLOB[900:], headers={"Content-Range": "900-1999"}, **final
    )
    if last_method == "PATCH":
        answer = call("PUT", answer.headers["Location"], params=digest)
    assert_pulled(call, answer, BLOB)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("range_", ["1000-1899", "0-899", "899-1798", "901-1800", "900-1000"])
def test_a_chunk_out_of_order_is_416_and_says_what_arrived(call: Client, name: str, method: str, range_: str) -> None:
    where = call("PATCH", begin(call, name), data=BLOB[:900], headers={"Content-Range": "0-899"}).headers["Location"]
    params = {"digest": digest_of(BLOB)} if method == "PUT" else {}
    answer = call(method, where, data=BLOB[:900], headers={"Content-Range": range_}, params=params)
    assert (answer.status_code, answer.headers["Range"], answer.headers["Location"]) == (416, "0-899", where)


def test_an_upload_goes_on_after_a_chunk_out_of_order(call: Client, name: str) -> None:
    where = begin(call, name)
    call("PATCH", where, data=BLOB[1000:], headers={"Content-Range": "1000-1999"})
    status = call("GET", where)
    assert (status.status_code, status.headers["Range"]) == (204, "0-0")
    assert call("PATCH", where, data=BLOB, headers={"Content-Range": "0-1999"}).status_code == 202
    assert call("GET", where).headers["Range"] == "0-1999"


def test_a_content_range_that_cannot_be_read_is_400(call: Client, name: str) -> None:
    answer = call("PATCH", begin(call, name), data=b"x", headers={"Content-Range": "from the start"})
    assert (answer.status_code, code(answer)) == (400, "BLOB_UPLOAD_INVALID")


def test_a_content_range_with_a_unit_is_taken(call: Client, name: str) -> None:
    answer = call("PATCH", begin(call, name), data=b"xy", headers={"Content-Range": "bytes 0-1/*"})
    assert answer.status_code == 202


def wrong_post(call: Client, name: str, digest: str) -> requests.Response:
    return call("POST", f"{name}/blobs/uploads/", params={"digest": digest}, data=b"other bytes")


def wrong_put(call: Client, name: str, digest: str) -> requests.Response:
    return call("PUT", begin(call, name), params={"digest": digest}, data=b"other bytes")


def wrong_patch(call: Client, name: str, digest: str) -> requests.Response:
    where = call("PATCH", begin(call, name), data=b"other bytes").headers["Location"]
    return call("PUT", where, params={"digest": digest})


@pytest.mark.parametrize("push", [wrong_post, wrong_put, wrong_patch])
@pytest.mark.parametrize("digest", [*(digest_of(BLOB, one) for one in ALGORITHMS), "sha256:bad", "md5:" + "0" * 32])
def test_bytes_that_do_not_have_the_digest_are_400(call: Client, name: str, push: Any, digest: str) -> None:
    answer = push(call, name, digest)
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    assert call("HEAD", f"{name}/blobs/{digest_of(BLOB)}").status_code == 404


def test_a_put_without_digest_is_400(call: Client, name: str) -> None:
    assert call("PUT", begin(call, name), data=BLOB).status_code == 400


def test_an_upload_can_be_cancelled(call: Client, name: str) -> None:
    where = begin(call, name)
    assert call("DELETE", where).status_code == 204
    assert call("GET", where).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_upload_nobody_began_is_404(call: Client, name: str, method: str) -> None:
    answer = call(method, f"{name}/blobs/uploads/unknown", params={"digest": digest_of(b"")})
    assert (answer.status_code, code(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_an_upload_belongs_to_its_repository(call: Client, name: str) -> None:
    identity = begin(call, name).rpartition("/")[2]
    assert call("GET", f"{name}/other/blobs/uploads/{identity}").status_code == 404


def test_nothing_is_left_of_finished_uploads(call: Client, name: str) -> None:
    call("PUT", begin(call, name), params={"digest": digest_of(BLOB)}, data=BLOB)
    call("DELETE", begin(call, name))
    wrong_put(call, name, NOWHERE)
    left = [file.name for file in call.registry.storage.incoming.iterdir()]
    assert [identity for identity in left if call("GET", f"{name}/blobs/uploads/{identity}").ok] == []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob_is_mounted_from_a_named_repository(call: Client, name: str, algorithm: str) -> None:
    digest = call.registry.storage.put_blob(f"{name}/source", BLOB, algorithm=algorithm)
    answer = call("POST", f"{name}/blobs/uploads/", params={"mount": digest, "from": f"{name}/source"})
    assert_pulled(call, answer, BLOB)


def test_a_blob_is_mounted_from_wherever_it_is(call: Client, name: str) -> None:
    content = name.encode()
    digest = call.push_blob(f"{name}/source", content)
    assert_pulled(call, call("POST", f"{name}/blobs/uploads/", params={"mount": digest}), content)


@pytest.mark.parametrize("source", [{}, {"from": "conformance/nowhere"}], ids=["anywhere", "from one repository"])
def test_a_mount_of_a_missing_blob_begins_an_upload(call: Client, name: str, source: dict[str, str]) -> None:
    answer = call("POST", f"{name}/blobs/uploads/", params={"mount": NOWHERE, **source})
    assert answer.status_code == 202
    assert "/blobs/uploads/" in answer.headers["Location"]
