"""JSON text as Go's scanner reads it: what is accepted, what a refusal is called, and the tree that comes out.

Python's own scanner, written in C, reads every text. It is given hooks so that it keeps numbers as they are
spelled and objects as pairs, because Go decides later what to make of them. It recurses, and Go takes 10000
levels, so what nests too deeply for it is cut into pieces, and the innermost are read first.

Go does not name the faults of a text as Python does, which matters because the generic receiver sends that text
back. So the scanner below walks through whatever was refused, only to find the fault; a test holds the two together.

Source: the package documentation of encoding/json, and Go 1.26 asked for its error texts.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from kargo_lab.errors import RuleError

MAX_DEPTH = 10_000


class JSONError(RuleError):
    """Bytes that Go's encoding/json refuses, or a value that it does not write. `message` is Go's text."""


Pairs = tuple[tuple[str, Any], ...]
"""An object as it is spelled: members in order, repeats included."""

Number = bytes
"""A number as it is spelled: whether it fits is known only once its place is."""

ESCAPED = "\ud800"
"""Stands in a marked tree before characters that were spelled as escapes. Texts have no lone surrogate of their own."""


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
    return read(body, _TREE)


def parse_marked(body: bytes, escapes: re.Pattern[str]) -> Any:
    """The tree with an ESCAPED in its texts, not in its names, before each character spelled as one of `escapes`."""
    return read(body, _MARKED_TREE, escapes)


def read(body: bytes, hooks: Mapping[str, Any], escapes: re.Pattern[str] | None = None) -> Any:
    """What `json.JSONDecoder` makes of one JSON text with these hooks. Raises JSONError."""
    text = _without_lone_surrogates(text_of(body))
    if escapes is not None:
        text = _ESCAPE.sub(lambda found: ESCAPED * bool(escapes.fullmatch(found[0])) + found[0], text)
    try:
        try:
            return json.JSONDecoder(**hooks, parse_constant=_refuse_constant).decode(text)
        except RecursionError:
            return _read_in_pieces(text, hooks)
    except ValueError:
        refuse(body)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity: Python's extension, not JSON


def _unmarked(pairs: list[tuple[str, Any]]) -> Pairs:
    return tuple((name.replace(ESCAPED, ""), member) for name, member in pairs)


_TREE: Mapping[str, Any] = {
    "object_pairs_hook": tuple,
    "parse_int": str.encode,
    "parse_float": str.encode,
}
_MARKED_TREE = {**_TREE, "object_pairs_hook": _unmarked}

_TO_BRACKET = re.compile(r'([^"\[\]{}NI]*+(?:"(?:[^"\\]|\\.)*+"[^"\[\]{}NI]*+)*+)([\[\]{}]?)', re.DOTALL)
_PIECE = 50  # levels that Python's scanner is asked to read at once


def _read_in_pieces(text: str, hooks: Mapping[str, Any]) -> Any:
    """Read a text that is nested deeply; ValueError if it is none.

    A value with so many levels inside is read as soon as it ends, and `NaN`, which JSON has not, takes its place.
    """
    inside: list[Any] = []
    decoder = json.JSONDecoder(**hooks, parse_constant=lambda _: inside.pop())
    unread: list[str] = []
    values: list[Any] = []  # those in whose place a NaN stands in `unread`
    waiting: list[tuple[int, int]] = []  # where each open bracket is in `unread`, and how many values there were
    levels = [0]  # how many there are so far inside of each open bracket
    for found in _TO_BRACKET.finditer(text):
        unread += found.groups()
        if found[2] in ("[", "{"):
            waiting.append((len(unread) - 1, len(values)))
            levels.append(0)
            if len(waiting) > MAX_DEPTH:
                break
        elif found[2] and waiting:
            start, known = waiting.pop()
            height = levels.pop() + 1
            if height > _PIECE:
                inside[:] = reversed(values[known:])
                values[known:] = [decoder.decode("".join(unread[start:]))]
                unread[start:] = ["NaN"]
                height = 0
            levels[-1] = max(levels[-1], height)
        else:
            break
    if waiting or found.end() < len(text):
        raise ValueError(text)
    inside[:] = reversed(values)
    return decoder.decode("".join(unread))


_STRING_OR_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*+"|(-?[0-9][-+.0-9eE]*+)', re.DOTALL)


def numbers(body: bytes) -> Iterator[str]:
    """The numbers of a JSON text as they are spelled, in their order."""
    return (found[1] for found in _STRING_OR_NUMBER.finditer(text_of(body)) if found[1])


_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|u00..|.)",
    re.DOTALL,
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
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
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


_CLOSING = {ord("["): ord("]"), ord("{"): ord("}")}
_PARTNERS = bytes.maketrans(b"]}", b"[{")
_OPENED = re.compile(rb"\[{2,}(?=\[)")  # behind the last one may be its end
_CLOSED = re.compile(rb"[]}]{2,}+")
_STRING = r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
_SCALAR = rf"(?:{_STRING}|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+|true|false|null)"


def _short_values(inner: str) -> str:
    """A pattern of scalars, and of lists and objects of what `inner` finds."""
    member = rf"\s*+{_STRING}\s*+:\s*+{inner}\s*+"
    lists = rf"\[\s*+(?:{inner}\s*+(?:,\s*+{inner}\s*+)*+)?+\]"
    return rf"(?>{_SCALAR}|{lists}|\{{(?:{member}(?:,{member})*+|\s*+)\}})"


_SHORT = _short_values(_short_values(_SCALAR))
# Elements, and members without the first name, that are well: most of a body is stepped over at once.
_WELL = {
    container: re.compile(pattern.replace(r"\s", r"[ \t\n\r]").encode())
    for container, pattern in {
        ord("["): rf"(?:\s*+{_SHORT}\s*+,)*+",
        ord("{"): rf"(?:\s*+{_SHORT}\s*+,\s*+{_STRING}\s*+:)*+",
    }.items()
}


def refuse(body: bytes) -> NoReturn:
    """Say as Go does what is wrong with a text that is no JSON."""
    _Walk(body).document()


class _Walk:
    """Walks through a text to its first fault, without recursion; `at` is the byte that is looked at."""

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

    def skip(self, pattern: re.Pattern[bytes]) -> None:
        """Step over what a pattern finds, which may be nothing."""
        self.at = pattern.match(self.body, self.at).end()  # type: ignore[union-attr] # it matches the empty text too

    def blank(self) -> int:
        """Step over white space; the byte behind it. There has to be one."""
        self.skip(_BLANK)
        if self.at >= len(self.body):
            self.refuse_end()
        return self.body[self.at]

    def document(self) -> NoReturn:
        """The one value of the text; if there is no fault in it, what is behind it is one."""
        self.value()
        self.skip(_BLANK)
        self.refuse("after top-level value", self.at)

    def value(self) -> None:
        """A value with all that is in it; of open lists and objects the opening bracket waits on a stack."""
        waiting = bytearray()
        while True:
            byte = self.blank()
            if self.enter(waiting):
                continue
            if byte in _CLOSING:
                if len(waiting) >= MAX_DEPTH:
                    self.refuse("exceeded max depth", self.at)
                self.at += 1
                if self.blank() != _CLOSING[byte]:
                    waiting.append(byte)
                    self.begin(byte)
                    continue
                self.at += 1
            else:
                self.scalar(byte)
            self.leave(waiting)
            while waiting and self.closes(waiting[-1]):
                waiting.pop()
            if not waiting:
                return
            self.begin(waiting[-1])

    def enter(self, waiting: bytearray) -> bool:
        """Step over many brackets that begin lists at once, unless they may be too many."""
        opened = _OPENED.match(self.body, self.at)
        if opened is None or len(waiting) + len(opened[0]) > MAX_DEPTH:
            return False
        waiting += opened[0]
        self.at = opened.end()
        return True

    def leave(self, waiting: bytearray) -> None:
        """Step over many closing brackets at once, if they are those that are wanted."""
        closed = _CLOSED.match(self.body, self.at)
        if closed is not None and waiting.endswith(closed[0][::-1].translate(_PARTNERS)):
            del waiting[-len(closed[0]) :]
            self.at = closed.end()

    def begin(self, container: int) -> None:
        """Go to a value of a list or object, past many that are well."""
        if container == ord("{"):
            self.key()
        self.skip(_WELL[container])

    def closes(self, container: int) -> bool:
        """Behind an element: True at the closing bracket, False behind a comma."""
        byte = self.blank()
        if byte not in (_CLOSING[container], ord(",")):
            self.refuse("after object key:value pair" if container == ord("{") else "after array element", self.at)
        self.at += 1
        return byte != ord(",")

    def key(self) -> None:
        """A member's name with its colon."""
        if self.blank() != ord('"'):
            self.refuse("looking for beginning of object key string", self.at)
        self.string()
        if self.blank() != ord(":"):
            self.refuse("after object key", self.at)
        self.at += 1

    def scalar(self, byte: int) -> None:
        """A string, number or literal that begins with `byte`."""
        if byte == ord('"'):
            self.string()
        elif byte in b"-0123456789":
            self.number()
        elif byte in _LITERALS:
            self.literal(_LITERALS[byte])
        else:
            self.refuse("looking for beginning of value", self.at)

    def literal(self, word: bytes) -> None:
        """One of the three words."""
        for offset, letter in enumerate(word):
            if self.body[self.at + offset : self.at + offset + 1] != bytes((letter,)):
                self.refuse(f"in literal {word.decode()} (expecting {_quoted(letter)})", self.at + offset)
        self.at += len(word)

    def string(self) -> None:
        """A string from its opening quotation mark to behind the closing one."""
        self.at += 1
        self.skip(_PLAIN)
        if self.body[self.at : self.at + 1] != b'"':
            self.refuse_string(self.at)
        self.at += 1

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

    def number(self) -> None:
        """A number as far as it goes; what follows it is judged by the caller."""
        at = self.digits(self.at + (self.body[self.at] == ord("-")), _INTEGER, "in numeric literal")
        if self.body[at : at + 1] == b".":
            at = self.digits(at + 1, _DIGITS, "after decimal point in numeric literal")
        if self.body[at : at + 1] in (b"e", b"E"):
            signed = self.body[at + 1 : at + 2] in (b"+", b"-")
            at = self.digits(at + 1 + signed, _DIGITS, "in exponent of numeric literal")
        self.at = at

    def digits(self, at: int, pattern: re.Pattern[bytes], context: str) -> int:
        """The end of the digits at `at`; there has to be one."""
        found = pattern.match(self.body, at)
        if found is None:
            self.refuse(context, at)
        return found.end()
