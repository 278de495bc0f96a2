"""Corners of the built-in functions, one at a time: expr-lang's builtin package and the Go functions that it calls."""

from __future__ import annotations

from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import Time
from kargo_lab.rules.expressions.dates import UTC, Weekday
from kargo_lab.rules.expressions.values import Function, Struct

VARIABLES: dict[str, Any] = {
    "t": True, "a": "x", "f": 1.5, "n": None, "xs": [3, 1], "m": {"k": 1}, "i": 3, "tm": Time(0, UTC), "o": object(),
    "w": Weekday(1), "s": Struct("v1.T", {"F": 7}, {"M": Function("M", int)}),
}  # fmt: skip


def run(text: str) -> Any:
    return expressions.compile(text).run(VARIABLES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('lower("\u0391\u03a3")', "\u03b1\u03c3"),
        ('lower("İ")', "i"),
        ('upper("ß")', "ß"),
        ('indexOf("xéy", "y")', 3),
        ('lastIndexOf("yéy", "y")', 3),
        ('split("ab", "", 5)', ["a", "b"]),
        ('split("abc", "", 2)', ["a", "bc"]),
        ('split("a,b,c", ",", 0) == nil', True),
        ('split("a,b,c", ",", -5)', ["a", "b", "c"]),
        ('split("a,b,c", ",", 1)', ["a,b,c"]),
        ('splitAfter("a,b,c", ",", 2)', ["a,", "b,c"]),
        ('replace("aaa", "a", "b", 0)', "aaa"),
        ('replace("aaa", "a", "b", -7)', "bbb"),
        ('repeat("a", 0)', ""),
        ('len(repeat("", 1000000))', 0),
        ('fromBase64("aG\\r\\nk=")', "hi"),
        ('float("+Inf") == float("INFINITY")', True),
        ('string(float("NaN"))', "NaN"),
        ('float("-0x_1p0")', -1.0),
        ('float("0x1_f.8p0")', 31.5),
        ('float("0xA_Bp0")', 171.0),
        ('float("1_000.5e1_0")', 10005000000000.0),
        ('int("-9223372036854775808")', -(2**63)),
        ('int("9223372036854775807")', 2**63 - 1),
        ('int("' + "0" * 98 + '7")', 7),
        ("round(-0.5)", -1.0),
        ("string(ceil(-0.5))", "-0"),
        ("floor(float('-Inf')) == float('-Inf')", True),
        ("max([1, [5, 2]], 3)", 5),
        ("min(3, [2, [1.5]])", 1.5),
        ("max(n ?? xs)", 3),
        ("mean([1, [2, 3]], 6)", 3.0),
        ("median([4, [1, 2]], 3)", 2.5),
        ("median([])", 0.0),
        ("bitshl(1, 0)", 1),
        ("bitshl(1, 64)", 0),
        ("bitshr(-1, 100)", -1),
        ("bitushr(-1, 64)", 0),
        ("bitushr(-1, 63)", 1),
        ("bitnand(6, 3)", 4),
        ("first(xs)", 3),
        ("last(xs)", 1),
        ("first(n)", None),
        ('get(fromPairs([["a", 1]]), "z")', None),
        ("type(get(groupBy(xs, #), 99))", "nil"),
        ('type(get(tm, "Year"))', "func"),
        ('get(tm, "Nope")', None),
        ('get(tm.Location(), "Nope")', None),
        ("get(i, 1)", None),
        ("get(w, [1])", None),
        ('get(s, "F")', 7),
        ('type(get(s, "M"))', "func"),
        ("type(o)", "unknown"),
        ('date(timezone("Asia/Kolkata"), "2026-03-01 10:00:00").UTC().Hour()', 4),
        ("len(flatten(reduce(1..10001, [#acc], 1)))", 1),
    ],
)
def test_a_built_in_gives(text: str, value: Any) -> None:
    assert run(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("upper(a ?? 1) + upper(i)", "interface conversion: interface {} is int, not string"),
        ('repeat("", 1000001)', "memory budget exceeded"),
        ("int(a)", "invalid operation: int(x)"),
        ('int("9223372036854775808")', "invalid operation: int(9223372036854775808)"),
        ('int("' + "1" * 5000 + '")', f"invalid operation: int({'1' * 5000})"),
        ('float("0x__1p0")', "invalid operation: float(0x__1p0)"),
        ("int(t)", "invalid operation: int(bool)"),
        ("float(a)", "invalid operation: float(x)"),
        ("float(t)", "invalid operation: float(bool)"),
        ('float("1_")', "invalid operation: float(1_)"),
        ('float("0x_1")', "invalid operation: float(0x_1)"),
        ('float("+-1_0")', "invalid operation: float(+-1_0)"),
        ('float("\\t1_0")', "invalid operation: float(\t1_0)"),
        ('float("1_0+")', "invalid operation: float(1_0+)"),
        ('float("0x_Xp0")', "invalid operation: float(0x_Xp0)"),
        ('float("1._5")', "invalid operation: float(1._5)"),
        ('float("0x1p99999")', "invalid operation: float(0x1p99999)"),
        ("len(f)", "invalid argument for len (type float64)"),
        ("n(trim(a, a, a))", "invalid number of arguments to call trim"),
        ("keys(f)", "cannot get keys from float64"),
        ("values(f)", "cannot get values from float64"),
        ("toPairs(f)", "cannot transform to pairs float64"),
        ("sort(xs, i)", "sort order argument must be a string (got int)"),
        ("get(tm, i)", "interface conversion: interface {} is int, not string"),
        ("flatten(reduce(1..10002, [#acc], 1))", "recursion depth exceeded"),
        ("abs(a)", "invalid argument for abs (type string)"),
        ("ceil(a)", "invalid argument for ceil (type string)"),
        ("floor(t)", "invalid argument for floor (type bool)"),
        ("round(a)", "invalid argument for round (type string)"),
        ("max(1, a)", "invalid argument for max (type string)"),
        ("min([1, [t]])", "invalid argument for min (type bool)"),
        ("mean([1, [a]])", "invalid argument for mean (type string)"),
        ("median([1, [t]])", "invalid argument for median (type bool)"),
        ("bitand(1, a)", "cannot use string as argument (type int) to call bitand"),
        ("bitshr(1, -2)", "invalid operation: negative shift count -2 (type int)"),
    ],
)
def test_a_built_in_refuses(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        run(text)
    assert (refused.value.stage, refused.value.message) == ("run", message)
