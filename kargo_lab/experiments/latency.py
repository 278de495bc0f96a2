"""Push to Freight, measured: how long it takes by polling at chosen intervals, and by webhook.

Every push is real (an image into a registry, a commit into a Git host: see `place`), every discovery
goes over HTTP, and the clock is the wall's. Intervals are seconds and not minutes, so that a class sees the
result; what the numbers say scales with the interval, and the closed form is drawn beside them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import pandas as pd

from kargo_lab.experiments import record
from kargo_lab.experiments.place import HERE, PLACE_COLUMNS, Place, Pusher
from kargo_lab.sources.ledger import LedgerRow
from kargo_lab.testbed import Testbed

COLUMNS = ("mode", "interval_seconds", "kind", "push", "waited_seconds", "latency_seconds", *PLACE_COLUMNS)
LOOK_SECONDS = 0.002
GIVE_UP_INTERVALS = 4.0
KINDS = ("image", "commit")


@attrs.frozen(kw_only=True)
class Latency:
    """One measurement. `rows` has the columns `COLUMNS`, one row a push; `calls` one row a mode and interval.

    `waited_seconds` is how long the experiment waited before the push, drawn at random over one interval so that
    pushes fall anywhere between two polls. `latency_seconds` is NaN for a push that never became Freight.
    `made` says how to make it again: command, seed, versions, machine.
    """

    rows: pd.DataFrame
    calls: pd.DataFrame
    made: dict[str, str]

    def summary(self) -> pd.DataFrame:
        """Per mode, interval and kind: number of pushes, median, 95th percentile and mean in seconds.

        Also per place, where there are several.
        """
        several = [column for column in PLACE_COLUMNS if self.rows[column].nunique() > 1]
        grouped = self.rows.groupby([*several, "mode", "interval_seconds", "kind"], sort=True)["latency_seconds"]
        return grouped.agg(
            pushes="size",
            median_seconds="median",
            p95_seconds=lambda column: column.quantile(0.95),
            mean_seconds="mean",
        ).reset_index()


def measure(
    *,
    intervals_seconds: Sequence[float] = (1.0, 2.0, 4.0),
    pushes: int = 8,
    webhook_interval_seconds: float = 3600.0,
    places: Sequence[Place] = (HERE,),
    seed: int = 7,
) -> Latency:
    """Measure push-to-Freight under polling at each interval, and under webhooks with a long interval.

    `pushes` is the number a kind (image, commit) and mode. Takes about the sum of the intervals times
    `pushes` seconds, at each place.
    """
    chance = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    calls: list[dict[str, object]] = []
    for place in places:
        for interval in intervals_seconds:
            with place.testbed(interval=_text(interval), seed=seed, notify=False) as bed, place.pushing(bed) as pusher:
                _measure(bed, place, pusher, "polling", interval, interval, pushes, chance, rows, calls)
        with place.testbed(interval=_text(webhook_interval_seconds), seed=seed) as bed, place.pushing(bed) as pusher:
            bed.install_hooks()
            _measure(bed, place, pusher, "webhook", webhook_interval_seconds, 1.0, pushes, chance, rows, calls)
    asked = f"intervals_seconds={tuple(intervals_seconds)}, pushes={pushes}, places={tuple(places)}, seed={seed}"
    made = record.made(f"kargo_lab.experiments.latency.measure({asked})", seed)
    return Latency(rows=pd.DataFrame(rows, columns=list(COLUMNS)), calls=pd.DataFrame(calls), made=made)


def _text(seconds: float) -> str:
    return f"{seconds:g}s"


def _measure(
    bed: Testbed,
    place: Place,
    pusher: Pusher,
    mode: str,
    interval: float,
    spread: float,
    pushes: int,
    chance: np.random.Generator,
    rows: list[dict[str, object]],
    calls: list[dict[str, object]],
) -> None:
    """Push into one Warehouse a kind, each time after a random wait of up to `spread` seconds."""
    pusher.image("team/app", "0.0.1")
    bed.git.create_repository("team/config")
    bed.git.commit("team/config", {"version": "0"})
    bed.watch("image", bed.image("team/app"))
    bed.watch("commit", bed.commits("team/config", branch="main"))
    for kind in KINDS:
        _until(bed, kind, 1, 30.0)
    bed.lab.ledger.clear()
    began = time.monotonic()
    give_up = GIVE_UP_INTERVALS * max(interval if mode == "polling" else 5.0, 1.0)
    # Drawn before the threads start, so that a seed gives the same waits in whatever order they run.
    # Kargo's refresh tokens have whole seconds: two hooks for one Warehouse within a second would be one.
    least = 1.0 if mode == "webhook" else 0.0
    waits = {kind: least + chance.uniform(0.0, spread, size=pushes) for kind in KINDS}

    def push_all(kind: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        where = place.columns(bed)
        for number, wait in enumerate(waits[kind], 1):
            time.sleep(float(wait))
            latency = _push(bed, pusher, kind, number, give_up)
            row = (mode, interval, kind, number, float(wait), latency, *where)
            found.append(dict(zip(COLUMNS, row, strict=True)))
        return found

    with ThreadPoolExecutor(max_workers=len(KINDS)) as pool:
        for found in pool.map(push_all, KINDS):
            rows.extend(found)
    seconds = time.monotonic() - began
    calls.append(_calls(mode, interval, seconds, len(KINDS) * pushes, bed.lab.ledger.rows))


def _push(bed: Testbed, pusher: Pusher, kind: str, number: int, give_up_seconds: float) -> float:
    before = bed.freight(kind)
    pushed = time.monotonic()
    if kind == "image":
        pusher.image("team/app", f"0.1.{number}")
    else:
        pusher.commit("team/config", str(number))
    return _until(bed, kind, before + 1, give_up_seconds, since=pushed)


def _until(bed: Testbed, kind: str, count: int, give_up_seconds: float, *, since: float | None = None) -> float:
    """Seconds until the Warehouse has so much Freight; NaN where it never had."""
    began = time.monotonic() if since is None else since
    while bed.freight(kind) < count:
        if time.monotonic() - began > give_up_seconds:
            return float("nan")
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def _calls(mode: str, interval: float, seconds: float, pushes: int, rows: Sequence[LedgerRow]) -> dict[str, object]:
    requests = sum(row.is_request for row in rows)
    return {
        "mode": mode,
        "interval_seconds": interval,
        "seconds": round(seconds, 3),
        "pushes": pushes,
        "requests": requests,
        "requests_per_push": requests / pushes,
        "requests_per_second": requests / seconds,
    }
