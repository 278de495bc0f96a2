"""Every request that arrived at a platform, as rows with fixed columns.

The lab counts discovery twice, on purpose: the ledger writes down what a client sent, this log what
a platform received. The two must agree, and where the client is somebody else's (a real Kargo),
this log is all there is.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import pandas as pd

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


@attrs.frozen(kw_only=True)
class AccessRow:
    """One request and how it was answered.

    `path` is decoded and has no query. `status` is 0 where the connection was broken instead of
    answered. `received_bytes` and `sent_bytes` are bodies without headers; `user` is the name in
    Basic credentials, `bearer` for a token, empty for neither; `seconds` is until the body was handed over.
    """

    time: datetime
    method: str
    path: str
    query: str = ""
    status: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0
    user: str = ""
    user_agent: str = ""


def utc_now() -> datetime:
    """The wall clock; a platform on a virtual clock passes its own."""
    return datetime.now(UTC)


class AccessLog:
    """Collects rows from any number of threads, in the order in which answers began."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now, self._lock = now, threading.Lock()
        self._rows: list[AccessRow] = []
        self._cleared = 0

    @property
    def rows(self) -> tuple[AccessRow, ...]:
        """All rows since the start, or since `clear()`."""
        with self._lock:
            return tuple(self._rows)

    def count(self, method: str = "", *, path: str = "", status: int | None = None) -> int:
        """How many rows have this method, this text somewhere in the path, and this status; all optional."""
        return sum(
            (not method or row.method == method) and path in row.path and status in (None, row.status)
            for row in self.rows
        )

    def extend(self, rows: Iterable[AccessRow]) -> None:
        """Take rows that were written down elsewhere, such as a process's own log."""
        with self._lock:
            self._rows.extend(rows)

    def clear(self) -> None:
        """Forget all rows: measure from here."""
        with self._lock:
            self._cleared += len(self._rows)
            self._rows.clear()

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas table whose columns are the fields of `AccessRow`."""
        import pandas as pd

        columns = [field.name for field in attrs.fields(AccessRow)]
        return pd.DataFrame([attrs.asdict(row) for row in self.rows], columns=columns)

    def wrap(self, application: Application) -> Application:
        """The same application, logged.

        The row is there before the client can have read the answer, so that a test may look at once.
        """

        def logged(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            started = self._now()
            status, declared = 0, 0

            def begin(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                nonlocal status, declared
                status = int(line[:3])
                lengths = [value for name, value in headers if name.lower() == "content-length"]
                declared = int(lengths[0]) if lengths and _has_body(environ, status) else 0
                return start_response(line, headers, exc_info) if exc_info else start_response(line, headers)

            try:
                body = application(environ, begin)
            except BaseException:
                # What broke the connection is not ours to answer, but it was a request.
                self._append(self._row(environ, started, status=0, sent=0))
                raise
            index = self._append(self._row(environ, started, status=status, sent=declared))
            return _Counted(body, lambda sent, whole: self._finish(index, sent, declared if whole else None))

        return logged

    def _row(self, environ: Environ, started: datetime, *, status: int, sent: int) -> AccessRow:
        return AccessRow(
            time=started,
            method=environ.get("REQUEST_METHOD", ""),
            path=environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace"),
            query=environ.get("QUERY_STRING", ""),
            status=status,
            received_bytes=int(environ.get("CONTENT_LENGTH") or 0),
            sent_bytes=sent,
            seconds=(self._now() - started).total_seconds(),
            user=user_of(environ.get("HTTP_AUTHORIZATION", "")),
            user_agent=environ.get("HTTP_USER_AGENT", ""),
        )

    def _append(self, row: AccessRow) -> int:
        with self._lock:
            self._rows.append(row)
            return self._cleared + len(self._rows) - 1

    def _finish(self, index: int, sent: int, declared: int | None) -> None:
        """Correct the number of bytes of a body whose length was not announced, or that broke off."""
        if sent == declared:
            return
        with self._lock:
            place = index - self._cleared
            if place >= 0:
                row = self._rows[place]
                self._rows[place] = attrs.evolve(
                    row,
                    sent_bytes=sent,
                    seconds=(self._now() - row.time).total_seconds(),
                )


class _Counted:
    """A response body that says at its end how many bytes went out, and whether it came to its end."""

    def __init__(self, body: Iterable[bytes], finished: Callable[[int, bool], None]) -> None:
        self._body, self._finished = body, finished
        self._sent, self._whole = 0, False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            self._sent += len(chunk)
            yield chunk
        self._whole = True

    def close(self) -> None:
        """Called by the server in every case."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._finished(self._sent, self._whole)


def _has_body(environ: Environ, status: int) -> bool:
    bodiless = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
    return environ.get("REQUEST_METHOD") != "HEAD" and status not in bodiless


def user_of(authorization: str) -> str:
    """The name in Basic credentials, `bearer` for a token, empty for neither."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return "bearer"
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest, validate=True).decode(errors="replace").partition(":")[0]
    except (binascii.Error, ValueError):
        return ""
