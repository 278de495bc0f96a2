"""From two listings of refs to what a push did.

Comparing the refs before and after finds every change, however it was made: a push, the API, a merge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.objects import Commit
from kargo_lab.platforms.git.repository import GitRepository
from kargo_lab.platforms.git.scene import RefChange

SEEN = ("refs/heads/", "refs/tags/")
RECENT = 10  # Gitea looks at that many commits of a new branch

Refs = Mapping[str, str]


# What `git check-ref-format` refuses, without starting a process for each of many names.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|\Z)|[./]\Z")


def check_ref_name(ref: str) -> None:
    """Raise `UsageError` for a full ref that git does not allow."""
    if _FORBIDDEN.search(ref):
        raise UsageError(f"{ref} is no name that git allows")


def changed(before: Refs, after: Refs, zeros: str) -> list[tuple[str, str, str]]:
    """(ref, old ID, new ID) of each branch and tag that differs, in the order of their names."""
    return [
        (ref, before.get(ref, zeros), after.get(ref, zeros))
        for ref in sorted(before.keys() | after.keys())
        if ref.startswith(SEEN) and before.get(ref) != after.get(ref)
    ]


def describe(store: GitRepository, before: Refs, after: Refs, *, commit_limit: int) -> tuple[RefChange, ...]:
    """Each change with the commits it brought; at most `commit_limit` of them in full."""
    return tuple(
        _change(store, before, ref, old, new, commit_limit) for ref, old, new in changed(before, after, store.zeros)
    )


def _change(store: GitRepository, before: Refs, ref: str, old: str, new: str, limit: int) -> RefChange:
    plain = RefChange(ref=ref, before=old, after=new)
    old_head = None if plain.created else _head(store, old)
    if plain.deleted:
        return RefChange(ref=ref, before=old, after=new, old_head=old_head)
    if plain.kind == "tag":
        tag, head = store.peel(new)
        return RefChange(
            ref=ref,
            before=old,
            after=new,
            tag=tag,
            head=_head(store, new),
            old_head=old_head,
            forced=not plain.created,
            base_ref=_same_head(before, head),
        )
    others = [value for name, value in before.items() if name.startswith(SEEN)]
    fresh = store.reachable([new], without=others)
    ids = fresh if plain.created or others == [old] else store.reachable([new], without=[old])
    recent = store.reachable([new], limit=RECENT) if plain.created else []
    shown = store.commits(ids[:limit])
    known = {commit.id: commit for commit in shown}
    missing = [name for name in dict.fromkeys([*recent, new]) if name not in known]
    known |= {commit.id: commit for commit in store.commits(missing)}
    return RefChange(
        ref=ref,
        before=old,
        after=new,
        head=known.get(new),
        commits=shown,
        commit_count=len(ids),
        recent=tuple(known[name] for name in recent if name in known),
        known=frozenset(ids) - frozenset(fresh),
        old_head=old_head,
        forced=not plain.created and not store.is_ancestor(old, new),
        base_ref=_same_head(before, new) if plain.created else "",
    )


def _head(store: GitRepository, object_id: str) -> Commit | None:
    head = store.peel(object_id)[1]
    return next(iter(store.commits([head] if head else [])), None)


def _same_head(before: Refs, head: str) -> str:
    return next((ref for ref, value in before.items() if ref.startswith("refs/heads/") and value == head), "")
