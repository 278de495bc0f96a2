"""Commits of one subscription, found with the git commands that Kargo runs: discovery.md 4.

First the remote is asked for its refs, and if they are what the last pass saw, that is all. Else it
is cloned and the selector judges what is found in the clone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC
from urllib.parse import urlsplit

import attrs

from kargo_lab.errors import UpstreamError
from kargo_lab.profiles import Profile
from kargo_lab.resources.artifacts import Commit, CommitDiscovery, Observation
from kargo_lab.resources.warehouse import GitSubscription
from kargo_lab.selection import commits as selection
from kargo_lab.selection.commits import CommitFacts, CommitSelector, TagFacts
from kargo_lab.selection.reasons import Reason
from kargo_lab.sources import git_commands
from kargo_lab.sources.lean import Question
from kargo_lab.sources.shared import BEYOND_LIMIT, TAKEN, Context, Witness

log = logging.getLogger(__name__)

Paths = Callable[[str], Iterable[str]]
Batch = Callable[[int, int], tuple[CommitFacts, ...]]
"""So many commits after skipping so many."""


def discover(subscription: GitSubscription, context: Context) -> CommitDiscovery:
    """The commits that the subscription takes, best first. Raises SelectionError, ExpressionError or UpstreamError."""
    selector = context.shared.selector(subscription, selection.build)
    lean = context.shared.lean
    observed = _observe(selector, context) if context.profile.ls_remote_short_circuit or lean is not None else None
    if (unchanged := reusable(subscription, context.previous, observed)) is not None:
        return unchanged
    return CommitDiscovery(
        repo_url=subscription.repo_url,
        commits=_commits(selector, context, observed),
        subscription_name=subscription.name,
        observed=observed,
    )


def reusable(
    subscription: GitSubscription, previous: CommitDiscovery | None, observed: Observation | None
) -> CommitDiscovery | None:
    """The previous result, if the remote looks as it did then (SG:244-305); the URL is compared as written."""
    if previous is None or previous.repo_url != subscription.repo_url:
        return None
    return previous if observed is not None and observed == previous.observed else None


def _observe(selector: CommitSelector, context: Context) -> Observation | None:
    """What the remote shows; a failure is only logged, and the clone will show whether it matters."""
    subscription = selector.subscription
    verify = not subscription.insecure_skip_tls_verify
    try:
        if (lean := context.shared.lean) is not None:
            question = _question(selector, context, "ls-remote")
            return selector.observation(lean.seen(question, context, lambda _: _every_ref(subscription, context)))
        with git_commands.home(context, subscription.repo_url, verify_tls=verify) as git:
            return selector.observation(git.ls_remote(selector.remote_pattern))
    except UpstreamError as error:
        log.warning("refs cannot be listed, cloning instead: %s", error)
        return None


def _every_ref(subscription: GitSubscription, context: Context) -> tuple[tuple[str, str], ...]:
    verify = not subscription.insecure_skip_tls_verify
    with git_commands.home(context, subscription.repo_url, verify_tls=verify) as git:
        return git.every_ref()


def _question(selector: CommitSelector, context: Context, kind: str, *rest: object) -> Question:
    subscription = selector.subscription
    how = (subscription.repo_url, subscription.insecure_skip_tls_verify, context.credentials)
    return Question(kind=kind, source=urlsplit(subscription.repo_url).netloc.rpartition("@")[2], rest=(*how, *rest))


def _commits(selector: CommitSelector, context: Context, observed: Observation | None) -> tuple[Commit, ...]:
    """The commits, in lean mode those that another Warehouse found with the same subscription behind the same refs."""
    lean, subscription = context.shared.lean, selector.subscription
    depends_on_the_hour = subscription.since or "now()" in subscription.expression_filter
    if lean is None or observed is None or depends_on_the_hour or context.witness is not None:
        return _clone_and_select(selector, context)
    question = _question(selector, context, "clone", attrs.evolve(subscription, name=""), observed)
    return lean.lasting(question, context, lambda: _clone_and_select(selector, context))


def _clone_and_select(selector: CommitSelector, context: Context) -> tuple[Commit, ...]:
    subscription, profile = selector.subscription, context.profile
    follows_branch = not selector.by_tags or profile.tag_clone_branch == "configured"
    blobless = bool(subscription.blobless) and profile.blobless == "opt-in"
    verify = not subscription.insecure_skip_tls_verify
    with git_commands.home(context, subscription.repo_url, verify_tls=verify) as git:
        git.clone(branch=subscription.branch if follows_branch else "", blobless=blobless)
        if selector.by_tags:
            return from_tags(selector, git.tags(), git.changed_paths, context.witness)
        since = subscription.since if profile.git_since else ""

        def batch(count: int, skip: int) -> tuple[CommitFacts, ...]:
            return git.log(count=count, skip=skip, since=since)

        return from_branch(selector, batch, git.changed_paths, context.witness)


def from_branch(
    selector: CommitSelector, batch: Batch, paths: Paths, witness: Witness | None = None
) -> tuple[Commit, ...]:
    """Walk a branch in batches: expression first, then paths, until enough are kept (GNB:176-235)."""
    tell = witness or _nobody
    kept: list[Commit] = []
    skip = 0
    for size in selector.batch_sizes():
        listed = batch(size, skip)
        for facts in listed:
            reason = _judge(selector, facts, paths)
            tell(f"{facts.id[:12]} {facts.subject}", TAKEN if reason else reason)
            if reason:
                kept.append(_commit(facts, selector))
                if len(kept) == selector.limit:
                    return tuple(kept)
        if not listed or not selector.filters:
            break
        skip += size
    return tuple(kept)


def from_tags(
    selector: CommitSelector, tags: Iterable[TagFacts], paths: Paths, witness: Witness | None = None
) -> tuple[Commit, ...]:
    """Order the tags as the strategy does, and look at paths until enough are kept (GTB:279-342)."""
    listed = tuple(tags)
    ordered = selector.order(listed)
    if witness is not None:
        for facts in listed:
            if not (reason := selector.judge_tag(facts.name) and selector.expression_reason(facts)):
                witness(facts.name, reason)
    tell = witness or _nobody
    kept: list[Commit] = []
    for place, facts in enumerate(ordered):
        reason = selector.paths_reason(tuple(paths(facts.id)) if selector.paths else ())
        tell(facts.name, TAKEN if reason else reason)
        if reason:
            kept.append(_tagged(facts, selector.profile))
        if len(kept) == selector.limit:
            for other in ordered[place + 1 :]:
                tell(other.name, BEYOND_LIMIT)
            break
    return tuple(kept)


def _nobody(_name: str, _reason: Reason) -> None:
    """Nobody wants to know."""


def _judge(selector: CommitSelector, facts: CommitFacts, paths: Paths) -> Reason:
    if not selector.filters:
        return TAKEN
    if not (reason := selector.expression_reason(facts)):
        return reason
    return selector.paths_reason(tuple(paths(facts.id)) if selector.paths else ())


def _commit(facts: CommitFacts, selector: CommitSelector) -> Commit:
    return Commit(
        id=facts.id,
        branch=selector.subscription.branch,
        subject=shortened(facts.subject, selector.profile),
        author=facts.author,
        committer=facts.committer,
        creator_date=facts.date.astimezone(UTC),
    )


def _tagged(facts: TagFacts, profile: Profile) -> Commit:
    return Commit(
        id=facts.id,
        tag=facts.name,
        subject=shortened(facts.subject, profile),
        author=facts.author,
        committer=facts.committer,
        creator_date=facts.date.astimezone(UTC),
    )


def shortened(subject: str, profile: Profile) -> str:
    """A subject as status keeps it: at most 80 bytes, of which the last three say that there was more (GCM:24-29)."""
    limit, kept = profile.subject_bytes
    encoded = subject.encode(errors="replace")
    return subject if len(encoded) <= limit else encoded[:kept].decode(errors="replace") + "..."
