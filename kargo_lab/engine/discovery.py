"""One discovery of all of a Warehouse's subscriptions: order, credentials, and what a failure costs.

Who answers is an argument: the network (`sources.images`, `sources.git`, `sources.charts`), or a world
in memory (`sources.memory`) for simulations. Source: discovery.md 2.3, 3.1, 4.1, 9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs

from kargo_lab.engine.clock import Clock
from kargo_lab.errors import LabError, SelectionError
from kargo_lab.profiles import Profile
from kargo_lab.resources.artifacts import (
    ChartDiscovery,
    CommitDiscovery,
    DiscoveredArtifacts,
    GenericDiscovery,
    ImageDiscovery,
    SubscriptionResult,
)
from kargo_lab.resources.configuration import Secret
from kargo_lab.resources.warehouse import Subscription, Warehouse
from kargo_lab.sources import charts, credentials, git, images
from kargo_lab.sources.shared import Context, Shared, Witness

Discover = Callable[[Any, Context], SubscriptionResult]
"""Answers one subscription; raises LabError."""

NETWORK: Mapping[str, Discover] = MappingProxyType(
    {"git": git.discover, "image": images.discover, "chart": charts.discover}
)
CREDENTIAL_KINDS = MappingProxyType({"git": "git", "image": "image", "chart": "helm"})
_KIND_ORDER = ("git", "image", "chart", "generic")


@attrs.frozen(kw_only=True)
class Failure:
    """One subscription that could not be discovered."""

    subscription: int
    error: LabError

    def __str__(self) -> str:
        return str(self.error)


@attrs.frozen(kw_only=True)
class Found:
    """The results, and what failed. As Kargo has it, a failure leaves no results at all."""

    artifacts: DiscoveredArtifacts
    failures: tuple[Failure, ...] = ()

    @property
    def error(self) -> str:
        """All failures in one text; empty if there are none."""
        return "; ".join(str(failure) for failure in self.failures)


@attrs.frozen(kw_only=True)
class Discoverer:
    """What discovery needs beside the Warehouse. `sources` answers by type of subscription."""

    shared: Shared
    sources: Mapping[str, Discover] = NETWORK
    secrets: Callable[[], Sequence[Secret]] = tuple

    def discover(self, warehouse: Warehouse, clock: Clock, *, previous: DiscoveredArtifacts | None = None) -> Found:
        """Ask for every subscription in turn. `previous` is the last result, if it belongs to this very spec."""
        profile = self.shared.profile
        earlier = _earlier(warehouse, previous)
        results: dict[int, SubscriptionResult] = {}
        failures: list[Failure] = []
        for index, subscription in _in_order(warehouse, profile):
            try:
                context = self._context(warehouse, clock, index, earlier=earlier.get(index))
                results[index] = self._ask(subscription, context)
            except LabError as error:
                failures.append(Failure(subscription=index, error=error))
                if profile.broken_subscription == "discards-all":
                    return Found(artifacts=DiscoveredArtifacts(), failures=tuple(failures))
                if index in earlier:
                    results[index] = earlier[index]
        return Found(artifacts=_assembled(results), failures=tuple(failures))

    def discover_one(
        self, warehouse: Warehouse, index: int, clock: Clock, *, witness: Witness | None = None
    ) -> SubscriptionResult:
        """Ask for one subscription alone; `witness` is told why each candidate was taken or left."""
        return self._ask(warehouse.spec.subscriptions[index], self._context(warehouse, clock, index, witness=witness))

    def _context(
        self,
        warehouse: Warehouse,
        clock: Clock,
        index: int,
        *,
        earlier: SubscriptionResult | None = None,
        witness: Witness | None = None,
    ) -> Context:
        subscription = warehouse.spec.subscriptions[index]
        settings, kind = self.shared.settings, CREDENTIAL_KINDS.get(subscription.TYPE)
        found = credentials.NO_CREDENTIALS
        if kind is not None and (secrets := self.secrets()):
            found = credentials.find(
                secrets,
                kind=kind,
                repo_url=str(getattr(subscription, "repo_url", "")),
                namespace=warehouse.namespace,
                shared_namespace=settings.shared_namespace,
                allow_over_http=settings.allow_credentials_over_http,
                profile=self.shared.profile,
            )
        return Context(
            shared=self.shared,
            clock=clock,
            warehouse=warehouse.key,
            subscription=index,
            credentials=found,
            previous=earlier if isinstance(earlier, CommitDiscovery) else None,
            witness=witness,
        )

    def _ask(self, subscription: Subscription, context: Context) -> SubscriptionResult:
        answer = self.sources.get(subscription.TYPE)
        if answer is None:
            kind = getattr(subscription, "kind", subscription.TYPE)
            raise SelectionError(kind, "no subscriber is registered for subscriptions of this type")
        return answer(subscription, context)


def _in_order(warehouse: Warehouse, profile: Profile) -> list[tuple[int, Subscription]]:
    numbered = list(enumerate(warehouse.spec.subscriptions))
    if profile.discovery_order == "by-type":
        numbered.sort(key=lambda pair: _KIND_ORDER.index(pair[1].TYPE))
    return numbered


def _earlier(warehouse: Warehouse, previous: DiscoveredArtifacts | None) -> dict[int, SubscriptionResult]:
    """Earlier results by the place of their subscription; paired by position within a kind, as Kargo pairs them."""
    if previous is None:
        return {}
    queues: dict[str, list[SubscriptionResult]] = {
        "git": list(previous.git),
        "image": list(previous.images),
        "chart": list(previous.charts),
        "generic": list(previous.results),
    }
    found = {}
    for index, subscription in enumerate(warehouse.spec.subscriptions):
        if queue := queues[subscription.TYPE]:
            found[index] = queue.pop(0)
    return found


def _assembled(results: Mapping[int, SubscriptionResult]) -> DiscoveredArtifacts:
    ordered = [results[index] for index in sorted(results)]
    return DiscoveredArtifacts(
        git=tuple(each for each in ordered if isinstance(each, CommitDiscovery)),
        images=tuple(each for each in ordered if isinstance(each, ImageDiscovery)),
        charts=tuple(each for each in ordered if isinstance(each, ChartDiscovery)),
        results=tuple(each for each in ordered if isinstance(each, GenericDiscovery)),
    )
