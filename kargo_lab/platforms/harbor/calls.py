"""What all calls of Harbor's API share: who calls, errors, pages, sorting and queries.

Source: platforms.md 14 (harbor `api/v2.0/swagger.yaml`, `src/lib/q`, `src/lib/errors`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, jsonify, request

PREFIX = "/api/v2.0"
PAGE, MOST = 10, 100
CODES: Mapping[int, str] = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    412: "PRECONDITION",
}
Item = dict[str, Any]


class CallError(Exception):
    """A call that is refused, as `{"errors": [{"code", "message"}]}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def refused(error: CallError) -> Response:
    """The refusal as Harbor spells it."""
    answer = jsonify(errors=[{"code": CODES.get(error.status, "UNKNOWN"), "message": error.message}])
    answer.status_code = error.status
    answer.content_type = "application/json; charset=utf-8"
    return answer


def caller() -> str:
    """The name of who calls; refused without credentials."""
    name: str | None = g.get("account")
    if not name:
        raise CallError(401, "unauthorized")
    return name


def given() -> Item:
    """The JSON object in the request's body; refused where it is something else."""
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise CallError(400, "the body is no JSON object")
    return body


def created(path: str, body: Any = None) -> Response:
    """201 with a `Location` below the API, and usually no body."""
    answer = Response("", 201) if body is None else jsonify(body)
    answer.status_code = 201
    answer.headers["Location"] = f"{PREFIX}{path}"
    return answer


def flag(name: str, *, default: bool) -> bool:
    """A boolean parameter of the query."""
    return request.args.get(name, str(default)).lower() in ("true", "1", "t")


def listed(items: Sequence[Item], *, sort: str = "") -> Response:
    """One page of what the query asks for, with `X-Total-Count` and `Link`. `sort` is the default."""
    page, size = _number("page", 1), _number("page_size", PAGE)
    if page < 1 or not 1 <= size <= MOST:
        name, value, least = ("page", page, 1) if page < 1 else ("page_size", size, 1)
        limit = f"less than or equal to {MOST}" if value > MOST else f"greater than or equal to {least}"
        raise CallError(422, f"{name} in query should be {limit}")
    found = [item for item in items if _matches(item, request.args.get("q", ""))]
    for key in reversed([word for word in request.args.get("sort", sort).split(",") if word]):
        name = key.lstrip("-")
        found.sort(key=lambda item, name=name: _sortable(item.get(name)), reverse=key.startswith("-"))  # type: ignore[misc]  # the default binds the loop's name
    answer = jsonify(found[(page - 1) * size : page * size])
    answer.headers["X-Total-Count"] = str(len(found))
    links = [(page - 1, "prev")] if page > 1 else []
    links += [(page + 1, "next")] if page * size < len(found) else []
    others = {name: value for name, value in request.args.items() if name not in ("page", "page_size")}
    if links:
        answer.headers["Link"] = " , ".join(
            f'<{request.path}?{urlencode({**others, "page": number, "page_size": size})}>; rel="{relation}"'
            for number, relation in links
        )
    return answer


def _number(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise CallError(422, f"{name} in query must be of type int64: {text!r}")
    return int(text)


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if isinstance(value, int | float | str) else str(value))


def _matches(item: Item, query: str) -> bool:
    """Harbor's `q`: `k=v` exactly, `k=~v` anywhere within, `k=[a~b]` a range, `k={a b}` and `k=(a b)` any of these."""
    for part in re.split(r",(?![^\[{(]*[\]})])", query):
        if not part:
            continue
        key, equals, value = part.partition("=")
        if not equals:
            raise CallError(400, f"the query string must contain =: {part!r}")
        if key in item and not _fits(str(item[key]), value):
            return False
    return True


def _fits(text: str, value: str) -> bool:
    if value.startswith("~"):
        return value[1:] in text
    if value.startswith("[") and value.endswith("]"):
        least, _, most = value[1:-1].partition("~")
        return _between(text, least, most)
    if value[:1] + value[-1:] in ("{}", "()"):
        return text in value[1:-1].split()
    return text == value


def _between(text: str, least: str, most: str) -> bool:
    def key(value: str) -> tuple[int, Any]:
        return (0, int(value)) if value.lstrip("-").isdecimal() else (1, value)

    return (not least or key(text) >= key(least)) and (not most or key(text) <= key(most))


Route = tuple[str, str, Callable[..., Any]]  # method, rule below the prefix, function
