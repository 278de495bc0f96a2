"""A delivery over a connection that is slow, half closed or reset: by hand on a socket, or only in thought.

`requests` sends all or nothing, so what happens within a body is written here on the connection itself. The
end is told in the words of `outgoing.post`: a sender sees no difference between a broken wire and a broken
receiver. Where something else than `post` stands for the receiver, nothing is sent that would not have
arrived whole, and the end is the one that the sender would note.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from kargo_lab.platforms.losses import Fate
from kargo_lab.platforms.outgoing import LARGEST_RESPONSE, Outgoing, Response, post

Transport = Callable[[Outgoing, float, bool], Response]

_TIMED_OUT = Response(outcome="timed out")
_LINGER_NOT = struct.pack("ii", 1, 0)  # closing throws away what is unsent and resets


def send(transport: Transport, outgoing: Outgoing, fate: Fate, timeout_seconds: float, follow: bool) -> Response:
    """One attempt under `fate`. A disturbed one follows no redirects."""
    if not fate.is_rough:
        return transport(outgoing, timeout_seconds, follow)
    if transport is post:
        return post_roughly(outgoing, fate, timeout_seconds)
    if trickle_seconds(outgoing.body, fate) >= timeout_seconds:
        return _TIMED_OUT
    if fate.reset or fate.half_close:
        return _broken("reset" if fate.reset else "half closed")
    return transport(outgoing, timeout_seconds, follow)


def kept_bytes(body: bytes, fate: Fate) -> int:
    """How much of the body is sent: never all of it where the connection breaks."""
    if fate.reset or fate.half_close:
        return max(0, min(int(len(body) * fate.share), len(body) - 1))
    return len(body)


def trickle_seconds(body: bytes, fate: Fate) -> float:
    """How long sending what is sent of the body takes."""
    if fate.slow is None:
        return 0.0
    size, seconds = fate.slow
    return seconds * max(0, -(-kept_bytes(body, fate) // size) - 1)


def post_roughly(outgoing: Outgoing, fate: Fate, timeout_seconds: float) -> Response:
    """Send on a socket; the timeout covers the whole exchange. A request without a body breaks in its head."""
    end = time.monotonic() + timeout_seconds
    try:
        connection = _connection(outgoing, timeout_seconds)
        try:
            return _exchange(connection, outgoing, fate, end)
        finally:
            connection.close()
    except TimeoutError:
        return _TIMED_OUT
    except (http.client.HTTPException, ValueError, OSError) as error:
        return _broken(str(error) or type(error).__name__)


def _connection(outgoing: Outgoing, timeout_seconds: float) -> http.client.HTTPConnection:
    place = urlsplit(outgoing.url)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise ValueError(f"{outgoing.url!r} is no address of a hook")
    if place.scheme == "http":
        return http.client.HTTPConnection(place.hostname, place.port, timeout=timeout_seconds)
    trust = ssl.create_default_context()
    if not outgoing.verify_tls:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(place.hostname, place.port, timeout=timeout_seconds, context=trust)


def _exchange(connection: http.client.HTTPConnection, outgoing: Outgoing, fate: Fate, end: float) -> Response:
    connection.connect()
    wire: socket.socket = connection.sock
    breaks = fate.reset or fate.half_close
    if outgoing.body or not breaks:
        _write_head(connection, outgoing)
        _trickle(wire, outgoing.body[: kept_bytes(outgoing.body, fate)], fate, end)
    if fate.reset:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        return _broken("reset")
    if fate.half_close:
        # Nobody in between could say TLS's goodbye; and a TLS socket's own would forget its keys before the answer.
        socket.socket.shutdown(wire, socket.SHUT_WR)
    wire.settimeout(_left(end))
    answer = connection.getresponse()
    body = b""
    while chunk := answer.read1(1 << 14):
        wire.settimeout(_left(end))
        if len(body) < LARGEST_RESPONSE:
            body += chunk
    return Response(status=answer.status, headers=tuple(answer.getheaders()), body=body[:LARGEST_RESPONSE])


def _write_head(connection: http.client.HTTPConnection, outgoing: Outgoing) -> None:
    place = urlsplit(outgoing.url)
    connection.putrequest(outgoing.method, (place.path or "/") + (f"?{place.query}" if place.query else ""))
    for name, value in outgoing.headers:
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(outgoing.body)))
    connection.endheaders()


def _trickle(wire: socket.socket, body: bytes, fate: Fate, end: float) -> None:
    size, seconds = fate.slow or (len(body) or 1, 0.0)
    for at in range(0, len(body), size):
        if at:
            time.sleep(min(seconds, _left(end)))
        wire.settimeout(_left(end))
        wire.sendall(body[at : at + size])


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _broken(why: str) -> Response:
    return Response(outcome="unreachable", body=why.encode(errors="replace"))
