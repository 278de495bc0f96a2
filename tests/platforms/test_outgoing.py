"""A delivery on a real wire: what the receiver gets, and how every bad end is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from kargo_lab.platforms.habits import HABITS
from kargo_lab.platforms.hooks import Hook, Sender
from kargo_lab.platforms.outgoing import MASK, Outgoing, masked, post

BODY = b'{"ref":"refs/heads/main"}'


def outgoing(url: str, **changes: object) -> Outgoing:
    headers = (("User-Agent", "Lab/1"), ("Content-Type", "application/json"), ("X-Event", "push"))
    return Outgoing(url=url, headers=headers, body=BODY, **changes)


@pytest.fixture
def stubborn() -> Iterator[Callable[[bytes], str]]:
    """Serves one connection: says some bytes and then nothing more, until the test ends."""
    end, threads = threading.Event(), []

    def start(said: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with listener, listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(said)
                end.wait(10)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    end.set()
    for thread in threads:
        thread.join()


def test_only_the_named_headers_and_the_very_bytes_arrive(httpserver) -> None:
    httpserver.expect_request("/hook").respond_with_data("fine", headers={"X-Answer": "1"})
    answer = post(outgoing(httpserver.url_for("/hook")), 5, False)
    request = httpserver.log[0][0]
    assert request.data == BODY
    assert {name for name in dict(request.headers) if name.startswith("X-")} == {"X-Event"}
    assert request.headers["User-Agent"] == "Lab/1"
    assert (answer.status, answer.body, dict(answer.headers)["X-Answer"]) == (200, b"fine", "1")


@pytest.mark.parametrize(("follow", "status"), [(True, 200), (False, 302)])
def test_redirects_are_followed_by_some(httpserver, follow: bool, status: int) -> None:
    httpserver.expect_request("/old").respond_with_data(status=302, headers={"Location": httpserver.url_for("/new")})
    httpserver.expect_request("/new").respond_with_data("new")
    assert post(outgoing(httpserver.url_for("/old")), 5, follow).status == status


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="no answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", id="headers that do not end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", id="a body that does not end"),
    ],
)
def test_patience_ends(stubborn, said: bytes) -> None:
    assert post(outgoing(stubborn(said)), 0.2, False).outcome == "timed out"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:9/", id="a closed port"),
        pytest.param("http://[::1/", id="a broken address"),
        pytest.param("gopher://127.0.0.1/", id="another scheme"),
        pytest.param("", id="no address"),
    ],
)
def test_what_cannot_be_reached_is_told_not_raised(url: str) -> None:
    answer = post(outgoing(url), 1, False)
    assert (answer.status, answer.outcome) == (0, "unreachable")


def test_an_answer_that_is_no_http_is_unreachable(stubborn) -> None:
    assert post(outgoing(stubborn(b"SSH-2.0-x\r\n\r\n")), 1, False).outcome in {"unreachable", "timed out"}


def test_workers_deliver_side_by_side_and_stop(httpserver) -> None:
    httpserver.expect_request("/hook").respond_with_data("fine")
    before = threading.active_count()
    hook = Hook(id=1, url=httpserver.url_for("/hook"))
    with Sender(HABITS["github"], transport=post) as sender:
        for _ in range(20):
            sender.send(hook, outgoing(hook.url))
        assert sender.settle()
        assert [row.outcome for row in sender.rows] == ["delivered"] * 20
    assert threading.active_count() == before


def test_a_stop_drops_what_waits() -> None:
    sender = Sender(HABITS["github"], transport=post)
    sender.send(Hook(id=1, url="http://127.0.0.1:9/"), outgoing("http://127.0.0.1:9/"))
    sender.stop()
    assert sender.rows == ()


def test_secrets_in_headers_are_masked() -> None:
    shown = dict(masked((("Authorization", "Basic x"), ("X-Gitlab-Token", "t"), ("X-Event", "push"))))
    assert shown == {"Authorization": MASK, "X-Gitlab-Token": MASK, "X-Event": "push"}
