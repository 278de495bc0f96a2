"""Values as text, the two ways Go has: as `fmt` prints them, and as JSON."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from decimal import Decimal

from kargo_lab.errors import RuleError
from kargo_lab.rules import jsonwrite
from kargo_lab.rules.expressions import moments
from kargo_lab.rules.expressions.dates import Duration, Location, Month, Time, Weekday
from kargo_lab.rules.expressions.frame import CALL_STEPS, Frame
from kargo_lab.rules.expressions.values import (
    LISTS,
    MAPS,
    AnyMap,
    Failure,
    Function,
    Struct,
    Value,
    encoded,
    is_nil,
    joined,
    type_name,
)


def number(value: float) -> str:
    """A float as `%v` prints it: the shortest digits that read back.

    With an exponent where the decimal exponent is below -4 or above 5 (A.9).
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text_digits = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) - 1 + int(exponent)
    minus = "-" if sign else ""
    if text_digits == "0":
        return f"{minus}0"
    if not -4 <= power <= 5:
        fraction = f".{text_digits[1:]}" if len(text_digits) > 1 else ""
        return f"{minus}{text_digits[0]}{fraction}e{power:+03d}"
    if power < 0:
        return f"{minus}0.{'0' * (-power - 1)}{text_digits}"
    whole, fraction = text_digits[: power + 1].ljust(power + 1, "0"), text_digits[power + 1 :]
    return f"{minus}{whole}.{fraction}" if fraction else minus + whole


WRITTEN_STEPS = 16
"""What each element of a value costs that is written as JSON."""

PIECE_STEPS = 5
"""What each element of a value costs that is printed."""


def text(value: Value, frame: Frame) -> str:
    """What Go's `%v` prints."""
    frame.work(PIECE_STEPS)
    made = joined(_pieces(value, frame))
    frame.made(len(made))
    return made


def _pieces(value: Value, frame: Frame) -> Iterable[str]:
    kind = type(value)
    if kind is str:
        return [value]
    if value is None:
        return ["<nil>"]
    if kind is bool:
        return ["true" if value else "false"]
    if kind is float:
        frame.work(CALL_STEPS // 2)
        return [number(value)]
    if kind is Time:
        frame.work(CALL_STEPS)
        return [moments.time_text(value)]
    if kind in LISTS:
        frame.walk(len(value))
        return ["[", *_spaced([text(item, frame) for item in value]), "]"]
    if kind is AnyMap:
        entries = sorted(value, key=lambda entry: (type_name(entry[0]), _sortable(entry[0])))
        return _map(entries, frame)
    if kind in MAPS:
        return _map(sorted(value.items(), key=lambda entry: encoded(entry[0])), frame)
    if kind is Struct:
        return ["{", *_spaced([text(item, frame) for item in value.fields.values()]), "}"]
    if kind is Function:
        return ["0x0"]  # Go prints an address, which nobody can compare
    return [str(value)]


def _spaced(parts: list[str]) -> list[str]:
    return [" ".join(parts)]


def _map(entries: list[tuple[Value, Value]], frame: Frame) -> list[str]:
    frame.walk(len(entries))
    return ["map[", *_spaced([f"{text(key, frame)}:{text(value, frame)}" for key, value in entries]), "]"]


def _sortable(key: Value) -> tuple[float, bytes]:
    """Keys of one type in order: numbers by size, those of a named type too, the rest by their text."""
    if isinstance(key, int | float):
        return float(key), b""
    if isinstance(key, Duration):
        return float(key.nanoseconds), b""
    if isinstance(key, Month | Weekday):
        return float(key.number), b""
    return 0.0, encoded(key) if type(key) is str else str(key).encode()


def json_text(value: Value, frame: Frame, *, indent: str) -> str:
    """JSON as Go's Marshal writes it, or MarshalIndent with `indent`."""
    frame.work(CALL_STEPS)
    try:
        return jsonwrite.dumps(plain(value, frame), indent=indent)
    except RuleError as error:
        raise Failure(error.message) from None


def plain(value: Value, frame: Frame) -> object:
    """A value as JSON's own kinds."""
    kind = type(value)
    if kind is str:
        frame.made(len(value))
        return value
    if is_nil(value):
        return None
    if kind is Time:
        frame.work(CALL_STEPS)
        return moments.json_text(value)
    if kind is Duration:
        return value.nanoseconds
    if kind in {Month, Weekday}:
        return value.number
    if kind is bytes:
        return base64.b64encode(value).decode()
    if kind in LISTS:
        frame.work(WRITTEN_STEPS * len(value))
        return [plain(item, frame) for item in value]
    if kind is AnyMap or kind is Function:
        raise Failure(f"json: unsupported type: {type_name(value)}")
    if kind in MAPS:
        frame.work(WRITTEN_STEPS * len(value))
        return {key: plain(item, frame) for key, item in value.items()}
    if kind is Struct:
        return {name[0].lower() + name[1:]: plain(item, frame) for name, item in value.fields.items()}
    if kind is Location:
        return {}
    return value
