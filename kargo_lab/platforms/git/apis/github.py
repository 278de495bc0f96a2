"""The part of GitHub's REST API that hooks and their delivery log need (platforms.md 2.10, 2.11).

Served at the root as `api.github.com` does, and below `/api/v3` as an Enterprise Server does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import attrs
from flask import Flask, g, jsonify, request
from werkzeug.exceptions import HTTPException

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.apis.calls import CallError, Calls, Route, given, text_of
from kargo_lab.platforms.git.bodies import github as bodies
from kargo_lab.platforms.git.bodies.writing import Body, utc
from kargo_lab.platforms.git.forge import InvalidCredentialsError, UnknownError
from kargo_lab.platforms.git.program import GitError
from kargo_lab.platforms.git.scene import Repository
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.hooks import DeliveryRow, Hook

Place = tuple[str, str]  # level and target
_PAGE, _MOST = 30, 100


def create_app(host: GitHost) -> Flask:
    """GitHub's API for a host."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined] # of Flask's own provider
    calls = Calls(app, host)

    @app.before_request
    def identify() -> Any:
        try:
            g.account = host.forge.identify(request.headers.get("Authorization", ""))
        except InvalidCredentialsError:
            return _error(401, "Bad credentials")
        return None

    @app.errorhandler(CallError)
    def refused(error: CallError) -> Any:
        return _error(error.status, "Requires authentication" if error.status == 401 else error.message)

    @app.errorhandler(UnknownError)
    def unknown(_unknown: UnknownError) -> Any:
        return _error(404, "Not Found")

    @app.errorhandler(GitError)
    @app.errorhandler(UsageError)
    def unusable(refusal: Exception) -> Any:
        return _error(422, str(refusal))

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> Any:
        return _error(error.code or 500, error.name)

    for prefix in ("", "/api/v3"):
        calls.register(ROUTES, prefix=prefix)
    return app


def _error(status: int, message: str) -> Any:
    return jsonify(message=message, documentation_url="https://docs.github.com/rest", status=str(status)), status


def _of_repository(calls: Calls, owner: str, name: str) -> Place:
    return "repository", calls.writable(owner, name).full_name


def _of_organization(calls: Calls, login: str) -> Place:
    _ = calls.caller
    return "owner", calls.owner(login).login


_LEVELS: Mapping[str, Callable[..., Place]] = {
    "/repos/<owner>/<name>/hooks": _of_repository,
    "/orgs/<login>/hooks": _of_organization,
}


def _list(place: Callable[..., Place], calls: Calls, **words: str) -> Any:
    return jsonify([bodies.hook_shape(hook, calls.url) for hook in calls.forge.hooks_at(*place(calls, **words))])


def _create(place: Callable[..., Place], calls: Calls, **words: str) -> Any:
    level, target = place(calls, **words)
    body = given()
    if level == "owner" and body.get("name") != "web":
        raise CallError(422, "Validation Failed")
    facts = _facts(body)
    if not facts.get("url"):
        raise CallError(422, "Validation Failed: config.url is missing")
    there = calls.forge.hooks_at(level, target)
    if any(all(getattr(hook, key) == value for key, value in facts.items()) for hook in there):
        raise CallError(422, "Validation Failed: Hook already exists on this repository")
    facts.setdefault("content_type", "form")  # GitHub's own default, which many a receiver refuses
    hook = calls.forge.add_hook(level=level, target=target, **facts)
    _send_ping(calls, hook)
    return jsonify(bodies.hook_shape(hook, calls.url)), 201


def _read(place: Callable[..., Place], calls: Calls, number: int, **words: str) -> Any:
    return jsonify(bodies.hook_shape(_hook(calls, number, place(calls, **words)), calls.url))


def _edit(place: Callable[..., Place], calls: Calls, number: int, **words: str) -> Any:
    hook = _hook(calls, number, place(calls, **words))
    return jsonify(bodies.hook_shape(calls.forge.keep_hook(attrs.evolve(hook, **_facts(given()))), calls.url))


def _delete(place: Callable[..., Place], calls: Calls, number: int, **words: str) -> Any:
    with calls.forge.lock:
        del calls.forge.hooks[_hook(calls, number, place(calls, **words)).id]
    return "", 204


def _ping(place: Callable[..., Place], calls: Calls, number: int, **words: str) -> Any:
    _send_ping(calls, _hook(calls, number, place(calls, **words)))
    return "", 204


def _test(place: Callable[..., Place], calls: Calls, number: int, **words: str) -> Any:
    hook = _hook(calls, number, place(calls, **words))
    if hook.level == "repository":
        calls.host.test_hook(hook)
    return "", 204


def _deliveries(place: Callable[..., Place], calls: Calls, number: int, **words: str) -> Any:
    """Newest first; `cursor` is the ID below which the next page begins."""
    hook = _hook(calls, number, place(calls, **words))
    limit = min(max(1, request.args.get("per_page", _PAGE, type=int)), _MOST)
    cursor = request.args.get("cursor", 0, type=int)
    wanted = request.args.get("status", "")
    rows = [
        row
        for row in reversed(calls.host.deliveries)
        if row.hook == hook.id
        and (not cursor or row.id < cursor)
        and wanted in {"", "success" if row.outcome == "delivered" else "failure"}
    ]
    answer = jsonify([_delivery(calls, row) for row in rows[:limit]])
    if len(rows) > limit:
        query = urlencode({"per_page": limit, "cursor": rows[limit - 1].id} | ({"status": wanted} if wanted else {}))
        answer.headers["Link"] = f'<{request.base_url}?{query}>; rel="next"'
    return answer


def _read_delivery(place: Callable[..., Place], calls: Calls, number: int, row_id: int, **words: str) -> Any:
    row = _row(calls, _hook(calls, number, place(calls, **words)), row_id)
    return jsonify(
        _delivery(calls, row)
        | {
            "url": row.url,
            "request": {"headers": dict(row.request_headers), "payload": _payload(row)},
            "response": {
                "headers": dict(row.response_headers),
                "payload": row.response_body.decode(errors="replace"),
            },
        }
    )


def _redeliver(place: Callable[..., Place], calls: Calls, number: int, row_id: int, **words: str) -> Any:
    calls.host.sender.redeliver(_row(calls, _hook(calls, number, place(calls, **words)), row_id).guid)
    return jsonify({}), 202


def _meta(calls: Calls) -> Any:
    address = calls.host.host.partition(":")[0]
    return jsonify(verifiable_password_authentication=False, hooks=[f"{address}/32"], git=[f"{address}/32"])


def _rate_limit(calls: Calls) -> Any:
    limit = 60 if g.get("account") is None else 5000
    core = {"limit": limit, "remaining": limit, "used": 0, "reset": int(calls.host.clock.now().timestamp()) + 3600}
    return jsonify(resources={"core": core}, rate=core)


def _repository(calls: Calls, owner: str, name: str) -> Any:
    return jsonify(bodies.repository(calls.readable(owner, name), calls.url, pushed=False))


def _tags(calls: Calls, owner: str, name: str) -> Any:
    record = calls.readable(owner, name)
    store = calls.forge.store(record)
    tags = [(ref[10:], value) for ref, value in store.refs().items() if ref.startswith("refs/tags/")]
    return jsonify([{"name": tag, "commit": {"sha": store.peel(value)[1]}} for tag, value in tags])


def _refs(calls: Calls, owner: str, name: str, prefix: str = "") -> Any:
    record = calls.readable(owner, name)
    store = calls.forge.store(record)
    return jsonify([_ref(calls, record, ref, value) for ref, value in store.refs().items() if prefix in ref])


def _ref(calls: Calls, record: Repository, ref: str, value: str) -> Body:
    kind = "tag" if calls.forge.store(record).peel(value)[0] else "commit"
    url = f"{calls.url}/api/v3/repos/{record.full_name}/git"
    return {"ref": ref, "url": f"{url}/{ref}", "object": {"sha": value, "type": kind, "url": f"{url}/{kind}s/{value}"}}


def _hook(calls: Calls, number: int, place: Place) -> Hook:
    level, target = place
    return calls.forge.hook(number, level=level, target=target)


def _row(calls: Calls, hook: Hook, row_id: int) -> DeliveryRow:
    found = next((row for row in calls.host.deliveries if (row.id, row.hook) == (row_id, hook.id)), None)
    if found is None:
        raise CallError(404, "Not Found")
    return found


def _facts(body: Body) -> dict[str, Any]:
    """The fields of a hook that the body names."""
    config = body.get("config") if isinstance(body.get("config"), dict) else {}
    facts: dict[str, Any] = {}
    for key in ("url", "content_type", "secret"):
        if key in (config or {}):
            facts[key] = text_of(config or {}, key)
    if "insecure_ssl" in (config or {}):
        facts["verify_tls"] = str((config or {})["insecure_ssl"]) != "1"
    if isinstance(body.get("events"), list):
        facts["events"] = tuple(str(event) for event in body["events"])
    if isinstance(body.get("active"), bool):
        facts["active"] = body["active"]
    return facts


def _send_ping(calls: Calls, hook: Hook) -> None:
    # At an organisation there is no repository to speak of.
    calls.host.ping_hook(hook)


def _payload(row: DeliveryRow) -> Any:
    import json

    try:
        return json.loads(row.request_body)
    except ValueError:
        return row.request_body.decode(errors="replace")


_STATUSES = {"delivered": "OK", "timed out": "timed out", "unreachable": "failed to connect to host"}


def _delivery(calls: Calls, row: DeliveryRow) -> Body:
    found = calls.forge.repositories.get(row.about.lower())
    return {
        "id": row.id,
        "guid": row.guid,
        "delivered_at": utc(row.time),
        "redelivery": row.redelivery,
        "duration": round(row.seconds, 2),
        "status": _STATUSES.get(row.outcome, f"Invalid HTTP Response: {row.status}"),
        "status_code": row.status,
        "event": row.event,
        "action": row.action or None,
        "installation_id": None,
        "repository_id": found.id if found else None,
        "throttled_at": None,
    }


ROUTES: tuple[Route, ...] = (
    *(
        (method, where + suffix, partial(function, place))
        for where, place in _LEVELS.items()
        for method, suffix, function in (
            ("GET", "", _list),
            ("POST", "", _create),
            ("GET", "/<int:number>", _read),
            ("PATCH", "/<int:number>", _edit),
            ("DELETE", "/<int:number>", _delete),
            ("POST", "/<int:number>/pings", _ping),
            ("POST", "/<int:number>/tests", _test),
            ("GET", "/<int:number>/deliveries", _deliveries),
            ("GET", "/<int:number>/deliveries/<int:row_id>", _read_delivery),
            ("POST", "/<int:number>/deliveries/<int:row_id>/attempts", _redeliver),
        )
    ),
    ("GET", "/meta", _meta),
    ("GET", "/rate_limit", _rate_limit),
    ("GET", "/repos/<owner>/<name>", _repository),
    ("GET", "/repos/<owner>/<name>/tags", _tags),
    ("GET", "/repos/<owner>/<name>/git/refs", _refs),
    ("GET", "/repos/<owner>/<name>/git/matching-refs/<path:prefix>", _refs),
)
