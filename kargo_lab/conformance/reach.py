"""Whether anybody listens at a target's URL: asked before a run, so that one reason is not told a thousand times.

It is a connection and nothing more: no request is sent, and a target that accepts and then behaves badly is
judged like any other.
"""

from __future__ import annotations

import socket
import ssl
import time
from urllib.parse import urlsplit

from kargo_lab.errors import TargetError, UsageError

_AGAIN_SECONDS = 0.5
_PORTS = {"http": 80, "https": 443}


def place(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a target's URL. Raises UsageError where it is none, or holds what is never sent."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise UsageError(f"{url!r} is no URL: {error}; expected something like http://127.0.0.1:8080") from None
    if "@" in parts.netloc:
        raise UsageError(
            f"a user or password in the target's URL ({parts.hostname}) would be sent nowhere; leave it out"
        )
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UsageError(f"{url!r} is no URL of a target: expected something like http://127.0.0.1:8080")
    if parts.query or parts.fragment:
        raise UsageError(f"{url!r} cannot have a ? or #: receivers' paths are put after it")
    return parts.scheme, parts.hostname, port


def reach(
    url: str, *, told_by: str, timeout_seconds: float, wait_seconds: float = 0.0, verify_tls: bool = True
) -> None:
    """Return when a connection could be made; try again for `wait_seconds`. Raises TargetError with what to try."""
    until = time.monotonic() + wait_seconds
    while True:
        try:
            _connect(url, timeout_seconds, verify_tls)
        except OSError as error:
            if time.monotonic() < until:
                time.sleep(_AGAIN_SECONDS)
                continue
            raise TargetError(
                f"nothing was judged, because the target cannot be reached: {url}: {_reason(error, timeout_seconds)}. "
                f"{_advice(error, url, told_by)}"
            ) from None
        return


def _connect(url: str, timeout_seconds: float, verify_tls: bool) -> None:
    scheme, host, port = place(url)
    with socket.create_connection((host, port), timeout=timeout_seconds) as connection:
        if scheme == "https":
            context = ssl.create_default_context() if verify_tls else ssl._create_unverified_context()  # noqa: S323, SLF001 - asked for by the target file
            context.wrap_socket(connection, server_hostname=host).close()


def _reason(error: OSError, timeout_seconds: float) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS was spoken there: {error.reason or 'the handshake failed'}"
    if isinstance(error, TimeoutError):
        return f"no connection within {timeout_seconds:g} s"
    if isinstance(error, socket.gaierror):
        return "nobody knows a host of that name"
    return error.strerror or type(error).__name__


def _advice(error: OSError, url: str, told_by: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "Write `verify-tls: false` into the target file if that is as it should be"
    if isinstance(error, ssl.SSLError):
        return "Try http:// in place of https://"
    return f"Does the receiver run, and is that its address ({told_by})? Try: curl -i {url}"
