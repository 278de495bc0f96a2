"""Gitea's API for files: read, create, update, delete, several at once. Each change is a commit."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import attrs
from flask import Response, jsonify, request

from kargo_lab.platforms.git.apis.calls import CallError, Calls, Route, given, moment_of, text_of
from kargo_lab.platforms.git.apis.gitea_repositories import MISSING, commit_of
from kargo_lab.platforms.git.bodies import gitea_shapes as shapes
from kargo_lab.platforms.git.bodies.writing import Body, rfc3339
from kargo_lab.platforms.git.objects import Commit, Person
from kargo_lab.platforms.git.repository import Content, Entry
from kargo_lab.platforms.git.scene import Repository

_KINDS = {"blob": "file", "tree": "dir", "commit": "submodule"}
_VERBS = {"create": "Add", "update": "Update", "delete": "Delete"}


@attrs.frozen(kw_only=True)
class _Change:
    operation: str
    path: str
    sha: str = ""
    content: Content = None
    from_path: str = ""


def _read_contents(calls: Calls, owner: str, name: str, path: str = "") -> Any:
    record = calls.readable(owner, name)
    if record.empty:
        return jsonify([]) if not path else _refuse(404, MISSING)
    store = calls.forge.store(record)
    ref = request.args.get("ref", "") or record.default_branch
    commit, path = commit_of(store, ref), path.strip("/")
    found = store.entries(commit.id, path)
    if not found:
        raise CallError(404, MISSING)
    if len(found) == 1 and found[0].path == path:
        return jsonify(_show(calls, record, found[0], ref, commit, whole=True))
    return jsonify([_show(calls, record, entry, ref, commit, whole=False) for entry in found])


def _read_raw(calls: Calls, owner: str, name: str, path: str) -> Any:
    record = calls.readable(owner, name)
    store = calls.forge.store(record)
    commit = commit_of(store, request.args.get("ref", "") or record.default_branch)
    found = next((entry for entry in store.entries(commit.id, path) if entry.path == path), None)
    if found is None:
        raise CallError(404, MISSING)
    return Response(store.blob(found.id), mimetype="text/plain")


def _create_file(calls: Calls, owner: str, name: str, path: str) -> Any:
    body = given()
    change = _Change(operation="create", path=path, content=_content(body))
    return _one(calls, calls.writable(owner, name), change, body), 201


def _update_file(calls: Calls, owner: str, name: str, path: str) -> Any:
    body = given()
    sha, source = text_of(body, "sha"), text_of(body, "from_path")
    # Since 1.26 an update without the old file's ID is a creation; before, it was refused.
    operation, status = ("update", 200) if sha else ("create", 201)
    change = _Change(operation=operation, path=path, sha=sha, content=_content(body), from_path=source)
    return _one(calls, calls.writable(owner, name), change, body), status


def _delete_file(calls: Calls, owner: str, name: str, path: str) -> Any:
    body = given() or dict(request.args)
    change = _Change(operation="delete", path=path, sha=text_of(body, "sha", required=True))
    return _one(calls, calls.writable(owner, name), change, body), 200


def _change_files(calls: Calls, owner: str, name: str) -> Any:
    body = given()
    files = body.get("files")
    if not isinstance(files, list) or not files or not all(isinstance(one, dict) for one in files):
        raise CallError(422, "[Files]: Required")
    changes = [_read_change(one) for one in files]
    record, commit, entries = _commit(calls, calls.writable(owner, name), changes, body)
    ref = _branch(record, body)
    shown = [None if one is None else _show(calls, record, one, ref, commit, whole=True) for one in entries]
    return jsonify({"files": shown, **_response(calls, record, commit)}), 201


def _refuse(status: int, message: str) -> Any:
    raise CallError(status, message)


def _read_change(one: Body) -> _Change:
    operation = text_of(one, "operation", required=True)
    if operation not in _VERBS:
        raise CallError(422, f"invalid operation {operation}")
    return _Change(
        operation=operation,
        path=text_of(one, "path", required=True),
        sha=text_of(one, "sha"),
        content=None if operation == "delete" else _content(one),
        from_path=text_of(one, "from_path"),
    )


def _content(body: Body) -> bytes:
    try:
        return base64.b64decode(text_of(body, "content"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CallError(422, f"content is no base64: {error}") from error


def _branch(record: Repository, body: Body) -> str:
    return text_of(body, "new_branch") or text_of(body, "branch") or record.default_branch


def _one(calls: Calls, record: Repository, change: _Change, body: Body) -> Response:
    record, commit, entries = _commit(calls, record, [change], body)
    shown = entries[0]
    content = None if shown is None else _show(calls, record, shown, _branch(record, body), commit, whole=True)
    return jsonify({"content": content, **_response(calls, record, commit)})


def _commit(
    calls: Calls, record: Repository, changes: list[_Change], body: Body
) -> tuple[Repository, Commit, list[Entry | None]]:
    """Make the commit after the checks that Gitea makes; answers it with the new entry of each path."""
    store = calls.forge.store(record)
    branch = text_of(body, "branch") or record.default_branch
    new_branch = text_of(body, "new_branch")
    start = store.resolve(f"refs/heads/{branch}")
    if not start and not record.empty:
        raise CallError(404, f"branch does not exist [name: {branch}]")
    if new_branch and new_branch != branch and store.resolve(f"refs/heads/{new_branch}"):
        raise CallError(422, f"branch already exists [name: {new_branch}]")
    there = {entry.path: entry for entry in store.entries(start, recursive=True)} if start else {}
    files: dict[str, Content] = {}
    for change in changes:
        _check(change, there)
        files |= {change.from_path: None} if change.from_path and change.from_path != change.path else {}
        files[change.path] = change.content
    dates = body.get("dates") if isinstance(body.get("dates"), dict) else {}
    message = text_of(body, "message") or "\n".join(f"{_VERBS[one.operation]} {one.path}" for one in changes)
    made = calls.host.commit(
        record.full_name,
        files,
        branch=new_branch or branch,
        message=message,
        author=_author(calls, body, dates or {}),
        start=start if new_branch else "",
        by=calls.caller.login,
    )
    after = {entry.path: entry for entry in store.entries(made, recursive=True)}
    return calls.forge.repository(record.full_name), store.commits([made])[0], [after.get(one.path) for one in changes]


def _check(change: _Change, there: dict[str, Entry]) -> None:
    """The refusals of Gitea's `CreateOrUpdateFile` and `DeleteFile`."""
    path = change.from_path or change.path
    if path.startswith("/") or {"", ".", "..", ".git"} & set(path.split("/")):
        raise CallError(422, f"path is malformed [path: {path}]")
    found = there.get(path)
    if change.operation == "create":
        if found is not None:
            raise CallError(422, f"repository file already exists [path: {path}]")
        return
    if found is None:
        raise CallError(404, f"repository file does not exist [path: {path}]")
    if change.sha and change.sha != found.id:
        raise CallError(422, f"sha does not match [given: {change.sha}, expected: {found.id}]")


def _author(calls: Calls, body: Body, dates: Body) -> Person:
    facts = body.get("author") if isinstance(body.get("author"), dict) else {}
    caller, when = calls.caller, moment_of(dates, "author") or calls.host.clock.now()
    name = text_of(facts or {}, "name") or caller.full_name or caller.login
    return Person(name, text_of(facts or {}, "email") or caller.email, when)


def _show(calls: Calls, record: Repository, entry: Entry, ref: str, commit: Commit, *, whole: bool) -> Body:
    api = f"{calls.url}/api/v1/repos/{record.full_name}"
    page = f"{calls.url}/{record.full_name}"
    kind = "symlink" if entry.mode == "120000" else _KINDS[entry.kind]
    content = calls.forge.store(record).blob(entry.id) if whole and entry.kind == "blob" else None
    links = {
        "self": f"{api}/contents/{entry.path}?ref={ref}",
        "git": f"{api}/git/{entry.kind}s/{entry.id}",
        "html": f"{page}/src/branch/{ref}/{entry.path}",
    }
    return {
        "name": entry.path.rpartition("/")[2],
        "path": entry.path,
        "sha": entry.id,
        "last_commit_sha": commit.id,
        "last_committer_date": rfc3339(commit.committer.when),
        "last_author_date": rfc3339(commit.author.when),
        "type": kind,
        "size": entry.size,
        "encoding": None if content is None else "base64",
        "content": None if content is None else base64.b64encode(content).decode(),
        "target": None,
        "url": links["self"],
        "html_url": links["html"],
        "git_url": links["git"],
        "download_url": f"{page}/raw/branch/{ref}/{entry.path}" if entry.kind == "blob" else None,
        "submodule_git_url": None,
        "_links": links,
    }


def _response(calls: Calls, record: Repository, commit: Commit) -> Body:
    api = f"{calls.url}/api/v1/repos/{record.full_name}/git"

    def person(who: Person) -> Body:
        return {"name": who.name, "email": who.email, "date": rfc3339(who.when)}

    return {
        "commit": {
            "url": f"{api}/commits/{commit.id}",
            "sha": commit.id,
            "created": rfc3339(commit.author.when),
            "html_url": f"{calls.url}/{record.full_name}/commit/{commit.id}",
            "author": person(commit.author),
            "committer": person(commit.committer),
            "parents": [
                {"url": f"{api}/commits/{parent}", "sha": parent, "created": "0001-01-01T00:00:00Z"}
                for parent in commit.parents
            ],
            "message": commit.message,
            "tree": {"url": f"{api}/trees/{commit.tree}", "sha": commit.tree, "created": rfc3339(commit.author.when)},
        },
        "verification": shapes.UNSIGNED,
    }


ROUTES: tuple[Route, ...] = (
    ("GET", "/repos/<owner>/<name>/contents", _read_contents),
    ("GET", "/repos/<owner>/<name>/contents/<path:path>", _read_contents),
    ("GET", "/repos/<owner>/<name>/raw/<path:path>", _read_raw),
    ("GET", "/repos/<owner>/<name>/media/<path:path>", _read_raw),
    ("POST", "/repos/<owner>/<name>/contents/<path:path>", _create_file),
    ("PUT", "/repos/<owner>/<name>/contents/<path:path>", _update_file),
    ("DELETE", "/repos/<owner>/<name>/contents/<path:path>", _delete_file),
    ("POST", "/repos/<owner>/<name>/contents", _change_files),
)
