"""Deliveries over a wire that breaks: what the reference's endpoint makes of them, and what the sender notes."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator

import attrs
import pytest

from kargo_lab.engine.lab import Lab
from kargo_lab.platforms.habits import HABITS, Habit
from kargo_lab.platforms.hooks import Hook, Sender
from kargo_lab.platforms.losses import Fate, Losses, LossRule
from kargo_lab.platforms.lossy_wire import kept_bytes, post_roughly, trickle_seconds
from kargo_lab.platforms.outgoing import Outgoing
from kargo_lab.resources import loading
from kargo_lab.service.serving import Server
from kargo_lab.service.webhook import Webhook

WAREHOUSE = "p/w"
MANIFESTS = """
apiVersion: v1
kind: Secret
metadata: {namespace: p, name: s}
stringData: {secret-token: t0ken}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {namespace: p, name: p}
spec: {webhookReceivers: [{name: r, gitlab: {secretRef: {name: s}}}]}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {namespace: p, name: w}
spec: {subscriptions: [{git: {repoURL: "https://gitlab.test/team/config"}}]}
"""
BODY = json.dumps(
    {"ref": "refs/heads/main", "repository": {"git_http_url": "https://gitlab.test/team/config"}}
).encode()
HEADERS = (("Content-Type", "application/json"), ("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", "t0ken"))
# Tries once, with the patience of a test.
HASTY = attrs.evolve(HABITS["quay"], timeout_seconds=2.0, retries=(), disable_after=0)
SLOW = (len(BODY) // 4, 0.02)


@attrs.define
class Bench:
    """A lab behind its endpoint, and one hook to it."""

    lab: Lab
    hook: Hook

    def send(self, losses: Losses, *, deliveries: int = 1, habit: Habit = HASTY, body: bytes = BODY) -> Sender:
        """Deliver side by side, on the wall clock."""
        with Sender(habit, losses=losses) as sender:
            for _ in range(deliveries):
                sender.send(self.hook, Outgoing(url=self.hook.url, headers=HEADERS, body=body, event="push"))
            assert sender.settle()
        return sender

    @property
    def refreshed(self) -> int:
        return sum(bool(record.refreshed) for record in self.lab.store.deliveries())


@pytest.fixture
def bench() -> Iterator[Bench]:
    lab = Lab()
    with Server(Webhook(lab)) as server:
        lab.apply(loading.loads(MANIFESTS))
        lab.resync(base_url=server.url)
        (config,) = lab.objects.configs
        (entry,) = lab.objects.receiver_entries(config)
        yield Bench(lab, Hook(id=1, url=entry.url))
    lab.close()


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing worse than a note is logged, and no traceback."""
    caplog.set_level(logging.INFO)
    yield
    loud = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR or record.exc_info]
    assert loud == []


BROKEN = [
    pytest.param(Fate(half_close=True), ("refused", 500), id="half closed, whereupon Kargo answers"),
    pytest.param(Fate(half_close=True, share=1.0), ("refused", 500), id="half closed before the last byte"),
    pytest.param(Fate(half_close=True, slow=SLOW), ("refused", 500), id="half closed after a slow half"),
    pytest.param(Fate(reset=True), ("unreachable", 0), id="reset"),
    pytest.param(Fate(reset=True, share=0.0), ("unreachable", 0), id="reset behind the headers"),
    pytest.param(Fate(slow=(1, 0.05)), ("timed out", 0), id="slower than the sender's patience"),
    pytest.param(Fate(drop=True), ("lost", 0), id="dropped"),
    pytest.param(Fate(answer=502), ("refused", 502), id="answered 502 in between"),
    pytest.param(Fate(answer=404, body=b"who?"), ("refused", 404), id="answered 404 in between"),
]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("fate", "noted"), BROKEN)
def test_what_breaks_on_its_way_refreshes_nothing_and_is_noted(
    bench: Bench, fate: Fate, noted: tuple[str, int]
) -> None:
    (row,) = bench.send(Losses(script={1: fate})).rows
    assert ((row.outcome, row.status), bench.refreshed) == (noted, 0)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("fate", "noted"), BROKEN)
def test_other_deliveries_go_through_meanwhile(bench: Bench, fate: Fate, noted: tuple[str, int]) -> None:
    sender = bench.send(Losses(script={2: fate}), deliveries=4)
    assert {row.number: (row.outcome, row.status) for row in sender.rows} == {
        number: noted if number == 2 else ("delivered", 200) for number in (1, 2, 3, 4)
    }


def test_the_platform_tries_again_what_broke(bench: Bench) -> None:
    habit = attrs.evolve(HABITS["registry"], timeout_seconds=5.0)
    rules = (LossRule(attempts=1, fate=Fate(reset=True)), LossRule(attempts=2, fate=Fate(half_close=True)))
    sender = bench.send(Losses(rules=rules), habit=habit)
    assert [(row.attempt, row.outcome) for row in sender.rows] == [(1, "unreachable"), (2, "refused"), (3, "delivered")]
    assert bench.refreshed == 1


def test_a_platform_that_never_tries_again_leaves_it_lost(bench: Bench) -> None:
    habit = attrs.evolve(HABITS["github"], timeout_seconds=5.0)
    assert [row.outcome for row in bench.send(Losses(reset=1.0), habit=habit).rows] == ["unreachable"]


def test_a_slow_body_in_time_is_delivered(bench: Bench) -> None:
    (row,) = bench.send(Losses(script={1: Fate(slow=SLOW)})).rows
    assert (row.outcome, row.seconds >= 0.08, bench.refreshed) == ("delivered", True, 1)


def test_a_proxys_answer_is_in_the_log_with_its_words(bench: Bench) -> None:
    fate = Fate(answer=429, headers=(("Retry-After", "7"),), body=b"slow down")
    (row,) = bench.send(Losses(script={1: fate})).rows
    assert (row.response_headers, row.response_body) == ((("Retry-After", "7"),), b"slow down")


def test_an_overtaken_delivery_arrives_behind_the_next(bench: Bench) -> None:
    sender = bench.send(Losses(script={1: Fate(behind=2)}), deliveries=3)
    assert (sender.rows[-1].number, [row.outcome for row in sender.rows]) == (1, ["delivered"] * 3)


def test_the_same_seed_ends_the_same_way_for_each_delivery(bench: Bench) -> None:
    def ends(seed: int) -> list[str]:
        losses = Losses(seed=seed, drop=0.2, answer=0.2, half_close=0.2, reset=0.2, slow=0.2, trickle=(64, 0.01))
        sender = bench.send(losses, deliveries=30)
        return [f"{row.outcome} {row.status}" for row in sorted(sender.rows, key=lambda row: row.number)]

    first = ends(5)
    assert first == ends(5) != ends(6)
    assert len(set(first)) > 3


# -- the wire itself ------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[Callable[..., tuple[str, Callable[[], tuple[bytes, str]]]]]:
    """Takes one connection: an address, and a call for what came and how it ended."""
    threads = []

    def start(tls: ssl.SSLContext | None = None) -> tuple[str, Callable[[], tuple[bytes, str]]]:
        waiting, said, ends = socket.create_server(("127.0.0.1", 0)), [], []
        port = waiting.getsockname()[1]
        waiting = tls.wrap_socket(waiting, server_side=True) if tls else waiting

        def take() -> None:
            with waiting:
                try:
                    connection = waiting.accept()[0]
                except ssl.SSLError:
                    ends.append("not trusted")
                    return
                connection.settimeout(5)
                try:
                    while data := connection.recv(65536):
                        said.append(data)
                    ends.append("closed")
                    connection.sendall(b"HTTP/1.1 202 Fine\r\nContent-Length: 2\r\n\r\nok")
                except ConnectionResetError:
                    ends.append("reset")
                except ssl.SSLError:  # OpenSSL answers nobody who left without a goodbye
                    ends.append("no answer")
                finally:
                    connection.close()

        thread = threading.Thread(target=take)
        threads.append(thread)
        thread.start()

        def result() -> tuple[bytes, str]:
            thread.join(5)
            return b"".join(said), ends[0]

        return f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook?a=1", result

    yield start
    for thread in threads:
        thread.join(5)


def test_half_of_the_body_comes_and_the_answer_still_goes_back(listener) -> None:
    url, result = listener()
    answer = post_roughly(Outgoing(url=url, headers=HEADERS, body=b"0123456789"), Fate(half_close=True), 5.0)
    head, _, body = result()[0].partition(b"\r\n\r\n")
    assert (answer.status, answer.body) == (202, b"ok")
    assert (head.splitlines()[0], b"Content-Length: 10" in head, body) == (b"POST /hook?a=1 HTTP/1.1", True, b"01234")


@pytest.mark.parametrize("body", [b"0123456789", b""])
def test_a_reset_is_a_reset(listener, body: bytes) -> None:
    url, result = listener()
    answer = post_roughly(Outgoing(url=url, headers=HEADERS, body=body), Fate(reset=True), 5.0)
    assert (answer.outcome, result()[1]) == ("unreachable", "reset")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side, with a certificate that nobody trusts."""
    certificate, key = (tmp_path_factory.mktemp("tls") / name for name in ("tls.crt", "tls.key"))
    arguments = ["-subj", "/CN=receiver", "-days", "2", "-keyout", key, "-out", certificate]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *arguments], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize(
    ("fate", "verified", "came"),
    [
        pytest.param(Fate(half_close=True), False, b"01234", id="half closed"),
        pytest.param(Fate(slow=(5, 0.0), half_close=True, share=1.0), False, b"012345678", id="slow and half closed"),
        pytest.param(Fate(half_close=True), True, b"", id="not trusted"),
    ],
)
def test_the_wire_breaks_under_tls_as_well(
    listener, tls: ssl.SSLContext, fate: Fate, verified: bool, came: bytes
) -> None:
    url, result = listener(tls)
    answer = post_roughly(Outgoing(url=url, headers=HEADERS, body=b"0123456789", verify_tls=verified), fate, 5.0)
    assert (answer.outcome, result()[0].partition(b"\r\n\r\n")[2]) == ("unreachable", came)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "gopher://127.0.0.1/", "http://[::1/", ""])
def test_what_cannot_be_reached_is_told_not_raised(url: str) -> None:
    answer = post_roughly(Outgoing(url=url, headers=(), body=b"{}"), Fate(slow=(1, 0.0)), 1.0)
    assert (answer.status, answer.outcome) == (0, "unreachable")


@pytest.mark.parametrize(
    ("body", "fate", "kept", "seconds"),
    [
        (b"0123456789", Fate(half_close=True), 5, 0.0),
        (b"0123456789", Fate(reset=True, share=1.0), 9, 0.0),
        (b"", Fate(reset=True), 0, 0.0),
        (b"0123456789", Fate(slow=(3, 2.0)), 10, 6.0),
        (b"0123456789", Fate(slow=(3, 2.0), half_close=True), 5, 2.0),
    ],
)
def test_a_broken_body_is_never_whole(body: bytes, fate: Fate, kept: int, seconds: float) -> None:
    assert (kept_bytes(body, fate), trickle_seconds(body, fate)) == (kept, seconds)
