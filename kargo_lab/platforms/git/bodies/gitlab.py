"""GitLab: one event for branches and another for tags, a token in clear, optionally a signature since 19.0.

Commits are the newest twenty, oldest first (platforms.md 3; order as in GitLab's `Gitlab::DataBuilder::Push`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import attrs

from kargo_lab.platforms.git.bodies.writing import Body, compact, gravatar, rfc3339, stable_uuid, utc
from kargo_lab.platforms.git.objects import Commit
from kargo_lab.platforms.git.personas import HookRequest
from kargo_lab.platforms.git.scene import PullRequest, RefChange, Scene
from kargo_lab.platforms.hooks import Hook
from kargo_lab.platforms.outgoing import Outgoing

USER_AGENT = "GitLab/19.2.0"
COMMITS_SHOWN = 20

_TITLES = {"push": "Push Hook", "tag_push": "Tag Push Hook", "merge_request": "Merge Request Hook"}
# Our word -> (state, action) of GitLab.
_ACTIONS = {
    "opened": ("opened", "open"),
    "reopened": ("opened", "reopen"),
    "edited": ("opened", "update"),
    "synchronized": ("opened", "update"),
    "closed": ("closed", "close"),
    "merged": ("merged", "merge"),
}


def write(hook: Hook, request: HookRequest, scene: Scene) -> Outgoing:
    """The request for one thing that happened."""
    if scene.pull is not None:
        happened = "merged" if scene.pull.merged else scene.action
        return _sent(hook, "merge_request", _merge_request(scene.pull, happened, scene), scene, _ACTIONS[happened][1])
    return _sent(hook, request.event, _push(request.changes[0], request.event, scene), scene, "")


def sample(hook: Hook, scene: Scene) -> Outgoing:
    """The newest commit as if it had just been pushed."""
    change = scene.changes[0]
    head = () if change.head is None else (change.head,)
    before = head[0].parents[0] if head and head[0].parents else "0" * len(change.after)
    shown = attrs.evolve(change, before=before, commits=head, commit_count=len(head))
    return _sent(hook, "push", _push(shown, "push", scene), scene, "")


def _push(change: RefChange, event: str, scene: Scene) -> Body:
    sender = scene.sender
    page = f"{scene.html_url}"
    return {
        "object_kind": event,
        "event_name": event,
        "before": change.before,
        "after": change.after,
        "ref": change.ref,
        "ref_protected": change.ref == f"refs/heads/{scene.repository.default_branch}",
        "checkout_sha": None if change.head is None else change.head.id,
        "message": change.tag.message.rstrip("\n") if change.tag else None,
        "user_id": sender.id,
        "user_name": sender.full_name or sender.login,
        "user_username": sender.login,
        "user_email": "",
        "user_avatar": f"{scene.url}/avatars/{gravatar(sender.email)}",
        "project_id": scene.repository.id,
        "project": _project(scene),
        "commits": [_commit(commit, page) for commit in reversed(change.commits[:COMMITS_SHOWN])],
        "total_commits_count": change.commit_count,
        "push_options": _options(scene.push_options),
        "repository": _repository(scene),
    }


def _options(given: tuple[str, ...]) -> Body:
    """`ci.skip` becomes `{"ci": {"skip": true}}`, a value after `=` is kept."""
    shown: Body = {}
    for option in given:
        key, equals, value = option.partition("=")
        group, _, name = key.partition(".")
        if name:
            shown.setdefault(group, {})[name] = value if equals else True
    return shown


def _commit(commit: Commit, page: str) -> Body:
    return {
        "id": commit.id,
        "message": commit.message,
        "title": commit.title,
        "timestamp": rfc3339(commit.committer.when),
        "url": f"{page}/-/commit/{commit.id}",
        "author": {"name": commit.author.name, "email": commit.author.email},
        "added": list(commit.added),
        "modified": list(commit.modified),
        "removed": list(commit.removed),
    }


def _ssh(scene: Scene) -> str:
    return f"git@{scene.url.partition('://')[2].partition(':')[0]}:{scene.repository.full_name}.git"


def _level(scene: Scene) -> int:
    return 0 if scene.repository.private else 20


def _project(scene: Scene) -> Body:
    facts, page = scene.repository, scene.html_url
    return {
        "id": facts.id,
        "name": facts.name,
        "description": facts.description or None,
        "web_url": page,
        "avatar_url": None,
        "git_ssh_url": _ssh(scene),
        "git_http_url": f"{page}.git",
        "namespace": facts.owner.full_name or facts.owner.login,
        "visibility_level": _level(scene),
        "path_with_namespace": facts.full_name,
        "default_branch": facts.default_branch,
        "ci_config_path": None,
        "homepage": page,
        "url": _ssh(scene),
        "ssh_url": _ssh(scene),
        "http_url": f"{page}.git",
    }


def _repository(scene: Scene) -> Body:
    return {
        "name": scene.repository.name,
        "url": _ssh(scene),
        "description": scene.repository.description or None,
        "homepage": scene.html_url,
        "git_http_url": f"{scene.html_url}.git",
        "git_ssh_url": _ssh(scene),
        "visibility_level": _level(scene),
    }


def _merge_request(pull: PullRequest, happened: str, scene: Scene) -> Body:
    state, action = _ACTIONS[happened]
    project, user = _project(scene), scene.sender
    attributes: Body = {
        "id": pull.id,
        "iid": pull.number,
        "title": pull.title,
        "description": pull.body,
        "author_id": pull.user.id,
        "assignee_ids": [],
        "source_branch": pull.head,
        "target_branch": pull.base,
        "source_project_id": scene.repository.id,
        "target_project_id": scene.repository.id,
        "source": project,
        "target": project,
        "state": state,
        "action": action,
        "url": f"{scene.html_url}/-/merge_requests/{pull.number}",
        "last_commit": {"id": pull.head_sha, "url": f"{scene.html_url}/-/commit/{pull.head_sha}"},
        "merge_commit_sha": pull.merge_sha or None,
        "merge_status": "can_be_merged",
        "detailed_merge_status": "not_open" if state != "opened" else "mergeable",
        "work_in_progress": False,
        "draft": False,
        "labels": [],
        "created_at": f"{utc(pull.created_at).replace('T', ' ').removesuffix('Z')} UTC",
        "updated_at": f"{utc(pull.updated_at).replace('T', ' ').removesuffix('Z')} UTC",
    }
    if scene.previous:
        attributes["oldrev"] = scene.previous
    return {
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": {
            "id": user.id,
            "name": user.full_name or user.login,
            "username": user.login,
            "avatar_url": f"{scene.url}/avatars/{gravatar(user.email)}",
            "email": "[REDACTED]",
        },
        "project": project,
        "object_attributes": attributes,
        "labels": [],
        "changes": {},
        "repository": _repository(scene),
        "assignees": [],
        "reviewers": [],
    }


def _sent(hook: Hook, event: str, body: Body, scene: Scene, action: str) -> Outgoing:
    text = compact(body)
    unsent = Outgoing(url=hook.url, headers=(), body=text)
    stamp = str(int(scene.now.timestamp()))
    title = "System Hook" if hook.level == "system" else _TITLES[event]
    headers = [
        ("Content-Type", "application/json"),
        ("User-Agent", USER_AGENT),
        ("Idempotency-Key", unsent.guid),
        ("X-Gitlab-Event", title),
        ("X-Gitlab-Webhook-UUID", stable_uuid("hook", hook.id)),
        ("X-Gitlab-Instance", scene.url),
        ("X-Gitlab-Event-UUID", stable_uuid("event", scene.url, scene.notice)),
        ("webhook-id", unsent.guid),
        ("webhook-timestamp", stamp),
    ]
    if hook.secret:
        headers.append(("X-Gitlab-Token", hook.secret))
    if signing := str(hook.settings.get("signing_token", "")):
        headers.append(("webhook-signature", standard_signature(signing, unsent.guid, stamp, text)))
    return attrs.evolve(
        unsent,
        headers=tuple(headers),
        event=event,
        action=action,
        about=scene.repository.full_name,
        verify_tls=hook.verify_tls,
    )


def standard_signature(token: str, guid: str, stamp: str, body: bytes) -> str:
    """Standard Webhooks: `v1,` and base64 of the HMAC over `id.timestamp.body`, key after `whsec_`."""
    secret = token.removeprefix("whsec_")
    try:
        key = base64.b64decode(secret, validate=True)
    except binascii.Error:
        key = secret.encode()
    digest = hmac.new(key, f"{guid}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
