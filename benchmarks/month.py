"""A month of a fleet's life on the virtual clock: how long it takes, and what a pass costs.

    python benchmarks/month.py [DAYS] [WAREHOUSES] [SEED]

A third of the Warehouses follow images (ten tags each), a third branches, a third charts, every five
minutes; twice a day something is pushed to one of them. Nothing is on disk, no socket is opened.
"""

from __future__ import annotations

import random
import sys
import time
from datetime import timedelta

from kargo_lab.engine.clock import EPOCH, VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GitSubscription,
    ImageSubscription,
    Subscription,
    Warehouse,
    WarehouseSpec,
)
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.memory import World

DAY_SECONDS, PUSHES_A_DAY = 86_400.0, 2
CHARTS = "https://c.example/charts"


def subscription(number: int) -> Subscription:
    """What the n-th Warehouse follows."""
    kinds: tuple[Subscription, ...] = (
        ImageSubscription(repo_url=f"r.example/app-{number}"),
        GitSubscription(repo_url=f"https://g.example/acme/app-{number}"),
        ChartSubscription(repo_url=CHARTS, chart_name=f"app-{number}"),
    )
    return kinds[number % len(kinds)]


def change(world: World, number: int, count: int) -> None:
    """The n-th repository gets something new, for the so-manieth time."""
    match number % 3:
        case 0:
            world.push_image(f"r.example/app-{number}", f"1.{count}.0")
        case 1:
            when = EPOCH + timedelta(minutes=count)
            world.commit(f"https://g.example/acme/app-{number}", when=when, subject=f"change {count}")
        case _:
            world.push_chart(CHARTS, f"1.{count}.0", name=f"app-{number}")


def live(days: float, warehouses: int = 20, seed: int = 1) -> tuple[Lab, int]:
    """The lab after so many days, and how many passes there were."""
    world, dice = World(), random.Random(seed)  # noqa: S311 - a play, not secrets
    lab = Lab(clock=VirtualClock(), sources=world.sources, ledger=Ledger(keep=1000), seed=seed, environment={})
    for number in range(warehouses):
        for count in range(10 if number % 3 == 0 else 1):
            change(world, number, count)
    specs = (WarehouseSpec(subscriptions=(subscription(number),)) for number in range(warehouses))
    fleet = tuple(Warehouse(namespace="p", name=f"w{number}", spec=spec) for number, spec in enumerate(specs))
    lab.apply(Resources(warehouses=fleet))
    pushes = sorted(dice.uniform(0, days * DAY_SECONDS) for _ in range(round(days * PUSHES_A_DAY)))
    passes = 0
    for count, moment in enumerate(pushes, 10):
        passes += lab.run_until(moment)
        change(world, dice.randrange(warehouses), count)
    return lab, passes + lab.run_until(days * DAY_SECONDS)


def main() -> None:
    """Live, and print a line."""
    given = [float(text) for text in sys.argv[1:]]
    days, warehouses, seed = [*given, *(30.0, 20.0, 1.0)[len(given) :]]
    began = time.process_time()
    lab, passes = live(days, int(warehouses), int(seed))
    spent = time.process_time() - began
    requests = int(lab.ledger.totals().requests.sum())
    sys.stdout.write(
        f"{days:g} days of {warehouses:g} Warehouses, seed {seed:g}: {passes} passes, {requests} requests, "
        f"{len(lab.freight())} Freight in {spent:.1f} s of processor time, {1e3 * spent / passes:.3f} ms a pass\n"
    )


if __name__ == "__main__":
    main()
