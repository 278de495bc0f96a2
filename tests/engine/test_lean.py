"""Lean mode inside the engine: a refresh is never answered with what was seen before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.registry import Registry
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import ImageSubscription, Warehouse, WarehouseSpec
from kargo_lab.sources.shared import OperatorSettings

FLEET = tuple(f"p/w{number}" for number in range(6))


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as running:
        running.push("acme/web", make_image("one"), "1.0.0")
        yield running


@pytest.fixture
def lab(registry: Registry) -> Iterator[Lab]:
    running = Lab(clock=VirtualClock(), settings=OperatorSettings(lean=True))
    spec = WarehouseSpec(subscriptions=(ImageSubscription(repo_url=f"{registry.host}/acme/web"),))
    running.apply(Resources(warehouses=tuple(Warehouse(namespace="p", name=key[2:], spec=spec) for key in FLEET)))
    running.run_until(1.0)
    registry.access_log.clear()
    yield running
    running.close()


def test_a_push_within_the_window_is_found_by_the_refresh(lab: Lab, registry: Registry) -> None:
    registry.push("acme/web", make_image("two"), "1.1.0")
    lab.refresh("p/w3")
    lab.run_until(2.0)
    assert [piece.images[0].tag for piece in lab.freight(origin="w3")] == ["1.0.0", "1.1.0"]


def test_a_fleet_that_one_push_refreshes_asks_once(lab: Lab, registry: Registry) -> None:
    registry.push("acme/web", make_image("two"), "1.1.0")
    lab.warehouses.refresh(FLEET, "a token")
    lab.run_until(2.0)
    assert len(lab.freight()) == 2 * len(FLEET)
    # The list, the new manifest with its config, and whether the known tag still points where it did.
    assert len(registry.access_log.rows) == 4


def test_polling_asks_once_for_the_whole_fleet(lab: Lab, registry: Registry) -> None:
    lab.run_until(305.0)
    assert len(registry.access_log.rows) == 2


def test_a_closed_lab_keeps_no_connection(registry: Registry) -> None:
    lab = Lab(clock=VirtualClock(), settings=OperatorSettings(lean=True))
    spec = WarehouseSpec(subscriptions=(ImageSubscription(repo_url=f"{registry.host}/acme/web"),))
    lab.apply(Resources(warehouses=(Warehouse(namespace="p", name="w", spec=spec),)))
    lab.run_until(1.0)
    connections = lab.shared.connections
    assert connections is not None
    pools = connections.adapter(verify=True).poolmanager.pools
    held = [pools[key] for key in pools.keys()]  # noqa: SIM118 - no mapping, and iterating is refused
    lab.close()
    assert {pool.pool for pool in held} == {None}
