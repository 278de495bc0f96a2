"""The order in which go.yaml.in/yaml/v3 writes the keys of a map: numbers by size, then texts as people sort them.

`a9` goes before `a10`. Where one text has a letter and the other has none, the one without goes first,
unless a digit precedes both. Numbers in texts are counted in 64 bits without a word, as Go counts. One of
more than 18 digits may thus be below zero, before what has no digits, and then some keys go round in a circle:
Go's order of those changes from run to run.

Source: go.yaml.in/yaml/v3 v3.0.4, sorter.go; reflect's numbers of the kinds; Unicode 15.0 of Go 1.26.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kargo_lab.rules.expressions.dates import Duration, Location, Month, Weekday
from kargo_lab.rules.expressions.values import Byte, Int64, Value, wrapped

_KINDS: Mapping[type, int] = {
    bool: 1,
    int: 2,
    Month: 2,
    Weekday: 2,
    Int64: 6,
    Duration: 6,
    Byte: 8,
    float: 14,
    tuple: 17,
    type(None): 20,
    Location: 22,
    str: 24,
}
_STRUCT = 25  # times, and what else has no kind of its own
_STRAY = re.compile("[\ud800-\udfff]")
_TEXT, _LAST_NUMBER = _KINDS[str], _KINDS[float]


def ordered(pairs: Iterable[tuple[Value, Value]]) -> list[tuple[Value, Value]]:
    """The entries of a map by their keys. Go leaves the order of two times, or two lists, to chance."""
    return sorted(pairs, key=_by_key)


def _compared(first: tuple[Value, Value], second: tuple[Value, Value]) -> int:
    left, right = first[0], second[0]
    kinds = _kind(left), _kind(right)
    if max(kinds) <= _LAST_NUMBER:
        return (
            _sign(float(_number(left)), float(_number(right))) or _sign(*kinds) or _sign(_number(left), _number(right))
        )
    return _texts(_runes(left), _runes(right)) if kinds == (_TEXT, _TEXT) else _sign(*kinds)


_by_key = functools.cmp_to_key(_compared)


def _kind(key: Value) -> int:
    return _KINDS.get(type(key), _STRUCT)


def _runes(text: str) -> str:
    """Go compares characters, and sees U+FFFD in every byte that is part of none."""
    return text if text.isascii() else _STRAY.sub("\ufffd", text)


def _number(key: Any) -> float:
    if isinstance(key, Duration):
        return key.nanoseconds
    return key.number if isinstance(key, Month | Weekday) else key


def _sign(left: float, right: float) -> int:
    return (left > right) - (left < right)


# Letters and digits that Unicode 15.0 has and 14.0, Python 3.11's, has not; and ideographs of 15.1, Python 3.13's.
_NEWER_LETTERS = re.compile(
    "[\U0001123f\U00011240\U00011f02\U00011f04-\U00011f10\U00011f12-\U00011f33\U0001342f\U00013441-\U00013446\U0001b132"
    "\U0001b155\U0001df25-\U0001df2a\U0001e030-\U0001e06d\U0001e4d0-\U0001e4eb\U0002b739\U00031350-\U000323af]"
)
_TOO_NEW = re.compile("[\U0002ebf0-\U0002ee5d]")
_DIGITS = re.compile("[\\d\U00011f50-\U00011f59\U0001e4f0-\U0001e4f9]*")


def _letter(character: str) -> bool:
    if _NEWER_LETTERS.match(character):
        return True
    return character.isalpha() and not _TOO_NEW.match(character)


def _texts(left: str, right: str) -> int:
    place = _parting(left, right)
    if place == min(len(left), len(right)):
        return _sign(len(left), len(right))
    letters = _letter(left[place]), _letter(right[place])
    if all(letters):
        return _sign(ord(left[place]), ord(right[place]))
    if any(letters):
        behind_digit = bool(place and _DIGITS.fullmatch(left[place - 1]))
        return -1 if letters[0] == behind_digit else 1
    before = left[:place].rstrip("0")
    # A zero behind other digits is part of their number: the digits that differ are counted as if behind a one.
    ahead = int("0" in (left[place], right[place]) and bool(before and _DIGITS.fullmatch(before[-1])))
    runs = [_DIGITS.match(text, place)[0] for text in (left, right)]  # type: ignore[index]  # it matches anything
    return (
        _sign(_counted(ahead, runs[0]), _counted(ahead, runs[1]))
        or _sign(len(runs[0]), len(runs[1]))
        or _sign(ord(left[place]), ord(right[place]))
    )


def _parting(left: str, right: str) -> int:
    """The first place where two texts differ, or the end of one; by halving, as keys may share a long beginning."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if left[low:middle] == right[low:middle] else (low, middle - 1)
    return low


def _counted(ahead: int, run: str) -> int:
    """The number of some digits in 64 bits, in which only the last 64 digits leave a trace."""
    number = ahead
    for digit in run[-64:]:
        number = number * 10 + ord(digit) - ord("0")
    return wrapped(number)
