"""Content discovery. The OCI distribution specification, point by point, over real HTTP.

Endpoint ids are those of opencontainers/distribution-spec, spec.md.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.oci.images import Artifact, make_artifact, make_image, make_index
from kargo_lab.platforms.oci.manifests import OCI_INDEX, OCI_MANIFEST
from kargo_lab.platforms.registry import Registry

Client = Any  # the client of conftest.py


IMAGE = make_image("an image")
NOWHERE = "sha256:" + "1" * 64

ARTIFACT = make_artifact("application/vnd.example", "content", annotations={"a": "b"})


def code(answer: requests.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


ORDERED = ["C", "a", "a10", "a2", "b"]


@pytest.mark.parametrize(
    ("query", "tags", "link"),
    [
        pytest.param("", ORDERED, None, id="all in the order of their bytes"),
        pytest.param("n=2", ["C", "a"], "last=a&n=2", id="a page with a link to the next"),
        pytest.param("n=2&last=a", ["a10", "a2"], "last=a2&n=2", id="the page after a tag"),
        pytest.param("n=2&last=a2", ["b"], None, id="the last page has no link"),
        pytest.param("n=5", ORDERED, None, id="a page that just fits has no link"),
        pytest.param("last=aa", ["b"], None, id="after a tag that does not exist"),
        pytest.param("last=z", [], None, id="after the end"),
        pytest.param("n=0", [], None, id="no tags were asked for"),
        pytest.param("n=999999999", ORDERED, None, id="more than there are"),
    ],
)
def test_tags_are_listed(call: Client, tagged: str, query: str, tags: list[str], link: str | None) -> None:
    answer = call("GET", f"{tagged}/tags/list?{query}")
    assert answer.json() == {"name": tagged, "tags": tags}
    assert answer.headers.get("Link") == (f'</v2/{tagged}/tags/list?{link}>; rel="next"' if link else None)


@pytest.mark.parametrize("number", ["-1", "x", "", "1.5"])
def test_a_page_size_that_is_no_number_is_400(call: Client, tagged: str, number: str) -> None:
    answer = call("GET", f"{tagged}/tags/list?n={number}")
    assert (answer.status_code, code(answer)) == (400, "PAGINATION_NUMBER_INVALID")


def test_tags_of_a_repository_nobody_pushed_to_are_404(call: Client, name: str) -> None:
    answer = call("GET", f"{name}/tags/list")
    assert (answer.status_code, code(answer)) == (404, "NAME_UNKNOWN")


def referrers(call: Client, name: str, subject: str, **params: str) -> Any:
    answer = call("GET", f"{name}/referrers/{subject}", params=params)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, OCI_INDEX)
    return answer.json()["manifests"]


SIGNATURE = make_artifact("application/vnd.example.signature", "s", subject=IMAGE, annotations={"who": "me"})
SBOM = make_artifact("application/vnd.example.sbom", "b", subject=IMAGE)
ATTACHED_IMAGE = make_image("attached", subject=IMAGE)
ATTACHED_INDEX = make_index([], subject=IMAGE)


@pytest.mark.parametrize("artifact", [SIGNATURE, ATTACHED_IMAGE, ATTACHED_INDEX])
def test_a_push_with_a_subject_says_so(call: Client, name: str, artifact: Artifact) -> None:
    assert call.push_manifest(name, artifact).headers["OCI-Subject"] == IMAGE.digest


def test_a_push_without_subject_says_nothing(call: Client, name: str) -> None:
    assert "OCI-Subject" not in call.push_manifest(name, IMAGE).headers


def test_referrers_are_listed_with_type_size_and_annotations(call: Client, name: str) -> None:
    call.push_manifest(name, SIGNATURE, "signed")
    assert referrers(call, name, IMAGE.digest) == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": SIGNATURE.digest,
            "size": len(SIGNATURE.manifest),
            "artifactType": "application/vnd.example.signature",
            "annotations": {"who": "me"},
        }
    ]


def test_an_image_that_refers_has_the_type_of_its_config(call: Client, name: str) -> None:
    call.push_manifest(name, ATTACHED_IMAGE)
    listed = [one["artifactType"] for one in referrers(call, name, IMAGE.digest)]
    assert listed == ["application/vnd.oci.image.config.v1+json"]


def test_an_index_that_refers_has_no_type_unless_it_says_so(call: Client, name: str) -> None:
    call.push_manifest(name, ATTACHED_INDEX)
    assert ["artifactType" in one for one in referrers(call, name, IMAGE.digest)] == [False]


def test_referrers_are_filtered_by_type_and_the_answer_says_so(call: Client, name: str) -> None:
    for artifact in (SIGNATURE, SBOM):
        call.push_manifest(name, artifact)
    answer = call("GET", f"{name}/referrers/{IMAGE.digest}", params={"artifactType": "application/vnd.example.sbom"})
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert [one["digest"] for one in answer.json()["manifests"]] == [SBOM.digest]


def test_an_unfiltered_list_does_not_claim_a_filter(call: Client, name: str) -> None:
    assert "OCI-Filters-Applied" not in call("GET", f"{name}/referrers/{IMAGE.digest}").headers


@pytest.mark.parametrize("subject", [NOWHERE, "sha512:" + "2" * 128])
def test_nothing_refers_to_what_is_unknown_and_that_is_no_error(call: Client, name: str, subject: str) -> None:
    assert referrers(call, name, subject) == []


def test_the_list_of_referrers_is_an_index(call: Client, name: str) -> None:
    body = call("GET", f"{name}/referrers/{NOWHERE}").json()
    assert (body["schemaVersion"], body["mediaType"]) == (2, OCI_INDEX)


def test_a_subject_may_be_pushed_after_what_refers_to_it(call: Client, name: str) -> None:
    call.push_manifest(name, SIGNATURE)
    call.push_manifest(name, IMAGE)
    assert len(referrers(call, name, IMAGE.digest)) == 1


def test_referrers_of_what_is_no_digest_are_400(call: Client, name: str) -> None:
    assert call("GET", f"{name}/referrers/latest").status_code == 400


def test_a_deleted_referrer_is_no_longer_listed(call: Client, name: str) -> None:
    call.push_manifest(name, SIGNATURE)
    call("DELETE", f"{name}/manifests/{SIGNATURE.digest}")
    assert referrers(call, name, IMAGE.digest) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "a/tags/list"), ("POST", "a/manifests/v1"), ("PATCH", f"a/blobs/{NOWHERE}"), ("DELETE", "_catalog"),
     ("GET", "a/blobs/uploads/"), ("PUT", f"a/referrers/{NOWHERE}")],
)  # fmt: skip
def test_a_method_without_meaning_is_405(call: Client, method: str, path: str) -> None:
    answer = call(method, path)
    assert (answer.status_code, code(answer)) == (405, "UNSUPPORTED")
    assert answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/", "/v1/", "/v2/a", "/v2/a/nothing/b"])
def test_a_path_without_meaning_is_404(call: Client, path: str) -> None:
    assert call("GET", path).status_code == 404


def test_repositories_are_listed_page_by_page() -> None:
    with Registry(settings=RegistrySettings(page_cap=2)) as registry:
        for repository in ("c", "a", "b"):
            registry.push_image(repository, "v1")
        first = requests.get(f"{registry.url}/v2/_catalog", timeout=5)
        rest = requests.get(f"{registry.url}/v2/_catalog", params={"last": "b"}, timeout=5)
    assert first.json() == {"repositories": ["a", "b"]}
    assert first.headers["Link"] == '</v2/_catalog?last=b&n=2>; rel="next"'
    assert (rest.json(), "Link" in rest.headers) == ({"repositories": ["c"]}, False)
