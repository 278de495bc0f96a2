"""Which action at a Git host makes which hook requests, for every platform: a table, and how to read it.

Sources: platforms.md 0.3, 2 to 5, 9.2 and 10.2; Gitea's `services/repository/push.go`; GitLab's
`process_ref_changes_service.rb` for what its limit counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs

from kargo_lab.platforms.git.scene import RefChange
from kargo_lab.platforms.hooks import Hook

Cause = tuple[str, str]  # (branch | tag | pull, what happened to it)


@attrs.frozen
class HookRequest:
    """One request that every hook subscribed to `event` gets; `changes` are the refs it tells about."""

    event: str
    changes: tuple[RefChange, ...] = ()


@attrs.frozen(kw_only=True)
class Persona:
    """How one platform tells what happened.

    `events` are the events of a cause, in the order in which they leave. Where `together`, one request tells all
    refs of a push. `tags_at_most`: a push with more tags tells none of them. `refs_at_most`: as many refs of one
    kind with one fate (new, moved, deleted) or none of them. `commit_limit` is how many commits a body shows.
    `aliases` lets a hook be registered with the common words. `clone_path` and `realm` are the host's own.
    """

    name: str
    habit: str
    events: Mapping[Cause, tuple[str, ...]]
    default_events: tuple[str, ...]
    aliases: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    together: bool = False
    tags_at_most: int = 0
    refs_at_most: int = 0
    commit_limit: int = 0
    clone_path: str = "/{owner}/{name}.git"
    realm: str = ""

    def requests(self, changes: Sequence[RefChange]) -> tuple[HookRequest, ...]:
        """What one push makes, in order; without regard to who subscribed to it."""
        told = self._within_limits(changes)
        if self.together:
            names = {event: None for change in told for event in self.events.get((change.kind, change.action), ())}
            return tuple(HookRequest(event, tuple(told)) for event in names)
        return tuple(
            HookRequest(event, (change,))
            for change in told
            for event in self.events.get((change.kind, change.action), ())
        )

    def pull_requests(self, happened: str) -> tuple[HookRequest, ...]:
        """What it makes that a pull request was opened, synchronized, merged, closed or reopened."""
        return tuple(HookRequest(event) for event in self.events.get(("pull", happened), ()))

    def subscribed(self, words: Iterable[str]) -> tuple[str, ...]:
        """The platform's own names for the events a hook was registered with."""
        return tuple(dict.fromkeys(event for word in words for event in self.aliases.get(word, (word,))))

    def _within_limits(self, changes: Sequence[RefChange]) -> list[RefChange]:
        told = list(changes)
        if self.tags_at_most and sum(change.kind == "tag" for change in told) > self.tags_at_most:
            told = [change for change in told if change.kind != "tag"]
        if self.refs_at_most:
            groups: dict[Cause, int] = {}
            for change in told:
                groups[change.kind, change.action] = groups.get((change.kind, change.action), 0) + 1
            told = [change for change in told if groups[change.kind, change.action] <= self.refs_at_most]
        return told


def _table(**rows: str) -> Mapping[Cause, tuple[str, ...]]:
    """`branch_created="create push"` and so on, as the mapping a persona has."""
    return MappingProxyType(
        {
            (kind, happened): tuple(events.split())
            for key, events in rows.items()
            for kind, _, happened in [key.partition("_")]
        }
    )


def _every(kind: str, event: str) -> dict[str, str]:
    return {f"{kind}_{action}": event for action in ("created", "updated", "deleted")}


_GITEA = Persona(
    name="gitea",
    habit="gitea",
    realm="Gitea",
    events=_table(
        branch_created="create push",
        branch_updated="push",
        branch_deleted="delete",
        tag_created="push create",
        tag_updated="push create",
        tag_deleted="push delete",
        pull_opened="pull_request",
        pull_closed="pull_request",
        pull_merged="pull_request",
        pull_reopened="pull_request",
        pull_edited="pull_request",
        pull_synchronized="pull_request_sync",
    ),
    default_events=("push",),
    commit_limit=10,
)

_ROWS = (
    Persona(
        name="github",
        habit="github",
        realm="GitHub",
        events=_table(
            branch_created="push create",
            branch_updated="push",
            branch_deleted="push delete",
            tag_created="push create",
            tag_updated="push",
            tag_deleted="push delete",
            pull_opened="pull_request",
            pull_closed="pull_request",
            pull_merged="pull_request",
            pull_reopened="pull_request",
            pull_edited="pull_request",
            pull_synchronized="pull_request",
        ),
        default_events=("push",),
        tags_at_most=3,
        commit_limit=2048,
    ),
    Persona(
        name="gitlab",
        habit="gitlab",
        realm="GitLab",
        events=_table(
            **_every("branch", "push"),
            **_every("tag", "tag_push"),
            pull_opened="merge_request",
            pull_closed="merge_request",
            pull_merged="merge_request",
            pull_reopened="merge_request",
            pull_edited="merge_request",
            pull_synchronized="merge_request",
        ),
        default_events=("push",),
        aliases={"tag": ("tag_push",), "pull_request": ("merge_request",)},
        refs_at_most=3,
        commit_limit=20,
    ),
    Persona(
        name="bitbucket",
        habit="bitbucket",
        realm="Bitbucket.org HTTP",
        events=_table(
            **_every("branch", "repo:push"),
            **_every("tag", "repo:push"),
            pull_opened="pullrequest:created",
            pull_closed="pullrequest:rejected",
            pull_merged="pullrequest:fulfilled",
            pull_edited="pullrequest:updated",
            pull_synchronized="pullrequest:updated",
        ),
        default_events=("repo:push",),
        aliases={
            "push": ("repo:push",),
            "pull_request": (
                "pullrequest:created",
                "pullrequest:updated",
                "pullrequest:fulfilled",
                "pullrequest:rejected",
            ),
        },
        together=True,
        commit_limit=5,
    ),
    Persona(
        name="bitbucket-data-center",
        habit="bitbucket-data-center",
        realm="Atlassian Bitbucket",
        events=_table(
            **_every("branch", "repo:refs_changed"),
            **_every("tag", "repo:refs_changed"),
            pull_opened="pr:opened",
            pull_closed="pr:declined",
            pull_merged="pr:merged",
            pull_reopened="pr:reopened",
            pull_edited="pr:modified",
            pull_synchronized="pr:from_ref_updated",
        ),
        default_events=("repo:refs_changed",),
        aliases={
            "push": ("repo:refs_changed",),
            "pull_request": ("pr:opened", "pr:modified", "pr:from_ref_updated", "pr:merged", "pr:declined"),
        },
        together=True,
        commit_limit=25,
        clone_path="/scm/{owner}/{name}.git",
    ),
    Persona(
        name="azure-devops",
        habit="azure-devops",
        realm="Azure DevOps",
        # `git.pullrequest.merged` tells that a merge was attempted, not that one happened (platforms.md 1.7).
        events=_table(
            **_every("branch", "git.push"),
            **_every("tag", "git.push"),
            pull_opened="git.pullrequest.created git.pullrequest.merged",
            pull_closed="git.pullrequest.updated",
            pull_merged="git.pullrequest.updated git.pullrequest.merged",
            pull_reopened="git.pullrequest.updated",
            pull_synchronized="git.pullrequest.updated git.pullrequest.merged",
        ),
        default_events=("git.push",),
        aliases={
            "push": ("git.push",),
            "pull_request": ("git.pullrequest.created", "git.pullrequest.updated", "git.pullrequest.merged"),
        },
        together=True,
        commit_limit=25,
        clone_path="/{owner}/_git/{name}",
    ),
    _GITEA,
    attrs.evolve(_GITEA, name="forgejo", habit="forgejo", realm="Forgejo"),
)

PERSONAS: Mapping[str, Persona] = MappingProxyType({row.name: row for row in _ROWS})


def wants(hook: Hook, event: str, changes: Sequence[RefChange] = ()) -> bool:
    """True if an active hook asked for this event, and for this branch.

    `pull_request` stands for its finer events, as in Gitea. A branch filter lets tags pass, and events
    without a branch.
    """
    coarse = "pull_request" if event.startswith("pull_request_") else event
    if not hook.active or not {event, coarse, "*"} & set(hook.events):
        return False
    if hook.branch_filter in {"", "*"} or not changes:
        return True
    return any(change.kind == "tag" or branch_matches(hook.branch_filter, change.short) for change in changes)


def branch_matches(pattern: str, branch: str) -> bool:
    """A glob over branch names: `*` and `?` match slashes too, `{a,b}` is either; a broken one matches nothing."""
    try:
        return re.fullmatch("".join(_translated(pattern)), branch, re.DOTALL) is not None
    except re.error:
        return False


_PIECE = re.compile(r"\\.|\*+|\[!?[^\]]+\]|.", re.DOTALL)
_MEANINGS = {"?": ".", "{": "(?:", "}": ")", ",": "|"}


def _translated(pattern: str) -> Iterator[str]:
    depth = 0
    for piece in _PIECE.findall(pattern):
        depth += (piece == "{") - (piece == "}")
        if piece.startswith("*"):
            yield ".*"
        elif len(piece) > 2:
            # What Python means to give a meaning in sets some day, and warns of, is taken as it stands.
            inner = re.sub(r"([\[&~|\\])", r"\\\1", piece[1:-1]).replace("--", r"\-\-")
            yield f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
        elif piece == "," and not depth:
            yield ","
        elif piece in _MEANINGS:
            yield _MEANINGS[piece]
        else:
            yield re.escape(piece[-1])
