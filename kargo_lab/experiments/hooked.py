"""Webhooks with a poll clock behind them, measured: what they cost in calls, and what it costs to lose some.

Real pushes into a registry, one repository and one Warehouse for each measured line, all at the same time in
one testbed. Intervals are seconds. Kargo stores times in whole seconds, so the first interval behind a
webhook is up to a second short: that is why none here is below two.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kargo_lab.errors import UsageError
from kargo_lab.experiments import formulas, record
from kargo_lab.experiments.place import HERE, PLACE_COLUMNS, Place, Pusher
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
    *PLACE_COLUMNS,
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
    *PLACE_COLUMNS,
)
OUTAGE_COLUMNS = (
    "outage_seconds",
    "interval_seconds",
    "pushes",
    "lost",
    "mean_delay_seconds",
    "p95_delay_seconds",
    "max_delay_seconds",
    "error_seconds",
    "expected_seconds",
    *PLACE_COLUMNS,
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
    place: Place = HERE,
    seed: int = 7,
) -> Measured:
    """Discoveries a second with webhooks at each interval, columns `CALL_COLUMNS`.

    Each of `warehouses` a line is pushed to at random, every `gap_seconds` on average, but never twice within a
    second: Kargo would make one refresh of it. `expected_per_second` is the closed form at the measured rate.
    """
    chance = np.random.default_rng(seed)
    names = [(interval, f"w{interval:g}-{number}") for interval in intervals_seconds for number in range(warehouses)]
    with place.testbed(interval="1h", seed=seed) as bed, place.pushing(bed) as pusher:
        where = place.columns(bed)
        _watch(bed, names)
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
                pusher.image(f"team/{name}", f"0.1.{number}")
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
        rows.append((interval, warehouses, took, pushed, len(of), found, hooks, expected, old_interval_seconds, *where))
    asked = f"intervals_seconds={tuple(intervals_seconds)}, seconds={seconds}, place={place}, seed={seed}"
    command = f"kargo_lab.experiments.hooked.calls({asked})"
    return Measured(rows=pd.DataFrame(rows, columns=list(CALL_COLUMNS)), made=record.made(command, seed))


def losses(
    *,
    shares: Sequence[float] = (0.0, 0.25, 0.5),
    intervals_seconds: Sequence[float] = (2.0, 4.0),
    warehouses: int = 5,
    pushes: int = 2,
    place: Place = HERE,
    seed: int = 7,
) -> Measured:
    """Push to Freight when a share of deliveries is lost on the way, columns `DELAY_COLUMNS`.

    Each Warehouse is pushed to `pushes` times, every time at a random moment of its interval. `error_seconds` is
    the standard error of the mean. `expected_seconds` is the share lost times the mean wait for a poll,
    on top of what a push without loss was measured to take. Only embedded registries lose by order (UsageError).
    """
    chance = np.random.default_rng(seed)
    found: list[tuple[float, float, float]] = []
    names = [(interval, f"w{interval:g}-{number}") for interval in intervals_seconds for number in range(warehouses)]
    with _losing(place).testbed(interval="1h", seed=seed) as bed, place.pushing(bed) as pusher:
        where = place.columns(bed)
        _watch(bed, names)
        for turn, share in enumerate(shares):
            bed.registry.sender.losses = Losses(seed=seed + turn, drop=share)
            plans = {
                (interval, name): [
                    (1.0 + wait, f"0.{turn + 1}.{number}")
                    for number, wait in enumerate(chance.uniform(0.0, interval, pushes).tolist(), 1)
                ]
                for interval, name in names
            }
            for (interval, _), delays in _push_all(bed, pusher, plans).items():
                found += [(share, interval, delay) for delay in delays]
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
    table[list(PLACE_COLUMNS)] = where
    asked = f"shares={tuple(shares)}, intervals_seconds={tuple(intervals_seconds)}, place={place}, seed={seed}"
    return Measured(
        rows=table[list(DELAY_COLUMNS)], made=record.made(f"kargo_lab.experiments.hooked.losses({asked})", seed)
    )


def outages(
    *,
    lengths_seconds: Sequence[float] = (0.0, 4.0, 8.0),
    intervals_seconds: Sequence[float] = (4.0,),
    warehouses: int = 12,
    place: Place = HERE,
    seed: int = 7,
) -> Measured:
    """Push to Freight around an outage in which every hook is lost, columns `OUTAGE_COLUMNS`.

    Each Warehouse is pushed to once, at a random moment of a window of twice the longest outage, in the middle of
    which the outage lies. `lost` are the pushes in it. Those wait for the poll, on average as long as polling
    would have taken: that is `expected_seconds`, on top of what the others were measured to take. However long an
    outage is, none waits longer than an interval and a discovery.
    """
    chance = np.random.default_rng(seed)
    names = [(interval, f"w{interval:g}-{number}") for interval in intervals_seconds for number in range(warehouses)]
    window = 2 * max(*lengths_seconds, 1.0)
    found: list[tuple[float, float, bool, float]] = []
    with _losing(place).testbed(interval="1h", seed=seed) as bed, place.pushing(bed) as pusher:
        where = place.columns(bed)
        _watch(bed, names)
        for turn, length in enumerate(lengths_seconds):
            # Evenly over the window and then shuffled, so that a small sample has its share of lost ones.
            moments = dict(zip(names, chance.permutation(_spread(window, len(names), chance)).tolist(), strict=True))
            begins, ends = (window - length) / 2, (window + length) / 2
            born = bed.registry.sender.elapsed() + 1.0
            bed.registry.sender.losses = Losses(seed=seed, outages=((born + begins, born + ends),))
            plans = {line: [(1.0 + moment, f"0.{turn + 1}.0")] for line, moment in moments.items()}
            for line, (delay,) in _push_all(bed, pusher, plans).items():
                found.append((length, line[0], begins <= moments[line] < ends, delay))
    raw = pd.DataFrame(found, columns=["outage_seconds", "interval_seconds", "lost", "delay"])
    table: pd.DataFrame = (
        raw.groupby(["outage_seconds", "interval_seconds"])
        .agg(
            pushes=("delay", "size"),
            lost=("lost", "sum"),
            mean_delay_seconds=("delay", "mean"),
            p95_delay_seconds=("delay", lambda column: column.quantile(0.95)),
            max_delay_seconds=("delay", "max"),
            error_seconds=("delay", "sem"),
        )
        .reset_index()
    )
    swift = float(raw[~raw["lost"]]["delay"].median())
    share = table["lost"] / table["pushes"]
    table["expected_seconds"] = swift + share * formulas.polling_delay_mean(table["interval_seconds"])
    table[list(PLACE_COLUMNS)] = where
    asked = f"lengths_seconds={tuple(lengths_seconds)}, intervals_seconds={tuple(intervals_seconds)}"
    command = f"kargo_lab.experiments.hooked.outages({asked}, warehouses={warehouses}, place={place}, seed={seed})"
    return Measured(rows=table[list(OUTAGE_COLUMNS)], made=record.made(command, seed))


def _spread(window: float, many: int, chance: np.random.Generator) -> NDArray[np.float64]:
    return (np.arange(many) + chance.uniform(0.0, 1.0, many)) * window / many


def _losing(place: Place) -> Place:
    if place.backend != "embedded":
        raise UsageError("only an embedded registry loses hooks by order; leave out the backend")
    return place


def _watch(bed: Testbed, names: Sequence[tuple[float, str]]) -> None:
    """A Warehouse for each line (interval, name), Freight in each, and hooks from now on."""
    bed.lab.shared.limiters = Limiters(bed.lab.profile, per_second=NO_LIMIT)
    for interval, name in names:
        bed.registry.push_image(f"team/{name}", "0.0.1")
        bed.watch(name, bed.image(f"team/{name}", discoveryLimit=1), interval=f"{interval:g}s")
    _all_have_freight(bed, [name for _, name in names])
    bed.install_hooks()


def _push_all(
    bed: Testbed, pusher: Pusher, plans: Mapping[tuple[float, str], Sequence[tuple[float, str]]]
) -> dict[tuple[float, str], list[float]]:
    """Carry out the lines' plans, all at once: wait so many seconds, push that tag. The delays, in seconds."""

    def carry_out(line: tuple[float, str]) -> list[float]:
        delays = []
        for wait, tag in plans[line]:
            time.sleep(wait)
            delays.append(_push(bed, pusher, line[1], tag, line[0]))
        return delays

    with ThreadPoolExecutor(len(plans)) as pool:
        return dict(zip(plans, pool.map(carry_out, plans), strict=True))


def _push(bed: Testbed, pusher: Pusher, name: str, tag: str, interval: float) -> float:
    before, began = bed.freight(name), time.monotonic()
    pusher.image(f"team/{name}", tag)
    while bed.freight(name) == before:
        if time.monotonic() - began > GIVE_UP_INTERVALS * interval + 5:
            return float("nan")
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def _all_have_freight(bed: Testbed, names: Sequence[str]) -> None:
    began = time.monotonic()
    while not all(bed.freight(name) for name in names) and time.monotonic() - began < 30:
        time.sleep(LOOK_SECONDS)
