"""How embedded platforms are served: large bodies, and connections that an application can break.

What they share with the reference's endpoint is in `kargo_lab.serving`; here is what faults need on the wire.
"""

from __future__ import annotations

import socket
import struct
from typing import Any, NoReturn

from waitress.channel import ClientDisconnected
from waitress.task import WSGITask

from kargo_lab import serving
from kargo_lab.serving import Application, Environ

STOPPING = "kargo_lab.stopping"  # environ key: the event that the server is about to end, for faults that wait
SOCKET = "kargo_lab.socket"  # environ key: the connection's own socket, for faults
LARGEST_BODY = 1 << 42  # bytes; layers are large, and waitress' own limit is 1 GiB
TLS_GREETING = b"\x16\x03"  # a record of type handshake, of any version of TLS


def drop_connection(_environ: Environ) -> NoReturn:
    """End the connection here and now, as a crashed server does; what was written before is still sent."""
    raise ClientDisconnected


def reset_connection(environ: Environ) -> NoReturn:
    """End the connection with a TCP reset instead of an orderly close."""
    linger = struct.pack("ii", 1, 0)  # on, zero seconds: close() then discards and resets
    environ[SOCKET].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    raise ClientDisconnected


class _Task(WSGITask):
    def get_environment(self) -> Any:
        environ = super().get_environment()
        environ[SOCKET] = self.channel.socket
        server: Any = self.channel.server  # ours, which has the event
        environ[STOPPING] = server.stopping
        return environ


class _Channel(serving.Channel):
    task_class = _Task

    def received(self, data: bytes) -> Any:
        """Answer a TLS greeting at once with a plain 400, as Go's server and nginx do: clients learn the scheme so.

        waitress would wait for the end of a header that never comes.
        """
        greeting = self.request is None and data.startswith(TLS_GREETING)
        return super().received(b"TLS\r\n\r\n" if greeting else data)


class Server(serving.Server):
    """`kargo_lab.serving.Server` for platforms: layers may be large, and faults reach the connection."""

    channel_class = _Channel

    def __init__(
        self, application: Application, *, address: str = "127.0.0.1", port: int = 0, threads: int = 8
    ) -> None:
        settings = {
            "connection_limit": 2000,
            "recv_bytes": 1 << 18,
            "max_request_body_size": LARGEST_BODY,
            "channel_timeout": 600,
        }
        super().__init__(application, address=address, port=port, threads=threads, settings=settings)
