"""Options that the commands of `kargo-lab conformance` share: which cases, for which profile, and where reports go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kargo_lab.cli.options import Decorator
from kargo_lab.errors import UsageError

if TYPE_CHECKING:
    from kargo_lab.conformance.cases import Case

profile_option = click.option(
    "--profile",
    metavar="NAME",
    help="Kargo minor whose behaviour is expected, or `recommended`.  [default: the target file's, or latest]",
)
select_option = click.option(
    "--select",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Only these cases: an id with * and ?, or the beginning of one; `!` in front takes out. Repeatable.",
)
level_option = click.option(
    "--level",
    multiple=True,
    type=click.Choice(["core", "extended", "strict"]),
    help="Only cases of this level. Repeatable.",
)


def _report_folder(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """A folder that can take the files of a report; who waits for a run must not learn afterwards that it cannot."""
    from kargo_lab.conformance import report

    del context, parameter
    if value is not None:
        try:
            report.check(value)
        except UsageError as error:
            raise click.BadParameter(str(error)) from None
    return value


def report_option(text: str) -> Decorator:
    """`--report`: a folder that can be written into, or None."""
    return click.option(
        "--report", "folder", type=click.Path(path_type=Path), metavar="DIR", callback=_report_folder, help=text
    )


def profile_of(profile: str | None, target: str | None) -> str:
    """The profile that was asked for, or that the target file names."""
    from kargo_lab.conformance import targets

    described = targets.file(target) if target and profile is None else None
    return profile or (described.profile if described else "") or "latest"


def chosen(
    profile: str, patterns: tuple[str, ...], level: tuple[str, ...] = (), target: str | None = None
) -> tuple[Case, ...]:
    """The cases for a run. Raises UsageError if none is left, with what took the last one away."""
    from kargo_lab.conformance import targets

    return targets.chosen(profile, patterns, level, target)
