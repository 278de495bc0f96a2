"""GitHub: compact JSON or a form, signed over the bytes as sent; commits oldest first (platforms.md 2)."""

from __future__ import annotations

import attrs

from kargo_lab.platforms.git.bodies.writing import Body, compact, form, gravatar, node_id, rfc3339, signature, utc
from kargo_lab.platforms.git.objects import Commit, Person
from kargo_lab.platforms.git.personas import HookRequest
from kargo_lab.platforms.git.scene import Account, PullRequest, RefChange, Repository, Scene
from kargo_lab.platforms.hooks import Hook
from kargo_lab.platforms.outgoing import MASK, Outgoing

USER_AGENT = "GitHub-Hookshot/4e7c0b1"
ZEN = "Speak like a human."
MOST_BYTES = 25 * 1024 * 1024  # a larger payload is not delivered
SHORT = 12  # digits of an ID in the address of a comparison

# What is the same in every repository here.
_PLAIN: Body = {
    "stargazers_count": 0,
    "watchers_count": 0,
    "language": None,
    "has_issues": True,
    "has_projects": True,
    "has_downloads": True,
    "has_wiki": True,
    "has_pages": False,
    "forks_count": 0,
    "mirror_url": None,
    "archived": False,
    "disabled": False,
    "open_issues_count": 0,
    "license": None,
    "allow_forking": True,
    "is_template": False,
    "web_commit_signoff_required": False,
    "topics": [],
}


def write(hook: Hook, request: HookRequest, scene: Scene) -> Outgoing:
    """The request for one thing that happened."""
    if scene.pull is not None:
        # The word for a moved head differs from Gitea's by one letter.
        action = {"synchronized": "synchronize"}.get(scene.action, scene.action)
        body: Body = {
            "action": action,
            "number": scene.pull.number,
            "pull_request": pull_request(scene.pull, scene.repository, scene.url),
        }
        if scene.previous:
            body |= {"before": scene.previous, "after": scene.pull.head_sha}
        return _sent(hook, "pull_request", body, scene, action)
    change = request.changes[0]
    writer = {"push": _push, "create": _create, "delete": _delete}[request.event]
    return _sent(hook, request.event, writer(change, scene), scene, "")


def sample(hook: Hook, scene: Scene) -> Outgoing:
    """The latest push once more, as `POST .../tests` does."""
    change = scene.changes[0]
    head = () if change.head is None else (change.head,)
    before = head[0].parents[0] if head and head[0].parents else "0" * len(change.after)
    return _sent(hook, "push", _push(attrs.evolve(change, before=before, commits=head), scene), scene, "")


def ping(hook: Hook, scene: Scene) -> Outgoing:
    """What a new hook of a repository gets first."""
    body: Body = {"zen": ZEN, "hook_id": hook.id, "hook": hook_shape(hook, scene.url)}
    return _sent(hook, "ping", body, scene, "")


def ping_organization(hook: Hook, owner: Account, sender: Account, url: str) -> Outgoing:
    """What a new hook of an organisation gets first: there is no repository in it."""
    body: Body = {"zen": ZEN, "hook_id": hook.id, "hook": hook_shape(hook, url)}
    body |= {"organization": _organization(owner, url), "sender": user(sender, url)}
    return _signed(hook, "ping", body, target=owner.id, about=owner.login, action="")


def hook_shape(hook: Hook, url: str) -> Body:
    """A hook as the API and `ping` show it."""
    place = "orgs" if hook.level == "owner" else "repos"
    address = f"{url}/api/v3/{place}/{hook.target}/hooks/{hook.id}"
    config = {
        "content_type": hook.content_type,
        "insecure_ssl": "0" if hook.verify_tls else "1",
        "url": hook.url,
    } | ({"secret": MASK} if hook.secret else {})
    return {
        "type": "Organization" if hook.level == "owner" else "Repository",
        "id": hook.id,
        "name": "web",
        "active": hook.active,
        "events": list(hook.events),
        "config": config,
        "updated_at": utc(hook.updated_at),
        "created_at": utc(hook.created_at),
        "url": address,
        "test_url": f"{address}/test",
        "ping_url": f"{address}/pings",
        "deliveries_url": f"{address}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }


def user(account: Account, url: str) -> Body:
    """An account as every event shows it."""
    api = f"{url}/api/v3/users/{account.login}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("U", account.id),
        "avatar_url": f"{url}/avatars/{gravatar(account.email or account.login)}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{url}/{account.login}",
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events{{/privacy}}",
        "type": "Organization" if account.organization else "User",
        "site_admin": account.admin,
    }


def repository(facts: Repository, url: str, *, pushed: bool) -> Body:
    """A repository; in a push some members differ from all other events."""
    page, api = f"{url}/{facts.full_name}", f"{url}/api/v3/repos/{facts.full_name}"
    host = url.partition("://")[2]
    owner = user(facts.owner, url)
    if pushed:
        owner = {"name": facts.owner.login, "email": facts.owner.email or None} | owner
    shown: Body = {
        "id": facts.id,
        "node_id": node_id("R", facts.id),
        "name": facts.name,
        "full_name": facts.full_name,
        "private": facts.private,
        "owner": owner,
        "html_url": page,
        "description": facts.description or None,
        "fork": False,
        "url": page if pushed else api,
        "hooks_url": f"{api}/hooks",
        "branches_url": f"{api}/branches{{/branch}}",
        "tags_url": f"{api}/tags",
        "commits_url": f"{api}/commits{{/sha}}",
        "compare_url": f"{api}/compare/{{base}}...{{head}}",
        "contents_url": f"{api}/contents/{{+path}}",
        "pulls_url": f"{api}/pulls{{/number}}",
        "created_at": int(facts.created_at.timestamp()) if pushed else utc(facts.created_at),
        "updated_at": utc(facts.updated_at),
        "pushed_at": int(facts.updated_at.timestamp()) if pushed else utc(facts.updated_at),
        "git_url": f"git://{host}/{facts.full_name}.git",
        "ssh_url": f"git@{host.partition(':')[0]}:{facts.full_name}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "homepage": None,
        "size": 0 if facts.empty else 8,
        **_PLAIN,
        "visibility": "private" if facts.private else "public",
        "forks": 0,
        "open_issues": 0,
        "watchers": 0,
        "default_branch": facts.default_branch,
    }
    if pushed:
        shown |= {"stargazers": 0, "master_branch": facts.default_branch}
        if facts.owner.organization:
            shown["organization"] = facts.owner.login
    return shown


def pull_request(pull: PullRequest, facts: Repository, url: str) -> Body:
    """A pull request with both sides in one repository."""
    page = f"{url}/{facts.full_name}/pull/{pull.number}"
    api = f"{url}/api/v3/repos/{facts.full_name}/pulls/{pull.number}"
    shown = repository(facts, url, pushed=False)

    def side(branch: str, sha: str) -> Body:
        owner = facts.owner
        label = f"{owner.login}:{branch}"
        return {"label": label, "ref": branch, "sha": sha, "user": user(owner, url), "repo": shown}

    return {
        "url": api,
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": user(pull.user, url),
        "body": pull.body or None,
        "created_at": utc(pull.created_at),
        "updated_at": utc(pull.updated_at),
        "closed_at": utc(pull.closed_at) if pull.closed_at else None,
        "merged_at": utc(pull.closed_at) if pull.merged and pull.closed_at else None,
        "merge_commit_sha": pull.merge_sha or None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [],
        "milestone": None,
        "draft": False,
        "head": side(pull.head, pull.head_sha),
        "base": side(pull.base, pull.base_sha),
        "author_association": "OWNER",
        "auto_merge": None,
        "merged": pull.merged,
        "mergeable": None,
        "mergeable_state": "unknown",
        "merged_by": user(pull.merged_by, url) if pull.merged_by else None,
        "comments": 0,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": 1,
        "additions": pull.additions,
        "deletions": pull.deletions,
        "changed_files": pull.changed_files,
    }


def _push(change: RefChange, scene: Scene) -> Body:
    commits = [_commit(commit, change, scene) for commit in reversed(change.commits)]
    return {
        "ref": change.ref,
        "before": change.before,
        "after": change.after,
        "repository": repository(scene.repository, scene.url, pushed=True),
        "pusher": {"name": scene.sender.login, "email": scene.sender.email},
        "created": change.created,
        "deleted": change.deleted,
        "forced": change.forced,
        "base_ref": change.base_ref or None,
        "compare": f"{scene.html_url}/{_compare(change)}",
        "commits": commits,
        "head_commit": None if change.head is None else _commit(change.head, change, scene),
    }


def _compare(change: RefChange) -> str:
    if change.created:
        return f"commit/{change.after[:SHORT]}" if change.commits or change.kind == "tag" else f"compare/{change.short}"
    return f"compare/{change.before[:SHORT]}...{change.after[:SHORT]}"


def _commit(commit: Commit, change: RefChange, scene: Scene) -> Body:
    return {
        "id": commit.id,
        "tree_id": commit.tree,
        "distinct": commit.id not in change.known,
        "message": commit.message.rstrip("\n"),
        "timestamp": rfc3339(commit.committer.when),
        "url": f"{scene.html_url}/commit/{commit.id}",
        "author": _person(commit.author, scene),
        "committer": _person(commit.committer, scene),
        "added": list(commit.added),
        "removed": list(commit.removed),
        "modified": list(commit.modified),
    }


def _person(who: Person, scene: Scene) -> Body:
    login = scene.logins.get(who.email.lower())
    return {"name": who.name, "email": who.email or None} | ({"username": login} if login else {})


def _create(change: RefChange, scene: Scene) -> Body:
    return {
        "ref": change.short,
        "ref_type": change.kind,
        "master_branch": scene.repository.default_branch,
        "description": scene.repository.description or None,
        "pusher_type": "user",
    }


def _delete(change: RefChange, _scene: Scene) -> Body:
    return {"ref": change.short, "ref_type": change.kind, "pusher_type": "user"}


def _organization(owner: Account, url: str) -> Body:
    return {
        "login": owner.login,
        "id": owner.id,
        "node_id": node_id("O", owner.id),
        "url": f"{url}/api/v3/orgs/{owner.login}",
        "description": "",
    }


def _sent(hook: Hook, event: str, body: Body, scene: Scene, action: str) -> Outgoing:
    facts = scene.repository
    if "repository" not in body:
        body["repository"] = repository(facts, scene.url, pushed=False)
    if facts.owner.organization:
        body["organization"] = _organization(facts.owner, scene.url)
    body["sender"] = user(scene.sender, scene.url)
    target = facts.owner.id if hook.level == "owner" else facts.id
    return _signed(hook, event, body, target=target, about=facts.full_name, action=action)


def _signed(hook: Hook, event: str, body: Body, *, target: int, about: str, action: str) -> Outgoing:
    text = compact(body)
    sent = form(text) if hook.content_type == "form" else text
    kind = "application/x-www-form-urlencoded" if hook.content_type == "form" else "application/json"
    unsent = Outgoing(url=hook.url, headers=(), body=sent)
    headers = [
        ("User-Agent", USER_AGENT),
        ("Accept", "*/*"),
        ("Content-Type", kind),
        ("X-GitHub-Delivery", unsent.guid),
        ("X-GitHub-Event", event),
        ("X-GitHub-Hook-ID", str(hook.id)),
        ("X-GitHub-Hook-Installation-Target-ID", str(target)),
        ("X-GitHub-Hook-Installation-Target-Type", "organization" if hook.level == "owner" else "repository"),
    ]
    if hook.secret:
        # Over the bytes as sent: of a form, not of the JSON inside it.
        headers += [
            ("X-Hub-Signature", f"sha1={signature('sha1', hook.secret, sent)}"),
            ("X-Hub-Signature-256", f"sha256={signature('sha256', hook.secret, sent)}"),
        ]
    return attrs.evolve(
        unsent, headers=tuple(headers), event=event, action=action, about=about, verify_tls=hook.verify_tls
    )
