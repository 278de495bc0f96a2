"""The part of Bitbucket's REST API that hooks need, for both products: Cloud at `/2.0`, Data Center at `/rest/api`.

Source: platforms.md 4.4 and 5.5.
"""

from __future__ import annotations

from typing import Any

import attrs
from flask import Flask, g, jsonify, request
from werkzeug.exceptions import HTTPException

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.apis.calls import CallError, Calls, Route, given, text_of
from kargo_lab.platforms.git.bodies.writing import Body, stable_uuid, utc
from kargo_lab.platforms.git.forge import InvalidCredentialsError, UnknownError
from kargo_lab.platforms.git.program import GitError
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.hooks import DeliveryRow, Hook


def create_app(host: GitHost) -> Flask:
    """The API of the host's kind of Bitbucket."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined] # of Flask's own provider
    calls = Calls(app, host)
    cloud = host.persona.name == "bitbucket"

    def error(status: int, message: str) -> Any:
        body = {"type": "error", "error": {"message": message}} if cloud else {"errors": [{"message": message}]}
        return jsonify(body), status

    @app.before_request
    def identify() -> Any:
        try:
            g.account = host.forge.identify(request.headers.get("Authorization", ""))
        except InvalidCredentialsError as invalid:
            return error(401, str(invalid))
        return None

    @app.errorhandler(CallError)
    def refused(call_error: CallError) -> Any:
        return error(call_error.status, call_error.message)

    @app.errorhandler(UnknownError)
    def unknown(missing: UnknownError) -> Any:
        return error(404, str(missing))

    @app.errorhandler(GitError)
    @app.errorhandler(UsageError)
    def unusable(refusal: Exception) -> Any:
        return error(400, str(refusal))

    @app.errorhandler(HTTPException)
    def other(exception: HTTPException) -> Any:
        return error(exception.code or 500, exception.name)

    if cloud:
        calls.register(CLOUD, prefix="/2.0")
    else:
        for version in ("1.0", "latest"):
            calls.register(DATA_CENTER, prefix=f"/rest/api/{version}")
    return app


def _place(calls: Calls, owner: str, name: str = "") -> tuple[str, str]:
    if name:
        return "repository", calls.writable(owner, name).full_name
    _ = calls.caller
    return "owner", calls.owner(owner).login


# -- Cloud -----------------------------------------------------------------------------------


def _cloud_show(hook: Hook) -> Body:
    return {
        "type": "webhook_subscription",
        "uuid": f"{{{stable_uuid('hook', hook.id)}}}",
        "description": hook.name,
        "url": hook.url,
        "active": hook.active,
        "events": list(hook.events),
        "secret_set": bool(hook.secret),
        "skip_cert_verification": not hook.verify_tls,
        "subject_type": "repository" if hook.level == "repository" else "workspace",
        "created_at": utc(hook.created_at),
    }


def _cloud_facts(body: Body) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, field in (("url", "url"), ("secret", "secret"), ("description", "name")):
        if key in body:
            facts[field] = text_of(body, key)
    if isinstance(body.get("events"), list):
        facts["events"] = tuple(str(event) for event in body["events"])
    if isinstance(body.get("active"), bool):
        facts["active"] = body["active"]
    if isinstance(body.get("skip_cert_verification"), bool):
        facts["verify_tls"] = not body["skip_cert_verification"]
    return facts


def _cloud_hook(calls: Calls, uid: str, owner: str, name: str) -> Hook:
    for hook in calls.forge.hooks_at(*_place(calls, owner, name)):
        if stable_uuid("hook", hook.id) == uid.strip("{}"):
            return hook
    raise CallError(404, "Webhook not found")


def _cloud_list(calls: Calls, owner: str, name: str = "") -> Any:
    hooks = calls.forge.hooks_at(*_place(calls, owner, name))
    return jsonify(pagelen=50, page=1, size=len(hooks), values=[_cloud_show(hook) for hook in hooks])


def _cloud_create(calls: Calls, owner: str, name: str = "") -> Any:
    level, target = _place(calls, owner, name)
    facts = _cloud_facts(given())
    if not facts.get("url") or not facts.get("events"):
        raise CallError(400, "url and events are required")
    return jsonify(_cloud_show(calls.forge.add_hook(level=level, target=target, **facts))), 201


def _cloud_read(calls: Calls, uid: str, owner: str, name: str = "") -> Any:
    return jsonify(_cloud_show(_cloud_hook(calls, uid, owner, name)))


def _cloud_edit(calls: Calls, uid: str, owner: str, name: str = "") -> Any:
    hook = _cloud_hook(calls, uid, owner, name)
    return jsonify(_cloud_show(calls.forge.keep_hook(attrs.evolve(hook, **_cloud_facts(given())))))


def _cloud_delete(calls: Calls, uid: str, owner: str, name: str = "") -> Any:
    with calls.forge.lock:
        del calls.forge.hooks[_cloud_hook(calls, uid, owner, name).id]
    return "", 204


CLOUD: tuple[Route, ...] = tuple(
    (method, where + suffix, function)
    for where in ("/repositories/<owner>/<name>/hooks", "/workspaces/<owner>/hooks")
    for method, suffix, function in (
        ("GET", "", _cloud_list),
        ("POST", "", _cloud_create),
        ("GET", "/<uid>", _cloud_read),
        ("PUT", "/<uid>", _cloud_edit),
        ("DELETE", "/<uid>", _cloud_delete),
    )
)


# -- Data Center -----------------------------------------------------------------------------


def _show(hook: Hook) -> Body:
    return {
        "id": hook.id,
        "name": hook.name,
        "createdDate": int(hook.created_at.timestamp() * 1000),
        "updatedDate": int(hook.updated_at.timestamp() * 1000),
        "events": list(hook.events),
        "configuration": {"secret": "*****"} if hook.secret else {},
        "url": hook.url,
        "active": hook.active,
        "scopeType": "repository" if hook.level == "repository" else "project",
        "sslVerificationRequired": hook.verify_tls,
    }


def _facts(body: Body) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, field in (("url", "url"), ("name", "name")):
        if key in body:
            facts[field] = text_of(body, key)
    if isinstance(body.get("configuration"), dict):
        facts["secret"] = text_of(body["configuration"], "secret")
    if isinstance(body.get("events"), list):
        facts["events"] = tuple(str(event) for event in body["events"])
    if isinstance(body.get("active"), bool):
        facts["active"] = body["active"]
    if isinstance(body.get("sslVerificationRequired"), bool):
        facts["verify_tls"] = body["sslVerificationRequired"]
    if isinstance(body.get("credentials"), dict):
        facts["settings"] = {"credentials": body["credentials"]}
    return facts


def _hook(calls: Calls, number: int, owner: str, name: str) -> Hook:
    level, target = _place(calls, owner, name)
    return calls.forge.hook(number, level=level, target=target)


def _page(values: list[Body]) -> Any:
    return jsonify(size=len(values), limit=25, isLastPage=True, values=values, start=0)


def _list(calls: Calls, owner: str, name: str = "") -> Any:
    return _page([_show(hook) for hook in calls.forge.hooks_at(*_place(calls, owner, name))])


def _create(calls: Calls, owner: str, name: str = "") -> Any:
    level, target = _place(calls, owner, name)
    facts = _facts(given())
    if not facts.get("url") or not facts.get("events"):
        raise CallError(400, "url and events are required")
    return jsonify(_show(calls.forge.add_hook(level=level, target=target, **facts))), 201


def _read(calls: Calls, number: int, owner: str, name: str = "") -> Any:
    return jsonify(_show(_hook(calls, number, owner, name)))


def _edit(calls: Calls, number: int, owner: str, name: str = "") -> Any:
    hook = _hook(calls, number, owner, name)
    return jsonify(_show(calls.forge.keep_hook(attrs.evolve(hook, **_facts(given())))))


def _delete(calls: Calls, number: int, owner: str, name: str = "") -> Any:
    with calls.forge.lock:
        del calls.forge.hooks[_hook(calls, number, owner, name).id]
    return "", 204


def _rows(calls: Calls, number: int, owner: str, name: str) -> list[DeliveryRow]:
    hook = _hook(calls, number, owner, name)
    event = request.args.get("event", "")
    return [row for row in calls.host.deliveries if row.hook == hook.id and event in {"", row.event}]


def _latest(calls: Calls, number: int, owner: str, name: str = "") -> Any:
    rows = _rows(calls, number, owner, name)
    return jsonify(_invocation(rows[-1])) if rows else ("", 204)


def _statistics(calls: Calls, number: int, owner: str, name: str = "") -> Any:
    rows = _rows(calls, number, owner, name)
    counts = {_outcome(row): 0 for row in rows}
    for row in rows:
        counts[_outcome(row)] += 1
    return jsonify(
        invocations=len(rows),
        counts={"window": {"duration": 604800000}, **{key.lower(): n for key, n in counts.items()}},
    )


def _outcome(row: DeliveryRow) -> str:
    return {"delivered": "SUCCESS", "refused": "FAILURE"}.get(row.outcome, "ERROR")


def _invocation(row: DeliveryRow) -> Body:
    return {
        "id": row.id,
        "event": row.event,
        "start": int(row.time.timestamp() * 1000),
        "duration": int(row.seconds * 1000),
        "request": {"url": row.url, "method": "POST"},
        "result": {"description": str(row.status or row.outcome), "outcome": _outcome(row)},
    }


DATA_CENTER: tuple[Route, ...] = tuple(
    (method, where + suffix, function)
    for where in ("/projects/<owner>/repos/<name>/webhooks", "/projects/<owner>/webhooks")
    for method, suffix, function in (
        ("GET", "", _list),
        ("POST", "", _create),
        ("GET", "/<int:number>", _read),
        ("PUT", "/<int:number>", _edit),
        ("DELETE", "/<int:number>", _delete),
        ("GET", "/<int:number>/latest", _latest),
        ("GET", "/<int:number>/statistics", _statistics),
    )
)
