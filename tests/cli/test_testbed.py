"""`kargo-lab testbed` as people run it: one command up, everything shown, and nothing left however it ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from kargo_lab.cli.testbed import screen
from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.registry_container import IMAGE
from kargo_lab.platforms.registry_process import why_no_process

SECONDS = 15.0
WHY_NOT: dict[str, Callable[[], str | None]] = {
    "embedded": lambda: None,
    "process": why_no_process,
    "container": lambda: why_no_container(IMAGE),
}
US = (sys.executable, "-m", "kargo_lab")


@contextmanager
def up(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A testbed whose temporary files are in `folder`, and its facts; killed at the end at the latest."""
    process = subprocess.Popen(
        [*US, "testbed", "up", "--json", "--api", ":0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        yield process, json.loads("".join(lines))
    finally:
        process.kill()
        process.communicate()


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + SECONDS
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*US, *words], capture_output=True, text=True, timeout=30, check=False)


def is_open(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def of(folder: Path) -> list[str]:
    """Processes whose command line names the folder: a registry, its guard, ours."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with up(tmp_path_factory.mktemp("up"), "--no-hooks") as (_, facts):
        yield facts


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux tells who runs")
@pytest.mark.parametrize("backend", ["embedded", "process", pytest.param("container", marks=pytest.mark.containers)])
@pytest.mark.parametrize(
    ("number", "status"),
    [
        pytest.param(signal.SIGINT, 0, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 0, id="SIGTERM"),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="kill -9"),
    ],
)
def test_nothing_is_left(
    tmp_path: Path, backend: str, number: int, status: int, request: pytest.FixtureRequest
) -> None:
    if reason := WHY_NOT[backend]():
        if backend == "container" and request.config.getoption("--require-containers", default=False):
            pytest.fail(reason)
        pytest.skip(reason)
    with up(tmp_path, "--backend", backend) as (process, facts):
        urls = [facts["webhooks"], facts["api"], *(part["url"] for part in facts["platforms"].values())]
        assert [url for url in urls if not is_open(url)] == []
        process.send_signal(number)
        assert process.wait(SECONDS) == status
        assert until(lambda: not (list(tmp_path.iterdir()) or of(tmp_path) or any(map(is_open, urls))))


def test_a_second_ctrl_c_does_not_interrupt_the_tidying(tmp_path: Path) -> None:
    with up(tmp_path) as (process, _):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert (process.wait(SECONDS), list(tmp_path.iterdir())) == (0, [])


def test_an_address_that_is_taken_ends_it_with_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("testbed", "up", "--api", f":{port}")
    assert (done.returncode, "cannot serve the lab API" in done.stderr) == (2, True)


def test_an_unknown_persona_is_refused_with_the_known_ones() -> None:
    done = run("testbed", "up", "--registry", "gitea", "--api", ":0")
    assert (done.returncode, "known are acr, artifactory" in done.stderr) == (2, True)


def test_the_screen_shows_every_url_credential_and_next_command(running: dict[str, Any]) -> None:
    shown = screen(running)
    wanted = [running["webhooks"], running["api"], *(line for lines in running["next"].values() for line in lines)]
    wanted += [part[key] for part in running["platforms"].values() for key in part if key != "persona"]
    wanted += [receiver[key] for receiver in running["receivers"].values() for key in ("type", "url", "secret")]
    assert [text for text in wanted if text not in shown] == []
    assert max(map(len, shown.splitlines())) < 300


def test_the_command_to_send_a_hook_by_hand_works(running: dict[str, Any]) -> None:
    (command,) = running["next"]["send a hook by hand"]
    done = run(*shlex.split(command)[1:])
    assert (done.returncode, "refreshed 1 warehouse(s)" in done.stdout) == (0, True), done.stderr


def lines(command: list[str]) -> list[str]:
    """What one of our commands prints."""
    return run(*command[1:]).stdout.splitlines()


def test_the_commands_to_look_are_answered(running: dict[str, Any]) -> None:
    freight, deliveries, burn = (shlex.split(command) for command in running["next"]["look"])
    assert requests.get(freight[-1], timeout=10).status_code == 200
    assert run(*deliveries[1:]).stdout.startswith("platform  time")
    assert until(lambda: ["testbed/image", "0", "SemVer"] in [line.split()[:3] for line in lines(burn)])


def test_the_command_to_push_a_commit_makes_freight(running: dict[str, Any], tmp_path: Path) -> None:
    (register,) = running["next"]["register the hooks by API"]
    said = run(*shlex.split(register)[1:])
    assert said.stdout.splitlines() == [
        "registry: the hook for team/app was registered by the API of harbor",
        "git: the hook for team/config was registered by the API of gitea",
    ]
    freight = f"{running['api']}/freight?namespace=testbed&warehouse=commit"
    assert until(lambda: len(requests.get(freight, timeout=10).json()["items"]) == 1)
    (command,) = running["next"]["push a commit"]
    subprocess.run(command, shell=True, check=True, capture_output=True, cwd=tmp_path, timeout=30)
    assert until(lambda: len(requests.get(freight, timeout=10).json()["items"]) == 2)
    api = ("--api", running["api"].removesuffix("/lab/v1"))
    (told,) = [row for row in json.loads(run("testbed", "deliveries", "--json", *api).stdout) if row["event"] == "push"]
    assert run("testbed", "redeliver", told["platform"], told["guid"], *api).returncode == 0


def test_without_a_testbed_hooks_cannot_be_installed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = run("testbed", "hooks", "install", "--api", f"http://127.0.0.1:{port}")
    assert (done.returncode, "no testbed answers" in done.stderr) == (2, True)
