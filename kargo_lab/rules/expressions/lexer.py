r"""Splits a text into tokens (A.2), one at a time so that a hopeless text is not read to its end.

Go's idea of blanks, letters and digits differs from Python's: U+001C is no blank, and a digit is
a decimal one. A literal's escapes are undone here; `\x` names a code point in a text and a byte
in a bytes literal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from kargo_lab.errors import ExpressionError

NAME, NUMBER, TEXT, BYTES, OPERATOR, BRACKET, END = "name", "number", "text", "bytes", "operator", "bracket", "end"

_WORDS = frozenset({"in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else", "not"})
NEGATABLE = frozenset({"in", "matches", "contains", "startsWith", "endsWith"})

_BLANK = re.compile("[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_COMMENT = re.compile(r"//[^\n]*\n?|/\*[\s\S]*?\*/")
_NUMBER = re.compile(
    r"(?:0[xX][0-9a-fA-F_]*|0[oO][0-7_]*|0[bB][01_]*|[0-9_]*)"
    r"(?:\.(?!\.)[0-9_]*)?(?:[eE][+-]?[0-9_]*)?"
)
_OPERATOR = re.compile(r"\.\.?|\?[.?]?|\|\|?|::?|##?|[&!=*<>][&=*]?|[,;%+\-^/]")
_QUOTED = {
    quote: re.compile(
        rf"(?:[^{quote}\\\n]|\\(?:[abfnrtv\\{quote}]|[0-7]{{3}}|x{hexa}{{2}}|u{hexa}{{4}}|u\{{{hexa}{{1,6}}\}}|U{hexa}{{8}}))*"
    )
    for hexa in ("[0-9a-fA-F]",)
    for quote in "\"'"
}
_RAW = re.compile(r"(?:[^`]|``)*+`")
_PLAIN_RAW = re.compile(r"[^`]*`")
_ESCAPE = re.compile(r"\\(?:([0-7]{3})|x(..)|u\{([^}]*)\}|u(....)|U(........)|(.))|(\r)|([^\\\r]+)", re.DOTALL)
_STRAY = re.compile("[\ud800-\udfff]")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Token(NamedTuple):
    """A token: what it is, its text (unescaped for literals), and where it starts."""

    kind: str
    text: str
    position: int

    def __str__(self) -> str:
        return "end of the expression" if self.kind == END else f"{self.kind} {self.text!r}"


def word_character(character: str) -> bool:
    """True for what a name may consist of."""
    return character in "_$" or character.isalpha() or character.isdecimal()


def _name_end(text: str, position: int) -> int:
    while position < len(text) and word_character(text[position]):
        position += 1
    return position


def tokens(text: str, version: tuple[int, ...]) -> Iterator[Token]:
    """The tokens of `text`, with the end as the last. `version` is expr-lang's, as numbers."""
    position, end = 0, len(text)
    while position < end:
        character = text[position]
        if blank := _BLANK.match(text, position):
            position = blank.end()
            continue
        if character == "/" and text[position + 1 : position + 2] in ("/", "*"):
            comment = _COMMENT.match(text, position)
            if comment is None:
                raise ExpressionError("unclosed comment", text, end)
            position = comment.end()
            continue
        token, position = _token(text, position, character, version)
        yield token
        if token.kind == OPERATOR and token.text == "#":
            # A name that follows at once belongs to the `#`: `#index`.
            stop = _name_end(text, position)
            if stop > position:
                yield Token(NAME, text[position:stop], position)
                position = stop
    yield Token(END, "", max(end - 1, 0))


def _token(text: str, position: int, character: str, version: tuple[int, ...]) -> tuple[Token, int]:
    if character in "\"'":
        return _literal(text, position, position, version)
    if character == "`":
        return _raw(text, position, version)
    if character in "bB" and text[position + 1 : position + 2] in ('"', "'") and version >= (1, 17, 8):
        return _literal(text, position, position + 1, version)
    if character in "0123456789" or (character == "." and text[position + 1 : position + 2] in tuple("0123456789")):
        return _number(text, position)
    if character in "([{}])":
        return Token(BRACKET, character, position), position + 1
    if operator := _OPERATOR.match(text, position):
        return Token(OPERATOR, operator.group(), position), operator.end()
    stop = _name_end(text, position)
    if stop == position:
        raise ExpressionError(f"unrecognized character U+{ord(character):04X}", text, position)
    word = text[position:stop]
    return Token(OPERATOR if word in _WORDS else NAME, word, position), stop


def _number(text: str, position: int) -> tuple[Token, int]:
    found = _NUMBER.match(text, position)
    stop = found.end() if found else position
    if stop < len(text) and word_character(text[stop]):
        raise ExpressionError("bad number syntax", text, stop)
    return Token(NUMBER, text[position:stop], position), stop


def _raw(text: str, position: int, version: tuple[int, ...]) -> tuple[Token, int]:
    doubled = version >= (1, 17, 7)
    found = (_RAW if doubled else _PLAIN_RAW).match(text, position + 1)
    if found is None:
        raise ExpressionError("literal not terminated", text, len(text))
    inside = found.group()[:-1]
    return Token(TEXT, inside.replace("``", "`"), position), found.end()


def _literal(text: str, start: int, position: int, version: tuple[int, ...]) -> tuple[Token, int]:
    """A quoted literal; `start` is where the token starts, `position` its quote."""
    quote = text[position]
    found = _QUOTED[quote].match(text, position + 1)
    stop = found.end() if found else position + 1
    if text[stop : stop + 1] != quote:
        if text[stop : stop + 1] == "\\":
            raise ExpressionError("invalid char escape", text, stop)
        raise ExpressionError("literal not terminated", text, stop)
    inside = text[position + 1 : stop]
    raw = start != position
    try:
        value = _unescaped(inside, raw=raw, braces=version >= (1, 17, 7))
    except ValueError:
        raise ExpressionError("unable to unescape string", text, position) from None
    return Token(BYTES if raw else TEXT, value, start), stop + 1


def _unescaped(inside: str, *, raw: bool, braces: bool) -> str:
    """The characters of a literal; for bytes, one character a byte (Latin-1)."""
    parts = []
    for octal, short, braced, four, eight, simple, newline, plain in _ESCAPE.findall(inside):
        if plain:
            # A stray byte of the source (a lone surrogate here) is no character to Go.
            valid = _STRAY.sub("\ufffd", plain)
            parts.append(valid.encode().decode("latin-1") if raw else valid)
        elif newline:
            parts.append("\n")  # Upstream normalises line ends before it looks for escapes.
        elif simple:
            parts.append(_SIMPLE.get(simple, simple))
        elif octal:
            if octal[0] > "3":
                raise ValueError
            parts.append(chr(int(octal, 8)))
        elif short:
            parts.append(chr(int(short, 16)))
        elif raw or (braced and not braces):
            raise ValueError
        else:
            number = int(braced or four or eight, 16)
            # chr refuses what lies beyond Unicode; a surrogate half is no character to Go.
            parts.append("\ufffd" if 0xD800 <= number <= 0xDFFF else chr(number))
    return "".join(parts)
