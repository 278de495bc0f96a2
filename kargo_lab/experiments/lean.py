"""What lean mode saves: requests of a pass that finds nothing new, counted where they arrive.

For each strategy a repository is filled, discovered once, and counted the second time: for one
Warehouse as Kargo asks and as lean mode asks, then for a fleet of Warehouses that subscribe to the same
repository. In a fleet Kargo's Warehouses share nothing that would save a request in a warm pass, so
theirs is a product; a test measures it once. The numbers of tags are those of discovery.md 3.11.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import attrs

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.discovery import NETWORK
from kargo_lab.platforms.access import AccessLog
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.oci.images import Child, make_image, make_index
from kargo_lab.platforms.registry import Registry
from kargo_lab.resources.artifacts import CommitDiscovery, SubscriptionResult
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription, Subscription
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, OperatorSettings, Shared

TAGS, LIMIT, PLATFORMS = 50, 20, ("linux/amd64", "linux/arm64")
FLEET = 20
INTERVAL_SECONDS = 300.0


@attrs.frozen(kw_only=True)
class Saving:
    """Requests of a warm, unchanged pass; `fleet_` those of all Warehouses of a fleet, one pass each.

    `pulls` are those among them that Docker Hub would count.
    """

    strategy: str
    faithful: int
    lean: int
    fleet_faithful: int
    fleet_lean: int
    fleet_pulls: int
    fleet_lean_pulls: int

    @property
    def share(self) -> float:
        """What is left of a fleet's requests, 0 to 1."""
        return self.fleet_lean / self.fleet_faithful


@attrs.frozen
class Subject:
    """What is discovered, and the log of the platform that is asked."""

    strategy: str
    subscription: Subscription
    log: AccessLog


class Asking:
    """Warehouses with one subscription each, in one process."""

    def __init__(self, subscription: Subscription, *, lean: bool) -> None:
        self._subscription, self.clock, self.ledger = subscription, VirtualClock(), Ledger()
        self._shared = Shared(ledger=self.ledger, settings=OperatorSettings(lean=lean), workers=1)
        self._previous: dict[int, SubscriptionResult] = {}

    def look(self, warehouse: int) -> SubscriptionResult:
        """One discovery for one Warehouse."""
        before = self._previous.get(warehouse)
        context = Context(
            shared=self._shared,
            clock=self.clock,
            warehouse=f"fleet/{warehouse}",
            subscription=0,
            previous=before if isinstance(before, CommitDiscovery) else None,
        )
        self._previous[warehouse] = found = NETWORK[self._subscription.TYPE](self._subscription, context)
        return found

    def later(self) -> None:
        """An interval goes by."""
        self.clock.advance(INTERVAL_SECONDS)
        self.ledger.clear()

    def close(self) -> None:
        """Let go of connections."""
        if self._shared.connections is not None:
            self._shared.connections.close()


def subjects(stack: ExitStack) -> Iterator[Subject]:
    """Filled platforms, which live as long as the stack."""
    registry, githost = stack.enter_context(Registry()), stack.enter_context(GitHost())
    charts = stack.enter_context(ChartHost())
    versions = [f"1.{number}.0" for number in range(TAGS)]
    for version in versions:
        registry.push("acme/single", make_image(version, created="2026-01-01T00:00:00Z"), version)
        children = [Child(make_image(f"{version} {each}", platform=each), each) for each in PLATFORMS]
        registry.push("acme/index", make_index(children), version)
        charts.push_chart("web", version)
    for kind, words in (("single", "single images"), ("index", "indexes of two platforms")):
        for strategy in ("SemVer", "Lexical", "NewestBuild", "Digest"):
            image = ImageSubscription(
                repo_url=f"{registry.host}/acme/{kind}",
                image_selection_strategy=strategy,
                constraint=versions[-1] if strategy == "Digest" else "",
                discovery_limit=LIMIT,
            )
            yield Subject(f"image {strategy}, {words}", image, registry.access_log)
    githost.create_repository("acme/web")
    githost.commit("acme/web", files={"README.md": "hello"}, message="first")
    githost.tags("acme/web", versions)
    for strategy in ("NewestFromBranch", "SemVer", "Lexical", "NewestTag"):
        commits = GitSubscription(repo_url=f"{githost.url}/acme/web.git", commit_selection_strategy=strategy)
        yield Subject(f"git {strategy}", commits, githost.access_log)
    classic = ChartSubscription(repo_url=charts.url, chart_name="web")
    yield Subject("chart, classic", classic, charts.access_log)
    yield Subject("chart, OCI", ChartSubscription(repo_url=f"oci://{registry.host}/acme/single"), registry.access_log)


def measure(*, fleet: int = FLEET) -> tuple[Saving, ...]:
    """Every strategy, on embedded platforms."""
    with ExitStack() as stack:
        return tuple(_saving(subject, fleet, stack) for subject in subjects(stack))


def _saving(subject: Subject, fleet: int, stack: ExitStack) -> Saving:
    faithful, lean = Asking(subject.subscription, lean=False), Asking(subject.subscription, lean=True)
    stack.callback(lean.close)

    def counted(asking: Asking, warehouses: int) -> tuple[int, int]:
        asking.later()
        subject.log.clear()
        for number in range(warehouses):
            asking.look(number)
        pulls = sum(row.kind.startswith("manifest") for row in asking.ledger.requests)
        return len(subject.log.rows), pulls

    faithful.look(0)
    for number in range(fleet):
        lean.look(number)
    (one, pulls), (one_lean, _) = counted(faithful, 1), counted(lean, 1)
    all_lean, lean_pulls = counted(lean, fleet)
    return Saving(
        strategy=subject.strategy,
        faithful=one,
        lean=one_lean,
        fleet_faithful=one * fleet,
        fleet_lean=all_lean,
        fleet_pulls=pulls * fleet,
        fleet_lean_pulls=lean_pulls,
    )


HEADINGS = (
    "",
    "Kargo, one Warehouse",
    "lean, one Warehouse",
    f"Kargo, {FLEET} Warehouses",
    f"lean, {FLEET} Warehouses",
    "left",
    f"Docker Hub pulls, Kargo, {FLEET}",
    f"lean, {FLEET}",
)


def as_markdown(savings: tuple[Saving, ...]) -> str:
    """The table of docs/lean.md."""
    lines: list[tuple[Any, ...]] = [HEADINGS, ("---", *["---:"] * (len(HEADINGS) - 1))]
    for each in savings:
        left, pulls = f"{100 * each.share:.1f} %", (each.fleet_pulls, each.fleet_lean_pulls)
        shown = pulls if each.strategy.startswith("image") else ("", "")
        lines.append((each.strategy, each.faithful, each.lean, each.fleet_faithful, each.fleet_lean, left, *shown))
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(as_markdown(measure()))
