"""The world in memory charges what a real registry counts, and finds what is found there."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.registry import Registry
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription
from kargo_lab.sources import images
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.memory import World
from kargo_lab.sources.shared import Context, Shared

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://g.example/acme/web"


def context(**settings: Any) -> Context:
    return Context(shared=Shared(ledger=Ledger(), workers=1), clock=VirtualClock(), **settings)


@pytest.fixture(scope="module")
def registry(scene: SimpleNamespace) -> Any:
    with Registry() as running:
        for index in range(8):
            running.push("acme/index", scene.image(str(index), platforms=2), scene.version(index))
            running.push("acme/single", scene.image(str(index)), scene.version(index))
        yield running


@pytest.mark.parametrize("strategy", ["SemVer", "Lexical", "NewestBuild", "Digest"])
@pytest.mark.parametrize("kind", ["single", "index"])
@pytest.mark.parametrize("cached", [False, True], ids=["", "tag cache"])
def test_requests_cost_what_they_cost_over_the_network(
    registry: Registry, kind: str, strategy: str, cached: bool
) -> None:
    repo_url = f"{registry.host}/acme/{kind}"
    world, real, remembered = World(), context(), context()
    for index in range(8):
        world.push_image(
            repo_url, f"1.{index}.0", created=NOW, platforms=("linux/amd64", "linux/arm64") if kind == "index" else ()
        )
    wanted = ImageSubscription(
        repo_url=repo_url,
        image_selection_strategy=strategy,
        constraint="1.7.0" if strategy == "Digest" else "",
        discovery_limit=5,
        cache_by_tag=cached,
    )
    for _ in ("cold", "warm"):
        there, here = images.discover(wanted, real), world.discover_images(wanted, remembered)
        assert [each.tag for each in here.references] == [each.tag for each in there.references]
        assert remembered.ledger.counts() == real.ledger.counts()


def test_unchanged_refs_cost_one_listing() -> None:
    world = World()
    world.commit(URL, when=NOW)
    first = world.discover_commits(GitSubscription(repo_url=URL), context())
    again = context(previous=first)
    assert world.discover_commits(GitSubscription(repo_url=f"{URL}"), again) is first
    assert again.ledger.counts() == {"ls-remote": 1, "git-http": 2}


def test_a_new_commit_comes_first() -> None:
    world = World()
    world.commit(URL, when=NOW, subject="one")
    world.commit(URL, when=NOW, subject="two")
    found = world.discover_commits(GitSubscription(repo_url=URL), context())
    assert [each.subject for each in found.commits] == ["two", "one"]


def test_tags_and_paths_are_judged_by_the_real_selector() -> None:
    world = World()
    for number, path in enumerate(("docs/a", "apps/b", "apps/c")):
        world.commit(URL, when=NOW, paths=[path])
        world.tag(URL, f"v1.{number}.0")
    wanted = GitSubscription(repo_url=URL, commit_selection_strategy="SemVer", include_paths=("apps",))
    assert [each.tag for each in world.discover_commits(wanted, context()).commits] == ["v1.2.0", "v1.1.0"]


def test_charts_are_found_in_both_kinds_of_repository() -> None:
    world = World()
    world.push_chart("https://c.example", "1.0.0", name="web")
    world.push_chart("oci://r.example/charts/web", "1.0.0_b")
    classic = world.discover_charts(ChartSubscription(repo_url="https://c.example", chart_name="web"), context())
    stored = world.discover_charts(ChartSubscription(repo_url="oci://r.example/charts/web"), context())
    assert (classic.versions, stored.versions) == (("1.0.0",), ("1.0.0+b",))


def test_a_host_that_is_down_fails_and_is_counted() -> None:
    world, asked = World(), context()
    world.push_image("r.example/web", "1.0.0")
    world.down.add("r.example")
    with pytest.raises(UpstreamError):
        world.discover_images(ImageSubscription(repo_url="r.example/web"), asked)
    assert [(row.kind, row.status) for row in asked.ledger.rows] == [("ping", 503)]


def test_requests_take_their_time_on_the_clock_of_the_pass() -> None:
    world, asked = World(request_seconds=0.5), context()
    world.push_image("r.example/web", "1.0.0")
    world.discover_images(ImageSubscription(repo_url="r.example/web"), asked)
    assert asked.clock.monotonic() == pytest.approx(0.5 * len(asked.ledger.rows), abs=0.3)


def test_rows_say_for_whom(registry: Registry) -> None:
    world, asked = World(), attrs.evolve(context(), warehouse="p/w", subscription=2)
    world.push_image("r.example/web", "1.0.0")
    world.discover_images(ImageSubscription(repo_url="r.example/web"), asked)
    assert {(row.warehouse, row.subscription) for row in asked.ledger.rows} == {("p/w", 2)}
