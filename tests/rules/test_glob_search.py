"""How globs are searched where braces make many ways: which are tried, which have no hope, and where it ends.

What `_Hopes` answers is compared with the same said plainly, one place of the name at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kargo_lab.errors import PatternError
from kargo_lab.rules import globs

FORMULA = "*#" + "{[02],[12]}" * 8 + "[/z]*!"
"""Matches at the slash only if the alternatives are so chosen that they do not match before one of the z."""


def clauses(*texts: str) -> str:
    return "".join(f"#{text}z" for text in texts) + "#22222222/!"


@pytest.mark.parametrize(
    ("name", "result"),
    [
        pytest.param(clauses("02222222", "12222220"), True, id="one choice is left"),
        pytest.param(clauses("02222222", "12222222"), False, id="no choice is left"),
    ],
)
def test_what_is_lost_at_the_last_star_is_lost(monkeypatch: pytest.MonkeyPatch, name: str, result: bool) -> None:
    monkeypatch.setattr(globs, "MANY_WALKS", 0)
    assert globs.compile(FORMULA).matches(name) == result


def test_what_cannot_be_tried_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MOST_WALKS", 100)
    pattern = "*" + "{a,?}" * 20 + "{**/z}"
    with pytest.raises(PatternError, match="more than 121 ways through the braces nearly match") as refused:
        globs.compile(pattern).matches("a" * 40 + "z")
    assert refused.value.text == pattern


def test_as_many_ways_as_may_be_tried_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MOST_WALKS", 2)
    assert not globs.compile("{a,b}c").matches("zz")


def test_one_way_more_is_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MOST_WALKS", 1)
    with pytest.raises(PatternError, match="more than 2 ways"):
        globs.compile("{a,b}c").matches("zz")


def test_a_pattern_longer_than_most_is_tried_without_hopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MOST_WALKS", 100)
    glob = globs.compile("*" + "{a,?}" * 10 + "z")
    monkeypatch.setattr(globs, "LONGEST_WITH_HOPES", len(glob.text))
    assert not glob.matches("a" * 40)
    monkeypatch.setattr(globs, "LONGEST_WITH_HOPES", len(glob.text) - 1)
    with pytest.raises(PatternError, match="more than 110 ways"):
        glob.matches("a" * 40)


@pytest.mark.parametrize(("many", "refused"), [(2, False), (3, True)])
def test_hope_is_asked_for_as_soon_as_there_were_many_walks(
    monkeypatch: pytest.MonkeyPatch, many: int, refused: bool
) -> None:
    """Two walks may come to nothing here; a third is one too many, unless hope is asked for and there is none."""
    monkeypatch.setattr(globs, "MOST_WALKS", 1)
    monkeypatch.setattr(globs, "MANY_WALKS", many)
    glob = globs.compile("{a,b}c")
    with pytest.raises(PatternError) if refused else contextlib.nullcontext():
        assert not glob.matches("zz")


@pytest.mark.parametrize("pattern", ["*" + "{,}" * 60 + "b", "/**/" + "{,}" * 60 + "b"])
def test_what_may_be_left_over_is_asked_once_however_many_braces_lead_to_it(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setattr(globs, "MANY_WALKS", 0)
    assert not globs.compile(pattern).matches("")


pieces_of_all_kinds = st.recursive(
    st.sampled_from([*"ab/?", "*", "**", "**/", "/**", "[ab]", "[/b]", "[!a]", "[a,]", "[}]", r"\*", r"\{", ""]),
    lambda inner: st.builds(
        lambda *rows: "{" + ",".join("".join(row) for row in rows) + "}",
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@given(st.lists(pieces_of_all_kinds, max_size=5).map("".join), st.text("ab/*", max_size=7))
@example("{[a,]b}", "a")
@example("*{a,[,]}", "a")
@example("**{[/,]a}", "a")
@example("**/{a*/,}{**/,}", "a/")
@example("{a,*}*/b", "x/b")
@example("a{/**,}", "a")
@example("a*{*[,],b}", "a")
@example("{a,a[}]b}", "a")
@example("*{[{],a}", "b")
def test_walks_without_hope_would_have_come_to_nothing(pattern: str, name: str) -> None:
    assert both_ways(pattern, name) in ({True}, {False}, {None})


def both_ways(pattern: str, name: str) -> set[bool | None]:
    """What a glob says with and without asking which walks have hope."""
    found = set[bool | None]()
    with pytest.MonkeyPatch.context() as patch:
        for many in (0, globs.MANY_WALKS * 100):
            patch.setattr(globs, "MANY_WALKS", many)
            try:
                found.add(globs.compile(pattern).matches(name))
            except PatternError:
                found.add(None)
    return found


PIECE = re.compile(r"\\.|\[[!^]?+(?:\\.|[^\\\]])+\]|\[|.", re.DOTALL)
LEFT_OVER = ("", "*", "**", "/**", "**/", "/**/")


def replaced(pattern: str) -> list[str] | None:
    """The pattern with its first brace, at the start, replaced in all ways; None if the brace is not closed."""
    depth, alternatives = 0, [""]
    for place, piece in enumerate(parts := re.findall(r"\\?.", pattern, re.DOTALL)):
        depth += (piece == "{") - (piece == "}")
        if depth == 0:
            return [one + "".join(parts[place + 1 :]) for one in alternatives]
        if depth == 1 and piece == ",":
            alternatives.append("")
        elif place > 0:
            alternatives[-1] += piece
    return None


def may_be_left_over(pattern: str) -> bool:
    before, brace, _ = pattern.partition("{")
    if not brace or not any(one.startswith(before) for one in LEFT_OVER):
        return pattern in LEFT_OVER
    alternatives = replaced(pattern[len(before) :])
    return alternatives is None or any(may_be_left_over(before + one) for one in alternatives)


def might_match(pattern: str, name: str, *, start: bool) -> bool:
    """What `_Hopes` promises, said one place at a time: the name is behind the place, a star may stop anywhere."""
    if pattern.startswith("{"):
        alternatives = replaced(pattern)
        return alternatives is None or any(might_match(a, name, start=s) for a in alternatives for s in (False, True))
    if pattern == "" or (name == "" and not pattern.startswith("[")):
        return may_be_left_over(pattern) and name == ""
    piece = PIECE.match(pattern)[0]  # type: ignore[index] - every text begins with a piece
    if piece == "[":
        return True
    rest = pattern[len(piece) :]
    if piece == "*":
        return might_match_star(rest, name, start=start)
    if not name:
        return False
    hit = globs.compile(piece).matches(name[0]) if piece not in "{}" else piece == name[0]
    return hit and might_match(rest, name[1:], start=piece.lstrip("\\") == "/")


def might_match_star(rest: str, name: str, *, start: bool) -> bool:
    stars = "*"
    if rest.startswith("*"):
        stars, rest = "**", rest[1:]
        if start and (rest == "" or (rest[0] == "/" and further_on(rest[1:], name, first=0))):
            return True
    if any(might_match(rest, name[n:], start=False) for n in range(len(name.partition("/")[0]) + 1)):
        return True
    return rest.startswith("{") and any(might_match(stars + one, name, start=start) for one in replaced(rest) or [])


def further_on(pattern: str, name: str, first: int) -> bool:
    """Whether the pattern might match at the start of a later segment, or here if `first` is 0."""
    starts = [0, *(found.end() for found in re.finditer("/", name))]
    return any(might_match(pattern, name[n:], start=True) for n in starts if n >= first)


HOPES = [
    "",
    *r"""
    a / ? * ** **/ /** /**/ *** */ /* **/a *a a*b a** **b ?b a/b **/a/** **/*b */b *?b /?b ?**/b a/**/b a/** [ab]
    [!a] [^a]b [/] [!/]b [a/]** [!b]** ?** [^]a] []a]b [!]a] [a [! [^a *[a [a!]b [a^] [b]a [^ [ \a \* \** \*b \/**
    \\ [\]a]b \?b X *X ^[a] ![a] [^^] [!!]a [] ] {a,b} {a,} {,} {**,a} {*,a}/b {**/,a}b {**}b a{,/**} a{/,b}**
    *{a,b} *{*,b} *{,*}/a *{*/,b}a **{/,a} **{/,a}b **{/a,b} *{a,*}b *{?,/}b *{b,[} {a *{a **{a a{a /{a /**{/,a}
    /**/{,a} /**/{ /**/a{ **{/{,a},b} /{**,a} /{**{/,b},a} /*{*/,b} {,a}{,*} {a,b}{,*} a{,b} *{,b}{,/} {{a,/},*}b
    X{,b} /**/X{,b} /**X{ {,}{,} {,}a /{,} */{,} **/{ /*{ a/{ /a{,**} {a,[} {[,b} **/[/b]* *[/b] *X{,/} [Xa] **X/b
    a*{b,/} *{{a,*},b}/b {*{,*},b}/b **{*,a} **** ****/b **{a,b}
    """.split(),  # noqa: SIM905 - a hundred quotation marks would hide the patterns
]


@pytest.mark.parametrize("pattern", HOPES)
def test_hope_is_where_a_star_that_may_stop_anywhere_would_get(pattern: str) -> None:
    wrong = []
    for name in NAMES_OF_ALL_KINDS:
        hopes = globs._Hopes(name).of(pattern)
        for place in range(len(name) + 1):
            rest = name[place:]
            found = tuple(bool(places >> len(rest) & 1) for places in hopes)
            expected = tuple(might_match(pattern, rest, start=start) for start in (False, True))
            if found != expected or max(hopes) >= 2 << len(name):
                wrong.append((name, place, found, expected))
    assert wrong == []


NAMES_OF_ALL_KINDS = [
    *("".join(chars) for size in range(5) for chars in itertools.product("ab/", repeat=size)),
    *r"* *b ^ ! ^a !a \ ? ] ]b ]a a] [ X aX ?b ^b a! [a a/b/a/b a,b} /a,b}".split(),  # noqa: SIM905 - as above
]
WALKS = ["", "a", "*", "b", "**/b", "**", "?b", "{a,b}", "{**,a}", "[", "/b", "a/b"]


@pytest.mark.parametrize("star", [None, *WALKS])
@pytest.mark.parametrize("double", [None, *WALKS[:6]])
def test_a_walk_has_hope_here_or_at_a_later_place_of_a_star(star: str | None, double: str | None) -> None:
    wrong = []
    for name in ("", "a", "ab", "a/b", "aab/ab", "/b/", "b/a/b", "b/a/bb"):
        hopes = globs._Hopes(name)
        for here, n, mark in itertools.product(("X", "b", "**"), range(len(name) + 1), range(len(name) + 1)):
            walk = globs._Walk(f"{double or ''}{star or ''}{here}", name, n=n)
            walk.p = len(double or "") + len(star or "")
            if double is not None:
                walk.double = (0, mark)
            if star is not None:
                walk.star = (len(double or ""), mark)
            if hopes.has(walk) != has_hope(walk):
                wrong.append(walk)
    assert wrong == []


def has_hope(walk: globs._Walk) -> bool:
    if might_match(walk.pattern[walk.p :], walk.name[walk.n :], start=True):
        return True
    p, n = walk.star
    if p >= 0:
        last = n + len(walk.name[n:].partition("/")[0])
        if any(might_match(walk.pattern[p:], walk.name[m:], start=False) for m in range(n + 1, last + 1)):
            return True
    p, n = walk.double
    return p >= 0 and further_on(walk.pattern[p:], walk.name[n:], first=1)
