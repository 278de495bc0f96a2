"""Ten thousand Warehouses on one engine and on the wall clock: memory, time per pass, and what a refresh waits for.

    python benchmarks/crowd.py [--warehouses 10000] [--webhooks 200]

First the growth: memory and processor time per pass of 100, 1,000 and 10,000 Warehouses, discovered once and once more,
sources in memory. Then the delay of webhooks, from the request to the 200 and from the 200 to the start of the
discovery, while the engine's own threads work through a fleet of which everything is due; against the same engine with
nothing due. In the one case discoveries wait as for a network, 50 ms each; in the other they compute without a pause,
which is the worst that one Python process can do to itself. `kargo_lab.experiments.crowd` has the virtual clock.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from kargo_lab.engine.clock import VirtualClock, WallClock
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.store import Store
from kargo_lab.experiments import crowd
from kargo_lab.profiles import PROFILES
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.memory import World
from kargo_lab.sources.shared import OperatorSettings

NETWORK_SECONDS = 0.05
IDLE_FLEET = 200
PATIENCE_SECONDS = 60.0
LONG_AGO = timedelta(days=2)


def memory() -> float:
    """Resident megabytes now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def filled(size: int) -> World:
    world = World()
    for number in range(size):
        world.push_image(f"{crowd.registry(number)}/web", "1.0.0")
    return world


def growth(size: int) -> None:
    """One line: what so many Warehouses take."""
    gc.collect()
    before, world = memory(), filled(size)
    filling = memory() - before
    lab = Lab(clock=VirtualClock(), sources=world.sources, ledger=Ledger(keep=1000), environment={}, seed=1)
    lab.apply(crowd.resources(size, 3600.0))
    began = time.process_time()
    first = lab.run_until(1.0)
    middle = time.process_time()
    second = lab.run_until(3700.0)
    ended = time.process_time()
    gc.collect()
    taken = memory() - before - filling
    cold, warm = (middle - began) / first, (ended - middle) / second
    print(
        f"  {size:>6,} Warehouses: {1e3 * cold:.2f} ms a first pass, {1e3 * warm:.2f} ms a pass, "
        f"{taken:.0f} MB, {1e3 * taken / size:.1f} kB each",
        flush=True,
    )


def delays(profile: str, size: int, count: int, seconds: float, *, due: bool, folder: str) -> list[tuple[float, float]]:
    """For each webhook the seconds to its 200, and from there to the start of its discovery."""
    world, dice = filled(size), random.Random(7)  # noqa: S311 - targets, not secrets
    store = Store(Path(folder) / f"{profile}-{size}-{seconds}-{due}.db")
    settings = OperatorSettings(registry_rate_limit=1e6)  # the limit of a registry says nothing about the engine
    common = {
        "profile": PROFILES[profile],
        "sources": world.sources,
        "environment": {},
        "seed": 1,
        "settings": settings,
    }
    earlier = Lab(clock=WallClock(), store=store, ledger=Ledger(keep=1000), **common)
    earlier.apply(crowd.resources(size, 86400.0))
    earlier.step()  # a first life, whose discoveries cost nothing
    if due:
        crowd.let_be_due(store, size, lambda _number: LONG_AGO, WallClock().now().replace(microsecond=0))
    world.request_seconds = seconds / crowd.REQUESTS
    lab = Lab(clock=WallClock(), store=store, ledger=Ledger(keep=1000), **common)
    lab.apply(crowd.resources(size, 86400.0))
    started: dict[str, float] = {}
    known = lab.warehouses.on_discovery

    def noted(key: str, cause: str) -> None:
        if cause:
            started[key] = time.perf_counter()
        known(key, cause)

    lab.warehouses.on_discovery = noted
    given, found = crowd.Crowd(lab=lab, world=world, size=size), list[tuple[float, float]]()
    lab.start()
    try:
        for number in dice.sample(range(size // 2, size), count):
            key = f"p/w{number}"
            time.sleep(0.01 + 1.2 * seconds)  # so that no refresh waits for another
            started.pop(key, None)
            sent = time.perf_counter()
            given.push(number)
            answered = time.perf_counter()
            while key not in started and time.perf_counter() - answered < PATIENCE_SECONDS:
                time.sleep(0.0002)
            found.append((answered - sent, max(0.0, started[key] - answered)))
    finally:
        lab.close()
    return found


def shown(values: list[float]) -> str:
    ordered = sorted(values)
    cells = (ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))], ordered[-1])
    return " / ".join(f"{1e3 * each:.1f}" for each in cells)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--warehouses", type=int, default=10_000)
    parser.add_argument("--webhooks", type=int, default=200)
    given = parser.parse_args()
    print("growth, on the virtual clock")
    for size in (given.warehouses // 100, given.warehouses // 10, given.warehouses):
        growth(size)
    for profile in ("recommended", "latest"):
        for seconds, what in ((NETWORK_SECONDS, "discoveries of 50 ms"), (0.0, "discoveries that only compute")):
            print(f"{profile}, {what}: median / 99th percentile / maximum in ms")
            for size, due in ((IDLE_FLEET * 2, False), (given.warehouses, True)):
                with tempfile.TemporaryDirectory() as folder:
                    found = delays(profile, size, min(given.webhooks, size // 2), seconds, due=due, folder=folder)
                to_answer, to_start = ([each[part] for each in found] for part in (0, 1))
                name = f"{size:,} due at once" if due else "nothing due"
                print(f"  {name:>16}: to the 200 {shown(to_answer)}, then to the start {shown(to_start)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
