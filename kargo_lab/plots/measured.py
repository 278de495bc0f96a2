"""What was measured on the testbed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from kargo_lab.plots.picture import Picture

if TYPE_CHECKING:
    import pandas as pd

    from kargo_lab.experiments.latency import Latency

# Okabe and Ito's colours, which most colour-blind readers can tell apart.
POLLING, WEBHOOK, THEORY = "#0072B2", "#D55E00", "#555555"
SIZE = (8.0, 4.5)


def latency_by_interval(measured: Latency) -> Figure:
    """Every push as a dot over its interval, the closed form interval/2 as a line, webhooks as a band."""
    figure = Picture(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    polling = measured.rows[measured.rows["mode"] == "polling"]
    hooks = measured.rows[measured.rows["mode"] == "webhook"]["latency_seconds"].dropna()
    intervals = sorted(polling["interval_seconds"].unique())
    for kind, marker, shift in (("image", "o", -0.06), ("commit", "^", 0.06)):
        rows = polling[polling["kind"] == kind]
        places = rows["interval_seconds"] * (1 + shift)  # side by side, so that no dot hides another
        style: dict[str, Any] = {"color": POLLING, "alpha": 0.45, "markersize": 5}
        axes.plot(places, rows["latency_seconds"], marker, label=f"polling, {kind}", **style)
    means = polling.groupby("interval_seconds")["latency_seconds"].mean()
    axes.plot(
        means.index, means.to_numpy(), "_", color=POLLING, markersize=22, markeredgewidth=2.5, label="polling, mean"
    )
    line = np.linspace(0.0, max(intervals) * 1.1, 50)
    axes.plot(line, line / 2, "--", color=THEORY, linewidth=1, label="interval / 2")
    if len(hooks):
        axes.axhspan(float(hooks.min()), float(hooks.max()), color=WEBHOOK, alpha=0.3, label="webhook, all pushes")
    axes.set_xlabel("polling interval (seconds)")
    axes.set_ylabel("push to Freight (seconds)")
    axes.set_xlim(left=0)
    axes.set_ylim(0, float(polling["latency_seconds"].max()) * 1.35)  # room for the legend above the dots
    half = float((means / means.index).mean())
    median = float(hooks.median()) if len(hooks) else float("nan")
    axes.set_title(
        f"Polling costs {half:.2f} of an interval on average; a webhook {median:.2f} s whatever the interval"
    )
    axes.legend(frameon=False, fontsize=9, loc="upper left", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def requests_by_mode(measured: Latency) -> Figure:
    """Requests a second that each way of finding out cost, from the ledger."""
    figure = Picture(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    calls = measured.calls
    labels = [f"every {row.interval_seconds:g} s" if row.mode == "polling" else "webhook" for row in calls.itertuples()]
    colours = [POLLING if mode == "polling" else WEBHOOK for mode in calls["mode"]]
    bars = axes.bar(labels, calls["requests_per_push"], color=colours, width=0.6)
    axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set_ylabel("requests for each push")
    axes.set_xlabel("how the Warehouse finds out")
    fastest = calls[calls["mode"] == "polling"]["requests_per_push"].max()
    hook = calls[calls["mode"] == "webhook"]["requests_per_push"].min()
    axes.set_title(f"Polling at the shortest interval cost {fastest / hook:.1f} times the requests of webhooks")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def filtering_scorecard(scorecard: pd.DataFrame) -> Figure:
    """Wasted discoveries of each platform and strategy, one bar a profile. Columns as `experiments.filtering`."""
    figure = Picture(figsize=(8.0, 5.5), layout="constrained")
    axes = figure.subplots()
    rows = scorecard.assign(case=scorecard["platform"] + ", " + scorecard["strategy"])
    cases, profiles = list(dict.fromkeys(rows["case"])), list(dict.fromkeys(rows["profile"]))
    height = 0.8 / len(profiles)
    for number, (profile, colour) in enumerate(zip(profiles, (POLLING, WEBHOOK, "#009E73", "#CC79A7"), strict=False)):
        of = rows[rows["profile"] == profile].set_index("case").reindex(cases)
        places = np.arange(len(cases)) + (number - (len(profiles) - 1) / 2) * height
        axes.barh(places, of["wasted"], height=height, color=colour, label=profile)
        missed = of["missed"].to_numpy(dtype=float) > 0
        axes.plot(of["wasted"].to_numpy()[missed] + 0.4, places[missed], "x", color="black")
    axes.plot([], [], "x", color="black", label="missed some that were needed")
    axes.set_yticks(np.arange(len(cases)), cases, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("discoveries that a delivery caused and nobody needed (number)")
    axes.set_ylabel("platform, selection strategy")
    first, last = (int(rows[rows["profile"] == name]["wasted"].sum()) for name in (profiles[0], profiles[-1]))
    axes.set_title(
        f"Wasted discoveries: {first} with {profiles[0]}, {last} with {profiles[-1]}, for the same deliveries"
    )
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
