"""The built-ins on texts, and those between values and texts.

Positions count bytes, as Go's strings do; `upper` and `lower` map one character to one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping

from kargo_lab.errors import RuleError
from kargo_lab.rules import json as gojson
from kargo_lab.rules.expressions import printing
from kargo_lab.rules.expressions.frame import CALL_STEPS, TEXT_STEPS, Frame
from kargo_lab.rules.expressions.values import (
    Failure,
    NilStrings,
    Pairs,
    Strings,
    Value,
    decoded,
    encoded,
    joined,
    to_int,
    type_name,
)

VALUE_STEPS = 6
"""What each value costs that is read from JSON, beyond its characters."""

_BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def string(value: Value) -> str:
    """A value that has to be a text."""
    if type(value) is not str:
        raise Failure(f"interface conversion: interface {{}} is {type_name(value)}, not string")
    return value


def _texts(call: Callable[..., Value]) -> Callable[..., Value]:
    """A built-in all of whose arguments are texts."""

    def apply(frame: Frame, *arguments: Value) -> Value:
        texts = [string(value) for value in arguments]
        frame.made(sum(map(len, texts)))
        frame.read(*texts)
        return call(*texts)

    return apply


def _mapped(call: Callable[[str], str]) -> Callable[[Frame, Value], str]:
    """`upper` and `lower`, which may have to look at each character beyond ASCII by itself."""

    def apply(frame: Frame, value: Value) -> str:
        text = string(value)
        frame.made(len(text))
        if not text.isascii():
            frame.work(TEXT_STEPS * len(text))
        return call(text)

    return apply


def _trim(frame: Frame, text: Value, cut: Value = _BLANKS) -> str:
    text, cut = string(text), string(cut)
    frame.made(len(text))
    if cut is not _BLANKS:
        frame.made(len(cut))
        frame.work(len(text) * len(cut) // 32)  # each character of the one may be looked for in all the other
    return str(text.strip(cut))


def _last_index(text: str, part: str) -> int:
    """Found backwards: Python looks for a first occurrence in linear time, for a last in the product of lengths."""
    data, wanted = encoded(text), encoded(part)
    found = data[::-1].find(wanted[::-1])
    return found if found < 0 else len(data) - len(wanted) - found


def _upper(text: str) -> str:
    upper = text.upper()
    if len(upper) == len(text):
        return upper
    # Where a full mapping has several characters, the title case is the simple mapping, or there is none.
    return "".join(next((new for new in (c.upper(), c.title()) if len(new) == 1), c) for c in text)


def _lower(text: str) -> str:
    lower = text.replace("\u03a3", "\u03c3").lower()  # Python looks whether a sigma ends a word; Go does not.
    return lower if len(lower) == len(text) else "".join(character.lower()[0] for character in text)


def _split(*, keep: bool) -> Callable[..., Value]:
    """`split`, and `splitAfter` which keeps the separators."""

    def apply(frame: Frame, text: Value, separator: Value, limit: Value = -1) -> Value:
        text, separator, most = string(text), string(separator), to_int(limit)
        frame.made(len(text))
        if most == 0:
            return NilStrings()
        pieces = text.count(separator) + 1 if separator else len(text)
        frame.work(pieces if most < 0 else min(pieces, most))
        if not separator:
            cut = len(text) if most < 0 else min(most - 1, len(text))
            parts = [*text[:cut], text[cut:]]
            return Strings(parts[:-1] if most < 0 or not parts[-1] else parts)
        parts = text.split(separator, -1 if most < 0 else most - 1)
        if keep:
            parts = [part + separator for part in parts[:-1]] + parts[-1:]
        return Strings(parts)

    return apply


def _replace(frame: Frame, text: Value, old: Value, new: Value, limit: Value = -1) -> str:
    text, old, new, most = string(text), string(old), string(new), to_int(limit)
    hits = text.count(old)
    if most >= 0:
        hits = min(hits, most)
    frame.made(len(text) + hits * max(len(new) - len(old), 0))
    frame.read(text)
    frame.work(hits // 4)
    return joined([text.replace(old, new, max(most, -1))])


def _repeat(frame: Frame, text: Value, count: Value) -> str:
    text, times = string(text), to_int(count)
    if times < 0:
        raise Failure(f"invalid argument for repeat (expected positive integer, got {times})")
    if times > 1_000_000:
        raise Failure("memory budget exceeded")
    frame.allocate(len(encoded(text)) * times)
    return joined([text * times])


def _join(frame: Frame, parts: Value, glue: Value = "") -> str:
    glue = string(glue)
    if not isinstance(parts, list) or isinstance(parts, Pairs):
        raise Failure(f"invalid argument for join (type {type_name(parts)})")
    texts = [string(part) for part in parts]
    frame.work(len(texts))
    frame.made(sum(map(len, texts)) + len(glue) * len(texts))
    return joined([glue.join(texts)])


def _to_base64(text: str) -> str:
    return base64.b64encode(encoded(text)).decode()


def _from_base64(text: str) -> str:
    try:
        # Go reads over line ends, and nothing else.
        return decoded(base64.b64decode(encoded(text.replace("\r", "").replace("\n", "")), validate=True))
    except (binascii.Error, ValueError):
        raise Failure("illegal base64 data") from None


def _to_json(frame: Frame, value: Value) -> str:
    text = printing.json_text(value, frame, indent="  ")
    frame.made(len(text))
    frame.read(text)
    return text


def _from_json(frame: Frame, value: Value) -> Value:
    text = string(value)
    frame.made(len(text))
    frame.read(text)
    frame.work(CALL_STEPS // 2 + len(text) + VALUE_STEPS * sum(map(text.count, ",[{")))
    try:
        return gojson.loads(encoded(text))
    except RuleError as error:
        raise Failure(error.message) from None


def _string(frame: Frame, value: Value) -> str:
    return printing.text(value, frame)


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "trim": _trim,
    "trimPrefix": _texts(lambda text, part=" ": text.removeprefix(part)),
    "trimSuffix": _texts(lambda text, part=" ": text.removesuffix(part)),
    "upper": _mapped(_upper),
    "lower": _mapped(_lower),
    "hasPrefix": _texts(str.startswith),
    "hasSuffix": _texts(str.endswith),
    "indexOf": _texts(lambda text, part: encoded(text).find(encoded(part))),
    "lastIndexOf": _texts(_last_index),
    "toBase64": _texts(_to_base64),
    "fromBase64": _texts(_from_base64),
    "fromJSON": _from_json,
    "split": _split(keep=False),
    "splitAfter": _split(keep=True),
    "replace": _replace,
    "repeat": _repeat,
    "join": _join,
    "toJSON": _to_json,
    "string": _string,
}
