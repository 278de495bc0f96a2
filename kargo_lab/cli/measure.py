"""`kargo-lab measure`: experiments on the embedded testbed, with real pushes over real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

OUT = click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write table and picture into DIR.")
SEED = click.option("--seed", default=7, show_default=True, help="Same seed, same pushes at the same moments.")
INTERVALS = click.option(
    "--interval", "intervals", multiple=True, type=click.FloatRange(1), metavar="SECONDS", help="May be repeated."
)


@click.group()
def group() -> None:
    """Measure latency, calls and filtering on the embedded testbed; no Docker, no network.

    \b
    Examples:
      kargo-lab measure latency --interval 2 --interval 4 --out results
      kargo-lab measure calls
      kargo-lab measure filtering --profile v1.6 --profile v1.7
    """


@group.command()
@INTERVALS
@click.option("--pushes", default=4, show_default=True, type=click.IntRange(1), help="For each kind and mode.")
@SEED
@OUT
def latency(intervals: tuple[float, ...], pushes: int, seed: int, out: Path | None) -> None:
    """Push to Freight by polling at each interval, and by webhook.

    \b
    Example:
      kargo-lab measure latency --interval 2 --interval 4 --pushes 6
    """
    from kargo_lab import plots
    from kargo_lab.experiments import latency as experiment

    measured = experiment.measure(intervals_seconds=intervals or (1.0, 2.0, 4.0), pushes=pushes, seed=seed)
    _show(measured.summary())
    _write(out, "latency", measured.rows, measured.made, plots.latency_by_interval(measured) if out else None)


@group.command()
@INTERVALS
@SEED
@OUT
def calls(intervals: tuple[float, ...], seed: int, out: Path | None) -> None:
    """Discoveries a second with webhooks, at each interval behind them.

    \b
    Example:
      kargo-lab measure calls --interval 2 --interval 8
    """
    from kargo_lab import plots
    from kargo_lab.experiments import hooked

    measured = hooked.calls(intervals_seconds=intervals or (2.0, 4.0, 8.0), seed=seed)
    _show(measured.rows)
    _write(out, "calls", measured.rows, measured.made, plots.requests_by_interval(measured.rows) if out else None)


@group.command()
@click.option("--profile", "names", multiple=True, metavar="NAME", help="May be repeated; v1.6, v1.7 and latest.")
@click.option(
    "--platforms", "pairs", multiple=True, metavar="REGISTRY,GIT", help="Such as quay,github; may be repeated."
)
@click.option("--rows", "everything", is_flag=True, help="Print every push and strategy instead of the scorecard.")
@SEED
@OUT
def filtering(names: tuple[str, ...], pairs: tuple[str, ...], everything: bool, seed: int, out: Path | None) -> None:
    """Which deliveries made a Warehouse discover, and which of those were needed.

    \b
    Example:
      kargo-lab measure filtering --profile v1.6 --profile v1.7
    """
    from kargo_lab import plots
    from kargo_lab.experiments import filtering as experiment

    platforms = [(registry, git) for registry, _, git in (pair.partition(",") for pair in pairs)]
    measured = experiment.measure(
        profile_names=names or ("v1.6", "v1.7", "latest"), platforms=platforms or experiment.PLATFORMS, seed=seed
    )
    card = measured.scorecard()
    _show(measured.rows if everything else card)
    _write(out, "filtering", card, measured.made, plots.filtering_scorecard(card) if out else None)
    if out:
        _write(out, "filtering-rows", measured.rows, measured.made, None)


def _show(table: pd.DataFrame) -> None:
    click.echo(table.round(3).to_string(index=False))


def _write(out: Path | None, name: str, table: pd.DataFrame, how: dict[str, str], figure: Figure | None) -> None:
    from kargo_lab.experiments import record

    if out is None:
        return
    for path in record.write(out, name, table, how, figure):
        click.echo(f"wrote {path}", err=True)
