"""Values as Go's `%v` prints them."""

from __future__ import annotations

from typing import Any

import pytest

from kargo_lab.rules import expressions
from kargo_lab.rules.expressions.values import Function


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
        (-0.0, "-0"),
        (100000.0, "100000"),
        (999999.5, "999999.5"),
        (1000000.0, "1e+06"),
        (1200000.0, "1.2e+06"),
        (-1.25e-7, "-1.25e-07"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1e100, "1e+100"),
        (Function("f", len), "0x0"),
        ({"b": 1, "é": 2, "a": [None, True], "\udcff": 3}, "map[a:[<nil> true] b:1 é:2 \udcff:3]"),
        ({"\udcff": 2, "💡": 1}, "map[💡:1 \udcff:2]"),
    ],
)
def test_a_value_is_printed(value: Any, printed: str) -> None:
    assert expressions.text_of(value) == printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ('string(fromPairs([["b", 1], ["a", 2]]))', "map[a:2 b:1]"),
        ("string(fromPairs([[10, 1], [9, 0], [-1, 5]]))", "map[-1:5 9:0 10:1]"),
        ('string(fromPairs([["a", 1], [2, 1], [1.5, 1], [1, 1]]))', "map[1.5:1 1:1 2:1 a:1]"),
        ("string(fromPairs([[true, 1], [false, 2]]))", "map[false:2 true:1]"),
        ('string(fromPairs([["é"[1:], 1], ["💡", 2]]))', "map[\udca9:1 💡:2]"),
        ("let p = toPairs({b: 1, a: 2}); string(fromPairs([[p[1], 1], [p[0], 2]]))", "map[[a 2]:2 [b 1]:1]"),
        ('string(fromPairs([[duration("10s"), 1], [duration("9s"), 2]]))', "map[9s:2 10s:1]"),
        (
            'string(fromPairs([[date("2026-04-01").Month(), 1], [date("2026-01-01").Month(), 2]]))',
            "map[January:2 April:1]",
        ),
        (
            'string(fromPairs([[date("2026-11-27").Weekday(), 1], [date("2026-11-26").Weekday(), 2]]))',
            "map[Thursday:2 Friday:1]",
        ),
    ],
)
def test_the_keys_of_a_map_are_printed_in_order(text: str, printed: str) -> None:
    assert expressions.compile(text).run() == printed


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('{a: ["b", nil]}', {"a": ["b", None]}),
        ('date("2026-01-02T03:04:05Z")', "2026-01-02T03:04:05Z"),
        ('duration("1s")', 1_000_000_000),
    ],
)
def test_a_value_is_told_in_kinds_of_json(text: str, plain: object) -> None:
    assert expressions.plain_of(expressions.compile(text).run()) == plain
