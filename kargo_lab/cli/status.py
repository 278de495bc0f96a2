"""`kargo-lab status`: what is in each Stage, from a store's file or from a lab that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from kargo_lab.errors import UpstreamError, UsageError

MOST_SECONDS = 10.0


@click.command()
@click.option(
    "--store", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE", help="A lab's store."
)
@click.option("--url", metavar="URL", help="A lab's API, as `kargo-lab serve --api` prints it.")
@click.option("--promotions", "with_promotions", is_flag=True, help="Show the Promotions as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(store: Path | None, url: str | None, with_promotions: bool, as_json: bool) -> None:
    """Show Stages: what Freight is in each, its verification, and what is on its way.

    A running lab also shows how the Stages hang together, and what is wrong with them.
    Exit status 1 if a Stage's last pass failed, or something is wrong with the Stages.

    \b
    Examples, beside the example of `kargo-lab serve`:
      kargo-lab status --store lab.db
      kargo-lab status --url http://127.0.0.1:8081/lab/v1
    """
    from kargo_lab.engine.pipeline import showing

    if (store is None) == (url is None):
        raise UsageError("name either --store FILE or --url URL")
    shown = _of_file(store) if store is not None else _of_url(str(url))
    rows, promotions = showing.stage_rows(shown), showing.promotion_rows(shown)
    if as_json:
        document = {"stages": rows, "promotions": promotions, "problems": list(shown.problems)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print(shown, rows, promotions if with_promotions else [])
    if shown.problems or any(row["message"] for row in rows):
        raise click.exceptions.Exit(1)


def _print(shown: Any, rows: list[dict[str, str]], promotions: list[dict[str, str]]) -> None:
    from kargo_lab.engine.pipeline import showing

    if not rows:
        click.echo("no Stages")
        return
    if any("spec" in stage for stage in shown.stages):
        click.echo(showing.tree(shown) + "\n")
    click.echo(showing.table(rows, showing.STAGE_COLUMNS))
    if promotions:
        click.echo("\n" + showing.table(promotions, showing.PROMOTION_COLUMNS))
    for problem in shown.problems:
        click.echo(click.style(problem, fg="red"), err=True)


def _of_file(path: Path) -> Any:
    from kargo_lab.engine.pipeline import showing
    from kargo_lab.engine.store import Store

    store = Store(path)
    try:
        return showing.of_store(store)
    finally:
        store.close()


def _of_url(url: str) -> Any:
    import requests

    from kargo_lab.engine.pipeline import showing
    from kargo_lab.payloads.sending import why_no_answer

    found: dict[str, Any] = {}
    for name in ("stages", "promotions", "freight"):
        address = f"{url.rstrip('/')}/{name}"
        try:
            answer = requests.get(address, timeout=MOST_SECONDS)
            answer.raise_for_status()
            document = answer.json()
            found[name] = tuple(document["items"])
            found.setdefault("problems", tuple(document.get("problems", ())))
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise UpstreamError(f"{address} is no lab's API: {why_no_answer(error)}") from None
    return showing.Shown(**found)
