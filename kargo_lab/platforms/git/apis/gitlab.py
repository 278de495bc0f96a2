"""The part of GitLab's REST API that hooks and their delivery log need (platforms.md 3.5, 3.6)."""

from __future__ import annotations

from typing import Any

import attrs
from flask import Flask, g, jsonify, request
from werkzeug.exceptions import HTTPException

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.apis.calls import CallError, Calls, Route, given, text_of
from kargo_lab.platforms.git.bodies.writing import Body, utc
from kargo_lab.platforms.git.forge import InvalidCredentialsError, UnknownError
from kargo_lab.platforms.git.program import GitError
from kargo_lab.platforms.git.repository import Content
from kargo_lab.platforms.git.scene import Repository
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.hooks import DeliveryRow, Hook

# Flag of the API -> our event. `push_events` is on unless it is switched off.
_FLAGS = {"push_events": "push", "tag_push_events": "tag_push", "merge_requests_events": "merge_request"}


def create_app(host: GitHost) -> Flask:
    """GitLab's API for a host."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined] # of Flask's own provider
    calls = Calls(app, host)

    @app.before_request
    def identify() -> Any:
        private = request.headers.get("PRIVATE-TOKEN", "")
        try:
            g.account = host.forge.identify(f"token {private}" if private else request.headers.get("Authorization", ""))
        except InvalidCredentialsError:
            return jsonify(message="401 Unauthorized"), 401
        return None

    @app.errorhandler(CallError)
    def refused(error: CallError) -> Any:
        return jsonify(message="401 Unauthorized" if error.status == 401 else error.message), error.status

    @app.errorhandler(UnknownError)
    def unknown(_error: UnknownError) -> Any:
        return jsonify(message="404 Not found"), 404

    @app.errorhandler(GitError)
    @app.errorhandler(UsageError)
    def unusable(refusal: Exception) -> Any:
        return jsonify(message=str(refusal)), 400

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> Any:
        return jsonify(error=f"{error.code} {error.name}"), error.code or 500

    calls.register(ROUTES, prefix="/api/v4")
    return app


def _project(calls: Calls, project: str, *, write: bool = False) -> Repository:
    """A project by its number or by its path, which arrives with its slash decoded."""
    for record in calls.forge.repositories.values():
        if project in {str(record.id), record.full_name}:
            look = calls.writable if write else calls.readable
            return look(record.owner.login, record.name)
    raise CallError(404, "404 Project Not Found")


def _hooks(calls: Calls, project: str) -> Any:
    record = _project(calls, project, write=True)
    return jsonify([_show(calls, hook, record) for hook in calls.forge.hooks_at("repository", record.full_name)])


def _create(calls: Calls, project: str) -> Any:
    record, body = _project(calls, project, write=True), _given()
    if not text_of(body, "url"):
        raise CallError(400, "url is missing")
    events = tuple(event for flag, event in _FLAGS.items() if _flag(body, flag, default=flag == "push_events"))
    facts = _facts(body) | {"events": events}
    hook = calls.forge.add_hook(level="repository", target=record.full_name, **facts)
    return jsonify(_show(calls, hook, record)), 201


def _read(calls: Calls, project: str, number: int) -> Any:
    record = _project(calls, project, write=True)
    return jsonify(_show(calls, _hook(calls, record, number), record))


def _edit(calls: Calls, project: str, number: int) -> Any:
    record, body = _project(calls, project, write=True), _given()
    hook = _hook(calls, record, number)
    events = tuple(event for flag, event in _FLAGS.items() if _flag(body, flag, default=event in hook.events))
    changed = attrs.evolve(hook, **(_facts(body) | {"events": events}))
    return jsonify(_show(calls, calls.forge.keep_hook(changed), record))


def _delete(calls: Calls, project: str, number: int) -> Any:
    record = _project(calls, project, write=True)
    with calls.forge.lock:
        del calls.forge.hooks[_hook(calls, record, number).id]
    return "", 204


def _test(calls: Calls, project: str, number: int, trigger: str) -> Any:
    record = _project(calls, project, write=True)
    hook = _hook(calls, record, number)
    if trigger not in _FLAGS:
        raise CallError(400, "trigger does not have a valid value")
    if not calls.host.test_hook(hook, record.full_name):
        raise CallError(422, "Ensure the project has at least one commit.")
    return jsonify(message="201 Created"), 201


def _events(calls: Calls, project: str, number: int) -> Any:
    record = _project(calls, project, write=True)
    hook = _hook(calls, record, number)
    return jsonify([_event(row) for row in reversed(calls.host.deliveries) if row.hook == hook.id])


def _resend(calls: Calls, project: str, number: int, row_id: int) -> Any:
    record = _project(calls, project, write=True)
    hook = _hook(calls, record, number)
    row = next((row for row in calls.host.deliveries if (row.id, row.hook) == (row_id, hook.id)), None)
    if row is None:
        raise CallError(404, "404 Not found")
    calls.host.sender.redeliver(row.guid)
    return jsonify(response_status=200), 201


def _read_project(calls: Calls, project: str) -> Any:
    record = _project(calls, project)
    page = f"{calls.url}/{record.full_name}"
    return jsonify(
        id=record.id,
        name=record.name,
        path_with_namespace=record.full_name,
        default_branch=record.default_branch,
        http_url_to_repo=f"{page}.git",
        web_url=page,
        visibility="private" if record.private else "public",
    )


def _create_tag(calls: Calls, project: str) -> Any:
    record, body = _project(calls, project, write=True), _given()
    name, ref = text_of(body, "tag_name"), text_of(body, "ref")
    if f"refs/tags/{name}" in calls.forge.store(record).refs():
        raise CallError(400, f"Tag {name} already exists")
    message = text_of(body, "message") or None
    made = calls.host.tag(record.full_name, name, target=ref, message=message, by=calls.caller.login)
    return jsonify(name=name, target=made, message=message or "", protected=False), 201


def _create_commit(calls: Calls, project: str) -> Any:
    record, body = _project(calls, project, write=True), _given()
    actions = body.get("actions")
    if not isinstance(actions, list) or not all(isinstance(one, dict) for one in actions):
        raise CallError(400, "actions is missing")
    files: dict[str, Content] = {
        text_of(one, "file_path"): None if one.get("action") == "delete" else text_of(one, "content") for one in actions
    }
    made = calls.host.commit(
        record.full_name,
        files,
        branch=text_of(body, "branch") or record.default_branch,
        message=text_of(body, "commit_message"),
        start=text_of(body, "start_branch"),
        by=calls.caller.login,
    )
    return jsonify(id=made, short_id=made[:8], message=text_of(body, "commit_message")), 201


def _given() -> Body:
    """JSON, or a form, as GitLab takes both."""
    return dict(request.form) if request.form else given()


def _flag(body: Body, key: str, *, default: bool) -> bool:
    return default if key not in body else str(body[key]).lower() in {"true", "1"}


def _facts(body: Body) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, field in (
        ("url", "url"),
        ("token", "secret"),
        ("push_events_branch_filter", "branch_filter"),
        ("name", "name"),
    ):
        if key in body:
            facts[field] = text_of(body, key)
    if "enable_ssl_verification" in body:
        facts["verify_tls"] = _flag(body, "enable_ssl_verification", default=True)
    if "signing_token" in body:
        facts["settings"] = {"signing_token": text_of(body, "signing_token")}
    return facts


def _hook(calls: Calls, record: Repository, number: int) -> Hook:
    return calls.forge.hook(number, level="repository", target=record.full_name)


def _show(calls: Calls, hook: Hook, record: Repository) -> Body:
    health = calls.host.sender.health(hook.id)
    resting = health.rests_until > calls.host.clock.monotonic()
    status = "disabled" if health.disabled else "temporarily_disabled" if resting else "executable"
    return {
        "id": hook.id,
        "url": hook.url,
        "name": hook.name,
        "project_id": record.id,
        **{flag: event in hook.events for flag, event in _FLAGS.items()},
        "push_events_branch_filter": hook.branch_filter,
        "enable_ssl_verification": hook.verify_tls,
        "alert_status": status,
        "created_at": utc(hook.created_at),
    }


def _event(row: DeliveryRow) -> Body:
    return {
        "id": row.id,
        "url": row.url,
        "trigger": f"{row.event}_hooks",
        "request_headers": dict(row.request_headers),
        "request_data": row.request_body.decode(errors="replace"),
        "response_headers": dict(row.response_headers),
        "response_body": row.response_body.decode(errors="replace"),
        "execution_duration": row.seconds,
        "response_status": str(row.status) if row.status else "internal error",
        "created_at": utc(row.time),
    }


ROUTES: tuple[Route, ...] = (
    ("GET", "/projects/<path:project>", _read_project),
    ("GET", "/projects/<path:project>/hooks", _hooks),
    ("POST", "/projects/<path:project>/hooks", _create),
    ("GET", "/projects/<path:project>/hooks/<int:number>", _read),
    ("PUT", "/projects/<path:project>/hooks/<int:number>", _edit),
    ("DELETE", "/projects/<path:project>/hooks/<int:number>", _delete),
    ("POST", "/projects/<path:project>/hooks/<int:number>/test/<trigger>", _test),
    ("GET", "/projects/<path:project>/hooks/<int:number>/events", _events),
    ("POST", "/projects/<path:project>/hooks/<int:number>/events/<int:row_id>/resend", _resend),
    ("POST", "/projects/<path:project>/repository/tags", _create_tag),
    ("POST", "/projects/<path:project>/repository/commits", _create_commit),
)
