"""What happened at a Git host, as values: who, where, which refs, which pull request.

The personas write their payloads from these and from nothing else, so a payload can be checked
without a host, a repository or a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from kargo_lab.platforms.git.objects import Commit, Tag


@attrs.frozen(kw_only=True)
class Account:
    """A user or an organisation."""

    id: int
    login: str
    email: str = ""
    full_name: str = ""
    organization: bool = False
    admin: bool = False
    created_at: datetime


@attrs.frozen(kw_only=True)
class Repository:
    """A repository as the outside knows it."""

    id: int
    owner: Account
    name: str
    description: str = ""
    private: bool = False
    default_branch: str = "main"
    object_format: str = "sha1"
    empty: bool = True
    created_at: datetime
    updated_at: datetime

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner.login}/{self.name}"


@attrs.frozen(kw_only=True)
class PullRequest:
    """A pull request within one repository. `base_sha` is the base branch's commit, `merge_base` the common one."""

    id: int
    number: int
    title: str
    body: str = ""
    state: str = "open"
    head: str
    base: str
    head_sha: str
    base_sha: str
    merge_base: str
    user: Account
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    merged_by: Account | None = None
    merge_sha: str = ""
    additions: int = 0
    deletions: int = 0
    changed_files: int = 0

    @property
    def merged(self) -> bool:
        """True if it ended by being merged."""
        return bool(self.merge_sha)


@attrs.frozen(kw_only=True)
class RefChange:
    """One branch or tag that a push created, moved or deleted.

    `before` and `after` are zeros where the ref did not, or does no longer, exist. `commits` are those the push
    brought to a branch, newest first and perhaps not all: `commit_count` counts. `recent` are the newest ten of
    a new branch, whoever has them. `head` is the commit that `after` leads to, `tag` the tag object on the way.
    `known` are those of `commits` that another ref had before. `base_ref` is an older branch with the same head.
    """

    ref: str
    before: str
    after: str
    head: Commit | None = None
    tag: Tag | None = None
    commits: tuple[Commit, ...] = ()
    commit_count: int = 0
    recent: tuple[Commit, ...] = ()
    known: frozenset[str] = frozenset()
    old_head: Commit | None = None
    forced: bool = False
    base_ref: str = ""

    @property
    def kind(self) -> str:
        """`branch` or `tag`."""
        return "tag" if self.ref.startswith("refs/tags/") else "branch"

    @property
    def short(self) -> str:
        """The name without `refs/heads/` or `refs/tags/`."""
        return self.ref.split("/", 2)[2]

    @property
    def created(self) -> bool:
        """True if the ref is new."""
        return not self.before.strip("0")

    @property
    def deleted(self) -> bool:
        """True if the ref is gone."""
        return not self.after.strip("0")

    @property
    def action(self) -> str:
        """`created`, `updated` or `deleted`."""
        return "created" if self.created else "deleted" if self.deleted else "updated"


@attrs.frozen(kw_only=True)
class Scene:
    """Everything a payload may speak of.

    `url` is the host's address without a slash at the end; `logins` maps an e-mail address to the account that has
    it; `counts` are of branches, tags and open pull requests. `notice` numbers the events of the host. `previous` is
    the old head of a pull request whose head moved. `by_api` says that no push was made.
    """

    url: str
    repository: Repository
    sender: Account
    now: datetime
    notice: int
    changes: tuple[RefChange, ...] = ()
    pull: PullRequest | None = None
    action: str = ""
    previous: str = ""
    logins: Mapping[str, str] = attrs.field(factory=dict)
    counts: Mapping[str, int] = attrs.field(factory=dict)
    push_options: tuple[str, ...] = ()
    by_api: bool = False

    @property
    def html_url(self) -> str:
        """The repository's page, which is also a place to clone from."""
        return f"{self.url}/{self.repository.full_name}"
