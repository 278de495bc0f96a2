"""How go.yaml.in/yaml/v3 spells a scalar: plain, in quotation marks, or as a block of lines.

Two questions decide. Would the bare text be read as something else than a text: a number, a date, a
word for true, what YAML 1.1 took for either? And which characters are in it: YAML 1.1's printable ones
end at U+FFFD, so an emoji is quoted, and its breaks are more than the newline. A text with a newline
is a block wherever a block can hold it.

Source: go.yaml.in/yaml/v3 v3.0.4, encode.go (the style that is asked for), resolve.go (what a bare text
is read as), emitterc.go (the style that the characters allow).
"""

from __future__ import annotations

import base64
import enum
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from kargo_lab.rules.expressions import layouts, parse_float, printing
from kargo_lab.rules.expressions.dates import Duration, Location, Month, Time, Weekday
from kargo_lab.rules.expressions.values import Byte, Int64, encoded, rejoined

_LONGEST_KEY = 128  # bytes
_BASE64_LINE = 70


class Style(enum.Enum):
    """The four spellings of a scalar that the writer ever chooses."""

    PLAIN = enum.auto()
    SINGLE = enum.auto()
    DOUBLE = enum.auto()
    LITERAL = enum.auto()


@attrs.frozen
class Scalar:
    """A scalar before it is laid out: its text without marks, its style, and its tag if it needs one."""

    text: str
    style: Style = Style.PLAIN
    tag: str = ""

    @property
    def simple(self) -> bool:
        """True if it may stand before a colon; else it is a key behind a question mark."""
        # Go counts a tag without its exclamation marks, once as `!!` and once as the name behind them: the same.
        return not _BREAK.search(self.text) and len(self.text.encode()) + len(self.tag) <= _LONGEST_KEY


_PRINTABLE = "\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd"
_BREAK = re.compile("[\r\n\x85\u2028\u2029]")
_SPECIAL = re.compile(f"[^\t{_PRINTABLE}]")
_BLANK_AT_THE_END = re.compile(r" (?:[\n\u2028\u2029]|\Z)")
_NOT_PLAIN = re.compile(
    r"\A(?:---|\.\.\.|[ #,\[\]{}&*!|>'\"%@`]|[?-](?: |\Z))| \Z|[\t\u2028\u2029]|:(?: |\Z)| #",
)
_NOT_SINGLE = re.compile(r"\t| [\u2028\u2029]|[\u2028\u2029] ")


def style_of(text: str) -> Style:
    """The style of a text, all of it valid UTF-8."""
    if _SPECIAL.search(text):
        return Style.DOUBLE
    if "\n" in text:
        return Style.DOUBLE if _BLANK_AT_THE_END.search(text) else Style.LITERAL
    if not reads_as_text(text):
        return Style.DOUBLE
    if not _NOT_PLAIN.search(text):
        return Style.PLAIN
    return Style.DOUBLE if _NOT_SINGLE.search(text) else Style.SINGLE


# `<<` is not among them: it is looked up by its first character, which the library's table has nothing for.
_WORD = re.compile(
    r"~?|null|Null|NULL|true|True|TRUE|false|False|FALSE|y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*+(?::[0-5]?[0-9])++(?:\.[0-9_]*)?")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]++(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SIGN_INSIDE = re.compile(r"\A0([bo])([-+])")
_BASED = re.compile("([-+]?)0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_LARGEST = {"": 2**64 - 1, "+": 2**63 - 1, "-": 2**63}
_DATE = re.compile("[0-9]{4}-")
_DATES = ("2006-1-2T15:4:5.999999999Z07:00", "2006-1-2t15:4:5.999999999Z07:00", "2006-1-2 15:4:5.999999999", "2006-1-2")


def reads_as_text(text: str) -> bool:
    """True if a bare `text` is a text to a reader of YAML 1.1 or 1.2, as far as the library sees to that."""
    if _WORD.fullmatch(text):
        return False
    if text[0] == ".":
        return not _fits(parse_float, text)
    if text[0] not in "+-0123456789":
        return True
    bare = text.replace("_", "")
    return not (
        _SEXAGESIMAL.fullmatch(text)
        or (_FLOAT.fullmatch(bare) and _fits(parse_float, bare))
        or _is_based(bare)
        or (_DATE.match(text) and any(_fits(layouts.parse_time, text, layout) for layout in _DATES))
    )


def _fits(read: Callable[..., Any], *arguments: str) -> bool:
    try:
        read(*arguments)
    except ValueError:
        return False
    return True


def _is_based(bare: str) -> bool:
    """True for an integer of 64 bits in base 2, 8 or 16; the sign may stand behind a small `0b` or `0o`."""
    moved = _SIGN_INSIDE.sub(r"\g<2>0\1", bare)
    found = _BASED.fullmatch(moved)
    return found is not None and abs(int(moved, 0)) <= _LARGEST[found[1]]


def _text(value: str) -> Scalar:
    whole = rejoined(value)
    if whole.isascii() or not re.search("[\ud800-\udfff]", whole):
        return Scalar(whole, style_of(whole))
    code = base64.b64encode(encoded(whole)).decode()
    if len(code) <= _BASE64_LINE:
        return Scalar(code, tag="!!binary")
    lines = (code[start : start + _BASE64_LINE] for start in range(0, len(code), _BASE64_LINE))
    return Scalar("".join(f"{line}\n" for line in lines), Style.LITERAL, "!!binary")


_UNENDING = {"+Inf": ".inf", "-Inf": "-.inf", "NaN": ".nan"}


def _float(value: float) -> Scalar:
    text = printing.number(value)
    return Scalar(_UNENDING.get(text, text))


def _integer(value: int) -> Scalar:
    return Scalar(str(int(value)))


def _named_integer(value: Month | Weekday) -> Scalar:
    return Scalar(str(value.number))


_SPELLED: Mapping[type, Callable[[Any], Scalar]] = {
    type(None): lambda _: Scalar("null"),
    bool: lambda value: Scalar("true" if value else "false"),
    int: _integer,
    Byte: _integer,
    Int64: _integer,
    float: _float,
    str: _text,
    Time: lambda value: Scalar(layouts.format_time(value, layouts.RFC3339_NANO)),
    Duration: lambda value: _text(str(value)),
    Month: _named_integer,
    Weekday: _named_integer,
    Location: lambda _: Scalar("{}"),  # a struct, none of whose fields anyone else can see
}


def scalar_of(value: Any) -> Scalar | None:
    """What a value of an expression is as a scalar; None for lists, maps, and what cannot be written."""
    spelled = _SPELLED.get(type(value))
    return None if spelled is None else spelled(value)


_NAMED = dict(zip('\0\a\b\t\n\v\f\r\x1b"\\\x85\xa0\u2028\u2029', '0abtnvfre"\\N_LP', strict=True))
_ESCAPED = re.compile(f'["\\\\\n\u2028\u2029]|[^{_PRINTABLE}]')
_ANY = re.compile(".", re.DOTALL)


def escaped(text: str) -> str:
    """The inside of double quotation marks. Behind a byte order mark the library escapes every character."""
    return (_ANY if text[:1] == "\ufeff" else _ESCAPED).sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in _NAMED:
        return f"\\{_NAMED[letter]}"
    code = ord(letter)
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
