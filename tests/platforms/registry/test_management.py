"""Content management. The OCI distribution specification, point by point, over real HTTP.

Endpoint ids are those of opencontainers/distribution-spec, spec.md.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from kargo_lab.platforms.oci.images import make_image

Client = Any  # the client of conftest.py


BLOB = b"0123456789" * 200
IMAGE = make_image("an image")
NOWHERE = "sha256:" + "1" * 64


def code(answer: requests.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


def test_deleting_a_tag_leaves_the_manifest(call: Client, name: str) -> None:
    call.push_manifest(name, IMAGE, "v1")
    assert call("DELETE", f"{name}/manifests/v1").status_code == 202
    assert call("HEAD", f"{name}/manifests/v1").status_code == 404
    assert call("HEAD", f"{name}/manifests/{IMAGE.digest}").status_code == 200


def test_deleting_a_manifest_takes_its_tags_along(call: Client, tagged: str) -> None:
    assert call("DELETE", f"{tagged}/manifests/{IMAGE.digest}").status_code == 202
    assert call("HEAD", f"{tagged}/manifests/a").status_code == 404
    assert call("GET", f"{tagged}/tags/list").json()["tags"] == []


@pytest.mark.parametrize("reference", ["missing", NOWHERE])
def test_deleting_a_manifest_that_is_not_there_is_404(call: Client, name: str, reference: str) -> None:
    answer = call("DELETE", f"{name}/manifests/{reference}")
    assert (answer.status_code, code(answer)) == (404, "MANIFEST_UNKNOWN")


def test_deleting_a_blob_ends_it_in_this_repository_only(call: Client, name: str) -> None:
    digest = call.push_blob(name, BLOB)
    call.push_blob(f"{name}/other", BLOB)
    assert call("DELETE", f"{name}/blobs/{digest}").status_code == 202
    assert call("HEAD", f"{name}/blobs/{digest}").status_code == 404
    assert call("GET", f"{name}/other/blobs/{digest}").content == BLOB


def test_the_last_repository_that_deletes_a_blob_frees_the_file(call: Client, name: str) -> None:
    digest = call.push_blob(name, name.encode())
    call("DELETE", f"{name}/blobs/{digest}")
    assert not call.registry.storage.path(digest).exists()


def test_deleting_a_blob_that_is_not_there_is_404(call: Client, name: str) -> None:
    answer = call("DELETE", f"{name}/blobs/{NOWHERE}")
    assert (answer.status_code, code(answer)) == (404, "BLOB_UNKNOWN")


def test_what_was_deleted_can_be_pushed_again(call: Client, name: str) -> None:
    for _ in range(2):
        assert call.push_manifest(name, IMAGE, "v1").status_code == 201
        assert call("DELETE", f"{name}/manifests/{IMAGE.digest}").status_code == 202
