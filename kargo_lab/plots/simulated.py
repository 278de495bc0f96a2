"""What a simulation or a formula says, beside what was measured where there is both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kargo_lab.experiments import formulas
from kargo_lab.plots.measured import POLLING, SIZE, THEORY, WEBHOOK
from kargo_lab.plots.picture import Picture

if TYPE_CHECKING:
    import pandas as pd

    from kargo_lab.experiments.outcome import Outcome

COLOURS = (POLLING, WEBHOOK, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def _axes() -> tuple[Figure, Axes]:
    figure = Picture(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def outcome(simulated: Outcome) -> Figure:
    """The share of events that were Freight within a time, one line a fleet."""
    figure, axes = _axes()
    table = simulated.table()
    for colour, (name, found) in zip(_cycle(len(table)), simulated.found.items(), strict=True):
        delays = np.sort(found.delays_seconds())
        if not len(delays):
            continue
        share = np.arange(1, len(delays) + 1) / len(found.push)
        step = max(1, len(delays) // 2000)
        axes.plot(np.append(delays[::step], delays[-1]), np.append(share[::step], share[-1]), color=colour, label=name)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("push to Freight (seconds)")
    axes.set_ylabel("share of wanted events")
    worst = table.iloc[int(table["p95_delay_seconds"].fillna(-1).to_numpy().argmax())]
    axes.set_title(f"95 % within {_time(float(worst['p95_delay_seconds']))} in the slowest fleet ({worst['fleet']})")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _cycle(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]


def _time(seconds: float) -> str:
    if np.isnan(seconds):
        return "no time that was seen"
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def sweep(table: pd.DataFrame, parameter: str, column: str = "mean_delay_seconds") -> Figure:
    """One column of a sweep's table over one parameter, one line a fleet."""
    figure, axes = _axes()
    for colour, (name, rows) in zip(_cycle(table["fleet"].nunique()), table.groupby("fleet", sort=False), strict=True):
        axes.plot(rows[parameter].astype(str), rows[column], "o-", color=colour, label=str(name))
    axes.set_xlabel(parameter)
    axes.set_ylabel(column.replace("_seconds", " (seconds)").replace("_", " "))
    low, high = float(table[column].min()), float(table[column].max())
    axes.set_title(f"{column.replace('_', ' ')}: from {low:.4g} to {high:.4g}")
    axes.set_ylim(bottom=min(0.0, low * 1.1))
    axes.legend(frameon=False)
    return figure


def requests_by_interval(measured: pd.DataFrame) -> Figure:
    """Discoveries an hour with webhooks at several intervals: dots measured, line the closed form.

    Columns: `interval_seconds`, `discoveries_per_second`, `hooks_per_second`, `old_interval_seconds`.
    """
    figure, axes = _axes()
    hooks = float(measured["hooks_per_second"].mean())
    old = float(measured["old_interval_seconds"].iloc[0])
    most = float(measured["interval_seconds"].max())
    line = np.linspace(float(measured["interval_seconds"].min()) * 0.8, most * 1.2, 200)
    axes.plot(line, formulas.hybrid_rate(hooks, line) * old, "--", color=THEORY, label="closed form, with webhooks")
    places, rates = measured["interval_seconds"], measured["discoveries_per_second"] * old
    axes.plot(places, rates, "o", color=WEBHOOK, label="measured, with webhooks")
    axes.axhline(1.0, color=POLLING, label=f"polling alone, every {old:g} s")
    even = float(formulas.break_even_interval(hooks, old))
    if np.isfinite(even) and even <= most * 1.2:
        axes.axvline(even, color=THEORY, linewidth=1, alpha=0.6)
        axes.annotate(
            f"break-even\n{even:.1f} s", (even, 0.05), xytext=(5, 0), textcoords="offset points", color=THEORY
        )
        title = f"Webhooks cost more requests than polling did until the interval is raised to {even:.1f} s"
    else:
        title = "Webhooks cost more requests than polling did, at every interval shown"
    axes.set_ylim(bottom=0)
    axes.set_xlabel("interval behind the webhooks (seconds)")
    axes.set_ylabel("discoveries for each one that polling made")
    axes.set_title(title)
    axes.legend(frameon=False)
    return figure


def break_even(old_interval_seconds: float = 300.0) -> Figure:
    """The interval that webhooks need to cost no more than polling did, over the rate of matching events."""
    figure, axes = _axes()
    shares = np.linspace(0.001, 0.999, 400)
    needed = formulas.break_even_interval(shares / old_interval_seconds, old_interval_seconds) / old_interval_seconds
    axes.plot(shares, needed, color=WEBHOOK)
    axes.fill_between(shares, needed, 8, color=WEBHOOK, alpha=0.15, linewidth=0)
    axes.fill_between(shares, 0, needed, color=POLLING, alpha=0.1, linewidth=0)
    axes.axvspan(1.0, 1.5, color=POLLING, alpha=0.1, linewidth=0)
    for x, y, text in ((0.25, 5, "webhooks cost less"), (0.62, 0.6, "webhooks cost more"), (1.25, 4, "always\nmore")):
        axes.text(x, y, text, ha="center", va="center", color=THEORY)
    axes.set_xlim(0, 1.5)
    axes.set_ylim(0, 8)
    axes.set_xlabel("matching events in one old interval")
    axes.set_ylabel("new interval / old interval")
    axes.set_title("From one matching event an old interval on, no interval makes webhooks cheaper")
    return figure


def delay_by_loss(measured: pd.DataFrame) -> Figure:
    """Mean push to Freight over the share of deliveries lost, one line an interval.

    Columns: `loss`, `interval_seconds`, `mean_delay_seconds`, `error_seconds`, `expected_seconds`.
    """
    figure, axes = _axes()
    groups = measured.groupby("interval_seconds")
    for colour, (interval, rows) in zip(_cycle(groups.ngroups), groups, strict=True):
        style: dict[str, Any] = {"color": colour, "capsize": 3}
        axes.errorbar(
            rows["loss"] * 100, rows["mean_delay_seconds"], yerr=rows["error_seconds"], fmt="o",
            label=f"every {interval:g} s", **style,
        )  # fmt: skip
        axes.plot(rows["loss"] * 100, rows["expected_seconds"], "--", color=colour, linewidth=1)
    axes.set_xlabel("deliveries lost (percent)")
    axes.set_ylabel("mean push to Freight (seconds)")
    axes.set_ylim(bottom=0)
    slope = float(measured["mean_delay_seconds"].max())
    axes.set_title(f"What is lost waits for the interval: up to {slope:.1f} s on average (dashed: closed form)")
    axes.legend(frameon=False)
    return figure


def delay_by_outage(measured: pd.DataFrame) -> Figure:
    """Mean and longest push to Freight over the length of an outage, one colour an interval.

    Columns: `outage_seconds`, `interval_seconds`, `mean_delay_seconds`, `max_delay_seconds`, `error_seconds`,
    `expected_seconds`.
    """
    figure, axes = _axes()
    groups = measured.groupby("interval_seconds")
    for colour, (interval, rows) in zip(_cycle(groups.ngroups), groups, strict=True):
        lengths = rows["outage_seconds"]
        axes.errorbar(
            lengths, rows["mean_delay_seconds"], yerr=rows["error_seconds"], fmt="o", color=colour, capsize=3,
            label=f"every {interval:g} s, mean",
        )  # fmt: skip
        axes.plot(lengths, rows["expected_seconds"], "--", color=colour, linewidth=1)
        axes.plot(lengths, rows["max_delay_seconds"], "^", color=colour, label=f"every {interval:g} s, longest")
        axes.axhline(float(rows["interval_seconds"].iloc[0]), color=colour, linewidth=0.7, linestyle=":")
    axes.set_xlabel("length of the outage (seconds)")
    axes.set_ylabel("push to Freight (seconds)")
    axes.set_ylim(0, float(measured["interval_seconds"].max()) * 1.5)  # room for the legend
    longest, outage = float(measured["max_delay_seconds"].max()), float(measured["outage_seconds"].max())
    axes.set_title(
        f"An outage of {outage:g} s cost nobody more than {longest:.1f} s, about one interval "
        "(dashed: closed form, dotted: interval)",
        fontsize=10,
    )
    axes.legend(frameon=False, ncols=2, loc="upper left")
    return figure
