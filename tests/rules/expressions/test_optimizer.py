"""What the optimiser spares: an expression with its value, and the least steps and memory it takes.

What upstream folds costs nothing here either, what it turns into one loop costs one loop, and a count that is
compared ends as soon as the comparison is decided. A rewrite left undone would give the same value and cost more.
"""

from __future__ import annotations

from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import Limits

VARIABLES: dict[str, Any] = {
    "xs": [3, 1, 2],
    "ys": [1, 2, 3, 4, 5, 6],
    "i": 2,
    "t": True,
    "a": "x",
    "n": None,
    "o": [{"v": 1}, {"v": 2}],
    "s": ["x", "z"],
    "m": {"a": {"xs": [1, 2]}},
}


@pytest.mark.parametrize(
    ("text", "value", "steps", "memory"),
    [
        ("sum(1..9)", 45, 0, 0),
        ("sum(5..5)", 5, 0, 0),
        ("sum(+1..3)", 6, 0, 0),
        ("[1 + 2.5]", [3.5], 0, 0),
        ("filter(filter(xs, true), # > 1)", [3, 2], 24, 3),
        ("all(m.a.xs, # > 0) and all(m.a.xs, # < 9)", True, 42, 0),
        ('all(m.a.xs, # > 0) and all(m["a"].xs, # < 9)', True, 42, 0),
        ("sum(9..1)", 0, 4, 1),
        ("sum(-3..1)", -5, 0, 0),
        ("sum(-9..-3)", -42, 0, 0),
        ("sum(1..9, #)", 45, 0, 0),
        ("sum(1..9, # * 2)", 90, 0, 0),
        ("sum(1..9, 2 * #)", 90, 0, 0),
        ("sum(1..9, # + 2)", 63, 0, 0),
        ("sum(1..9, 2 + #)", 63, 0, 0),
        ("sum(1..9, # - 2)", 27, 0, 0),
        ("sum(1..9, 2 - #)", -27, 0, 0),
        ("sum(1..9, # / 2)", 22.5, 80, 10),
        ("sum(1..9, 1)", 9, 60, 10),
        ("sum(1..9, # + i)", 63, 80, 10),
        ("reduce(1..9, # + #acc)", 45, 0, 0),
        ("reduce(1..9, #acc + #)", 45, 0, 0),
        ("reduce(1..9, # + #acc, 5)", 50, 0, 0),
        ("reduce(1..9, #acc + #, i)", 47, 90, 10),
        ("reduce(1..9, #acc * #)", 362880, 72, 10),
        ("reduce(1..9, # + #)", 18, 72, 10),
        ("reduce(1..9, #acc + 1)", 9, 72, 10),
        ("reduce(1..9, #acc + #acc)", 256, 72, 10),
        ("sum([i, i])", 4, 0, 0),
        ("sum([i, 1, i])", 5, 0, 0),
        ("sum([i])", 2, 6, 2),
        ("sum([a, a])", "xx", 0, 0),
        ('sum([a, a, "b"])', "xxb", 0, 0),
        ("sum([])", 0, 2, 1),
        ("sum(map(xs, # * 2))", 12, 24, 0),
        ("sum(map(xs, # * 2), # + 1)", 15, 68, 4),
        ("sum(map(1..9, # * 2))", 90, 80, 10),
        ("len(filter(xs, # > 1))", 2, 24, 0),
        ("count(xs, # > 0) > 0", True, 12, 0),
        ("count(xs, # > 0) >= 1", True, 12, 0),
        ("count(xs, # > 0) > 1", True, 18, 0),
        ("count(xs, # > 0) >= 2", True, 18, 0),
        ("count(xs, # > 0) < 2", False, 18, 0),
        ("count(xs, # > 0) <= 1", False, 18, 0),
        ("count(ys, # > 0) > 3", True, 30, 0),
        ("count(ys, # > 0) >= 3", True, 24, 0),
        ("count(ys, # > 0) < 3", False, 24, 0),
        ("count(ys, # > 0) <= 3", False, 30, 0),
        ("count(ys, # > 0) == 3", False, 42, 0),
        ("count(ys, # > 0) > -1", True, 42, 0),
        ("count(ys, # > 0) >= 0", True, 42, 0),
        ("count(ys, # > 0) < 1", False, 42, 0),
        ("count(ys, # > 0) <= 0", False, 42, 0),
        ("filter(filter(ys, # > 1), # < 4)", [2, 3], 70, 3),
        ("filter(map(ys, # + 1), # < 4)", [2, 3], 119, 9),
        ("map(filter(ys, # > 4), # * 2)", [10, 12], 42, 3),
        ("map(filter(ys, # > 4), #index)", [0, 1], 69, 5),
        ("filter(ys, # > 1)[0]", 2, 18, 0),
        ("filter(ys, # > 1)[-1]", 6, 12, 0),
        ("filter(ys, # > 1)[1]", 3, 42, 6),
        ("filter(ys, # > 1)?.[0]", 2, 42, 6),
        ("first(filter(ys, # > 1))", 2, 18, 0),
        ("last(filter(ys, # > 1))", 6, 12, 0),
        ("first(map(filter(ys, # > 1), # * 2))", 4, 18, 0),
        ("map(filter(ys, # > 1), # * 2)[0]", 4, 18, 0),
        ("find(ys, # > 9)", None, 42, 0),
        ("all(ys, # > 0) and all(ys, # < 9)", True, 70, 0),
        ("all(ys, # > 0) && all(ys, # < 9)", True, 70, 0),
        ("any(ys, # > 5) or any(ys, # < 2)", True, 20, 0),
        ("any(ys, # > 5) || any(ys, # < 2)", True, 20, 0),
        ("none(ys, # > 9) and none(ys, # < 0)", True, 70, 0),
        ("none(ys, # > 9) && none(ys, # < 0)", True, 70, 0),
        ("all(ys, # > 0) or all(ys, # < 9)", True, 42, 0),
        ("all(ys, # > 0) and all(xs, # < 9)", True, 66, 0),
        ("all(ys, # > 0) and any(ys, # < 9)", True, 54, 0),
        ("all(ys, # > 0) and all(ys, # < 9) and all(ys, # != 7)", True, 98, 0),
        ("all(ys, # > 0) and (all(ys, # < 9) and all(ys, # != 7))", True, 98, 0),
        ("all(o, .v > 0) and all(o, .v < 9)", True, 42, 0),
        ("all(map(xs, #), # > 0) and all(map(xs, #), # < 9)", True, 68, 4),
        ("all([1, 2], # > 0) and all([1, 2], # < 9)", True, 30, 0),
        ("all([1, 2], # > 0) and all([1, 3], # < 9)", True, 36, 0),
        ("all(xs[0:2], # > 0) and all(xs[0:2], # < 9)", True, 39, 0),
        ("all(xs[0:2], # > 0) and all(xs[0:3], # < 9)", True, 63, 0),
        ("all(xs ?? ys, # > 0) and all(xs ?? ys, # < 9)", True, 48, 0),
        ("all(map(xs, # + 1), # > 0) and all(map(xs, # - 1), # > 0)", False, 125, 7),
        ("all(m?.a?.xs, # > 0) and all(m?.a?.xs, # < 9)", True, 45, 0),
        ("all(m?.a?.xs, # > 0) and all(m?.a.xs, # < 9)", True, 66, 0),
        ("all(ys, all(xs, # > 0)) and all(ys, all(xs, # < 9))", True, 331, 0),
        ('all(filter(s, # in ["x"]), # < "y") and all(filter(s, # in ["z"]), # < "y")', False, 80, 3),
        ("i in 1..9", True, 18, 10),
        ("len(xs) in 1..9", True, 20, 0),
        ("len(xs) in 4..9", False, 10, 0),
        ("len(xs) in [1, 2, 3]", True, 10, 0),
        ("len(xs) in [1, 2.0, 3]", True, 16, 0),
        ('a in ["x", "y"]', True, 0, 0),
        ('a in ["x", 1]', True, 4, 0),
        ("i in [1, 2]", True, 4, 0),
        ("1 + 2", 3, 0, 0),
        ("-(1 + 2)", -3, 0, 0),
        ("not true", False, 0, 0),
        ("!false", True, 0, 0),
        ("not not t", True, 0, 0),
        ("+5", 5, 0, 0),
        ("-1.5", -1.5, 0, 0),
        ('"a" + "b"', "ab", 0, 0),
        ("true and t", True, 0, 0),
        ("t and true", True, 0, 0),
        ("false and t", False, 0, 0),
        ("t and false", False, 0, 0),
        ("t or true", True, 0, 0),
        ("false or t", True, 0, 0),
        ("1 == 1", True, 0, 0),
        ('"a" == "a"', True, 0, 0),
        ("true == false", False, 0, 0),
        ("7 % 3", 1, 0, 0),
        ("-7 % 3", -1, 0, 0),
        ("2 ** 3", 8.0, 0, 0),
        ("7 / 2", 3.5, 0, 0),
        ("1 + 2.5", 3.5, 0, 0),
        ("[1, 2, 3]", [1, 2, 3], 0, 0),
        ("[1, [2]]", [1, [2]], 0, 3),
    ],
)
def test_an_expression_takes_no_more_than(text: str, value: Any, steps: int, memory: int) -> None:
    assert expressions.compile(text, limits=Limits(steps=steps, memory=memory or 1)).run(VARIABLES) == value
    for less in ({"steps": steps - 1},) * (steps > 0) + ({"memory": memory - 1},) * (memory > 0):
        with pytest.raises(ExpressionError):
            expressions.compile(text, limits=Limits(**less)).run(VARIABLES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 % 0", "integer divide by zero"),
        ("sum(1..9, #index)", "unknown pointer #index"),
    ],
)
def test_what_folding_meets_is_a_compile_error(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        expressions.compile(text)
    assert (refused.value.stage, refused.value.message) == ("compile", message)


@pytest.mark.parametrize(("text", "steps"), [("count(xs, # > 0) > 1", 18), ("count(xs, # > 0) > 0", 12)])
def test_a_compared_count_stops_early_since_1_17_8(text: str, steps: int) -> None:
    assert expressions.compile(text, limits=Limits(steps=steps)).run(VARIABLES) is True
    with pytest.raises(ExpressionError, match=f"more than {steps} steps"):
        expressions.compile(text, version="1.17.7", limits=Limits(steps=steps)).run(VARIABLES)
