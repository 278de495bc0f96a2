"""The lab API of a testbed: its platforms, their logs of deliveries, redelivery, and what discovery costs them.

One shape for all platforms, whatever each one's own API makes of the same log. It stands beside the
lab API and under the same rules: secrets are masked, other sites are refused.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs
from flask import Blueprint, Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import BadRequest, NotFound

from kargo_lab.service.api import MOST_ROWS, PREFIX, refuse_other_sites

_BED = "KARGO_LAB_TESTBED"


class Bed(Protocol):
    """What a testbed has to offer."""

    backend: str
    personas: Mapping[str, str]

    @property
    def platforms(self) -> Mapping[str, Any]:
        """Name -> platform, with `url` and perhaps `hooks`."""
        ...

    @property
    def deliveries(self) -> Sequence[tuple[str, Any]]:
        """Every attempt, with the platform's name."""
        ...

    def redeliver(self, platform: str, guid: str) -> None:
        """Send a past delivery once more."""
        ...

    def register_hook(self, platform: str, repository: str) -> Any:
        """Register the receiver by the platform's own API."""
        ...

    def install_hook(self, platform: str) -> None:
        """Register the receiver in process, for all repositories."""
        ...

    def burn(self) -> Sequence[Mapping[str, Any]]:
        """What each subscription has cost."""
        ...


blueprint = Blueprint("platforms", __name__, url_prefix=PREFIX)
blueprint.before_request(refuse_other_sites)


def add_platforms(app: Flask, bed: Bed) -> Flask:
    """The API of a lab with that of its testbed's platforms."""
    app.config[_BED] = bed
    app.register_blueprint(blueprint)
    return app


def _bed() -> Bed:
    bed: Bed = current_app.config[_BED]
    return bed


@blueprint.get("/platforms")
def platforms() -> Response:
    """Every platform with its hooks."""
    return jsonify(
        items=[
            {
                "name": name,
                "persona": _bed().personas.get(name, name),
                "url": part.url,
                "hooks": [_hook(hook) for hook in _hooks(part)],
                "deliveries": sum(owner == name for owner, _ in _bed().deliveries),
            }
            for name, part in _bed().platforms.items()
        ]
    )


@blueprint.get("/platforms/<name>/deliveries")
def deliveries(name: str) -> Response:
    """The newest attempts to deliver, oldest of them first."""
    _known(name)
    text = request.args.get("limit", "1000")
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_ROWS):
        raise BadRequest(f"limit must be a whole number from 1 to {MOST_ROWS}")
    rows = [row for owner, row in _bed().deliveries if owner == name]
    return jsonify(items=[_row(row) for row in rows[-int(text) :]])


@blueprint.get("/platforms/<name>/deliveries/<int:number>")
def delivery(name: str, number: int) -> Response:
    """One attempt with everything that was said."""
    _known(name)
    found = next((row for owner, row in _bed().deliveries if owner == name and row.id == number), None)
    if found is None:
        raise NotFound(f"{name} has no delivery {number} in its log")
    bodies = {part: _text(getattr(found, part)) for part in ("request_body", "response_body")}
    headers = {part: dict(getattr(found, part)) for part in ("request_headers", "response_headers")}
    return jsonify({**_row(found), **headers, **bodies})


@blueprint.post("/platforms/<name>/deliveries/<guid>/redeliver")
def redeliver(name: str, guid: str) -> tuple[Response, int]:
    """Send a past delivery once more."""
    _known(name)
    _bed().redeliver(name, guid)
    return jsonify(guid=guid), 202


@blueprint.post("/platforms/<name>/hooks")
def install(name: str) -> tuple[Response, int]:
    """Register the receiver: for one repository by the platform's API, or for all in process."""
    _known(name)
    body = request.get_json(silent=True)
    repository = body.get("repository") if isinstance(body, dict) else None
    if repository is None:
        _bed().install_hook(name)
        return jsonify(by="the testbed itself", answer=None), 201
    if not isinstance(repository, str) or "/" not in repository:
        raise BadRequest("a repository is called owner/name")
    return jsonify(by=f"the API of {_bed().personas[name]}", answer=_bed().register_hook(name, repository)), 201


@blueprint.get("/burn")
def burn() -> Response:
    """What each subscription has cost its source."""
    return jsonify(items=list(_bed().burn()))


def _known(name: str) -> None:
    if name not in _bed().platforms:
        raise NotFound(f"there is no platform {name}; known are {', '.join(_bed().platforms)}")


def _hooks(part: Any) -> list[Any]:
    if hasattr(part, "forge"):
        return list(part.forge.hooks.values())
    return list(getattr(part, "hooks", ()))


def _hook(hook: Any) -> dict[str, Any]:
    return {
        "id": hook.id,
        "level": hook.level,
        "target": hook.target,
        "url": hook.url,
        "events": list(hook.events),
        "active": hook.active,
    }


def _row(row: Any) -> dict[str, Any]:
    """A row without its bodies and headers."""
    plain = attrs.asdict(row, filter=lambda field, _: not field.name.startswith(("request_", "response_")))
    return {**plain, "time": row.time.isoformat()}


def _text(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
