"""Gitea's API for users, tokens and organisations."""

from __future__ import annotations

from typing import Any

from flask import jsonify, request

from kargo_lab.platforms.git.apis.calls import CallError, Calls, Route, given, paged, text_of
from kargo_lab.platforms.git.bodies import gitea_shapes as shapes
from kargo_lab.platforms.git.bodies.writing import Body, utc
from kargo_lab.platforms.git.forge import TakenError, Token
from kargo_lab.platforms.git.scene import Account


def _read_myself(calls: Calls) -> Any:
    return jsonify(shapes.user(calls.caller, calls.url))


def _read_user(calls: Calls, login: str) -> Any:
    return jsonify(shapes.user(_user(calls, login), calls.url))


def _list_users(calls: Calls) -> Any:
    calls.administrator()
    found = [account for account in calls.forge.accounts.values() if not account.organization]
    return paged(found, lambda account: shapes.user(account, calls.url))


def _create_user(calls: Calls) -> Any:
    calls.administrator()
    body = given()
    facts: dict[str, Any] = {"email": text_of(body, "email", required=True), "full_name": text_of(body, "full_name")}
    login, password = text_of(body, "username", required=True), text_of(body, "password")
    try:
        made = calls.forge.add_account(login, password=password, **facts)
    except TakenError as error:
        raise CallError(422, f"user already exists [name: {login}]") from error
    return jsonify(shapes.user(made, calls.url)), 201


def _delete_user(calls: Calls, login: str) -> Any:
    calls.administrator()
    account = _user(calls, login)
    with calls.forge.lock:
        if any(repository.owner.id == account.id for repository in calls.forge.repositories.values()):
            raise CallError(422, f"user still has ownership of repositories [uid: {account.id}]")
        del calls.forge.accounts[login.lower()]
    return "", 204


def _token_owner(calls: Calls, login: str) -> Account:
    if not request.headers.get("Authorization", "").lower().startswith("basic "):
        raise CallError(401, "auth required")  # a token may not make tokens
    account = _user(calls, login)
    if account.id != calls.caller.id and not calls.caller.admin:
        raise CallError(403, "doer should be the site admin or be same as the contextUser")
    return account


def _show_token(token: Token) -> Body:
    return {
        "id": token.id,
        "name": token.name,
        "sha1": "",
        "token_last_eight": token.text[-8:],
        "scopes": list(token.scopes),
        "created_at": utc(token.created_at),
        "last_used_at": utc(token.created_at),
    }


def _list_tokens(calls: Calls, login: str) -> Any:
    account = _token_owner(calls, login)
    return paged([token for token in calls.forge.tokens.values() if token.account == account.id], _show_token)


def _create_token(calls: Calls, login: str) -> Any:
    account, body = _token_owner(calls, login), given()
    scopes = body.get("scopes") or []
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise CallError(400, "invalid access token scope provided")
    if not scopes:
        raise CallError(400, "access token must have a scope")
    name = text_of(body, "name", required=True)
    try:
        token = calls.forge.add_token(account, name, tuple(scopes))
    except TakenError as error:
        raise CallError(400, str(error)) from error
    return jsonify(_show_token(token) | {"sha1": token.text}), 201


def _delete_token(calls: Calls, login: str, word: str) -> Any:
    account = _token_owner(calls, login)
    with calls.forge.lock:
        for token in list(calls.forge.tokens.values()):
            if token.account == account.id and word in {token.name, str(token.id)}:
                del calls.forge.tokens[token.id]
                return "", 204
    raise CallError(404, "not found")


def _create_organization(calls: Calls) -> Any:
    body, caller = given(), calls.caller
    login = text_of(body, "username", required=True)
    try:
        made = calls.forge.add_account(login, organization=True, full_name=text_of(body, "full_name"))
    except TakenError as error:
        raise CallError(422, f"user already exists [name: {login}]") from error
    calls.forge.members[login.lower()] = {caller.id}
    return jsonify(shapes.organization(made, calls.url)), 201


def _read_organization(calls: Calls, login: str) -> Any:
    return jsonify(shapes.organization(_organization(calls, login), calls.url))


def _delete_organization(calls: Calls, login: str) -> Any:
    account = _organization(calls, login)
    if calls.caller.id not in calls.forge.members.get(login.lower(), set()) and not calls.caller.admin:
        raise CallError(403, "Must be an organization owner")
    with calls.forge.lock:
        if any(repository.owner.id == account.id for repository in calls.forge.repositories.values()):
            raise CallError(409, "organization still has repositories")
        del calls.forge.accounts[login.lower()]
    return "", 204


def _list_own_organizations(calls: Calls) -> Any:
    caller = calls.caller
    found = [calls.forge.account(login) for login, ids in calls.forge.members.items() if caller.id in ids]
    return paged(found, lambda account: shapes.organization(account, calls.url))


def _list_organizations(calls: Calls) -> Any:
    found = [account for account in calls.forge.accounts.values() if account.organization]
    return paged(found, lambda account: shapes.organization(account, calls.url))


def _user(calls: Calls, login: str) -> Account:
    found = calls.owner(login)
    if found.organization:
        raise CallError(404, "not found")
    return found


def _organization(calls: Calls, login: str) -> Account:
    found = calls.owner(login)
    if not found.organization:
        raise CallError(404, "not found")
    return found


ROUTES: tuple[Route, ...] = (
    ("GET", "/user", _read_myself),
    ("GET", "/users/<login>", _read_user),
    ("GET", "/admin/users", _list_users),
    ("POST", "/admin/users", _create_user),
    ("DELETE", "/admin/users/<login>", _delete_user),
    ("GET", "/users/<login>/tokens", _list_tokens),
    ("POST", "/users/<login>/tokens", _create_token),
    ("DELETE", "/users/<login>/tokens/<word>", _delete_token),
    ("POST", "/orgs", _create_organization),
    ("GET", "/orgs/<login>", _read_organization),
    ("DELETE", "/orgs/<login>", _delete_organization),
    ("GET", "/user/orgs", _list_own_organizations),
    ("GET", "/orgs", _list_organizations),
)
