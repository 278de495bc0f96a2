"""Gitea's API for pull requests."""

from __future__ import annotations

from typing import Any

from flask import jsonify, request

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.apis.calls import CallError, Calls, Route, given, paged, text_of
from kargo_lab.platforms.git.bodies import gitea_shapes as shapes
from kargo_lab.platforms.git.bodies.writing import Body
from kargo_lab.platforms.git.forge import TakenError, UnknownError
from kargo_lab.platforms.git.scene import PullRequest, Repository

_STYLES = frozenset({"merge", "rebase", "rebase-merge", "squash", "fast-forward-only"})


def _show(calls: Calls, record: Repository, pull: PullRequest) -> Body:
    refs = calls.forge.store(record).refs()
    counts = {"branches": sum(ref.startswith("refs/heads/") for ref in refs)}
    shown = shapes.pull_request(pull, record, calls.url, counts)
    if f"refs/heads/{pull.head}" not in refs:  # what is left of a deleted head
        shown["head"]["ref"] = f"refs/pull/{pull.number}/head"
    return shown


def _list_pulls(calls: Calls, owner: str, name: str) -> Any:
    record, state = calls.readable(owner, name), request.args.get("state", "open")
    found = [pull for pull in calls.forge.pulls[record.id][::-1] if state in {"all", pull.state}]
    return paged(found, lambda pull: _show(calls, record, pull))


def _create_pull(calls: Calls, owner: str, name: str) -> Any:
    record, body = calls.readable(owner, name), given()
    words = {key: text_of(body, key, required=True) for key in ("head", "base", "title")}
    words["head"] = words["head"].rpartition(":")[2]  # `owner:branch` names a fork's branch
    by = calls.caller.login
    try:
        pull = calls.host.open_pull(record.full_name, **words, body=text_of(body, "body"), by=by)
    except (UnknownError, TakenError):
        raise
    except UsageError as error:
        raise CallError(422, "There are no changes between the head and the base") from error
    return jsonify(_show(calls, record, pull)), 201


def _read_pull(calls: Calls, owner: str, name: str, number: int) -> Any:
    record = calls.readable(owner, name)
    return jsonify(_show(calls, record, calls.forge.pull(record, number)))


def _edit_pull(calls: Calls, owner: str, name: str, number: int) -> Any:
    record, body, by = calls.writable(owner, name), given(), calls.caller.login
    pull = calls.forge.pull(record, number)
    facts = {key: text_of(body, key) for key in ("title", "body") if key in body}
    if facts:
        pull = calls.host.edit_pull(record.full_name, number, by=by, **facts)
    state = text_of(body, "state")
    if pull.merged and state:
        raise CallError(412, "cannot change state of this pull request, it was already merged")
    if state == "closed" != pull.state:
        pull = calls.host.close_pull(record.full_name, number, by=by)
    elif state == "open" != pull.state:
        pull = calls.host.reopen_pull(record.full_name, number, by=by)
    return jsonify(_show(calls, record, pull)), 201


def _is_merged(calls: Calls, owner: str, name: str, number: int) -> Any:
    record = calls.readable(owner, name)
    if not calls.forge.pull(record, number).merged:
        raise CallError(404, "not found")
    return "", 204


def _merge_pull(calls: Calls, owner: str, name: str, number: int) -> Any:
    record = calls.writable(owner, name)
    # Clients spell the members in two ways; Go reads both.
    body = {key.lower().replace("_", ""): value for key, value in given().items()}
    style = text_of(body, "do", required=True)
    if style not in _STYLES:
        raise CallError(422, f"[Do]: In {style}")
    pull = calls.forge.pull(record, number)
    expected = text_of(body, "headcommitid")
    if pull.merged:
        raise CallError(405, "")
    if pull.state != "open":
        raise CallError(404, "not found")
    if expected and expected != pull.head_sha:
        raise CallError(409, "head out of date")
    title, text = text_of(body, "mergetitlefield"), text_of(body, "mergemessagefield")
    calls.host.merge_pull(
        record.full_name,
        number,
        style=style,
        message="\n\n".join(part for part in (title, text) if part),
        delete_head=bool(body.get("deletebranchaftermerge")),
        by=calls.caller.login,
    )
    return "", 200


ROUTES: tuple[Route, ...] = (
    ("GET", "/repos/<owner>/<name>/pulls", _list_pulls),
    ("POST", "/repos/<owner>/<name>/pulls", _create_pull),
    ("GET", "/repos/<owner>/<name>/pulls/<int:number>", _read_pull),
    ("PATCH", "/repos/<owner>/<name>/pulls/<int:number>", _edit_pull),
    ("GET", "/repos/<owner>/<name>/pulls/<int:number>/merge", _is_merged),
    ("POST", "/repos/<owner>/<name>/pulls/<int:number>/merge", _merge_pull),
)
