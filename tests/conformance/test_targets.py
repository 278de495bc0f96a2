"""Targets that no suite should be fooled by, or taken down by."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from kargo_lab.conformance import suite
from kargo_lab.conformance.cases import for_profile, load, select
from kargo_lab.conformance.plans import USUAL_ADDRESSES
from kargo_lab.engine.lab import Lab
from kargo_lab.resources import loading
from kargo_lab.service.serving import Server
from kargo_lab.service.webhook import Webhook

RECEIVERS = ("artifactory", "azure", "bitbucket", "dockerhub", "generic", "gitea", "github", "gitlab", "harbor", "quay")


every = cache(load)  # read once for all tests here


@pytest.fixture(scope="module", params=["always-200", "always-401"])
def absurd(request: pytest.FixtureRequest) -> dict:
    chosen = [case for case in for_profile(every(), "latest") if case.group in RECEIVERS]
    return suite.judge(chosen, suite.header(request.param), jobs=1)


@pytest.mark.parametrize("group", RECEIVERS)
def test_an_absurd_target_fails_in_every_receivers_group(absurd: dict, group: str) -> None:
    assert any(case["status"] == "fail" and case["id"].startswith(f"{group}/") for case in absurd["cases"])


@contextmanager
def server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A listening socket whose connections are treated badly."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    behave(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def says(data: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return behave


def hangs(connection: socket.socket) -> None:
    connection.settimeout(1)
    while connection.recv(65536):
        pass


def target_file(folder: Path, url: str, extra: str = "") -> str:
    path = folder / "target.yaml"
    path.write_text(f"name: t\nurl: {url}\ncalls: false\ntimeout-seconds: 10\nscale: 0.005\n{extra}")
    return str(path)


def run(target: str, *patterns: str) -> dict:
    chosen = for_profile(select(every(), patterns or ("github/authenticity",)), "latest")
    return suite.judge(chosen, suite.header(target), jobs=1)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(hangs, id="hangs"),
        pytest.param(says(b""), id="closes every connection"),
        pytest.param(says(b"\x00\xff\xfe garbage\r\n\r\n"), id="answers garbage"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), id="breaks off in the middle"),
        pytest.param(says(b"HTTP/1.1 9999999 OK\r\n\r\n"), id="answers a status that is none"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), id="announces a negative length"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), id="sends a bad chunk"),
    ],
)
def test_a_run_survives_a_target_that(behave: Callable[[socket.socket], None], tmp_path: Path) -> None:
    with server(behave) as url:
        document = run(target_file(tmp_path, url))
    assert {case["status"] for case in document["cases"]} <= {"fail", "skip", "unsupported"}
    assert document["footer"]["outcome"] == "failed"


def test_a_run_survives_a_target_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    document = run(target_file(tmp_path, f"http://127.0.0.1:{port}"))
    assert document["footer"]["outcome"] == "failed"


def test_a_dead_target_is_given_up_after_some_silence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    document = run(target_file(tmp_path, f"http://127.0.0.1:{port}"))
    assert any("in a row unanswered" in case["sentence"] for case in document["cases"])


def test_a_stale_entry_of_the_known_failures_fails_the_run(tmp_path: Path) -> None:
    with server(says(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}")) as url:
        listed = "known-failing: [github/authenticity/text/missing, github/no/such-case]\n"
        document = run(target_file(tmp_path, url, listed), "github/authenticity/text")
    assert document["footer"]["stale"] == ["github/no/such-case is listed, but there is no such case"]
    assert document["footer"]["outcome"] == "failed"


def test_a_known_failure_stays_a_failure_and_does_not_count(tmp_path: Path) -> None:
    with server(says(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}")) as url:
        listed = "known-failing: [github/authenticity/text/missing]\n"
        chosen = ("github/authenticity/text/missing", "github/authenticity/ping-needs-a-signature")
        document = run(target_file(tmp_path, url, listed), *chosen)
    assert {case["status"]: case["note"] for case in document["cases"]} == {"fail": "known to fail", "pass": ""}
    assert document["footer"]["outcome"] == "passed"


def test_what_only_effects_would_show_is_skipped_and_never_passed(tmp_path: Path) -> None:
    with server(says(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}")) as url:
        document = run(target_file(tmp_path, url), "github/authenticity/unsigned")
    assert {case["status"] for case in document["cases"]} == {"skip"}
    assert document["footer"]["outcome"] == "partial"


def test_one_who_applied_the_manifests_as_printed_is_addressed_as_they_say(tmp_path: Path) -> None:
    applied = tmp_path / "manifests.yaml"
    applied.write_text(suite.manifests(select(every(), ("github/push/answer",)), USUAL_ADDRESSES, 7))
    lab = Lab()
    lab.apply(loading.load([applied]))
    try:
        with Server(Webhook(lab)) as endpoint:
            document = run(endpoint.url, "github/push/answer")
    finally:
        lab.close()
    assert [case["status"] for case in document["cases"]] == ["pass"]
