"""Pull requests of a Git host: opening, following, merging, closing.

Both sides lie in one repository. What every push changes for the open ones is `_follow`: a head that moved
is synchronized, a head that was deleted closes the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import attrs

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.forge import Forge, TakenError, UnknownError
from kargo_lab.platforms.git.objects import Person
from kargo_lab.platforms.git.program import GitError
from kargo_lab.platforms.git.repository import GitRepository
from kargo_lab.platforms.git.scene import Account, PullRequest, Repository

STYLES = ("merge", "rebase", "rebase-merge", "squash", "fast-forward-only")


class NotMergeableError(UsageError):
    """A pull request that cannot be merged: closed, or not a fast forward."""


class PullRequests:
    """The part of a Git host that knows pull requests; see `GitHost` for the rest."""

    forge: Forge
    clock: Any

    def pushing(self, repository: Repository, sender: Account) -> AbstractContextManager[list[str]]:
        """See `GitHost`."""
        raise NotImplementedError

    def tell_pull(
        self,
        happened: str,
        action: str,
        repository: Repository,
        pull: PullRequest,
        by: Account,
        *,
        previous: str = "",
    ) -> None:
        """See `GitHost`."""
        raise NotImplementedError

    def _actor(self, repository: Repository, by: str) -> Account:
        raise NotImplementedError

    def _person(self, given: Person | None, when: datetime | None, by: str) -> Person:
        raise NotImplementedError

    def open_pull(
        self, repository: str, *, head: str, base: str = "main", title: str = "", body: str = "", by: str = ""
    ) -> PullRequest:
        """Ask to merge `head` into `base`."""
        record = self.forge.repository(repository)
        store, sender = self.forge.store(record), self._actor(record, by)
        with self.forge.writing(record):
            shas = [store.resolve(f"refs/heads/{branch}") for branch in (head, base)]
            if not all(shas):
                raise UnknownError(f"there is no branch {base if shas[0] else head} in {repository}")
            pulls = self.forge.pulls[record.id]
            if any((pull.head, pull.base, pull.state) == (head, base, "open") for pull in pulls):
                raise TakenError(f"a pull request from {head} to {base} is open already")
            if store.is_ancestor(shas[0], shas[1]):
                raise UsageError(f"{base} has everything that {head} has")
            now = self.clock.now()
            pull = PullRequest(
                id=self.forge.next_id(),
                number=1 + max((pull.number for pull in pulls), default=0),
                title=title or head,
                body=body,
                head=head,
                base=base,
                head_sha=shas[0],
                base_sha=shas[1],
                merge_base=_merge_base(store, *shas),
                **store.counted(_merge_base(store, *shas), shas[0]),
                user=sender,
                created_at=now,
                updated_at=now,
            )
            self._keep_ref(store, pull)
            self.forge.keep_pull(record, pull)
            self.tell_pull("opened", "opened", record, pull, sender)
            return pull

    def close_pull(self, repository: str, number: int, *, by: str = "") -> PullRequest:
        """Close it without merging."""
        record = self.forge.repository(repository)
        return self._close(record, self.forge.pull(record, number), self._actor(record, by))

    def reopen_pull(self, repository: str, number: int, *, by: str = "") -> PullRequest:
        """Open it again; its branches must be there."""
        record = self.forge.repository(repository)
        pull, store = self.forge.pull(record, number), self.forge.store(record)
        head = store.resolve(f"refs/heads/{pull.head}")
        if pull.merged or not head:
            raise NotMergeableError(f"pull request {number} cannot be opened again")
        now = self.clock.now()
        pull = attrs.evolve(pull, state="open", closed_at=None, head_sha=head, updated_at=now)
        self.forge.keep_pull(record, pull)
        self.tell_pull("reopened", "reopened", record, pull, self._actor(record, by))
        return pull

    def edit_pull(self, repository: str, number: int, *, by: str = "", **facts: str) -> PullRequest:
        """Change `title` or `body`."""
        record = self.forge.repository(repository)
        pull = attrs.evolve(self.forge.pull(record, number), updated_at=self.clock.now(), **facts)  # type: ignore[arg-type] # texts only
        self.forge.keep_pull(record, pull)
        self.tell_pull("edited", "edited", record, pull, self._actor(record, by))
        return pull

    def merge_pull(
        self,
        repository: str,
        number: int,
        *,
        style: str = "merge",
        message: str = "",
        when: datetime | None = None,
        delete_head: bool = False,
        by: str = "",
    ) -> PullRequest:
        """Merge it into its base branch: the pull request is told first, then the push to the base."""
        if style not in STYLES:
            raise UsageError(f"there is no style {style} of merging; known are {', '.join(STYLES)}")
        record = self.forge.repository(repository)
        sender = self._actor(record, by)
        with self.pushing(record, sender):
            pull = self.forge.pull(record, number)
            if pull.state != "open":
                raise NotMergeableError(f"pull request {number} is closed")
            merged = self._merge(record, pull.base, pull.head, style, message or _message(pull), when, by)
            now = self.clock.now()
            pull = attrs.evolve(pull, state="closed", merge_sha=merged, merged_by=sender, closed_at=now, updated_at=now)
            self.forge.keep_pull(record, pull)
            self.tell_pull("merged", "closed", record, pull, sender)
        if delete_head:
            with self.pushing(record, sender):
                self.forge.store(record).delete_ref(f"refs/heads/{pull.head}")
        return pull

    def merge(
        self,
        repository: str,
        head: str,
        *,
        base: str = "main",
        style: str = "merge",
        message: str = "",
        when: datetime | None = None,
        by: str = "",
    ) -> str:
        """Merge a branch, tag or commit into `base` without a pull request; answers the new head's ID."""
        record = self.forge.repository(repository)
        with self.pushing(record, self._actor(record, by)):
            return self._merge(record, base, head, style, message or f"Merge {head} into {base}", when, by)

    def _merge(
        self, record: Repository, base: str, head: str, style: str, message: str, when: datetime | None, by: str
    ) -> str:
        store, who = self.forge.store(record), self._person(None, when, by)
        ours, theirs = store.resolve(f"refs/heads/{base}"), store.resolve(head)
        if not ours or not theirs:
            raise UnknownError(f"there is no {head if ours else base} in {record.full_name}")
        if style == "merge":
            made = store.commit_tree(store.merged_tree(ours, theirs), [ours, theirs], message, who, who)
        elif style == "squash":
            made = store.commit_tree(store.merged_tree(ours, theirs), [ours], message, who, who)
        elif style == "fast-forward-only":
            if not store.is_ancestor(ours, theirs):
                raise NotMergeableError(f"{head} does not contain {base}")
            made = theirs
        else:
            made = theirs if store.is_ancestor(ours, theirs) else store.rebase(theirs, ours, who)
            if style == "rebase-merge":
                made = store.commit_tree(f"{made}^{{tree}}", [ours, made], message, who, who)
        store.set_ref(f"refs/heads/{base}", made)
        return made

    def _follow(self, record: Repository, moved: Sequence[tuple[str, str, str]], sender: Account) -> None:
        """What a push means for the open pull requests."""
        store = self.forge.store(record)
        news = {ref.removeprefix("refs/heads/"): new for ref, _, new in moved if ref.startswith("refs/heads/")}
        for pull in list(self.forge.pulls[record.id]):
            if pull.state != "open" or not {pull.head, pull.base} & news.keys():
                continue
            if not news.get(pull.head, "1").strip("0"):
                self._close(record, pull, sender)
                continue
            head, base = news.get(pull.head, pull.head_sha), news.get(pull.base, pull.base_sha)
            if not base.strip("0"):
                continue
            changed = attrs.evolve(
                pull,
                head_sha=head,
                base_sha=base,
                merge_base=_merge_base(store, head, base),
                **store.counted(_merge_base(store, head, base), head),
                updated_at=self.clock.now(),
            )
            self.forge.keep_pull(record, changed)
            if head != pull.head_sha:
                self._keep_ref(store, changed)
                self.tell_pull("synchronized", "synchronized", record, changed, sender, previous=pull.head_sha)

    def _close(self, record: Repository, pull: PullRequest, sender: Account) -> PullRequest:
        now = self.clock.now()
        closed = attrs.evolve(pull, state="closed", closed_at=now, updated_at=now)
        self.forge.keep_pull(record, closed)
        self.tell_pull("closed", "closed", record, closed, sender)
        return closed

    @staticmethod
    def _keep_ref(store: GitRepository, pull: PullRequest) -> None:
        """The head stays fetchable as `refs/pull/N/head`, whatever becomes of its branch."""
        store.set_ref(f"refs/pull/{pull.number}/head", pull.head_sha)


def _merge_base(store: GitRepository, one: str, other: str) -> str:
    try:
        return store.run("merge-base", one, other).strip()
    except GitError:
        return ""  # unrelated histories


def _message(pull: PullRequest) -> str:
    return f"Merge pull request '{pull.title}' (#{pull.number}) from {pull.head} into {pull.base}\n"
