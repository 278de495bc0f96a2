"""One case of a report in words, as pytest shows a failure and a notebook unfolds it: the same facts as on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHOWN_BODY = 2000


def told(case: Mapping[str, Any]) -> str:
    """Everything about one case: what was expected, what went over the wire, where it is from, how to see it again."""
    differences = [f"{each['what']}: expected {each['expected']}, saw {each['seen']}" for each in case["differences"]]
    until = f" until {case['until']}" if case["until"] else ""
    parts = [f"{case['says']}.", "", *(differences or [case["sentence"]]), ""]
    for number, exchange in enumerate(case["exchanges"], 1):
        which = f" {number} of {len(case['exchanges'])}" if len(case["exchanges"]) > 1 else ""
        parts += [f"--- sent{which}", *_request(exchange["request"]), "", f"--- answered{which}"]
        parts += [*_answer(exchange["answer"]), "", f"--- the same bytes by curl{which}", exchange["curl"], ""]
    parts += [f"source: {case['source']}", f"level {case['level']}, since {case['since']}{until}"]
    parts += [f"note: {case['note']}"] if case["note"] else []
    return "\n".join([*parts, f"again: {case['rerun']}"])


def _request(request: Mapping[str, Any]) -> list[str]:
    size = request["body_bytes"]
    more = [f"[{size} bytes, {request['framing']}]"] if size > _SHOWN_BODY else []
    headers = [f"{name}: {value}" for name, value in request["headers"]]
    return [f"{request['method']} {request['target']}", *headers, "", request["body"][:_SHOWN_BODY], *more]


def _answer(answer: Mapping[str, Any]) -> list[str]:
    if not answer["status"]:
        return [f"no answer: {answer['failure']}"]
    headers = [f"{name}: {value}" for name, value in answer["headers"]]
    return [str(answer["status"]), *headers, "", answer["body"][:_SHOWN_BODY]]
