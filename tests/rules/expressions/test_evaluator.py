"""Running an expression: what fails, where, and what `findLast` leaves behind (see `leftovers`)."""

from __future__ import annotations

from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import CRITERIA, PLAIN, Environment

VARIABLES: dict[str, Any] = {"a": "x", "i": 3, "n": None, "xs": [3, 1], "o": [{"v": "a"}], "t": True}


@pytest.mark.parametrize(
    ("text", "environment", "stage", "position", "message"),
    [
        ("x", CRITERIA, "run", 0, "cannot fetch x from <nil>"),
        ("1 + x", CRITERIA, "run", 4, "cannot fetch x from <nil>"),
        ("xs[0:n]", PLAIN, "run", 2, "invalid operation: int(<nil>)"),
        ("xs[n:1]", PLAIN, "run", 2, "invalid operation: int(<nil>)"),
        ("nope(map(xs, #foo))", PLAIN, "compile", 13, "unknown pointer #foo"),
        ("i and t", PLAIN, "run", 2, "interface conversion: interface {} is int, not bool"),
        ("a or t", PLAIN, "run", 2, "interface conversion: interface {} is string, not bool"),
        ("findIndex(xs, # > 99) == 0", PLAIN, "run", 22, "interface conversion: interface {} is <nil>, not int"),
        ("findIndex(xs, # > 99) != 0", PLAIN, "run", 22, "interface conversion: interface {} is <nil>, not int"),
        ('a matches ("(" + "x")', PLAIN, "compile", 15, "missing )"),
        ("i ? 1 : 2", PLAIN, "run", 2, "non-bool value (int) used as condition"),
        ("{(i): 1}", PLAIN, "run", 0, "a map key must be a string, not int"),
        ("not i", PLAIN, "run", 0, "interface conversion: interface {} is int, not bool"),
        ("i.b.c", PLAIN, "run", 2, "cannot fetch b from int"),
        ("xs[9]", PLAIN, "run", 2, "index out of range: 9 (array length is 2)"),
        ("nope(1)", PLAIN, "run", 0, "invalid operation: cannot call nil"),
        ("i(1)", PLAIN, "run", 0, "invalid operation: cannot call non-function of type int"),
    ],
)
def test_a_failure_has_its_words_and_place(
    text: str, environment: Environment, stage: str, position: int, message: str
) -> None:
    with pytest.raises(ExpressionError) as refused:
        expressions.compile(text, environment=environment).run(None if environment is CRITERIA else VARIABLES)
    error = refused.value
    assert (error.stage, error.position, error.message, error.text) == (stage, position, message, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("[1, findLast(xs, false)]", [False, None], id="a list finds the answer of the end"),
        pytest.param("[1, findLast(xs, # == 1)]", [True, 1], id="or that of the hit"),
        pytest.param("[findLast(xs, # == 1), 1]", [1, 1], id="but only to its right"),
        pytest.param('"a" == findLast(o, true).v', False, id="through a member"),
        pytest.param('"a" == findLast(o, true)?.v', False, id="through an optional one"),
        pytest.param('findLast(o, true).v == "a"', True, id="not on the left"),
        pytest.param('"a" == find(o, true).v', True, id="not with find"),
        pytest.param("type(groupBy(xs, #)?.[99])", "nil", id="a chain ends in nil, not in a nil list"),
        pytest.param("let p = 1; let q = p + 1; [p, q]", [1, 2], id="each let has its own place"),
    ],
)
def test_a_value_comes_out(text: str, value: Any) -> None:
    assert expressions.compile(text).run(VARIABLES) == value
