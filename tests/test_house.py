"""The house keeps its shape: sizes, names, and one shape for what is of one kind."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import kargo_lab
from kargo_lab import receivers

ROOT = Path(__file__).parents[1]
FILES = sorted([*ROOT.glob("kargo_lab/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")])
FORBIDDEN = re.compile(r"^(utils?|helpers?|common|misc|base|managers?|handlers?)$")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_file_stays_under_500_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_room_is_named_after_what_lives_there(file: Path) -> None:
    assert not any(FORBIDDEN.match(part) for part in file.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("name", receivers.RECEIVERS)
def test_every_receiver_has_the_same_shape(name: str) -> None:
    module = importlib.import_module(f"kargo_lab.receivers.{name}")
    assert name == module.TYPE
    assert isinstance(module.SECRET_KEY, str)
    assert all(callable(check) for check in module.CHECKS)
    assert list(inspect.signature(module.receive).parameters) == ["delivery", "setup", "profile"]


def test_every_public_name_exists_and_stands_once() -> None:
    assert len(set(kargo_lab.__all__)) == len(kargo_lab.__all__)  # ruff keeps them sorted
    assert [name for name in kargo_lab.__all__ if not hasattr(kargo_lab, name)] == []


def test_a_name_that_is_not_public_is_refused_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match="Testbed"):
        _ = kargo_lab.Controller


def test_every_command_shows_an_example() -> None:
    import click

    from kargo_lab.cli import main

    context = click.Context(main)
    silent = [
        name for name in main.list_commands(context) if "Example" not in (main.get_command(context, name).help or "")
    ]
    assert silent == []
