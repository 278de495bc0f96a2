"""The servers that carry the endpoint: waitress in threads of this process, granian as a process of its own.

What Kargo's behaviour rests on and WSGI does not say has to come from the server:

    =====================  ==============================  =====================================
    fact                   waitress, as `Server` sets it   granian, as `serve_forever` uses it
    =====================  ==============================  =====================================
    escapes of the path    kept (REQUEST_URI)              kept (ASGI's raw_path)
    bytes of the path      any                             no lone bytes beyond ASCII, no `"<>^`
    repeated headers       kept, in order                  kept, in order
    non-ASCII headers      kept                            kept
    a header on two lines  joined                          400
    more than 100 headers  kept                            431
    lower-case methods     400                             kept
    framing of the body    kept                            kept
    oversized bodies       read past, up to 64 MiB         read past by the server
    closing without reply  yes                             yes, where the OS lists open files
    Expect: 100-continue   always told to go on            not where the body is too long
    half-closed requests   answered                        answered
    TLS                    no                              yes
    =====================  ==============================  =====================================

Neither keeps more than the limit of a body, in memory or on disk.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from waitress.channel import ClientDisconnected
from waitress.parser import get_header_lines
from waitress.task import WSGITask

from kargo_lab import serving
from kargo_lab.service.webhook import CHUNKED, CLOSE, LIMIT, RAW_HEADERS, BodyError, Endpoint, Reply, Request, respond
from kargo_lab.serving import Application
from kargo_lab.wire import NoAnswer

# A client that is still sending gets no answer to read, so a body of any likely size is read past.
PATIENCE = 64 * 1024**2
CONNECTIONS = 900  # at once; what the usual limit of 1024 open files leaves
GRACE_SECONDS = 10.0  # for deliveries that a stop finds on their way


# waitress ---------------------------------------------------------------------------------------------


class _Truncated:
    """A body's buffer that stops growing just above the limit, whatever arrives."""

    def __init__(self, buffer: Any, most: int) -> None:
        self.buffer, self.most = buffer, most

    def append(self, data: bytes) -> None:
        room = self.most - len(self.buffer)
        if room > 0:
            self.buffer.append(data[:room])

    def __len__(self) -> int:
        return len(self.buffer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.buffer, name)


class _Parser(serving.Parser):
    """Keeps the headers as they came and the framing, and lets nobody fill the disk."""

    pairs: tuple[tuple[str, str], ...] = ()
    cut = False  # the client stopped sending in the middle of the body

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        _, _, header = header_plus.partition(b"\r\n")
        # As UTF-8, which is what Go's JSON, patterns and expressions take texts for.
        lines = (line.decode("utf-8", "replace").partition(":") for line in get_header_lines(header))
        self.pairs = tuple((name, value.strip(" \t")) for name, colon, value in lines if colon)
        if self.body_rcv is not None:
            receiver: Any = self.body_rcv
            receiver.buf = _Truncated(receiver.buf, self.adj.inbuf_overflow - 1)

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if max(self.content_length, self.body_bytes_received) > PATIENCE and self.headers_finished:
            self.end()
        return consumed

    def end(self) -> None:
        """Have it answered as it is, and the connection, whose rest nobody reads, closed."""
        self.headers = {**self.headers, "CONNECTION": "close"}
        self.error, self.completed = None, True


class _CutBody:
    def read(self, _count: int = -1) -> NoReturn:
        raise BodyError("the client stopped in the middle of the body")


class _Task(WSGITask):
    def get_environment(self) -> Any:
        environ = super().get_environment()
        request: Any = self.request
        environ[RAW_HEADERS], environ[CHUNKED] = request.pairs, request.chunked
        environ[CLOSE] = _drop
        if request.cut:
            environ["wsgi.input"] = _CutBody()
        return environ


def _drop() -> NoReturn:
    raise ClientDisconnected


class _Channel(serving.Channel):
    """Answers a client that shut its side within a body, as Go's server does; waitress takes it for gone."""

    task_class = _Task
    parser_class = _Parser
    half_closed = False

    def readable(self) -> bool:
        return not self.half_closed and bool(super().readable())

    def handle_read(self) -> None:
        request: Any = self.request
        if request is None or not request.headers_finished or not self._ended():
            super().handle_read()
            return
        channel: Any = self  # the published types of waitress' channel are wrong or lacking here
        with channel.requests_lock:
            self.half_closed = request.cut = True
            request.end()
            channel.request = None
            channel.requests.append(request)
            if len(channel.requests) == 1:
                channel.server.add_task(channel)

    def _ended(self) -> bool:
        connection: Any = self.socket
        try:
            return not connection.recv(1, socket.MSG_PEEK)
        except OSError:  # whoever reads will meet it
            return False


class Server(serving.Server):
    """`kargo_lab.serving.Server` for the endpoint.

    Of a body no more than `kept_bytes` reaches the application: just enough to see that it is too long.
    """

    channel_class = _Channel

    def __init__(
        self,
        application: Application,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        threads: int = 8,
        kept_bytes: int = LIMIT + 1,
    ) -> None:
        settings = {
            "max_request_body_size": 1 << 62,
            "inbuf_overflow": kept_bytes + 1,  # so no body is ever spooled to disk
            "connection_limit": CONNECTIONS,
        }
        super().__init__(application, address=address, port=port, threads=threads, settings=settings)


# granian ----------------------------------------------------------------------------------------------


class AsgiWebhook:
    """The endpoint as an ASGI application: of granian's interfaces, the one that keeps a request's bytes.

    RSGI leaves out headers that are not ASCII and decodes the path; WSGI joins repeated headers and hides the framing.
    """

    def __init__(self, lab: Endpoint, *, threads: int = 16) -> None:
        self.lab = lab
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="webhook")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request: its body is read here, everything else happens in a thread."""
        request = await _request(scope, receive)
        reply = await asyncio.get_running_loop().run_in_executor(self.pool, respond, request, self.lab)
        if isinstance(reply, NoAnswer):
            break_connections(lambda each: _name(each.getpeername()) == scope["client"])
            reply = Reply(status=500, headers=(), body=b"")
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})


async def _request(scope: Any, receive: Any) -> Request:
    headers = tuple((name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in scope["headers"])
    named = dict(headers)
    length = named.get("content-length", "")
    number = int(length) if length.isascii() and length.isdecimal() else None
    # Whoever asks first whether to send a body that is too long is not told to.
    unread = number is not None and (number > PATIENCE or (number > LIMIT and "expect" in named))
    body, whole = (b"", True) if unread else await _bounded(receive)
    target = scope["raw_path"].decode("utf-8", "surrogateescape")
    query = scope["query_string"].decode("latin-1")
    return Request(
        method=scope["method"],
        target=f"{target}?{query}" if query else target,
        headers=headers,
        content_length=number,
        chunked=number is None and (bool(body) or "transfer-encoding" in named),  # HTTP/2 may name neither
        read=io.BytesIO(body).read if whole else _CutBody().read,
    )


async def _bounded(receive: Any) -> tuple[bytes, bool]:
    """As much of the body as anybody looks at, and whether the client sent all that it began."""
    parts: list[bytes] = []
    size = 0
    while size <= PATIENCE:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts), False
        part = message["body"]
        if size <= LIMIT:
            parts.append(part[: LIMIT + 1 - size])
        size += len(part)
        if not message["more_body"]:
            break
    return b"".join(parts), True


def break_connections(meant: Callable[[socket.socket], bool]) -> None:
    """Shut down those of this process's connections that are meant.

    granian has no call for it, and Kargo's server does it where a handler panics. The kernel's list of
    open files is small enough to look through for something so rare.
    """
    for entry in os.listdir("/dev/fd"):  # noqa: PTH208 - names only; a Path for each would be no clearer
        try:
            duplicate = os.dup(int(entry))
        except (OSError, ValueError):
            continue
        try:
            connection = socket.socket(fileno=duplicate)
        except OSError:
            os.close(duplicate)
            continue
        with connection, suppress(OSError):  # it is closed, or no connection
            if meant(connection):
                connection.shutdown(socket.SHUT_RDWR)


def _name(address: Any) -> tuple[str, ...]:
    """Address and port of an end; of no parts where it is no network's."""
    return tuple(map(str, address[:2]))


def serve_forever(
    lab: Endpoint,
    *,
    address: str,
    port: int,
    certificate: Path | None = None,
    key: Path | None = None,
    ready: Callable[[int], None] = lambda _port: None,
) -> None:
    """Serve the endpoint with granian in this process until SIGINT or SIGTERM.

    One process, so that killing it kills all of it; many threads, because a delivery waits for the
    disk. `ready` is called with the port once it answers. Raises OSError if the port is taken.
    """

    async def until_signalled() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await serve(lab, address=address, port=port, certificate=certificate, key=key, ready=ready, stop=stop)

    asyncio.run(until_signalled())


async def serve(
    lab: Endpoint,
    *,
    address: str,
    port: int,
    stop: asyncio.Event,
    certificate: Path | None = None,
    key: Path | None = None,
    ready: Callable[[int], None] = lambda _port: None,
    grace_seconds: float = GRACE_SECONDS,
) -> None:
    """As `serve_forever`, in a loop of the caller's and until `stop` is set.

    Then nobody new is let in, and who was let in has `grace_seconds` to be answered.
    """
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server as Granian

    # granian shares ports and would not notice that somebody else has this one.
    with socket.create_server((address, port), family=_family(address)) as probe:
        port = probe.getsockname()[1]
    application = AsgiWebhook(lab)
    server: Any = Granian(  # its methods are not typed
        application,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=60_000),  # Kargo's (receivers.md 1.8)
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS,  # granian's own would be 128, which as many slow clients could keep
        log_enabled=False,
        ssl_cert=certificate,
        ssl_key=key,
    )
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    while not serving.done() and not await asyncio.to_thread(_answers, address, port):
        await asyncio.sleep(0.02)
    if not serving.done():
        ready(port)
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        server.stop()
        if not (await asyncio.wait((serving,), timeout=grace_seconds))[0]:  # somebody has not sent all of a request
            break_connections(lambda each: _name(each.getsockname())[1:] == (str(port),))
    try:
        await serving
    finally:
        application.pool.shutdown()


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - translated, not bound


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((_EVERY_ADDRESS.get(address, address), port), timeout=1):
            return True
    except OSError:
        return False
