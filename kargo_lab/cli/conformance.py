"""`kargo-lab conformance`: run the suite, look at cases, compare reports."""

from __future__ import annotations

import json
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from kargo_lab.cli.conformance_choice import (
    chosen,
    level_option,
    profile_of,
    profile_option,
    report_option,
    select_option,
)
from kargo_lab.cli.conformance_documents import manifests_command, openapi_command, schema_command
from kargo_lab.errors import UsageError


@click.group()
def group() -> None:
    """Judge an implementation of webhook receivers that trigger discovery.

    \b
    Example, the whole main job in one command:
      kargo-lab conformance run
    """


@group.command("run")
@click.option(
    "--target",
    default="reference",
    show_default=True,
    help="`reference`, `reference-in-process`, a target file (YAML), or a webhook base URL.",
)
@profile_option
@select_option
@level_option
@report_option("Write report.json, report.html, junit.xml and a badge here.")
@click.option("--strict", is_flag=True, help="Strict cases count for the outcome.")
@click.option(
    "--seed", default=7, show_default=True, help="Seeds secrets and names; the same seed sends the same bytes."
)
@click.option(
    "-n", "--jobs", default=4, type=click.IntRange(1), show_default=True, help="Cases that are sent side by side."
)
@click.option(
    "--rerun", default=0, type=click.IntRange(0), show_default=True, help="Run what failed again, up to so many times."
)
@click.option(
    "--factor",
    default=1.0,
    type=click.FloatRange(0, min_open=True),
    show_default=True,
    help="Multiplies every time of the target, for slow machines; its file's `scale`, from outside.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report document instead of the board.")
def run_command(
    target: str,
    profile: str | None,
    patterns: tuple[str, ...],
    level: tuple[str, ...],
    folder: Path | None,
    strict: bool,
    seed: int,
    jobs: int,
    rerun: int,
    factor: float,
    as_json: bool,
) -> None:
    """Run the cases against a target and say how it did.

    \b
    Examples:
      kargo-lab conformance run
      kargo-lab conformance run --profile v1.9 --select github/push --report report
      kargo-lab conformance run --target http://127.0.0.1:8080 --select github  # your receiver's URL
    """
    from kargo_lab.conformance import report as reports
    from kargo_lab.conformance import suite
    from kargo_lab.conformance.board import print_board
    from kargo_lab.conformance.verdicts import EXIT_STATUS

    profile = profile_of(profile, target)
    cases = chosen(profile, patterns, level, target)
    command = "kargo-lab " + shlex.join(sys.argv[1:])
    header = suite.header(
        target,
        profile=profile,
        seed=seed,
        command=command,
        started=datetime.now(UTC),
        strict=strict,
        factor=factor,
    )
    with _end_as_by_ctrl_c(), _waiting_is_told():
        document = suite.judge(cases, header, jobs=jobs, reruns=rerun, progress=_bar(len(cases)))
    if folder is not None:
        for path in reports.write(folder, document):
            click.echo(f"wrote {path}", err=True)
    if as_json:
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
    else:
        print_board(document)
    sys.exit(EXIT_STATUS[document["footer"]["outcome"]])


@contextmanager
def _end_as_by_ctrl_c() -> Iterator[None]:
    """A run that is told to end (SIGTERM: a pipeline's time is over) takes away what it made, as after Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is told
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _waiting_is_told() -> Iterator[None]:
    """Whoever has to apply manifests while a run waits must see when: not before the sources are up and filled."""
    log, shown = logging.getLogger("kargo_lab.conformance.targets.url"), logging.StreamHandler(sys.stderr)
    log.addHandler(shown)
    try:
        yield
    finally:
        log.removeHandler(shown)


def _bar(total: int) -> Any:
    """A progress bar on stderr, silent where that is no terminal."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.progress import Progress

    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task("judging", total=total)
    progress.start()

    def advance(_result: Any, done: int, _all: int) -> None:
        progress.update(task, completed=done)
        if done >= total:
            progress.stop()

    return advance


@group.command("list")
@click.option("--target", help="A target file: only the cases that it names.")
@profile_option
@select_option
@level_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_command(
    target: str | None, profile: str | None, patterns: tuple[str, ...], level: tuple[str, ...], as_json: bool
) -> None:
    """List the cases that hold for a profile, and make sense for a target.

    \b
    Example:
      kargo-lab conformance list --select github --level core
    """
    found = chosen(profile_of(profile, target), patterns, level, target)
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "id": case.id,
                        "level": case.level,
                        "says": case.says,
                        "since": case.since,
                        "until": case.until,
                        "source": case.source,
                    }
                    for case in found
                ],
                indent=1,
            )
        )
        return
    for case in found:
        click.echo(f"{case.level:8}  {case.id}")
    click.echo(f"{len(found)} cases", err=True)


@group.command("show")
@click.argument("case_id")
@click.option("--seed", default=7, show_default=True)
def show_command(case_id: str, seed: int) -> None:
    """Show one case in full: what is set up, what is sent, what must be seen, and why.

    \b
    Example:
      kargo-lab conformance show github/push/branch
    """
    from kargo_lab.conformance import cases, suite

    found = cases.select(cases.load(), (case_id,))
    for case in found:
        click.echo(suite.describe(case, seed=seed))
    if len(found) > 1:
        click.echo(f"{len(found)} cases", err=True)


@group.command("diff")
@click.argument("before", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("after", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def diff_command(before: Path, after: Path) -> None:
    """Say which cases changed their status between two reports; exit status 1 if any got worse.

    \b
    Example:
      kargo-lab conformance run --profile v1.8 --select github --report before
      kargo-lab conformance run --profile v1.9 --select github --report after
      kargo-lab conformance diff before/report.json after/report.json
    """
    from kargo_lab.conformance import report as reports

    changes = reports.diff(reports.read(before), reports.read(after))
    for name, old, new in changes:
        click.echo(f"{old:>11} -> {new:<11}  {name}")
    worse = sum(1 for _, old, new in changes if old == "pass" and new != "pass")
    click.echo(f"{len(changes)} cases changed, {worse} of them for the worse", err=True)
    sys.exit(1 if worse else 0)


@group.command("matrix")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def matrix_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Set many reports side by side: a row for each group and level, a column for each report.

    \b
    Example, with the reports of the example of `diff`:
      kargo-lab conformance matrix before/report.json after/report.json
    """
    from kargo_lab.conformance import report as reports
    from kargo_lab.conformance.board import print_table

    every: dict[str, Any] = {}
    for path in paths:
        report = reports.read(path)
        name = f"{report['header']['target']} {report['header']['profile']}"
        every[name if name not in every else f"{name} ({path})"] = report
    heads, rows = reports.matrix(every)
    if as_json:
        click.echo(json.dumps([dict(zip(heads, row, strict=True)) for row in rows], indent=1))
    else:
        print_table(heads, rows)


@group.command("prove")
@click.option("--select", "patterns", multiple=True, metavar="PATTERN", help="Only these faults. Repeatable.")
@click.option(
    "-n", "--jobs", default=2, type=click.IntRange(1), show_default=True, help="Faults that are tried side by side."
)
@click.option("--seed", default=7, show_default=True)
@click.option("--list", "only_list", is_flag=True, help="List the faults and try none.")
@click.option(
    "--matrix", "whole", is_flag=True, help="Run every fault with every case, not only with those it touches."
)
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the kill matrix as kills.json, kills.csv and kills.html here.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def prove_command(
    patterns: tuple[str, ...],
    jobs: int,
    seed: int,
    only_list: bool,
    whole: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Run the suite on receivers that are wrong on purpose, and print which cases notice which fault.

    Exit status 1 if a fault survives, if a core case notices none, or if an absurd target passes a whole group.
    Only a run of all faults can tell of core cases and groups.

    \b
    Examples:
      kargo-lab conformance prove --select 'github-*'
      kargo-lab conformance prove -n 2 --report proof
    """
    from kargo_lab.conformance import kills, proving
    from kargo_lab.conformance.board import print_proof, print_table
    from kargo_lab.conformance.faults import FAULTS

    if only_list:
        chosen = [FAULTS[name] for name in proving.names(patterns) if name in FAULTS]
        print_table(["fault", "what is wrong", "source"], [[each.name, each.says, each.source] for each in chosen])
        return
    bar = _bar(len(proving.names(patterns)))
    proof = proving.prove(patterns, processes=jobs, seed=seed, whole=whole, progress=bar)
    if folder is not None:
        for path in kills.write(folder, proof):
            click.echo(f"wrote {path}", err=True)
    if as_json:
        click.echo(json.dumps(kills.document(proof), indent=1))
    else:
        print_proof(proof)
    sys.exit(0 if proof.good else 1)


@group.command("leftovers")
@click.option("--target", required=True, help="A target file of the kind kubernetes.")
@click.option("--run", "only", metavar="ID", help="Only what this run left.")
@click.option("--delete", is_flag=True, help="Take it away. Make sure first that none of the runs still goes on.")
def leftovers_command(target: str, only: str | None, delete: bool) -> None:
    """Find what runs that were cut off have left in a cluster, by the label that all of it bears.

    Exit status 1 if there is something, and 0 once it is gone.

    \b
    Example:
      kargo-lab conformance leftovers --target my-cluster.yaml --delete
    """
    from kargo_lab.conformance import leftovers, targets
    from kargo_lab.conformance.targets.kubernetes import Kubernetes

    made = targets.make(target, "latest")
    if not isinstance(made, Kubernetes):
        raise UsageError(f"{target} is no target file of the kind kubernetes")
    found = leftovers.find(made.cluster, made.settings.secrets_namespace, only)
    for each in found:
        click.echo(f"{each.kind}  {each.title}  {each.run}")
    if not found:
        click.echo("nothing is left over", err=True)
        return
    if not delete:
        click.echo(f"{len(found)} things are left over; --delete takes them away", err=True)
        sys.exit(1)
    left = leftovers.remove(made.cluster, found, seconds=made.settings.setup_seconds)
    for sentence in left:
        click.echo(sentence, err=True)
    sys.exit(1 if left else 0)


for _command in (manifests_command, schema_command, openapi_command):
    group.add_command(_command)
