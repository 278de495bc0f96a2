"""The same tests against the embedded registry, docker-registry as a process, and registry:2 in a container."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.registry import Registry
from kargo_lab.platforms.registry_container import IMAGE, ContainerRegistry
from kargo_lab.platforms.registry_process import ProcessRegistry, why_no_process
from kargo_lab.platforms.registry_remote import RemoteRegistry

BACKENDS = {
    "embedded": (Registry, lambda: None),
    "process": (ProcessRegistry, why_no_process),
    "container": (ContainerRegistry, lambda: why_no_container(IMAGE)),
}


@pytest.fixture(scope="module", params=[
    "embedded", "process", pytest.param("container", marks=pytest.mark.containers)
])  # fmt: skip
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    make, why_not = BACKENDS[request.param]
    if reason := why_not():
        if request.param == "container" and request.config.getoption("--require-containers", default=False):
            pytest.fail(reason)
        pytest.skip(reason)
    with make() as registry:
        yield registry


@pytest.fixture
def skopeo() -> Any:
    if not shutil.which("skopeo"):
        pytest.skip("the program skopeo is not installed")

    def run(*words: str) -> str:
        done = subprocess.run(["skopeo", *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "backends/" + request.node.originalname.removeprefix("test_").replace("_", "-")


def get(backend: Any, path: str, **options: Any) -> requests.Response:
    return requests.get(f"{backend.url}/v2/{path}", timeout=10, **options)


def test_it_is_a_registry(backend: Any) -> None:
    answer = get(backend, "")
    assert (answer.status_code, answer.headers["Docker-Distribution-Api-Version"]) == (200, "registry/2.0")


def test_an_image_has_the_same_digest_everywhere(backend: Any, name: str) -> None:
    digest = backend.push_image(name, "v1", created="2026-01-01T00:00:00Z")
    assert digest == backend.digest(name, "v1")
    assert digest == make_image(f"{name} v1", created="2026-01-01T00:00:00Z").digest


def test_tags_are_found(backend: Any, name: str) -> None:
    for tag in ("v2", "v1"):
        backend.push_image(name, tag)
    assert backend.tags(name) == ["v1", "v2"]


def test_an_index_is_pulled_with_its_children(backend: Any, name: str) -> None:
    backend.push_index(name, "v1", attestations=True)
    accept = {"Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"}
    index = get(backend, f"{name}/manifests/v1", headers=accept).json()
    children = [get(backend, f"{name}/manifests/{one['digest']}", headers=accept) for one in index["manifests"]]
    assert [child.status_code for child in children] == [200] * 4


def test_a_chart_is_an_artifact_whose_tag_has_no_plus(backend: Any, name: str) -> None:
    backend.push_chart(name, "1.0.0+build.7")
    assert backend.tags(name) == ["1.0.0_build.7"]


def test_a_config_is_pulled_by_its_digest(backend: Any, name: str) -> None:
    backend.push_image(name, "v1", labels={"a": "b"})
    manifest = get(backend, f"{name}/manifests/v1", headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
    config = get(backend, f"{name}/blobs/{manifest.json()['config']['digest']}").json()
    assert config["config"]["Labels"] == {"a": "b"}


def test_a_manifest_gets_another_tag(backend: Any, name: str) -> None:
    digest = backend.push_image(name, "v1")
    assert backend.retag(name, "v1", "latest") == digest
    assert backend.digest(name, "latest") == digest


def test_a_tag_moves(backend: Any, name: str) -> None:
    first, second = (backend.push_image(name, "latest", content=content) for content in ("a", "b"))
    assert (first != second, backend.digest(name, "latest")) == (True, second)


def test_a_deleted_manifest_is_gone(backend: Any, name: str) -> None:
    digest = backend.push_image(name, "v1")
    assert (backend.delete_manifest(name, digest), backend.digest(name, "v1")) == (True, None)
    assert backend.delete_manifest(name, digest) is False


@pytest.mark.parametrize(
    ("path", "code"),
    [("nobody/tags/list", "NAME_UNKNOWN"), ("nobody/manifests/v1", "MANIFEST_UNKNOWN"),
     (f"nobody/blobs/sha256:{'1' * 64}", "BLOB_UNKNOWN")],
)  # fmt: skip
def test_what_is_unknown_is_404_with_the_same_code(backend: Any, path: str, code: str) -> None:
    answer = get(backend, path)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, code)


def test_a_manifest_with_missing_blobs_is_refused_with_the_same_code(backend: Any, name: str) -> None:
    image = make_image("nothing of this was pushed")
    answer = requests.put(
        f"{backend.url}/v2/{name}/manifests/v1",
        data=image.manifest,
        headers={"Content-Type": image.media_type},
        timeout=5,
    )
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_requests_are_logged(backend: Any, name: str) -> None:
    get(backend, f"{name}/tags/list?n=5")
    # A process writes its line a moment after its answer: the next request, answered, makes sure of the last.
    rows = [row for _ in range(20) for row in (get(backend, ""), *backend.access_log.rows)[1:] if name in row.path]
    assert (rows[0].method, rows[0].path, rows[0].query, rows[0].status) == ("GET", f"/v2/{name}/tags/list", "n=5", 404)


def test_skopeo_copies_from_one_registry_to_another(backend: Any, name: str, skopeo: Any) -> None:
    with Registry() as source:
        digest = source.push_index("from/here", "v1")
        skopeo("copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false",
               f"docker://{source.host}/from/here:v1", f"docker://{backend.host}/{name}:v1")  # fmt: skip
    assert backend.digest(name, "v1") == digest


def test_skopeo_copies_to_a_folder_and_back(backend: Any, name: str, skopeo: Any, tmp_path: Path) -> None:
    digest = backend.push_image(name, "v1", created="2026-01-01T00:00:00Z")
    skopeo("copy", "--src-tls-verify=false", f"docker://{backend.host}/{name}:v1", f"oci:{tmp_path}/layout:v1")
    skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path}/layout:v1", f"docker://{backend.host}/{name}:v2")
    assert backend.digest(name, "v2") == digest


def test_skopeo_inspects_lists_and_deletes(backend: Any, name: str, skopeo: Any) -> None:
    backend.push_image(name, "v1", labels={"who": "me"})
    where = f"docker://{backend.host}/{name}"
    assert '"who": "me"' in skopeo("inspect", "--tls-verify=false", f"{where}:v1")
    assert '"v1"' in skopeo("list-tags", "--tls-verify=false", where)
    skopeo("delete", "--tls-verify=false", f"{where}:v1")
    assert backend.digest(name, "v1") is None


def test_a_registry_that_somebody_else_runs_is_filled_alike(backend: Any, name: str) -> None:
    assert RemoteRegistry(backend.url).push_image(name, "v1") == backend.digest(name, "v1")
