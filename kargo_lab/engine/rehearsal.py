"""A discovery without consequences: what would be found now, why the others were not, and the ledger."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import attrs
import pandas as pd

from kargo_lab.engine.clock import Clock, WallClock
from kargo_lab.engine.discovery import NETWORK, Discover, Discoverer
from kargo_lab.errors import LabError, UsageError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.artifacts import ChartDiscovery, CommitDiscovery, ImageDiscovery, SubscriptionResult
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GenericSubscription,
    GitSubscription,
    ImageSubscription,
    Subscription,
    Warehouse,
)
from kargo_lab.selection.reasons import Reason
from kargo_lab.sources.ledger import Ledger, LedgerRow
from kargo_lab.sources.shared import OperatorSettings, Shared


@attrs.frozen(kw_only=True)
class Rehearsed:
    """One subscription: `found` best first, as lines for people; `left_out` are names with a sentence each."""

    warehouse: str
    kind: str
    repo_url: str
    found: tuple[str, ...] = ()
    dates: tuple[datetime, ...] = ()  # of what was found, where it has one; charts and versions have none
    left_out: tuple[tuple[str, str], ...] = ()
    error: str = ""


@attrs.frozen(kw_only=True)
class Rehearsal:
    """All subscriptions, and what asking for them cost."""

    subscriptions: tuple[Rehearsed, ...]
    rows: tuple[LedgerRow, ...]
    totals: pd.DataFrame

    @property
    def good(self) -> bool:
        """True if every subscription found something."""
        return all(each.found for each in self.subscriptions)

    @property
    def requests(self) -> tuple[LedgerRow, ...]:
        """The rows that are HTTP requests."""
        return tuple(row for row in self.rows if row.is_request)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "subscriptions": [
                {
                    "warehouse": each.warehouse,
                    "kind": each.kind,
                    "repoURL": each.repo_url,
                    "found": list(each.found),
                    "leftOut": [{"name": name, "reason": reason} for name, reason in each.left_out],
                    "error": each.error,
                }
                for each in self.subscriptions
            ],
            "ledger": [attrs.asdict(row) | {"time": row.time.isoformat()} for row in self.rows],
        }


def rehearse(
    resources: Resources,
    *,
    profile: Profile = LATEST,
    names: Sequence[str] = (),
    against: str = "",
    settings: OperatorSettings | None = None,
    sources: Mapping[str, Discover] = NETWORK,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
) -> Rehearsal:
    """Discover every subscription of the Warehouses (of those named, if any are) once.

    `against` is the base URL of a host to ask instead of those in the subscriptions.
    """
    chosen = [each for each in resources.warehouses if not names or each.name in names or each.key in names]
    if not chosen:
        wanted = f"none is called {' or '.join(names)}" if names else "there is none in these files"
        raise UsageError(f"no Warehouse to discover: {wanted}")
    ledger, clock = Ledger(), clock or WallClock()
    shared = Shared(
        ledger=ledger,
        profile=profile,
        settings=settings,
        environment=os.environ if environment is None else environment,
    )
    discoverer = Discoverer(shared=shared, sources=sources, secrets=lambda: resources.secrets)
    rehearsed = []
    for warehouse in chosen:
        subscriptions = tuple(redirected(each, against) for each in warehouse.spec.subscriptions)
        moved = attrs.evolve(warehouse, spec=attrs.evolve(warehouse.spec, subscriptions=subscriptions))
        rehearsed += [
            _rehearse_one(discoverer, moved, index, subscription, clock)
            for index, subscription in enumerate(subscriptions)
        ]
    return Rehearsal(subscriptions=tuple(rehearsed), rows=ledger.rows, totals=ledger.totals())


def _rehearse_one(
    discoverer: Discoverer, warehouse: Warehouse, index: int, subscription: Subscription, clock: Clock
) -> Rehearsed:
    seen: list[tuple[str, Reason]] = []
    known = Rehearsed(
        warehouse=warehouse.key,
        kind=subscription.TYPE,
        repo_url=getattr(subscription, "repo_url", getattr(subscription, "kind", "")),
    )
    try:
        result = discoverer.discover_one(
            warehouse, index, clock, witness=lambda name, reason: seen.append((name, reason))
        )
    except LabError as error:
        return attrs.evolve(known, error=str(error), left_out=_left_out(seen))
    return attrs.evolve(known, found=_lines(result), dates=_dates(result), left_out=_left_out(seen))


def _left_out(seen: Sequence[tuple[str, Reason]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, reason.text) for name, reason in seen if not reason)


def _lines(result: SubscriptionResult) -> tuple[str, ...]:
    match result:
        case ImageDiscovery(references=references):
            return tuple(f"{each.tag}  {each.digest}  {each.created_at or ''}".rstrip() for each in references)
        case CommitDiscovery(commits=commits):
            return tuple(f"{each.id[:12]}  {each.tag or each.branch}  {each.subject}" for each in commits)
        case ChartDiscovery(versions=versions):
            return versions
    return tuple(each.version for each in result.references)


def _dates(result: SubscriptionResult) -> tuple[datetime, ...]:
    match result:
        case ImageDiscovery(references=references):
            dates = [each.created_at for each in references]
        case CommitDiscovery(commits=commits):
            dates = [each.creator_date for each in commits]
        case _:
            dates = []
    return tuple(date for date in dates if date is not None)


def redirected(subscription: Subscription, against: str) -> Subscription:
    """The same repository at another host; unchanged without one."""
    if not against or isinstance(subscription, GenericSubscription):
        return subscription
    base = urlsplit(against if "//" in against else f"//{against}")
    if not base.netloc:
        raise UsageError(f"{against!r} is no URL with a host")
    match subscription:
        case ImageSubscription(repo_url=url):
            first, slash, rest = url.partition("/")
            has_host = slash and ("." in first or ":" in first or first == "localhost")
            return attrs.evolve(subscription, repo_url=f"{base.netloc}/{rest if has_host else url}")
        case ChartSubscription(repo_url=url) | GitSubscription(repo_url=url):
            parts = urlsplit(url)
            if not parts.netloc:
                raise UsageError(f"{url!r} cannot be asked for at another host: write it as a URL")
            scheme = parts.scheme if parts.scheme == "oci" else base.scheme or parts.scheme
            moved = parts._replace(scheme=scheme, netloc=base.netloc)
            return attrs.evolve(subscription, repo_url=urlunsplit(moved))
    return subscription
