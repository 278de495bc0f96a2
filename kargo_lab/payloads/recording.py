"""Keeps what a real platform sends, as delivery files.

The standard library's server is used because it shows headers as they were spelled and in their order, which
WSGI does not; a recorder serves one sender at a time, so its speed is no concern.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from kargo_lab.payloads.corpus import slug
from kargo_lab.payloads.format import Request, of_request, unparse
from kargo_lab.payloads.redaction import redact

MOST_BYTES = 32 * 1024**2  # GitHub may send 25 MB
_EVENT_HEADERS = ("X-GitHub-Event", "X-Gitea-Event", "X-Gogs-Event", "X-Gitlab-Event", "X-Event-Key", "ce-type")


class Recorder:
    """Listens between `start()` and `stop()`, and writes each request into `folder`. Port 0 takes a free one.

    `exact` keeps bodies and signatures as they came, so that `doctor` can judge them; secrets in headers
    (tokens, passwords) may then be in the files. `on_file` is called with the path of each new file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        status: int = 200,
        exact: bool = False,
        on_file: Callable[[Path], None] | None = None,
    ) -> None:
        self.folder, self.status, self.exact, self._on_file = folder, status, exact, on_file
        self._lock = threading.Lock()
        self.files: list[Path] = []
        self._server = ThreadingHTTPServer((address, port), type("_Bound", (_Handler,), {"recorder": self}))
        self.url = f"http://{address}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="recorder", daemon=True)

    def start(self) -> Self:
        """Make the folder, and serve in a thread of its own."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            self._server.server_close()
            raise
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and wait for the thread."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def keep(self, request: Request) -> Path:
        """Write one request down; files are numbered in the order of arrival and named by event."""
        event = next((slug(request.header(name)) for name in _EVENT_HEADERS if request.header(name)), "delivery")
        with self._lock:
            number = 1 + sum(1 for _ in self.folder.glob("*.http"))
            path = self.folder / f"{number:04d}-{event or 'delivery'}.http"
            file = (
                of_request(request, says="Recorded.") if self.exact else redact(request, says="Recorded and redacted.")
            )
            path.write_bytes(unparse(file))
            self.files.append(path)
        if self._on_file is not None:
            self._on_file(path)
        return path


class _Handler(BaseHTTPRequestHandler):
    recorder: ClassVar[Recorder]
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        """Read, keep, answer."""
        body = self._body()
        if body is None:
            self.close_connection = True
            self._answer(413)
            return
        headers = tuple((name, value) for name, value in self.headers.items())
        self.recorder.keep(Request(headers=headers, body=body, method=self.command, target=self.path))
        self._answer(self.recorder.status)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815 - the library looks for these names

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self) -> bytes | None:
        """The body by its length or its chunks; None if it is too large or cannot be read."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return None
        return self.rfile.read(int(length))

    def _chunks(self) -> bytes | None:
        pieces: list[bytes] = []
        while True:
            size = self.rfile.readline(100).partition(b";")[0].strip()
            try:
                count = int(size, 16)
            except ValueError:
                return None
            if count < 0 or sum(map(len, pieces)) + count > MOST_BYTES:
                return None
            pieces.append(self.rfile.read(count))
            self.rfile.readline(100)
            if count == 0:
                return b"".join(pieces)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing: addresses of senders do not belong into logs."""
