"""The fuzz target runs, and finds nothing in a short while."""

from __future__ import annotations

import importlib.util
import random
import time
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


def test_it_runs_as_a_program() -> None:
    result = CliRunner().invoke(fuzz.main, ["--minutes", "0", "--seed", "7", "--only", "version"])
    assert (result.exit_code, result.output.splitlines()[0]) == (0, "seed 7")


def test_it_reports_what_it_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = fuzz.Target(lambda rng, text: {}[text], "a", ())
    monkeypatch.setitem(fuzz.TARGETS, "version", broken)
    result = CliRunner().invoke(fuzz.main, ["--minutes", "0", "--seed", "7", "--only", "version"])
    assert result.exit_code == 1
    assert "KeyError" in result.output


def test_it_reports_what_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundredths of a second of processor time, however long that is by the clock."""

    def endless(rng: random.Random, text: str) -> None:
        until = time.process_time() + 5
        while time.process_time() < until:
            pass

    monkeypatch.setitem(fuzz.TARGETS, "version", fuzz.Target(endless, "a", ()))
    monkeypatch.setattr(fuzz, "HOPELESS_SECONDS", 0.02)
    result = CliRunner().invoke(fuzz.main, ["--minutes", "0", "--seed", "7", "--only", "version"])
    assert result.exit_code == 1
    assert "no answer after 0.02 s of processor time" in result.output
