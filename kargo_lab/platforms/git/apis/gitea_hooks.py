"""Gitea's API for hooks at its levels: repository, organisation, user, and the whole host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import attrs
from flask import jsonify, request

from kargo_lab.platforms.git.apis.calls import CallError, Calls, Route, given, paged, text_of
from kargo_lab.platforms.git.bodies.writing import Body, utc
from kargo_lab.platforms.hooks import Hook

_CONTENT_TYPES = frozenset({"json", "form"})
_TYPES = {
    "gitea": frozenset({"gitea", "gogs"}),
    "forgejo": frozenset({"gitea", "gogs", "forgejo"}),
}

Place = tuple[str, str]  # level and target


def _of_repository(calls: Calls, owner: str, name: str) -> Place:
    return "repository", calls.writable(owner, name).full_name


def _of_organization(calls: Calls, login: str) -> Place:
    account = calls.owner(login)
    if calls.caller.id not in calls.forge.members.get(login.lower(), set()) and not calls.caller.admin:
        raise CallError(403, "Must be an organization owner")
    return "owner", account.login


def _of_caller(calls: Calls) -> Place:
    return "owner", calls.caller.login


def _of_host(calls: Calls) -> Place:
    calls.administrator()
    return "default" if request.args.get("type") == "default" else "system", ""


_LEVELS: Mapping[str, Callable[..., Place]] = {
    "/repos/<owner>/<name>/hooks": _of_repository,
    "/orgs/<login>/hooks": _of_organization,
    "/user/hooks": _of_caller,
    "/admin/hooks": _of_host,
}


def list_hooks(place: Callable[..., Place], calls: Calls, **words: str) -> Any:
    """The hooks of one place."""
    return paged(calls.forge.hooks_at(*place(calls, **words)), _show)


def create_hook(place: Callable[..., Place], calls: Calls, **words: str) -> Any:
    """Register one; without `active` it is not."""
    level, target = place(calls, **words)
    body = given()
    facts = _checked(calls, body)
    if level in {"system", "default"}:
        level = "system" if _is_system(body) else "default"
    return jsonify(_show(calls.forge.add_hook(level=level, target=target, **facts))), 201


def read_hook(place: Callable[..., Place], calls: Calls, number: int, **words: str) -> Any:
    """One hook, without its secret."""
    return jsonify(_show(_found(calls, number, place(calls, **words))))


def edit_hook(place: Callable[..., Place], calls: Calls, number: int, **words: str) -> Any:
    """Change what is given, keep the rest."""
    found = _found(calls, number, place(calls, **words))
    return jsonify(_show(calls.forge.keep_hook(attrs.evolve(found, **_edited(given())))))


def delete_hook(place: Callable[..., Place], calls: Calls, number: int, **words: str) -> Any:
    """Forget it."""
    with calls.forge.lock:
        del calls.forge.hooks[_found(calls, number, place(calls, **words)).id]
    return "", 204


def test_hook(calls: Calls, owner: str, name: str, number: int) -> Any:
    """The test button, with a full ref in `ref`; an empty repository sends nothing."""
    level, target = _of_repository(calls, owner, name)
    hook = calls.forge.hook(number, level=level, target=target)
    calls.host.test_hook(hook, target, ref=request.args.get("ref", ""))
    return "", 204


def _found(calls: Calls, number: int, place: Place) -> Hook:
    level, target = place
    found = calls.forge.hooks.get(number)
    if level == "system" and found is not None and found.level == "default":
        return found  # one list of calls serves both kinds
    return calls.forge.hook(number, level=level, target=target)


def _is_system(body: Body) -> bool:
    config = body.get("config") if isinstance(body.get("config"), dict) else {}
    value = body.get("is_system_webhook", (config or {}).get("is_system_webhook", False))
    return value is True or str(value).lower() in {"1", "t", "true"}


def _checked(calls: Calls, body: Body) -> dict[str, Any]:
    """The fields of a new hook; refusals as in Gitea's `checkCreateHookOption`."""
    kind = text_of(body, "type", required=True)
    known = _TYPES.get(calls.host.persona.name, _TYPES["gitea"])
    if kind not in known:
        raise CallError(422, f"Invalid hook type: {kind}")
    config = body.get("config")
    if not isinstance(config, dict):
        raise CallError(422, "[Config]: Required")
    for option in ("url", "content_type"):
        if not config.get(option):
            raise CallError(422, f"Missing config option: {option}")
    return {
        "kind": kind,
        "url": _checked_url(text_of(config, "url")),
        "content_type": _checked_content_type(text_of(config, "content_type")),
        "secret": text_of(config, "secret"),
        "events": tuple(_events(body) or ("push",)),
        "active": body.get("active") is True,
        "branch_filter": text_of(body, "branch_filter"),
        "authorization": text_of(body, "authorization_header"),
        "name": text_of(body, "name"),
        "settings": {"http_method": text_of(config, "http_method") or "POST"},
    }


def _edited(body: Body) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    config = body.get("config") or {}
    if "url" in config:
        facts["url"] = _checked_url(text_of(config, "url"))
    if "content_type" in config:
        facts["content_type"] = _checked_content_type(text_of(config, "content_type"))
    if "secret" in config:
        facts["secret"] = text_of(config, "secret")
    if _events(body):
        facts["events"] = tuple(_events(body))
    if isinstance(body.get("active"), bool):
        facts["active"] = body["active"]
    for key, field in (("branch_filter", "branch_filter"), ("authorization_header", "authorization"), ("name", "name")):
        if key in body:
            facts[field] = text_of(body, key)
    return facts


def _events(body: Body) -> list[str]:
    events = body.get("events") or []
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        raise CallError(422, "json: cannot unmarshal into field events of type []string")
    return [event.strip().lower() for event in events]


def _checked_url(url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
        raise CallError(422, "Invalid url")
    return url


def _checked_content_type(name: str) -> str:
    if name not in _CONTENT_TYPES:
        raise CallError(422, "Invalid content type")
    return name


def _show(hook: Hook) -> Body:
    return {
        "id": hook.id,
        "type": hook.kind or "gitea",
        "name": hook.name,
        "branch_filter": hook.branch_filter,
        "config": {"content_type": hook.content_type, "url": hook.url},
        "events": list(hook.events),
        "authorization_header": hook.authorization,
        "active": hook.active,
        "updated_at": utc(hook.updated_at),
        "created_at": utc(hook.created_at),
    }


ROUTES: tuple[Route, ...] = (
    *(
        (method, where + suffix, partial(function, place))
        for where, place in _LEVELS.items()
        for method, suffix, function in (
            ("GET", "", list_hooks),
            ("POST", "", create_hook),
            ("GET", "/<int:number>", read_hook),
            ("PATCH", "/<int:number>", edit_hook),
            ("DELETE", "/<int:number>", delete_hook),
        )
    ),
    ("POST", "/repos/<owner>/<name>/hooks/<int:number>/tests", test_hook),
)
