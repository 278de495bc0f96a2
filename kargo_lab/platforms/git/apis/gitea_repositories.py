"""Gitea's API for repositories, branches, tags, commits and refs."""

from __future__ import annotations

import re
from typing import Any

import attrs
from flask import jsonify, request

from kargo_lab.platforms.git.apis.calls import CallError, Calls, Route, given, paged, text_of
from kargo_lab.platforms.git.bodies import gitea_shapes as shapes
from kargo_lab.platforms.git.bodies.writing import Body, rfc3339, utc
from kargo_lab.platforms.git.objects import Commit, Person
from kargo_lab.platforms.git.repository import GitRepository
from kargo_lab.platforms.git.scene import Account, Repository

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
MISSING = "not found"


def show(calls: Calls, repository: Repository) -> Body:
    """A repository with its counters."""
    refs = calls.forge.store(repository).refs()
    pulls = calls.forge.pulls[repository.id]
    counts = {
        "branches": sum(ref.startswith("refs/heads/") for ref in refs),
        "pulls": sum(pull.state == "open" for pull in pulls),
    }
    return shapes.repository(repository, calls.url, counts)


def commit_of(store: GitRepository, name: str) -> Commit:
    """The commit that a branch, tag or ID means; not found otherwise."""
    object_id = store.resolve(name)
    if not object_id:
        raise CallError(404, MISSING)
    return store.commits([object_id])[0]


def _create_repository(calls: Calls, owner: Account) -> Any:
    body = given()
    name = text_of(body, "name", required=True)
    if not _NAME.match(name) or name.lower().endswith((".git", ".wiki")) or name in {".", ".."}:
        raise CallError(422, f"name is reserved or has characters that are not allowed [name: {name}]")
    if f"{owner.login}/{name}".lower() in calls.forge.repositories:
        raise CallError(409, "The repository with the same name already exists.")
    object_format = text_of(body, "object_format_name") or "sha1"
    if object_format not in {"sha1", "sha256"}:
        raise CallError(422, f"unknown object format {object_format}")
    made = calls.host.create_repository(
        f"{owner.login}/{name}",
        default_branch=text_of(body, "default_branch") or "main",
        private=bool(body.get("private")),
        description=text_of(body, "description"),
        object_format=object_format,
    )
    if body.get("auto_init"):
        made = _first_commit(calls, made)
    return jsonify(show(calls, made)), 201


def _create_own_repository(calls: Calls) -> Any:
    return _create_repository(calls, calls.caller)


def _create_organization_repository(calls: Calls, login: str) -> Any:
    owner = calls.owner(login)
    if calls.caller.id not in calls.forge.members.get(login.lower(), set()) and not calls.caller.admin:
        raise CallError(403, "Given user is not allowed to create repository in organization.")
    return _create_repository(calls, owner)


def _create_user_repository(calls: Calls, login: str) -> Any:
    calls.administrator()
    return _create_repository(calls, calls.owner(login))


def _list_own_repositories(calls: Calls) -> Any:
    return _owned_by(calls, calls.caller)


def _list_repositories(calls: Calls, login: str) -> Any:
    return _owned_by(calls, calls.owner(login))


def _owned_by(calls: Calls, owner: Account) -> Any:
    found = [repository for repository in _visible(calls) if repository.owner.id == owner.id]
    return paged(found, lambda repository: show(calls, repository))


def _visible(calls: Calls) -> list[Repository]:
    from flask import g

    account = g.get("account")
    return [one for one in calls.forge.repositories.values() if calls.forge.may_read(account, one)]


def _search_repositories(calls: Calls) -> Any:
    word = request.args.get("q", "").lower()
    found = [repository for repository in _visible(calls) if word in repository.name.lower()]
    return jsonify(ok=True, data=[show(calls, repository) for repository in found])


def _read_repository(calls: Calls, owner: str, name: str) -> Any:
    return jsonify(show(calls, calls.readable(owner, name)))


def _edit_repository(calls: Calls, owner: str, name: str) -> Any:
    record, body = calls.writable(owner, name), given()
    facts: dict[str, Any] = {key: body[key] for key in ("description", "private") if key in body}
    if branch := text_of(body, "default_branch"):
        store = calls.forge.store(record)
        if not record.empty and f"refs/heads/{branch}" not in store.refs():
            raise CallError(404, MISSING)
        store.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        facts["default_branch"] = branch
    return jsonify(show(calls, calls.forge.keep_repository(attrs.evolve(record, **facts))))


def _delete_repository(calls: Calls, owner: str, name: str) -> Any:
    calls.forge.remove_repository(calls.writable(owner, name))
    return "", 204


def _first_commit(calls: Calls, repository: Repository) -> Repository:
    """What `auto_init` does; Gitea tells no hook of it."""
    store, now = calls.forge.store(repository), calls.host.clock.now()
    who = Person(calls.caller.full_name or calls.caller.login, calls.caller.email, now)
    text = f"# {repository.name}\n\n{repository.description}".rstrip() + "\n"
    store.commit({"README.md": text}, branch=repository.default_branch, message="Initial commit", author=who)
    return calls.forge.keep_repository(attrs.evolve(repository, empty=False, updated_at=now))


def _show_branch(calls: Calls, repository: Repository, name: str, commit: Commit) -> Body:
    page = f"{calls.url}/{repository.full_name}"
    shown = shapes.payload_commit(commit, page, calls.forge.logins())
    return {
        "name": name,
        "commit": shown | {"verification": shapes.UNSIGNED, "added": None, "removed": None, "modified": None},
        "protected": False,
        "required_approvals": 0,
        "enable_status_check": False,
        "status_check_contexts": [],
        "user_can_push": True,
        "user_can_merge": True,
        "effective_branch_protection_name": "",
    }


def _list_branches(calls: Calls, owner: str, name: str) -> Any:
    record = calls.readable(owner, name)
    store = calls.forge.store(record)
    found = [(ref[11:], value) for ref, value in store.refs().items() if ref.startswith("refs/heads/")]
    return paged(found, lambda one: _show_branch(calls, record, one[0], store.commits([one[1]])[0]))


def _read_branch(calls: Calls, owner: str, name: str, branch: str) -> Any:
    record = calls.readable(owner, name)
    store = calls.forge.store(record)
    return jsonify(_show_branch(calls, record, branch, commit_of(store, f"refs/heads/{branch}")))


def _create_branch(calls: Calls, owner: str, name: str) -> Any:
    record, body = calls.writable(owner, name), given()
    store = calls.forge.store(record)
    new = text_of(body, "new_branch_name", required=True)
    old = text_of(body, "old_ref_name") or text_of(body, "old_branch_name") or record.default_branch
    if record.empty:
        raise CallError(404, "Git Repository is empty.")
    if f"refs/heads/{new}" in store.refs():
        raise CallError(409, "The branch already exists.")
    _check_ref(store, f"refs/heads/{new}")
    commit = commit_of(store, old)
    calls.host.branch(record.full_name, new, target=commit.id, by=calls.caller.login)
    return jsonify(_show_branch(calls, record, new, commit)), 201


def _delete_branch(calls: Calls, owner: str, name: str, branch: str) -> Any:
    record = calls.writable(owner, name)
    if branch == record.default_branch:
        raise CallError(403, "can not delete default branch")
    calls.host.delete_ref(record.full_name, f"refs/heads/{branch}", by=calls.caller.login)
    return "", 204


def _check_ref(store: GitRepository, ref: str) -> None:
    from kargo_lab.platforms.git.program import GitError

    try:
        store.run("check-ref-format", ref)
    except GitError as error:
        raise CallError(422, f"{ref} is no name that git allows") from error


def _show_tag(calls: Calls, repository: Repository, store: GitRepository, name: str, object_id: str) -> Body:
    annotated, commit_id = store.peel(object_id)
    commit = store.commits([commit_id])[0]
    api = f"{calls.url}/api/v1/repos/{repository.full_name}"
    page = f"{calls.url}/{repository.full_name}"
    return {
        "name": name,
        "message": (annotated or commit).message.rstrip("\n"),
        "id": object_id,
        "commit": {
            "url": f"{api}/git/commits/{commit.id}",
            "sha": commit.id,
            "created": rfc3339(commit.author.when),
        },
        "zipball_url": f"{page}/archive/{name}.zip",
        "tarball_url": f"{page}/archive/{name}.tar.gz",
    }


def _list_tags(calls: Calls, owner: str, name: str) -> Any:
    record = calls.readable(owner, name)
    store = calls.forge.store(record)
    found = [(ref[10:], value) for ref, value in store.refs().items() if ref.startswith("refs/tags/")]
    return paged(found, lambda one: _show_tag(calls, record, store, *one))


def _read_tag(calls: Calls, owner: str, name: str, tag: str) -> Any:
    record = calls.readable(owner, name)
    store = calls.forge.store(record)
    object_id = store.refs().get(f"refs/tags/{tag}")
    if object_id is None:
        raise CallError(404, MISSING)
    return jsonify(_show_tag(calls, record, store, tag, object_id))


def _create_tag(calls: Calls, owner: str, name: str) -> Any:
    record, body = calls.writable(owner, name), given()
    store = calls.forge.store(record)
    tag = text_of(body, "tag_name", required=True)
    if f"refs/tags/{tag}" in store.refs():
        raise CallError(409, "tag already exists")
    _check_ref(store, f"refs/tags/{tag}")
    commit = commit_of(store, text_of(body, "target") or record.default_branch)
    message = text_of(body, "message") or None
    made = calls.host.tag(record.full_name, tag, target=commit.id, message=message, by=calls.caller.login, by_api=True)
    return jsonify(_show_tag(calls, record, store, tag, made)), 201


def _delete_tag(calls: Calls, owner: str, name: str, tag: str) -> Any:
    record = calls.writable(owner, name)
    calls.host.delete_ref(record.full_name, f"refs/tags/{tag}", by=calls.caller.login)
    return "", 204


def _show_commit(calls: Calls, repository: Repository, commit: Commit) -> Body:
    api, page = f"{calls.url}/api/v1/repos/{repository.full_name}", f"{calls.url}/{repository.full_name}"

    def person(who: Person) -> Body:
        return {"name": who.name, "email": who.email, "date": rfc3339(who.when)}

    def account(who: Person) -> Body | None:
        login = calls.forge.logins().get(who.email.lower())
        return shapes.stranger(calls.forge.account(login), calls.url) if login else None

    paths = [("added", commit.added), ("modified", commit.modified), ("removed", commit.removed)]
    return {
        "url": f"{api}/git/commits/{commit.id}",
        "sha": commit.id,
        "created": rfc3339(commit.author.when),
        "html_url": f"{page}/commit/{commit.id}",
        "commit": {
            "url": f"{api}/git/commits/{commit.id}",
            "author": person(commit.author),
            "committer": person(commit.committer),
            "message": commit.message,
            "tree": {
                "url": f"{api}/git/trees/{commit.tree}",
                "sha": commit.tree,
                "created": utc(commit.author.when),
            },
            "verification": shapes.UNSIGNED,
        },
        "author": account(commit.author),
        "committer": account(commit.committer),
        "parents": [
            {"url": f"{api}/git/commits/{parent}", "sha": parent, "created": "0001-01-01T00:00:00Z"}
            for parent in commit.parents
        ],
        "files": [{"filename": path, "status": status} for status, found in paths for path in found],
    }


def _list_commits(calls: Calls, owner: str, name: str) -> Any:
    record = calls.readable(owner, name)
    if record.empty:
        raise CallError(409, "Git Repository is empty.")
    store = calls.forge.store(record)
    start = commit_of(store, request.args.get("sha", "") or record.default_branch)
    return paged(store.reachable([start.id]), lambda one: _show_commit(calls, record, store.commits([one])[0]))


def _read_commit(calls: Calls, owner: str, name: str, sha: str) -> Any:
    record = calls.readable(owner, name)
    return jsonify(_show_commit(calls, record, commit_of(calls.forge.store(record), sha)))


def _list_refs(calls: Calls, owner: str, name: str, prefix: str = "") -> Any:
    record = calls.readable(owner, name)
    store = calls.forge.store(record)
    found = [(ref, value) for ref, value in store.refs().items() if ref.startswith(f"refs/{prefix}")]
    if not found:
        raise CallError(404, MISSING)
    api = f"{calls.url}/api/v1/repos/{record.full_name}"

    def one(ref: str, value: str) -> Body:
        kind = "tag" if store.peel(value)[0] else "commit"
        target = {"type": kind, "sha": value, "url": f"{api}/git/{kind}s/{value}"}
        return {"ref": ref, "url": f"{api}/git/{ref}", "object": target}

    return jsonify([one(ref, value) for ref, value in found])


ROUTES: tuple[Route, ...] = (
    ("POST", "/user/repos", _create_own_repository),
    ("POST", "/orgs/<login>/repos", _create_organization_repository),
    ("POST", "/admin/users/<login>/repos", _create_user_repository),
    ("GET", "/user/repos", _list_own_repositories),
    ("GET", "/users/<login>/repos", _list_repositories),
    ("GET", "/orgs/<login>/repos", _list_repositories),
    ("GET", "/repos/search", _search_repositories),
    ("GET", "/repos/<owner>/<name>", _read_repository),
    ("PATCH", "/repos/<owner>/<name>", _edit_repository),
    ("DELETE", "/repos/<owner>/<name>", _delete_repository),
    ("GET", "/repos/<owner>/<name>/branches", _list_branches),
    ("GET", "/repos/<owner>/<name>/branches/<path:branch>", _read_branch),
    ("POST", "/repos/<owner>/<name>/branches", _create_branch),
    ("DELETE", "/repos/<owner>/<name>/branches/<path:branch>", _delete_branch),
    ("GET", "/repos/<owner>/<name>/tags", _list_tags),
    ("GET", "/repos/<owner>/<name>/tags/<path:tag>", _read_tag),
    ("POST", "/repos/<owner>/<name>/tags", _create_tag),
    ("DELETE", "/repos/<owner>/<name>/tags/<path:tag>", _delete_tag),
    ("GET", "/repos/<owner>/<name>/commits", _list_commits),
    ("GET", "/repos/<owner>/<name>/git/commits/<sha>", _read_commit),
    ("GET", "/repos/<owner>/<name>/git/refs", _list_refs),
    ("GET", "/repos/<owner>/<name>/git/refs/<path:prefix>", _list_refs),
)
