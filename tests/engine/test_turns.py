"""Whose turn it is where a whole fleet is due: the order in which discoveries start, on the virtual clock."""

from __future__ import annotations

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.store import Store
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import ChartSubscription, Warehouse, WarehouseSpec
from kargo_lab.sources.memory import World
from kargo_lab.sources.shared import OperatorSettings

FLEET, CHARTS = 20, "https://c.example"


class Scene:
    """Warehouses that are all due, workers that take a second for each, and the order in which they start."""

    def __init__(self, profile: str, *, workers: int = 4, store: Store | None = None, day: int = 0) -> None:
        self.world, self.started = World(request_seconds=1.0), list[str]()
        self.world.push_chart(CHARTS, "1.0.0", name="web")
        self.lab = Lab(
            clock=VirtualClock(),
            profile=PROFILES[profile],
            store=store,
            sources=self.world.sources,
            settings=OperatorSettings(concurrent_reconciles=workers),
            seed=1,
        )
        self.lab.clock.wait(day * 86_400.0)
        self.lab.warehouses.on_discovery = lambda key, cause: self.started.append(key) if cause else None
        self.apply(FLEET)

    def apply(self, count: int) -> None:
        spec = WarehouseSpec(subscriptions=(ChartSubscription(repo_url=CHARTS, chart_name="web"),))
        fleet = (Warehouse(namespace="p", name=f"w{number}", spec=spec) for number in range(count))
        self.lab.apply(Resources(warehouses=tuple(fleet)))

    def run(self, seconds: float) -> list[str]:
        """The discoveries that started in that time."""
        self.started.clear()
        self.lab.run_until(self.lab.clock.monotonic() + seconds)
        return list(self.started)


def names(*numbers: int) -> list[str]:
    return [f"p/w{number}" for number in numbers]


def test_v1_11_takes_a_refreshed_warehouse_in_its_turn() -> None:
    scene = Scene("v1.11")
    assert scene.run(0.5) == names(0, 1, 2, 3)
    scene.lab.refresh("p/w19")
    assert scene.run(1) == names(4, 5, 6, 7)


def test_latest_takes_a_refreshed_warehouse_before_those_that_it_found_at_its_start() -> None:
    scene = Scene("latest")
    scene.run(0.5)
    scene.lab.refresh("p/w19")
    assert scene.run(1) == names(19, 4, 5, 6)


def test_latest_takes_a_warehouse_that_is_new_before_those_that_it_found_at_its_start() -> None:
    scene = Scene("latest")
    scene.run(0.5)
    scene.apply(FLEET + 1)
    assert scene.run(1) == names(20, 4, 5, 6)


def test_latest_lets_the_timer_of_a_refreshed_warehouse_rank_as_high_as_a_refresh() -> None:
    scene = Scene("latest")
    scene.lab.refresh("p/w19")
    scene.run(290)
    scene.lab.clock.wait(60)  # the workers were away, and now all are due
    assert scene.run(0.5) == names(19, 0, 1, 2)


def test_latest_lets_refreshed_warehouses_starve_the_others_where_workers_are_too_few() -> None:
    scene = Scene("latest", workers=1)
    scene.world.request_seconds = 200.0  # three of them need 600 s, and want to be looked at every 500 s
    scene.run(0.5)
    for key in names(17, 18, 19):
        scene.lab.refresh(key)
    assert set(scene.run(20_000)) == set(names(17, 18, 19))


def test_recommended_starts_a_refreshed_warehouse_at_once() -> None:
    scene = Scene("recommended")
    assert scene.run(0.5) == names(0, 1, 2)
    scene.lab.refresh("p/w19")
    assert scene.run(0.1) == names(19)


def test_recommended_takes_refreshes_in_their_order() -> None:
    scene = Scene("recommended", workers=1)
    scene.run(0.5)
    for key in names(9, 8, 7):
        scene.lab.refresh(key)
    assert scene.run(3) == names(9, 8, 7)


def test_recommended_looks_again_next_at_what_is_refreshed_while_a_worker_has_it() -> None:
    scene = Scene("recommended", workers=1)
    assert scene.run(0.5) == names(0)
    scene.lab.refresh("p/w0")
    assert scene.run(1) == names(0)


def test_recommended_tries_a_refresh_that_failed_again_before_what_is_merely_due() -> None:
    scene = Scene("recommended", workers=1)
    scene.run(0.5)
    scene.lab.refresh("p/w9")
    scene.world.down.add("c.example")
    assert scene.run(1) == names(9)
    scene.world.down.clear()
    assert scene.run(1.5)[:2] == names(1, 9)


def test_recommended_begins_with_the_refreshes_that_the_last_controller_did_not_do() -> None:
    store = Store()
    scene = Scene("recommended", store=store)
    scene.run(60)
    scene.lab.warehouses.refresh(names(13), "a token")
    assert Scene("recommended", store=store, day=1).run(0.5) == names(13, 0, 1)


def test_a_hanging_fleet_does_not_hold_a_refresh_in_recommended() -> None:
    scene = Scene("recommended")
    scene.world.request_seconds = 300.0
    scene.run(1)
    scene.lab.refresh("p/w19")
    assert scene.run(1) == names(19)
