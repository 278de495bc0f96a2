"""The controller on a virtual clock: what wakes a Warehouse and when it discovers (discovery.md 10.1, 10.5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest

from kargo_lab.engine.clock import EPOCH, VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.store import Store
from kargo_lab.errors import UpstreamError
from kargo_lab.profiles import LATEST, PROFILES, Profile
from kargo_lab.resources.artifacts import ImageDiscovery, ImageReference
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import GitSubscription, ImageSubscription, Warehouse, WarehouseSpec
from kargo_lab.sources.memory import World
from kargo_lab.sources.shared import OperatorSettings

KEY = "p/w"


class Scene:
    """A lab in memory, and when its discoveries began."""

    def __init__(
        self,
        *,
        profile: Profile = LATEST,
        seconds: float = 0.0,
        world: World | None = None,
        store: Store | None = None,
        **settings: Any,
    ) -> None:
        self.clock, self.world, self.seconds = VirtualClock(), world or World(), seconds
        self.began: list[float] = []
        self.failing: Callable[[], bool] = lambda: False
        self.lab = Lab(
            clock=self.clock,
            profile=profile,
            settings=OperatorSettings(**settings),
            sources={**self.world.sources, "image": self.image},
            store=store,
            seed=1,
        )

    def image(self, subscription: ImageSubscription, context: Any) -> ImageDiscovery:
        self.began.append(round(context.clock.monotonic(), 3))
        context.clock.wait(self.seconds)
        if self.failing():
            raise UpstreamError("the registry is down")
        references = (ImageReference(tag="1.0.0", digest="sha256:0"),)
        return ImageDiscovery(repo_url=subscription.repo_url, references=references)

    def apply(self, *warehouses: Warehouse) -> Scene:
        self.lab.apply(Resources(warehouses=warehouses))
        return self

    def run(self, until: float) -> list[float]:
        self.lab.run_until(until)
        return self.began

    def ready(self) -> tuple[str, str]:
        status = self.lab.warehouse_status(KEY)
        assert status is not None
        condition = status.condition("Ready")
        assert condition is not None
        return condition.status, condition.reason


def warehouse(interval: float = 300.0, name: str = "w", **spec: Any) -> Warehouse:
    subscriptions = spec.pop("subscriptions", (ImageSubscription(repo_url="r.example/web"),))
    return Warehouse(
        namespace="p",
        name=name,
        labels=spec.pop("labels", {}),
        spec=WarehouseSpec(subscriptions=subscriptions, interval_seconds=interval, **spec),
    )


@pytest.mark.parametrize(
    ("interval", "minimum", "second"),
    [
        pytest.param(600, 300, 600.0, id="L02 the interval counts where it is longer"),
        pytest.param(60, 300, 300.0, id="L03 the minimum counts where that is longer"),
        pytest.param(60, 0, 60.0, id="L04 without a minimum the interval counts"),
        pytest.param(0, 0, 0.1, id="L05 interval zero discovers every 100 ms"),
    ],
)
def test_when_a_warehouse_is_discovered_again(interval: float, minimum: float, second: float) -> None:
    scene = Scene(minimum_interval_seconds=minimum).apply(warehouse(interval))
    assert scene.run(second + 0.05)[:2] == [0.0, pytest.approx(second, abs=0.001)]


def test_l11_spacing_is_the_interval_plus_the_length_of_discovery() -> None:
    scene = Scene(seconds=90).apply(warehouse())
    assert scene.run(1000.0) == [0.0, pytest.approx(390.0, abs=0.01), pytest.approx(780.0, abs=0.02)]


def test_l12_an_edited_spec_is_discovered_at_once() -> None:
    scene = Scene(minimum_interval_seconds=3600).apply(warehouse())
    scene.run(10.0)
    scene.apply(warehouse(301.0))
    assert scene.run(20.0) == [0.0, 10.0]


def test_l25_an_edit_of_metadata_wakes_nobody() -> None:
    scene = Scene().apply(warehouse())
    scene.run(10.0)
    scene.apply(warehouse(labels={"a": "b"}))
    assert scene.lab.step() == 0


def test_l13_a_refresh_discovers_at_once_and_is_remembered() -> None:
    scene = Scene(minimum_interval_seconds=3600).apply(warehouse())
    scene.run(10.0)
    token = scene.lab.refresh(KEY)
    assert scene.run(20.0) == [0.0, 10.0]
    status = scene.lab.warehouse_status(KEY)
    assert status is not None
    assert status.last_handled_refresh == token


def test_l14_two_refreshes_within_a_second_are_one() -> None:
    scene = Scene().apply(warehouse())
    scene.run(10.0)
    scene.lab.refresh(KEY)
    scene.run(10.4)
    scene.lab.refresh(KEY)
    assert scene.run(20.0) == [0.0, 10.0]


def test_in_recommended_they_are_two() -> None:
    scene = Scene(profile=PROFILES["recommended"]).apply(warehouse())
    scene.run(10.0)
    scene.lab.refresh(KEY)
    scene.run(10.4)
    scene.lab.refresh(KEY)
    assert scene.run(20.0) == [0.0, 10.0, 10.4]


def test_l16_a_refresh_whose_discovery_fails_is_lost() -> None:
    scene = Scene().apply(warehouse())
    scene.run(10.0)
    scene.failing = lambda: True
    scene.lab.refresh(KEY)
    scene.run(10.001)
    assert scene.ready() == ("False", "DiscoveryFailure")
    assert scene.run(20.0) == [0.0, 10.0]
    assert scene.ready() == ("True", "ArtifactsDiscovered")


def test_in_recommended_it_is_tried_until_it_works() -> None:
    scene = Scene(profile=PROFILES["recommended"]).apply(warehouse())
    scene.run(10.0)
    scene.failing = lambda: scene.clock.monotonic() < 10.05
    scene.lab.refresh(KEY)
    scene.run(20.0)
    assert scene.began == [0.0, 10.0, 10.005, 10.015, 10.035, pytest.approx(10.075)]
    assert scene.ready() == ("True", "ArtifactsDiscovered")


def test_l17_retries_double_from_five_milliseconds() -> None:
    scene = Scene()
    scene.failing = lambda: True
    scene.apply(warehouse())
    delays = [later - sooner for sooner, later in zip(scene.run(1.0), scene.began[1:], strict=False)]
    assert delays[:6] == pytest.approx([0.005, 0.01, 0.02, 0.04, 0.08, 0.16], abs=0.002)


def test_l18_a_failed_discovery_leaves_the_observed_generation() -> None:
    scene = Scene().apply(warehouse())
    scene.run(10.0)
    scene.failing = lambda: True
    scene.apply(warehouse(301.0))
    scene.run(11.0)
    status = scene.lab.warehouse_status(KEY)
    assert status is not None
    assert (status.observed_generation, len(scene.began) > 3) == (1, True)


def test_l19_success_resets_the_delays() -> None:
    scene = Scene()
    scene.failing = lambda: scene.clock.monotonic() < 0.05
    scene.apply(warehouse())
    scene.run(200.0)
    count, scene.failing = len(scene.began), lambda: True
    scene.run(310.0)
    assert scene.began[count + 1] - scene.began[count] == pytest.approx(0.005, abs=0.002)


def test_l20_one_failure_discards_the_other_results() -> None:
    two = (ImageSubscription(repo_url="r.example/web"), GitSubscription(repo_url="https://g.example/gone"))
    scene = Scene().apply(warehouse(subscriptions=two))
    scene.run(0.001)
    status = scene.lab.warehouse_status(KEY)
    assert status is not None
    assert status.discovered is None


def test_in_recommended_the_others_are_kept() -> None:
    two = (ImageSubscription(repo_url="r.example/web"), GitSubscription(repo_url="https://g.example/gone"))
    scene = Scene(profile=PROFILES["recommended"]).apply(warehouse(subscriptions=two))
    scene.run(0.001)
    status = scene.lab.warehouse_status(KEY)
    assert status is not None
    assert status.discovered is not None
    assert [each.repo_url for each in status.discovered.images] == ["r.example/web"]
    assert scene.ready() == ("False", "DiscoveryFailure")
    assert scene.lab.freight() == ()


def test_in_recommended_freight_goes_on_with_the_last_result_of_a_broken_subscription() -> None:
    world = World()
    url = "https://g.example/web"
    world.commit(url, when=EPOCH)
    two = (GitSubscription(repo_url=url), ImageSubscription(repo_url="r.example/web"))
    scene = Scene(profile=PROFILES["recommended"], world=world).apply(warehouse(subscriptions=two))
    scene.run(1.0)
    scene.failing = lambda: True
    world.commit(url, when=EPOCH + timedelta(hours=1))
    scene.lab.refresh(KEY)
    scene.run(2.0)
    assert len(scene.lab.freight()) == 2
    assert scene.ready() == ("False", "DiscoveryFailure")


@pytest.mark.parametrize(
    ("profile", "settings", "labels", "spec", "handled"),
    [
        pytest.param("latest", {"shard": "b"}, {"kargo.akuity.io/shard": "a"}, {}, False, id="L23 another shard"),
        pytest.param("latest", {"shard": "a"}, {}, {"shard": "a"}, True, id="the own shard, by the spec"),
        pytest.param("latest", {"shard": "a"}, {}, {}, True, id="L24 no shard, and the default controller"),
        pytest.param("v1.6", {"shard": "a"}, {}, {}, False, id="in v1.6 a sharded controller is never the default"),
        pytest.param("latest", {"default_controller": False}, {}, {}, False, id="no shard, and not the default"),
    ],
)
def test_shards(
    profile: str, settings: dict[str, Any], labels: dict[str, str], spec: dict[str, str], handled: bool
) -> None:
    scene = Scene(profile=PROFILES[profile], **settings).apply(warehouse(labels=labels, **spec))
    assert bool(scene.run(1.0)) is handled


def test_l26_conditions_while_discovery_runs() -> None:
    scene = Scene(seconds=60).apply(warehouse())
    scene.run(30.0)
    assert scene.ready() == ("False", "DiscoveryInProgress")


def test_l28_the_fifth_waits_while_four_are_busy() -> None:
    scene = Scene(seconds=60).apply(*(warehouse(name=f"w{number}") for number in range(5)))
    assert scene.run(61.0) == [0.0, 0.0, 0.0, 0.0, pytest.approx(60.0)]


def test_l09_and_l10_after_a_restart_the_raw_interval_decides() -> None:
    store = Store()
    Scene(store=store).apply(warehouse(60.0), warehouse(600.0, "slow")).run(0.0)
    again = Scene(store=store, minimum_interval_seconds=300)
    again.clock.advance(120.0)
    again.apply(warehouse(60.0), warehouse(600.0, "slow"))
    assert again.run(121.0) == [120.0]
    assert again.run(601.0)[-1] == pytest.approx(600.0, abs=0.01)


def test_a_broken_warehouse_does_not_disturb_the_others() -> None:
    gone = (GitSubscription(repo_url="https://g.example/gone"),)
    scene = Scene().apply(warehouse(name="broken", subscriptions=gone), warehouse())
    scene.run(601.0)
    assert scene.began == pytest.approx([0.0, 300.0, 600.0], abs=0.01)


def test_a_refresh_of_one_is_not_delayed_by_many_others() -> None:
    scene = Scene().apply(*(warehouse(name=f"w{number}") for number in range(500)))
    scene.run(10.0)
    scene.lab.refresh("p/w250")
    scene.lab.step()
    assert scene.began[500:] == [10.0]


def test_in_recommended_a_refresh_goes_before_all_that_are_due() -> None:
    scene = Scene(profile=PROFILES["recommended"], seconds=1).apply(*(warehouse(name=f"w{n}") for n in range(100)))
    scene.lab.refresh("p/w99")
    scene.run(1.5)
    status = scene.lab.warehouse_status("p/w99")
    assert status is not None
    assert status.discovered is not None


def test_f06_unchanged_artifacts_are_freight_once() -> None:
    scene = Scene().apply(warehouse())
    scene.run(1000.0)
    assert (len(scene.began), len(scene.lab.freight()), len(scene.lab.store.events())) == (4, 1, 1)


def test_f08_deleted_freight_comes_back_with_the_next_pass() -> None:
    scene = Scene().apply(warehouse())
    scene.run(1.0)
    first = scene.lab.freight()[0]
    scene.lab.store.delete_freight("p", first.name)
    scene.run(400.0)
    again = scene.lab.freight()[0]
    assert again.name == first.name
    assert again.discovered_at > first.discovered_at


def test_the_same_seed_lives_the_same_life() -> None:
    def life() -> tuple[Any, ...]:
        scene = Scene(profile=PROFILES["recommended"]).apply(warehouse(), warehouse(name="v"))
        scene.run(5000.0)
        return tuple(scene.began), tuple(attrs.asdict(each).values() for each in ()), scene.lab.freight()

    assert life() == life()


def test_jitter_spreads_a_fleet_in_recommended() -> None:
    scene = Scene(profile=PROFILES["recommended"]).apply(*(warehouse(name=f"w{number}") for number in range(20)))
    scene.run(400.0)
    second = scene.began[20:40]
    assert len(set(second)) > 15
    assert 300.0 <= min(second) <= max(second) <= 330.1
