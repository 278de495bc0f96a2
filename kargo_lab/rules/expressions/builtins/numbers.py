"""The built-ins on numbers, and the two that read numbers from texts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from kargo_lab.rules.expressions import operators
from kargo_lab.rules.expressions.dates import Duration, Month, Weekday
from kargo_lab.rules.expressions.frame import Frame
from kargo_lab.rules.expressions.loops import elements
from kargo_lab.rules.expressions.values import (
    INTEGERS,
    LISTS,
    MAX_INT,
    MIN_INT,
    NUMBERS,
    Byte,
    Failure,
    Value,
    to_int,
    type_name,
    wrapped,
)

_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})")
_SPECIAL = re.compile(r"([+-]?)inf(?:inity)?|nan", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")


def parse_float(text: str) -> float:
    """Go's ParseFloat: decimal, hexadecimal with an exponent, infinities, `_` between digits.

    ValueError for what it refuses, and for finite spellings that do not fit.
    """
    if special := _SPECIAL.fullmatch(text):
        return float(f"{special[1] or ''}{'inf' if text[0].lower() != 'n' else 'nan'}")
    plain = text
    if "_" in text:
        if not _separates(text):
            raise ValueError(text)
        plain = text.replace("_", "")
    if _DECIMAL.fullmatch(plain):
        value = float(plain)
    elif _HEXADECIMAL.fullmatch(plain):
        value = _hexadecimal(plain)
    else:
        raise ValueError(text)
    if math.isinf(value):
        raise ValueError(text)
    return value


def _hexadecimal(text: str) -> float:
    try:
        return float.fromhex(text)
    except OverflowError:
        raise ValueError(text) from None


def _separates(text: str) -> bool:
    """True if every underscore stands between digits, or right behind `0x`."""
    rest = text.lstrip("+-").lower()
    hexadecimal = rest.startswith("0x")
    digits = "0123456789abcdef" if hexadecimal else "0123456789"
    before = "0" if hexadecimal else "^"
    for character in rest[2:] if hexadecimal else rest:
        if character in digits:
            before = "0"
        elif character == "_":
            if before != "0":
                return False
            before = "_"
        elif before == "_":
            return False
        else:
            before = "!"
    return before != "_"


def _int(_: Frame, value: Value) -> Value:
    if type(value) is str:
        if (found := _INTEGER.fullmatch(value)) and MIN_INT <= (number := int(found[1] + found[2])) <= MAX_INT:
            return number
        raise Failure(f"invalid operation: int({value})")
    if type(value) is Duration:
        return value.nanoseconds
    if type(value) in {Month, Weekday}:
        return value.number
    return to_int(value)


def _float(_: Frame, value: Value) -> float:
    if type(value) in NUMBERS:
        return float(value)
    if type(value) is str:
        try:
            return parse_float(value)
        except ValueError:
            raise Failure(f"invalid operation: float({value})") from None
    raise Failure(f"invalid operation: float({type_name(value)})")


def _abs(_: Frame, value: Value) -> Value:
    kind = type(value)
    if kind is float:
        return abs(value)
    if kind is Byte:
        return value
    if kind in INTEGERS:
        return kind(wrapped(abs(value)))
    raise Failure(f"invalid argument for abs (type {type_name(value)})")


def _rounding(name: str, decide: Callable[[float], float]) -> Callable[[Frame, Value], float]:
    def apply(_: Frame, value: Value) -> float:
        if type(value) not in NUMBERS:
            raise Failure(f"invalid argument for {name} (type {type_name(value)})")
        number = float(value)
        return math.copysign(decide(number), number) if math.isfinite(number) else number

    return apply


def _half_away(number: float) -> float:
    whole = math.trunc(number)
    return whole + math.copysign(1, number) if abs(number - whole) >= 0.5 else whole


_NAMED_NUMBERS = frozenset({Duration, Month, Weekday})


def _extreme(name: str, better: operators.Operation) -> Callable[..., Value]:
    """`max` and `min`; lists in lists are opened. A single argument of another kind is its own answer."""

    def best(frame: Frame, values: Sequence[Value], kinds: frozenset[type]) -> Value:
        frame.walk(len(values))
        found: Value = None
        for value in values:
            if type(value) in LISTS:
                value = best(frame, elements(value), NUMBERS)
            elif type(value) not in kinds:
                raise Failure(f"invalid argument for {name} (type {type_name(value)})")
            if value is not None and (found is None or better(found, value, frame)):
                found = value
        return found

    def pick(frame: Frame, *arguments: Value) -> Value:
        if len(arguments) == 1 and type(arguments[0]) not in LISTS:
            return arguments[0]
        return best(frame, arguments, NUMBERS | _NAMED_NUMBERS)

    return pick


def _numbers(name: str, frame: Frame, values: Sequence[Value]) -> list[float]:
    """All numbers of the arguments as floats; lists are opened."""
    found: list[float] = []
    frame.walk(len(values))
    for value in values:
        kind = type(value)
        if kind in LISTS:
            found += _numbers(name, frame, value)
        elif kind in NUMBERS:
            found.append(float(value))
        elif kind is Duration:
            found.append(float(value.nanoseconds))
        elif kind in {Month, Weekday}:
            found.append(float(value.number))
        else:
            raise Failure(f"invalid argument for {name} (type {type_name(value)})")
    return found


def _mean(frame: Frame, *arguments: Value) -> float:
    total, count = _total(frame, arguments)
    return operators.quotient(total, float(count)) if count else 0.0


def _total(frame: Frame, values: Sequence[Value]) -> tuple[float, int]:
    """The sum and the number of the numbers. Lists are summed for themselves, as upstream rounds."""
    total, count = 0.0, 0
    for value in values:
        if type(value) in LISTS:
            inner, more = _total(frame, value)
        else:
            inner, more = _numbers("mean", frame, [value])[0], 1
        total, count = total + inner, count + more
    return total, count


def _median(frame: Frame, *arguments: Value) -> float:
    # Go sorts numbers that are none before all others.
    values = sorted(_numbers("median", frame, arguments), key=lambda value: (not math.isnan(value), value))
    middle = len(values) // 2
    if not values:
        return 0.0
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def _bits(name: str, decide: Callable[..., int]) -> Callable[..., int]:
    def apply(_: Frame, *arguments: Value) -> int:
        for value in arguments:
            if type(value) not in INTEGERS:
                raise Failure(f"cannot use {type_name(value)} as argument (type int) to call {name}")
        return wrapped(decide(*map(int, arguments)))

    return apply


def _shift(decide: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def apply(value: int, count: int) -> int:
        if count < 0:
            raise Failure(f"invalid operation: negative shift count {count} (type int)")
        return decide(value, min(count, 64))

    return apply


_ALL_BITS = 2**64 - 1
_BITS: Mapping[str, Callable[..., int]] = {
    "bitand": lambda x, y: x & y,
    "bitor": lambda x, y: x | y,
    "bitxor": lambda x, y: x ^ y,
    "bitnand": lambda x, y: x & ~y,
    "bitnot": lambda x: ~x,
    "bitshl": _shift(lambda x, y: (x << y) & _ALL_BITS),
    "bitshr": _shift(lambda x, y: x >> y),
    "bitushr": _shift(lambda x, y: (x & _ALL_BITS) >> y),
}

FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    **{name: _bits(name, decide) for name, decide in _BITS.items()},
    "int": _int,
    "float": _float,
    "abs": _abs,
    "ceil": _rounding("ceil", math.ceil),
    "floor": _rounding("floor", math.floor),
    "round": _rounding("round", _half_away),
    "max": _extreme("max", operators.less),
    "min": _extreme("min", operators.more),
    "mean": _mean,
    "median": _median,
}
