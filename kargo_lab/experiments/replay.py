"""Measured on the testbed, and the very same pushes simulated: do both say the same?

Warehouses that poll and Warehouses with webhooks (some of which get lost) live side by side in one testbed. What a
model cannot know, how long a look and a hook take on this machine now, is measured in the same run on Warehouses of
their own; the moments of the pushes are those that were made. What is left to the model is what it is about: when
the next discovery begins.

Kargo stores the end of a discovery in whole seconds, so an interval behind a webhook is up to a second short. The
models leave that out; it is why intervals here are several seconds.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kargo_lab.experiments import fast, record
from kargo_lab.experiments.chance import Span
from kargo_lab.experiments.hooked import NO_LIMIT, Measured
from kargo_lab.experiments.outcome import NEVER
from kargo_lab.experiments.scenario import Events, Fleet, Scenario, Source, Webhook
from kargo_lab.experiments.ticks import TICKS
from kargo_lab.platforms.losses import Losses
from kargo_lab.resources.pipeline import Freight
from kargo_lab.sources.limits import Limiters
from kargo_lab.testbed import Testbed

COLUMNS = (
    "mode",
    "pushes",
    "quantile",
    "measured_seconds",
    "low_seconds",
    "high_seconds",
    "simulated_seconds",
)
MODES = ("polling", "hybrid")
PACE = "pace"  # the Warehouses that tell how long a push by webhook takes
QUANTILES = (0.5, 0.95)
COPIES = 400  # simulated Warehouses for each that is measured
# 99.9 %: four comparisons are wrong by chance in one run of 250.
DEVIATIONS = 3.29
# Tokens of Kargo's have whole seconds: two hooks of one Warehouse within a second would be one.
LEAST_GAP_SECONDS = 1.5
GIVE_UP_INTERVALS = 2.0

Floats = NDArray[np.float64]


def compare(
    *,
    interval_seconds: float = 3.0,
    loss: float = 0.05,
    seconds: float = 10.0,
    polled: int = 24,
    hooked: int = 24,
    seed: int = 7,
) -> Measured:
    """Push to Freight by polling and by webhooks of which `loss` never arrive, measured and simulated.

    One row a mode and quantile, columns `COLUMNS`. From `low_seconds` to `high_seconds` is the sampling error of
    the measured quantile: see `bounds`. With a twentieth of all webhooks lost the 95th percentile of `hybrid` lies just
    between the slowest webhook and the wait for a poll, and its error is as wide as that; with a third lost it is
    well among those that wait.
    """
    with Testbed(interval="1h", seed=seed) as bed:
        bed.lab.shared.limiters = Limiters(bed.lab.profile, per_second=NO_LIMIT)
        notes = Notes(bed)
        names = {
            "polling": [f"polling-{number}" for number in range(polled)],
            "hybrid": [f"hybrid-{number}" for number in range(hooked)],
            PACE: [f"{PACE}-{number}" for number in range(max(2, hooked // 3))],
        }
        _watch(bed, names, interval_seconds)
        bed.registry.sender.losses = Losses(seed=seed, drop=loss)
        chance = np.random.default_rng(seed)
        plans = {name: _plan(mode, seconds, chance) for mode, those in names.items() for name in those}
        _push_all(plans, notes, GIVE_UP_INTERVALS * interval_seconds)
    pace = np.concatenate([notes.own_delays(name) for name in names[PACE]])
    lengths = np.concatenate([notes.lengths(name) for name in names["polling"]])
    rows = []
    for mode in MODES:
        sample = np.concatenate([notes.delays(name) for name in names[mode]])
        pushed = [notes.pushed[name] for name in names[mode]]
        hook = Webhook(latency=Span(0.0), loss=loss) if mode == "hybrid" else None
        model = simulated(pushed, hook, interval_seconds, pace=pace, lengths=lengths, seed=seed)
        for share in QUANTILES:
            # A look is so much shorter than an interval that its own error does not show in polling.
            # Nor does that of a webhook's, where the quantile is one of those that wait for a poll.
            low, high = bounds(sample, share, other=len(pace) if hook and share <= 1 - loss else None)
            measured, told = (float(np.quantile(each, share, method="inverted_cdf")) for each in (sample, model))
            rows.append((mode, len(sample), share, measured, low, high, told))
    command = (
        f"kargo_lab.experiments.replay.compare(interval_seconds={interval_seconds}, loss={loss}, "
        f"seconds={seconds}, polled={polled}, hooked={hooked}, seed={seed})"
    )
    return Measured(rows=pd.DataFrame(rows, columns=list(COLUMNS)), made=record.made(command, seed))


def bounds(sample: Floats, share: float, *, other: int | None = None) -> tuple[float, float]:
    """Between which two values of a sample the true quantile lies, with 99.9 % confidence.

    How many values lie below the true quantile is binomial, so the bounds are order statistics: no shape of the
    distribution is assumed. `other` is the size of a second sample on which the value to compare with rests; its
    error is added to this one's. A bound beyond the sample is 0 or infinite.
    """
    values, many = np.sort(sample), len(sample)
    variance = share * (1 - share) * (1 / many + (1 / other if other else 0.0))
    away = DEVIATIONS * math.sqrt(variance) * many
    low, high = math.floor(share * many - away) - 1, math.ceil(share * many + away)
    return float(values[low]) if low >= 0 else 0.0, float(values[high]) if high < many else math.inf


def simulated(
    pushed: list[list[float]],
    hook: Webhook | None,
    interval_seconds: float,
    *,
    pace: Floats,
    lengths: Floats,
    seed: int,
) -> Floats:
    """Delays of these pushes (moments by Warehouse) in the array model, many times over.

    The model tells when the discovery begins; then follows one of `lengths` (discovery to Freight) or, where the
    push's own webhook began it, one of `pace` (push to Freight) in place of all.
    """
    begin = min(moment for moments in pushed for moment in moments)
    fleets = {
        str(number): Fleet(
            source="registry",
            warehouses=COPIES,
            interval_seconds=interval_seconds,
            events=Events(process="trace", trace_seconds=tuple(moment - begin for moment in moments)),
            webhook=hook,
            discovery=Span(float(lengths.mean())),
        )
        for number, moments in enumerate(pushed)
    }
    last = max(moment for moments in pushed for moment in moments) - begin
    outcome = fast.simulate(
        Scenario(
            name="replay",
            length_seconds=last + 3 * interval_seconds,
            sources={"registry": Source()},
            fleets=fleets,
            seed=seed,
        )
    )
    chance, parts = np.random.default_rng(seed), []
    for found in outcome.found.values():
        seen = found.looked != NEVER
        wait = (found.looked[seen] - found.pushed[seen]) / TICKS
        own = wait == 0
        rest = np.where(own, chance.choice(pace, len(wait)), chance.choice(lengths, len(wait)))
        parts.append(wait + rest)
    return np.concatenate(parts)


@attrs.define(eq=False)
class Notes:
    """What happened, by Warehouse and in seconds of the monotonic clock."""

    bed: Testbed
    pushed: dict[str, list[float]] = attrs.field(factory=lambda: defaultdict(list))
    begun: dict[str, float] = attrs.field(factory=dict)
    # Freight: number of the push it is of, when its discovery began, when it was there
    made: dict[str, list[tuple[int, float, float]]] = attrs.field(factory=lambda: defaultdict(list))

    def __attrs_post_init__(self) -> None:
        warehouses = self.bed.lab.warehouses
        on_discovery, on_freight = warehouses.on_discovery, warehouses.on_freight

        def discovering(key: str, cause: str) -> None:
            if cause:
                self.begun[key.partition("/")[2]] = time.monotonic()
            on_discovery(key, cause)

        def created(piece: Freight) -> None:
            name, tag = piece.origin.name, piece.images[0].tag
            self.made[name].append((int(tag.rpartition(".")[2]), self.begun[name], time.monotonic()))
            on_freight(piece)

        warehouses.on_discovery, warehouses.on_freight = discovering, created

    def push(self, name: str) -> None:
        """Push the Warehouse's next tag; the first has the number 1."""
        self.pushed[name].append(time.monotonic())
        self.bed.registry.push_image(_repository(name), f"1.0.{len(self.pushed[name])}")

    def newest(self, name: str) -> int:
        """The number of the newest push that is Freight."""
        return max((number for number, _, _ in self.made[name]), default=0)

    def delays(self, name: str) -> Floats:
        """Each push to the first Freight with it or a later one; infinite where there was none."""
        ready = [
            min((moment for made, _, moment in self.made[name] if made >= number), default=math.inf)
            for number in range(1, len(self.pushed[name]) + 1)
        ]
        return np.asarray(np.array(ready) - np.array(self.pushed[name]), dtype=np.float64)

    def own_delays(self, name: str) -> Floats:
        """Of the pushes that are Freight themselves; with webhooks alone, those whose webhook arrived."""
        pushed = self.pushed[name]
        return np.array([moment - pushed[number - 1] for number, _, moment in self.made[name] if number])

    def lengths(self, name: str) -> Floats:
        """Beginning of a discovery to its Freight."""
        return np.array([moment - begun for number, begun, moment in self.made[name] if number])


def _repository(name: str) -> str:
    """Harbor's webhooks belong to a project: Warehouses that only poll have one without."""
    return f"{'quiet' if name.startswith('polling') else 'telling'}/{name}"


def _watch(bed: Testbed, names: dict[str, list[str]], interval_seconds: float) -> None:
    """Create the Warehouses, those with an interval spread over one; and the webhook of one project."""
    settings: dict[str, Any] = {"discoveryLimit": 1}
    for name in (name for those in names.values() for name in those):
        bed.registry.push_image(_repository(name), "1.0.0")
    for name in names[PACE]:
        bed.watch(name, bed.image(_repository(name), **settings))
    together = [name for pair in zip(*(names[mode] for mode in MODES), strict=False) for name in pair]
    rest = [name for mode in MODES for name in names[mode] if name not in together]
    for name in (*together, *rest):
        bed.watch(name, bed.image(_repository(name), **settings), interval=f"{interval_seconds:g}s")
        time.sleep(interval_seconds / len(names["polling"] + names["hybrid"]))
    bed.register_hook("registry", _repository(PACE))


def _plan(mode: str, seconds: float, chance: np.random.Generator) -> list[float]:
    """Moments of pushes: at random, and not sooner behind one another than webhooks may be."""
    least, mean = (0.0, 0.8) if mode == "polling" else (LEAST_GAP_SECONDS, 0.5)
    gaps = least + chance.exponential(mean, 2 * int(seconds / (least + mean)) + 5)
    moments = np.cumsum(gaps) - least * chance.uniform()
    return [float(moment) for moment in moments if 0 <= moment < seconds]


def _push_all(plans: dict[str, list[float]], notes: Notes, patience_seconds: float) -> None:
    """Carry out the plans, and wait until everything that can be found is."""
    began = time.monotonic()

    def carry_out(name: str) -> None:
        for moment in plans[name]:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            notes.push(name)

    with ThreadPoolExecutor(len(plans)) as pool:
        list(pool.map(carry_out, plans))
    waiting = [name for name in plans if not name.startswith(PACE)]
    until = time.monotonic() + patience_seconds
    while time.monotonic() < until and any(notes.newest(name) < len(plans[name]) for name in waiting):
        time.sleep(0.02)
