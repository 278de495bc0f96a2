"""Options that several commands share, spelled once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kargo_lab import profiles
from kargo_lab.errors import UsageError
from kargo_lab.profiles import Profile

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

FILE = click.Path(exists=True, path_type=Path)


def _profile(_context: click.Context, _parameter: click.Parameter, value: str) -> Profile:
    try:
        return profiles.get(value)
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def profile_option() -> Decorator:
    """`--profile`: a Profile, `latest` unless named."""
    return click.option(
        "--profile",
        default="latest",
        show_default=True,
        metavar="NAME",
        callback=_profile,
        help=f"Whose behaviour: {', '.join(profiles.PROFILES)}.",
    )


def resources_option() -> Decorator:
    """`--resources`: files or folders of YAML, given once or more often."""
    return click.option(
        "--resources",
        "resources",
        required=True,
        multiple=True,
        type=FILE,
        metavar="PATH",
        help="A file or folder of Kargo's YAML; may be repeated.",
    )


def namespace_option() -> Decorator:
    """`--namespace`: of objects that name none."""
    return click.option(
        "-n", "--namespace", default="default", show_default=True, help="Namespace of objects that name none."
    )


def _folder(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """Make the folder now: who waits for minutes wants to know at once that nothing can be kept."""
    if value is not None:
        try:
            value.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=value):
                pass
        except OSError as error:
            raise click.BadParameter(f"nothing can be written into {value}: {error.strerror or error}") from None
    return value


def out_option() -> Decorator:
    """`--out`: a folder that can be written into, or None."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        callback=_folder,
        help="Write table, picture and how they were made into DIR.",
    )


def address(value: str, *, default_port: int) -> tuple[str, int]:
    """Host and port of `host:port`, `:port`, `host` or `[::1]:port`. Raises UsageError."""
    host, colon, port = value.rpartition(":")
    if not colon or value.endswith("]"):
        host, port = value, str(default_port)
    bracketed = host.startswith("[") and host.endswith("]")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536) or (":" in host and not bracketed):
        raise UsageError(f"{value!r} is no address: expected host:port or [::1]:port, with a port from 0 to 65535")
    return host.strip("[]") or "127.0.0.1", int(port)
