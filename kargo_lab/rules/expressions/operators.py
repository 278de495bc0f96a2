"""The operators at run time (A.6): what Go's reflection and its operators make of two values."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from kargo_lab.errors import PatternError
from kargo_lab.rules import patterns
from kargo_lab.rules.expressions import moments
from kargo_lab.rules.expressions.dates import Duration, Location, Time
from kargo_lab.rules.expressions.frame import CALL_STEPS, Frame
from kargo_lab.rules.expressions.values import (
    INTEGERS,
    LISTS,
    MAPS,
    NUMBERS,
    AnyMap,
    Byte,
    Failure,
    Function,
    Pairs,
    Strings,
    Struct,
    Value,
    decoded,
    encoded,
    is_nil,
    rejoined,
    to_int,
    type_name,
    wrapped,
)

POWER_STEPS = 10
"""What a power costs beyond a step, and so a search for a pattern."""

Operation = Callable[[Value, Value, Frame], Value]


@functools.lru_cache(maxsize=512)
def pattern(text: str) -> patterns.Regex:
    """A compiled regular expression; PatternError if RE2 refuses it."""
    return patterns.regex(text)


def _mismatch(operator: str, left: Value, right: Value) -> Failure:
    return Failure(f"invalid operation: {type_name(left)} {operator} {type_name(right)}")


def account(value: Value, frame: Frame) -> None:
    """Account for a copy of a part of a text or list."""
    if type(value) is str:
        frame.read(value)
    elif type(value) in LISTS:
        frame.work(len(value) // 8)


def add(left: Value, right: Value, frame: Frame) -> Value:
    """`+`: numbers, texts, times and durations."""
    kinds = type(left), type(right)
    if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
        if float in kinds:
            return float(left) + float(right)
        return wrapped(int(left) + int(right))
    if kinds == (str, str):
        frame.made(len(left) + len(right))
        if not (left.isascii() and right.isascii()):
            frame.read(left, right)
        return rejoined(left + right)
    if kinds == (Time, Duration):
        return left.plus(right.nanoseconds)
    if kinds == (Duration, Time):
        return right.plus(left.nanoseconds)
    if kinds == (Duration, Duration):
        return Duration(wrapped(left.nanoseconds + right.nanoseconds))
    raise _mismatch("+", left, right)


def subtract(left: Value, right: Value, frame: Frame) -> Value:  # noqa: ARG001  (operators have one shape)
    """`-`: numbers, times and durations."""
    kinds = type(left), type(right)
    if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
        if float in kinds:
            return float(left) - float(right)
        return wrapped(int(left) - int(right))
    if kinds == (Time, Time):
        return left.minus(right)
    if kinds == (Time, Duration):
        return left.plus(-right.nanoseconds)
    if kinds == (Duration, Duration):
        return Duration(wrapped(left.nanoseconds - right.nanoseconds))
    raise _mismatch("-", left, right)


def multiply(left: Value, right: Value, frame: Frame) -> Value:  # noqa: ARG001  (operators have one shape)
    """`*`: numbers, and durations with numbers."""
    kinds = type(left), type(right)
    if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
        if float in kinds:
            return float(left) * float(right)
        return wrapped(int(left) * int(right))
    if Duration in kinds and all(kind is Duration or kind in NUMBERS for kind in kinds):
        one, two = (value.nanoseconds if type(value) is Duration else value for value in (left, right))
        if float in kinds:
            return float(one) * float(two)
        return Duration(wrapped(int(one) * int(two)))
    raise _mismatch("*", left, right)


def divide(left: Value, right: Value, frame: Frame) -> Value:  # noqa: ARG001  (operators have one shape)
    """`/`, always a float."""
    if type(left) in NUMBERS and type(right) in NUMBERS:
        return quotient(float(left), float(right))
    raise _mismatch("/", left, right)


def quotient(left: float, right: float) -> float:
    """IEEE division: zero below gives an infinity or no number."""
    return left / right if right != 0 else math.copysign(math.inf, right) * left


def modulo(left: Value, right: Value, frame: Frame) -> Value:  # noqa: ARG001  (operators have one shape)
    """`%`, integers only."""
    if type(left) in INTEGERS and type(right) in INTEGERS:
        return remainder(int(left), int(right))
    raise _mismatch("%", left, right)


def remainder(left: int, right: int) -> int:
    """The rest with the sign of the left side, as in Go."""
    if right == 0:
        raise Failure("runtime error: integer divide by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def power(left: Value, right: Value, frame: Frame) -> Value:
    """`**` and `^`, always a float."""
    frame.work(POWER_STEPS)
    if type(left) in NUMBERS and type(right) in NUMBERS:
        return raised(float(left), float(right))
    raise Failure(f"invalid operation: float({type_name(left if type(left) not in NUMBERS else right)})")


def raised(base: float, exponent: float) -> float:
    """Go's math.Pow: it never fails, and it multiplies where the C library computes logarithms."""
    if exponent == 0 or base == 1:
        return 1.0
    if math.isnan(base) or math.isnan(exponent):
        return math.nan
    if base == 0 or math.isinf(base) or abs(exponent) >= 2**63:
        return _raised_limit(base, exponent)
    if abs(exponent) == 0.5:
        if base < 0:
            return math.nan
        return math.sqrt(base) if exponent > 0 else 1 / math.sqrt(base)
    fraction, whole = math.modf(abs(exponent))
    if fraction and base < 0:
        return math.nan
    factor = 1.0
    if fraction:
        if fraction > 0.5:
            fraction, whole = fraction - 1, whole + 1
        factor = math.exp(fraction * math.log(base))
    return _squared(base, int(whole), factor, inverse=exponent < 0)


def _raised_limit(base: float, exponent: float) -> float:
    """Powers of and to zero, infinities, and exponents beyond 64 bits."""
    size = abs(base)
    if size == 1:
        return 1.0
    limit = 0.0 if (size < 1) == (exponent > 0) else math.inf
    odd = math.isfinite(exponent) and math.fmod(exponent, 2) in {1.0, -1.0}
    return math.copysign(limit, base) if odd else limit


def _squared(base: float, times: int, factor: float, *, inverse: bool) -> float:
    """`factor` times `base` to a whole power, the binary exponent kept apart so that it cannot overflow."""
    digits, power = math.frexp(base)
    scale = 0
    while times:
        if not -4096 <= power <= 4096:
            scale += power
            break
        if times & 1:
            factor, scale = factor * digits, scale + power
        digits, power = digits * digits, power * 2
        if digits < 0.5:
            digits, power = digits * 2, power - 1
        times >>= 1
    if inverse:
        factor, scale = 1 / factor, -scale
    try:
        return math.ldexp(factor, scale)
    except OverflowError:
        return math.copysign(math.inf, factor)


def _ordering(symbol: str, decide: Callable[[Any, Any], bool]) -> Operation:
    def compare(left: Value, right: Value, frame: Frame) -> bool:
        kinds = type(left), type(right)
        if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
            # Go compares an int with a float as two floats.
            return decide(float(left), float(right)) if float in kinds else decide(left, right)
        if kinds == (str, str):
            frame.read(left, right)
            return decide(encoded(left), encoded(right))
        if kinds == (Time, Time) or kinds == (Duration, Duration):
            return decide(left.nanoseconds, right.nanoseconds)
        raise _mismatch(symbol, left, right)

    return compare


less = _ordering("<", lambda a, b: a < b)
more = _ordering(">", lambda a, b: a > b)
_COMPARED: frozenset[type] = frozenset({bool, str, Time, Duration})


def equal(left: Value, right: Value, frame: Frame) -> bool:
    """`==`: numbers by value, lists element by element, the rest as reflect.DeepEqual does."""
    kinds = type(left), type(right)
    if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
        return float(left) == float(right) if float in kinds else int(left) == int(right)
    if kinds[0] is kinds[1] and kinds[0] in _COMPARED:
        return bool(left.nanoseconds == right.nanoseconds) if kinds[0] is Time else bool(left == right)
    if (_general(left) and _plain(right)) or (_plain(left) and _general(right)):
        if len(left) != len(right):
            return False
        frame.walk(len(left) + 1)
        return all(equal(one, two, frame) for one, two in zip(left, right, strict=True))
    if is_nil(left) and is_nil(right):
        return True
    return deeply_equal(left, right, frame)


def _general(value: Value) -> bool:
    """A []any, which is compared with any list of simple elements."""
    return isinstance(value, list) and not isinstance(value, (Strings, Pairs))


def _plain(value: Value) -> bool:
    return _general(value) or isinstance(value, (Strings, range, bytes))


def deeply_equal(left: Value, right: Value, frame: Frame) -> bool:
    """Go's reflect.DeepEqual: the same types all the way down, and no tolerance among numbers."""
    kind = type(left)
    if type_name(left) != type_name(right) or is_nil(left) != is_nil(right):
        return False
    if left is right and kind in MAPS | LISTS:
        return True  # Go does not look into a map or slice that is the other one.
    if kind in LISTS:
        frame.walk(len(left))
        return len(left) == len(right) and all(
            deeply_equal(one, two, frame) for one, two in zip(left, right, strict=True)
        )
    if kind is AnyMap:
        frame.walk(len(left))
        return len(left) == len(right) and all(
            key in right and deeply_equal(value, right.get(key), frame) for key, value in left
        )
    if kind in MAPS:
        frame.walk(len(left))
        return len(left) == len(right) and all(
            key in right and deeply_equal(value, right[key], frame) for key, value in left.items()
        )
    if kind is Function:
        return False
    if kind is Time:
        return bool(left.nanoseconds == right.nanoseconds and left.location == right.location)
    if kind is Struct:
        return all(deeply_equal(value, right.fields.get(name), frame) for name, value in left.fields.items())
    return bool(left == right)


def contains(needle: Value, box: Value, frame: Frame) -> bool:
    """`needle in box`."""
    if box is None:
        return False
    kind = type(box)
    if kind in LISTS:
        frame.work(2 * len(box))
        return any(equal(element, needle, frame) for element in box)
    if kind is AnyMap:
        return needle in box
    if kind in MAPS:
        return text_key(needle) in box
    if kind in {Struct, Time, Location}:
        if type(needle) is not str:
            raise Failure(f"cannot use {type_name(needle)} as field name of {type_name(box)}")
        return kind is Struct and needle in box.fields
    raise Failure(f'operator "in" not defined on {type_name(box)}')


def text_key(key: Value) -> str:
    """A key of a map whose keys are texts; nil reads as the empty one."""
    if type(key) is str:
        return key
    if key is None:
        return ""
    raise Failure(f"value of type {type_name(key)} cannot be a key of type string")


def element(owner: Value, position: Value, *, safe: bool = False) -> Value:
    """The element of a list, or the byte of a text. With `safe`, nil where there is none."""
    index = to_int(position)
    data = encoded(owner) if type(owner) is str else owner
    length = len(data)
    if index < 0:
        index += length
    if not 0 <= index < length:
        if safe:
            return None
        raise Failure(f"index out of range: {index} (array length is {length})")
    found = data[index]
    return Byte(found) if type(data) is bytes else found


def fetch(owner: Value, key: Value) -> Value:
    """`owner.key` and `owner[key]`."""
    kind = type(owner)
    if kind is dict:
        return owner.get(text_key(key))
    if kind is str or kind in LISTS:
        return element(owner, key)
    if kind is AnyMap:
        return owner.get(key)
    if kind in MAPS:
        return owner.get(text_key(key), "")
    if type(key) is str:
        if kind is Struct:
            if key in owner.methods:
                return owner.methods[key]
            if key in owner.fields:
                return owner.fields[key]
        elif found := moments.method(owner, key):
            return found
    raise Failure(f"cannot fetch {_shown(key)} from {type_name(owner)}")


def _shown(key: Value) -> str:
    return key if type(key) is str else type_name(key)


def sliced(owner: Value, start: Value, end: Value) -> Value:
    """`owner[start:end]`: as Python, everything clamps, but a text is cut between bytes. `end` None is the length."""
    kind = type(owner)
    if kind is not str and kind not in LISTS:
        if end is None:
            raise Failure(f"invalid argument for len (type {type_name(owner)})")
        raise Failure(f"cannot slice {type_name(owner)}")
    data = encoded(owner) if kind is str else owner
    part = data[to_int(start) : None if end is None else to_int(end)]
    if kind is str:
        return decoded(part)
    if isinstance(owner, list):
        return kind(part)
    return list(part) if kind is tuple else part


_REPEATED = re.compile(r"([1-9][0-9]{0,3})\}")
REPEAT_STEPS = 40
"""What a pattern costs that is compiled for each time that it repeats something; RE2 refuses more than so many."""
MOST_REPEATS = 1000


def matches(left: Value, right: Value, frame: Frame) -> bool:
    """`matches` with a pattern that is known only now."""
    if is_nil(left) or is_nil(right):
        return False
    frame.call(CALL_STEPS, (right,))
    if type(right) is str:
        times = [int(most) for most in _REPEATED.findall(right)]
        frame.work(REPEAT_STEPS * len(times) * min(math.prod(times), MOST_REPEATS))
    try:
        return search(pattern(_text(right)), left, frame)
    except PatternError as error:
        raise Failure(error.message) from None


def search(regex: patterns.Regex, subject: Value, frame: Frame) -> bool:
    """Whether `regex` is found in a text, or in bytes."""
    if is_nil(subject):
        return False
    text = decoded(subject) if type(subject) is bytes else _text(subject)
    frame.made(len(text))
    frame.work(POWER_STEPS)
    return regex.search(text)


def _text(value: Value) -> str:
    if type(value) is not str:
        raise Failure(f"interface conversion: interface {{}} is {type_name(value)}, not string")
    return value


def _texts(decide: Callable[[str, str], bool]) -> Operation:
    def compare(left: Value, right: Value, frame: Frame) -> bool:
        if is_nil(left) or is_nil(right):
            return False
        one, two = _text(left), _text(right)
        frame.made(len(one))
        return decide(one, two)

    return compare


def spread(left: Value, right: Value, frame: Frame) -> range:
    """`left..right`, both ends included."""
    first, last = to_int(left), to_int(right)
    size = wrapped(last - first + 1)
    frame.allocate(max(size, 0))
    return range(first, first + max(size, 0))


BINARY: Mapping[str, Operation] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "**": power,
    "^": power,
    "==": equal,
    "!=": lambda left, right, frame: not equal(left, right, frame),
    "<": less,
    ">": more,
    "<=": _ordering("<=", lambda a, b: a <= b),
    ">=": _ordering(">=", lambda a, b: a >= b),
    "in": contains,
    "matches": matches,
    "contains": _texts(lambda text, part: part in text),
    "startsWith": _texts(str.startswith),
    "endsWith": _texts(str.endswith),
    "..": spread,
}


def negated(value: Value) -> Value:
    """Unary minus."""
    if type(value) is Byte:
        return Byte(-value & 0xFF)
    if type(value) in INTEGERS:
        return type(value)(wrapped(-value))
    if type(value) is float:
        return -value
    raise Failure(f"invalid operation: - {type_name(value)}")


def boolean(value: Value) -> bool:
    """A value where only a boolean will do."""
    if type(value) is bool:
        return value
    raise Failure(f"interface conversion: interface {{}} is {type_name(value)}, not bool")
