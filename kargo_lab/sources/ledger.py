"""Every outgoing request is one row; nothing else leaves the lab.

"API calls saved" is only worth saying if the calls are counted where they leave. What never became
a request has no row: a connection that was refused, or the TLS greeting to a registry that speaks
plain HTTP. That is what makes the ledger equal to the platforms' access logs, row for row.
Operations of git are rows as well (method `GIT`), beside the HTTP requests that they consist of;
they say what was asked for, the HTTP rows say what it cost.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import pandas as pd

GIT = "GIT"


@attrs.frozen(kw_only=True)
class LedgerRow:
    """One request, with who asked for it.

    `warehouse` is `namespace/name`; `subscription` counts from 0 within it, -1 where none is meant.
    `source` is the host (and port), `path` is without query and user information. `status` is the
    HTTP status, 0 where the answer did not come; for a row of method GIT, git's exit status.
    `bytes` is the length of the answer's body. `cache` is `miss` where a cache was asked first,
    `not-modified` where the source confirmed what was cached, else empty. `counted` says whether the
    source's own quota counts it. `kind` is `ping`, `token`, `tags`, `manifest-by-tag`,
    `manifest-by-digest`, `digest` (a HEAD), `blob`, `redirected-blob`, `index`, `moved`, `git-http`, or an operation of
    git: `ls-remote`, `clone`, `fetch tags`.
    """

    time: datetime
    warehouse: str = ""
    subscription: int = -1
    source: str
    method: str = "GET"
    path: str
    status: int
    bytes: int = 0
    cache: str = ""
    counted: bool = True
    kind: str = ""

    @property
    def is_request(self) -> bool:
        """True for an HTTP request, False for the operation of git that made some."""
        return self.method != GIT


COLUMNS = tuple(field.name for field in attrs.fields(LedgerRow))
TOTAL_COLUMNS = ("source", "kind", "operations", "requests", "counted", "bytes", "cache_hits")


@attrs.define
class _Total:
    operations: int = 0
    requests: int = 0
    counted: int = 0
    bytes: int = 0


class Ledger:
    """Rows from any number of threads, and their totals.

    `keep` bounds how many rows are held (the newest); totals count all of them. None keeps every row.
    """

    def __init__(self, *, keep: int | None = None) -> None:
        self._lock = threading.Lock()
        self._rows: deque[LedgerRow] = deque(maxlen=keep)
        self._totals: dict[tuple[str, str], _Total] = {}
        self._hits: Counter[tuple[str, str]] = Counter()

    def record(self, row: LedgerRow) -> None:
        """Add a row."""
        key = row.source, row.kind
        with self._lock:
            self._rows.append(row)
            total = self._totals.get(key)
            if total is None:
                total = self._totals[key] = _Total()
            if row.is_request:
                total.requests += 1
                total.counted += row.counted
            else:
                total.operations += 1
            total.bytes += row.bytes

    def record_hit(self, source: str, kind: str) -> None:
        """Count a request that a cache saved; it has no row, as none was made."""
        with self._lock:
            self._hits[source, kind] += 1

    @property
    def rows(self) -> tuple[LedgerRow, ...]:
        """The rows, in the order in which their answers came."""
        with self._lock:
            return tuple(self._rows)

    @property
    def requests(self) -> tuple[LedgerRow, ...]:
        """The rows that are HTTP requests."""
        return tuple(row for row in self.rows if row.is_request)

    def clear(self) -> None:
        """Forget everything: measure from here."""
        with self._lock:
            self._rows.clear()
            self._totals.clear()
            self._hits.clear()

    def counts(self) -> dict[str, int]:
        """Number of rows of each kind; only kinds that occur."""
        found: Counter[str] = Counter()
        with self._lock:
            for (_, kind), total in self._totals.items():
                found[kind] += total.requests + total.operations
        return dict(found)

    def totals(self) -> pd.DataFrame:
        """One line a source and kind, columns `TOTAL_COLUMNS`, sorted by both."""
        import pandas as pd

        with self._lock:
            keys = sorted({*self._totals, *self._hits})
            lines = [(*key, *attrs.astuple(self._totals.get(key, _Total())), self._hits.get(key, 0)) for key in keys]
        return pd.DataFrame(lines, columns=list(TOTAL_COLUMNS))

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table whose columns are the fields of `LedgerRow`."""
        return frame(self.rows)


def frame(rows: Iterable[LedgerRow]) -> pd.DataFrame:
    """Any rows as a table whose columns are the fields of `LedgerRow`."""
    import pandas as pd

    return pd.DataFrame([attrs.astuple(row) for row in rows], columns=list(COLUMNS))
