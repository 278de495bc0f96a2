"""The webhook endpoint: a bare WSGI callable that asks the lab and writes what it says.

No framework, because it would be most of the cost. What is here is the order in which Kargo's server
looks at a request (receivers.md 3.1 and 3.2): its mux, the path, the size, the body; everything
after that is the engine's. The checks work on a `Request`, which each server fills as exactly as it
can: see `service.serving` for what the servers offer.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol

import attrs

from kargo_lab.engine.intake import Route
from kargo_lab.profiles import Profile
from kargo_lab.rules import json as gojson
from kargo_lab.service import request_paths
from kargo_lab.wire import Answer, Delivery, NoAnswer

log = logging.getLogger(__name__)

LIMIT = 2 * 1024**2  # bytes of a body; exactly that many are accepted
TOO_LARGE = Answer(status=413, body={"error": f"content exceeds limit of {LIMIT} bytes"})
INTERNAL_ERROR = Answer(status=500)
_BAD_REQUEST = Answer(status=400, body=None, headers=(("Content-Type", "text/plain; charset=utf-8"),))

# What a server may put into the environ beyond WSGI.
RAW_HEADERS = "kargo_lab.headers"  # the pairs as they came; else repeated headers arrive joined
CHUNKED = "kargo_lab.chunked"  # True if the body had no Content-Length on the wire
CLOSE = "kargo_lab.close"  # a callable that breaks the connection, and may raise to do so


class Endpoint(Protocol):
    """What the endpoint asks: the engine's Lab."""

    @property
    def profile(self) -> Profile:
        """Whose behaviour is shown."""

    def route(self, path: str) -> Route | Answer:
        """The receiver behind a decoded path, or the answer."""

    def deliver(self, route: Route, delivery: Delivery) -> Answer | NoAnswer:
        """The answer to a delivery, once what it asks for is durable."""


class BodyError(Exception):
    """The body ended early, or could not be read."""


@attrs.frozen(kw_only=True)
class Request:
    """One request as it came, its body unread.

    `target` is the path and query of the request line, escapes and all. `content_length` is None where
    the header was absent. `read(n)` gives up to n bytes, none only at the end of the body.
    """

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    content_length: int | None = None
    chunked: bool = False
    read: Callable[[int], bytes] = lambda _count: b""


@attrs.frozen(kw_only=True)
class Reply:
    """One answer as it goes."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def respond(request: Request, lab: Endpoint) -> Reply | NoAnswer:
    """What Kargo's server would answer. Never raises."""
    try:
        answer, page = _judge(request, lab)
    except Exception:  # Go's server outlives a handler that panics, and so does this one
        log.exception("the endpoint failed")
        answer, page = INTERNAL_ERROR, b""
    if isinstance(answer, NoAnswer):
        return answer
    headers = answer.headers
    if answer.body is not None:
        page = gojson.dumps(answer.body).encode("utf-8", "surrogateescape") + b"\n"
        headers = (("Content-Type", "application/json"), *headers)
    headers = (*headers, ("Content-Length", str(len(page))))
    return Reply(status=answer.status, headers=headers, body=b"" if request.method == "HEAD" else page)


def _judge(request: Request, lab: Endpoint) -> tuple[Answer | NoAnswer, bytes]:
    """The answer, and a body for those that are not JSON."""
    if _expects_more_than_continue(request.headers):
        return Answer(status=417, body=None), b""
    if request.method == "OPTIONS" and request.target == "*":
        return Answer(status=200, body=None), b""
    try:
        path, query = request_paths.split_target(request.target)
    except request_paths.BadPathError:
        return _BAD_REQUEST, b"400 Bad Request"
    if status := lab.profile.mux_redirect_status:
        clean = path if request.method == "CONNECT" else request_paths.cleaned(path)
        if clean != path:
            return request_paths.redirect(clean, query, method=request.method, status=status)
    if lab.profile.healthz and request_paths.is_health(path):
        return Answer(status=200, body=None), b""
    route = lab.route(request_paths.decoded(path))
    if isinstance(route, Answer):
        return route, b""
    body = _body(request, lab.profile)
    if isinstance(body, Answer):
        return body, b""
    # Go keeps the Host header out of a request's headers, and so expressions cannot see it.
    headers = tuple(pair for pair in request.headers if pair[0].lower() not in _HIDDEN)
    delivery = Delivery(headers=headers, body=body, query=query, method=request.method)
    return lab.deliver(route, delivery), b""


_CONTINUE = re.compile(r"(?:^|[ ,\t])100-continue(?:$|[ ,\t])", re.IGNORECASE)


def _expects_more_than_continue(headers: Sequence[tuple[str, str]]) -> bool:
    """Whether the client expects what Go's server cannot promise; it looks before any handler does.

    net/http server.go, conn.serve and sendExpectationFailed; found by sending the same bytes to a real Kargo.
    """
    first = next((value for name, value in headers if name.lower() == "expect"), "")
    return bool(first) and _CONTINUE.search(first) is None


_HIDDEN = frozenset({"host", "transfer-encoding", "trailer"})


def _body(request: Request, profile: Profile) -> bytes | Answer:
    """The whole body, or the answer to one that is too long or broken (3.2 steps 8 to 10)."""
    length = request.content_length
    if length is not None and not request.chunked and length > LIMIT:
        return TOO_LARGE
    try:
        if length is None and not request.chunked:
            return b""
        body = _read(request.read, LIMIT + 1 if request.chunked or length is None else length)
    except (OSError, BodyError):
        return INTERNAL_ERROR
    if request.chunked:
        if len(body) > LIMIT:
            return TOO_LARGE if profile.chunked_oversize_status == TOO_LARGE.status else INTERNAL_ERROR
    elif len(body) != length:
        return INTERNAL_ERROR
    return body


def _read(read: Callable[[int], bytes], most: int) -> bytes:
    parts: list[bytes] = []
    while most > 0 and (part := read(most)):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Webhook:
    """The WSGI callable in front of a lab."""

    def __init__(self, lab: Endpoint) -> None:
        self.lab = lab

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """One request."""
        reply = respond(request_of(environ), self.lab)
        if isinstance(reply, NoAnswer):
            return _no_answer(reply, environ)
        status = HTTPStatus(reply.status) if reply.status in _KNOWN_STATUSES else None
        start_response(f"{reply.status} {status.phrase if status else ''}".strip(), list(reply.headers))
        return [reply.body] if reply.body else []


_KNOWN_STATUSES = frozenset(status.value for status in HTTPStatus)


class ConnectionClosedError(Exception):
    """Raised where Kargo closes the connection without an answer and the server offers no way to do so."""


def _no_answer(reason: NoAnswer, environ: Environ) -> Iterable[bytes]:
    log.warning("closing a connection without an answer: %s", reason.reason)
    if CLOSE in environ:
        environ[CLOSE]()
    raise ConnectionClosedError(reason.reason)


def request_of(environ: Mapping[str, Any]) -> Request:
    """A request out of a WSGI environ, as exact as the server's environ is."""
    length = environ.get("CONTENT_LENGTH") or ""
    chunked = bool(environ.get(CHUNKED)) or (
        not length and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    )
    return Request(
        method=environ.get("REQUEST_METHOD", "GET"),
        target=_target(environ),
        headers=environ.get(RAW_HEADERS) or _headers(environ),
        content_length=int(length) if length.isascii() and length.isdecimal() else None,
        chunked=chunked,
        read=environ["wsgi.input"].read,
    )


def _target(environ: Mapping[str, Any]) -> str:
    """The request line's target: waitress says it in REQUEST_URI, gunicorn in RAW_URI, others not at all."""
    for name in ("REQUEST_URI", "RAW_URI"):
        if raw := environ.get(name):
            return str(raw).encode("latin-1", "replace").decode("utf-8", "surrogateescape")
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    with suppress(UnicodeEncodeError):  # a server that decodes more than WSGI wants it to
        path = path.encode("latin-1").decode("utf-8", "surrogateescape")
    query = environ.get("QUERY_STRING", "")
    return request_paths.escaped(path) + (f"?{query}" if query else "")


def _headers(environ: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    names = {name: name.removeprefix("HTTP_") for name in environ if name.startswith("HTTP_")}
    names |= {name: name for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)}
    return tuple((header.replace("_", "-"), _as_utf_8(str(environ[name]))) for name, header in names.items())


def _as_utf_8(text: str) -> str:
    """WSGI hands headers over as Latin-1; to Go they are bytes that are read as UTF-8."""
    return text.encode("latin-1", "replace").decode("utf-8", "replace")
