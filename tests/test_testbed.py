"""The testbed as a whole: nothing of it stays, faults and quotas stand in it, its hooks come by each platform's API."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.errors import UsageError
from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.faults import Fault, FaultRule, Faults
from kargo_lab.platforms.gitea_container import IMAGE as GITEA
from kargo_lab.platforms.gitea_process import why_no_gitea
from kargo_lab.platforms.hook_registration import CALLS
from kargo_lab.platforms.losses import Fate, Losses, LossRule
from kargo_lab.platforms.quotas import Quota
from kargo_lab.platforms.registry_process import why_no_process
from kargo_lab.testbed import GIT_RECEIVERS, REGISTRY_RECEIVERS, Testbed

SECONDS = 5.0
QUICK = {"registry_rate_limit": 1000.0}  # as much as Kargo waits between requests, tests need not
HOOKS_OF_A_PUSH = {"embedded": 1, "process": 3}  # distribution's registry tells of two blobs and the manifest
HAVE_APIS = sorted(set(CALLS) & (REGISTRY_RECEIVERS.keys() | GIT_RECEIVERS.keys()))


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], bool]:
    def look(true: Callable[[], bool]) -> bool:
        end = time.monotonic() + SECONDS
        while not true() and time.monotonic() < end:
            time.sleep(0.01)
        return true()

    return look


def use(bed: Testbed, until: Any) -> None:
    """A push, its hooks, a discovery with HTTP; where the registry is no process, the same with git.

    The Warehouse comes behind the hooks: looking once more, at a registry that has just gone, takes Kargo a second.
    """
    bed.install_hooks()
    bed.registry.push_image("team/app", "1.0.0")
    subscriptions, hooks = [bed.image("team/app")], HOOKS_OF_A_PUSH[bed.backend]
    if bed.backend == "embedded":
        bed.git.create_repository("team/config")
        bed.git.commit("team/config", {"version": "1"})
        subscriptions, hooks = [*subscriptions, bed.commits("team/config", branch="main")], hooks + 1
    assert until(lambda: len(bed.lab.store.deliveries()) >= hooks)
    bed.watch("all", *subscriptions)
    assert until(lambda: bed.freight("all") == 1)


def ports(bed: Testbed) -> list[tuple[str, int]]:
    places = [bed.server.host, *(part.host for part in bed.platforms.values())]
    return [(host, int(port)) for host, _, port in (place.partition(":") for place in places)]


def is_open(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, timeout=1).close()
    except OSError:
        return False
    return True


def held() -> dict[str, Any]:
    """What this process has of the machine."""
    children = [(task / "children").read_text() for task in Path("/proc/self/task").iterdir()]
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "processes": sorted("".join(children).split()),
    }


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells what a process holds")
@pytest.mark.parametrize("backend", ["embedded", "process"])
def test_ten_testbeds_leave_no_port_thread_process_or_file(
    backend: str, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "process" and (reason := why_no_process()):
        pytest.skip(reason)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Testbed(backend=backend, interval="1h", settings=QUICK) as bed:  # what is loaded once is loaded now
        use(bed, until)
    before, seen = held(), []
    for _ in range(10):
        with Testbed(backend=backend, interval="1h", settings=QUICK) as bed:
            use(bed, until)
            seen += ports(bed)
    assert (held(), [place for place in seen if is_open(place)], list(tmp_path.iterdir())) == (before, [], [])


def test_a_testbed_that_cannot_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    threads = {thread.name for thread in threading.enumerate()}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bed = Testbed(registry_options={"port": taken.getsockname()[1]})
        with pytest.raises(OSError, match="in use"):
            bed.start()
    assert ({thread.name for thread in threading.enumerate()}, list(tmp_path.iterdir())) == (threads, [])


@pytest.mark.parametrize(
    "wrong", [{"registry": "gitea"}, {"git": "harbor"}, {"backend": "cloud"}, {"git_backend": "cloud"}]
)
def test_what_is_unknown_is_refused_with_what_is_known(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="known are"):
        Testbed(**wrong)


# -- hooks by API ---------------------------------------------------------------------------------


@pytest.mark.parametrize("persona", HAVE_APIS)
def test_a_hook_registered_by_the_platforms_own_api_tells_of_a_push(persona: str, until: Any) -> None:
    platform = "registry" if persona in REGISTRY_RECEIVERS else "git"
    with Testbed(**{platform: persona}, interval="24h", settings=QUICK) as bed:
        if platform == "registry":
            bed.registry.push_image("team/app", "1.0.0")
            bed.watch("it", bed.image("team/app"))
        else:
            bed.git.create_repository("team/config")
            bed.git.commit("team/config", {"version": "1"})
            bed.watch("it", bed.commits("team/config", branch="main"))
        assert until(lambda: bed.freight("it") == 1)
        if platform == "registry":
            bed.register_hook(platform, "team/app")
            bed.registry.push_image("team/app", "1.1.0")
        else:
            bed.register_hook(platform, "team/config")
            bed.git.commit("team/config", {"version": "2"})
        assert until(lambda: bed.freight("it") == 2), bed.deliveries


@pytest.mark.parametrize("persona", sorted(REGISTRY_RECEIVERS.keys() - CALLS.keys()))
def test_a_platform_without_such_an_api_says_so(persona: str) -> None:
    with Testbed(registry=persona) as bed, pytest.raises(UsageError, match="no API for its hooks"):
        bed.register_hook("registry", "team/app")


@pytest.mark.parametrize("backend", ["process", pytest.param("container", marks=pytest.mark.containers)])
def test_a_real_gitea_tells_of_a_push(backend: str, until: Any) -> None:
    if reason := why_no_gitea() if backend == "process" else why_no_container(GITEA):
        pytest.skip(reason)
    with Testbed(git_backend=backend, interval="24h") as bed:
        bed.git.create_repository("team/config")
        bed.git.commit("team/config", {"version": "1"})
        bed.watch("it", bed.commits("team/config", branch="main"))
        assert until(lambda: bed.freight("it") == 1)
        bed.install_hooks()
        bed.git.commit("team/config", {"version": "2"})
        assert until(lambda: bed.freight("it") == 2)


# -- deliveries, faults, quotas -------------------------------------------------------------------


def test_a_lost_delivery_is_in_the_log_and_can_be_sent_again(until: Any) -> None:
    lost = {"losses": Losses(script={1: Fate(drop=True)})}
    with Testbed(interval="24h", settings=QUICK, registry_options=lost) as bed:
        bed.registry.push_image("team/app", "1.0.0")
        bed.watch("image", bed.image("team/app"))
        assert until(lambda: bed.freight("image") == 1)
        bed.install_hooks()
        bed.registry.push_image("team/app", "1.1.0")
        assert until(lambda: len(bed.deliveries) == 1)
        ((platform, row),) = bed.deliveries
        bed.redeliver(platform, row.guid)
        assert until(lambda: bed.freight("image") == 2)
        assert [(row.outcome, row.redelivery) for _, row in bed.deliveries] == [("lost", False), ("delivered", True)]


def test_losses_of_the_testbed_befall_the_hooks_of_each_platform(until: Any) -> None:
    with Testbed(interval="24h", losses=Losses(rules=(LossRule(fate=Fate(answer=404)),))) as bed:
        bed.install_hooks()
        bed.registry.push_image("team/app", "1.0.0")
        bed.git.create_repository("team/config")
        bed.git.commit("team/config", {"version": "1"})
        assert until(lambda: len(bed.deliveries) == 2)
        told = {(platform, row.outcome, row.status) for platform, row in bed.deliveries}
        assert (told, bed.lab.store.deliveries()) == ({("registry", "refused", 404), ("git", "refused", 404)}, ())


def test_hooks_of_a_real_platform_cannot_be_lost_by_order() -> None:
    with pytest.raises(UsageError, match="only embedded platforms"):
        Testbed(backend="process", losses=Losses(drop=1.0))


def test_a_fault_between_discovery_and_registry_is_got_over(until: Any) -> None:
    broken = Faults(FaultRule(path="/tags/list", times=1, fault=Fault(status=503)))
    with Testbed(interval="24h", settings=QUICK, registry_options={"layers": [broken.wrap]}) as bed:
        bed.registry.push_image("team/app", "1.0.0")
        bed.watch("image", bed.image("team/app"))
        assert until(lambda: bed.freight("image") == 1)
        assert (broken.hits, [row.status for row in bed.lab.ledger.rows if row.kind == "tags"]) == ([1], [503, 200])


def test_what_the_quota_charges_is_what_the_ledger_counts_for_each_warehouse(until: Any) -> None:
    quota = Quota.docker_hub()
    with Testbed(
        registry="docker-hub", interval="24h", settings=QUICK, registry_options={"layers": [quota.wrap]}
    ) as bed:
        bed.registry.push_image("team/app", "1.0.0")
        bed.registry.push_image("team/app", "1.1.0")
        bed.watch("newest", bed.image("team/app", constraint="^1.0.0", discoveryLimit=1))
        bed.watch("both", bed.image("team/app", imageSelectionStrategy="Lexical"))
        assert until(lambda: bed.freight("newest") + bed.freight("both") == 2)
        burnt = {(row["warehouse"], row["strategy"]): row["counted"] for row in bed.burn()}
        assert burnt == {("testbed/newest", "SemVer"): 1, ("testbed/both", "Lexical"): 2}
        assert sum(quota.spent.values()) == 3
