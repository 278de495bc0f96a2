"""From a verdict to the objects that are to be refreshed, with a reason for each one that is left alone.

Kargo finds Warehouses by an index of normalised URLs and then asks the subscriptions with that URL, one
after the other, whether a pushed tag, ref or version concerns them. Two things about it surprise:
without any qualifier everybody is refreshed, and one subscription that cannot be used makes the whole
delivery fail before anything is refreshed. Source: receivers.md 5.4 and 6.5 to 6.8.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

import attrs

from kargo_lab.errors import SelectionError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.pipeline import Promotion
from kargo_lab.resources.warehouse import GenericSubscription, Subscription, Warehouse
from kargo_lab.rules import labels
from kargo_lab.selection import Selector, build, repository_key
from kargo_lab.selection.reasons import Reason, accept, first_accepted, refuse
from kargo_lab.wire import Push, Target

WAIT_FOR_PULL_REQUEST = "git-wait-for-pr"
_ELSEWHERE = refuse("not-subscribed", "no subscription is to a repository that the delivery names")


@attrs.frozen
class MatchFailure:
    """Why nothing can be selected: the answer is an error and nobody is refreshed.

    `warehouse` is the one at fault, None where it is the criteria.
    """

    warehouse: Warehouse | None
    text: str


@attrs.frozen(kw_only=True)
class Matching:
    """Which Warehouses a push refreshes, which it leaves alone and why; or the failure that ends it.

    `declined` are the subscribers among those left alone, in no order; `among` are all Warehouses that there are.
    """

    refresh: tuple[Warehouse, ...] = ()
    declined: tuple[tuple[Warehouse, Reason], ...] = ()
    failure: MatchFailure | None = None
    because: Mapping[str, Reason] = attrs.field(factory=dict)  # by the key of each Warehouse to refresh
    among: tuple[Warehouse, ...] = attrs.field(default=(), repr=False)
    namespace: str | None = None

    @property
    def left_alone(self) -> tuple[tuple[Warehouse, Reason], ...]:
        """Everybody who is not refreshed, and why. Told when asked: of a fleet it is nearly everybody."""
        if self.failure is not None:
            reason = refuse("delivery-failed", f"the whole delivery fails: {self.failure.text}")
            return tuple((each, reason) for each in self.among)
        told = {id(warehouse): reason for warehouse, reason in self.declined}
        refreshed = {id(warehouse) for warehouse in self.refresh}
        outside = refuse("other-namespace", f"a receiver of project {self.namespace!r} does not reach other namespaces")
        return tuple(
            (each, told.get(id(each), _ELSEWHERE) if self.namespace in (None, each.namespace) else outside)
            for each in self.among
            if id(each) not in refreshed
        )


class SubscribedURLs:
    """Kargo's index: which Warehouses subscribe to a URL. Selectors are built when first asked, and kept.

    Worth keeping itself where many deliveries meet the same Warehouses.
    """

    def __init__(self, warehouses: Iterable[Warehouse], profile: Profile = LATEST) -> None:
        self.warehouses = tuple(warehouses)
        self.profile = profile
        self._selectors: dict[int, Selector | SelectionError] = {}
        self._by_url: dict[str, list[tuple[Warehouse, list[Subscription]]]] = {}
        self._urls: dict[int, set[str]] = {}
        for warehouse in self.warehouses:
            urls = self._urls[id(warehouse)] = set()
            for subscription in warehouse.spec.subscriptions:
                if url := repository_key(subscription, profile):
                    urls.add(url)
                    entries = self._by_url.setdefault(url, [])
                    if not entries or entries[-1][0] is not warehouse:
                        entries.append((warehouse, []))
                    entries[-1][1].append(subscription)

    def subscribers(self, url: str) -> tuple[Warehouse, ...]:
        """The Warehouses with a subscription to a URL in normal form."""
        return tuple(warehouse for warehouse, _ in self._by_url.get(url, ()))

    def urls(self, warehouse: Warehouse) -> Collection[str]:
        """The URLs in normal form that one of its Warehouses subscribes to."""
        return self._urls[id(warehouse)]

    def match(self, push: Push, namespace: str | None = None) -> Matching:
        """The outcome of a push, among the Warehouses of `namespace` or, for a cluster receiver, of all."""
        asked: dict[str, tuple[Warehouse, list[Reason]]] = {}
        for url in sorted(set(push.repo_urls)):
            for warehouse, subscriptions in self._by_url.get(url, ()):
                _, reasons = asked.get(warehouse.key, (warehouse, []))
                if (reasons and reasons[-1]) or namespace not in (None, warehouse.namespace):
                    continue
                try:
                    reason = self._concerns(subscriptions, push)
                except SelectionError as problem:
                    if self.profile.broken_warehouse == "fails-delivery":
                        text = f"Warehouse {warehouse.key} has a subscription that cannot be used: {problem}"
                        return Matching(failure=MatchFailure(warehouse, text), among=self.warehouses)
                    reason = refuse("broken-subscription", f"a subscription cannot be used: {problem}")
                asked.pop(warehouse.key, None)  # so that they come in the order of their last answers
                asked[warehouse.key] = warehouse, [*reasons, reason]
        return Matching(
            refresh=tuple(warehouse for warehouse, reasons in asked.values() if reasons[-1]),
            declined=tuple(
                (warehouse, first_accepted(reasons, _ELSEWHERE))
                for warehouse, reasons in asked.values()
                if not reasons[-1]
            ),
            because=MappingProxyType({key: reasons[-1] for key, (_, reasons) in asked.items() if reasons[-1]}),
            among=self.warehouses,
            namespace=namespace,
        )

    def _concerns(self, subscriptions: Sequence[Subscription], push: Push) -> Reason:
        """Whether a push concerns one of the subscriptions with its URL; the first that it does ends the question."""
        qualifiers = sorted(set(push.qualifiers) - {""})
        if not qualifiers:
            return accept("no-qualifier", "nothing tells what was pushed, so every subscriber is refreshed")
        if not self.profile.qualifiers:
            return accept("subscribed", "this release refreshes every subscriber")
        reasons: list[Reason] = []
        broken: SelectionError | None = None
        for subscription in subscriptions:
            try:
                reasons.append(self._selector(subscription).matches(qualifiers, push.changed_files))
            except SelectionError as problem:
                if self.profile.broken_warehouse == "fails-delivery":
                    raise
                broken = problem
                continue
            if reasons[-1]:
                return reasons[-1]
        if broken is not None:
            raise broken
        return first_accepted(reasons, refuse("no-match", "no subscription is concerned"))

    def _selector(self, subscription: Subscription) -> Selector:
        found = self._selectors.get(id(subscription))
        if found is None:
            assert not isinstance(subscription, GenericSubscription)  # noqa: S101 - those have no URL
            try:
                found = build(subscription, self.profile)
            except SelectionError as problem:
                found = problem
            self._selectors[id(subscription)] = found
        if isinstance(found, SelectionError):
            raise found
        return found


def match(
    push: Push, warehouses: Iterable[Warehouse], profile: Profile = LATEST, *, namespace: str | None = None
) -> Matching:
    """What a push refreshes among `warehouses`; a project receiver names its `namespace`."""
    return SubscribedURLs(warehouses, profile).match(push, namespace)


def match_promotions(
    url: str, promotions: Iterable[Promotion], profile: Profile = LATEST, *, namespace: str | None = None
) -> tuple[Promotion, ...]:
    """The running Promotions that wait for the pull request with exactly this URL."""
    if not url or not profile.promotions:
        return ()
    reached = (each for each in promotions if namespace in (None, each.namespace))
    return tuple(each for each in reached if url in _awaited(each))


def _awaited(promotion: Promotion) -> frozenset[str]:
    """The URLs under which a Promotion is found: those of the waiting steps that it has reached."""
    status = promotion.status
    if status.phase != "Running":
        return frozenset()
    reached = promotion.steps[: max(status.current_step + 1, 0)]
    aliases = (step.alias for step in reached if step.uses == WAIT_FOR_PULL_REQUEST and step.alias)
    return frozenset(filter(None, (_pull_request_url(status.state.get(alias)) for alias in aliases)))


def _pull_request_url(output: object) -> str:
    """`pr.url` of what a step wrote, empty if there is no such text."""
    request = output.get("pr") if isinstance(output, Mapping) else None
    url = request.get("url") if isinstance(request, Mapping) else None
    return url if isinstance(url, str) else ""


def select_targets(
    targets: Iterable[Target],
    index: SubscribedURLs,
    promotions: Sequence[Promotion],
    namespace: str | None,
) -> tuple[tuple[str, str, str], ...] | MatchFailure:
    """What a generic action selects: (kind, namespace, name), sorted by namespace and name, each pair once.

    A project receiver sees the objects of its `namespace` only, a cluster receiver (None) all.
    """
    candidates: dict[str, Sequence[Warehouse] | Sequence[Promotion]] = {
        "Warehouse": index.warehouses,
        "Promotion": promotions,
    }
    profile = index.profile
    found: list[tuple[str, str, str]] = []
    for target in targets:
        if target.kind not in candidates or target.kind not in profile.generic_target_kinds:
            return MatchFailure(None, f"{target.kind!r} cannot be a target; there are {', '.join(candidates)}")
        try:
            indexed = _by_index(target, index)
            labels.validate(target.labels)
        except (SelectionError, labels.SelectorError) as problem:
            return MatchFailure(None, str(problem))
        found += [
            (target.kind, each.namespace, each.name)
            for each in candidates[target.kind]
            if namespace in (None, each.namespace)
            and target.name in (None, each.name)
            and indexed(each)
            and labels.matches(target.labels, each.labels)
        ]
    # Of two kinds with one name the first found stays, in Kargo as well (B13).
    unique = {(where, name): kind for kind, where, name in reversed(found)}
    return tuple((kind, where, name) for (where, name), kind in sorted(unique.items()))


_OPERATORS = ("Equals", "NotEquals")
_INDICES = MappingProxyType({"Warehouse": "subscribedURLs", "Promotion": "pullRequestURL"})
"""The one index that the server keeps on each kind (6.5)."""


def _by_index(target: Target, index: SubscribedURLs) -> Callable[[Warehouse | Promotion], bool]:
    """The test that the index requirements amount to; raises SelectionError where Kargo's cache refuses them."""
    for _, operator, _ in target.index:
        if operator not in _OPERATORS:
            raise SelectionError("matchIndices", f"operator {operator!r} is none of {', '.join(_OPERATORS)}")
    every = index.profile.index_requirements == "all"
    # Each list option replaces the field selector of the one before it, so the last one alone has effect.
    effective = target.index if every else target.index[-1:]
    for key, operator, _ in effective:
        if key != _INDICES[target.kind]:
            raise SelectionError("matchIndices", f"there is no index {key!r} on {target.kind}")
        if operator != "Equals" and not every:
            raise SelectionError("matchIndices", "the cache takes exact matches only, so NotEquals cannot work")

    def holds(each: Warehouse | Promotion) -> bool:
        if not effective:
            return True
        held = index.urls(each) if isinstance(each, Warehouse) else _awaited(each)
        return all((value in held) == (operator == "Equals") for _, operator, value in effective)

    return holds
