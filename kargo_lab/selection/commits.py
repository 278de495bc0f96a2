"""Which commits a subscription takes: one selector for discovery and for the webhook filter.

Discovery asks in Kargo's order, cheap things first: what the remote shows (`observation`), which refs by
name, then per commit or tag the expression, then its paths, which cost a git command each. A webhook knows
refs and perhaps files and asks `matches`; it looks at names and paths only.

Kargo's filter misses four things that its discovery takes: pushes to a default branch that is called neither
main nor master (B8 of receivers.md), files whose names git quotes, tags that share their name with the cloned
branch, and with paths a commit whose files the platform listed otherwise than git. The profile with a
sound filter lets the first three through; the last is the platform's. Source: discovery.md 4; receivers.md 6.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import attrs

from kargo_lab.errors import ExpressionError, SelectionError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.artifacts import Observation
from kargo_lab.resources.warehouse import GitSubscription
from kargo_lab.rules import expressions
from kargo_lab.rules.versions import Version
from kargo_lab.selection.names import TagRules, VersionRules, by_precedence, tag_rules, version_rules
from kargo_lab.selection.paths import PathRules, path_rules
from kargo_lab.selection.reasons import Reason, accept, first_accepted, refuse

HEADS, TAGS = "refs/heads/", "refs/tags/"
PEELED = "^{}"
MOST_OBSERVED_TAGS = 1000
MOST_COMMITS_A_BATCH = 1000
DEFAULT_BRANCHES = ("main", "master")


@attrs.frozen(kw_only=True)
class CommitFacts:
    """One commit of a branch; `date` is the committer's, in the zone that the commit records."""

    id: str
    date: datetime
    author: str = ""
    committer: str = ""
    subject: str = ""

    def environment(self) -> dict[str, Any]:
        """What an expression filter sees."""
        return expressions.commit_variables(
            commit_id=self.id, commit_date=self.date, author=self.author, committer=self.committer, subject=self.subject
        )


@attrs.frozen(kw_only=True)
class TagFacts:
    """One tag, `name` as git prints it; `tagger` and `annotation` are empty for lightweight tags."""

    name: str
    id: str
    date: datetime
    author: str = ""
    committer: str = ""
    subject: str = ""
    tagger: str = ""
    annotation: str = ""

    def environment(self) -> dict[str, Any]:
        """What an expression filter sees."""
        return expressions.tag_variables(
            tag=self.name,
            commit_id=self.id,
            creator_date=self.date,
            author=self.author,
            committer=self.committer,
            subject=self.subject,
            tagger=self.tagger,
            annotation=self.annotation,
        )


@attrs.frozen(kw_only=True)
class CommitSelector:
    """One git subscription, ready to judge."""

    subscription: GitSubscription
    profile: Profile = attrs.field(repr=False)
    strategy: str
    paths: PathRules
    expression: expressions.Program | None
    tags: TagRules | None = None  # None: NewestFromBranch reads no lists
    versions: VersionRules | None = None  # SemVer only

    @property
    def limit(self) -> int:
        """How many commits discovery keeps at most."""
        return self.subscription.discovery_limit

    @property
    def by_tags(self) -> bool:
        """True for the strategies that choose among tags."""
        return self.tags is not None

    @property
    def remote_pattern(self) -> str:
        """What to ask the remote for before anything is cloned."""
        if self.by_tags:
            return f"{TAGS}*"
        return f"{HEADS}{self.subscription.branch}" if self.subscription.branch else "HEAD"

    def observation(self, refs: Iterable[tuple[str, str]]) -> Observation | None:
        """What the remote's refs (name, ID) amount to; None equals no earlier observation.

        Peeled entries are dropped, so an annotated tag counts with its own ID.
        """
        if self.tags is None:
            head = next((id_ for name, id_ in refs if name == self.remote_pattern), None)
            return None if head is None else Observation(branch_head=head)
        tags = ((name, id_) for name, id_ in refs if name.startswith(TAGS) and not name.endswith(PEELED))
        named = ((name.removeprefix(TAGS), id_) for name, id_ in tags)
        taken = sorted((name, id_) for name, id_ in named if self.judge_tag(name))
        return Observation(tags=tuple(taken)) if len(taken) <= MOST_OBSERVED_TAGS else None

    def judge_tag(self, name: str) -> Reason:
        """Whether the strategy takes a tag of this name, without `refs/tags/`."""
        if self.tags is None:
            return refuse("strategy", f"{self.strategy} follows a branch, and {name!r} is a tag")
        reason = self.tags.judge(name)
        return self.versions.judge(name) if reason and self.versions is not None else reason

    def judge_ref(self, ref: str) -> Reason:
        """Whether a push of this ref, with its full name, may be of interest."""
        if self.by_tags:
            if not ref.startswith(TAGS):
                return refuse("strategy", f"{self.strategy} follows tags, and {ref!r} is none")
            name = ref.removeprefix(TAGS)
            reason = self.judge_tag(name)
            if reason or not self.profile.sound_filter:
                return reason
            # Git prints the name so where a branch is called the same, and discovery reads what git prints.
            return self.judge_tag(f"tags/{name}") or reason
        if not ref.startswith(HEADS):
            return refuse("strategy", f"{self.strategy} follows a branch, and {ref!r} is none")
        name, branch = ref.removeprefix(HEADS), self.subscription.branch
        if branch:
            if name == branch:
                return accept("branch", f"{name!r} is the branch of the subscription")
            return refuse("branch", f"{name!r} is not the branch of the subscription, {branch!r}")
        if name in DEFAULT_BRANCHES:
            return accept("branch", f"no branch is named, and {name!r} is taken for the default branch")
        if self.profile.sound_filter:
            return accept("branch", f"no branch is named, and {name!r} may be the default branch")
        return refuse("branch", f"no branch is named, and only main and master are taken for the default, not {name!r}")

    def matches(self, qualifiers: Sequence[str], changed_files: Sequence[str] = ()) -> Reason:
        """Whether a push of these refs and files may be of interest."""
        none = refuse("no-qualifier", "none of the refs is one that the subscription follows")
        reason = first_accepted(map(self.judge_ref, qualifiers), none)
        if not reason or not changed_files or not self.profile.path_filtering or not self.paths:
            return reason
        return self.paths.judge_push(changed_files, quoted_too=self.profile.sound_filter)

    @property
    def filters(self) -> bool:
        """False if discovery takes commits as they come."""
        return self.expression is not None or bool(self.paths)

    def batch_sizes(self) -> Iterator[int]:
        """How many commits to list at a time: the limit first, then more, until a batch comes back empty."""
        size = self.limit
        while True:
            yield size
            if self.profile.commit_batches == "doubling":
                size = min(2 * size, MOST_COMMITS_A_BATCH)

    def expression_reason(self, facts: CommitFacts | TagFacts, *, now: datetime | None = None) -> Reason:
        """Whether the expression takes a commit or tag; asked first. Raises ExpressionError, which fails the pass.

        `now` is the moment of an expression that asks for it.
        """
        if self.expression is None:
            return accept("no-expression", "no expression filters")
        text = self.subscription.expression_filter
        if expressions.accepted(self.expression.run(facts.environment(), now=now)):
            return accept("expression", f"{text!r} holds")
        return refuse("expression", f"{text!r} does not hold")

    def paths_reason(self, changed: Sequence[str]) -> Reason:
        """Whether the paths of a commit count; asked only if `paths` is true, after the expression."""
        return self.paths.judge_commit(changed) if self.paths else accept("no-paths", "no path list filters")

    def order(self, tags: Iterable[TagFacts], *, now: datetime | None = None) -> tuple[TagFacts, ...]:
        """The tags to look at, best first, from all as git lists them, newest first; names and expression are judged.

        Not cut: with path lists the caller asks `paths_reason` tag by tag until the limit is reached.
        """
        taken = [tag for tag in tags if self.judge_tag(tag.name)]
        taken = [tag for tag in taken if self.expression_reason(tag, now=now)]
        if self.versions is not None:
            by_name = {tag.name: tag for tag in taken}
            read = [self.versions.read(name) for name in by_name]
            return tuple(by_name[name] for name in by_precedence([one for one in read if isinstance(one, Version)]))
        if self.strategy == "Lexical":
            taken.sort(key=lambda tag: tag.name, reverse=True)
        return tuple(taken)


_Settings = dict[str, TagRules | VersionRules]


def _from_branch(_subscription: GitSubscription, _profile: Profile) -> _Settings:
    return {}


def _by_name(subscription: GitSubscription, profile: Profile) -> _Settings:
    return {"tags": tag_rules(subscription, profile)}


def _semver(subscription: GitSubscription, profile: Profile) -> _Settings:
    # Past admission an absent `strictSemvers` is not strict.
    strict, constraint = bool(subscription.strict_semvers), subscription.semver_constraint
    versions = version_rules(strict=strict, field="semverConstraint", constraint=constraint, profile=profile)
    return {"tags": tag_rules(subscription, profile), "versions": versions}


_STRATEGIES: Mapping[str, Callable[[GitSubscription, Profile], _Settings]] = MappingProxyType(
    {"NewestFromBranch": _from_branch, "SemVer": _semver, "Lexical": _by_name, "NewestTag": _by_name}
)


def _expression(subscription: GitSubscription, profile: Profile) -> expressions.Program | None:
    if not subscription.expression_filter:
        return None
    try:
        return expressions.compile(subscription.expression_filter, version=profile.expr_version)
    except ExpressionError as problem:
        raise SelectionError("expressionFilter", problem.message) from problem


def build(subscription: GitSubscription, profile: Profile = LATEST) -> CommitSelector:
    """The selector of a subscription; raises SelectionError where Kargo cannot build one."""
    strategy = subscription.commit_selection_strategy or "NewestFromBranch"
    if strategy not in _STRATEGIES:
        raise SelectionError("commitSelectionStrategy", f"{strategy!r} is none of {', '.join(_STRATEGIES)}")
    return CommitSelector(
        subscription=subscription,
        profile=profile,
        strategy=strategy,
        expression=_expression(subscription, profile),
        paths=path_rules(subscription),
        **_STRATEGIES[strategy](subscription, profile),  # type: ignore[arg-type] # keys and types agree, see above
    )
