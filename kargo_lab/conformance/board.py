"""The terminal's view of a report: what passed by group and level, and each failure with its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.jupyter import JupyterMixin
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kargo_lab.conformance.kills import missing

if TYPE_CHECKING:
    from kargo_lab.conformance.proving import Proof

_STYLES = {
    "pass": "green",
    "fail": "bold red",
    "error": "magenta",
    "skip": "yellow",
    "unsupported": "dim",
    "disabled": "dim",
}
_OUTCOMES = {"passed": "bold green", "failed": "bold red", "partial": "bold yellow", "broken": "bold magenta"}
_SHOWN_FAILURES = 20


class Board(JupyterMixin, Group):
    """What a notebook shows as it is, and a console prints."""


def board(report: Mapping[str, Any], *, failures: int = _SHOWN_FAILURES) -> Board:
    """The table by group and level, the failures, and one closing line."""
    levels = [level for level, numbers in report["footer"]["counts"].items() if sum(numbers.values())]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("group")
    for level in levels:
        table.add_column(level, justify="right")
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for case in report["cases"]:
        groups.setdefault(case["id"].partition("/")[0], []).append(case)
    for group, cases in groups.items():
        table.add_row(group, *(_cell([case for case in cases if case["level"] == level]) for level in levels))
    parts: list[RenderableType] = [table]
    bad = [case for case in report["cases"] if case["status"] in ("fail", "error")]
    for case in bad[:failures]:
        parts += [
            Text(),
            Text.from_markup(f"[{_STYLES[case['status']]}]{case['status']}[/] {escape(case['id'])}"),
            Text(f"  {case['says']}"),
            *_reasons(case),
            Text(f"  again: {case['rerun']}", style="dim"),
        ]
    if len(bad) > failures:
        parts.append(Text(f"\n... and {len(bad) - failures} more; report.html has them all", style="dim"))
    for sentence in report["footer"].get("stale", ()):
        parts += [Text(), Text(f"stale entry of the target file: {sentence}", style=_STYLES["fail"])]
    parts += [Text(), closing_line(report)]
    return Board(*parts)


def _reasons(case: Mapping[str, Any]) -> list[Text]:
    if not case["differences"]:
        return [Text(f"  {case['sentence']}")]
    return [Text(f"  {each['what']}: expected {each['expected']}, saw {each['seen']}") for each in case["differences"]]


def _cell(cases: list[Mapping[str, Any]]) -> Text:
    if not cases:
        return Text("-", style="dim")
    passed = sum(case["status"] == "pass" for case in cases)
    worst = next(
        (
            status
            for status in ("fail", "error", "skip", "unsupported", "disabled")
            if any(case["status"] == status for case in cases)
        ),
        "pass",
    )
    return Text(f"{passed}/{len(cases)}", style=_STYLES[worst])


def closing_line(report: Mapping[str, Any]) -> Text:
    """One line: the outcome, the numbers of each status, and the time."""
    outcome = report["footer"]["outcome"]
    totals: dict[str, int] = {}
    for numbers in report["footer"]["counts"].values():
        for status, number in numbers.items():
            totals[status] = totals.get(status, 0) + number
    said = ", ".join(f"{number} {status}" for status, number in totals.items() if number)
    why = report["footer"].get("why", "")
    return Text.assemble(
        (outcome, _OUTCOMES[outcome]),
        f": {said} in {report['footer']['seconds']:.1f} s; "
        f"profile {report['header']['profile']}, target {report['header']['target']}{'; ' if why else ''}{why}",
    )


def print_board(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print it; a notebook may show `board(report)` instead."""
    (console or Console()).print(board(report))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], console: Console | None = None) -> None:
    """Print a table of texts; numbers of the form `passed/all` stand on the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for index, head in enumerate(heads):
        counts = any(re.fullmatch(r"\d+/\d+", row[index]) for row in rows)
        # A column's head is cut nowhere: two targets may differ in the last letters only.
        table.add_column(head, justify="right" if counts else "left", overflow="fold", no_wrap=not index)
    for row in rows:
        table.add_row(*map(escape, row))
    (console or Console()).print(table)


def print_proof(proof: Proof, console: Console | None = None) -> None:
    """Print the kill matrix: how many cases of each group noticed each fault; then what is missing."""
    shown = console or Console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("fault", no_wrap=True)
    table.add_column("cases", justify="right")
    table.add_column("noticed by")
    for trial in proof.trials:
        groups = ", ".join(f"{group} {count}" for group, count in trial.groups.items())
        table.add_row(
            trial.fault, f"{len(trial.killers)}/{len(trial.judged)}", groups or Text("nobody", _STYLES["fail"])
        )
    shown.print(table)
    for what, found in missing(proof):
        for name in found:
            shown.print(Text(f"{what}: {name}", style=_STYLES["fail"]))
    caught, everything = len(proof.trials) - len(proof.survivors), len(proof.trials)
    idle = f"; {len(proof.idle)} core cases are idle" if proof.complete else ""
    shown.print(
        f"{caught} of {everything} faults caught by {len(proof.cases)} cases{idle}; "
        f"{proof.processor_seconds:.0f} s of processor time"
    )
