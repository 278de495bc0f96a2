"""What the ledger wrote down is what arrived: row for row, at each kind of platform."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.discovery import NETWORK
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.registry_platform import PlatformRegistry
from kargo_lab.platforms.registry_process import ProcessRegistry, why_no_process
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, OperatorSettings, Shared


def registry(make: Callable[[], Any]) -> Iterator[Any]:
    with make() as running:
        running.push_image("team/app", "1.0.0", created="2026-03-01T00:00:00Z")
        running.push_index("team/app", "2.0.0", platforms=("linux/amd64", "linux/arm64"))
        url = f"{running.host}/team/app"
        strategies = ("SemVer", "Lexical", "NewestBuild")
        images = [ImageSubscription(repo_url=url, image_selection_strategy=each) for each in strategies]
        digest = ImageSubscription(repo_url=url, image_selection_strategy="Digest", constraint="1.0.0")
        yield running, [*images, digest, ChartSubscription(repo_url=f"oci://{url}")]


def githost() -> Iterator[Any]:
    with GitHost() as running:
        running.create_repository("acme/web")
        running.commit("acme/web", files={"README.md": "hello"}, message="first")
        running.tags("acme/web", ["1.0.0"])
        url = f"{running.url}/acme/web.git"
        strategies = ("NewestFromBranch", "SemVer", "Lexical", "NewestTag")
        yield running, [GitSubscription(repo_url=url, commit_selection_strategy=each) for each in strategies]


def charts() -> Iterator[Any]:
    with ChartHost() as running:
        running.push_chart("web", "1.0.0")
        yield running, [ChartSubscription(repo_url=running.url, chart_name=name) for name in ("web", "nobody")]


def process() -> Iterator[Any]:
    if reason := why_no_process():
        pytest.skip(reason)
    yield from registry(ProcessRegistry)


PATIENCE = threading.Event()
PLATFORMS: dict[str, Callable[[], Iterator[Any]]] = {
    "embedded registry": lambda: registry(PlatformRegistry),
    "docker-registry": process,
    "Git host": githost,
    "chart repository": charts,
}


@pytest.fixture(scope="module", params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from PLATFORMS[request.param]()


def arrived(running: Any, count: int = 0) -> list[Any]:
    """What a platform logged of the lab's requests, once it has so many: a process' file may be a moment behind."""
    for _ in range(100):
        rows = [row for row in running.access_log.rows if row.user_agent.startswith(("kargo-lab", "git/"))]
        if len(rows) >= count:
            break
        PATIENCE.wait(0.05)
    return rows


@pytest.mark.parametrize("lean", [False, True], ids=["faithful", "lean"])
def test_the_ledger_is_the_access_log(platform: Any, lean: bool) -> None:
    running, subscriptions = platform
    ledger, clock = Ledger(), VirtualClock()
    shared = Shared(ledger=ledger, settings=OperatorSettings(lean=lean), workers=1)
    before = len(arrived(running))
    for _ in ("cold", "warm"):
        clock.advance(300.0)
        for subscription in subscriptions:
            NETWORK[subscription.TYPE](subscription, Context(shared=shared, clock=clock))
    if shared.connections is not None:
        shared.connections.close()
    sent = [(row.source, row.method, row.path, row.status) for row in ledger.requests]
    rows = arrived(running, before + len(sent))[before:]
    assert sent == [(running.host, row.method, row.path, row.status) for row in rows]
    assert len(sent) >= 2
