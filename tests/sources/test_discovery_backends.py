"""The same discovery against the embedded registry, docker-registry as a process, and registry:2 in a container."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from kargo_lab.engine.clock import WallClock
from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.registry_container import IMAGE, ContainerRegistry
from kargo_lab.platforms.registry_platform import PlatformRegistry
from kargo_lab.platforms.registry_process import ProcessRegistry, why_no_process
from kargo_lab.resources.warehouse import ImageSubscription
from kargo_lab.sources import images
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, OperatorSettings, Shared

BACKENDS = {
    "embedded": (PlatformRegistry, lambda: None),
    "process": (ProcessRegistry, why_no_process),
    "container": (ContainerRegistry, lambda: why_no_container(IMAGE)),
}
QUICK = OperatorSettings(registry_rate_limit=1000.0)  # as much as Kargo waits between requests, tests need not
ARM = "linux/arm64"


@pytest.fixture(scope="module", params=["embedded", "process", pytest.param("container", marks=pytest.mark.containers)])
def registry(request: pytest.FixtureRequest) -> Iterator[Any]:
    make, why_not = BACKENDS[request.param]
    if reason := why_not():
        if request.param == "container" and request.config.getoption("--require-containers", default=False):
            pytest.fail(reason)
        pytest.skip(reason)
    with make() as registry:
        # Neither in the order of their versions nor in that of their building.
        registry.push_image("team/app", "1.0.0", created="2026-03-01T00:00:00Z")
        registry.push_image("team/app", "1.2.0", created="2026-01-01T00:00:00Z")
        registry.push_image("team/app", "1.1.0", "stable", created="2026-02-01T00:00:00Z")
        registry.push_index("team/app", "2.0.0", platforms=("linux/amd64",), created="2025-01-01T00:00:00Z")
        yield registry


def found(registry: Any, ledger: Ledger | None = None, **settings: Any) -> list[str]:
    subscription = ImageSubscription(repo_url=f"{registry.host}/team/app", **settings)
    context = Context(shared=Shared(ledger=ledger or Ledger(), settings=QUICK), clock=WallClock())
    return [reference.tag for reference in images.discover(subscription, context).references]


@pytest.mark.parametrize(
    ("settings", "tags"),
    [
        pytest.param({"constraint": "^1.0.0"}, ["1.2.0", "1.1.0", "1.0.0"], id="SemVer by precedence"),
        pytest.param(
            {"image_selection_strategy": "NewestBuild", "allow_tags_regexes": (r"^1\.",)},
            ["1.0.0", "1.1.0", "1.2.0"],
            id="NewestBuild by the date of building",
        ),
        pytest.param(
            {"image_selection_strategy": "Lexical", "discovery_limit": 2}, ["stable", "2.0.0"], id="Lexical from behind"
        ),
        pytest.param(
            {"image_selection_strategy": "Digest", "constraint": "stable"}, ["stable"], id="Digest by its one tag"
        ),
        pytest.param({"platform": ARM}, [], id="SemVer of a platform that no image is for"),
    ],
)
def test_what_is_found(registry: Any, settings: dict[str, Any], tags: list[str]) -> None:
    assert found(registry, **settings) == tags


def test_what_it_costs(registry: Any) -> None:
    ledger = Ledger()
    found(registry, ledger, constraint="~1.2")
    # A session begins with a ping, and each call has its own: the list, the manifest; the config is in the latter's.
    assert Counter(row.kind for row in ledger.rows) == {"ping": 2, "tags": 1, "manifest-by-tag": 1, "blob": 1}


def test_a_stand_in_answers_for_docker_hub(registry: Any) -> None:
    ledger = Ledger()
    settings = OperatorSettings(registry_aliases={"docker.io": registry.host})
    context = Context(shared=Shared(ledger=ledger, settings=settings), clock=WallClock())
    discovered = images.discover(ImageSubscription(repo_url="team/app", constraint="~1.2"), context)
    assert [reference.tag for reference in discovered.references] == ["1.2.0"]
    # Of a stand-in's requests count those that Docker Hub would count.
    assert {row.kind for row in ledger.rows if row.counted} == {"manifest-by-tag"}
