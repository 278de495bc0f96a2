"""Targets that no suite should be fooled by, or taken down by."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from kargo_lab.conformance import reach, report, suite, targets
from kargo_lab.conformance.cases import for_profile, load, select
from kargo_lab.conformance.plans import USUAL_ADDRESSES
from kargo_lab.conformance.targets import url
from kargo_lab.conformance.targets.reference import FEATURES
from kargo_lab.engine.lab import Lab
from kargo_lab.errors import ManifestError, TargetError, UsageError
from kargo_lab.profiles import PROFILES
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
    with server(behave) as address:
        document = run(target_file(tmp_path, address))
    assert {case["status"] for case in document["cases"]} <= {"fail", "error", "skip", "unsupported"}
    assert document["footer"]["outcome"] == "failed"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def test_where_nobody_listens_nothing_is_judged_and_one_sentence_says_what_was_tried(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TargetError) as refusal:
        run(target_file(tmp_path, url))
    said = str(refusal.value)
    assert [part in said for part in (url, "Connection refused", "target.yaml", "Try: curl -i")] == [True] * 4
    assert "\n" not in said


def test_a_target_that_comes_up_while_the_run_waits_is_judged(tmp_path: Path) -> None:
    port = free_port()
    late = threading.Timer(0.3, lambda: up.append(socket.create_server(("127.0.0.1", port))))
    up: list[socket.socket] = []
    late.start()
    try:
        reach.reach(f"http://127.0.0.1:{port}", told_by="", timeout_seconds=5, wait_seconds=30)
    finally:
        late.join()
        for listener in up:
            listener.close()
    assert up


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://", "expected something like"),
        ("http://127.0.0.1:99999", "Port out of range"),
        ("http://[::1", "is no URL"),
        ("http://me:canary@127.0.0.1/", "leave it out"),
        ("http://127.0.0.1/?a=b", "cannot have a"),
    ],
)
def test_what_is_no_url_of_a_target_is_said_before_anything_is_sent(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refusal:
        run(url)
    assert "canary" not in str(refusal.value)


def test_one_who_speaks_no_tls_is_told_apart_from_one_who_is_not_there() -> None:
    with server(says(b"HTTP/1.1 400 No\r\n\r\n")) as url, pytest.raises(TargetError, match="http:// in place of"):
        run(url.replace("http://", "https://"))


class Dying:
    """Answers a few deliveries, and then nobody listens any more."""

    def __init__(self, answers: int) -> None:
        self.left, self.listener = answers, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        with self.listener:
            while self.left:
                connection, _ = self.listener.accept()
                with connection:
                    if connection.recv(65536):  # the first who comes only looks whether anybody is there
                        connection.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}")
                        self.left -= 1


def test_what_a_target_that_died_in_mid_run_left_over_are_errors_and_the_report_is_written(tmp_path: Path) -> None:
    dying = Dying(answers=3)
    document = run(target_file(tmp_path, dying.url), "github")
    dying.thread.join(5)
    report.write(tmp_path / "report", document)
    left = [case for case in document["cases"] if "in a row unanswered" in case["sentence"]]
    assert len(left) > 50
    assert {case["status"] for case in left} == {"error"}
    assert (document["footer"]["outcome"], (tmp_path / "report" / "report.html").exists()) == ("failed", True)


def test_what_cannot_be_run_again_stays_as_it_was(tmp_path: Path) -> None:
    dying = Dying(answers=1)
    target = target_file(tmp_path, dying.url)
    chosen = for_profile(select(every(), ("github/authenticity/text",)), "latest")
    document = suite.judge(chosen, suite.header(target), jobs=1, reruns=1)
    assert any("could not be run again (1)" in case["note"] for case in document["cases"])
    assert document["footer"]["outcome"] == "failed"


FLAWS = {
    "name: [": (1, "not YAML"),
    "name: t\nurl: http://h\nfeaturs: []\n": (3, "featurs: there is no such key (did you mean `features`?)"),
    "name: t\nurl: http://h\nscale: fast\n": (3, "scale: expected a number, found the text 'fast'"),
    "name: t\nsettle-seconds: 1\n": (1, "`url` is missing"),
    "name: t\nurl: ftp://h\n": (2, "url: expected a URL that begins with http:// or https://"),
    "name: t\nurl: http://h\nprofile: v1.12\n": (3, "expected one of v1.6, "),
    "name: t\nurl: http://h\nfeatures:\n- time\n- tiem\n": (5, "features[1]: expected one of outside-addresses"),
    "name: t\nname: u\nurl: http://h\n": (2, "name: the key is here twice, first in line 1"),
    "- t\n": (1, "expected a mapping, found a list"),
    "name: t\nurl: http://me:canary@h\n": (2, "leave it out"),
    "name: t\nurl: http://h\nkind: lab-api\nlab-api: {url: http://h, headers: [canary]}\n": (4, "found something else"),
    "name: t\nurl: http://h\nkind: lab-api\nlab-api: {url: http://h, token: canary, token-env: A}\n": (4, "together"),
    "name: t\nurl: http://h\nkind: lab-api\nlab-api: {url: http://h, headers: {a: canary\u00e9}}\n": (4, "printable"),
}


@pytest.mark.parametrize("text", FLAWS, ids=lambda text: FLAWS[text][1])
def test_what_is_wrong_in_a_target_file_is_said_with_its_line_and_without_its_secrets(
    text: str, tmp_path: Path
) -> None:
    line, sentence = FLAWS[text]
    path = tmp_path / "target.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError) as refusal:
        targets.make(str(path), "latest")
    first = refusal.value.misfits[0]
    assert (first.file, first.line, sentence in str(first)) == (str(path), line, True), str(first)
    assert "canary" not in str(refusal.value)


def test_every_profile_and_feature_of_the_lab_may_stand_in_a_target_file() -> None:
    known = json.loads(url.SCHEMA.read_text())["properties"]
    assert known["profile"]["enum"] == list(PROFILES)
    # one-secret is no more than others have, but less: the reference has a secret for each receiver.
    assert set(known["features"]["items"]["enum"]) == FEATURES | {"one-secret"}


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
