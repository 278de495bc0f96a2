"""The fuzz target runs, and finds nothing in a short while."""

from __future__ import annotations

import importlib.util
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_rules", Path(__file__).with_name("rules.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = load()


@pytest.mark.parametrize("name", sorted(fuzz.TARGETS))
def test_two_hundred_texts_give_values_or_documented_errors(name: str) -> None:
    rng = random.Random(name)
    findings = [finding for _ in range(200) if (finding := fuzz.try_one(name, fuzz.TARGETS[name], rng)[1])]
    assert findings == []


@pytest.fixture
def alarm() -> Iterator[None]:
    """Whoever else uses the alarm clock, as pytest-timeout does, gets it back as it was."""
    set_by, left = signal.getsignal(signal.SIGALRM), signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.signal(signal.SIGALRM, set_by)
    signal.setitimer(signal.ITIMER_REAL, *left)


@pytest.mark.usefixtures("alarm")
def test_it_runs_as_a_program() -> None:
    result = CliRunner().invoke(fuzz.main, ["--minutes", "0", "--seed", "7", "--only", "version"])
    assert (result.exit_code, result.output.splitlines()[0]) == (0, "seed 7")


@pytest.mark.usefixtures("alarm")
def test_it_reports_what_it_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = fuzz.Target(lambda rng, text: {}[text], "a", ())
    monkeypatch.setitem(fuzz.TARGETS, "version", broken)
    result = CliRunner().invoke(fuzz.main, ["--minutes", "0", "--seed", "7", "--only", "version"])
    assert result.exit_code == 1
    assert "KeyError" in result.output
