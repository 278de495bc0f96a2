"""Deliveries on their way: as a command that anybody can paste, or sent from here."""

from __future__ import annotations

import time
from urllib.parse import urlsplit, urlunsplit

import attrs
import requests

from kargo_lab.errors import UpstreamError, UsageError
from kargo_lab.payloads.format import Request

MOST_TO_PASTE = 8192  # bytes of body that a shell line carries with grace


@attrs.frozen
class Outcome:
    """What came back. `body` is the text of the answer."""

    status: int
    body: str
    seconds: float


def address(url: str, target: str) -> str:
    """The receiver's URL with the query of the delivery, if that has one."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"{url!r} is not an http(s) URL")
    query = "&".join(part for part in (parts.query, target.partition("?")[2]) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def send(request: Request, url: str, *, timeout_seconds: float = 10.0) -> Outcome:
    """Deliver the very bytes to the receiver at `url`; redirects are not followed. Raises UpstreamError."""
    started = time.monotonic()
    # Given as bytes, so that requests neither re-encodes nor refuses what a test wants to send.
    headers = {name: value.encode("utf-8", "surrogateescape") for name, value in request.headers}
    headers.setdefault("User-Agent", b"kargo-lab")
    try:
        answer = requests.request(
            request.method,
            address(url, request.target),
            headers=headers,
            data=request.body,
            timeout=timeout_seconds,
            allow_redirects=False,
        )
    except requests.RequestException as problem:
        raise UpstreamError(f"no answer from {url}: {why_no_answer(problem)}") from problem
    return Outcome(answer.status_code, answer.text, time.monotonic() - started)


def why_no_answer(problem: Exception) -> str:
    """What went wrong on the way, without the pools and retries that urllib3 wraps it in."""
    inner = problem.args[0] if problem.args else problem
    text = str(getattr(inner, "reason", inner))
    return text.partition("): ")[2] or text


def as_curl(request: Request, url: str) -> str:
    """A shell line that sends the same bytes. A body that is long or no text is piped in as base64."""
    words = ["curl", "-sS", "-i", "-X", request.method]
    for name, value in request.headers:
        # A header without value is spelled with a semicolon; curl drops it else.
        words += ["-H", _quoted(f"{name}: {value}" if value else f"{name};")]
    try:
        text = request.body.decode()
        pasted = len(request.body) <= MOST_TO_PASTE and "\x00" not in text and "\r" not in text
    except UnicodeDecodeError:
        text, pasted = "", False
    if pasted:
        return " ".join([*words, "--data-binary", _quoted(text), _quoted(address(url, request.target))])
    import base64

    encoded = base64.b64encode(request.body).decode()
    line = " ".join([*words, "--data-binary", "@-", _quoted(address(url, request.target))])
    return f"base64 -d <<'END' | {line}\n{encoded}\nEND"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
