"""Sending one request and keeping what came back, by socket or straight into a WSGI callable.

The socket way is written on `http.client` and not on `requests`: a suite must be able to send what a
polite client would not (a path that is not clean, a body in chunks that is too large), and a
connection that closes without an answer is a result here, not an exception.
"""

from __future__ import annotations

import http.client
import io
import json
import ssl
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import attrs

from kargo_lab.conformance.requests import Request

CHUNK = 65536


@attrs.frozen(kw_only=True)
class Exchange:
    """One request and its answer. `status` 0 is no answer; `failure` then says what happened instead."""

    request: Request
    base_url: str
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    failure: str = ""
    closed: bool = False  # the other side closed the connection without an answer

    def header(self, name: str) -> str:
        """The first value of an answer's header, empty if absent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def document(self) -> Any:
        """The body as JSON; None where it is empty. Raises ValueError where it is something else."""
        return json.loads(self.body) if self.body.strip() else None


def over_http(base_url: str, request: Request, *, timeout_seconds: float, verify_tls: bool = True) -> Exchange:
    """Send over a connection of its own. Never raises for anything the other side does."""
    parts = urlsplit(base_url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context() if verify_tls else ssl._create_unverified_context()  # noqa: S323, SLF001 - asked for by the target file
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout_seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_seconds)
    try:
        _put(connection, request)
        answer = connection.getresponse()
        body = answer.read(1 << 22)
        return Exchange(
            request=request, base_url=base_url, status=answer.status, headers=tuple(answer.getheaders()), body=body
        )
    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
        return _early_answer(connection, request, base_url, error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Exchange(request=request, base_url=base_url, failure=f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def _early_answer(
    connection: http.client.HTTPConnection, request: Request, base_url: str, error: Exception
) -> Exchange:
    """A server may answer before it has read everything and then close: look whether an answer lies there."""
    try:
        answer = connection.response_class(connection.sock, method=request.method)
        answer.begin()
        return Exchange(
            request=request,
            base_url=base_url,
            status=answer.status,
            headers=tuple(answer.getheaders()),
            body=answer.read(1 << 22),
        )
    except (OSError, http.client.HTTPException, AttributeError, ValueError):
        return Exchange(request=request, base_url=base_url, failure=f"{type(error).__name__}: {error}", closed=True)


def _put(connection: http.client.HTTPConnection, request: Request) -> None:
    # Upper case, so that header names cannot be told from those of a client that knows better.
    connection.putrequest(request.method, request.target, skip_accept_encoding=True)
    for name, value in request.headers:
        connection.putheader(name, value.encode("utf-8"))
    if request.chunked:
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        for piece in _pieces(request.body):
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        return
    connection.putheader("Content-Length", str(len(request.body)))
    connection.endheaders()
    for piece in _pieces(request.body):
        connection.send(piece)


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]


def over_wsgi(application: Callable[..., Iterable[bytes]], request: Request) -> Exchange:
    """Call a WSGI application in this thread, with the environ that a server would build."""
    raw_path, _, query = request.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1"),
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "QUERY_STRING": query,
        "SERVER_NAME": "in-process",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value.encode("utf-8").decode(
            "latin-1"
        )
    if request.chunked:
        environ["HTTP_TRANSFER_ENCODING"], environ["wsgi.input_terminated"] = "chunked", True
    else:
        environ["CONTENT_LENGTH"] = str(len(request.body))
    seen: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        del exc_info
        seen["status"], seen["headers"] = int(status.split(maxsplit=1)[0]), tuple(headers)
        return lambda _data: None

    try:
        body = b"".join(application(environ, start_response))
    except Exception as error:  # noqa: BLE001 - the connection would be closed: that is the result
        return Exchange(request=request, base_url="in-process", failure=f"{type(error).__name__}: {error}", closed=True)
    if request.method == "HEAD":
        body = b""
    return Exchange(request=request, base_url="in-process", status=seen["status"], headers=seen["headers"], body=body)
