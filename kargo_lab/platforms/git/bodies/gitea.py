"""Gitea (and Gogs, Forgejo): indented JSON, aliases of every header, a signature over the JSON text.

The bodies follow platforms.md 10.2 and Gitea's `services/repository/push.go`: five commits at most, of a
new branch ten are looked at, of a tag none are told.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import quote_plus

import attrs

from kargo_lab.platforms.git.bodies import gitea_shapes as shapes
from kargo_lab.platforms.git.bodies.writing import Body, form, go_json, signature
from kargo_lab.platforms.git.personas import HookRequest
from kargo_lab.platforms.git.scene import RefChange, Scene
from kargo_lab.platforms.hooks import Hook
from kargo_lab.platforms.outgoing import Outgoing

COMMITS_SHOWN = 5  # [ui] FEED_MAX_COMMIT_NUM

# Families of header names, to hooks of all types alike. Forgejo puts its own name in front.
GITEA = ("Gitea", "Gogs", "GitHub")
FORGEJO = ("Forgejo", *GITEA)
# Gitea tells at which level the hook is registered, under two of the names, since 1.25; Forgejo does not.
_TARGET_TYPES = ("Gitea", "GitHub")
_REVIEWS = frozenset({"pull_request_approved", "pull_request_rejected", "pull_request_comment"})


def write(hook: Hook, request: HookRequest, scene: Scene, *, families: tuple[str, ...] = GITEA) -> Outgoing:
    """The request for one thing that happened."""
    if scene.pull is not None:
        body, action = _pull_request(scene), scene.action
    else:
        change = request.changes[0]
        body, action = {"push": _push, "create": _create, "delete": _delete}[request.event](change, scene), ""
    return _signed(hook, request.event, body, scene, action, families)


def sample(hook: Hook, scene: Scene, *, families: tuple[str, ...] = GITEA) -> Outgoing:
    """The test button: a push of the head onto itself, one commit without its paths."""
    change = scene.changes[0]
    assert change.head is not None  # noqa: S101 - nothing is sent for an empty repository
    shown = shapes.payload_commit(change.head, scene.html_url, scene.logins)
    shown |= {"verification": shapes.UNSIGNED, "added": None, "removed": None, "modified": None}
    body = _push(attrs.evolve(change, commits=(), recent=()), scene)
    compare = f"{scene.html_url}/compare/{change.after}...{change.after}"
    body |= {"compare_url": compare, "commits": [shown], "total_commits": 1, "head_commit": shown}
    body["repository"] = shapes.repository(scene.repository, scene.url, scene.counts, access=False)
    return _signed(hook, "push", body, scene, "", families)


write_forgejo = partial(write, families=FORGEJO)
sample_forgejo = partial(sample, families=FORGEJO)


def _push(change: RefChange, scene: Scene) -> Body:
    known = change.recent if change.created else change.commits
    moved_tag = change.kind == "tag" and not change.deleted  # told like a new one
    zeros = "0" * len(change.after)
    head = None if change.head is None else shapes.payload_commit(change.head, scene.html_url, scene.logins)
    sender = shapes.stranger(scene.sender, scene.url)
    return {
        "ref": change.ref,
        "before": zeros if moved_tag else change.before,
        "after": _told_id(change, scene),
        "compare_url": f"{scene.url}/{_compare(change, scene)}",
        "commits": [shapes.payload_commit(commit, scene.html_url, scene.logins) for commit in known[:COMMITS_SHOWN]],
        "total_commits": len(change.recent) if change.created else change.commit_count,
        "head_commit": head,
        "repository": shapes.repository(scene.repository, scene.url, scene.counts),
        "pusher": sender,
        "sender": sender,
    }


def _compare(change: RefChange, scene: Scene) -> str:
    """The path of the comparison, empty where there is nothing to compare with."""
    path = f"{scene.repository.full_name}/compare"
    if change.kind == "tag":
        return "" if change.deleted else f"{path}/{'0' * len(change.after)}...{_told_id(change, scene)}"
    old = change.before
    if change.created:
        old = next(iter(change.recent[-1].parents), "") if change.recent else ""
        if not old and change.short != scene.repository.default_branch:
            old = scene.repository.default_branch
    return f"{path}/{old}...{change.after}" if old else ""


def _told_id(change: RefChange, scene: Scene) -> str:
    """A tag made by the API is told with its commit, even an annotated one (`services/release/release.go`)."""
    return change.head.id if scene.by_api and change.tag and change.head else change.after


def _create(change: RefChange, scene: Scene) -> Body:
    return {
        "sha": _told_id(change, scene),
        "ref": change.short,
        "ref_type": change.kind,
        "repository": shapes.repository(scene.repository, scene.url, scene.counts, access=False),
        "sender": shapes.stranger(scene.sender, scene.url),
    }


def _delete(change: RefChange, scene: Scene) -> Body:
    return {
        "ref": change.short,
        "ref_type": change.kind,
        "pusher_type": "user",
        "repository": shapes.repository(scene.repository, scene.url, scene.counts),
        "sender": shapes.stranger(scene.sender, scene.url),
    }


def _pull_request(scene: Scene) -> Body:
    pull = scene.pull
    assert pull is not None  # noqa: S101 - the caller looked
    moved = {"before": scene.previous, "after": pull.head_sha} if scene.previous else {}
    return {
        "action": scene.action,
        **moved,
        "number": pull.number,
        "pull_request": shapes.pull_request(pull, scene.repository, scene.url, scene.counts),
        "requested_reviewer": None,
        "repository": shapes.repository(scene.repository, scene.url, scene.counts),
        "sender": shapes.stranger(scene.sender, scene.url),
        "commit_id": "",
        "review": None,
    }


def _signed(hook: Hook, event: str, body: Body, scene: Scene, action: str, families: tuple[str, ...]) -> Outgoing:
    text = go_json(body, indent=2)
    sha256 = signature("sha256", hook.secret, text) if hook.secret else ""
    sha1 = signature("sha1", hook.secret, text) if hook.secret else ""
    coarse = "pull_request" if event.startswith("pull_request") and event not in _REVIEWS else event
    unsent = Outgoing(url=hook.url, headers=(), body=text)
    headers = [("User-Agent", "Go-http-client/1.1")]
    method, url, sent = "POST", hook.url, text
    if hook.settings.get("http_method") == "GET":
        method, sent = "GET", b""
        url += f"{'&' if '?' in url else '?'}payload={quote_plus(text)}"
    elif hook.content_type == "form":
        sent = form(text)
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    else:
        headers.append(("Content-Type", "application/json"))
    for family in families:
        headers += [
            (f"X-{family}-Delivery", unsent.guid),
            (f"X-{family}-Event", coarse),
            (f"X-{family}-Event-Type", event),
        ]
        if family != "GitHub":
            headers.append((f"X-{family}-Signature", sha256))
        if families == GITEA and family in _TARGET_TYPES:
            headers.append((f"X-{family}-Hook-Installation-Target-Type", _target_type(hook, scene)))
    headers += [("X-Hub-Signature", f"sha1={sha1}"), ("X-Hub-Signature-256", f"sha256={sha256}")]
    if hook.authorization:
        headers.append(("Authorization", hook.authorization))
    headers.append(("Accept-Encoding", "gzip"))
    return attrs.evolve(
        unsent,
        method=method,
        url=url,
        headers=tuple(headers),
        body=sent,
        event=event,
        action=action,
        about=scene.repository.full_name,
        verify_tls=hook.verify_tls,
    )


def _target_type(hook: Hook, scene: Scene) -> str:
    if hook.level == "owner":
        return "organization" if scene.repository.owner.organization else "user"
    return hook.level
