"""HTTP that is counted: redirects, credentials, failures; what is a row and what is none."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from kargo_lab.engine.clock import Interrupted, Shift, VirtualClock, WallClock
from kargo_lab.errors import UpstreamError
from kargo_lab.sources import oci_auth, outgoing
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.oci_auth import Challenge
from kargo_lab.sources.outgoing import NotSent, Outgoing, Reply, Retries


def sender(**settings: Any) -> tuple[Outgoing, Ledger]:
    ledger = Ledger()
    return Outgoing(ledger=ledger, clock=VirtualClock(), **settings), ledger


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A port on which every connection is treated by `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)

        def serve() -> None:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_each_request_has_a_connection_of_its_own(httpserver: HTTPServer) -> None:
    ports = []

    def answer(request: Request) -> Response:
        ports.append(request.environ["REMOTE_PORT"])
        return Response("ok")

    httpserver.expect_request("/").respond_with_handler(answer)
    out, ledger = sender()
    for _ in range(3):
        out.send(httpserver.url_for("/"), kind="ping")
    assert (len(set(ports)), len(ledger.rows)) == (3, 3)


def test_a_refused_connection_is_no_request() -> None:
    out, ledger = sender()
    with pytest.raises(NotSent, match="no connection"):
        out.send("http://127.0.0.1:1/", kind="ping")
    assert ledger.rows == ()


def test_tls_to_a_plain_port_is_no_request_and_is_recognised(httpserver: HTTPServer) -> None:
    def plain(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

    out, ledger = sender()
    with server(plain) as host, pytest.raises(NotSent) as caught:
        out.send(f"https://{host}/", kind="ping")
    assert (caught.value.spoke_plain, ledger.rows) == (True, ())


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl is installed to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=registry", *files]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


@pytest.fixture
def tls_server(self_signed: ssl.SSLContext) -> Iterator[str]:
    with HTTPServer(ssl_context=self_signed) as running:
        running.expect_request("/v2/").respond_with_data("{}")
        yield running.url_for("/v2/")


def test_a_certificate_that_nobody_vouches_for_ends_before_the_request(tls_server: str) -> None:
    out, ledger = sender()
    with pytest.raises(NotSent, match="certificate verify failed") as caught:
        out.send(tls_server, kind="ping")
    assert (caught.value.spoke_plain, ledger.rows) == (False, ())


def test_unless_verification_is_switched_off(tls_server: str) -> None:
    out, ledger = sender(verify_tls=False)
    assert out.send(tls_server, kind="ping").status == 200
    assert len(ledger.rows) == 1


def test_a_connection_that_breaks_after_the_request_is_a_row_without_status() -> None:
    out, ledger = sender()
    with server(lambda connection: connection.recv(4096) and None) as host, pytest.raises(UpstreamError):
        out.send(f"http://{host}/", kind="ping")
    assert [row.status for row in ledger.rows] == [0]


def test_a_server_that_stays_silent_is_given_up() -> None:
    out, ledger = sender(header_timeout_seconds=0.05)
    release = threading.Event()
    with server(lambda connection: connection.recv(4096) and release.wait(5) and None) as host:
        with pytest.raises(UpstreamError, match="no answer in time"):
            out.send(f"http://{host}/", kind="ping")
        release.set()
    assert [row.status for row in ledger.rows] == [0]


def test_credentials_stay_with_their_host() -> None:
    out, ledger = sender()
    with responses.RequestsMock() as mock:
        mock.get("https://a.example/x", status=307, headers={"Location": "https://b.example/y"})
        mock.get("https://b.example/y", status=302, headers={"Location": "https://a.example/z"})
        mock.get("https://a.example/z", body="ok")
        out.follow("https://a.example/x", kind="blob", redirected="moved", headers={"Authorization": "Basic x"})
        sent = ["Authorization" in call.request.headers for call in mock.calls]
    assert sent == [True, False, True]
    assert [row.kind for row in ledger.rows] == ["blob", "moved", "moved"]


def test_a_redirect_loop_ends_after_ten() -> None:
    out, ledger = sender()
    with responses.RequestsMock() as mock:
        mock.get("https://a.example/x", status=302, headers={"Location": "/x"})
        with pytest.raises(UpstreamError, match="10 redirects"):
            out.follow("https://a.example/x", kind="blob", redirected="moved")
    assert len(ledger.rows) == 11


def test_an_enormous_body_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "BODY_LIMIT", 1000)
    out, _ = sender()
    with responses.RequestsMock() as mock:
        mock.get("https://a.example/x", body="x" * 1001)
        with pytest.raises(UpstreamError, match="exceeds"):
            out.send("https://a.example/x", kind="blob")


def test_rows_and_errors_show_neither_query_nor_user() -> None:
    out, ledger = sender()
    # Nothing is registered, so every call breaks.
    with responses.RequestsMock(assert_all_requests_are_fired=False), pytest.raises(UpstreamError) as caught:
        out.send("https://u:s3cr3t@a.example/x?token=s3cr3t", kind="blob")
    assert "s3cr3t" not in f"{caught.value} {ledger.rows}"
    assert (ledger.rows[0].source, ledger.rows[0].path) == ("a.example", "/x")


def test_retries_stop_at_the_first_good_answer() -> None:
    out, ledger = sender(retries=Retries(statuses=frozenset({503}), waits_seconds=(1.0, 3.0)))
    with responses.RequestsMock(registry=responses.registries.OrderedRegistry) as mock:
        mock.get("https://a.example/x", status=503)
        mock.get("https://a.example/x", body="ok")
        assert out.send("https://a.example/x", kind="blob").body == b"ok"
    assert [row.status for row in ledger.rows] == [503, 200]


@pytest.mark.parametrize(
    ("host", "kind", "status", "counted"),
    [
        pytest.param("index.docker.io", "manifest-by-tag", 200, True, id="Docker Hub counts manifests"),
        pytest.param("index.docker.io", "tags", 200, False, id="and nothing else"),
        pytest.param("ghcr.io", "tags", 200, True, id="others count everything"),
        pytest.param("ghcr.io", "tags", 304, False, id="but what was not modified"),
    ],
)
def test_what_quotas_count(host: str, kind: str, status: int, counted: bool) -> None:
    assert outgoing.quota_counts(host, kind, status) is counted


# Challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param('Basic realm="a b"', [("basic", {"realm": "a b"})], id="basic"),
        pytest.param(
            'Bearer realm="https://x/t",service="s",scope="repository:a/b:pull,push"',
            [("bearer", {"realm": "https://x/t", "service": "s", "scope": "repository:a/b:pull,push"})],
            id="bearer, with a comma in quotes",
        ),
        pytest.param("Negotiate, Basic realm=r", [("negotiate", {}), ("basic", {"realm": "r"})], id="two"),
        pytest.param(r'Basic realm="a\"b"', [("basic", {"realm": 'a"b'})], id="an escaped quote"),
        pytest.param("", [], id="none"),
    ],
)
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(each.scheme, each.parameters) for each in oci_auth.challenges(header)] == expected


def test_the_challenge_that_can_be_met_is_picked() -> None:
    reply = Reply(url="", status=401, headers={"www-authenticate": "Negotiate, Bearer realm=r"}, body=b"")
    assert oci_auth.pick(reply) == Challenge(scheme="bearer", parameters={"realm": "r"})


@given(st.text())
def test_any_header_is_read_without_an_error(header: str) -> None:
    assert all(isinstance(each, Challenge) for each in oci_auth.challenges(header))


@pytest.mark.parametrize(
    ("registry", "plain"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("r.localhost:5000", True),
        ("10.1.2.3", True),
        ("172.31.0.1:80", True),
        ("192.168.1.1", True),
        ("127.0.0.2", False),
        ("172.32.0.1", False),
        ("registry.local", False),
        ("ghcr.io", False),
    ],
)
def test_who_may_speak_plain_http(registry: str, plain: bool) -> None:
    assert oci_auth.plain_http_allowed(registry) is plain


def test_the_realm_keeps_its_own_query() -> None:
    challenge = Challenge(scheme="bearer", parameters={"realm": "https://x/t?a=1&service=old"})
    url = oci_auth.realm_url(challenge, service="s", scopes=("repository:a/b:pull",))
    assert url == "https://x/t?a=1&scope=repository%3Aa%2Fb%3Apull&service=s"


ODD_URLS = [
    "",
    "//",
    "ftp://a/b",
    "http://[",
    "http://a:b/",
    "https://",
    "http://\x00/",
    "http://%zz/",
    "x" * 5000,
    "::",
]


@pytest.mark.parametrize("url", ODD_URLS)
def test_a_stranger_s_redirect_is_an_upstream_error_or_an_answer(url: str) -> None:
    out, _ = sender()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.get("https://a.example/x", status=302, headers={"Location": url.replace("\x00", "%00")})
        try:
            out.follow("https://a.example/x", kind="blob", redirected="moved")
        except UpstreamError as error:
            assert str(error)  # noqa: PT017 - either outcome is right, a third is not


@pytest.mark.parametrize("url", ODD_URLS)
def test_a_stranger_s_realm_is_an_upstream_error(url: str) -> None:
    out, _ = sender()
    challenge = Challenge(scheme="bearer", parameters={"realm": url})
    with responses.RequestsMock(), pytest.raises(UpstreamError):
        out.send(oci_auth.realm_url(challenge, service="s", scopes=()), kind="token")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 1}', b"null"])
def test_an_answer_without_a_token_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        oci_auth.token(Reply(url="", status=200, headers={}, body=body))


@pytest.mark.parametrize(
    "framing",
    [pytest.param(b"Content-Length: 1000000", id="counted"), pytest.param(b"Connection: close", id="up to the end")],
)
def test_a_body_that_drips_is_not_waited_for(framing: bytes) -> None:
    gone = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        with contextlib.suppress(OSError):  # of the end that has heard enough
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
            while not gone.wait(0.01):
                connection.sendall(b"x")

    out, ledger = sender(answer_seconds=0.05)
    with server(drip) as host:
        with pytest.raises(UpstreamError, match="the answer had begun, and did not end in time"):
            out.send(f"http://{host}/", kind="ping")
        gone.set()
    assert [row.status for row in ledger.rows] == [0]


def test_a_body_that_drips_in_chunks_is_not_waited_for() -> None:
    gone = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not gone.wait(0.01):
                connection.sendall(b"1\r\nx\r\n")

    out, _ = sender(answer_seconds=0.05)
    with server(drip) as host:
        with pytest.raises(UpstreamError, match="did not end in time"):
            out.send(f"http://{host}/", kind="ping")
        gone.set()


def test_an_answer_in_chunks_and_compressed_is_read_whole(httpserver: HTTPServer) -> None:
    text = b"tags " * 100_000
    pieces = [packed[at : at + 1000] for packed in (gzip.compress(text),) for at in range(0, len(packed), 1000)]
    answer = Response(iter(pieces), headers={"Content-Encoding": "gzip"})
    httpserver.expect_request("/").respond_with_response(answer)
    assert sender()[0].send(httpserver.url_for("/"), kind="ping").body == text


HEADERS_THAT_DRIP = [
    pytest.param(b"", b"H", id="the status line"),
    pytest.param(b"HTTP/1.1 200 OK\r\n", b"x", id="a header without end"),
    pytest.param(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", id="header after header"),
    pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="answers that promise one"),
]


@pytest.mark.parametrize(("begin", "piece"), HEADERS_THAT_DRIP)
def test_headers_that_drip_are_not_waited_for(begin: bytes, piece: bytes) -> None:
    gone = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        with contextlib.suppress(OSError):
            connection.sendall(begin)
            while not gone.wait(0.02):
                connection.sendall(piece)

    out, ledger = sender(header_timeout_seconds=0.1)
    with server(drip) as host:
        with pytest.raises(UpstreamError, match="no answer in time"):
            out.send(f"http://{host}/", kind="ping")
        gone.set()
    assert [row.status for row in ledger.rows] == [0]


def test_a_line_of_chunks_that_drips_is_not_waited_for() -> None:
    gone = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not gone.wait(0.01):
                connection.sendall(b"0")

    out, _ = sender(answer_seconds=0.1)
    with server(drip) as host:
        with pytest.raises(UpstreamError, match="did not end in time"):
            out.send(f"http://{host}/", kind="ping")
        gone.set()


def test_who_is_asked_to_end_does_not_wait_for_an_answer() -> None:
    shift, arrived, gone = Shift(WallClock()), threading.Event(), threading.Event()

    def silent(connection: socket.socket) -> None:
        connection.recv(4096)
        arrived.set()
        gone.wait(5)

    with server(silent) as host:
        out = Outgoing(ledger=Ledger(), clock=shift)
        asked = threading.Thread(target=lambda: (arrived.wait(5), shift.end()))
        asked.start()
        with pytest.raises(Interrupted):
            out.send(f"http://{host}/", kind="ping")
        asked.join()
        gone.set()
