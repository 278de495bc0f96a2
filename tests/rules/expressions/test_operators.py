"""Operators at their edges: IEEE division, Go's math.Pow, comparison, deep equality and slices."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import Time, operators
from kargo_lab.rules.expressions.dates import LOCAL, UTC, Duration
from kargo_lab.rules.expressions.values import Byte, Int64, Pairs, Strings

INF, NAN = math.inf, math.nan


def same(one: float, other: float) -> bool:
    """Equal with the sign of zero, or both no number."""
    return (math.isnan(one) and math.isnan(other)) or (
        one == other and math.copysign(1, one) == math.copysign(1, other)
    )


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        (1.0, 0.0, INF),
        (-1.0, 0.0, -INF),
        (1.0, -0.0, -INF),
        (-1.0, -0.0, INF),
        (0.0, 0.0, NAN),
        (NAN, 0.0, NAN),
        (INF, 0.0, INF),
        (6.0, 4.0, 1.5),
    ],
)
def test_division_is_that_of_ieee(left: float, right: float, result: float) -> None:
    assert same(operators.quotient(left, right), result)


# The special cases of the documentation of Go's math.Pow, in its order, then plain powers.
@pytest.mark.parametrize(
    ("base", "exponent", "result"),
    [
        (NAN, 0.0, 1.0),
        (1.0, NAN, 1.0),
        (3.5, 1.0, 3.5),
        (NAN, 2.0, NAN),
        (2.0, NAN, NAN),
        (0.0, -3.0, INF),
        (-0.0, -3.0, -INF),
        (-0.0, -INF, INF),
        (-0.0, INF, 0.0),
        (-0.0, -2.0, INF),
        (-0.0, -0.5, INF),
        (0.0, 3.0, 0.0),
        (-0.0, 3.0, -0.0),
        (-0.0, 2.0, 0.0),
        (0.0, 0.5, 0.0),
        (-1.0, INF, 1.0),
        (-1.0, -INF, 1.0),
        (1.5, INF, INF),
        (-1.5, INF, INF),
        (1.5, -INF, 0.0),
        (0.5, INF, 0.0),
        (0.5, -INF, INF),
        (INF, 0.5, INF),
        (INF, -0.5, 0.0),
        (-INF, 3.0, -INF),
        (-INF, 2.0, INF),
        (-INF, -3.0, -0.0),
        (-INF, -2.0, 0.0),
        (-2.0, 0.5, NAN),
        (-2.0, 1.5, NAN),
        (-0.5, 2.5, NAN),
        (0.25, 0.5, 0.5),
        (0.25, -0.5, 2.0),
        (4.0, 0.5, 2.0),
        (-2.0, 3.0, -8.0),
        (2.0, -3.0, 0.125),
        (2.0, 1023.0, 2.0**1023),
        (2.0, 1024.0, INF),
        (-2.0, 1025.0, -INF),
        (2.0, -1074.0, 5e-324),
        (2.0, -1075.0, 0.0),
        (1.5, 1e6, INF),
        (0.75, 1e6, 0.0),
        (2.0, 9.3e18, INF),
        (0.5, 9.3e18, 0.0),
        (-2.0, 9.3e18, INF),
        (-1.0, 9.3e18, 1.0),
        (-1.0, 9007199254740993.0, 1.0),
        (-0.0, 9007199254740991.0, -0.0),
        (-0.0, 9007199254740992.0, 0.0),
    ],
)
def test_powers_are_those_of_go(base: float, exponent: float, result: float) -> None:
    assert same(operators.raised(base, exponent), result)


def test_powers_with_fractions_are_near_those_of_the_c_library() -> None:
    for base in (0.3, 2.0, 7.5, 123.456):
        for exponent in (0.25, 0.75, 1.5, 2.6, -0.25, -3.3, 10.5):
            assert operators.raised(base, exponent) == pytest.approx(base**exponent, rel=1e-14)


@pytest.mark.parametrize(("left", "right", "rest"), [(7, 3, 1), (-7, 3, -1), (7, -3, 1), (-7, -3, -1), (0, 3, 0)])
def test_the_rest_has_the_sign_of_the_left_side(left: int, right: int, rest: int) -> None:
    assert operators.remainder(left, right) == rest


VARIABLES: dict[str, Any] = {
    "a": "x",
    "f": 1.5,
    "i": 3,
    "n": None,
    "big": 2**53 + 1,
    "bigf": float(2**53),
    "e1": "\U00010000",
    "e2": "\uffff",
    "utc": Time(0, UTC),
    "local": Time(0, LOCAL),
    "later": Time(1, UTC),
    "d": Duration(5),
    "byte": Byte(3),
    "long": Int64(3),
    "ss": Strings(["a", "b"]),
    "pairs": Pairs([("a", 1)]),
    "xs": [1, 2, 3],
    "m": {"k": 1, "x": 2},
}


def run(text: str) -> Any:
    return expressions.compile(text).run(VARIABLES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("big > bigf", False),
        ("big > 9007199254740992", True),
        ("big == bigf", True),
        ("big == 9007199254740992", False),
        ("byte == long", True),
        ("byte == i", True),
        ("e1 > e2", True),
        ("a > e1", False),
        ("utc == local", True),
        ("{a: utc} == {a: local}", False),
        ("{a: utc} == {a: later}", False),
        ("{a: utc} == {a: utc}", True),
        ("{a: 1} == {a: 1.0}", False),
        ("{a: [1]} == {a: [1, 2]}", False),
        ("{a: [1, 2]} == {a: [1, 3]}", False),
        ("fromPairs([[1, 2]]) == fromPairs([[1, 2], [2, 3]])", False),
        ("fromPairs([[1, [2]]]) == fromPairs([[1, [2]]])", True),
        ("fromPairs([[1, 2]]) == fromPairs([[1, 3]])", False),
        ('ss == ["a", "b"]', True),
        ('["a", "b"] == ss', True),
        ("ss == pairs", False),
        ("xs == 1..3", True),
        ("1..3 == xs", True),
        ("2 * d == d * 2", True),
        ("d == d", True),
        ('"é"[:1] + "é"[1:] == "é"', True),
        ("len(xs[1:])", 2),
        ("xs[-2:]", [2, 3]),
        ("xs[-9:2]", [1, 2]),
        ("xs[:0]", []),
        ("xs[1:0]", []),
        ("xs[:9]", [1, 2, 3]),
        ("xs[0:-1]", [1, 2]),
        ("type(toPairs({a: 1})[0][0:1])", "array"),
        ("toPairs({a: 1})[0][0:1]", ["a"]),
        ("ss[0:1]", ["a"]),
        ("m[a]", 2),
        ("m[n]", None),
        ("3..1", range(3, 3)),
    ],
)
def test_an_operator_gives(text: str, value: Any) -> None:
    assert run(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f ** a", "invalid operation: float(string)"),
        ("a ** f", "invalid operation: float(string)"),
        ("f ** n", "invalid operation: float(<nil>)"),
        ("i <= a", "invalid operation: int <= string"),
        ("i >= a", "invalid operation: int >= string"),
        ("f[i]", "cannot fetch int from float64"),
        ("f.x", "cannot fetch x from float64"),
        ("f[1:]", "invalid argument for len (type float64)"),
        ("f[1:2]", "cannot slice float64"),
        ("a matches f", "interface conversion: interface {} is float64, not string"),
        ("f contains a", "interface conversion: interface {} is float64, not string"),
        ("filter(xs, f)", "interface conversion: interface {} is float64, not bool"),
        ("d * a", "invalid operation: time.Duration * string"),
        ("f * a", "invalid operation: float64 * string"),
    ],
)
def test_an_operator_refuses(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        run(text)
    assert (refused.value.stage, refused.value.message) == ("run", message)


def test_an_empty_range_allocates_nothing() -> None:
    assert expressions.compile("3..1", limits=expressions.Limits(memory=1)).run() == range(3, 3)
