"""The registry as its users have it: life, filling in process, settings, events."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from kargo_lab.errors import UsageError
from kargo_lab.platforms.oci.auth import BasicAuthority
from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.oci.events import RegistryEvent
from kargo_lab.platforms.oci.images import Child, make_image
from kargo_lab.platforms.oci.manifests import OCI_MANIFEST
from kargo_lab.platforms.registry import Registry

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry(now=lambda: NOON) as registry:
        yield registry


def ask(registry: Registry, path: str, method: str = "GET", **options: Any) -> requests.Response:
    return requests.request(method, f"{registry.url}/v2/{path}", timeout=5, allow_redirects=False, **options)


def open_files() -> int:
    """0 where the system does not tell, which makes the comparison pass."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_ten_registries_leave_no_port_thread_file_or_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads, files = threading.active_count(), open_files()
    for _ in range(10):
        with Registry() as registry:
            registry.push_image("acme/app", "v1")
            assert ask(registry, "acme/app/tags/list").ok
    assert (threading.active_count(), open_files(), list(tmp_path.iterdir())) == (threads, files, [])


def test_a_port_that_is_taken_leaves_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry() as registry:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with pytest.raises(OSError, match="in use"):
            Registry(port=int(registry.url.rpartition(":")[2])).start()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_ones_own_is_kept(tmp_path: Path) -> None:
    with Registry(folder=tmp_path / "kept") as registry:
        digest = registry.push_image("acme/app", "v1")
    with Registry(folder=tmp_path / "kept") as registry:
        assert registry.digest("acme/app", "v1") == digest


def test_a_registry_that_is_not_started_says_so() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        Registry().tags("acme/app")


def test_content_is_stored_under_its_digest_once(registry: Registry) -> None:
    for repository in ("a", "b"):
        digest = registry.push_image(repository, "v1", content="same")
    assert registry.storage.path(digest).name == digest.partition(":")[2]
    assert len([path for path in registry.storage.path(digest).parents[1].rglob("*") if path.is_file()]) == 3


def test_an_image_says_what_it_was_told_to(registry: Registry) -> None:
    registry.push_image("a", "v1", created=NOON, labels={"l": "1"}, annotations={"n": "2"}, platform="linux/arm64/v8")
    manifest = ask(registry, "a/manifests/v1").json()
    config = ask(registry, f"a/blobs/{manifest['config']['digest']}").json()
    assert (manifest["annotations"], config["created"], config["config"]["Labels"]) == (
        {"n": "2"}, "2026-01-01T12:00:00Z", {"l": "1"},
    )  # fmt: skip
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm64", "v8")


def test_a_child_of_an_index_may_be_missing(registry: Registry) -> None:
    gone = make_image("gone")
    registry.push_index(
        "a", "v1", children=[Child(make_image("here"), "linux/amd64"), Child(gone, "linux/arm64", missing=True)]
    )
    listed = [one["digest"] for one in ask(registry, "a/manifests/v1").json()["manifests"]]
    assert (gone.digest in listed, ask(registry, f"a/manifests/{gone.digest}").status_code) == (True, 404)


def test_one_image_may_have_many_tags(registry: Registry) -> None:
    registry.push_image("a", "v1", "v1.0", "latest")
    assert registry.tags("a") == ["latest", "v1", "v1.0"]


def test_tagging_what_is_not_there_is_an_error(registry: Registry) -> None:
    with pytest.raises(LookupError, match="a has no v1"):
        registry.retag("a", "v1", "v2")


@pytest.mark.parametrize(("repository", "tag"), [("a", "a tag"), ("Upper", "v1"), ("a", "")])
def test_names_that_no_client_could_push_are_errors(registry: Registry, repository: str, tag: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        registry.push_image(repository, "v1", tag)
    assert registry.events == ()


# Settings


def test_tags_come_in_pages_no_larger_than_the_cap() -> None:
    with Registry(settings=RegistrySettings(page_cap=2)) as registry:
        registry.push_image("a", "v1", "v2", "v3")
        pages = [ask(registry, f"a/tags/list{query}").json()["tags"] for query in ("", "?n=100", "?n=1", "?last=v2")]
    assert pages == [["v1", "v2"], ["v1", "v2"], ["v1"], ["v3"]]


def test_a_registry_without_paging_lists_all() -> None:
    with Registry(settings=RegistrySettings(paging=False)) as registry:
        registry.push_image("a", "v1", "v2", "v3")
        answer = ask(registry, "a/tags/list?n=1&last=v1")
    assert (answer.json()["tags"], "Link" in answer.headers) == (["v1", "v2", "v3"], False)


def test_tags_in_the_order_of_pushing_are_paged_in_that_order() -> None:
    with Registry(settings=RegistrySettings(lexical=False)) as registry:
        for tag in ("b", "c", "a", "b"):
            registry.push_image("x", tag)
        pages = [ask(registry, f"x/tags/list?n=2{last}").json()["tags"] for last in ("", "&last=c")]
    assert pages == [["b", "c"], ["a"]]


@pytest.mark.parametrize(
    ("settings", "method", "path", "status"),
    [
        pytest.param({"referrers": False}, "GET", f"a/referrers/sha256:{'1' * 64}", 404, id="no referrers"),
        pytest.param({"catalog": False}, "GET", "_catalog", 405, id="no catalogue"),
        pytest.param({"deletes": False}, "DELETE", "a/manifests/v1", 405, id="nothing is deleted"),
        pytest.param({"deletes": False}, "DELETE", f"a/blobs/sha256:{'1' * 64}", 405, id="no blob either"),
        pytest.param({"delete_tags": False}, "DELETE", "a/manifests/v1", 405, id="no tag is deleted"),
    ],
)
def test_what_a_registry_cannot_it_refuses(settings: dict[str, Any], method: str, path: str, status: int) -> None:
    with Registry(settings=RegistrySettings(**settings)) as registry:
        registry.push_image("a", "v1")
        answer = ask(registry, path, method)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, "UNSUPPORTED")


def test_a_registry_may_keep_the_digest_from_a_head() -> None:
    with Registry(settings=RegistrySettings(digest_on_head=False)) as registry:
        registry.push_image("a", "v1")
        told = [
            "Docker-Content-Digest" in ask(registry, "a/manifests/v1", method).headers for method in ("HEAD", "GET")
        ]
    assert told == [False, True]


def test_sparse_manifests_are_taken_where_allowed() -> None:
    with Registry(settings=RegistrySettings(accept_sparse=True)) as registry:
        headers = {"Content-Type": OCI_MANIFEST}
        answer = ask(registry, "a/manifests/v1", "PUT", data=make_image("x").manifest, headers=headers)
    assert answer.status_code == 201


@pytest.fixture
def redirecting() -> Iterator[Registry]:
    settings = RegistrySettings(redirect_blobs=True)
    with Registry(settings=settings, authority=BasicAuthority({"me": "pw"})) as registry:
        registry.push_image("a", "v1")
        yield registry


def blob_of(registry: Registry) -> str:
    manifest = registry.storage.read_manifest(registry.digest("a", "v1") or "")
    return str(json.loads(manifest)["config"]["digest"])


def test_a_blob_is_redirected_to_another_host(redirecting: Registry) -> None:
    digest = blob_of(redirecting)
    answer = ask(redirecting, f"a/blobs/{digest}", auth=("me", "pw"))
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (307, digest)
    assert answer.headers["Location"].startswith("http://localhost:")


def test_storage_wants_no_credentials(redirecting: Registry) -> None:
    url = f"{redirecting.url}/_storage/{blob_of(redirecting)}"
    answers = [requests.get(url, timeout=5, **options).status_code for options in ({}, {"auth": ("me", "pw")})]  # type: ignore[arg-type]
    assert answers == [200, 400]


@pytest.mark.parametrize("path", ["nothing", "sha256:" + "1" * 64])
def test_storage_has_only_what_is_stored(redirecting: Registry, path: str) -> None:
    assert requests.get(f"{redirecting.url}/_storage/{path}", timeout=5).status_code == 404


# Events


def brief(event: RegistryEvent) -> tuple[str, str, str]:
    return event.action, event.kind, event.tag


def test_what_happens_over_http_is_told(registry: Registry) -> None:
    told: list[RegistryEvent] = []
    digest = registry.push_image("a", "v1")
    registry.subscribe(told.append)
    manifest = registry.storage.read_manifest(digest)
    ask(registry, "a/manifests/v1", headers={"User-Agent": "me/1"})
    ask(registry, "a/manifests/v1", "HEAD")
    ask(registry, f"a/blobs/{blob_of(registry)}")
    ask(registry, "a/manifests/v2", "PUT", data=manifest, headers={"Content-Type": OCI_MANIFEST})
    ask(registry, f"a/manifests/{digest}?tag=v3&tag=v4", "PUT", data=manifest, headers={"Content-Type": OCI_MANIFEST})
    ask(registry, "a/manifests/v3", "DELETE")
    ask(registry, f"a/manifests/{digest}", "DELETE")
    assert [brief(event) for event in told] == [
        ("pull", "manifest", "v1"), ("pull", "manifest", "v1"), ("pull", "blob", ""), ("push", "manifest", "v2"),
        ("push", "manifest", "v3"), ("push", "manifest", "v4"), ("delete", "tag", "v3"), ("delete", "manifest", ""),
    ]  # fmt: skip
    assert (told[0].user_agent, told[0].method, told[1].method) == ("me/1", "GET", "HEAD")


def test_refused_requests_are_no_events(registry: Registry) -> None:
    ask(registry, "a/manifests/v1")
    ask(registry, "a/manifests/v1", "PUT", data=b"{}")
    ask(registry, "a/manifests/v1", "DELETE")
    assert registry.events == ()


def test_an_event_knows_the_manifest(registry: Registry) -> None:
    digest = registry.push_chart("charts/app", "1.0.0")
    event = registry.events[-1]
    assert (event.digest, event.tag, event.media_type, event.time) == (digest, "1.0.0", OCI_MANIFEST, NOON)
    assert event.config_media_type == "application/vnd.cncf.helm.config.v1+json"
    assert (event.size, event.existed, event.host) == (
        len(registry.storage.read_manifest(digest)),
        False,
        registry.host,
    )


def test_children_are_told_before_their_index(registry: Registry) -> None:
    registry.push_index("a", "v1")
    manifests = [event for event in registry.events if event.kind == "manifest"]
    assert [(event.tag, event.is_index) for event in manifests] == [("", False), ("", False), ("v1", True)]
    assert manifests[-1].platforms == (("linux", "amd64"), ("linux", "arm64"))


def test_in_process_a_push_makes_the_same_events_as_over_http(registry: Registry) -> None:
    image = make_image("x")
    registry.push("a", image, "v1")
    first = [brief(event) for event in registry.events]
    assert first == [("push", "blob", ""), ("push", "blob", ""), ("push", "manifest", "v1")]
    registry.push("a", image, "v2")
    assert [(brief(event), event.existed) for event in registry.events[3:]] == [(("push", "manifest", "v2"), True)]


def test_deleting_in_process_is_told(registry: Registry) -> None:
    digest = registry.push_image("a", "v1")
    assert (registry.delete_tag("a", "v1"), registry.delete_tag("a", "v1")) == (True, False)
    assert (registry.delete_manifest("a", digest), registry.delete_manifest("a", digest)) == (True, False)
    assert [(brief(event), event.media_type) for event in registry.events[-2:]] == [
        (("delete", "tag", "v1"), OCI_MANIFEST), (("delete", "manifest", ""), OCI_MANIFEST),
    ]  # fmt: skip
