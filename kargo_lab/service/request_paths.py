"""Request paths as Go's server and its mux treat them, before Kargo's router sees one.

The mux cleans the path as it was escaped and redirects when that changes anything; the router then
compares the path as it is decoded. Both therefore need the spelling of the request line, which
WSGI's PATH_INFO no longer has. Source: receivers.md 3.1, and net/http's ServeMux.
"""

from __future__ import annotations

import re
from html import escape
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from kargo_lab.rules import gourl
from kargo_lab.wire import Answer

_ABSOLUTE = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_BAD = re.compile(r"%(?![0-9A-Fa-f]{2})|[\x00-\x20\x7f]")


class BadPathError(ValueError):
    """A request target that Go's server refuses before any handler runs."""


def split_target(target: str) -> tuple[str, str]:
    """The escaped path and the raw query of a request target. Raises BadPathError."""
    target = _ABSOLUTE.sub("", target, count=1) or "/"
    path, _, query = target.partition("?")
    if not path.startswith("/") or _BAD.search(path):
        raise BadPathError("neither a path nor one whose escapes can be read")
    return _spelled(decoded(path), path), query


def _spelled(path: str, raw: str = "") -> str:
    """A path as Go escapes it; where its raw spelling is a legal one, that stays."""
    url = gourl.URL(path=path.encode("utf-8", "surrogateescape"), raw_path=raw.encode("utf-8", "surrogateescape"))
    return bytes(url).decode("ascii")


def decoded(path: str) -> str:
    """The path as the router compares it; bytes that are no UTF-8 become lone surrogates."""
    return unquote_to_bytes(path.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def escaped(path: str) -> str:
    """A spelling for a path that a server hands over decoded; what was escaped in it is not known any more."""
    return path.replace("%", "%25").replace("?", "%3F")


def cleaned(path: str) -> str:
    """The path without empty and dot segments; a slash at the end stays."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    result = "/" + "/".join(segments)
    # `/a/.` and `/a/..` do not end in a slash, so they get none.
    return result + "/" if path.endswith("/") and result != "/" else result


def is_health(path: str) -> bool:
    """True for `/healthz`, whose letters may be escaped; a slash within may not."""
    return [decoded(segment) for segment in path.split("/")] == ["", "healthz"]


def redirect(path: str, query: str, *, method: str, status: int) -> tuple[Answer, bytes]:
    """The answer that sends a client to a cleaned path, and its HTML body for those who GET it.

    Go takes the escaped path for a decoded one here, so a percent sign in it is escaped again.
    """
    location = _spelled(path)
    location += f"?{query}" if query else ""
    headers: tuple[tuple[str, str], ...] = (("Location", location),)
    page = b""
    if method in ("GET", "HEAD"):
        headers = (("Content-Type", "text/html; charset=utf-8"), *headers)
        page = f'<a href="{escape(location)}">{HTTPStatus(status).phrase}</a>.\n\n'.encode()
    return Answer(status=status, body=None, headers=headers), page
