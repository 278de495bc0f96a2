"""Every platform, whole: a real client pushes, the platform tells its hook, the reference discovers, Freight is there.

And once more with every hook lost on its way: then polling finds what was pushed, within one interval.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.losses import Losses
from kargo_lab.platforms.registry import Registry
from kargo_lab.platforms.registry_container import IMAGE
from kargo_lab.platforms.registry_process import why_no_process
from kargo_lab.receivers import RECEIVERS
from kargo_lab.testbed import GIT_RECEIVERS, REGISTRY_RECEIVERS, Testbed

CLIENT = "skopeo" if shutil.which("skopeo") else "in process"
NEVER, OFTEN = "24h", "0.3s"
QUICK = {"registry_rate_limit": 1000.0}  # as much as Kargo waits between requests, tests need not
ALL_LOST = {"losses": Losses(drop=1.0)}
AFTER_A_HOOK_SECONDS = 5.0  # it takes about 0.1; the machine may be busy
AFTER_A_POLL_SECONDS = 6.0  # one interval, and the same
REGISTRIES = [
    pytest.param(name, id=f"{CLIENT} to {name}, told to {receiver}") for name, receiver in REGISTRY_RECEIVERS.items()
]
GIT_HOSTS = [pytest.param(name, id=f"git to {name}, told to {receiver}") for name, receiver in GIT_RECEIVERS.items()]


def run(*words: str, **options: Any) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False, **options)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def until() -> Callable[[Callable[[], bool], float], bool]:
    """Look until it is so, or the time is over. Both ends are other processes: there is nothing to wait on."""

    def look(true: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not true() and time.monotonic() < end:
            time.sleep(0.01)
        return true()

    return look


@pytest.fixture(scope="module")
def source() -> Iterator[Registry]:
    """Where images are copied from: a registry that tells nobody."""
    with Registry() as registry:
        for version in ("1.0.0", "1.1.0"):
            registry.push_image("source/app", version)
        yield registry


@pytest.fixture
def push_image(source: Registry) -> Callable[[Testbed, str], None]:
    def push(bed: Testbed, version: str) -> None:
        if CLIENT != "skopeo":
            bed.registry.push_image("team/app", version)
            return
        places = (f"docker://{source.host}/source/app:{version}", f"docker://{bed.registry.host}/team/app:{version}")
        run("skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", *places)

    return push


@pytest.fixture
def push_commit(tmp_path: Path) -> Callable[[Testbed, str], None]:
    """The first push makes the clone."""
    clone = tmp_path / "clone"
    person = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")

    def push(bed: Testbed, content: str) -> None:
        if not clone.exists():
            run("git", "clone", "--quiet", bed.git.clone_url("team/config"), str(clone))
            run("git", "checkout", "--quiet", "-B", "main", cwd=clone)
        (clone / "values.yaml").write_text(content)
        run("git", "add", ".", cwd=clone)
        run("git", *person, "commit", "--quiet", "--message", content, cwd=clone)
        run("git", "push", "--quiet", "origin", "main", cwd=clone)

    return push


@pytest.fixture
def push_again(push_image: Any, until: Any) -> Callable[[Testbed], bool]:
    """Push 1.1.0, and see within the second whether it became Freight.

    Distribution notifies before it stores the tag, so a quick discovery may come too early; and Kargo's tokens have
    whole seconds, so the notification of an earlier push may have used this one's up. Both heal with the next push.
    """

    def push(bed: Testbed) -> bool:
        push_image(bed, "1.1.0")
        return until(lambda: bed.freight("image") == 2, 1.1)

    return push


@pytest.mark.parametrize("persona", REGISTRIES)
def test_a_pushed_image_becomes_freight_by_its_hook(persona: str, push_image: Any, until: Any) -> None:
    with Testbed(registry=persona, interval=NEVER, settings=QUICK) as bed:
        push_image(bed, "1.0.0")
        bed.watch("image", bed.image("team/app"))
        assert until(lambda: bed.freight("image") == 1, AFTER_A_HOOK_SECONDS)
        bed.install_hooks()
        push_image(bed, "1.1.0")
        assert until(lambda: bed.freight("image") == 2, AFTER_A_HOOK_SECONDS), bed.deliveries


@pytest.mark.parametrize("persona", REGISTRIES)
def test_an_image_whose_hooks_are_lost_is_found_by_polling(persona: str, push_image: Any, until: Any) -> None:
    with Testbed(registry=persona, interval=OFTEN, registry_options=ALL_LOST, settings=QUICK) as bed:
        push_image(bed, "1.0.0")
        bed.watch("image", bed.image("team/app"))
        assert until(lambda: bed.freight("image") == 1, AFTER_A_HOOK_SECONDS)
        bed.install_hooks()
        push_image(bed, "1.1.0")
        found = until(lambda: bed.freight("image") == 2, AFTER_A_POLL_SECONDS)
        assert (found, {row.outcome for _, row in bed.deliveries}) == (True, {"lost"})


@pytest.mark.parametrize("persona", GIT_HOSTS)
def test_a_pushed_commit_becomes_freight_by_its_hook(persona: str, push_commit: Any, until: Any) -> None:
    with Testbed(git=persona, interval=NEVER, settings=QUICK) as bed:
        bed.git.create_repository("team/config")
        push_commit(bed, "first")
        bed.watch("commit", bed.commits("team/config", branch="main"))
        assert until(lambda: bed.freight("commit") == 1, AFTER_A_HOOK_SECONDS)
        bed.install_hooks()
        push_commit(bed, "second")
        assert until(lambda: bed.freight("commit") == 2, AFTER_A_HOOK_SECONDS), bed.deliveries


@pytest.mark.parametrize("persona", GIT_HOSTS)
def test_a_commit_whose_hooks_are_lost_is_found_by_polling(persona: str, push_commit: Any, until: Any) -> None:
    with Testbed(git=persona, interval=OFTEN, git_options=ALL_LOST, settings=QUICK) as bed:
        bed.git.create_repository("team/config")
        push_commit(bed, "first")
        bed.watch("commit", bed.commits("team/config", branch="main"))
        assert until(lambda: bed.freight("commit") == 1, AFTER_A_HOOK_SECONDS)
        bed.install_hooks()
        push_commit(bed, "second")
        found = until(lambda: bed.freight("commit") == 2, AFTER_A_POLL_SECONDS)
        assert (found, {row.outcome for _, row in bed.deliveries}) == (True, {"lost"})


@pytest.mark.parametrize("backend", ["process", pytest.param("container", marks=pytest.mark.containers)])
def test_somebody_elses_registry_notifies_by_itself(
    backend: str, push_image: Any, push_again: Any, until: Any, request: pytest.FixtureRequest
) -> None:
    if reason := why_no_process() if backend == "process" else why_no_container(IMAGE):
        if backend == "container" and request.config.getoption("--require-containers", default=False):
            pytest.fail(reason)
        pytest.skip(reason)
    with Testbed(backend=backend, interval=NEVER, settings=QUICK) as bed:
        push_image(bed, "1.0.0")
        bed.watch("image", bed.image("team/app"))
        assert until(lambda: bed.freight("image") == 1, AFTER_A_HOOK_SECONDS)
        assert any(push_again(bed) for _ in range(5))


def test_every_type_of_receiver_is_told_by_somebody() -> None:
    assert set(REGISTRY_RECEIVERS.values()) | set(GIT_RECEIVERS.values()) == set(RECEIVERS)
