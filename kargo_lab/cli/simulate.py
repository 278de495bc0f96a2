"""`kargo-lab simulate`: a fleet on paper, with its numbers, its picture and how they were made."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kargo_lab.cli.options import out_option
from kargo_lab.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("scenario", required=False, default="")
@click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Change the scenario, as fleets.images.interval=10m."
)
@click.option(
    "--sweep", "sweeps", multiple=True, metavar="PATH=A,B,C", help="Simulate each of these values; several combine."
)
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1), help="For a sweep.")
@click.option("--model", type=click.Choice(["fast", "events"]), default="fast", show_default=True, help="Which model.")
@out_option()
@click.option("--list", "listed", is_flag=True, help="List the scenarios that ship.")
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
def command(
    scenario: str,
    settings: tuple[str, ...],
    sweeps: tuple[str, ...],
    processes: int,
    model: str,
    out: Path | None,
    listed: bool,
    as_json: bool,
) -> None:
    """Simulate the fleet of a SCENARIO: a YAML file, or the name of one that ships.

    \b
    Examples:
      kargo-lab simulate fifty-warehouses
      kargo-lab simulate fifty-warehouses --set 'fleets.*.interval=30m' --out results
      kargo-lab simulate fifty-warehouses --set length=2d --sweep 'fleets.*.interval=5m,15m,1h' --processes 2
    """
    from kargo_lab import plots
    from kargo_lab.experiments import events, fast, record, scenario_reading

    if listed:
        click.echo("\n".join(scenario_reading.shipped()))
        return
    if not scenario:
        raise UsageError("name a scenario: a YAML file, or one of those that --list shows")
    read = scenario_reading.load(scenario, settings=settings)
    if sweeps:
        grid = dict(_values(each) for each in sweeps)
        table = _swept(scenario, grid, settings, processes)
        figure = plots.sweep(table, next(iter(grid))) if out else None
    else:
        outcome = (fast if model == "fast" else events).simulate(read)
        table, figure = outcome.table(), plots.outcome(outcome) if out else None
    words = ["kargo-lab", "simulate", scenario]
    words += [word for each in settings for word in ("--set", each)] + [w for e in sweeps for w in ("--sweep", e)]
    words += ["--model", model] if model != "fast" else []
    how = record.made(shlex.join(words), read.seed)
    if as_json:
        click.echo(json.dumps({"made": how, "rows": json.loads(table.to_json(orient="records"))}, indent=2))
    else:
        click.echo(table.T.to_string(header=False) if not sweeps else table.to_string(index=False))
    if out:
        name = Path(scenario).stem + ("-sweep" if sweeps else "")
        for path in record.write(out, name, table, how, figure):
            click.echo(f"wrote {path}", err=True)


def _values(text: str) -> tuple[str, list[str]]:
    path, equals, values = text.partition("=")
    if not equals or not values:
        raise UsageError(f"--sweep takes PATH=A,B,C such as fleets.images.interval=5m,15m, not {text!r}")
    return path, values.split(",")


def _swept(scenario: str, grid: dict[str, list[str]], settings: tuple[str, ...], processes: int) -> pd.DataFrame:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from kargo_lab.experiments import sweep

    if processes == 1:
        return sweep.run(scenario, grid, settings=settings)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        return sweep.run(scenario, grid, settings=settings, executor=executor)
