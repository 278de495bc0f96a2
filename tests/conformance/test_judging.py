"""Judging: an answer fits or a difference says how it does not."""

from typing import Any

import pytest

from kargo_lab.conformance import judging, requests
from kargo_lab.conformance.exchange import Exchange

REQUEST = requests.Request(method="POST", target="/p", headers=(), body=b"")


def answer(status: int = 200, body: bytes = b"{}", **facts: Any) -> Exchange:
    return Exchange(request=REQUEST, base_url="http://x", status=status, body=body, **facts)


@pytest.mark.parametrize(
    ("expect", "exchange"),
    [
        pytest.param({"status": 200}, answer(), id="the status"),
        pytest.param({"status": [200, 204]}, answer(204, b""), id="one of several statuses"),
        pytest.param({"msg": "hello"}, answer(body=b'{"msg":"hello"}\n'), id="a message"),
        pytest.param({"error": "a<b"}, answer(400, b'{"error":"a\\u003cb"}'), id="an error, whatever its escapes"),
        pytest.param({"error-starts": "inv"}, answer(400, b'{"error":"invalid"}'), id="the beginning of an error"),
        pytest.param({"empty": True}, answer(body=b""), id="no body"),
        pytest.param({"no-answer": True}, answer(0, closed=True), id="a closed connection"),
        pytest.param(
            {"results": [{"result": "Success", "x": None}]},
            answer(body=b'{"results":[{"result":"Success"}]}'),
            id="results, an absent member",
        ),
    ],
)
def test_fits(expect: dict[str, Any], exchange: Exchange) -> None:
    assert judging.judge_answer(expect, exchange) == []


@pytest.mark.parametrize(
    ("expect", "exchange", "what"),
    [
        pytest.param({"status": 200}, answer(401), "status", id="another status"),
        pytest.param({"body": {}}, answer(body=b"<html>"), "body", id="a body that is no JSON"),
        pytest.param({"body": {}}, answer(body=b"[]"), "body", id="a list instead of an object"),
        pytest.param({"error-starts": "inv"}, answer(body=b"[]"), "error text", id="a list instead of an error"),
        pytest.param({"empty": True}, answer(), "body", id="a body where none belongs"),
        pytest.param({"status": 200}, answer(0, failure="TimeoutError: timed out"), "answer", id="no answer at all"),
        pytest.param({"no-answer": True}, answer(), "answer", id="an answer where none belongs"),
        pytest.param({"results": [{}]}, answer(body=b'{"results":7}'), "results", id="results that are none"),
        pytest.param({"content-type": "application/json"}, answer(), "Content-Type", id="no content type"),
    ],
)
def test_differs(expect: dict[str, Any], exchange: Exchange, what: str) -> None:
    assert [difference.what for difference in judging.judge_answer(expect, exchange)] == [what]


def test_a_warehouse_too_many_is_named() -> None:
    (difference,) = judging.judge_set("refreshed", {"a"}, {"a", "b"})
    assert "b should have been left alone" in difference.seen


def test_a_missing_warehouse_is_named() -> None:
    (difference,) = judging.judge_set("refreshed", {"a", "b"}, {"a"})
    assert "missing b" in difference.seen
