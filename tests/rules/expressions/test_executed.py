"""Expressions that were run by expr-lang 1.17.8 itself, and give the same here to the last bit.

`expressions-more.json` holds an environment in the notation of `expressions.json`, and rows of
expression and result: `compile-error`, `run-error`, or the value with its Go type, texts in base64
and floats as bits. Most rows were made at random, so as to reach what nobody thinks of.

Of those that were refused, `expression-errors.json` has one for each kind of mistake, with the stage, the
place in characters and the words: the stage is what expr-lang was asked for, the place and the words are ours.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import durations, expressions
from kargo_lab.rules.expressions import values
from kargo_lab.rules.expressions.dates import Duration, Location, Month, Time, Weekday
from kargo_lab.rules.expressions.layouts import RFC3339_NANO, format_time
from kargo_lab.rules.expressions.moments import time_text

DATA = Path(__file__).parents[2] / "data"
EXECUTED = json.loads((DATA / "expressions-more.json").read_text())
ERRORS = json.loads((DATA / "expression-errors.json").read_text())
FUNCTIONS: dict[str, values.Function] = {
    "add": values.Function("add", lambda a, b: values.wrapped(a + b), (int, int)),
    "greet": values.Function("greet", lambda name: f"Hello, {name}", (str,)),
}
MARKS: dict[str, Callable[[Any], Any]] = {
    "$int": int,
    "$ints": lambda ends: range(ends[0], ends[1] + 1),
    "$time": lambda text: Time.of(datetime.fromisoformat(text.replace(" +", "+").replace(" ", "T"))),
    "$duration": lambda text: Duration(durations.parse(text)),
    "$strings": values.Strings,
    "$func": FUNCTIONS.__getitem__,
}


def given(value: Any) -> Any:
    """A value of the file as one of the language; plain numbers are floats."""
    if isinstance(value, list):
        return [given(item) for item in value]
    if isinstance(value, dict):
        mark = next((mark for mark in MARKS if mark in value), None)
        return MARKS[mark](value[mark]) if mark else {key: given(item) for key, item in value.items()}
    return float(value) if type(value) is int else value


def listed(value: Any) -> str:
    name = values.type_name(value)
    return f"nil{name}" if values.is_nil(value) else f"{name}[{', '.join(map(described, value))}]"


def mapped(value: Any) -> str:
    entries = value.items() if isinstance(value, dict) else value
    groups = isinstance(value, values.AnyMap) and value.groups
    name = "map[interface {}][]interface {}" if groups else values.type_name(value)
    return f"{name}{{{', '.join(sorted(f'{described(key)}: {described(item)}' for key, item in entries))}}}"


def floating(value: float) -> str:
    return "float NaN" if math.isnan(value) else f"float {struct.pack('>d', value).hex()}"


DESCRIBED: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "nil",
    bool: lambda value: "true" if value else "false",
    int: lambda value: f"int {value}",
    values.Int64: lambda value: f"int64 {int(value)}",
    values.Byte: lambda value: f"uint8 {int(value)}",
    float: floating,
    str: lambda value: f's"{base64.b64encode(values.encoded(value)).decode()}"',
    bytes: lambda value: f"bytes {value.hex()}",
    Time: lambda value: f"time {format_time(value, RFC3339_NANO)} {time_text(value)}",
    Duration: lambda value: f"dur {value}",
    Month: lambda value: f"time.Month int {value.number}",
    Weekday: lambda value: f"time.Weekday int {value.number}",
    Location: lambda value: f"loc {value}",
    **dict.fromkeys(values.LISTS - {bytes}, listed),
    **dict.fromkeys(values.MAPS, mapped),
}


def described(value: Any) -> str:
    return DESCRIBED[type(value)](value)


def outcome(text: str, variables: dict[str, Any]) -> str:
    try:
        return described(expressions.compile(text).run(variables))
    except ExpressionError as error:
        return f"{error.stage}-error"


def test_everything_that_was_executed_comes_out_the_same() -> None:
    variables = given(EXECUTED["environment"])
    rows = EXECUTED["rows"]
    misfits = [(text, result, outcome(text, variables)) for text, result in rows if outcome(text, variables) != result]
    assert (len(rows), misfits) == (len(rows), [])


VARIABLES = given(EXECUTED["environment"])


@pytest.mark.parametrize(
    ("text", "stage", "position", "message"), [pytest.param(*row, id=ascii(row[0][:60])) for row in ERRORS]
)
def test_an_error_says_what_is_wrong_and_where(text: str, stage: str, position: int, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        expressions.compile(text).run(VARIABLES)
    error = refused.value
    assert (error.stage, error.position, error.message, error.text) == (stage, position, message, text)
