"""Azure DevOps service hooks: one request for all refs of a push, no signature, no event header (platforms.md 9.2)."""

from __future__ import annotations

import base64
from datetime import datetime

import attrs

from kargo_lab.platforms.git.bodies.writing import Body, compact, stable_uuid, utc
from kargo_lab.platforms.git.objects import Commit, Person
from kargo_lab.platforms.git.personas import HookRequest
from kargo_lab.platforms.git.scene import Account, PullRequest, Scene
from kargo_lab.platforms.hooks import Hook
from kargo_lab.platforms.outgoing import Outgoing

USER_AGENT = "VSServices/19.246.35410.1"
COMMITS_SHOWN = 25


def write(hook: Hook, request: HookRequest, scene: Scene) -> Outgoing:
    """The request for one thing that happened."""
    if scene.pull is not None:
        text = f"{scene.sender.login} changed pull request {scene.pull.number} ({scene.pull.title})"
        return _sent(hook, request.event, _pull_request(scene.pull, scene), text, scene)
    commits = [commit for change in request.changes for commit in change.commits][:COMMITS_SHOWN]
    resource: Body = {"commits": [_commit(commit, scene) for commit in commits]} if commits else {}
    resource |= {
        "refUpdates": [
            {"name": change.ref, "oldObjectId": change.before, "newObjectId": change.after}
            for change in request.changes
        ],
        "repository": _repository(scene),
        "pushedBy": _account(scene.sender, scene),
        "pushId": scene.notice,
        "date": _moment(scene.now),
        "url": f"{_api(scene)}/pushes/{scene.notice}",
    }
    return _sent(
        hook, request.event, resource, f"{scene.sender.login} pushed updates to {scene.repository.name}.", scene
    )


def sample(hook: Hook, scene: Scene) -> Outgoing:
    """A push of the newest commit onto itself."""
    return write(hook, HookRequest("git.push", scene.changes), scene)


def _moment(when: datetime) -> str:
    return utc(when).removesuffix("Z") + ".0000000Z"


def _project(scene: Scene) -> Body:
    owner = scene.repository.owner
    number = stable_uuid("project", owner.id)
    return {
        "id": number,
        "name": owner.login,
        "url": f"{scene.url}/_apis/projects/{number}",
        "state": "wellFormed",
        "visibility": "private" if scene.repository.private else "public",
        "lastUpdateTime": _moment(owner.created_at),
    }


def _api(scene: Scene) -> str:
    return f"{scene.url}/_apis/git/repositories/{stable_uuid('repository', scene.repository.id)}"


def _repository(scene: Scene) -> Body:
    facts = scene.repository
    page = f"{scene.url}/{facts.owner.login}/_git/{facts.name}"
    return {
        "id": stable_uuid("repository", facts.id),
        "name": facts.name,
        "url": _api(scene),
        "project": _project(scene),
        "defaultBranch": f"refs/heads/{facts.default_branch}",
        "size": 0,
        "remoteUrl": page,
        "webUrl": page,
    }


def _account(account: Account, scene: Scene) -> Body:
    number = stable_uuid("account", account.id)
    return {
        "displayName": account.full_name or account.login,
        "url": f"{scene.url}/_apis/Identities/{number}",
        "id": number,
        "uniqueName": account.email or account.login,
        "imageUrl": f"{scene.url}/_api/_common/identityImage?id={number}",
    }


def _commit(commit: Commit, scene: Scene) -> Body:
    def person(who: Person) -> Body:
        return {"name": who.name, "email": who.email, "date": utc(who.when)}

    return {
        "commitId": commit.id,
        "author": person(commit.author),
        "committer": person(commit.committer),
        "comment": commit.message.rstrip("\n"),
        "url": f"{_api(scene)}/commits/{commit.id}",
    }


def _pull_request(pull: PullRequest, scene: Scene) -> Body:
    def reference(sha: str) -> Body:
        return {"commitId": sha, "url": f"{_api(scene)}/commits/{sha}"}

    status = "completed" if pull.merged else "active" if pull.state == "open" else "abandoned"
    page = f"{_repository(scene)['webUrl']}/pullrequest/{pull.number}"
    url = f"{_api(scene)}/pullRequests/{pull.number}"
    shown: Body = {
        "repository": _repository(scene),
        "pullRequestId": pull.number,
        "codeReviewId": pull.number,
        "status": status,
        "createdBy": _account(pull.user, scene),
        "creationDate": _moment(pull.created_at),
        "title": pull.title,
        "description": pull.body,
        "sourceRefName": f"refs/heads/{pull.head}",
        "targetRefName": f"refs/heads/{pull.base}",
        "mergeStatus": "succeeded",
        "isDraft": False,
        "mergeId": stable_uuid("merge", pull.id, pull.head_sha, pull.base_sha),
        "lastMergeSourceCommit": reference(pull.head_sha),
        "lastMergeTargetCommit": reference(pull.base_sha),
        "lastMergeCommit": reference(pull.merge_sha or pull.head_sha),
        "reviewers": [],
        "url": url,
        "_links": {"web": {"href": page}, "statuses": {"href": f"{url}/statuses"}},
    }
    if pull.closed_at:
        shown["closedDate"] = _moment(pull.closed_at)
    return shown


def _sent(hook: Hook, event: str, resource: Body, text: str, scene: Scene) -> Outgoing:
    unsent = Outgoing(url=hook.url, headers=(), body=b"")
    message = {"text": text, "html": text, "markdown": text}
    project = _project(scene)
    body = compact(
        {
            "subscriptionId": stable_uuid("subscription", hook.id),
            "notificationId": scene.notice,
            "id": unsent.guid,
            "eventType": event,
            "publisherId": "tfs",
            "message": message,
            "detailedMessage": message,
            "resource": resource,
            "resourceVersion": "1.0",
            "resourceContainers": {
                "collection": {"id": stable_uuid("collection", scene.url), "baseUrl": f"{scene.url}/"},
                "account": {"id": stable_uuid("organization", scene.url), "baseUrl": f"{scene.url}/"},
                "project": {"id": project["id"], "baseUrl": f"{scene.url}/"},
            },
            "createdDate": _moment(scene.now),
        }
    )
    headers = [("User-Agent", USER_AGENT), ("Content-Type", "application/json; charset=utf-8")]
    if username := str(hook.settings.get("basicAuthUsername", "")):
        pair = f"{username}:{hook.settings.get('basicAuthPassword', '')}"
        headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
    headers += [(str(name), str(value)) for name, value in dict(hook.settings.get("httpHeaders", {})).items()]
    return attrs.evolve(
        unsent,
        headers=tuple(headers),
        body=body,
        event=event,
        about=scene.repository.full_name,
        verify_tls=hook.verify_tls,
    )
