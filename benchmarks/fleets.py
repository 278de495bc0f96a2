"""The scale of the simulation: 100,000 Warehouses for 30 days, and how much faster than the play on SimPy.

    python benchmarks/fleets.py [--warehouses 100000] [--days 30]

Prints seconds of the wall clock and of the processor, polls a second, memory, the ratio to SimPy on a small part of the
same scenario in the same run (polls a processor second against polls a processor second), and growth from a
tenth of the time to all of it. On a machine that others use, believe the ratios and the processor's seconds.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable

import attrs

from kargo_lab.experiments import events, fast
from kargo_lab.experiments.chance import Span
from kargo_lab.experiments.outcome import Outcome
from kargo_lab.experiments.scenario import Controller, Events, Fleet, Quota, Scenario, Source, Webhook

DAY = 86400.0


def scenario(warehouses: int, days: float, *, limited: bool) -> Scenario:
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
    quota = Quota(requests=warehouses * 30, per_seconds=3600.0)
    return Scenario(
        name="benchmark",
        length_seconds=days * DAY,
        sources={"registry": Source(quota=quota if limited else None)},
        fleets={"all": fleet},
        controller=Controller(workers=max(1, warehouses // 100) if limited else None),
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
    for limited in (False, True):
        whole = scenario(given.warehouses, given.days, limited=limited)
        small = scenario(500, 1.0, limited=limited)
        played, _, slow = timed(events.simulate, small)
        _, _, tenth = timed(fast.simulate, attrs.evolve(whole, length_seconds=whole.length_seconds / 10))
        outcome, wall, processor = timed(fast.simulate, whole)
        count, few = outcome.counts["all"], played.counts["all"]
        speed, slow_speed = count.by_poll / processor, few.by_poll / slow
        print("with workers and a quota" if limited else "without limits")
        print(f"  {count.by_poll:,} polls, {count.by_webhook:,} by webhook, {len(outcome.found['all'].push):,} events")
        print(f"  {wall:.1f} s of the wall, {processor:.1f} s of the processor, {speed:,.0f} polls a second")
        print(f"  SimPy {slow_speed:,.0f} polls a second: {speed / slow_speed:,.0f} times")
        print(f"  a tenth of the time took {tenth / processor:.2f} of the whole")
        print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB at most", flush=True)


if __name__ == "__main__":
    sys.exit(main())
