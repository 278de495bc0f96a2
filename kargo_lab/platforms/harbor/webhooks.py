"""Harbor's API about webhooks: policies, and what became of each delivery (executions, tasks, logs).

There is no test button and no redelivery in Harbor's API (platforms.md 14): events come from pushes alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
from flask import Response, jsonify, request

from kargo_lab.platforms.harbor.calls import CallError, Item, Route, caller, created, given, listed
from kargo_lab.platforms.harbor.projects import owned
from kargo_lab.platforms.harbor.records import Project, stamp
from kargo_lab.platforms.hooks import DeliveryRow

if TYPE_CHECKING:
    from kargo_lab.platforms.harbor import Harbor

EVENTS = (
    "DELETE_ARTIFACT", "PULL_ARTIFACT", "PUSH_ARTIFACT", "QUOTA_EXCEED", "QUOTA_WARNING", "REPLICATION",
    "SCANNING_FAILED", "SCANNING_STOPPED", "SCANNING_COMPLETED", "TAG_RETENTION",
)  # fmt: skip
FORMATS: Mapping[str, tuple[str, ...]] = {"http": ("Default", "CloudEvents"), "slack": ("Default",)}


@attrs.frozen(kw_only=True)
class Policy:
    """One policy; `hooks` are the numbers of the registry's hooks, one a target."""

    id: int
    project: int
    name: str
    description: str
    enabled: bool
    events: tuple[str, ...]
    targets: tuple[Item, ...] = attrs.field(repr=False)
    creator: str
    created: datetime
    updated: datetime
    hooks: tuple[int, ...] = ()


@attrs.frozen(kw_only=True)
class Execution:
    """One event for one target of a policy; the deliveries' log says the rest, under `guid`."""

    id: int
    policy: int
    event: str
    guid: str
    payload: str = attrs.field(repr=False)
    started: datetime


# -- policies -------------------------------------------------------------------------------------


def _target(given_target: Any) -> Item:
    if not isinstance(given_target, dict):
        raise CallError(400, "a target is no JSON object")
    target: Item = {
        "type": given_target.get("type", ""),
        "address": given_target.get("address", ""),
        "auth_header": given_target.get("auth_header", ""),
        "skip_cert_verify": bool(given_target.get("skip_cert_verify", False)),
    }
    if target["type"] not in FORMATS:
        raise CallError(400, f"unsupported notify type {target['type']}")
    if not isinstance(target["address"], str) or not isinstance(target["auth_header"], str):
        raise CallError(400, "address and auth_header are texts")
    if not _is_address(target["address"]):
        raise CallError(400, f"invalid url: {target['address']!r}")
    wanted = given_target.get("payload_format") or ""
    if wanted and target["type"] == "slack":
        raise CallError(400, "set payload format is not allowed for slack")
    if wanted and wanted not in FORMATS[target["type"]]:
        raise CallError(400, f"unsupported payload format {wanted}")
    return {**target, "payload_format": wanted or "Default"}


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # read for its check
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _read_policy(harbor: Harbor, project: Project, body: Item, number: int) -> Policy:
    targets, events, name = body.get("targets"), body.get("event_types"), body.get("name")
    if not isinstance(targets, list) or not targets:
        raise CallError(400, "empty notification target with policy")
    if not isinstance(events, list) or not events:
        raise CallError(400, "empty event type")
    if unknown := [event for event in events if event not in EVENTS]:
        raise CallError(400, f"unsupported event type {unknown[0]}")
    if not isinstance(name, str) or not name:
        raise CallError(400, "the name of a policy is a text, and not empty")
    others = [one for one in harbor.policies.values() if one.project == project.id and one.id != number]
    if any(one.name == name for one in others):
        raise CallError(409, f"the webhook policy named {name} already exists")
    now = harbor.clock.now()
    old = harbor.policies.get(number)
    return Policy(
        id=number or harbor.records.next_id("policy"),
        project=project.id,
        name=name,
        description=str(body.get("description") or ""),
        enabled=bool(body.get("enabled", False)),
        events=tuple(dict.fromkeys(events)),
        targets=tuple(_target(target) for target in targets),
        creator=old.creator if old else caller(),
        created=old.created if old else now,
        updated=now,
    )


def _install(harbor: Harbor, project: Project, policy: Policy) -> Policy:
    """Hang the policy's hooks into the registry."""
    hooks = [
        harbor.add_hook(
            project.name,
            url=target["address"],
            authorization=target["auth_header"],
            events=policy.events,
            level="owner",
            kind="CloudEvents" if target["payload_format"] == "CloudEvents" else "",
            verify_tls=not target["skip_cert_verify"],
            active=policy.enabled,
            name=policy.name,
            settings={"policy": policy.id},
        )
        for target in policy.targets
        if target["type"] == "http"  # what Slack gets is none of a receiver's business
    ]
    return attrs.evolve(policy, hooks=tuple(hook.id for hook in hooks))


def _uninstall(harbor: Harbor, policy: Policy) -> None:
    for hook in policy.hooks:
        harbor.remove_hook(hook)


def _show(policy: Policy) -> Item:
    return {
        "id": policy.id,
        "name": policy.name,
        "description": policy.description,
        "project_id": policy.project,
        "targets": [dict(target) for target in policy.targets],
        "event_types": list(policy.events),
        "creator": policy.creator,
        "creation_time": stamp(policy.created),
        "update_time": stamp(policy.updated),
        "enabled": policy.enabled,
    }


def _policies(harbor: Harbor, project: Project) -> list[Policy]:
    return [policy for policy in harbor.policies.values() if policy.project == project.id]


def _policy(harbor: Harbor, project: str, number: str) -> Policy:
    owner = owned(harbor, project)
    found = next((policy for policy in _policies(harbor, owner) if str(policy.id) == number), None)
    if found is None:
        raise CallError(404, f"notification policy {number} not found")
    return found


def _list(harbor: Harbor, project: str) -> Response:
    return listed([_show(policy) for policy in _policies(harbor, owned(harbor, project))])


def _create(harbor: Harbor, project: str) -> Response:
    owner = owned(harbor, project)
    policy = _install(harbor, owner, _read_policy(harbor, owner, given(), 0))
    harbor.policies[policy.id] = policy
    return created(f"/projects/{project}/webhook/policies/{policy.id}")


def _read(harbor: Harbor, project: str, number: str) -> Any:
    return jsonify(_show(_policy(harbor, project, number)))


def _change(harbor: Harbor, project: str, number: str) -> Response:
    old, owner = _policy(harbor, project, number), owned(harbor, project)
    new = _read_policy(harbor, owner, given(), old.id)
    _uninstall(harbor, old)
    harbor.policies[old.id] = _install(harbor, owner, new)
    return Response("", 200)


def _remove(harbor: Harbor, project: str, number: str) -> Response:
    policy = _policy(harbor, project, number)
    _uninstall(harbor, policy)
    del harbor.policies[policy.id]
    harbor.executions[:] = [one for one in harbor.executions if one.policy != policy.id]
    return Response("", 200)


def _events(harbor: Harbor, project: str) -> Any:
    owned(harbor, project)
    formats = [{"notify_type": kind, "formats": list(known)} for kind, known in FORMATS.items()]
    return jsonify(event_type=list(EVENTS), notify_type=list(FORMATS), payload_formats=formats)


# -- what became of them --------------------------------------------------------------------------


def _rows(harbor: Harbor, execution: Execution) -> list[DeliveryRow]:
    return [row for row in harbor.deliveries if row.guid == execution.guid]


def _status(rows: list[DeliveryRow]) -> str:
    """As of its last attempt: while the next one is waited for, a job has failed."""
    if not rows:
        return "Pending"
    return "Success" if rows[-1].outcome == "delivered" else "Error"


def _message(row: DeliveryRow) -> str:
    if row.status:
        return f"abnormal response code: {row.status}, body: {row.response_body.decode(errors='replace')}"
    return f"no answer: {row.outcome}"


def _show_execution(harbor: Harbor, execution: Execution) -> Item:
    rows = _rows(harbor, execution)
    status = _status(rows)
    kind = {"Success": "success_task_count", "Error": "error_task_count"}.get(status, "pending_task_count")
    return {
        "id": execution.id,
        "vendor_type": "WEBHOOK",
        "vendor_id": execution.policy,
        "status": status,
        "status_message": _message(rows[-1]) if status == "Error" else "",
        "metrics": {"task_count": 1, kind: 1},
        "trigger": "EVENT",
        "extra_attrs": {"event_type": execution.event, "payload": execution.payload},
        "start_time": stamp(execution.started),
        "end_time": stamp(rows[-1].time) if rows else None,
    }


def _show_task(harbor: Harbor, execution: Execution) -> Item:
    rows = _rows(harbor, execution)
    status = _status(rows)
    return {
        "id": execution.id,
        "execution_id": execution.id,
        "status": status,
        "status_message": _message(rows[-1]) if status == "Error" else "",
        "run_count": len(rows),
        "extra_attrs": {"event_type": execution.event, "payload": execution.payload},
        "creation_time": stamp(execution.started),
        "update_time": stamp(rows[-1].time if rows else execution.started),
        "start_time": stamp(execution.started),
        "end_time": stamp(rows[-1].time) if rows else None,
    }


def _executions_of(harbor: Harbor, policy: Policy) -> list[Execution]:
    return [execution for execution in reversed(harbor.executions) if execution.policy == policy.id]


def _execution(harbor: Harbor, project: str, number: str, execution: str) -> Execution:
    policy = _policy(harbor, project, number)
    found = next((one for one in _executions_of(harbor, policy) if str(one.id) == execution), None)
    if found is None:
        raise CallError(404, f"execution {execution} not found")
    return found


def _list_executions(harbor: Harbor, project: str, number: str) -> Response:
    policy = _policy(harbor, project, number)
    return listed([_show_execution(harbor, one) for one in _executions_of(harbor, policy)])


def _list_tasks(harbor: Harbor, project: str, number: str, execution: str) -> Response:
    return listed([_show_task(harbor, _execution(harbor, project, number, execution))])


def _log(harbor: Harbor, project: str, number: str, execution: str, task: str) -> Response:
    found = _execution(harbor, project, number, execution)
    if task != execution:
        raise CallError(404, f"task {task} not found")
    lines = []
    for row in _rows(harbor, found):
        lines += [
            f"{stamp(row.time)} [INFO] attempt {row.attempt}: {row.url}",
            f"{stamp(row.time)} [INFO] request body: {row.request_body.decode(errors='replace')}",
        ]
        if row.outcome != "delivered":
            lines.append(f"{stamp(row.time)} [ERROR] {_message(row)}")
    return Response("".join(f"{line}\n" for line in lines), mimetype="text/plain")


def _last_triggers(harbor: Harbor, project: str) -> Any:
    items = [
        {
            "policy_name": policy.name,
            "event_type": event,
            "enabled": policy.enabled,
            "creation_time": stamp(policy.created),
            "last_trigger_time": stamp(
                next((one.started for one in _executions_of(harbor, policy) if one.event == event), None)
            ),
        }
        for policy in _policies(harbor, owned(harbor, project))
        for event in policy.events
    ]
    return jsonify(items)


def _jobs(harbor: Harbor, project: str) -> Response:
    """The view of before there were executions; the policy has to be named."""
    number = request.args.get("policy_id", "")
    if not number:
        raise CallError(422, "policy_id in query is required")
    policy = _policy(harbor, project, number)
    wanted = request.args.getlist("status")
    jobs = [
        {
            "id": one.id,
            "policy_id": policy.id,
            "event_type": one.event,
            "notify_type": "http",
            "status": _status(_rows(harbor, one)),
            "job_detail": one.payload,
            "creation_time": stamp(one.started),
            "update_time": stamp(one.started),
        }
        for one in _executions_of(harbor, policy)
    ]
    return listed([job for job in jobs if not wanted or job["status"] in wanted])


_WEBHOOK = "/projects/<project>/webhook"
_ONE = f"{_WEBHOOK}/policies/<number>"
ROUTES: tuple[Route, ...] = (
    ("GET", f"{_WEBHOOK}/policies", _list),
    ("POST", f"{_WEBHOOK}/policies", _create),
    ("GET", _ONE, _read),
    ("PUT", _ONE, _change),
    ("DELETE", _ONE, _remove),
    ("GET", f"{_ONE}/executions", _list_executions),
    ("GET", f"{_ONE}/executions/<execution>/tasks", _list_tasks),
    ("GET", f"{_ONE}/executions/<execution>/tasks/<task>/log", _log),
    ("GET", f"{_WEBHOOK}/events", _events),
    ("GET", f"{_WEBHOOK}/lasttrigger", _last_triggers),
    ("GET", f"{_WEBHOOK}/jobs", _jobs),
)
