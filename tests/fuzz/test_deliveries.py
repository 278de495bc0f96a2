"""The fuzz target runs, and finds nothing in a short while."""

import importlib.util
from pathlib import Path
from types import ModuleType


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_deliveries", Path(__file__).with_name("deliveries.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_thousand_mutated_deliveries_all_give_verdicts() -> None:
    assert load().run(2000, seed=1).total() == 2000
