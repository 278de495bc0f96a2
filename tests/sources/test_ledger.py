"""The ledger's rows and totals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd

from kargo_lab.sources.ledger import COLUMNS, GIT, TOTAL_COLUMNS, Ledger, LedgerRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def row(**fields: Any) -> LedgerRow:
    return LedgerRow(**{"time": NOW, "source": "h", "path": "/v2/", "status": 200, "kind": "ping", **fields})


def test_totals_have_fixed_columns_even_when_empty() -> None:
    assert list(Ledger().totals().columns) == list(TOTAL_COLUMNS)
    assert list(Ledger().to_frame().columns) == list(COLUMNS)


def test_totals_by_source_and_kind() -> None:
    ledger = Ledger()
    for each in (row(bytes=2), row(bytes=3, counted=False), row(kind="tags"), row(source="g")):
        ledger.record(each)
    ledger.record_hit("h", "manifest-by-tag")
    expected = pd.DataFrame(
        [
            ("g", "ping", 0, 1, 1, 0, 0),
            ("h", "manifest-by-tag", 0, 0, 0, 0, 1),
            ("h", "ping", 0, 2, 1, 5, 0),
            ("h", "tags", 0, 1, 1, 0, 0),
        ],
        columns=list(TOTAL_COLUMNS),
    )
    pd.testing.assert_frame_equal(ledger.totals(), expected)


def test_an_operation_of_git_is_no_request() -> None:
    ledger = Ledger()
    ledger.record(row(method=GIT, kind="clone", counted=False))
    ledger.record(row(kind="git-http"))
    assert [each.kind for each in ledger.requests] == ["git-http"]
    assert ledger.totals()[["operations", "requests"]].to_numpy().tolist() == [[1, 0], [0, 1]]


def test_totals_outlive_the_rows_that_are_let_go() -> None:
    ledger = Ledger(keep=2)
    for _ in range(5):
        ledger.record(row())
    assert (len(ledger.rows), ledger.counts()) == (2, {"ping": 5})


def test_clearing_forgets_everything() -> None:
    ledger = Ledger()
    ledger.record(row())
    ledger.clear()
    assert (ledger.rows, ledger.counts()) == ((), {})
