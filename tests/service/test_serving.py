"""Both servers give the endpoint what Kargo's behaviour rests on; real sockets, requests written by hand."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest

from kargo_lab import profiles
from kargo_lab.engine.intake import Route
from kargo_lab.profiles import Profile
from kargo_lab.service import serving
from kargo_lab.service.serving import Server
from kargo_lab.service.webhook import LIMIT, Webhook
from kargo_lab.wire import Answer, Delivery, NoAnswer, Setup

ROUTE = Route(path="/github/x", type="github", name="r", namespace="p1", setup=Setup(secret=b"s"))
MEBIBYTE = 1024**2


@attrs.define
class EchoLab:
    """Answers with what arrived."""

    profile: Profile = profiles.LATEST
    closes: bool = False

    def route(self, path: str) -> Route | Answer:
        return ROUTE if path == ROUTE.path else Answer(status=404)

    def deliver(self, _route: Route, delivery: Delivery) -> Answer | NoAnswer:
        if self.closes:
            return NoAnswer("as told")
        headers = [list(pair) for pair in delivery.headers if pair[0].startswith("x-")]
        body = {"method": delivery.method, "query": delivery.query, "bytes": len(delivery.body), "headers": headers}
        return Answer(status=200, body=body)


@attrs.frozen
class Running:
    lab: EchoLab
    port: int


@pytest.fixture(scope="module", params=["waitress", "granian"])
def running(request: pytest.FixtureRequest, servers: dict[str, Any]) -> Iterator[Running]:
    lab = EchoLab()
    with servers[request.param](lab) as port:
        yield Running(lab, port)


@attrs.frozen
class Seen:
    status: int | None
    body: bytes = b""
    headers: dict[str, str] = attrs.field(factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def exchange(port: int, line: str, *headers: str, body: bytes = b"") -> Seen:
    head = "\r\n".join((f"{line} HTTP/1.1", "Host: h", *headers, "", "")).encode("latin-1")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head + body)
        response = http.client.HTTPResponse(connection, method=line.split(maxsplit=1)[0])
        try:
            response.begin()
        except (http.client.BadStatusLine, ConnectionError):
            return Seen(None)
        return Seen(response.status, response.read(), {name.lower(): value for name, value in response.getheaders()})


def chunks(size: int) -> bytes:
    whole = b"x" * size
    parts = [whole[start : start + 65536] for start in range(0, size, 65536)]
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in [*parts, b""])


def test_headers_arrive_as_they_were_sent(running: Running) -> None:
    seen = exchange(
        running.port, "POST /github/x?q=%31", "X-A: 1", "X-a:  2 ", "X_B: 3", "Content-Length: 2", body=b"{}"
    )
    pairs = [["x-a", "1"], ["x-a", "2"]]
    assert (seen.json["headers"], seen.json["query"], seen.json["bytes"]) == (pairs, "q=%31", 2)


def test_a_header_beyond_ascii_is_read_as_utf_8(running: Running) -> None:
    seen = exchange(running.port, "POST /github/x", "X-A: \xc3\xa4", "X-C: \xff", "Content-Length: 0")
    assert seen.json["headers"] == [["x-a", "ä"], ["x-c", "\ufffd"]]


def test_a_header_over_two_lines_is_read_as_one() -> None:
    with Server(Webhook(EchoLab())) as server:
        seen = exchange(server.port, "POST /github/x", "X-B: a\r\n b", "Content-Length: 0")
    assert seen.json["headers"] == [["x-b", "a b"]]


def test_escapes_of_letters_do_not_matter(running: Running) -> None:
    assert exchange(running.port, "POST /githu%62%2Fx", "Content-Length: 0").status == 200


def test_an_escaped_dot_segment_is_an_unknown_path(running: Running) -> None:
    assert exchange(running.port, "POST /github/%2e%2e/x", "Content-Length: 0").status == 404


def test_a_path_that_is_no_utf_8_is_unknown(running: Running) -> None:
    assert exchange(running.port, "POST /%ff", "Content-Length: 0").status == 404


def test_an_absolute_target_is_taken_by_its_path(running: Running) -> None:
    assert exchange(running.port, "POST http://h/github/x", "Content-Length: 0").status == 200


def test_a_broken_escape_is_a_bad_request(running: Running) -> None:
    seen = exchange(running.port, "POST /a%zz", "Content-Length: 0")
    assert (seen.status, seen.body) == (400, b"400 Bad Request")


def test_an_unclean_path_is_redirected(running: Running) -> None:
    seen = exchange(running.port, "POST //github/x?a=b", "Content-Length: 0")
    assert (seen.status, seen.headers["location"], seen.body) == (307, "/github/x?a=b", b"")


def test_the_health_endpoint_answers_nothing_well(running: Running) -> None:
    seen = exchange(running.port, "GET /healthz")
    assert (seen.status, seen.body, seen.headers.get("content-type")) == (200, b"", None)


def test_options_of_everything_is_answered(running: Running) -> None:
    assert exchange(running.port, "OPTIONS *").status == 200


def test_head_has_the_headers_of_its_answer_and_no_body(running: Running) -> None:
    seen = exchange(running.port, "HEAD /github/x")
    assert (seen.status, seen.body, seen.headers["content-type"]) == (200, b"", "application/json")


def test_a_large_body_with_its_length_is_413(running: Running) -> None:
    seen = exchange(running.port, "POST /github/x", f"Content-Length: {3 * MEBIBYTE}", body=b"x" * 3 * MEBIBYTE)
    assert (seen.status, seen.json) == (413, {"error": "content exceeds limit of 2097152 bytes"})


def test_a_large_body_in_chunks_is_500(running: Running) -> None:
    seen = exchange(running.port, "POST /github/x", "Transfer-Encoding: chunked", body=chunks(3 * MEBIBYTE))
    assert (seen.status, seen.json) == (500, {})


def test_a_large_body_to_an_unknown_path_is_404(running: Running) -> None:
    for headers, body in (
        ((f"Content-Length: {3 * MEBIBYTE}",), b"x" * 3 * MEBIBYTE),
        (("Transfer-Encoding: chunked",), chunks(3 * MEBIBYTE)),
    ):
        assert exchange(running.port, "POST /nope", *headers, body=body).status == 404


def test_a_body_of_exactly_the_limit_arrives_in_both_framings(running: Running) -> None:
    known = exchange(running.port, "POST /github/x", f"Content-Length: {LIMIT}", body=b"x" * LIMIT)
    chunked = exchange(running.port, "POST /github/x", "Transfer-Encoding: chunked", body=chunks(LIMIT))
    assert (known.json["bytes"], chunked.json["bytes"]) == (LIMIT, LIMIT)


def test_the_connection_is_reused(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    for _ in range(3):
        connection.request("POST", "/github/x", body=b"{}")
        assert connection.getresponse().read()
    connection.close()


def test_no_answer_closes_the_connection(running: Running) -> None:
    running.lab.closes = True
    try:
        assert exchange(running.port, "POST /github/x", "Content-Length: 2", body=b"{}").status is None
    finally:
        running.lab.closes = False


def test_many_at_once_are_all_answered(running: Running) -> None:
    statuses: list[int | None] = []

    def ask() -> None:
        statuses.append(exchange(running.port, "POST /github/x", "Content-Length: 2", body=b"{}").status)

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40


def test_clients_that_never_finish_keep_nobody_out(running: Running) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", running.port), 5))
            connection.sendall(b"POST /github/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
        assert exchange(running.port, "POST /github/x", "Content-Length: 2", body=b"{}").status == 200


def test_a_body_that_is_far_too_long_is_read_past(running: Running) -> None:
    size = 30 * MEBIBYTE
    assert exchange(running.port, "POST /github/x", f"Content-Length: {size}", body=b"x" * size).status == 413


def test_who_asks_first_is_told_not_to_send_what_is_too_long(servers: dict[str, Any]) -> None:
    headers = (f"Content-Length: {LIMIT + 1}", "Expect: 100-continue")
    with servers["granian"](EchoLab()) as port:
        assert exchange(port, "POST /github/x", *headers).status == 413


def test_a_client_that_never_finishes_holds_no_stop(servers: dict[str, Any]) -> None:
    with (
        servers["granian"](EchoLab(), grace_seconds=0.1) as port,
        socket.create_connection(("127.0.0.1", port), 20) as connection,
    ):
        connection.sendall(b"POST /github/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
    # That the server's thread has ended is seen where it was started.


def test_an_impatiently_large_body_is_answered_at_once() -> None:
    with Server(Webhook(EchoLab())) as server:
        seen = exchange(server.port, "POST /github/x", f"Content-Length: {serving.PATIENCE + 1}", body=b"x" * 1000)
    assert seen.status == 413


def test_a_stopped_server_frees_its_port_and_its_threads() -> None:
    before = threading.active_count()
    server = Server(Webhook(EchoLab())).start()
    server.stop()
    server.stop()
    with socket.create_server(("127.0.0.1", server.port)):
        assert threading.active_count() == before


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match=r"(?i)address already in use"):
        Server(Webhook(EchoLab()), port=taken.getsockname()[1]).start()


def test_granian_speaks_tls(tmp_path: Path, servers: dict[str, Any]) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    arguments = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, *arguments],
        check=True,
        capture_output=True,
    )
    trusted = ssl.create_default_context(cafile=certificate)
    with (
        servers["granian"](EchoLab(), certificate=certificate, key=key) as port,
        socket.create_connection(("127.0.0.1", port)) as plain,
        trusted.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("headers", "part", "status"),
    [
        pytest.param(("Content-Length: 10",), b"01234", 500, id="a body that is too short"),
        pytest.param(("Content-Length: 10",), b"", 500, id="no body at all"),
        pytest.param(("Transfer-Encoding: chunked",), b"3\r\nabc\r\n", 500, id="chunks without the last"),
        pytest.param((f"Content-Length: {LIMIT + 1}",), b"0", 413, id="too long by its own word"),
    ],
)
def test_a_client_that_stops_within_its_body_is_answered(
    headers: tuple[str, ...], part: bytes, status: int, running: Running
) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 5) as connection:
        head = "\r\n".join((f"POST {ROUTE.path} HTTP/1.1", "Host: h", *headers, "", ""))
        connection.sendall(head.encode() + part)
        connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == status
        response.read()
        assert connection.recv(1) == b""
