"""A fleet's life on the virtual clock: the same seed lives the same life, to the last row and alias."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import ChartSubscription, ImageSubscription, Subscription, Warehouse, WarehouseSpec
from kargo_lab.sources.memory import World

DAY_SECONDS = 86_400.0


def life(seed: int, profile: str = "latest") -> tuple[Any, ...]:
    """Everything that can be seen of two days in which something is pushed now and then."""
    world, dice = World(request_seconds=0.05), random.Random(seed)
    lab = Lab(clock=VirtualClock(), profile=PROFILES[profile], sources=world.sources, seed=seed, environment={})
    subscriptions: list[Subscription] = [
        ImageSubscription(repo_url="r.example/web"),
        ChartSubscription(repo_url="https://c.example", chart_name="web"),
    ]
    world.push_image("r.example/web", "1.0.0")
    world.push_chart("https://c.example", "1.0.0", name="web")
    fleet = (
        Warehouse(namespace="p", name=f"w{number}", spec=WarehouseSpec(subscriptions=(subscriptions[number % 2],)))
        for number in range(4)
    )
    lab.apply(Resources(warehouses=tuple(fleet)))
    for count, moment in enumerate(sorted(dice.uniform(0, 2 * DAY_SECONDS) for _ in range(6)), 1):
        lab.run_until(moment)
        world.push_image("r.example/web", f"1.{count}.0")
        lab.refresh("p/w0")
    lab.run_until(2 * DAY_SECONDS)
    statuses = tuple(lab.warehouse_status(f"p/w{number}") for number in range(4))
    rows = tuple(attrs.astuple(row) for row in lab.ledger.rows)
    return rows, statuses, lab.freight(), lab.store.events()


@pytest.mark.parametrize("profile", ["latest", "recommended"])
def test_the_same_seed_lives_the_same_life(profile: str) -> None:
    assert life(7, profile) == life(7, profile)


def test_another_seed_lives_another() -> None:
    assert life(7)[2] != life(8)[2]


def test_an_unchanged_pass_writes_nothing_but_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.push_image("r.example/web", "1.0.0")
    lab = Lab(clock=VirtualClock(), sources=world.sources, seed=1, environment={})
    spec = WarehouseSpec(subscriptions=(ImageSubscription(repo_url="r.example/web"),))
    lab.apply(Resources(warehouses=(Warehouse(namespace="p", name="w", spec=spec),)))
    lab.run_until(1.0)
    began: list[object] = []
    transaction = lab.store._transaction  # every write goes through it
    monkeypatch.setattr(lab.store, "_transaction", lambda: began.append(1) or transaction())
    lab.run_until(1000.0)
    assert began == []
