"""Bitbucket Cloud: one request for all refs of a push, bare names, no clone URL, five commits (platforms.md 4)."""

from __future__ import annotations

from datetime import datetime

import attrs

from kargo_lab.platforms.git.bodies.writing import Body, compact, signature, stable_uuid, utc
from kargo_lab.platforms.git.objects import Commit, Person
from kargo_lab.platforms.git.personas import HookRequest
from kargo_lab.platforms.git.scene import Account, PullRequest, RefChange, Scene
from kargo_lab.platforms.hooks import Hook
from kargo_lab.platforms.outgoing import Outgoing

COMMITS_SHOWN = 5


def write(hook: Hook, request: HookRequest, scene: Scene) -> Outgoing:
    """The request for one thing that happened."""
    if scene.pull is not None:
        return _sent(hook, request.event, {"pullrequest": _pull_request(scene.pull, scene)}, scene)
    changes = [_change(change, scene) for change in request.changes]
    return _sent(hook, request.event, {"push": {"changes": changes}}, scene)


def sample(hook: Hook, scene: Scene) -> Outgoing:
    """A push of the newest commit; Bitbucket itself has no test button that sends one."""
    change = scene.changes[0]
    head = () if change.head is None else (change.head,)
    before = head[0].parents[0] if head and head[0].parents else "0" * len(change.after)
    shown = attrs.evolve(change, before=before, commits=head, commit_count=len(head))
    return _sent(hook, "repo:push", {"push": {"changes": [_change(shown, scene)]}}, scene)


def _moment(when: datetime) -> str:
    return utc(when).removesuffix("Z") + "+00:00"


def _braced(*words: object) -> str:
    return f"{{{stable_uuid(*words)}}}"


def _account(account: Account, scene: Scene) -> Body:
    return {
        "display_name": account.full_name or account.login,
        "links": {
            "self": {"href": f"{scene.url}/2.0/users/{_braced('account', account.id)}"},
            "html": {"href": f"{scene.url}/{account.login}/"},
        },
        "type": "team" if account.organization else "user",
        "uuid": _braced("account", account.id),
        "account_id": f"557058:{stable_uuid('account', account.id)}",
        "nickname": account.login,
    }


def _repository(scene: Scene) -> Body:
    facts = scene.repository
    return {
        "type": "repository",
        "full_name": facts.full_name,
        "links": {
            "self": {"href": f"{scene.url}/2.0/repositories/{facts.full_name}"},
            "html": {"href": scene.html_url},
            "avatar": {"href": f"{scene.url}/avatars/{facts.id}"},
        },
        "name": facts.name,
        "scm": "git",
        "website": None,
        "owner": _account(facts.owner, scene),
        "workspace": {
            "type": "workspace",
            "uuid": _braced("account", facts.owner.id),
            "name": facts.owner.login,
            "slug": facts.owner.login.lower(),
        },
        "is_private": facts.private,
        "project": {"type": "project", "key": "LAB", "uuid": _braced("project", facts.owner.id), "name": "lab"},
        "uuid": _braced("repository", facts.id),
    }


def _change(change: RefChange, scene: Scene) -> Body:
    shown: Body = {
        "old": None if change.created else _ref(change, change.old_head, scene, new=False),
        "new": None if change.deleted else _ref(change, change.head, scene, new=True),
        "truncated": change.commit_count > COMMITS_SHOWN,
        "created": change.created,
        "forced": change.forced,
        "closed": change.deleted,
    }
    if not change.deleted and change.kind == "branch":
        shown["commits"] = [_target(commit, scene) for commit in change.commits[:COMMITS_SHOWN]]
        shown["links"] = {"commits": {"href": f"{scene.url}/2.0/repositories/{scene.repository.full_name}/commits"}}
    return shown


def _ref(change: RefChange, head: Commit | None, scene: Scene, *, new: bool) -> Body:
    place = f"refs/{'tags' if change.kind == 'tag' else 'branches'}/{change.short}"
    shown: Body = {
        "name": change.short,
        "type": change.kind,
        "target": None if head is None else _target(head, scene),
        "links": {
            "self": {"href": f"{scene.url}/2.0/repositories/{scene.repository.full_name}/{place}"},
            "html": {"href": f"{scene.html_url}/{change.kind}/{change.short}"},
        },
    }
    if change.kind == "tag":
        tag = change.tag if new else None
        shown |= {
            "tagger": {"type": "author", "raw": _raw(tag.tagger)} if tag and tag.tagger else None,
            "date": _moment(tag.tagger.when) if tag and tag.tagger else None,
            "message": tag.message if tag else None,
        }
    return shown


def _raw(who: Person) -> str:
    return f"{who.name} <{who.email}>"


def _target(commit: Commit, scene: Scene) -> Body:
    message = commit.message
    api = f"{scene.url}/2.0/repositories/{scene.repository.full_name}/commit"
    return {
        "type": "commit",
        "hash": commit.id,
        "date": _moment(commit.committer.when),
        "author": {"type": "author", "raw": _raw(commit.author)},
        "message": message,
        "summary": {"type": "rendered", "raw": message, "markup": "markdown", "html": f"<p>{commit.title}</p>"},
        "rendered": {},
        "properties": {},
        "parents": [
            {
                "type": "commit",
                "hash": parent,
                "links": {
                    "self": {"href": f"{api}/{parent}"},
                    "html": {"href": f"{scene.html_url}/commits/{parent}"},
                },
            }
            for parent in commit.parents
        ],
        "links": {
            "self": {"href": f"{api}/{commit.id}"},
            "html": {"href": f"{scene.html_url}/commits/{commit.id}"},
        },
    }


def _pull_request(pull: PullRequest, scene: Scene) -> Body:
    repository = _repository(scene)

    def side(branch: str, sha: str) -> Body:
        return {"branch": {"name": branch}, "commit": {"type": "commit", "hash": sha[:12]}, "repository": repository}

    state = "MERGED" if pull.merged else "OPEN" if pull.state == "open" else "DECLINED"
    api = f"{scene.url}/2.0/repositories/{scene.repository.full_name}/pullrequests/{pull.number}"
    return {
        "type": "pullrequest",
        "id": pull.number,
        "title": pull.title,
        "description": pull.body,
        "state": state,
        "author": _account(pull.user, scene),
        "source": side(pull.head, pull.head_sha),
        "destination": side(pull.base, pull.base_sha),
        "merge_commit": {"type": "commit", "hash": pull.merge_sha[:12]} if pull.merged else None,
        "participants": [],
        "reviewers": [],
        "close_source_branch": False,
        "closed_by": _account(scene.sender, scene) if state != "OPEN" else None,
        "reason": "",
        "comment_count": 0,
        "task_count": 0,
        "created_on": _moment(pull.created_at),
        "updated_on": _moment(pull.updated_at),
        "links": {"self": {"href": api}, "html": {"href": f"{scene.html_url}/pull-requests/{pull.number}"}},
    }


def _sent(hook: Hook, event: str, body: Body, scene: Scene) -> Outgoing:
    text = compact(body | {"repository": _repository(scene), "actor": _account(scene.sender, scene)})
    unsent = Outgoing(url=hook.url, headers=(), body=text)
    headers = [
        ("User-Agent", "Bitbucket-Webhooks/2.0"),
        ("Content-Type", "application/json"),
        ("X-Event-Key", event),
        ("X-Hook-UUID", stable_uuid("hook", hook.id)),
        ("X-Request-UUID", unsent.guid),
        ("X-Attempt-Number", "1"),
    ]
    if hook.secret:
        headers.append(("X-Hub-Signature", f"sha256={signature('sha256', hook.secret, text)}"))
    return attrs.evolve(
        unsent,
        headers=tuple(headers),
        event=event,
        about=scene.repository.full_name,
        verify_tls=hook.verify_tls,
    )
