"""Globs as doublestar v4 matches them. Vectors: globs.json."""

from __future__ import annotations

import itertools
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kargo_lab.errors import PatternError
from kargo_lab.rules import globs

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "globs.json").read_text())


def outcome(pattern: str, name: str) -> str:
    try:
        glob = globs.compile(pattern)
    except PatternError:
        return "bad-pattern"
    return "match" if glob.matches(name) else "no-match"


@pytest.mark.parametrize("record", [pytest.param(r, id=ascii(f"{r['pattern']} {r['name']}")) for r in RECORDS])
def test_a_pattern_and_a_name_come_out_as_recorded(record: dict[str, Any]) -> None:
    assert outcome(record["pattern"], record["name"]) == record["result"]


@pytest.mark.parametrize(
    ("pattern", "name", "result"),
    [
        pytest.param("a{,b}**", "a/b", "match", id="two stars cross directories behind an emptied alternative"),
        pytest.param("a**", "a/b", "no-match", id="but not in the middle of a segment"),
        pytest.param("**/b", "a/a/b", "match", id="two stars and a slash take whole segments"),
        pytest.param("**/b", "ab", "no-match", id="and no halves"),
        pytest.param("**/*b/c", "a/xb/d/yb/c", "match", id="a star starts anew behind two stars"),
        pytest.param("?**/b", "a/c/b", "no-match", id="no segment starts behind a question mark"),
        pytest.param("[a]**/b", "a/c/b", "no-match", id="nor behind a class"),
        pytest.param("****/b", "a/c/b", "no-match", id="nor behind two stars"),
        pytest.param("**/b", "a//b", "match", id="an empty segment is one"),
        pytest.param("{{[}],b},a}", "b,a}", "no-match", id="an emptied class ends all tries"),
        pytest.param("a[/]b", "a/b", "match", id="a slash in a class is an ordinary character"),
        pytest.param("[a-]", "-", "match", id="a hyphen at the end of a class is itself"),
        pytest.param("[a-c-e]", "d", "no-match", id="the end of a range starts no other"),
        pytest.param("[a-c-e]", "-", "match", id="so the second hyphen is itself"),
        pytest.param(r"[\]-\_]", "^", "match", id="escapes in a class, at both ends of a range"),
        pytest.param(r"[\-a]", "-", "match", id="an escaped hyphen"),
        pytest.param("[c-a]", "c", "match", id="a range upside down has its first member"),
        pytest.param("[c-a]", "b", "no-match", id="and no other"),
        pytest.param("[\U0010ffff-a]", "-", "match", id="the last character of Unicode starts no range"),
        pytest.param("{a,a,b}c", "bc", "match", id="an alternative twice does not end the tries"),
        pytest.param("[{]{a,b}", "{b", "match", id="a brace in a class before a brace opens nothing"),
        pytest.param("][a]", "]a", "match", id="a bracket closed before a class is itself"),
        pytest.param("{a,{b,c}d}e", "cde", "match", id="braces nest"),
        pytest.param(r"{a\,b,\}}", "a,b", "match", id="escapes in braces"),
        pytest.param(r"\{a\}", "{a}", "match", id="escaped braces"),
        pytest.param("{a[,b]}", "ab]", "no-match", id="a comma in a class splits the brace"),
        pytest.param("{[!a,]b}", "]b", "no-match", id="the library gives up on an open class"),
        pytest.param("{[!ab,a]b}", "a]b", "match", id="unless it knows before its end that it does not match"),
        pytest.param("{[!a,a]b}", "a]b", "no-match", id="the end of the text decides that"),
        pytest.param("{[a-,]b}", "b", "no-match", id="a class that ends behind a hyphen"),
        pytest.param("{[,]b}", "]b", "no-match", id="a class of nothing"),
        pytest.param("{[b,]b}", "b", "no-match", id="a class without an end"),
        pytest.param("{[}],a}", "a", "no-match", id="a brace closed inside a class"),
        pytest.param("a{[}],b}", "a", "no-match", id="a name that ends before such a class"),
        pytest.param("{[{],a}", "a", "no-match", id="a brace opened inside a class"),
        pytest.param("a{[{],b}", "a", "no-match", id="and not closed where the name ends"),
        pytest.param("{{[{],},a}", "a", "no-match", id="the library gives up before it tries the rest"),
        pytest.param("{,a}{,b}{,*}", "", "match", id="braces of nothing match nothing"),
        pytest.param("{a,b}{,b}", "", "no-match", id="braces of something do not"),
        pytest.param("?", "\ud800", "match", id="half a surrogate pair is one character"),
        pytest.param("\ud800", "\udfff", "match", id="and like every other half"),
    ],
)
def test_the_surprises_of_the_dialect(pattern: str, name: str, result: str) -> None:
    assert outcome(pattern, name) == result


@pytest.mark.parametrize(
    ("pattern", "position", "message"),
    [
        pytest.param("a\\", 1, "nothing follows the backslash", id="a backslash at the end"),
        pytest.param("ab[", 2, "the class is not closed", id="a class of nothing at the end"),
        pytest.param("ab[^", 2, "the class is not closed", id="a negated class at the end"),
        pytest.param("ab[c\\]", 2, "the class is not closed", id="an escaped bracket closes nothing"),
        pytest.param("a[]b]", 2, "a class has at least one member; write \\] for a bracket", id="an empty class"),
        pytest.param("a[^]b]", 3, "a class has at least one member; write \\] for a bracket", id="the other negation"),
        pytest.param("a[!]b]", 3, "a class has at least one member; write \\] for a bracket", id="an empty negation"),
        pytest.param("{a,{b,c}", 0, "the brace is not closed", id="the outer brace"),
        pytest.param("{a},{b,c", 4, "the brace is not closed", id="the second brace"),
        pytest.param("[{]}", 3, "no brace is open here", id="braces in a class do not count"),
    ],
)
def test_a_refusal_points_at_the_character(pattern: str, position: int, message: str) -> None:
    with pytest.raises(PatternError) as refused:
        globs.compile(pattern)
    assert (refused.value.position, refused.value.message) == (position, message)


@pytest.mark.parametrize(
    ("pattern", "name", "result"),
    [
        pytest.param("{a,b}" * 30 + "c", "ab" * 15 + "d", "no-match", id="thirty braces"),
        pytest.param("{a,aa}" * 30 + "b", "a" * 50, "no-match", id="thirty braces of two lengths"),
        pytest.param("{*a,*b}" * 30 + "c", "ab" * 30, "no-match", id="thirty braces with stars"),
        pytest.param("{*,?}" * 15 + "z", "a" * 30, "no-match", id="stars or one character"),
        pytest.param("{**/a,**/b}" * 20 + "z", "a/b/" * 20, "no-match", id="two stars in braces"),
        pytest.param("{" * 500 + "a" + "}" * 500, "a", "match", id="braces five hundred deep"),
        pytest.param("{,a}" * 60, "", "match", id="sixty braces of nothing"),
        pytest.param("{,}" * 60 + "b", "", "no-match", id="sixty braces of nothing twice"),
        pytest.param("{,a}" * 60 + "b", "", "no-match", id="sixty braces of nothing and something"),
        pytest.param("*a" * 50 + "b", "a" * 300, "no-match", id="fifty stars"),
        pytest.param("**/*a" * 20 + "b", "a/" * 100 + "c", "no-match", id="stars and two stars"),
    ],
)
def test_hostile_patterns_are_matched(pattern: str, name: str, result: str) -> None:
    assert outcome(pattern, name) == result


def test_a_star_before_forty_braces_is_matched() -> None:
    glob = globs.compile("*" + "{a,?}" * 40 + "z")
    assert (glob.matches("a" * 400), glob.matches("a" * 400 + "z")) == (False, True)


FORMULA = "*#" + "{[02],[12]}" * 8 + "[/z]*!"
"""Matches at the slash only if the alternatives are so chosen that they do not match before one of the z."""


def clauses(*texts: str) -> str:
    return "".join(f"#{text}z" for text in texts) + "#22222222/!"


@pytest.mark.parametrize(
    ("name", "result"),
    [
        pytest.param(clauses("02222222", "12222220"), "match", id="one choice is left"),
        pytest.param(clauses("02222222", "12222222"), "no-match", id="no choice is left"),
    ],
)
def test_what_is_lost_at_the_last_star_is_lost(monkeypatch: pytest.MonkeyPatch, name: str, result: str) -> None:
    monkeypatch.setattr(globs, "MANY_WALKS", 0)
    assert outcome(FORMULA, name) == result


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


simple = st.lists(st.sampled_from(["a", "b", "/", "*", "?", "[ab]", "[!a]", r"\*"]), max_size=7)
names = st.text("ab/*", max_size=7)
MEANING = {"*": "[^/]*", "?": "[^/]", r"\*": r"\*", "[!a]": "[^a]"}


@given(simple.filter(lambda pieces: ("*", "*") not in pairwise(pieces)), names)
def test_without_braces_and_two_stars_a_regular_expression_agrees(pieces: list[str], name: str) -> None:
    pattern = "".join(pieces)
    expected = re.fullmatch("".join(MEANING.get(piece, piece) for piece in pieces), name) is not None
    assert globs.compile(pattern).matches(name) == expected


@given(st.lists(st.text("ab/*", max_size=3), min_size=1, max_size=3), st.text("ab", max_size=2), names)
def test_a_brace_at_the_start_is_any_of_its_alternatives(alternatives: list[str], rest: str, name: str) -> None:
    each = any(globs.compile(one + rest).matches(name) for one in alternatives)
    assert globs.compile("{" + ",".join(alternatives) + "}" + rest).matches(name) == each


@given(st.text(max_size=12))
def test_an_escaped_text_matches_itself(text: str) -> None:
    escaped = "".join(f"\\{char}" if char.isascii() else char for char in text)
    assert globs.compile(escaped).matches(text)


@given(st.text() | st.text("ab/*?[]!^-{},\\", max_size=14), st.text() | st.text("ab/{},[]", max_size=8))
def test_any_text_is_a_glob_or_refused(pattern: str, name: str) -> None:
    try:
        glob = globs.compile(pattern)
    except PatternError as refused:
        position = refused.position
    else:
        position = 0
        assert glob.matches(name) in (True, False)
    assert 0 <= position <= len(pattern)


pieces_of_all_kinds = st.recursive(
    st.sampled_from([*"ab/?", "*", "**", "**/", "/**", "[ab]", "[/b]", "[!a]", "[a,]", "[}]", r"\*", r"\{", ""]),
    lambda inner: st.builds(
        lambda *rows: "{" + ",".join("".join(row) for row in rows) + "}",
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@given(st.lists(pieces_of_all_kinds, max_size=5).map("".join), names)
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
    *("", "a", "/", "?", "*", "**", "**/", "/**", "/**/", "***", "*/", "/*", "**/a", "*a", "a*b", "a**", "**b", "?b"),
    *(
        "a/b",
        "**/a/**",
        "**/*b",
        "*/b",
        "*?b",
        "/?b",
        "?**/b",
        "a/**/b",
        "a/**",
        "[ab]",
        "[!a]",
        "[^a]b",
        "[/]",
        "[!/]b",
    ),
    *(
        "[a/]**",
        "[!b]**",
        "?**",
        "[^]a]",
        "[]a]b",
        "[!]a]",
        "[a",
        "[!",
        "[^a",
        "*[a",
        "[a!]b",
        "[a^]",
        "[b]a",
        "[^",
        "[",
    ),
    *(
        r"\a",
        r"\*",
        r"\**",
        r"\*b",
        r"\/**",
        r"\\",
        r"[\]a]b",
        r"\?b",
        "X",
        "*X",
        "^[a]",
        "![a]",
        "[^^]",
        "[!!]a",
        "[]",
        "]",
    ),
    *(
        "{a,b}",
        "{a,}",
        "{,}",
        "{**,a}",
        "{*,a}/b",
        "{**/,a}b",
        "{**}b",
        "a{,/**}",
        "a{/,b}**",
        "*{a,b}",
        "*{*,b}",
        "*{,*}/a",
    ),
    *("*{*/,b}a", "**{/,a}", "**{/,a}b", "**{/a,b}", "*{a,*}b", "*{?,/}b", "*{b,[}", "{a", "*{a", "**{a", "a{a", "/{a"),
    *(
        "/**{/,a}",
        "/**/{,a}",
        "/**/{",
        "/**/a{",
        "**{/{,a},b}",
        "/{**,a}",
        "/{**{/,b},a}",
        "/*{*/,b}",
        "{,a}{,*}",
        "{a,b}{,*}",
    ),
    *(
        "a{,b}",
        "*{,b}{,/}",
        "{{a,/},*}b",
        "X{,b}",
        "/**/X{,b}",
        "/**X{",
        "{,}{,}",
        "{,}a",
        "/{,}",
        "*/{,}",
        "**/{",
        "/*{",
        "a/{",
    ),
    *(
        "/a{,**}",
        "{a,[}",
        "{[,b}",
        "**/[/b]*",
        "*[/b]",
        "*X{,/}",
        "[Xa]",
        "**X/b",
        "a*{b,/}",
        "*{{a,*},b}/b",
        "{*{,*},b}/b",
        "**{*,a}",
    ),
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


NAMES_OF_ALL_KINDS = ["".join(chars) for size in range(5) for chars in itertools.product("ab/", repeat=size)] + [
    *(
        "*",
        "*b",
        "^",
        "!",
        "^a",
        "!a",
        "\\",
        "?",
        "]",
        "]b",
        "]a",
        "a]",
        "[",
        "X",
        "aX",
        "?b",
        "^b",
        "a!",
        "[a",
        "a/b/a/b",
    ),
]
WALKS = ["", "a", "*", "b", "**/b", "**", "?b", "{a,b}", "{**,a}", "[", "/b", "a/b"]


@pytest.mark.parametrize("star", [None, *WALKS])
@pytest.mark.parametrize("double", [None, *WALKS[:6]])
def test_a_walk_has_hope_here_or_at_a_later_place_of_a_star(star: str | None, double: str | None) -> None:
    wrong = []
    for name in ("", "a", "ab", "a/b", "aab/ab", "/b/", "b/a/b"):
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
