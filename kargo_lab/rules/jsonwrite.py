r"""JSON as Go's encoding/json writes it: members sorted, `<`, `>` and `&` escaped, floats in Go's spelling.

Templates paste values into names by this spelling, so `1e21`, `\u003c` and `-0` have to come out as
from Go. Source: receivers.md 3.4 and 5.6, and the package documentation of encoding/json.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kargo_lab.rules.jsontext import JSONError

_SPECIAL = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_NAMED = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in _NAMED:
        return _NAMED[letter]
    # Go's strings are bytes and hold no surrogates; what is none of its characters is written as U+FFFD.
    return "\\ufffd" if "\ud800" <= letter <= "\udfff" else f"\\u{ord(letter):04x}"


def quote(text: str) -> str:
    """A string with its quotation marks."""
    return f'"{_SPECIAL.sub(_escape, text)}"'


def number(value: float) -> str:
    """A float in the shortest spelling that reads back, positional from 1e-6 up to 1e21."""
    if not math.isfinite(value):
        shown = "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
        raise JSONError(f"json: unsupported value: {shown}", shown)
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0").rstrip("0")
    if not digits:
        return sign + "0"
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    if not 1e-6 <= abs(value) < 1e21:
        tail = f".{digits[1:]}" if digits[1:] else ""
        return f"{sign}{digits[0]}{tail}e{point - 1:+03d}".replace("e-0", "e-")
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    padded = digits.ljust(point, "0")
    return sign + padded[:point] + (f".{padded[point:]}" if padded[point:] else "")


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value)
    raise JSONError(f"json: unsupported type: {type(value).__name__}", type(value).__name__)


_Frame = tuple[Iterator[tuple[str, Any]], str]


def _opened(value: Any) -> tuple[str, str, Iterator[tuple[str, Any]]] | None:
    """The brackets of a container with its elements, each with what is written before it; None for a scalar."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise JSONError(f"json: unsupported type: map key {type(key).__name__}", str(type(key).__name__))
        return "{", "}", iter([(quote(key), value[key]) for key in sorted(value)])
    if isinstance(value, list | tuple):
        return "[", "]", iter([("", element) for element in value])
    return None


def dumps(value: object, *, indent: str = "") -> str:
    """`value` as Go's Marshal writes it, or as MarshalIndent does with an `indent` and no prefix.

    Mappings with text for keys, lists, tuples, str, int, float, bool and None. Without recursion: what
    can be read can be written, however deep.
    """
    out: list[str] = []
    open_frames: list[_Frame] = []
    colon = ": " if indent else ":"

    def write(piece: Any) -> None:
        opened = _opened(piece)
        if opened is None:
            out.append(_scalar(piece))
            return
        start, end, elements = opened
        first = next(elements, None)
        if first is None:
            out.append(start + end)
            return
        out.append(start)
        open_frames.append((elements, end))
        element(*first)

    def line() -> None:
        if indent:
            out.append("\n" + indent * len(open_frames))

    pending: list[Any] = []

    def element(name: str, member: Any) -> None:
        line()
        if name:
            out.append(name + colon)
        pending.append(member)

    write(value)
    while open_frames:
        if pending:
            write(pending.pop())
            continue
        elements, end = open_frames[-1]
        following = next(elements, None)
        if following is None:
            open_frames.pop()
            line()
            out.append(end)
        else:
            out.append(",")
            element(*following)
    return "".join(out)
