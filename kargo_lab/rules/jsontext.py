"""JSON text as Go's scanner reads it: what is accepted, what a refusal is called, and the tree that comes out.

The reading is done twice over. Python's own scanner, written in C, takes nearly every body that
arrives; it is given hooks so that it keeps numbers as they are spelled and objects as pairs,
because Go decides later what to make of them. Whatever that scanner refuses, or finds too deep, goes to
the scanner below. It needs no recursion, knows Go's limit of 10000 levels, and names what is wrong as
Go does, which matters because the generic receiver sends that text back. A test holds the two together.

Source: the package documentation of encoding/json, and Go 1.26 asked for its error texts.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, NoReturn

from kargo_lab.errors import RuleError

MAX_DEPTH = 10_000


class JSONError(RuleError):
    """Bytes that Go's encoding/json refuses, or a value that it does not write. `message` is Go's text."""


class Number(str):
    """A number as it is spelled: whether it fits is known only once its place is."""

    __slots__ = ()


class Escaped(str):
    """A string that was spelled with escapes, as `scan` marks it: Go reads times before it reads escapes."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object as it is spelled: members in order, repeats included."""

    __slots__ = ()


def _byte_by_byte(bad: UnicodeError) -> tuple[str, int]:
    """One U+FFFD for each byte of a broken sequence, where Python's own `replace` makes one of it all."""
    assert isinstance(bad, UnicodeDecodeError)  # noqa: S101 - the name below is used for nothing else
    return "\ufffd" * (bad.end - bad.start), bad.end


codecs.register_error("kargo_lab.byte-by-byte", _byte_by_byte)


def text_of(body: bytes) -> str:
    """UTF-8 as Go reads it: every byte that is no part of a character becomes one U+FFFD."""
    return body.decode(errors="kargo_lab.byte-by-byte")


def parse(body: bytes) -> Any:
    """The tree of one JSON text: str, Number, bool, None, list and Pairs. Raises JSONError."""
    try:
        return _DECODER.decode(_without_lone_surrogates(text_of(body)))
    except (ValueError, RecursionError):
        return _Scanner(body).document()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity: Python's extension, not JSON


_DECODER = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
)

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def _without_lone_surrogates(text: str) -> str:
    """Spell escaped surrogates that stand alone as U+FFFD; a backslash is part of a string or an error anyway."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text)


_BLANK = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_HEX = re.compile(rb"[0-9a-fA-F]{0,4}")
_DIGITS = re.compile(rb"[0-9]+")
_INTEGER = re.compile(rb"0|[1-9][0-9]*")
_LITERALS: dict[int, tuple[bytes, Any]] = {
    ord("t"): (b"true", True),
    ord("f"): (b"false", False),
    ord("n"): (b"null", None),
}
_ESCAPED_LETTERS = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 39: "\\'", 92: "\\\\"}


def _quoted(byte: int) -> str:
    """One byte as Go's error texts show it: taken as the code point of that number, in single quotes."""
    if byte in _ESCAPED_LETTERS:
        shown = _ESCAPED_LETTERS[byte]
    elif byte < 0x20 or byte == 0x7F:
        shown = f"\\x{byte:02x}"
    elif chr(byte).isprintable():
        shown = chr(byte)
    else:
        shown = f"\\u{byte:04x}"
    return f"'{shown}'"


class _Scanner:
    """Reads without recursion; `at` is the byte that is looked at."""

    def __init__(self, body: bytes) -> None:
        self.body, self.at = body, 0

    def refuse(self, context: str, at: int) -> NoReturn:
        """Blame the byte at `at`. At the end Go's scanner is shown one blank more; see `refuse_end`."""
        byte = self.body[at] if at < len(self.body) else 0x20
        message = f"invalid character {_quoted(byte)} {context}"
        text = text_of(self.body)
        raise JSONError(message, text, min(len(text_of(self.body[:at])), len(text)))

    def refuse_end(self) -> NoReturn:
        """Complain of a text that stops where more was to come."""
        text = text_of(self.body)
        raise JSONError("unexpected end of JSON input", text, len(text))

    def blank(self) -> int:
        """Step over white space; the byte behind it. There has to be one."""
        self.at = _BLANK.match(self.body, self.at).end()  # type: ignore[union-attr] # it matches the empty text too
        if self.at >= len(self.body):
            self.refuse_end()
        return self.body[self.at]

    def document(self) -> Any:
        """The one value of the text."""
        value = self.value()
        self.at = _BLANK.match(self.body, self.at).end()  # type: ignore[union-attr] # as in `blank`
        if self.at < len(self.body):
            self.refuse("after top-level value", self.at)
        return value

    def value(self) -> Any:
        """A value with all that is in it; open lists and objects wait on a stack with the key to fill."""
        waiting: list[tuple[list[Any] | Pairs, str]] = []
        while True:
            byte = self.blank()
            value: Any
            if byte in b"[{":
                if len(waiting) >= MAX_DEPTH:
                    self.refuse("exceeded max depth", self.at)
                self.at += 1
                container: list[Any] | Pairs = [] if byte == ord("[") else Pairs()
                if self.blank() != (ord("]") if byte == ord("[") else ord("}")):
                    waiting.append((container, self.key() if byte == ord("{") else ""))
                    continue
                self.at += 1
                value = container
            else:
                value = self.scalar(byte)
            while waiting:
                container, key = waiting[-1]
                container.append((key, value) if isinstance(container, Pairs) else value)
                if self.closes(container):
                    value = waiting.pop()[0]
                    continue
                if isinstance(container, Pairs):
                    waiting[-1] = (container, self.key())
                break
            else:
                return value

    def closes(self, container: list[Any] | Pairs) -> bool:
        """Behind an element: True at the closing bracket, False behind a comma."""
        byte = self.blank()
        closing, context = (
            (ord("}"), "after object key:value pair")
            if isinstance(container, Pairs)
            else (ord("]"), "after array element")
        )
        if byte not in (closing, ord(",")):
            self.refuse(context, self.at)
        self.at += 1
        return byte == closing

    def key(self) -> str:
        """A member's name with its colon."""
        if self.blank() != ord('"'):
            self.refuse("looking for beginning of object key string", self.at)
        name = str(self.string())
        if self.blank() != ord(":"):
            self.refuse("after object key", self.at)
        self.at += 1
        return name

    def scalar(self, byte: int) -> Any:
        """A string, number or literal that begins with `byte`."""
        if byte == ord('"'):
            return self.string()
        if byte in b"-0123456789":
            return self.number()
        if byte not in _LITERALS:
            self.refuse("looking for beginning of value", self.at)
        word, value = _LITERALS[byte]
        for offset, letter in enumerate(word):
            if self.body[self.at + offset : self.at + offset + 1] != bytes((letter,)):
                self.refuse(f"in literal {word.decode()} (expecting {_quoted(letter)})", self.at + offset)
        self.at += len(word)
        return value

    def string(self) -> str:
        """A string from its opening quotation mark to behind the closing one."""
        start = self.at + 1
        end = _PLAIN.match(self.body, start).end()  # type: ignore[union-attr] # it matches the empty text too
        if self.body[end : end + 1] != b'"':
            self.refuse_string(end)
        self.at = end + 1
        spelled = text_of(self.body[start : end + 1])
        if "\\" not in spelled:
            return spelled[:-1]
        text = json.decoder.scanstring(_without_lone_surrogates(spelled), 0, True)[0]  # type: ignore[attr-defined] # not in the stubs
        return Escaped(text)

    def refuse_string(self, at: int) -> NoReturn:
        """Say what is wrong with the byte of a string that could not be read."""
        if at >= len(self.body):
            self.refuse_end()
        if self.body[at] != ord("\\"):
            self.refuse("in string literal", at)
        if self.body[at + 1 : at + 2] != b"u":
            self.refuse("in string escape code", at + 1)
        digits = _HEX.match(self.body, at + 2).end()  # type: ignore[union-attr] # it matches the empty text too
        self.refuse("in \\u hexadecimal character escape", digits)

    def number(self) -> Number:
        """A number as far as it goes; what follows it is judged by the caller."""
        start = self.at
        at = self.digits(start + (self.body[start] == ord("-")), _INTEGER, "in numeric literal")
        if self.body[at : at + 1] == b".":
            at = self.digits(at + 1, _DIGITS, "after decimal point in numeric literal")
        if self.body[at : at + 1] in (b"e", b"E"):
            signed = self.body[at + 1 : at + 2] in (b"+", b"-")
            at = self.digits(at + 1 + signed, _DIGITS, "in exponent of numeric literal")
        self.at = at
        return Number(self.body[start:at].decode())

    def digits(self, at: int, pattern: re.Pattern[bytes], context: str) -> int:
        """The end of the digits at `at`; there has to be one."""
        found = pattern.match(self.body, at)
        if found is None:
            self.refuse(context, at)
        return found.end()


def scan(body: bytes) -> Any:
    """The tree of one JSON text by the slow scanner alone, which knows which strings were `Escaped`."""
    return _Scanner(body).document()
