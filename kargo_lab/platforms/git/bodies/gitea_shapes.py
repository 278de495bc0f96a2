"""Gitea's objects as its API and its hooks both show them: user, repository, commit, pull request.

Field names and order are those of Gitea's Go structures (platforms.md 10.2; models of its API client 1.27).
"""

from __future__ import annotations

from collections.abc import Mapping

from kargo_lab.platforms.git.bodies.writing import ZERO_TIME, Body, gravatar, rfc3339, utc
from kargo_lab.platforms.git.objects import Commit, Person
from kargo_lab.platforms.git.scene import Account, PullRequest, Repository

UNSIGNED = {
    "verified": False,
    "reason": "gpg.error.not_signed_commit",
    "signature": "",
    "signer": None,
    "payload": "",
}
# What a new repository may be used for; nothing here ever differs from it.
_FEATURES: Body = {
    "has_code": True,
    "has_issues": True,
    "internal_tracker": {
        "enable_time_tracker": True,
        "allow_only_contributors_to_track_time": True,
        "enable_issue_dependencies": True,
    },
    "has_wiki": True,
    "has_pull_requests": True,
    "has_projects": True,
    "projects_mode": "all",
    "has_releases": True,
    "has_packages": True,
    "has_actions": True,
    "ignore_whitespace_conflicts": False,
    "allow_merge_commits": True,
    "allow_rebase": True,
    "allow_rebase_explicit": True,
    "allow_squash_merge": True,
    "allow_fast_forward_only_merge": True,
    "allow_merge_update": True,
    "allow_rebase_update": True,
    "allow_manual_merge": False,
    "autodetect_manual_merge": False,
    "default_delete_branch_after_merge": False,
    "default_merge_style": "merge",
    "default_update_style": "merge",
    "default_allow_maintainer_edit": True,
}


def stranger(account: Account, url: str) -> Body:
    """A user as hooks show everybody: with an address of no use, and no rights."""
    return user(account, url) | {
        "email": f"{account.id}+{account.login.lower()}@noreply.localhost",
        "is_admin": False,
        "last_login": ZERO_TIME,
        "active": False,
    }


def _owner(account: Account, url: str, *, access: bool) -> Body:
    """A repository's owner: who has access to the repository sees the true address, but no rights."""
    hidden = stranger(account, url)
    return hidden | {"email": account.email} if access else hidden


def user(account: Account, url: str) -> Body:
    """A user as one sees oneself; organisations own repositories in the same shape."""
    return {
        "id": account.id,
        "login": account.login,
        "login_name": "",
        "source_id": 0,
        "full_name": account.full_name,
        "email": account.email,
        "avatar_url": f"{url}/avatars/{gravatar(account.email or account.login)}",
        "html_url": f"{url}/{account.login}",
        "language": "",
        "is_admin": account.admin,
        "last_login": "1970-01-01T00:00:00Z",
        "created": utc(account.created_at),
        "restricted": False,
        "active": not account.organization,
        "prohibit_login": False,
        "location": "",
        "website": "",
        "description": "",
        "visibility": "public",
        "followers_count": 0,
        "following_count": 0,
        "starred_repos_count": 0,
        "username": account.login,
    }


def organization(account: Account, url: str) -> Body:
    """An organisation under its own part of the API."""
    return {
        "id": account.id,
        "name": account.login,
        "full_name": account.full_name,
        "email": account.email,
        "avatar_url": f"{url}/avatars/{gravatar(account.login)}",
        "description": "",
        "website": "",
        "location": "",
        "visibility": "public",
        "repo_admin_change_team_access": True,
        "username": account.login,
    }


def repository(facts: Repository, url: str, counts: Mapping[str, int], *, access: bool = True) -> Body:
    """A repository, as somebody sees it who has all rights, or (no `access`) none."""
    page = f"{url}/{facts.full_name}"
    address = url.partition("://")[2].partition(":")[0]
    return {
        "id": facts.id,
        "owner": _owner(facts.owner, url, access=access),
        "name": facts.name,
        "full_name": facts.full_name,
        "description": facts.description,
        "empty": facts.empty,
        "private": facts.private,
        "fork": False,
        "template": False,
        "mirror": False,
        "size": 0 if facts.empty else 24,
        "language": "",
        "languages_url": f"{url}/api/v1/repos/{facts.full_name}/languages",
        "html_url": page,
        "url": f"{url}/api/v1/repos/{facts.full_name}",
        "link": "",
        "ssh_url": f"git@{address}:{facts.full_name}.git",
        "clone_url": f"{page}.git",
        "original_url": "",
        "website": "",
        "stars_count": 0,
        "forks_count": 0,
        "watchers_count": 1,
        "branch_count": counts.get("branches", 0),
        "open_issues_count": 0,
        "open_pr_counter": counts.get("pulls", 0),
        "release_counter": 0,
        "default_branch": facts.default_branch,
        "archived": False,
        "created_at": utc(facts.created_at),
        "updated_at": utc(facts.updated_at),
        "archived_at": "1970-01-01T00:00:00Z",
        "permissions": {"admin": access, "push": access, "pull": access},
        **_FEATURES,
        "avatar_url": "",
        "internal": False,
        "mirror_interval": "",
        "object_format_name": facts.object_format,
        "mirror_updated": ZERO_TIME,
        "mirror_last_sync_at": ZERO_TIME,
        "topics": [],
        "licenses": [],
    }


def commit_user(who: Person, logins: Mapping[str, str]) -> Body:
    """The author or committer in a hook's commit; `username` is empty for a stranger's address."""
    return {"name": who.name, "email": who.email, "username": logins.get(who.email.lower(), "")}


def payload_commit(commit: Commit, page: str, logins: Mapping[str, str]) -> Body:
    """A commit as hooks show it."""
    return {
        "id": commit.id,
        "message": commit.message,
        "url": f"{page}/commit/{commit.id}",
        "author": commit_user(commit.author, logins),
        "committer": commit_user(commit.committer, logins),
        "verification": None,
        "timestamp": rfc3339(commit.author.when),
        "added": list(commit.added),
        "removed": list(commit.removed),
        "modified": list(commit.modified),
    }


def pull_request(pull: PullRequest, facts: Repository, url: str, counts: Mapping[str, int]) -> Body:
    """A pull request; both sides are in one repository."""
    page = f"{url}/{facts.full_name}/pulls/{pull.number}"
    shown = repository(facts, url, counts)

    def side(branch: str, sha: str) -> Body:
        return {"label": branch, "ref": branch, "sha": sha, "repo_id": facts.id, "repo": shown}

    return {
        "id": pull.id,
        "url": page,
        "number": pull.number,
        "user": user(pull.user, url),
        "title": pull.title,
        "body": pull.body,
        "labels": [],
        "milestone": None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_reviewers_teams": [],
        "state": pull.state,
        "draft": False,
        "is_locked": False,
        "comments": 0,
        "additions": pull.additions,
        "deletions": pull.deletions,
        "changed_files": pull.changed_files,
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "mergeable": True,
        "merged": pull.merged,
        "merged_at": utc(pull.closed_at) if pull.merged and pull.closed_at else None,
        "merge_commit_sha": pull.merge_sha or None,
        "merged_by": stranger(pull.merged_by, url) if pull.merged_by else None,
        "allow_maintainer_edit": True,
        "base": side(pull.base, pull.base_sha),
        "head": side(pull.head, pull.head_sha),
        "merge_base": pull.merge_base,
        "due_date": None,
        "created_at": utc(pull.created_at),
        "updated_at": utc(pull.updated_at),
        "closed_at": utc(pull.closed_at) if pull.closed_at else None,
        "pin_order": 0,
        "content_version": 0,
    }
