"""Path lists: does a commit, or a push, touch what a subscription cares about?

The same lists judge a commit at discovery and a push in the webhook filter; the two differ in what no
files mean: a commit that changes nothing is of no interest, a push whose files are unknown may be.
Source: discovery.md 4.6; receivers.md 6.7.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from kargo_lab.errors import PatternError, SelectionError
from kargo_lab.resources.warehouse import GitSubscription
from kargo_lab.rules import patterns
from kargo_lab.rules.patterns import Selector
from kargo_lab.selection.reasons import Reason, accept, refuse


@attrs.frozen
class PathRules:
    """A path counts if it is included, no include list including everything, and not excluded."""

    include: tuple[Selector, ...]
    exclude: tuple[Selector, ...]

    def __bool__(self) -> bool:
        """False if there is nothing to judge."""
        return bool(self.include or self.exclude)

    def counts(self, path: str) -> bool:
        """Whether one path is of interest."""
        included = not self.include or any(selector.matches(path) for selector in self.include)
        return included and not any(selector.matches(path) for selector in self.exclude)

    def judge_commit(self, changed: Sequence[str]) -> Reason:
        """Whether one of a commit's paths is of interest; without lists every path is, and no path never."""
        for path in changed:
            if self.counts(path):
                return accept("paths", f"{path!r} is included and not excluded")
        if not changed:
            return refuse("paths", "the commit changes no paths")
        return refuse("paths", f"none of the {len(changed)} changed paths is included and not excluded")

    def judge_push(self, changed: Sequence[str], *, quoted_too: bool = False) -> Reason:
        """Whether one of a push's files is of interest; not knowing any is a yes.

        `quoted_too` also looks at the spelling that discovery gets from git for odd names.
        """
        if not changed:
            return accept("unknown-files", "nothing is known about changed files")
        reason = self.judge_commit(changed)
        if reason or not quoted_too:
            return reason
        return self.judge_commit([as_git_prints(path) for path in changed])


def path_rules(subscription: GitSubscription) -> PathRules:
    """The lists of a subscription; raises SelectionError for a pattern that does not compile."""
    return PathRules(
        _selectors("includePaths", subscription.include_paths), _selectors("excludePaths", subscription.exclude_paths)
    )


def _selectors(field: str, texts: tuple[str, ...]) -> tuple[Selector, ...]:
    try:
        return tuple(patterns.path_selector(text) for text in texts)
    except PatternError as problem:
        raise SelectionError(field, problem.message) from problem


_ODD = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')
_NAMED = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}


def as_git_prints(path: str) -> str:
    """A path as git lists it: in quotes and escaped if it holds control characters, quotes or bytes beyond ASCII."""
    data = path.encode(errors="surrogatepass")
    if not _ODD.search(data):
        return path
    escaped = _ODD.sub(lambda found: f"\\{_NAMED.get(found[0][0], f'{found[0][0]:03o}')}".encode(), data)
    return f'"{escaped.decode()}"'
