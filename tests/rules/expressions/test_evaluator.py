"""Running an expression: what fails, where, and what `findLast` leaves behind (see `leftovers`).

The places are those that expr-lang 1.17.8 gives, but for a pattern that is none: it is pointed at, not its operator.
"""

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
        ("i ? 1 : 2", PLAIN, "run", 8, "interface conversion: interface {} is int, not bool"),
        ("(t ? i ? 1 : 2 : 3) + 1", PLAIN, "run", 15, "interface conversion: interface {} is int, not bool"),
        ("t ? i ? 1 : 2 : 3", PLAIN, "run", 14, "interface conversion: interface {} is int, not bool"),
        ("[1, if i {1} else {2}]", PLAIN, "run", 0, "interface conversion: interface {} is int, not bool"),
        ("1 + sum([t, 1, a])", PLAIN, "run", 0, "invalid operation: int + string"),
        ("1 + sum([1, 1, t, 1])", PLAIN, "run", 0, "invalid operation: bool + int"),
        ("1 + sum([t, i])", PLAIN, "run", 4, "invalid operation: bool + int"),
        ("1 + sum([t, i, i])", PLAIN, "run", 4, "invalid operation: bool + int"),
        ("t and findIndex(xs, # > 99) in 1..3", PLAIN, "run", 0, "invalid operation: <nil> >= int"),
        ('find(["a"], false) == "b"', PLAIN, "run", 19, "interface conversion: interface {} is <nil>, not string"),
        ('reduce(["a"], 1) == 2', PLAIN, "run", 17, "interface conversion: interface {} is string, not int"),
        ("t and (all(xs, #) && all(xs, #))", PLAIN, "run", 0, "interface conversion: interface {} is int, not bool"),
        (
            *("t and (all(o, all(i, #)) && all(o, all(i, #)))", PLAIN, "run", 0),
            "reflect: call of reflect.Value.Len on int Value",
        ),
        ("[map(filter(filter(xs, #), #), #)]", PLAIN, "run", 0, "interface conversion: interface {} is int, not bool"),
        (" filter(filter(xs, #), true)", PLAIN, "run", 1, "interface conversion: interface {} is int, not bool"),
        ('a matches "(" and 1 + "x"', PLAIN, "compile", 10, "missing )"),
        ('false and a matches "("', PLAIN, "compile", 20, "missing )"),
        ('"a"[nil:1]', PLAIN, "compile", 4, "non-integer slice index nil"),
        ('$env[1 + "a"]', PLAIN, "run", 7, "invalid operation: int + string"),
        (
            *('(fromJSON("1") ?? x) + nil', PLAIN, "compile", 21),
            "invalid operation: + (mismatched types unknown and nil)",
        ),
        (
            *("filter(xs, true)[0] + nil", PLAIN, "compile", 20),
            "invalid operation: + (mismatched types interface {} and nil)",
        ),
        (' i in ["a"]', PLAIN, "run", 3, "value of type int cannot be a key of type string"),
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
        pytest.param("i and not false", 3, id="what decides nothing goes, and nobody looks for a boolean"),
        pytest.param("i or !true", 3, id="the same with or and a mark"),
        pytest.param('false and a matches ("(" + "x")', False, id="what is decided is not built"),
        pytest.param("-(-9223372036854775807 - 1)", -(2**63), id="folding wraps around as running does"),
        pytest.param("-1e300", -1e300, id="but floats are floats"),
        pytest.param('split("a,b", ",", -9223372036854775807 - 1)', ["a", "b"], id="the smallest number as a limit"),
        pytest.param("1.0001 ** 30000", 20.082524519391114, id="a power in many steps"),
        pytest.param("0.9999 ** 30000", 0.049779600369890195, id="of a base below one"),
        pytest.param("1.0000001 ** 5000000.0", 1.6487212299174088, id="and in more"),
        pytest.param("(-1 / 0) ** 0.5", float("inf"), id="the root of minus infinity"),
        pytest.param("(-1 / 0) ** 2.5", float("inf"), id="and its powers"),
        pytest.param("1 / 0 / 0", float("inf"), id="infinity divided by zero"),
        pytest.param('int("' + "0" * 5000 + '7")', 7, id="zeros in front are read over"),
        pytest.param('int("-' + "0" * 100 + '7")', -7, id="behind a sign too"),
        pytest.param('int("000")', 0, id="and may be all"),
        pytest.param("0" * 5000 + "7", 7, id="and in a literal"),
        pytest.param("000", 0, id="where they may be all as well"),
    ],
)
def test_a_value_comes_out(text: str, value: Any) -> None:
    assert expressions.compile(text).run(VARIABLES) == value
