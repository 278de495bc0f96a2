"""The access log: one row a request, there before the client knows the answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from kargo_lab.platforms.access import AccessLog, AccessRow
from kargo_lab.platforms.serving import Server, drop_connection

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def application(environ: dict[str, Any], start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/drop":
        drop_connection(environ)
    headers = [] if environ["PATH_INFO"] == "/stream" else [("Content-Length", "5")]
    start_response("200 OK", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"he", b"llo"]


@pytest.fixture
def log() -> AccessLog:
    return AccessLog(lambda: NOON)


@pytest.fixture
def url(log: AccessLog) -> Iterator[str]:
    with Server(log.wrap(application)) as server:
        yield server.url


def test_a_row_says_what_was_asked_and_what_was_answered(log: AccessLog, url: str) -> None:
    requests.post(f"{url}/a%20b?n=1", data=b"xyz", auth=("me", "pw"), headers={"User-Agent": "t"}, timeout=5)
    assert log.rows == (
        AccessRow(
            time=NOON, method="POST", path="/a b", query="n=1", status=200, received_bytes=3, sent_bytes=5,
            user="me", user_agent="t",
        ),
    )  # fmt: skip


def test_a_head_request_sends_no_bytes(log: AccessLog, url: str) -> None:
    requests.head(url, timeout=5)
    assert log.rows[0].sent_bytes == 0


def test_a_body_without_announced_length_is_counted(log: AccessLog, url: str) -> None:
    with requests.get(f"{url}/stream", timeout=5) as answer:
        assert answer.content == b"hello"
    assert log.rows[0].status == 200


def test_a_broken_connection_is_a_row_with_status_0(log: AccessLog, url: str) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/drop", timeout=5)
    assert [row.status for row in log.rows] == [0]


@pytest.mark.parametrize(
    ("authorization", "user"),
    [
        pytest.param("Bearer abc", "bearer", id="a token is not written down"),
        pytest.param("Basic !!!", "", id="credentials that are no base64"),
        pytest.param("Basic /w==", "\ufffd", id="credentials that are no text"),
        pytest.param("Digest x", "", id="another scheme"),
    ],
)
def test_whoever_asks_is_named_but_never_the_secret(log: AccessLog, url: str, authorization: str, user: str) -> None:
    requests.get(url, headers={"Authorization": authorization}, timeout=5)
    assert log.rows[0].user == user


def test_counting_selects_by_method_path_and_status(log: AccessLog, url: str) -> None:
    for path in ("/v2/a/tags/list", "/v2/a/manifests/1", "/v2/b/manifests/1"):
        requests.get(url + path, timeout=5)
    assert (log.count(), log.count("GET", path="/manifests/"), log.count("HEAD"), log.count(status=404)) == (3, 2, 0, 0)


def test_clearing_starts_again(log: AccessLog, url: str) -> None:
    requests.get(url, timeout=5)
    log.clear()
    requests.get(f"{url}/second", timeout=5)
    assert [row.path for row in log.rows] == ["/second"]


def test_the_table_has_the_fields_as_columns_even_when_empty(log: AccessLog) -> None:
    assert list(log.to_frame().columns)[:5] == ["time", "method", "path", "query", "status"]
