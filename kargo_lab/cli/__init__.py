"""The command line: one file per command, imported when it is called, so that `--help` is quick.

Arguments in, one call, output. Exit status: 0 done and good, 1 done and not good, 2 used wrongly or
could not run. Results go to stdout; progress, logs and errors to stderr.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

import attrs
import click

from kargo_lab.errors import LabError

EXIT_GOOD, EXIT_NOT_GOOD, EXIT_UNUSABLE = 0, 1, 2


@attrs.frozen
class _Command:
    """Where a command is written, and its line in `--help`."""

    target: str  # module:attribute
    line: str


COMMANDS: Mapping[str, _Command] = MappingProxyType(
    {
        "conformance": _Command("kargo_lab.cli.conformance:group", "Judge a webhook receiver by the suite's cases."),
        "receivers": _Command("kargo_lab.cli.receivers:command", "Print the URLs to register at each platform."),
        "serve": _Command("kargo_lab.cli.serve:command", "Run the reference implementation as a server."),
        "status": _Command("kargo_lab.cli.status:command", "Show what is in each Stage."),
        "testbed": _Command("kargo_lab.cli.testbed:group", "Start platforms, reference and board together."),
        "send": _Command("kargo_lab.cli.send:command", "Deliver a realistic, correctly signed request."),
        "record": _Command("kargo_lab.cli.record:command", "Keep what a real platform sends, redacted."),
        "discover": _Command("kargo_lab.cli.discover:command", "Discover the artifacts of Warehouses once."),
        "rules": _Command("kargo_lab.cli.rules:group", "Try constraints, globs, patterns and expressions."),
        "explain": _Command("kargo_lab.cli.explain:command", "Say which gate stopped a delivery."),
        "doctor": _Command("kargo_lab.cli.doctor:command", "Find out why a signature does not match."),
        "lint": _Command("kargo_lab.cli.lint:command", "Look for mistakes in resources."),
        "advise": _Command("kargo_lab.cli.advise:command", "Recommend an interval for your rates and quotas."),
        "secret": _Command("kargo_lab.cli.secret:command", "Make a strong secret."),
        "measure": _Command("kargo_lab.cli.measure:group", "Measure latency, calls and filtering on the testbed."),
        "simulate": _Command("kargo_lab.cli.simulate:command", "Simulate a fleet instead of running it."),
        "workshop": _Command("kargo_lab.cli.workshop:command", "Copy the lessons and open JupyterLab."),
    }
)


class _Failure(click.ClickException):
    """One of our errors: its message, and the exit status for what could not run."""

    exit_code = EXIT_UNUSABLE

    def show(self, file: Any = None) -> None:
        click.echo(f"Error: {self.format_message()}", file=file, err=file is None)


class LazyGroup(click.Group):
    """A group whose commands are imported by name; a command that is not written yet is not there."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of the table, which is that of use."""
        return [name for name, command in COMMANDS.items() if _is_written(command)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import the command."""
        command = COMMANDS.get(cmd_name)
        if command is None or not _is_written(command):
            return None
        module, _, attribute = command.target.partition(":")
        loaded: click.Command = getattr(importlib.import_module(module), attribute)
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, without importing anything."""
        rows = [(name, COMMANDS[name].line) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Turn our errors and the machine's into one message; anything else is a bug and shows its traceback."""
        try:
            return super().invoke(ctx)
        except LabError as error:
            raise _Failure(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE or not error.strerror:  # click ends quietly when nobody reads any more
                raise
            raise _Failure(f"{error.filename}: {error.strerror}" if error.filename else error.strerror) from error
        except KeyboardInterrupt:
            click.echo(err=True)  # the terminal has written ^C
            raise _Failure("interrupted before it was done") from None


def _is_written(command: _Command) -> bool:
    return importlib.util.find_spec(command.target.partition(":")[0]) is not None


def _version() -> str:
    try:
        return version("kargo-lab")
    except PackageNotFoundError:
        return "unknown (not installed)"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(_version(), prog_name="kargo-lab")
def main() -> None:
    """Testbed and conformance suite for webhook receivers that trigger artifact discovery.

    \b
    Example: judge the reference implementation, no Docker needed
      kargo-lab conformance run
    """
