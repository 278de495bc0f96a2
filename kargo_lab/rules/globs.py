"""Globs as doublestar v4 matches them: `glob:` in path selectors and in selectors of Stage names.

`**` crosses directories only where a segment starts, braces nest and are tried one alternative after the
other on a text in which the braces are replaced, and the end of the name has rules of its own. A pattern
therefore cannot be translated to a regular expression once and for all: `a**` and `a{**,b}` differ in
what `**` means. So the matcher walks the text of the pattern as the library does, with the same two
resume points.

Where the library tries alternatives by recursion, which doubles the work with every pair of braces, this
one keeps the walks still to do on a stack and drops one that it has seen. What is seen is cut to what a
walk can still reach, so the usual hostile patterns take few walks; for the rest there is a limit.

Source: discovery.md appendix B.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from kargo_lab.errors import PatternError

MOST_WALKS = 20_000
"""How many different ways through nested and repeated braces are tried for one name."""

_NOWHERE = -1
_BRACES = re.compile(r"\\.?|[{},]", re.DOTALL)
_CLASS_END = re.compile(r"(?:[^\\\]]|\\.)*+\]", re.DOTALL)
_NO_LAST = "\U0010ffff"  # stands for "no character before this one", as in the library
_EMPTY = frozenset({"", "*", "**", "/**", "**/", "/**/"})
"""What the rest of a pattern may be when the name has ended."""


@attrs.frozen
class Glob:
    """A compiled glob. `text` is what it was compiled from."""

    text: str
    _pattern: str = attrs.field(repr=False)

    def matches(self, name: str) -> bool:
        """True if the whole name matches; `/` separates, case counts, nothing is cleaned.

        Raises PatternError if the braces of the pattern are so many that they cannot be tried.
        """
        name = _scalar(name)
        waiting = [_Walk(self._pattern, name)]
        seen: set[object] = set()
        try:
            while waiting:
                walk = waiting.pop()
                if (state := walk.state()) in seen:
                    continue
                seen.add(state)
                outcome = walk.run()
                if outcome is True:
                    return True
                if outcome is None:
                    waiting.extend(reversed(walk.branches()))
                if len(seen) > MOST_WALKS:
                    raise PatternError(f"the braces have more than {MOST_WALKS} ways through them", self.text)
        except _BrokenError:
            return False
        return False


def compile(pattern: str) -> Glob:  # noqa: A001 - reads as re.compile does
    """Read a glob. Raises PatternError, which points at the character."""
    cleaned = _scalar(pattern)
    if (fault := _first_fault(cleaned)) is not None:
        raise PatternError(fault[0], pattern, fault[1])
    return Glob(pattern, cleaned)


def _scalar(text: str) -> str:
    """`text` with U+FFFD for halves of surrogate pairs, which is what Go reads where bytes are no UTF-8."""
    return text if text.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", text)


def _first_fault(pattern: str) -> tuple[str, int] | None:
    """What makes a pattern invalid, and where. Braces inside a class are not looked at."""
    opened: list[int] = []
    position = 0
    while position < len(pattern):
        match pattern[position]:
            case "\\":
                position += 1
                if position == len(pattern):
                    return "nothing follows the backslash", position - 1
            case "[":
                first = position + (2 if pattern[position + 1 : position + 2] in ("^", "!") else 1)
                if pattern[first : first + 1] == "]":
                    return "a class has at least one member; write \\] for a bracket", first
                end = _CLASS_END.match(pattern, first)
                if end is None:
                    return "the class is not closed", position
                position = end.end() - 1
            case "{":
                opened.append(position)
            case "}":
                if not opened:
                    return "no brace is open here", position
                opened.pop()
        position += 1
    return ("the brace is not closed", opened[-1]) if opened else None


class _BrokenError(Exception):
    """A brace was replaced and the text is no pattern any more, as with `{[a,]b}`. The library gives up there."""


@attrs.define(slots=True)
class _Walk:
    """One way through the pattern: a place in it, a place in the name, and where to resume when stuck.

    `star` and `double` are (place in pattern, place in name) behind the last `*` and the last `**/`.
    """

    pattern: str
    name: str
    p: int = 0
    n: int = 0
    star: tuple[int, int] = (_NOWHERE, _NOWHERE)
    double: tuple[int, int] = (_NOWHERE, _NOWHERE)
    at_segment_start: bool = True

    def run(self) -> bool | None:
        """True or False when the walk has an answer, None when it stands before a brace."""
        while self.n < len(self.name):
            if self.p < len(self.pattern):
                char = self.pattern[self.p]
                if char == "{":
                    return None
                if _STEPS.get(char, _literal)(self):
                    continue
            if not self._resume():
                return False
        return _matches_empty(self.pattern[self.p :])

    def _resume(self) -> bool:
        p, n = self.star
        if p != _NOWHERE and self.name[n] != "/":
            self.star = (p, n + 1)
            self.p, self.n, self.at_segment_start = p, n + 1, False
            return True
        p, n = self.double
        slash = self.name.find("/", n) if p != _NOWHERE else _NOWHERE
        if slash == _NOWHERE:
            return False
        self.double = (p, slash + 1)
        self.p, self.n, self.at_segment_start = p, slash + 1, True
        return True

    def branches(self) -> list[_Walk]:
        """One walk for each alternative, with the brace replaced by it. What lies behind all resume points is cut."""
        marks = [mark for mark, _ in (self.star, self.double) if mark != _NOWHERE]
        cut = min([self.p, *marks])
        before = self.pattern[cut : self.p]
        star, double = ((mark - cut if mark != _NOWHERE else mark, n) for mark, n in (self.star, self.double))
        return [
            _Walk(before + text, self.name, p=self.p - cut, n=self.n, star=star, double=double)
            for text in _alternatives(self.pattern, self.p)
        ]

    def state(self) -> tuple[object, ...]:
        """All that decides how a fresh branch goes on."""
        return self.pattern, self.p, self.n, self.star, self.double


def _alternatives(pattern: str, opening: int) -> list[str]:
    """Each alternative of the brace at `opening`, followed by what follows the brace. Classes are not respected."""
    depth = 0
    starts = [opening + 1]
    ends: list[int] = []
    for found in _BRACES.finditer(pattern, opening):
        match found[0]:
            case "{":
                depth += 1
            case "}":
                depth -= 1
                if depth == 0:
                    ends.append(found.start())
                    rest = pattern[found.end() :]
                    return [pattern[start:end] + rest for start, end in zip(starts, ends, strict=True)]
            case "," if depth == 1:
                ends.append(found.start())
                starts.append(found.end())
    raise _BrokenError


def _matches_empty(rest: str) -> bool:
    """True if what is left of the pattern may be left over at the end of the name."""
    waiting, seen = [rest], set[str]()
    while waiting:
        rest = waiting.pop()
        if rest in _EMPTY:
            return True
        if rest.startswith("{") and rest not in seen:
            seen.add(rest)
            waiting.extend(reversed(_alternatives(rest, 0)))
    return False


def _star(walk: _Walk) -> bool:
    walk.p += 1
    if walk.pattern.startswith("*", walk.p):
        walk.p += 1
        if walk.at_segment_start:
            if walk.p == len(walk.pattern):
                walk.n = len(walk.name)
                return True
            if walk.pattern[walk.p] == "/":
                walk.p += 1
                walk.double = (walk.p, walk.n)
                walk.star = (_NOWHERE, _NOWHERE)
                return True
    walk.at_segment_start = False
    walk.star = (walk.p, walk.n)
    return True


def _question(walk: _Walk) -> bool:
    walk.at_segment_start = False
    if walk.name[walk.n] == "/":
        return False
    walk.p += 1
    walk.n += 1
    return True


def _class(walk: _Walk) -> bool:
    """`/` is an ordinary character here."""
    walk.at_segment_start = False
    pattern = walk.pattern
    position = walk.p + 1
    negated = pattern[position : position + 1] in ("^", "!")
    position += negated
    if pattern.startswith("]", position):
        raise _BrokenError
    hit, position = _find_member(pattern, position, walk.name[walk.n])
    end = _CLASS_END.match(pattern, position)
    if hit == negated:
        if position == len(pattern):
            raise _BrokenError
        return False
    if end is None:
        raise _BrokenError
    walk.p = end.end()
    walk.n += 1
    return True


def _find_member(pattern: str, position: int, char: str) -> tuple[bool, int]:
    """Whether a member of the class is `char`, and the place behind it, or behind all members.

    A member equal to the character is found before a range that starts with it is looked at, and the end
    of a range cannot start another.
    """
    last = _NO_LAST
    while position < len(pattern) and pattern[position] != "]":
        member = pattern[position]
        position += 1
        if member == "-" and last != _NO_LAST and pattern[position : position + 1] not in ("", "]"):
            position += pattern[position] == "\\"
            highest = pattern[position : position + 1]
            position += 1
            if last <= char <= highest:
                return True, position
            last = _NO_LAST
            continue
        if member == "\\":
            member = pattern[position : position + 1]
            position += 1
        if member == char:
            return True, position
        last = member
    return False, position


def _escaped(walk: _Walk) -> bool:
    return _character(walk, walk.p + 1)


def _literal(walk: _Walk) -> bool:
    return _character(walk, walk.p)


def _character(walk: _Walk, position: int) -> bool:
    char = walk.pattern[position : position + 1]
    if char != walk.name[walk.n]:
        return False
    walk.p = position + 1
    walk.n += 1
    walk.at_segment_start = char == "/"
    return True


_STEPS: Mapping[str, Callable[[_Walk], bool]] = MappingProxyType(
    {"*": _star, "?": _question, "[": _class, "\\": _escaped}
)
