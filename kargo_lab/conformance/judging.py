"""Expectation against what was seen, pure: a list of differences, empty where all is as it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kargo_lab.conformance.exchange import Exchange
from kargo_lab.conformance.verdicts import Difference


def judge_answer(expect: Mapping[str, Any], exchange: Exchange) -> list[Difference]:
    """The differences between an answer and what a case expects of it."""
    if expect.get("no-answer"):
        return [] if exchange.closed else [_difference("answer", "the connection closed without one", _shown(exchange))]
    wanted = [key for key in expect if key in _CHECKS or key == "status"]
    if not wanted:
        return []
    if not exchange.status:
        return [_difference("answer", "an HTTP answer", exchange.failure or "none")]
    found: list[Difference] = []
    if "status" in expect:
        statuses = expect["status"] if isinstance(expect["status"], list) else [expect["status"]]
        if exchange.status not in statuses:
            found.append(_difference("status", " or ".join(map(str, statuses)), _shown(exchange)))
    checked = (_CHECKS[key](expect[key], exchange) for key in wanted if key in _CHECKS)
    return found + [difference for difference in checked if difference]


def _body(expected: Any, exchange: Exchange) -> Difference | None:
    try:
        document = exchange.document
    except ValueError:
        return _difference("body", json.dumps(expected), f"not JSON: {exchange.body[:200]!r}")
    if document == expected and type(document) is type(expected):
        return None
    return _difference("body", json.dumps(expected), json.dumps(document)[:400])


def _starts(expected: str, exchange: Exchange) -> Difference | None:
    try:
        text = str((exchange.document or {}).get("error", ""))
    except (ValueError, AttributeError):
        text = ""
    return (
        None
        if text.startswith(expected)
        else _difference("error text", f"one that starts with {expected!r}", repr(text or exchange.body[:200]))
    )


def _empty(expected: bool, exchange: Exchange) -> Difference | None:
    return (
        None
        if (not exchange.body) == expected
        else _difference("body", "none at all" if expected else "some", repr(exchange.body[:200]))
    )


def _results(expected: list[Mapping[str, Any]], exchange: Exchange) -> Difference | None:
    try:
        results = (exchange.document or {}).get("results")
    except (ValueError, AttributeError):
        results = None
    if not isinstance(results, list) or len(results) != len(expected):
        return _difference("results", f"{len(expected)} of them", repr(exchange.body[:200]))
    for index, (wanted, found) in enumerate(zip(expected, results, strict=True)):
        for member, value in wanted.items():
            if found.get(member) != value:
                return _difference(f"results[{index}].{member}", json.dumps(value), json.dumps(found.get(member)))
    return None


def _header(name: str) -> Any:
    def check(expected: str, exchange: Exchange) -> Difference | None:
        seen = exchange.header(name)
        return None if seen == expected else _difference(name, repr(expected), repr(seen))

    return check


_CHECKS: Mapping[str, Any] = {
    "body": _body,
    "msg": lambda text, exchange: _body({"msg": text}, exchange),
    "error": lambda text, exchange: _body({"error": text}, exchange),
    "error-starts": _starts,
    "empty": _empty,
    "results": _results,
    "location": _header("Location"),
    "content-type": _header("Content-Type"),
}


def judge_set(what: str, expected: set[str], seen: set[str]) -> list[Difference]:
    """The differences between two sets of names: what is missing and what is too much."""
    found = []
    if missing := expected - seen:
        found.append(_difference(what, _names(expected), f"{_names(seen)}; missing {_names(missing)}"))
    elif extra := seen - expected:
        found.append(
            _difference(what, _names(expected), f"{_names(seen)}; {_names(extra)} should have been left alone")
        )
    return found


def judge_lists(what: str, expected: Mapping[str, Any], seen: Mapping[str, Any]) -> list[Difference]:
    """The differences of named lists, order included."""
    return [
        _difference(f"{what} {name}", json.dumps(wanted), json.dumps(seen.get(name)))
        for name, wanted in expected.items()
        if seen.get(name) != wanted
    ]


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _shown(exchange: Exchange) -> str:
    if not exchange.status:
        return exchange.failure or "no answer"
    return f"{exchange.status} {exchange.body[:200].decode('utf-8', 'replace').strip()}".strip()


def _difference(what: str, expected: str, seen: str) -> Difference:
    return Difference(what=what, expected=expected, seen=seen)
