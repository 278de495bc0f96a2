"""Globs as doublestar v4 matches them. Vectors: globs.json. The search through braces: test_glob_search.py."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
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
