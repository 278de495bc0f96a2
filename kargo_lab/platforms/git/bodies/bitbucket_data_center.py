"""Bitbucket Data Center: one request for all refs of a push, full refs, clone links, charset (platforms.md 5)."""

from __future__ import annotations

import base64
from datetime import datetime

import attrs

from kargo_lab.platforms.git.bodies.writing import Body, compact, signature
from kargo_lab.platforms.git.objects import Commit, Person
from kargo_lab.platforms.git.personas import HookRequest
from kargo_lab.platforms.git.scene import Account, PullRequest, RefChange, Scene
from kargo_lab.platforms.hooks import Hook
from kargo_lab.platforms.outgoing import Outgoing

USER_AGENT = "Atlassian HttpClient 4.2.0 / Bitbucket-9.4.2 (9004002) / Default"
_TYPES = {"created": "ADD", "updated": "UPDATE", "deleted": "DELETE"}


def write(hook: Hook, request: HookRequest, scene: Scene) -> Outgoing:
    """The request for one thing that happened."""
    body: Body = {"eventKey": request.event, "date": _moment(scene.now), "actor": _account(scene.sender, scene)}
    if scene.pull is not None:
        return _sent(hook, request.event, body | {"pullRequest": _pull_request(scene.pull, scene)}, scene)
    newest = next((change for change in request.changes if change.kind == "branch" and change.head), None)
    body |= {"repository": _repository(scene), "changes": [_change(change) for change in request.changes]}
    body["commits"] = [_commit(commit, scene) for commit in newest.commits] if newest else []
    if newest and newest.head:
        body["toCommit"] = _commit(newest.head, scene)
    return _sent(hook, request.event, body, scene)


def sample(hook: Hook, scene: Scene) -> Outgoing:
    """The button "Test connection"."""
    return _sent(hook, "diagnostics:ping", {"test": True}, scene)


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S%z")  # the offset has no colon


def _account(account: Account, scene: Scene) -> Body:
    return {
        "name": account.login,
        "emailAddress": account.email,
        "active": True,
        "displayName": account.full_name or account.login,
        "id": account.id,
        "slug": account.login.lower(),
        "type": "NORMAL",
        "links": {"self": [{"href": f"{scene.url}/users/{account.login.lower()}"}]},
    }


def _repository(scene: Scene) -> Body:
    facts, key = scene.repository, scene.repository.owner.login
    address = scene.url.partition("://")[2].partition(":")[0]
    personal = key.startswith("~")
    page = f"{scene.url}/{'users' if personal else 'projects'}/{key.removeprefix('~')}"
    return {
        "slug": facts.name,
        "id": facts.id,
        "name": facts.name,
        "hierarchyId": f"{facts.id:020x}",
        "scmId": "git",
        "state": "AVAILABLE",
        "statusMessage": "Available",
        "forkable": True,
        "project": {
            "key": key,
            "id": facts.owner.id,
            "name": facts.owner.full_name or key,
            "public": not facts.private,
            "type": "PERSONAL" if personal else "NORMAL",
            "links": {"self": [{"href": page}]},
        },
        "public": not facts.private,
        "archived": False,
        "links": {
            "clone": [
                {"href": f"ssh://git@{address}:7999/{key.lower()}/{facts.name}.git", "name": "ssh"},
                {"href": f"{scene.url}/scm/{key}/{facts.name}.git", "name": "http"},
            ],
            "self": [{"href": f"{page}/repos/{facts.name}/browse"}],
        },
    }


def _change(change: RefChange) -> Body:
    return {
        "ref": {"id": change.ref, "displayId": change.short, "type": change.kind.upper()},
        "refId": change.ref,
        "fromHash": change.before,
        "toHash": change.after,
        "type": _TYPES[change.action],
    }


def _commit(commit: Commit, scene: Scene) -> Body:
    def person(who: Person) -> Body:
        return {"name": scene.logins.get(who.email.lower(), who.name), "emailAddress": who.email}

    return {
        "id": commit.id,
        "displayId": commit.id[:11],
        "author": person(commit.author),
        "authorTimestamp": int(commit.author.when.timestamp() * 1000),
        "committer": person(commit.committer),
        "committerTimestamp": int(commit.committer.when.timestamp() * 1000),
        "message": commit.message.rstrip("\n"),
        "parents": [{"id": parent, "displayId": parent[:11]} for parent in commit.parents],
    }


def _pull_request(pull: PullRequest, scene: Scene) -> Body:
    repository = _repository(scene)
    page = repository["links"]["self"][0]["href"].removesuffix("/browse")

    def side(branch: str, sha: str) -> Body:
        return {"id": f"refs/heads/{branch}", "displayId": branch, "latestCommit": sha, "repository": repository}

    def member(account: Account, role: str) -> Body:
        return {"user": _account(account, scene), "role": role, "approved": False, "status": "UNAPPROVED"}

    shown: Body = {
        "id": pull.number,
        "version": 0 if pull.state == "open" else 1,
        "title": pull.title,
        "description": pull.body,
        "state": "MERGED" if pull.merged else "OPEN" if pull.state == "open" else "DECLINED",
        "open": pull.state == "open",
        "closed": pull.state != "open",
        "draft": False,
        "createdDate": int(pull.created_at.timestamp() * 1000),
        "updatedDate": int(pull.updated_at.timestamp() * 1000),
        "fromRef": side(pull.head, pull.head_sha),
        "toRef": side(pull.base, pull.base_sha),
        "locked": False,
        "author": member(pull.user, "AUTHOR"),
        "reviewers": [],
        "participants": [],
        "links": {"self": [{"href": f"{page}/pull-requests/{pull.number}"}]},
    }
    if pull.closed_at:
        shown["closedDate"] = int(pull.closed_at.timestamp() * 1000)
    if pull.merged:
        shown["properties"] = {"mergeCommit": {"id": pull.merge_sha, "displayId": pull.merge_sha[:11]}}
    return shown


def _sent(hook: Hook, event: str, body: Body, scene: Scene) -> Outgoing:
    text = compact(body)
    unsent = Outgoing(url=hook.url, headers=(), body=text)
    headers = [
        ("User-Agent", USER_AGENT),
        ("Content-Type", "application/json; charset=utf-8"),
        ("X-Event-Key", event),
        ("X-Request-Id", unsent.guid),
    ]
    if hook.secret:
        headers.append(("X-Hub-Signature", f"sha256={signature('sha256', hook.secret, text)}"))
    if credentials := hook.settings.get("credentials"):
        pair = f"{credentials.get('username', '')}:{credentials.get('password', '')}"
        headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
    return attrs.evolve(
        unsent,
        headers=tuple(headers),
        event=event,
        about=scene.repository.full_name,
        verify_tls=hook.verify_tls,
    )
