"""Clients that nobody here wrote: docker, skopeo and oras against the embedded registry, open and with tokens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.platforms.oci.auth import Authority, BasicAuthority, BearerAuthority
from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.outgoing import Response
from kargo_lab.platforms.registry import Registry
from kargo_lab.platforms.registry_platform import PlatformRegistry

USERS = {"me": "secret"}
INSECURE = ("--src-tls-verify=false", "--dest-tls-verify=false")
AUTHORITIES: dict[str, Any] = {
    "open": lambda: None,
    "basic": lambda: BasicAuthority(USERS),
    "bearer": lambda: BearerAuthority(USERS, anonymous_pull=False),
}


@pytest.fixture(params=AUTHORITIES)
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    authority: Authority | None = AUTHORITIES[request.param]()
    with Registry(authority=authority) as registry:
        yield registry


def run(*words: str, **options: Any) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, **options)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def engine_missing() -> str | None:
    if not shutil.which("docker"):
        return "the program docker is not installed"
    answered = subprocess.run(["docker", "version"], capture_output=True, timeout=30, check=False).returncode == 0
    return None if answered else "no container engine answers"


@pytest.fixture
def docker(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    if reason := engine_missing():
        if request.config.getoption("--require-containers", default=False):
            pytest.fail(reason)
        pytest.skip(reason)
    # Its own configuration: a login must not touch that of whoever runs the tests.
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path / "docker")}
    return lambda *words: run("docker", *words, env=environment)


@pytest.fixture
def loaded(docker: Any, tmp_path: Path, registry: Registry) -> Iterator[str]:
    """An image in the engine, named for the registry."""
    (tmp_path / "hello").write_text("hello from the engine")
    archive = tmp_path / "root.tar"
    with tarfile.open(archive, "w") as files:
        files.add(tmp_path / "hello", arcname="hello")
    name = f"{registry.host}/acme/guestbook:1.0.0"
    docker("import", str(archive), name)
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


@pytest.mark.containers
def test_docker_pushes_and_pulls(docker: Any, loaded: str, registry: Registry) -> None:
    if registry.authority:
        docker("login", "--username", "me", "--password", "secret", registry.host)
    docker("push", loaded)
    assert registry.tags("acme/guestbook") == ["1.0.0"]
    docker("image", "rm", loaded)
    docker("pull", loaded)
    assert registry.digest("acme/guestbook", "1.0.0") in docker("image", "inspect", loaded)


@pytest.mark.containers
def test_docker_pulls_what_was_made_in_process(docker: Any, registry: Registry) -> None:
    if registry.authority:
        docker("login", "--username", "me", "--password", "secret", registry.host)
    digest = registry.push_index("acme/made", "v1", created="2026-01-01T00:00:00Z", attestations=True)
    name = f"{registry.host}/acme/made:v1"
    docker("pull", name)
    shown = json.loads(docker("image", "inspect", name))[0]
    docker("image", "rm", "--force", name)
    assert (shown["RepoDigests"], shown["Created"]) == ([f"{registry.host}/acme/made@{digest}"], "2026-01-01T00:00:00Z")


@pytest.fixture
def skopeo() -> Any:
    if not shutil.which("skopeo"):
        pytest.skip("the program skopeo is not installed")
    return lambda *words: run("skopeo", *words)


def test_skopeo_copies_within_a_registry_by_mounting(skopeo: Any, registry: Registry) -> None:
    digest = registry.push_index("acme/source", "v1")
    source, target = (f"docker://{registry.host}/acme/{name}" for name in ("source:v1", "target:v2"))
    skopeo("copy", "--all", *INSECURE, "--src-creds=me:secret", "--dest-creds=me:secret", source, target)
    assert registry.digest("acme/target", "v2") == digest


def test_skopeo_follows_redirected_blobs_without_its_credentials(skopeo: Any, tmp_path: Path) -> None:
    settings = RegistrySettings(redirect_blobs=True)
    with Registry(settings=settings, authority=BearerAuthority(USERS, anonymous_pull=False)) as registry:
        registry.push_image("acme/app", "v1")
        source = f"docker://{registry.host}/acme/app:v1"
        skopeo("copy", *INSECURE, "--src-creds=me:secret", source, f"oci:{tmp_path}/layout")
        assert registry.access_log.count("GET", path="/_storage/", status=200) == 2


def test_skopeo_reads_pages_of_tags(skopeo: Any) -> None:
    with Registry(settings=RegistrySettings(page_cap=7)) as registry:
        for number in range(20):
            registry.push_image("acme/app", f"1.0.{number}", content="same")
        listed = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{registry.host}/acme/app"))
    assert len(listed["Tags"]) == 20


@pytest.mark.parametrize("auth", ["open", "basic"])
def test_oras_pushes_and_pulls(auth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = pytest.importorskip("oras.provider", reason="the package oras is not installed")
    monkeypatch.chdir(tmp_path)
    Path("artifact.txt").write_text("hello")
    with Registry(authority=AUTHORITIES[auth]()) as registry:
        client = provider.Registry(
            hostname=registry.host, insecure=True, auth_backend="basic" if auth == "basic" else "token"
        )
        if auth == "basic":
            client.auth.set_basic_auth("me", "secret")
        client.push(target=f"{registry.host}/acme/thing:v1", files=["artifact.txt"], disable_path_validation=True)
        pulled = client.pull(target=f"{registry.host}/acme/thing:v1", outdir=str(tmp_path / "out"))
        assert (registry.tags("acme/thing"), Path(pulled[0]).read_text()) == (["v1"], "hello")


@pytest.mark.containers
def test_a_docker_push_makes_one_hook_of_docker_hub(docker: Any, tmp_path: Path) -> None:
    got: list[Any] = []

    def receive(outgoing: Any, _timeout: float, _redirects: bool) -> Response:
        got.append(json.loads(outgoing.body))
        return Response(status=200)

    (tmp_path / "hello").write_text("hello")
    with tarfile.open(tmp_path / "root.tar", "w") as files:
        files.add(tmp_path / "hello", arcname="hello")
    with PlatformRegistry("docker-hub", transport=receive, asynchronous=False) as registry:
        registry.add_hook(url="http://receiver.example")
        name = f"{registry.host}/acme/guestbook:1.0.0"
        docker("import", str(tmp_path / "root.tar"), name)
        docker("push", name)
        docker("image", "rm", "--force", name)
        registry.sender.step()
    told = [
        (body["repository"]["repo_name"], body["push_data"]["tag"], body["push_data"]["media_type"]) for body in got
    ]
    assert told == [("acme/guestbook", "1.0.0", "application/vnd.docker.distribution.manifest.v2+json")]
