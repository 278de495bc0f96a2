"""`kargo-lab measure`: experiments on the embedded testbed, with real pushes over real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kargo_lab.cli.options import out_option
from kargo_lab.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SEED = click.option("--seed", default=7, show_default=True, help="Same seed, same pushes at the same moments.")
INTERVALS = click.option(
    "--interval", "intervals", multiple=True, type=click.FloatRange(1), metavar="SECONDS", help="May be repeated."
)
BACKEND = click.option(
    "--backend",
    default="embedded",
    show_default=True,
    type=click.Choice(["embedded", "process", "container"]),
    help="Whose registry: ours, Debian's docker-registry, or registry:2 in a container.",
)
GIT_BACKEND = click.option(
    "--git-backend",
    default="embedded",
    show_default=True,
    type=click.Choice(["embedded", "process", "container"]),
    help="Whose Git host: ours, or a real Gitea.",
)
CLIENT = click.option(
    "--client",
    default="lab",
    show_default=True,
    type=click.Choice(["lab", "programs"]),
    help="Who pushes: the lab, or skopeo and git.",
)
MANY_PLATFORMS = click.option(
    "--platforms", "pairs", multiple=True, metavar="REGISTRY,GIT", help="Such as quay,github; may be repeated."
)
REGISTRY = click.option("--registry", default="harbor", show_default=True, metavar="PERSONA", help="What it acts as.")


@click.group()
def group() -> None:
    """Measure latency, calls, filtering, losses and outages on the testbed; no Docker, no network unless asked for.

    \b
    Examples:
      kargo-lab measure latency --interval 2 --interval 4 --out results
      kargo-lab measure latency --backend process --client programs
      kargo-lab measure calls
      kargo-lab measure filtering --profile v1.6 --profile v1.7
      kargo-lab measure outages --length 4 --length 8
    """


@group.command()
@INTERVALS
@click.option("--pushes", default=4, show_default=True, type=click.IntRange(1), help="For each kind and mode.")
@MANY_PLATFORMS
@BACKEND
@GIT_BACKEND
@CLIENT
@SEED
@out_option()
def latency(
    intervals: tuple[float, ...],
    pushes: int,
    pairs: tuple[str, ...],
    backend: str,
    git_backend: str,
    client: str,
    seed: int,
    out: Path | None,
) -> None:
    """Push to Freight by polling at each interval, and by webhook.

    \b
    Examples:
      kargo-lab measure latency --interval 2 --interval 4 --pushes 6
      kargo-lab measure latency --platforms quay,github --platforms ghcr,gitlab
    """
    from kargo_lab import plots
    from kargo_lab.experiments import latency as experiment
    from kargo_lab.experiments.place import Place

    places = [
        Place(registry=registry, git=git, backend=backend, git_backend=git_backend, client=client)
        for registry, git in _pairs(pairs) or [("harbor", "gitea")]
    ]
    measured = experiment.measure(
        intervals_seconds=intervals or (1.0, 2.0, 4.0), pushes=pushes, places=places, seed=seed
    )
    _show(measured.summary())
    _write(out, "latency", measured.rows, measured.made, plots.latency_by_interval(measured) if out else None)
    _write(out, "latency-calls", measured.calls, measured.made, plots.requests_by_mode(measured) if out else None)


@group.command()
@INTERVALS
@REGISTRY
@BACKEND
@CLIENT
@SEED
@out_option()
def calls(intervals: tuple[float, ...], registry: str, backend: str, client: str, seed: int, out: Path | None) -> None:
    """Discoveries a second with webhooks, at each interval behind them.

    \b
    Example:
      kargo-lab measure calls --interval 2 --interval 8
    """
    from kargo_lab import plots
    from kargo_lab.experiments import hooked
    from kargo_lab.experiments.place import Place

    place = Place(registry=registry, backend=backend, client=client)
    measured = hooked.calls(intervals_seconds=intervals or (2.0, 4.0, 8.0), place=place, seed=seed)
    _show(measured.rows)
    _write(out, "calls", measured.rows, measured.made, plots.requests_by_interval(measured.rows) if out else None)


@group.command()
@click.option(
    "--share", "shares", multiple=True, type=click.FloatRange(0, 1), metavar="SHARE", help="Lost; may be repeated."
)
@INTERVALS
@REGISTRY
@CLIENT
@SEED
@out_option()
def losses(
    shares: tuple[float, ...], intervals: tuple[float, ...], registry: str, client: str, seed: int, out: Path | None
) -> None:
    """Push to Freight when a share of the deliveries gets lost on the way.

    \b
    Example:
      kargo-lab measure losses --share 0 --share 0.5 --interval 4
    """
    from kargo_lab import plots
    from kargo_lab.experiments import hooked
    from kargo_lab.experiments.place import Place

    measured = hooked.losses(
        shares=shares or (0.0, 0.25, 0.5),
        intervals_seconds=intervals or (2.0, 4.0),
        place=Place(registry=registry, client=client),
        seed=seed,
    )
    _show(measured.rows)
    _write(out, "losses", measured.rows, measured.made, plots.delay_by_loss(measured.rows) if out else None)


@group.command()
@click.option(
    "--length", "lengths", multiple=True, type=click.FloatRange(0), metavar="SECONDS", help="May be repeated."
)
@INTERVALS
@REGISTRY
@CLIENT
@SEED
@out_option()
def outages(
    lengths: tuple[float, ...], intervals: tuple[float, ...], registry: str, client: str, seed: int, out: Path | None
) -> None:
    """Push to Freight around outages in which every delivery is lost.

    \b
    Example:
      kargo-lab measure outages --length 0 --length 8 --interval 4
    """
    from kargo_lab import plots
    from kargo_lab.experiments import hooked
    from kargo_lab.experiments.place import Place

    measured = hooked.outages(
        lengths_seconds=lengths or (0.0, 4.0, 8.0),
        intervals_seconds=intervals or (4.0,),
        place=Place(registry=registry, client=client),
        seed=seed,
    )
    _show(measured.rows)
    _write(out, "outages", measured.rows, measured.made, plots.delay_by_outage(measured.rows) if out else None)


@group.command()
@click.option("--profile", "names", multiple=True, metavar="NAME", help="May be repeated; v1.6, v1.7 and latest.")
@MANY_PLATFORMS
@BACKEND
@click.option("--rows", "everything", is_flag=True, help="Print every push and strategy instead of the scorecard.")
@SEED
@out_option()
def filtering(
    names: tuple[str, ...], pairs: tuple[str, ...], backend: str, everything: bool, seed: int, out: Path | None
) -> None:
    """Which deliveries made a Warehouse discover, and which of those were needed.

    \b
    Example:
      kargo-lab measure filtering --profile v1.6 --profile v1.7
    """
    from kargo_lab import plots
    from kargo_lab.experiments import filtering as experiment

    measured = experiment.measure(
        profile_names=names or ("v1.6", "v1.7", "latest"),
        platforms=_pairs(pairs) or experiment.PLATFORMS,
        backend=backend,
        seed=seed,
    )
    card = measured.scorecard()
    _show(measured.rows if everything else card)
    _write(out, "filtering", card, measured.made, plots.filtering_scorecard(card) if out else None)
    if out:
        _write(out, "filtering-rows", measured.rows, measured.made, None)


def _pairs(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    found = [(registry, git) for registry, _, git in (text.partition(",") for text in texts)]
    for text, pair in zip(texts, found, strict=True):
        if not all(pair):
            raise UsageError(f"--platforms takes REGISTRY,GIT such as quay,github, not {text!r}")
    return found


def _show(table: pd.DataFrame) -> None:
    click.echo(table.round(3).to_string(index=False))


def _write(out: Path | None, name: str, table: pd.DataFrame, how: dict[str, str], figure: Figure | None) -> None:
    from kargo_lab.experiments import record

    if out is None:
        return
    for path in record.write(out, name, table, how, figure):
        click.echo(f"wrote {path}", err=True)
