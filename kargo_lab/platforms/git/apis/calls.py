"""What all calls of an embedded API share: who calls, pages, errors, the body that was sent.

Written for Gitea's; GitHub's and GitLab's stand on it too, with their own shapes of errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, g, jsonify, request

from kargo_lab.platforms.git.bodies.writing import Body
from kargo_lab.platforms.git.forge import Forge
from kargo_lab.platforms.git.scene import Account, Repository
from kargo_lab.platforms.githost import GitHost

PAGE, MOST = 30, 50  # [api] DEFAULT_PAGING_NUM and MAX_RESPONSE_ITEMS
Route = tuple[str, str, Callable[..., Any]]  # method, rule below the prefix, function


class CallError(Exception):
    """A call that is refused, as `{"message", "url"}` with a status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Calls:
    """One host's API under construction: the Flask app and what its routes ask."""

    def __init__(self, app: Flask, host: GitHost) -> None:
        self.app, self.host = app, host

    @property
    def forge(self) -> Forge:
        """The host's tables."""
        return self.host.forge

    @property
    def url(self) -> str:
        """The address of the host in answers."""
        return self.host.public_url

    def register(self, routes: Iterable[Route], *, prefix: str = "/api/v1") -> None:
        """Add routes below `prefix`; each function gets these calls and the words of its path."""
        for method, rule, function in routes:
            name = f"{method} {prefix}{rule}"
            self.app.add_url_rule(f"{prefix}{rule}", name, partial(function, self), methods=[method])

    # -- who calls ---------------------------------------------------------------------------

    @property
    def caller(self) -> Account:
        """Who calls; refused without credentials."""
        account: Account | None = g.get("account")
        if account is None:
            raise CallError(401, "token is required")
        return account

    def administrator(self) -> Account:
        """The caller, who must be one."""
        if not self.caller.admin:
            raise CallError(403, "user should be the site admin")
        return self.caller

    def readable(self, owner: str, name: str) -> Repository:
        """A repository that the caller may see; any other is not found."""
        found = self.forge.repositories.get(f"{owner}/{name}".lower())
        if found is None or not self.forge.may_read(g.get("account"), found):
            raise CallError(404, "not found")
        return found

    def writable(self, owner: str, name: str) -> Repository:
        """A repository that the caller may change."""
        found = self.readable(owner, name)
        if not self.forge.may_write(self.caller, found):
            raise CallError(403, "user should have a permission to write to a repo")
        return found

    def owner(self, login: str) -> Account:
        """An account, by name."""
        found = self.forge.accounts.get(login.lower())
        if found is None:
            raise CallError(404, "not found")
        return found


def given() -> Body:
    """The JSON object in the request's body; refused where it is something else."""
    if not request.get_data():
        return {}
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise CallError(422, "the body is no JSON object")
    return body


def text_of(body: Body, key: str, *, required: bool = False) -> str:
    """A text member, empty where it is absent."""
    value = body.get(key)
    if value is None or value == "":
        if required:
            raise CallError(422, f"[{key.title().replace('_', '')}]: Required")
        return ""
    if not isinstance(value, str):
        raise CallError(422, f"json: cannot unmarshal into field {key} of type string")
    return value


def moment_of(body: Body, key: str) -> datetime | None:
    """A time as RFC 3339, None where it is absent."""
    text = text_of(body, key)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CallError(422, f"{text} is no time as RFC 3339 has it") from error
    return moment.astimezone() if moment.tzinfo is None else moment


def paged(items: Sequence[Any], shape: Callable[[Any], Body]) -> Response:
    """One page of a list, with `X-Total-Count` and `Link`."""
    page = max(1, request.args.get("page", 1, type=int))
    limit = request.args.get("limit", PAGE, type=int)
    limit = PAGE if limit <= 0 else min(limit, MOST)
    last = max(1, -(-len(items) // limit))
    answer = jsonify([shape(item) for item in items[(page - 1) * limit : page * limit]])
    answer.headers["X-Total-Count"] = str(len(items))
    others = {key: value for key, value in request.args.items() if key not in {"page", "limit"}}
    links = {"next": page + 1, "last": last} if page < last else {}
    links |= {"first": 1, "prev": page - 1} if page > 1 else {}
    if links:
        answer.headers["Link"] = ",".join(
            f'<{request.base_url}?{urlencode({**others, "limit": limit, "page": number})}>; rel="{relation}"'
            for relation, number in links.items()
        )
    answer.headers["Access-Control-Expose-Headers"] = "Link, X-Total-Count"
    return answer
