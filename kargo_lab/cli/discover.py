"""`kargo-lab discover`: what Warehouses would find now, why not the rest, and what it cost to ask."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from kargo_lab.cli.options import FILE, namespace_option, profile_option
from kargo_lab.profiles import Profile

MOST_LEFT_OUT = 20


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="PATH...")
@profile_option()
@namespace_option()
@click.option("--against", metavar="URL", help="Ask this host instead of those in the subscriptions.")
@click.option("--warehouse", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Show everything that was left out, not just the first.")
@click.option("--lean", is_flag=True, help="Ask as little as possible, which no Kargo does; see docs/lean.md.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    paths: tuple[Path, ...],
    profile: Profile,
    namespace: str,
    against: str | None,
    names: tuple[str, ...],
    everything: bool,
    lean: bool,
    as_json: bool,
) -> None:
    """Discover the artifacts of Warehouses once, as Kargo would: nothing is stored, no Freight is made.

    Shows what each subscription finds, best first, why the others are left out, and what was asked for; with --json
    every request.
    Exit status 1 if a subscription fails or finds nothing.

    \b
    Examples, with a Warehouse of yours, or the one that README.md shows, in warehouse.yaml:
      kargo-lab discover warehouse.yaml
      kargo-lab discover warehouse.yaml --against http://127.0.0.1:5000
    """
    from kargo_lab.engine import rehearsal
    from kargo_lab.resources import loading
    from kargo_lab.sources.shared import OperatorSettings

    resources = loading.load(paths, profile=profile, namespace=namespace)
    with _warnings_shown():
        rehearsed = rehearsal.rehearse(
            resources, profile=profile, names=names, against=against or "", settings=OperatorSettings(lean=lean)
        )
    if as_json:
        click.echo(json.dumps(rehearsed.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(rehearsed, len(rehearsed.rows) if everything else MOST_LEFT_OUT, everything=everything)
    if not rehearsed.good:
        raise click.exceptions.Exit(1)


class _Shown(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"{record.levelname.lower()}: {record.getMessage()}", err=True)


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """What discovery only logs, such as credentials that are held back, is what somebody who tries wants to know."""
    log, shown = logging.getLogger("kargo_lab"), _Shown(logging.WARNING)
    log.addHandler(shown)
    try:
        yield
    finally:
        log.removeHandler(shown)


def _print(rehearsed: Any, most: int, *, everything: bool) -> None:
    for each in rehearsed.subscriptions:
        click.echo(click.style(f"{each.warehouse}  {each.kind} {each.repo_url}", bold=True))
        if each.error:
            click.echo(click.style(f"  failed: {each.error}", fg="red"))
        for place, line in enumerate(each.found, 1):
            click.echo(f"  {place:>3}  {line}")
        if not each.error and not each.found:
            click.echo("  finds nothing")
        shown = each.left_out if everything else each.left_out[:most]
        for name, reason in shown:
            click.echo(click.style(f"    -  {name}: {reason}", dim=True))
        if len(each.left_out) > len(shown):
            click.echo(click.style(f"    -  and {len(each.left_out) - len(shown)} more (--all shows them)", dim=True))
        click.echo()
    click.echo(click.style(f"{len(rehearsed.requests)} requests", bold=True))
    click.echo(rehearsed.totals.to_string(index=False) if len(rehearsed.rows) else "nothing was asked")
