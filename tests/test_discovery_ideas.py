"""Each of the 195 case ideas of discovery.md 10 is a test that exists, or there is a sentence why not."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
IDEAS: dict[str, Any] = json.loads((DATA / "discovery-ideas.json").read_text(encoding="utf-8"))
COUNTS = {"L": 28, "I": 53, "G": 34, "C": 19, "F": 22, "S": 39}
NODES = sorted({node for idea in IDEAS.values() for node in idea.get("tests", ())})


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@cache
def words(path: str) -> str:
    """The texts from which the ids of a file's tests are made: its own, and those of the vectors it may load."""
    vectors = (
        file.read_text(encoding="utf-8") for file in sorted(DATA.glob("*.json")) if file.stem != "discovery-ideas"
    )
    return "\n".join([(ROOT / path).read_text(encoding="utf-8"), *vectors])


def test_all_ideas_are_there() -> None:
    assert list(IDEAS) == [f"{kind}{number:02}" for kind, count in COUNTS.items() for number in range(1, count + 1)]


@pytest.mark.parametrize("idea", IDEAS)
def test_an_idea_is_a_test_or_a_sentence(idea: str) -> None:
    found = IDEAS[idea]
    assert bool(found.get("tests")) != bool(found.get("why not"))


@pytest.mark.parametrize("node", NODES)
def test_the_test_exists(node: str) -> None:
    path, _, rest = node.partition("::")
    name, _, parameters = rest.removesuffix("]").partition("[")
    assert name in functions(path)
    # Ids made of a strategy, repository or login and a case are put together by the test itself.
    assert all(part.strip("'") in words(path) for part in parameters.split(": ") if "," not in part)
