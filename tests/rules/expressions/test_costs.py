"""What an evaluation costs, by the three measures that bound it.

A row of `expression-costs.json` holds an expression and the least steps, memory and length of text with
which it is evaluated. Memory counts as expr-lang does, and as there the limit itself is too much; steps and
text are this package's own measures.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import Limits

ROWS = json.loads((Path(__file__).parents[2] / "data" / "expression-costs.json").read_text())
VARIABLES: dict[str, Any] = {
    "xs": [3, 1, 2],
    "ys": [[1, 2], [3, [4, 5]]],
    "s": "a" * 640,
    "t": "a,b,c",
    "m": {"k": 1, "l": 2},
    "o": [{"v": 1}, {"v": 2}],
    "w": ["x", "y", "z"],
    "f": False,
    "c": ",",
}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MESSAGES = {
    "steps": "the evaluation takes more than {} steps",
    "memory": "memory budget exceeded",
    "text": "the evaluation makes a text longer than {} characters",
}
CASES = [
    pytest.param(text, measure, least, id=ascii(f"{text[:50]}: {measure} {least}"))
    for text, *costs in ROWS
    for measure, least in zip(MESSAGES, costs, strict=True)
]


@pytest.mark.parametrize(("text", "measure", "least"), CASES)
def test_an_evaluation_needs_that_much(text: str, measure: str, least: int) -> None:
    expressions.compile(text, limits=Limits(**{measure: least})).run(VARIABLES, now=NOON)


@pytest.mark.parametrize(("text", "measure", "least"), [case for case in CASES if case.values[2]])
def test_and_is_stopped_with_one_less(text: str, measure: str, least: int) -> None:
    program = expressions.compile(text, limits=Limits(**{measure: least - 1}))
    with pytest.raises(ExpressionError) as stopped:
        program.run(VARIABLES, now=NOON)
    error = stopped.value
    assert (error.stage, error.message) == ("run", MESSAGES[measure].format(least - 1))
