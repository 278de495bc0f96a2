"""From a push to its Promotions, measured: one row a moment, and a waterfall of where the time went.

Every push is real (an image into the embedded registry), and so are hook, discovery, Freight and Promotion; the
moments come from the lab's trace, the moment of sending from the platform's delivery log. As a command it draws
the picture of the documentation:

    python -m kargo_lab.experiments.waterfall docs/waterfall.svg
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kargo_lab.engine import tracing
from kargo_lab.testbed import API, PROJECT, Testbed

PUSHED, SENT = "pushed", "sent"
MOMENTS = (
    PUSHED,
    SENT,
    tracing.RECEIVED,
    tracing.ANSWERED,
    tracing.DISCOVERY_STARTED,
    tracing.DISCOVERY_ENDED,
    tracing.FREIGHT_CREATED,
    tracing.PROMOTION_CREATED,
    tracing.PROMOTION_STARTED,
    tracing.PROMOTION_ENDED,
)
COLUMNS = ("mode", "interval_seconds", "lane", "push", "correlation", *MOMENTS)
SPANS = (
    ("platform decides to send", PUSHED, SENT, "#999999"),
    ("hook under way", SENT, tracing.RECEIVED, "#56B4E9"),
    ("receiver answers", tracing.RECEIVED, tracing.ANSWERED, "#0072B2"),
    ("waits for discovery", PUSHED, tracing.DISCOVERY_STARTED, "#DDDDDD"),
    ("discovery", tracing.DISCOVERY_STARTED, tracing.DISCOVERY_ENDED, "#E69F00"),
    ("Freight", tracing.DISCOVERY_ENDED, tracing.FREIGHT_CREATED, "#F0E442"),
    ("Stage decides", tracing.FREIGHT_CREATED, tracing.PROMOTION_CREATED, "#CC79A7"),
    ("Promotion waits", tracing.PROMOTION_CREATED, tracing.PROMOTION_STARTED, "#BBBBBB"),
    ("Promotion", tracing.PROMOTION_STARTED, tracing.PROMOTION_ENDED, "#009E73"),
)
CONFIG = "team/deploy"


@attrs.frozen(kw_only=True)
class Promoted:
    """One measurement. `rows` has the columns `COLUMNS`: moments in seconds after the push, NaN where there was none.

    `made` says how to make it again.
    """

    rows: pd.DataFrame
    made: Mapping[str, str]

    def summary(self) -> pd.DataFrame:
        """Per mode and interval: runs, median and 99th percentile from push to the start and end of the Promotion."""
        grouped = self.rows.groupby(["mode", "interval_seconds"], sort=True)
        started, ended = grouped[tracing.PROMOTION_STARTED], grouped[tracing.PROMOTION_ENDED]
        return pd.DataFrame(
            {
                "runs": grouped.size(),
                "lost": grouped.size() - ended.count(),
                "start_p50_seconds": started.median(),
                "start_p99_seconds": started.quantile(0.99),
                "end_p50_seconds": ended.median(),
                "end_p99_seconds": ended.quantile(0.99),
            }
        ).reset_index()


def measure(
    *,
    intervals_seconds: Sequence[float] = (1.0, 2.0, 5.0),
    lanes: int = 4,
    pushes: int = 50,
    commits: bool = False,
    webhook: bool = True,
    profile: str = "latest",
    seed: int = 7,
) -> Promoted:
    """Measure by webhook (polling once an hour; not without `webhook`), then by polling at each interval.

    A lane is a repository with its Warehouse and its Stage; `lanes` times `pushes` runs a mode. With `commits`,
    Promotions clone, change, commit and push; without, they do nothing, and the waiting shows alone. More lanes
    than a few make polling at a second wait for Kargo's own limit of 20 requests a second to one registry.
    """
    chance, rows = np.random.default_rng(seed), list[dict[str, object]]()
    hooks = [("webhook", 3600.0)] if webhook else []
    for mode, interval in [*hooks, *(("polling", interval) for interval in intervals_seconds)]:
        with Testbed(profile=profile, registry="ghcr", interval=f"{interval:g}s", seed=seed) as bed:
            if mode == "webhook":
                bed.install_hooks()
            rows += _measure(bed, mode, interval, lanes, pushes, commits, chance)
    made = {
        "command": f"kargo_lab.experiments.waterfall.measure(intervals_seconds={tuple(intervals_seconds)}, "
        f"lanes={lanes}, pushes={pushes}, commits={commits}, webhook={webhook}, profile={profile!r}, seed={seed})",
        "seed": str(seed),
        "kargo-lab": metadata.version("kargo-lab"),
        "machine": f"{platform.system()} {platform.machine()}, Python {sys.version.split()[0]}",
    }
    return Promoted(rows=pd.DataFrame(rows, columns=list(COLUMNS)), made=made)


def _measure(
    bed: Testbed, mode: str, interval: float, lanes: int, pushes: int, commits: bool, chance: np.random.Generator
) -> list[dict[str, object]]:
    names = [f"lane{number}" for number in range(lanes)]
    _set_up(bed, names, commits)
    # Tokens of Kargo's have whole seconds: two hooks of one lane within a second would be one.
    spread = (1.0, 2.0) if mode == "webhook" else (0.0, interval)
    waits = {name: chance.uniform(*spread, size=pushes) for name in names}

    def run(name: str) -> list[dict[str, object]]:
        found = []
        for number, wait in enumerate(waits[name], 1):
            time.sleep(float(wait))
            moments = _push(bed, name, number, give_up=30.0 + 4 * (interval if mode == "polling" else 0))
            found.append({"mode": mode, "interval_seconds": interval, "lane": name, "push": number, **moments})
        return found

    with ThreadPoolExecutor(max_workers=lanes) as pool:
        return [row for rows in pool.map(run, names) for row in rows]


def _set_up(bed: Testbed, names: Sequence[str], commits: bool) -> None:
    stages = []
    for name in names:
        bed.registry.push_image(f"team/{name}", "0.0.1")
        repository = f"team/deploy-{name}"
        if commits:
            bed.git.create_repository(repository)
            bed.git.commit(repository, {"app.yaml": "version: none\n"})
        stages.append(_stage(bed, name, repository, commits))
    for name in names:
        # Every tag within the limit costs requests in every pass; one is enough here.
        bed.watch(name, bed.image(f"team/{name}", discoveryLimit=1))
    bed.behind(*stages, auto_promotion=["glob:*"])
    for name in names:
        _until(bed, name, 1, 60.0)


def _stage(bed: Testbed, name: str, repository: str, commits: bool) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"uses": "noop"}]
    if commits:
        image = bed.image(f"team/{name}")["image"]["repoURL"]
        change = {"key": "version", "value": f'${{{{ imageFrom("{image}").Tag }}}}'}
        checkout = [{"branch": "main", "path": "src"}]
        steps = [
            {"uses": "git-clone", "config": {"repoURL": bed.git.clone_url(repository), "checkout": checkout}},
            {"uses": "yaml-update", "as": "update", "config": {"path": "src/app.yaml", "updates": [change]}},
            {"uses": "git-commit", "config": {"path": "src", "message": "${{ outputs.update.commitMessage }}"}},
            {"uses": "git-push", "config": {"path": "src"}},
        ]
    requested = {"origin": {"kind": "Warehouse", "name": name}, "sources": {"direct": True}}
    spec = {"requestedFreight": [requested], "promotionTemplate": {"spec": {"steps": steps}}}
    return {"apiVersion": API, "kind": "Stage", "metadata": {"namespace": PROJECT, "name": name}, "spec": spec}


def _push(bed: Testbed, name: str, number: int, give_up: float) -> dict[str, object]:
    pushed = datetime.now(UTC)
    bed.registry.push_image(f"team/{name}", f"0.1.{number}")
    piece = _until(bed, name, number + 1, give_up)
    if piece is None:
        return dict.fromkeys(MOMENTS, float("nan")) | {"correlation": "", PUSHED: 0.0}
    correlation = bed.lab.trace.correlation_of(piece)
    marks = bed.lab.trace.marks(correlation)
    moments = {mark.what: (mark.time - pushed).total_seconds() for mark in reversed(marks)}
    guid = next((mark.note for mark in marks if mark.what == tracing.RECEIVED), "")
    row = next((row for row in bed.registry.deliveries if guid and row.guid == guid), None)
    if row is not None:  # the log has the time of the answer
        moments[SENT] = (row.time - pushed).total_seconds() - row.seconds
    return {moment: moments.get(moment, float("nan")) for moment in MOMENTS} | {
        "correlation": correlation,
        PUSHED: 0.0,
    }


def _until(bed: Testbed, name: str, count: int, give_up: float) -> str | None:
    """The newest Freight of a lane once so many Promotions have ended in its Stage; None if they never do."""
    ends, pipeline, prefix = time.monotonic() + give_up, bed.lab.pipeline, f"{PROJECT}/{name}."
    with pipeline.changed:
        while True:
            made = [each for key, each in pipeline.keeping.promotions.items() if key.startswith(prefix)]
            done = [each for each in made if each.status.phase == "Succeeded"]
            if len(done) >= count:
                return f"{PROJECT}/{max(done, key=lambda each: each.name).freight}"
            if not pipeline.changed.wait(ends - time.monotonic()):
                return None


def plot(moments: Mapping[str, float], *, title: str = "") -> Figure:
    """One push as a waterfall: a bar a span, over seconds after the push. `moments` is a row of `rows`."""
    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    axes = figure.subplots()
    shown = [span for span in SPANS if _is_there(moments, span[1]) and _is_there(moments, span[2])]
    if any(label == "hook under way" for label, *_ in shown):
        shown = [span for span in shown if span[0] != "waits for discovery"]
    for place, (_, start, end, color) in enumerate(shown):
        # An answer may leave after the discovery has begun; a span is never drawn backwards.
        length = max(0.0, moments[end] - moments[start])
        axes.barh(place, length, left=moments[start], color=color)
        axes.annotate(f" {length * 1000:.0f} ms", (moments[start] + length, place), va="center", fontsize=8)
    axes.set_yticks(range(len(shown)), [label for label, *_ in shown])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("seconds after the push")
    axes.set_title(title or f"From push to promoted in {moments[tracing.PROMOTION_ENDED]:.2f} seconds")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _is_there(moments: Mapping[str, float], name: str) -> bool:
    return name in moments and not np.isnan(moments[name])


def main(arguments: Iterable[str]) -> int:
    """Measure a few pushes by webhook, with Promotions that commit, and draw the one in the middle."""
    paths = list(arguments)
    if len(paths) != 1:
        sys.stderr.write("usage: python -m kargo_lab.experiments.waterfall FILE\n")
        return 2
    measured = measure(intervals_seconds=(), lanes=1, pushes=9, commits=True)
    rows = measured.rows.sort_values(tracing.PROMOTION_ENDED)
    row = rows.iloc[len(rows) // 2]
    figure = plot({moment: float(row[moment]) for moment in MOMENTS})
    # No date inside, so that a picture that did not change is no change.
    Path(paths[0]).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(paths[0], metadata={"Date": None})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
