"""The scale of the simulation: 100,000 Warehouses for 30 days, and how much faster than the play on SimPy.

    python benchmarks/fleets.py [--warehouses 100000] [--days 30]

Prints seconds of the wall clock and of the processor, polls a second, memory, the ratio to SimPy on a small part of the
same scenario in the same run (polls a processor second against polls a processor second), and growth from a
quarter of the time over half of it to all of it. On a machine that others use, believe the ratios and the processor's
seconds.

Three fleets: without limits; with a worker limit and a quota that suffice, as somebody runs it who is well; and with
so few workers and so small a quota that the queue never empties and some discoveries are refused.
"""

from __future__ import annotations

import argparse
import platform
import resource
import sys
import time
from collections.abc import Callable
from importlib import metadata

import attrs

from kargo_lab.experiments import events, fast
from kargo_lab.experiments.chance import Span
from kargo_lab.experiments.outcome import Outcome
from kargo_lab.experiments.scenario import Controller, Events, Fleet, Quota, Scenario, Source, Webhook

DAY, SEED = 86400.0, 7


# Warehouses for each worker, and requests an hour of each Warehouse that the quota allows; 0 is no limit.
LIMITS = {"without limits": (0, 0), "with workers and a quota": (100, 30), "with too few of both": (160, 20)}


def scenario(warehouses: int, days: float, *, per_worker: int, requests: int) -> Scenario:
    """Five Warehouses a repository, two events a day, polls every 5 minutes, 5 % of the webhooks lost."""
    fleet = Fleet(
        source="registry",
        warehouses=warehouses,
        repositories=max(1, warehouses // 5),
        interval_seconds=300.0,
        events=Events(per_day=2),
        webhook=Webhook(latency=Span(2.0, "exponential"), loss=0.05),
        discovery=Span(2.0),
    )
    quota = Quota(requests=warehouses * requests, per_seconds=3600.0) if requests else None
    return Scenario(
        name="benchmark",
        length_seconds=days * DAY,
        sources={"registry": Source(quota=quota)},
        fleets={"all": fleet},
        controller=Controller(workers=max(1, warehouses // per_worker) if per_worker else None),
        seed=SEED,
    )


def timed(simulate: Callable[[Scenario], Outcome], what: Scenario) -> tuple[Outcome, float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    outcome = simulate(what)
    return outcome, time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--warehouses", type=int, default=100_000)
    parser.add_argument("--days", type=float, default=30)
    given = parser.parse_args()
    print(
        f"seed {SEED}, {given.warehouses:,} Warehouses, {given.days:g} days; Python {platform.python_version()}, ",
        end="",
    )
    print(", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "simpy")))
    for name, (per_worker, requests) in LIMITS.items():
        whole = scenario(given.warehouses, given.days, per_worker=per_worker, requests=requests)
        small = scenario(480, 1.0, per_worker=per_worker, requests=requests)
        played, _, slow = timed(events.simulate, small)
        parts = [timed(fast.simulate, attrs.evolve(whole, length_seconds=whole.length_seconds / n))[2] for n in (4, 2)]
        outcome, wall, processor = timed(fast.simulate, whole)
        count, few = outcome.counts["all"], played.counts["all"]
        speed, slow_speed = count.by_poll / processor, few.by_poll / slow
        print(name)
        print(f"  {count.by_poll:,} polls, {count.by_webhook:,} by webhook, {count.refused:,} refused", end="")
        print(f", {len(outcome.found['all'].push):,} events")
        print(f"  {wall:.1f} s of the wall, {processor:.1f} s of the processor, {speed:,.0f} polls a second")
        print(f"  SimPy {slow_speed:,.0f} polls a second: {speed / slow_speed:,.0f} times")
        print(f"  a quarter of the time took {parts[0] / processor:.2f}, half of it {parts[1] / processor:.2f} of all")
        print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB at most", flush=True)


if __name__ == "__main__":
    sys.exit(main())
