"""The part of Artifactory's and Quay's APIs that registers hooks, in front of the registry in their persona.

Quay refuses addresses on its own machine (`localhost`, `127.0.0.1`), which is where everything in a
testbed is; here they are taken. Source: platforms.md 7 and 11.3.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import BadRequest, Conflict, HTTPException, NotFound, Unauthorized

from kargo_lab.platforms.access import Application, Environ, StartResponse
from kargo_lab.platforms.hooks import Hook

if TYPE_CHECKING:
    from kargo_lab.platforms.registry_platform import PlatformRegistry

ARTIFACTORY_PREFIX, QUAY_PREFIX = "/event/api/v1/", "/api/v1/repository/"


def _app(registry: PlatformRegistry) -> Flask:
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider

    @app.before_request
    def identify() -> None:
        if request.headers.get("Authorization", "") != f"Bearer {registry.token}":
            raise Unauthorized("a token of an administrator is required")

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> tuple[Response, int]:
        return jsonify(errors=[{"code": str(error.code), "message": error.description}]), error.code or 500

    return app


def _given() -> Any:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object")
    return body


def _dictionary(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _address(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise BadRequest("the url has to begin with http:// or https://")
    return value


class _Subscriptions:
    """Artifactory's, by key: each hangs a hook at every repository that its criteria name, or one at all."""

    def __init__(self, registry: PlatformRegistry) -> None:
        self._registry = registry
        self._known: dict[str, dict[str, Any]] = {}

    def shown(self, key: str) -> dict[str, Any]:
        """Without its secrets."""
        if key not in self._known:
            raise NotFound(f"there is no subscription {key}")
        handlers = [{**each, "secret": ""} for each in self._known[key]["handlers"]]
        return {**self._known[key], "handlers": handlers}

    def every(self) -> list[dict[str, Any]]:
        """All of them."""
        return [self.shown(key) for key in self._known]

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new one."""
        key = body.get("key")
        if not isinstance(key, str) or not key:
            raise BadRequest("a subscription needs a key")
        if key in self._known:
            raise Conflict(f"there is a subscription {key} already")
        return self._keep(key, body)

    def change(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """Put another in its place."""
        self.remove(key)
        return self._keep(key, {**body, "key": key})

    def remove(self, key: str) -> None:
        """Take its hooks down."""
        self.shown(key)
        for hook in self._registry.hooks:
            if hook.settings.get("key") == key:
                self._registry.remove_hook(hook.id)
        del self._known[key]

    def _keep(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        wanted = _dictionary(body.get("event_filter"))
        criteria = _dictionary(wanted.get("criteria"))
        targets = [""] if criteria.get("anyLocal") else [str(name) for name in criteria.get("repoKeys") or ()]
        events = [f"{wanted.get('domain', '')}/{event}" for event in wanted.get("event_types") or ()]
        handlers = [_dictionary(each) for each in body.get("handlers") or ()]
        if not (targets and events and handlers):
            raise BadRequest("a subscription needs criteria, event_types and handlers")
        for handler in handlers:
            for target in targets:
                self._registry.add_hook(
                    target,
                    url=_address(handler.get("url")),
                    secret=str(handler.get("secret") or ""),
                    events=events,
                    active=bool(body.get("enabled", True)),
                    level="owner" if target else "system",
                    settings={"plain_secret": not handler.get("use_secret_for_signing"), "key": key},
                )
        self._known[key] = body
        return self.shown(key)


def _artifactory(registry: PlatformRegistry) -> Flask:
    app, subscriptions = _app(registry), _Subscriptions(registry)
    place = f"{ARTIFACTORY_PREFIX}subscriptions"

    @app.get(place)
    def every() -> Response:
        return jsonify(subscriptions.every())

    @app.post(place)
    def create() -> tuple[Response, int]:
        return jsonify(subscriptions.create(_given())), 201

    @app.get(f"{place}/<key>")
    def read(key: str) -> Response:
        return jsonify(subscriptions.shown(key))

    @app.put(f"{place}/<key>")
    def change(key: str) -> Response:
        return jsonify(subscriptions.change(key, _given()))

    @app.delete(f"{place}/<key>")
    def remove(key: str) -> tuple[str, int]:
        subscriptions.remove(key)
        return "", 204

    return app


def _quay(registry: PlatformRegistry) -> Flask:
    """A repository's notifications, each of which is a hook there; three failures in a row switch one off."""
    app = _app(registry)
    place = f"{QUAY_PREFIX}<path:repository>/notification/"

    def shown(hook: Hook) -> dict[str, Any]:
        return {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"quay/{hook.id}")),
            "event": hook.events[0],
            "method": "webhook",
            "config": {"url": hook.url},
            "title": hook.name or None,
            "event_config": {},
            "number_of_failures": registry.sender.health(hook.id).failures,
        }

    def found(repository: str, number: str) -> Hook:
        for hook in registry.hooks:
            if hook.target == repository and shown(hook)["uuid"] == number:
                return hook
        raise NotFound("Not Found")

    @app.get(place)
    def every(repository: str) -> Response:
        return jsonify(notifications=[shown(hook) for hook in registry.hooks if hook.target == repository])

    @app.post(place)
    def create(repository: str) -> tuple[Response, int]:
        body = _given()
        if body.get("method") != "webhook":
            raise BadRequest("only the method webhook is spoken here")
        url = _address(_dictionary(body.get("config")).get("url"))
        hook = registry.add_hook(
            repository, url=url, events=[str(body.get("event"))], name=str(body.get("title") or ""), level="repository"
        )
        return jsonify(shown(hook)), 201

    @app.get(f"{place}<number>")
    def read(repository: str, number: str) -> Response:
        return jsonify(shown(found(repository, number)))

    @app.post(f"{place}<number>")
    def reset(repository: str, number: str) -> tuple[str, int]:
        registry.sender.enable(found(repository, number).id)
        return "", 204

    @app.delete(f"{place}<number>")
    def remove(repository: str, number: str) -> tuple[str, int]:
        registry.remove_hook(found(repository, number).id)
        return "", 204

    return app


HOOK_APIS: Mapping[str, tuple[str, Callable[[Any], Flask]]] = MappingProxyType(
    {"artifactory": (ARTIFACTORY_PREFIX, _artifactory), "quay": (QUAY_PREFIX, _quay)}
)


def hook_api(registry: PlatformRegistry) -> Callable[[Application], Application] | None:
    """The layer with the API of the registry's persona; None where there is none."""
    if registry.persona.name not in HOOK_APIS:
        return None
    prefix, make = HOOK_APIS[registry.persona.name]
    app = make(registry)

    def layer(behind: Application) -> Application:
        def routed(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            front: Application = app if environ["PATH_INFO"].startswith(prefix) else behind
            return front(environ, start_response)

        return routed

    return layer
