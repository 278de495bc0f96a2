"""Globs as doublestar v4 matches them: `glob:` in path selectors and in selectors of Stage names.

`**` crosses directories only where a segment starts, braces nest and are tried one alternative after the
other on a text in which the braces are replaced, and the end of the name has rules of its own. A pattern
therefore cannot be translated to a regular expression once and for all: `a**` and `a{**,b}` differ in
what `**` means. So the matcher walks the text of the pattern as the library does, with the same two
resume points.

Where the library tries alternatives by recursion, which doubles the work with every pair of braces, this
one keeps the walks still to do on a stack and drops one that it has seen. When they become many, it also
drops those that have no hope: `_Hopes` tells, for all places of the name at once, where a pattern would
match if nothing were ever committed to, which is never less than what the library matches. What is then
left to try is what the library itself loses by resuming only at the last `*`, and only where a `*` is
followed by braces and then by something that a later place of the star would have served better, such
as `[/z]*` or `{**/z}`. To decide that is as hard as the satisfiability of formulas: with
`*#{[02],[12]}{[02],[12]}[/z]*!` each brace is a variable and each stretch between two `#` of the name a clause, so
for those few there is a limit.

Source: discovery.md appendix B.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from kargo_lab.errors import PatternError

MANY_WALKS = 100
"""After how many ways through the braces it pays to ask which have hope."""

LONGEST_WITH_HOPES = 4_096
"""Longer patterns are tried without, for the memory that it takes grows with the square of the length."""

MOST_WALKS = 2_000
"""How many more ways are tried that have hope and yet come to nothing."""

_NOWHERE = -1
_BRACES = re.compile(r"\\.?|[{},]", re.DOTALL)
_CLASS_END = re.compile(r"(?:[^\\\]]|\\.)*+\]", re.DOTALL)
_NO_LAST = "\U0010ffff"  # stands for "no character before this one", as in the library
_EMPTY = frozenset({"", "*", "**", "/**", "**/", "/**/"})
"""What the rest of a pattern may be when the name has ended."""
_EMPTY_STARTS = _EMPTY | {"/", "/*"}


@attrs.frozen
class Glob:
    """A compiled glob. `text` is what it was compiled from."""

    text: str
    _pattern: str = attrs.field(repr=False)

    def matches(self, name: str) -> bool:
        """True if the whole name matches; `/` separates, case counts, nothing is cleaned.

        Raises PatternError if so many ways through the braces nearly match that they cannot be tried.
        """
        name = _scalar(name)
        waiting = [_Walk(self._pattern, name)]
        seen: set[object] = set()
        hopes: _Hopes | None = None
        most = MOST_WALKS + self._pattern.count("{")
        try:
            while waiting:
                walk = waiting.pop()
                if (state := walk.state()) in seen:
                    continue
                if len(seen) >= MANY_WALKS and len(self._pattern) <= LONGEST_WITH_HOPES:
                    hopes = hopes or _Hopes(name)
                    if not hopes.has(walk):
                        continue
                seen.add(state)
                outcome = walk.run()
                if outcome is True:
                    return True
                if outcome is None:
                    waiting.extend(reversed(walk.branches()))
                if len(seen) > most:
                    raise PatternError(f"more than {most} ways through the braces nearly match", self.text)
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
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


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


def _might_match_empty(rest: str) -> bool:
    """True if what is left of the pattern may be left over, once all its braces are replaced."""
    waiting, seen = [rest], set[str]()
    while waiting:
        rest = waiting.pop()
        if rest in _EMPTY:
            return True
        before, brace, _ = rest[:5].partition("{")
        if brace and before in _EMPTY_STARTS and rest not in seen:
            seen.add(rest)
            alternatives = _known_alternatives(rest[len(before) :])
            if not alternatives:
                return True
            waiting.extend(before + one for one in alternatives)
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


class _Hopes:
    """Where in one name a pattern might match, if a walk could resume at every `*` and every `**/`.

    The answer for a pattern is two sets of places, kept as bits: for a walk that stands there at the start
    of a segment, and for one that does not. Bit `i` is the place `i` characters before the end of the name.
    An answer rests on that for the rest of the pattern, and what is left behind a brace is the same
    whichever alternative was taken, so there are no more answers than places in the pattern. It is an
    upper bound: whatever might break, and whatever depends on how the walk came here, counts as a match.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._all = (2 << len(name)) - 1
        places: dict[str, int] = {}
        for index, char in enumerate(reversed(name), 1):
            places[char] = places.get(char, 0) | 1 << index
        self._places = places
        slashes = places.get("/", 0)
        self._inside = self._all & ~1 & ~slashes
        self._starts = slashes >> 1
        self._known: dict[str, tuple[int, int]] = {}

    def has(self, walk: _Walk) -> bool:
        """Whether a walk that has just begun might end well, here or after it resumed."""
        size = len(self._name)
        if self.of(walk.pattern[walk.p :])[1] >> size - walk.n & 1:
            return True
        p, n = walk.star
        if p != _NOWHERE:
            later = self.of(walk.pattern[p:])[0] & (1 << size - n) - 1
            if self._within(later) >> size - n & 1:
                return True
        p, n = walk.double
        return p != _NOWHERE and bool(self._across(self.of(walk.pattern[p:])[1]) >> size - n & 1)

    def of(self, pattern: str) -> tuple[int, int]:
        """Where `pattern` might match the rest of the name: not at the start of a segment, and at one."""
        waiting = [pattern]
        while waiting:
            asked = waiting[-1]
            if asked not in self._known:
                rests = _rests(asked)
                if unknown := [rest for rest in rests if rest not in self._known]:
                    waiting.extend(unknown)
                    continue
                self._known[asked] = self._answer(asked, [self._known[rest] for rest in rests])
            waiting.pop()
        return self._known[pattern]

    def _answer(self, pattern: str, rests: list[tuple[int, int]]) -> tuple[int, int]:
        """That for `pattern`, from those for its rests. The place at the end of the name is a matter of its own."""
        if pattern.startswith("{"):
            inside, start = functools.reduce(_either, rests) if rests else (self._all, self._all)
            return inside | start, inside | start
        end = int(_might_match_empty(pattern))
        if not rests and pattern:
            return self._all, self._all
        inside, start = self._moved(pattern, rests)
        return inside & ~1 | end, start & ~1 | end

    def _moved(self, pattern: str, rests: list[tuple[int, int]]) -> tuple[int, int]:
        if pattern.startswith("*"):
            return self._starred(pattern, rests)
        if pattern == "":
            return 0, 0
        char = pattern[0]
        if char == "\\":
            char = pattern[1:2]
        elif char in "?[":
            places = self._inside if char == "?" else self._members(pattern)
            return (places & rests[0][0] << 1,) * 2
        return (self._places.get(char, 0) & rests[0][char == "/"] << 1,) * 2

    def _starred(self, pattern: str, rests: list[tuple[int, int]]) -> tuple[int, int]:
        double, rest = _star_and_rest(pattern)
        inside = start = self._within(rests[0][0])
        if rest.startswith("{"):
            return functools.reduce(_either, rests[1:], (inside, start))
        if double and rest == "":
            start = self._all
        elif double and rest[0] == "/":
            start = rests[1][1] | self._across(rests[1][1])
        return inside, start

    def _within(self, places: int) -> int:
        """`places`, and those from which a `*` gets to one. Adding to a run of ones carries to its end."""
        begins = places << 1 & self._inside
        return places | (begins + self._inside ^ self._inside | begins) & self._inside

    def _across(self, places: int) -> int:
        """Where a `**/` has one of `places` further on that starts a segment."""
        starts = places & self._starts
        return self._all & -((starts & -starts) << 1)

    def _members(self, pattern: str) -> int:
        """Where the class at the start of `pattern` takes the character."""
        negated = pattern[1] in "^!"
        hits = (bits for char, bits in self._places.items() if _find_member(pattern, 1 + negated, char)[0] != negated)
        return functools.reduce(operator.or_, hits, 0)


def _either(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] | other[0], one[1] | other[1]


def _star_and_rest(pattern: str) -> tuple[bool, str]:
    double = pattern.startswith("**")
    return double, pattern[1 + double :]


def _rests(pattern: str) -> list[str]:
    """What may be left of a pattern after its first piece. Nothing if the pattern has ended, or may be broken.

    A brace behind a star may bring one more star or the slash, so the star is tried with each alternative, too.
    """
    match pattern[:1]:
        case "":
            return []
        case "{":
            return _known_alternatives(pattern)
        case "*":
            double, rest = _star_and_rest(pattern)
            slash = [rest[1:]] if double and rest.startswith("/") else []
            stars = pattern[: 1 + double]
            return [rest, *slash, *(stars + one for one in _known_alternatives(rest))]
        case "[":
            first = 2 if pattern[1:2] in ("^", "!") else 1
            end = _CLASS_END.match(pattern)
            return [pattern[end.end() :]] if end and pattern[first] != "]" else []
        case "\\":
            return [pattern[2:]]
    return [pattern[1:]]


def _known_alternatives(pattern: str) -> list[str]:
    try:
        return _alternatives(pattern, 0) if pattern.startswith("{") else []
    except _BrokenError:
        return []
