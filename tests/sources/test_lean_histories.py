"""Lean mode finds what the faithful one finds after any history: moved and deleted things, forced pushes, refreshes."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.errors import UpstreamError
from kargo_lab.experiments.lean import Asking, telling
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.oci.images import Child, make_image, make_index
from kargo_lab.platforms.registry import Registry
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.artifacts import CommitDiscovery
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription, Subscription

WAREHOUSES = ("p/a", "p/b")
INTERVAL, MOMENT = 300.0, 1.0
NAMES = (f"acme/{number}" for number in itertools.count())
MODEST = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(side: Asking, subscription: Subscription, warehouse: str) -> Any:
    try:
        found = side.find(subscription, warehouse=warehouse)
    except UpstreamError as error:
        return "error", error.status
    return attrs.evolve(found, observed=None) if isinstance(found, CommitDiscovery) else found


class Pair:
    """The same discoveries on both sides, of a world that changes between them."""

    def __init__(self, *subscriptions: Subscription, profile: str = "latest") -> None:
        self.clock, self.subscriptions = VirtualClock(), subscriptions
        self.sides = [Asking(lean=lean, clock=self.clock, profile=PROFILES[profile]) for lean in (False, True)]

    def poll(self) -> None:
        """All Warehouses, an interval later."""
        self.clock.advance(INTERVAL)
        for warehouse in WAREHOUSES:
            self.compare(warehouse)

    def refresh(self, warehouse: str) -> None:
        """One Warehouse, a moment later, because a webhook asked for it."""
        self.clock.advance(MOMENT)
        lean = self.sides[1].shared.lean
        assert lean is not None
        lean.refreshed([warehouse])
        self.compare(warehouse)

    def compare(self, warehouse: str) -> None:
        for each in self.subscriptions:
            faithful, lean = (outcome(side, each, warehouse) for side in self.sides)
            assert lean == faithful

    def close(self) -> None:
        for side in self.sides:
            side.close()


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as running:
        yield running


@pytest.fixture(scope="module")
def google() -> Iterator[Registry]:
    """One that tells with its tags what they point at."""
    with Registry(layers=[telling]) as running:
        yield running


@pytest.fixture(scope="module")
def charts() -> Iterator[ChartHost]:
    with ChartHost() as running:
        yield running


@pytest.fixture(scope="module")
def githost() -> Iterator[GitHost]:
    with GitHost() as running:
        yield running


def image(content: int, *, index: bool) -> Any:
    if not index:
        return make_image(f"single {content}", created=f"2026-01-{content + 1:02}T00:00:00Z")
    platforms = ("linux/amd64", "linux/arm64")
    # Of two indexes one child is the same, as when only one platform was built anew.
    return make_index(
        [Child(make_image(f"{content // (1 + place)} {name}"), name) for place, name in enumerate(platforms)]
    )


LOOKS = [st.just(("poll",)), st.tuples(st.just("refresh"), st.sampled_from(WAREHOUSES))]
IMAGE_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 4), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("delete"), st.integers(0, 4)),
        *LOOKS,
    ),
    max_size=14,
)


@pytest.mark.parametrize("place", ["registry", "google"])
@MODEST
@given(steps=IMAGE_STEPS, profile=st.sampled_from(["latest", "v1.8"]))
def test_images_are_the_same_after_any_history(
    place: str, steps: list[Any], profile: str, request: pytest.FixtureRequest
) -> None:
    name, registry = next(NAMES), request.getfixturevalue(place)
    registry.push(name, image(0, index=False), "1.0.0")
    url = f"{registry.host}/{name}"
    pair = Pair(
        ImageSubscription(repo_url=url, discovery_limit=2),
        ImageSubscription(repo_url=url, image_selection_strategy="NewestBuild", platform="linux/arm64"),
        ImageSubscription(repo_url=url, image_selection_strategy="NewestBuild", platform="linux/amd64"),
        ImageSubscription(repo_url=url, image_selection_strategy="Digest", constraint="1.1.0"),
        ImageSubscription(repo_url=url, image_selection_strategy="Lexical", discovery_limit=3),
        ImageSubscription(repo_url=url, image_selection_strategy="Lexical", cache_by_tag=True),
        profile=profile,
    )
    for step in (*steps, ("poll",)):
        match step:
            case ("push", int(tag), int(content), bool(index)):
                registry.push(name, image(content, index=index), f"1.{tag}.0")
            case ("delete", int(tag)):
                registry.delete_tag(name, f"1.{tag}.0")
            case ("refresh", warehouse):
                pair.refresh(warehouse)
            case _:
                pair.poll()
    pair.close()


CHART_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["push", "delete"]), st.sampled_from(["web", "api"]), st.integers(0, 3)), *LOOKS
    ),
    max_size=14,
)


@MODEST
@given(steps=CHART_STEPS)
def test_charts_are_the_same_after_any_history(charts: ChartHost, registry: Registry, steps: list[Any]) -> None:
    name = next(NAMES)
    charts.push_chart("web", "0.1.0", repository=name)
    registry.push(name, image(0, index=False), "0.1.0")
    pair = Pair(
        ChartSubscription(repo_url=f"{charts.url}/{name}", chart_name="web"),
        ChartSubscription(repo_url=f"{charts.url}/{name}", chart_name="api"),
        ChartSubscription(repo_url=f"oci://{registry.host}/{name}"),
    )
    for step in (*steps, ("poll",)):
        match step:
            case ("push", chart, int(version)):
                charts.push_chart(chart, f"1.{version}.0", repository=name)
                registry.push(name, image(version, index=False), f"1.{version}.0")
            case ("delete", chart, int(version)):
                charts.delete_chart(chart, f"1.{version}.0", repository=name)
                registry.delete_tag(name, f"1.{version}.0")
            case ("refresh", warehouse):
                pair.refresh(warehouse)
            case _:
                pair.poll()
    pair.close()


GIT_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.sampled_from(["main", "release"]), st.sampled_from(["apps/a", "docs/b"])),
        st.tuples(st.just("tag"), st.integers(0, 3)),
        st.tuples(st.just("untag"), st.integers(0, 3)),
        st.tuples(st.just("force"), st.integers(0, 3)),
        st.just(("unbranch",)),
        *LOOKS,
    ),
    max_size=5,
)


class Repository:
    """A Git repository whose refs go where they should not: tags move, branches go back and come to an end."""

    def __init__(self, githost: GitHost) -> None:
        self.name, self._host, self._number = next(NAMES), githost, itertools.count()
        githost.create_repository(self.name)
        self._commits = [githost.commit(self.name, files={"README.md": "hello"}, message="first")]
        self.commit("release", "apps/a")
        self.url = f"{githost.url}/{self.name}.git"

    def commit(self, branch: str, path: str) -> None:
        if f"refs/heads/{branch}" not in self._host.refs(self.name):
            self._host.branch(self.name, branch)
        made = self._host.commit(self.name, files={path: str(next(self._number))}, message="more", branch=branch)
        self._commits.append(made)

    def tag(self, number: int) -> None:
        self._host.tags(self.name, [f"1.{number}.0"])

    def delete(self, ref: str) -> None:
        if ref in self._host.refs(self.name):
            self._host.delete_ref(self.name, ref)

    def force(self, place: int) -> None:
        """Let main be what it was, or what another branch is."""
        folder = self._host.forge.store(self._host.forge.repositories[self.name]).path
        commit = self._commits[-1 - place % len(self._commits)]
        subprocess.run(["git", "update-ref", "refs/heads/main", commit], cwd=folder, check=True)


# What each history of a few steps may miss.
EVERYTHING = [
    ("tag", 1),
    ("poll",),
    ("commit", "main", "apps/a"),
    ("tag", 1),
    ("tag", 2),
    ("refresh", "p/b"),
    ("force", 2),
    ("unbranch",),
    ("poll",),
    ("untag", 2),
    ("commit", "release", "docs/b"),
]
BY_BRANCH = ({"include_paths": ("apps",)}, {"branch": "release"})
BY_TAG = tuple(
    {"commit_selection_strategy": strategy, "discovery_limit": 2} for strategy in ("SemVer", "Lexical", "NewestTag")
)


@pytest.mark.parametrize("subscriptions", [BY_BRANCH, BY_TAG], ids=["by branch", "by tag"])
@settings(MODEST, max_examples=2)
@given(steps=GIT_STEPS, profile=st.sampled_from(["latest", "v1.10"]))
@example(steps=EVERYTHING, profile="latest")
def test_commits_are_the_same_after_any_history(
    githost: GitHost, subscriptions: tuple[dict[str, Any], ...], steps: list[Any], profile: str
) -> None:
    repository = Repository(githost)
    pair = Pair(*(GitSubscription(repo_url=repository.url, **each) for each in subscriptions), profile=profile)
    for step in (*steps, ("poll",)):
        match step:
            case ("commit", branch, path):
                repository.commit(branch, path)
            case ("tag", int(tag)):
                repository.tag(tag)
            case ("untag", int(tag)):
                repository.delete(f"refs/tags/1.{tag}.0")
            case ("force", int(place)):
                repository.force(place)
            case ("unbranch",):
                repository.delete("refs/heads/release")
            case ("refresh", warehouse):
                pair.refresh(warehouse)
            case ("poll",):
                pair.poll()
    pair.close()
