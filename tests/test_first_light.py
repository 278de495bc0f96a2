"""What the lab promises first: `docker push` and `git push` end as Freight, by webhook at once, by polling in time.

Exactly the two programs that people use, and nothing in process. Where no container engine answers, skopeo still
pushes an image; the test with docker says why it did not run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.platforms.registry import Registry
from kargo_lab.testbed import Testbed

BY_WEBHOOK_SECONDS = 1.0
INTERVAL, INTERVAL_SECONDS = "1s", 1.0
PASS_SECONDS = 1.0  # what one discovery may take on a busy machine
PERSON = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
Push = Callable[[Testbed, str], None]


def run(*words: str, **options: Any) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, **options)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def why_no_engine() -> str | None:
    if not shutil.which("docker"):
        return "the program docker is not installed"
    answered = subprocess.run(["docker", "version"], capture_output=True, timeout=30, check=False).returncode == 0
    return None if answered else "no container engine answers"


@pytest.fixture
def seconds_until() -> Callable[[Callable[[], bool]], float]:
    """How long it takes until it is so, ten seconds at most."""

    def measure(true: Callable[[], bool]) -> float:
        began = time.monotonic()
        while not true() and time.monotonic() - began < 10:
            time.sleep(0.005)
        return time.monotonic() - began

    return measure


@pytest.fixture
def with_docker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Push]:
    if reason := why_no_engine():
        if request.config.getoption("--require-containers", default=False):
            pytest.fail(reason)
        pytest.skip(reason)
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path / "docker")}
    names = []

    def push(bed: Testbed, version: str) -> None:
        (tmp_path / "version").write_text(version)
        archive = tmp_path / f"{version}.tar"
        with tarfile.open(archive, "w") as files:
            files.add(tmp_path / "version", arcname="version")
        names.append(f"{bed.registry.host}/team/app:{version}")
        run("docker", "import", str(archive), names[-1], env=environment)
        run("docker", "push", "--quiet", names[-1], env=environment)

    yield push
    subprocess.run(["docker", "image", "rm", "--force", *names], capture_output=True, check=False, env=environment)


@pytest.fixture
def with_skopeo() -> Iterator[Push]:
    if not shutil.which("skopeo"):
        pytest.skip("the program skopeo is not installed")
    with Registry() as source:

        def push(bed: Testbed, version: str) -> None:
            source.push_image("app", version)
            places = (f"docker://{source.host}/app:{version}", f"docker://{bed.registry.host}/team/app:{version}")
            run("skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", *places)

        yield push


@pytest.fixture
def with_git(tmp_path: Path) -> Push:
    clone = tmp_path / "clone"

    def push(bed: Testbed, version: str) -> None:
        if not clone.exists():
            bed.git.create_repository("team/config")
            run("git", "clone", "--quiet", bed.git.clone_url("team/config"), str(clone))
        (clone / "version").write_text(version)
        run("git", "checkout", "--quiet", "-B", "main", cwd=clone)
        run("git", "add", "version", cwd=clone)
        run("git", *PERSON, "commit", "--quiet", "--message", version, cwd=clone)
        run("git", "push", "--quiet", "origin", "main", cwd=clone)

    return push


CLIENTS = [
    pytest.param("with_docker", id="docker push", marks=pytest.mark.containers),
    pytest.param("with_skopeo", id="skopeo copy"),
    pytest.param("with_git", id="git push"),
]


@pytest.fixture(params=CLIENTS)
def push(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def watched(push: Push, seconds_until: Any) -> Callable[[Testbed], None]:
    """One push, and a Warehouse that has found it."""

    def begin(bed: Testbed) -> None:
        push(bed, "1.0.0")
        has_git = bool(bed.git.forge.repositories)
        bed.watch("all", bed.commits("team/config", branch="main") if has_git else bed.image("team/app"))
        seconds_until(lambda: bed.freight("all") == 1)

    return begin


def test_by_webhook_within_a_second(push: Push, watched: Any, seconds_until: Any) -> None:
    with Testbed(interval="24h") as bed:
        watched(bed)
        bed.install_hooks()
        push(bed, "1.1.0")
        assert seconds_until(lambda: bed.freight("all") == 2) < BY_WEBHOOK_SECONDS, bed.deliveries


def test_without_a_hook_by_polling_within_one_interval(push: Push, watched: Any, seconds_until: Any) -> None:
    with Testbed(interval=INTERVAL) as bed:
        watched(bed)
        push(bed, "1.1.0")
        assert seconds_until(lambda: bed.freight("all") == 2) < INTERVAL_SECONDS + PASS_SECONDS
