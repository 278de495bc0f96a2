"""The part of Azure DevOps' REST API that service hooks need: subscriptions and their history (platforms.md 9.2)."""

from __future__ import annotations

from typing import Any

from flask import Flask, g, jsonify, request
from werkzeug.exceptions import HTTPException

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.apis.calls import CallError, Calls, Route, given, text_of
from kargo_lab.platforms.git.bodies.writing import Body, stable_uuid, utc
from kargo_lab.platforms.git.forge import InvalidCredentialsError
from kargo_lab.platforms.git.program import GitError
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.hooks import Hook


def create_app(host: GitHost) -> Flask:
    """Azure DevOps' API for a host."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined] # of Flask's own provider
    calls = Calls(app, host)

    @app.before_request
    def identify() -> Any:
        try:
            g.account = host.forge.identify(request.headers.get("Authorization", ""))
        except InvalidCredentialsError as error:
            return jsonify(message=str(error)), 401
        return None

    @app.errorhandler(CallError)
    def refused(error: CallError) -> Any:
        return jsonify(message=error.message, typeKey="VssServiceException"), error.status

    @app.errorhandler(GitError)
    @app.errorhandler(UsageError)
    def unusable(refusal: Exception) -> Any:
        return (jsonify(message=str(refusal)), 400)

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> Any:
        return jsonify(message=error.name), error.code or 500

    for prefix in ("", "/<organization>"):
        calls.register(ROUTES, prefix=prefix)
    return app


def _show(calls: Calls, hook: Hook) -> Body:
    health = calls.host.sender.health(hook.id)
    return {
        "id": stable_uuid("subscription", hook.id),
        "status": "disabledBySystem" if health.disabled else "enabled" if hook.active else "disabledByUser",
        "publisherId": "tfs",
        "eventType": hook.events[0],
        "resourceVersion": "1.0",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "createdDate": utc(hook.created_at),
        "publisherInputs": dict(hook.settings.get("publisherInputs", {})),
        "consumerInputs": {"url": hook.url},
    }


def _subscriptions(calls: Calls) -> list[Hook]:
    _ = calls.caller
    return [
        hook for hook in calls.forge.hooks.values() if calls.caller.admin or hook.target.startswith(calls.caller.login)
    ]


def _list(calls: Calls, **_words: str) -> Any:
    hooks = _subscriptions(calls)
    return jsonify(count=len(hooks), value=[_show(calls, hook) for hook in hooks])


def _create(calls: Calls, **_words: str) -> Any:
    _ = calls.caller
    body = given()
    inputs = body.get("consumerInputs") if isinstance(body.get("consumerInputs"), dict) else {}
    wanted = body.get("publisherInputs") if isinstance(body.get("publisherInputs"), dict) else {}
    url = text_of(inputs or {}, "url")
    if not url:
        raise CallError(400, "the consumer input url is required")
    if text_of(inputs or {}, "basicAuthUsername") and not url.startswith("https:"):
        raise CallError(400, "Basic authentication is allowed over https only")
    event = text_of(body, "eventType")
    if not event:
        raise CallError(400, "eventType is required")
    level, target = _place(calls, wanted or {})
    hook = calls.forge.add_hook(
        url=url,
        events=(event,),
        level=level,
        target=target,
        settings={
            "publisherInputs": wanted or {},
            "httpHeaders": _headers(text_of(inputs or {}, "httpHeaders")),
            "basicAuthUsername": text_of(inputs or {}, "basicAuthUsername"),
            "basicAuthPassword": text_of(inputs or {}, "basicAuthPassword"),
        },
    )
    return jsonify(_show(calls, hook)), 200


def _place(calls: Calls, wanted: Body) -> tuple[str, str]:
    """The repository or project that the subscription is about, by ID; the whole organisation without either."""
    for record in calls.forge.repositories.values():
        if text_of(wanted, "repository") == stable_uuid("repository", record.id):
            return "repository", calls.writable(record.owner.login, record.name).full_name
        if not text_of(wanted, "repository") and text_of(wanted, "projectId") == stable_uuid(
            "project", record.owner.id
        ):
            return "owner", record.owner.login
    if text_of(wanted, "repository") or text_of(wanted, "projectId"):
        raise CallError(400, "there is no such project or repository")
    return "system", ""


def _headers(text: str) -> dict[str, str]:
    """`Name:value` lines, as the form of the web page has them."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _found(calls: Calls, number: str) -> Hook:
    for hook in _subscriptions(calls):
        if stable_uuid("subscription", hook.id) == number:
            return hook
    raise CallError(404, "there is no such subscription")


def _read(calls: Calls, number: str, **_words: str) -> Any:
    return jsonify(_show(calls, _found(calls, number)))


def _delete(calls: Calls, number: str, **_words: str) -> Any:
    with calls.forge.lock:
        del calls.forge.hooks[_found(calls, number).id]
    return "", 204


def _notifications(calls: Calls, number: str, **_words: str) -> Any:
    hook = _found(calls, number)
    rows = [row for row in reversed(calls.host.deliveries) if row.hook == hook.id]
    value = [
        {
            "id": row.id,
            "subscriptionId": number,
            "eventId": row.guid,
            "status": "completed",
            "result": "succeeded" if row.outcome == "delivered" else "failed",
            "createdDate": utc(row.time),
        }
        for row in rows
    ]
    return jsonify(count=len(value), value=value)


def _repositories(calls: Calls, project: str, **_words: str) -> Any:
    value = [
        {
            "id": stable_uuid("repository", record.id),
            "name": record.name,
            "project": {"id": stable_uuid("project", record.owner.id), "name": record.owner.login},
            "remoteUrl": calls.host.clone_url(record.full_name),
        }
        for record in calls.forge.repositories.values()
        if record.owner.login.lower() == project.lower()
    ]
    return jsonify(count=len(value), value=value)


ROUTES: tuple[Route, ...] = (
    ("GET", "/_apis/hooks/subscriptions", _list),
    ("POST", "/_apis/hooks/subscriptions", _create),
    ("GET", "/_apis/hooks/subscriptions/<number>", _read),
    ("DELETE", "/_apis/hooks/subscriptions/<number>", _delete),
    ("GET", "/_apis/hooks/subscriptions/<number>/notifications", _notifications),
    ("GET", "/<project>/_apis/git/repositories", _repositories),
)
