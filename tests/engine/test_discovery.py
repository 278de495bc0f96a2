"""One discovery over all subscriptions: order, credentials, previous results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.discovery import Discoverer
from kargo_lab.errors import UpstreamError
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.artifacts import (
    ChartDiscovery,
    CommitDiscovery,
    DiscoveredArtifacts,
    ImageDiscovery,
    SubscriptionResult,
)
from kargo_lab.resources.configuration import Secret
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GenericSubscription,
    GitSubscription,
    ImageSubscription,
    Subscription,
    Warehouse,
    WarehouseSpec,
)
from kargo_lab.sources.credentials import TYPE_LABEL
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, Shared

RESULTS = {"git": CommitDiscovery, "image": ImageDiscovery, "chart": ChartDiscovery}


class Asked:
    """Sources that note what they are asked, and fail for URLs that say so."""

    def __init__(self) -> None:
        self.contexts: list[tuple[str, Context]] = []

    def answer(self, subscription: Any, context: Context) -> SubscriptionResult:
        self.contexts.append((subscription.repo_url, context))
        if "bad" in subscription.repo_url:
            raise UpstreamError(subscription.repo_url)
        made: SubscriptionResult = RESULTS[subscription.TYPE](repo_url=subscription.repo_url)
        return made

    @property
    def sources(self) -> Mapping[str, Any]:
        return dict.fromkeys(RESULTS, self.answer)

    @property
    def urls(self) -> list[str]:
        return [url for url, _ in self.contexts]


def discover(
    asked: Asked,
    *subscriptions: Subscription,
    profile: str = "latest",
    secrets: Sequence[Secret] = (),
    previous: DiscoveredArtifacts | None = None,
) -> Any:
    warehouse = Warehouse(namespace="p", name="w", spec=WarehouseSpec(subscriptions=subscriptions))
    discoverer = Discoverer(
        shared=Shared(ledger=Ledger(), profile=PROFILES[profile]), sources=asked.sources, secrets=lambda: secrets
    )
    return discoverer.discover(warehouse, VirtualClock(), previous=previous)


MIXED = (
    ImageSubscription(repo_url="r.example/bad-image"),
    ChartSubscription(repo_url="oci://r.example/chart"),
    GitSubscription(repo_url="https://g.example/bad-git"),
)


@pytest.mark.parametrize(
    ("profile", "error"),
    [
        pytest.param("latest", "r.example/bad-image", id="L21 in the order of the spec"),
        pytest.param("v1.9", "r.example/bad-image", id="L21 since v1.9"),
        pytest.param("v1.8", "https://g.example/bad-git", id="L22 git first, before v1.9"),
    ],
)
def test_which_error_is_told(profile: str, error: str) -> None:
    assert discover(Asked(), *MIXED, profile=profile).error == error


def test_up_to_v1_8_all_git_comes_before_all_images() -> None:
    asked = Asked()
    wanted = (ChartSubscription(repo_url="c"), ImageSubscription(repo_url="i"), GitSubscription(repo_url="g"))
    discover(asked, *wanted, profile="v1.8")
    assert asked.urls == ["g", "i", "c"]


def test_results_keep_the_order_of_the_spec_within_a_kind() -> None:
    wanted = (ImageSubscription(repo_url="b"), GitSubscription(repo_url="g"), ImageSubscription(repo_url="a"))
    assert [each.repo_url for each in discover(Asked(), *wanted).artifacts.images] == ["b", "a"]


def test_a_failure_ends_the_discovery_and_leaves_nothing() -> None:
    asked = Asked()
    found = discover(asked, *MIXED)
    assert (asked.urls, found.artifacts.count) == (["r.example/bad-image"], 0)


def test_in_recommended_everything_is_asked_and_what_works_is_kept() -> None:
    found = discover(Asked(), *MIXED, profile="recommended")
    assert (found.artifacts.count, len(found.failures)) == (1, 2)


def test_previous_results_go_to_git_alone_and_by_position() -> None:
    asked = Asked()
    first, second = (CommitDiscovery(repo_url=url) for url in ("one", "two"))
    previous = DiscoveredArtifacts(git=(first, second), images=(ImageDiscovery(repo_url="i"),))
    wanted = (GitSubscription(repo_url="a"), ImageSubscription(repo_url="i"), GitSubscription(repo_url="b"))
    discover(asked, *wanted, previous=previous)
    assert [context.previous for _, context in asked.contexts] == [first, None, second]


def test_a_generic_subscription_has_no_subscriber() -> None:
    assert "no subscriber" in discover(Asked(), GenericSubscription(kind="models", name="m")).error


def test_each_kind_gets_its_own_credentials() -> None:
    asked = Asked()
    secrets = [
        Secret(
            namespace="p",
            name=kind,
            labels={TYPE_LABEL: kind},
            data={"repoURL": b".*", "repoURLIsRegex": b"true", "username": kind.encode(), "password": b"p"},
        )
        for kind in ("git", "image", "helm")
    ]
    wanted = (GitSubscription(repo_url="g"), ImageSubscription(repo_url="i"), ChartSubscription(repo_url="c"))
    discover(asked, *wanted, secrets=secrets)
    assert [context.credentials.username for _, context in asked.contexts] == ["git", "image", "helm"]


def test_contexts_say_for_whom_is_asked() -> None:
    asked = Asked()
    discover(asked, ImageSubscription(repo_url="a"), ImageSubscription(repo_url="b"))
    assert [(context.warehouse, context.subscription) for _, context in asked.contexts] == [("p/w", 0), ("p/w", 1)]
