"""Harbor's API about itself and its accounts: ping, health, systeminfo, the current user, robots."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from flask import Response, g, jsonify

from kargo_lab.platforms.harbor.calls import CallError, Item, Route, caller, created, given, listed
from kargo_lab.platforms.harbor.records import Robot, stamp

if TYPE_CHECKING:
    from kargo_lab.platforms.harbor import Harbor

COMPONENTS = ("core", "database", "jobservice", "portal", "redis", "registry", "registryctl")
LEVELS = ("project", "system")
DAY = 86_400


def _ping(_harbor: Harbor) -> Response:
    return Response("Pong", mimetype="text/plain")


def _health(_harbor: Harbor) -> Any:
    return jsonify(status="healthy", components=[{"name": name, "status": "healthy"} for name in COMPONENTS])


def _system_info(harbor: Harbor) -> Any:
    from kargo_lab.platforms.harbor import VERSION

    shown: Item = {
        "auth_mode": "db_auth",
        "primary_auth_mode": False,
        "self_registration": False,
        "banner_message": "",
    }
    if g.account:  # the version is not told to strangers
        shown |= {
            "harbor_version": VERSION,
            "registry_url": harbor.host,
            "external_url": harbor.url,
            "project_creation_restriction": "everyone",
            "has_ca_root": False,
            "read_only": False,
            "registry_storage_provider_name": "filesystem",
            "notification_enable": True,
        }
    return jsonify(shown)


def _current_user(harbor: Harbor) -> Any:
    name = caller()
    if name in harbor.records.robots:
        raise CallError(401, "unauthorized")
    number = list(harbor.records.accounts).index(name) + 1
    return jsonify(
        user_id=number,
        username=name,
        email=f"{name}@example.com",
        realname=name,
        comment="",
        sysadmin_flag=name == "admin",
        admin_role_in_auth=False,
        creation_time=stamp(harbor.records.projects["library"].created),
        update_time=stamp(harbor.records.projects["library"].created),
    )


def administrator() -> str:
    """The caller, who must be one."""
    name = caller()
    if name != "admin":
        raise CallError(403, "forbidden")
    return name


def _show(robot: Robot) -> Item:
    return {
        "id": robot.id,
        "name": robot.name,
        "description": robot.description,
        "level": robot.level,
        "duration": -1 if robot.expires_at == -1 else max(0, robot.expires_at - int(robot.created.timestamp())) // DAY,
        "editable": True,
        "disable": False,
        "expires_at": robot.expires_at,
        "permissions": [dict(each) for each in robot.permissions],
        "creation_time": stamp(robot.created),
        "update_time": stamp(robot.created),
    }


def _is_permission(value: Any) -> bool:
    access = value.get("access") if isinstance(value, dict) else None
    return isinstance(access, list) and all(isinstance(each, dict) for each in access)


def _make_robot(harbor: Harbor) -> Response:
    administrator()
    body = given()
    level, name = body.get("level"), body.get("name")
    permissions = body.get("permissions")
    if level not in LEVELS:
        raise CallError(400, f"bad request robot level input: {level}")
    if not isinstance(name, str) or not name:
        raise CallError(400, "bad request empty or invalid robot name")
    if not isinstance(permissions, list) or not permissions or not all(_is_permission(each) for each in permissions):
        raise CallError(400, "bad request: permissions are a list of objects with a list of access objects")
    if level == "project" and len(permissions) != 1:
        raise CallError(400, "bad request permission: a robot of a project belongs to one")
    namespace = str(permissions[0].get("namespace", ""))
    if level == "project" and namespace not in harbor.records.projects:
        raise CallError(404, f"project {namespace} not found")
    full = f"robot${namespace}+{name}" if level == "project" else f"robot${name}"
    if full in harbor.records.robots:
        raise CallError(409, f"robot account {name} already exists")
    duration = body.get("duration", -1)
    if not isinstance(duration, int) or isinstance(duration, bool) or duration < -1 or duration == 0:
        raise CallError(400, f"bad request: robot duration {duration}")
    now = harbor.clock.now()
    robot = Robot(
        id=harbor.records.next_id("robot"),
        name=full,
        level=level,
        permissions=tuple(permissions),
        created=now,
        expires_at=-1 if duration == -1 else int(now.timestamp()) + duration * DAY,
        description=str(body.get("description", "")),
    )
    secret = secrets.token_urlsafe(24)
    harbor.records.robots[full], harbor.records.accounts[full] = robot, secret
    shown = {key: _show(robot)[key] for key in ("id", "name", "creation_time", "expires_at")}
    return created(f"/robots/{robot.id}", {**shown, "secret": secret})


def _robot(harbor: Harbor, number: str) -> Robot:
    administrator()
    found = next((one for one in harbor.records.robots.values() if str(one.id) == number), None)
    if found is None:
        raise CallError(404, f"robot with id {number} not found")
    return found


def _read_robot(harbor: Harbor, number: str) -> Any:
    return jsonify(_show(_robot(harbor, number)))


def _remove_robot(harbor: Harbor, number: str) -> Response:
    name = _robot(harbor, number).name
    del harbor.records.robots[name], harbor.records.accounts[name]
    return Response("", 200)


def _robots(harbor: Harbor) -> Response:
    administrator()
    return listed([_show(robot) for robot in harbor.records.robots.values()])


ROUTES: tuple[Route, ...] = (
    ("GET", "/ping", _ping),
    ("GET", "/health", _health),
    ("GET", "/systeminfo", _system_info),
    ("GET", "/users/current", _current_user),
    ("GET", "/robots", _robots),
    ("POST", "/robots", _make_robot),
    ("GET", "/robots/<number>", _read_robot),
    ("DELETE", "/robots/<number>", _remove_robot),
)
