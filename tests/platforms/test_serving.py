"""The server in a thread: what it promises to the platforms that stand on it."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
import requests

from kargo_lab.platforms.serving import Server, drop_connection, reset_connection


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def test_a_free_port_is_taken_and_answers() -> None:
    with Server(echo) as server:
        assert requests.post(server.url, data=b"x" * 3_000_000, timeout=5).content == b"x" * 3_000_000


def test_a_chunked_body_arrives_whole() -> None:
    with Server(echo) as server:
        assert requests.post(server.url, data=iter([b"a" * 70_000, b"b"]), timeout=5).content == b"a" * 70_000 + b"b"


def test_stopping_leaves_no_thread_and_frees_the_port_even_with_a_connection_open() -> None:
    before = set(threading.enumerate())
    server = Server(echo).start()
    with socket.create_connection((server.address, server.port)) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.recv(4096)
        server.stop()
        assert idle.recv(1) == b""
    assert set(threading.enumerate()) == before
    with socket.create_server((server.address, server.port)):
        pass


def test_stopping_at_once_is_stopping() -> None:
    before = set(threading.enumerate())
    for _ in range(50):
        Server(echo).start().stop()
    assert set(threading.enumerate()) == before


def test_stopping_twice_is_stopping_once() -> None:
    server = Server(echo).start()
    server.stop()
    server.stop()


def test_a_server_may_be_started_again() -> None:
    server = Server(echo)
    for _ in range(2):
        with server:
            assert requests.get(server.url, timeout=5).ok


def test_a_port_that_is_taken_is_said_and_leaks_nothing() -> None:
    before = set(threading.enumerate())
    with Server(echo) as server, pytest.raises(OSError, match="in use"):
        Server(echo, port=server.port).start()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize(
    ("breaks", "error"),
    [
        pytest.param(drop_connection, b"", id="a dropped connection ends without an answer"),
        pytest.param(reset_connection, None, id="a reset connection ends with a reset"),
    ],
)
def test_an_application_may_break_its_connection(breaks: Any, error: bytes | None) -> None:
    server = Server(lambda environ, _start: breaks(environ))
    with server, socket.create_connection((server.address, server.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            received: bytes | None = client.recv(1)
        except ConnectionResetError:
            received = None
    assert received == error


def test_a_client_that_tries_tls_is_told_at_once() -> None:
    with Server(echo) as server, pytest.raises(requests.exceptions.SSLError):
        requests.get(server.url.replace("http:", "https:"), timeout=5)
