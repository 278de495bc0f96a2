"""A WSGI application on waitress in threads of this process: port 0, and a stop that leaves nothing behind.

The reference's endpoint and every embedded platform are served by this one class; what they need beside it
(raw headers, faults on the wire) are channel classes of their own. waitress was chosen because it needs
nothing and binds to a free port. What it lacks is added here: a stop that returns only when every socket is
closed and every thread has ended.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, ClassVar, Self

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

STOP_SECONDS = 5


class Parser(HTTPRequestParser):
    """waitress' parser; a request that cannot be read has a path too, since waitress logs it."""

    path = ""


class Channel(HTTPChannel):
    """waitress' channel with our parser."""

    parser_class = Parser


class _Workers(ThreadedTaskDispatcher):
    """waitress' pool, which remembers its threads so that they can be waited for.

    That a task waits its turn is no warning here: a testbed is asked by many at once, on purpose.
    """

    queue_logger = logging.getLogger(f"{__name__}.queue")
    queue_logger.setLevel(logging.ERROR)

    def __init__(self) -> None:
        super().__init__()
        self.started: list[threading.Thread] = []

    def start_new_thread(self, target: Any, thread_no: int) -> None:
        thread = threading.Thread(target=target, name=f"serving-worker-{thread_no}", args=(thread_no,), daemon=True)
        self.started.append(thread)
        thread.start()


class Server:
    """Serves `application` between `start()` and `stop()`, or as a context manager.

    `port` 0 takes a free one; `url` and `host` (`127.0.0.1:4711`) are known once it is started.
    `stopping` is set at the beginning of the end: whoever waits inside a request should wait on it.
    `settings` are waitress' own, over those of every server here.
    """

    channel_class: ClassVar[type[HTTPChannel]] = Channel

    def __init__(
        self,
        application: Application,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        threads: int = 8,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.application, self.address, self.port = application, address, port
        self._wanted_port, self._threads, self._settings = port, threads, settings or {}
        self.stopping = threading.Event()
        self._server: Any = None  # the published types of waitress' server are wrong in several places

    def start(self) -> Self:
        """Bind, listen and serve; the port answers when this returns. Raises OSError if it cannot be bound."""
        self._workers, self._map = _Workers(), dict[int, Any]()
        try:
            settings = Adjustments(
                host=self.address,
                port=self._wanted_port,
                ident="kargo-lab",
                threads=self._threads,
                asyncore_use_poll=True,  # select() ends at file descriptor 1023
                log_socket_errors=False,
                **self._settings,
            )
        except ValueError as error:  # waitress' word for a host that nobody knows; what it replaced has the reason
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None
        listener: Any = type("Listener", (TcpWSGIServer,), {"channel_class": self.channel_class})
        try:
            self._server = listener(self.application, self._map, dispatcher=self._workers, adj=settings)
        except OSError:
            wasyncore.close_all(self._map)
            raise
        self._server.stopping = self.stopping
        self._workers.set_thread_count(self._threads)
        self.port = int(self._server.effective_port)
        self.stopping.clear()
        self._ended = threading.Event()
        self._loop = threading.Thread(target=self._turn, name=f"serving-{self.port}", daemon=True)
        self._loop.start()
        return self

    def stop(self) -> None:
        """Close every connection and end every thread. A second call does nothing."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self.stopping.set()
        # The trigger goes last: a worker that still writes would otherwise write its wake-up byte
        # to a file descriptor that may belong to somebody else by then.
        closed = threading.Event()
        server.trigger.pull_trigger(lambda: self._close_connections(server, closed))
        closed.wait(STOP_SECONDS)
        self._workers.shutdown(cancel_pending=True, timeout=STOP_SECONDS)
        for thread in self._workers.started:
            thread.join(STOP_SECONDS)
        self._ended.set()
        server.trigger.pull_trigger()
        self._loop.join(STOP_SECONDS)
        server.trigger.close()

    def _turn(self) -> None:
        while not self._ended.is_set():
            wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)

    @staticmethod
    def _close_connections(server: Any, closed: threading.Event) -> None:
        wasyncore.dispatcher.close(server)
        for channel in list(server.active_channels.values()):
            channel.handle_close()
        closed.set()

    @property
    def host(self) -> str:
        """Address and port, as an image reference begins with."""
        return f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://{self.host}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
