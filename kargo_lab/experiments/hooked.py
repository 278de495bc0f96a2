"""Webhooks with a poll clock behind them, measured: what they cost in calls, and what it costs to lose some.

Real pushes into the embedded registry, one repository and one Warehouse for each measured line, all at the same time in
one testbed. Intervals are seconds. Kargo stores times in whole seconds, so the first interval behind a
webhook is up to a second short: that is why none here is below two.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import pandas as pd

from kargo_lab.experiments import formulas, record
from kargo_lab.platforms.losses import Losses
from kargo_lab.sources.limits import Limiters
from kargo_lab.testbed import PROJECT, Testbed

LOOK_SECONDS = 0.02
# Kargo's own limit of 20 requests a second and registry, an operator's setting, would be all that a fleet measures
# whose interval is seconds.
NO_LIMIT = 10_000.0
GIVE_UP_INTERVALS = 3.0
CALL_COLUMNS = (
    "interval_seconds",
    "warehouses",
    "seconds",
    "pushes",
    "requests",
    "discoveries_per_second",
    "hooks_per_second",
    "expected_per_second",
    "old_interval_seconds",
)
DELAY_COLUMNS = (
    "loss",
    "interval_seconds",
    "pushes",
    "mean_delay_seconds",
    "p50_delay_seconds",
    "p95_delay_seconds",
    "error_seconds",
    "expected_seconds",
)


@attrs.frozen(kw_only=True)
class Measured:
    """A table, and how to make it again."""

    rows: pd.DataFrame
    made: dict[str, str]


def calls(
    *,
    intervals_seconds: Sequence[float] = (2.0, 4.0, 8.0),
    old_interval_seconds: float = 2.0,
    gap_seconds: float = 3.0,
    seconds: float = 12.0,
    warehouses: int = 3,
    seed: int = 7,
) -> Measured:
    """Discoveries a second with webhooks at each interval, columns `CALL_COLUMNS`.

    Each of `warehouses` a line is pushed to at random, every `gap_seconds` on average, but never twice within a
    second: Kargo would make one refresh of it. `expected_per_second` is the closed form at the measured rate.
    """
    chance = np.random.default_rng(seed)
    names = [(interval, f"w{interval:g}-{number}") for interval in intervals_seconds for number in range(warehouses)]
    with Testbed(interval="1h", seed=seed) as bed:
        bed.lab.shared.limiters = Limiters(bed.lab.profile, per_second=NO_LIMIT)
        for interval, name in names:
            bed.registry.push_image(f"team/{name}", "0.0.1")
            bed.watch(name, bed.image(f"team/{name}", discoveryLimit=1), interval=f"{interval:g}s")
        _all_have_freight(bed, [name for _, name in names])
        bed.install_hooks()
        plans = {
            name: np.cumsum(1.0 + chance.exponential(max(gap_seconds - 1.0, 0.01), int(3 * seconds / gap_seconds) + 3))
            for _, name in names
        }
        bed.lab.ledger.clear()
        began = time.monotonic()

        def push(name: str) -> int:
            moments = [moment for moment in plans[name].tolist() if moment < seconds]
            for number, moment in enumerate(moments, 1):
                time.sleep(max(0.0, began + moment - time.monotonic()))
                bed.registry.push_image(f"team/{name}", f"0.1.{number}")
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            return len(moments)

        with ThreadPoolExecutor(len(names)) as pool:
            pushes = dict(zip(names, pool.map(push, [name for _, name in names]), strict=True))
        took = time.monotonic() - began
        ledger = bed.lab.ledger.to_frame()
    rows = []
    for interval in intervals_seconds:
        own = {f"{PROJECT}/{name}" for each, name in names if each == interval}
        of = ledger[ledger["warehouse"].isin(own)]
        pushed = sum(count for (each, _), count in pushes.items() if each == interval)
        hooks = pushed / took / warehouses
        found = int((of["kind"] == "tags").sum()) / took / warehouses
        expected = float(formulas.hybrid_rate(hooks, interval))
        rows.append((interval, warehouses, took, pushed, len(of), found, hooks, expected, old_interval_seconds))
    command = f"kargo_lab.experiments.hooked.calls(intervals_seconds={tuple(intervals_seconds)}, seed={seed})"
    return Measured(rows=pd.DataFrame(rows, columns=list(CALL_COLUMNS)), made=record.made(command, seed))


def losses(
    *,
    shares: Sequence[float] = (0.0, 0.25, 0.5),
    intervals_seconds: Sequence[float] = (2.0, 4.0),
    warehouses: int = 5,
    pushes: int = 2,
    seed: int = 7,
) -> Measured:
    """Push to Freight when a share of deliveries is lost on the way, columns `DELAY_COLUMNS`.

    Each Warehouse is pushed to `pushes` times, every time at a random moment of its interval. `error_seconds` is
    the standard error of the mean. `expected_seconds` is the share lost times the mean wait for a poll,
    on top of what a push without loss was measured to take.
    """
    chance = np.random.default_rng(seed)
    found: list[tuple[float, float, float]] = []
    names = [(interval, f"w{interval:g}-{number}") for interval in intervals_seconds for number in range(warehouses)]
    with Testbed(interval="1h", seed=seed) as bed:
        bed.lab.shared.limiters = Limiters(bed.lab.profile, per_second=NO_LIMIT)
        for interval, name in names:
            bed.registry.push_image(f"team/{name}", "0.0.1")
            bed.watch(name, bed.image(f"team/{name}", discoveryLimit=1), interval=f"{interval:g}s")
        _all_have_freight(bed, [name for _, name in names])
        bed.install_hooks()
        for turn, share in enumerate(shares):
            bed.registry.sender.losses = Losses(seed=seed + turn, drop=share)
            waits = {name: 1.0 + chance.uniform(0.0, interval, pushes) for interval, name in names}

            tasks = [
                (
                    bed,
                    name,
                    interval,
                    share,
                    [(f"0.{turn + 1}.{number}", wait) for number, wait in enumerate(waits[name])],
                )
                for interval, name in names
            ]
            with ThreadPoolExecutor(len(names)) as pool:
                found += [each for many in pool.map(_push_all, tasks) for each in many]
    raw = pd.DataFrame(found, columns=["loss", "interval_seconds", "delay"])
    grouped = raw.groupby(["loss", "interval_seconds"])["delay"]
    table: pd.DataFrame = grouped.agg(
        pushes="size",
        mean_delay_seconds="mean",
        p50_delay_seconds="median",
        p95_delay_seconds=lambda column: column.quantile(0.95),
        error_seconds="sem",
    ).reset_index()
    swift = float(raw[raw["loss"] == min(shares)]["delay"].median())
    table["expected_seconds"] = swift + table["loss"] * formulas.polling_delay_mean(table["interval_seconds"])
    command = f"kargo_lab.experiments.hooked.losses(shares={tuple(shares)}, seed={seed})"
    return Measured(rows=table[list(DELAY_COLUMNS)], made=record.made(command, seed))


def _push_all(task: tuple[Testbed, str, float, float, list[tuple[str, float]]]) -> list[tuple[float, float, float]]:
    bed, name, interval, share, plan = task
    found = []
    for tag, wait in plan:
        time.sleep(float(wait))
        found.append((share, interval, _push(bed, name, tag, interval)))
    return found


def _push(bed: Testbed, name: str, tag: str, interval: float) -> float:
    before, began = bed.freight(name), time.monotonic()
    bed.registry.push_image(f"team/{name}", tag)
    while bed.freight(name) == before:
        if time.monotonic() - began > GIVE_UP_INTERVALS * interval + 5:
            return float("nan")
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def _all_have_freight(bed: Testbed, names: Sequence[str]) -> None:
    began = time.monotonic()
    while not all(bed.freight(name) for name in names) and time.monotonic() - began < 30:
        time.sleep(LOOK_SECONDS)
