"""Regular expressions as Go reads them, and selectors. Vectors: patterns.json, path-filters.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.errors import PatternError
from kargo_lab.rules import patterns

DATA = Path(__file__).parents[1] / "data"
RECORDS = json.loads((DATA / "patterns.json").read_text())
FILTERS = json.loads((DATA / "path-filters.json").read_text())


@pytest.mark.parametrize(
    "record", [pytest.param(r, id=ascii(f"{r['pattern'][:40]} {r['text'][:20]}")) for r in RECORDS["regexes"]]
)
def test_a_regular_expression_finds_what_go_finds(record: dict[str, Any]) -> None:
    try:
        regex = patterns.regex(record["pattern"])
    except PatternError:
        assert record["result"] == "bad-pattern"
        return
    assert regex.find(record["text"]) == record["found"]
    assert regex.search(record["text"]) == (record["result"] == "match")


@pytest.mark.parametrize(
    "record", [pytest.param(r, id=f"{r['selector']!r} {r['path']!r}") for r in RECORDS["path_selectors"]]
)
def test_a_path_selector_takes_what_kargos_takes(record: dict[str, Any]) -> None:
    try:
        result = "match" if patterns.path_selector(record["selector"]).matches(record["path"]) else "no-match"
    except PatternError:
        result = "bad-pattern"
    assert result == record["result"]


@pytest.mark.parametrize(
    "record", [pytest.param(r, id=f"{r['selector']!r} {r['name']!r}") for r in RECORDS["name_selectors"]]
)
def test_a_name_selector_takes_what_kargos_takes(record: dict[str, Any]) -> None:
    try:
        result = "match" if patterns.name_selector(record["selector"]).matches(record["name"]) else "no-match"
    except PatternError:
        result = "bad-pattern"
    assert result == record["result"]


@pytest.mark.parametrize("record", [pytest.param(r, id=f"{r['case']}: {r['changed'][-1:]}") for r in FILTERS])
def test_lists_of_selectors_let_a_commit_pass(record: dict[str, Any]) -> None:
    try:
        include = [patterns.path_selector(text) for text in record["includePaths"]]
        exclude = [patterns.path_selector(text) for text in record["excludePaths"]]
    except PatternError:
        assert record["commit_passes"] == "bad-pattern"
        return
    passes = any(
        (not include or any(one.matches(path) for one in include)) and not any(one.matches(path) for one in exclude)
        for path in record["changed"]
    )
    assert passes == record["commit_passes"]


@pytest.mark.parametrize(
    ("selector", "kind"),
    [
        pytest.param("glob:a", "glob", id="glob"),
        pytest.param("regex:a", "regular expression", id="regex"),
        pytest.param("regexp:a", "regular expression", id="regexp"),
        pytest.param("regex:a:b", "regular expression", id="a colon in the pattern"),
        pytest.param("apps", "path and all below it", id="plain"),
        pytest.param("glob", "path and all below it", id="a prefix without its colon"),
        pytest.param(" glob:a", "path and all below it", id="a blank before the prefix"),
        pytest.param("Regex:a", "path and all below it", id="a prefix in another case"),
    ],
)
def test_the_prefix_decides_how_a_selector_is_read(selector: str, kind: str) -> None:
    chosen = patterns.path_selector(selector)
    assert (chosen.text, chosen.kind) == (selector, kind)


@pytest.mark.parametrize(
    ("selector", "kind"), [("glob:a", "glob"), ("regexp:a", "regular expression"), ("prod", "exact name")]
)
def test_a_name_selector_says_how_it_was_read(selector: str, kind: str) -> None:
    chosen = patterns.name_selector(selector)
    assert (chosen.text, chosen.kind) == (selector, kind)


@pytest.mark.parametrize(
    ("selector", "path", "sentence"),
    [
        pytest.param("apps", "apps/x", "apps/x is taken by apps (path and all below it)", id="taken"),
        pytest.param("glob:a", "b..c", "b..c is not taken by glob:a (glob)", id="not taken"),
        pytest.param("apps", "b", "b is not taken by apps (path and all below it)", id="beside a plain path"),
        pytest.param(
            "apps",
            "apps/a..b",
            "apps/a..b is not taken by apps "
            "(path and all below it; below it, a path with two dots in a row is never taken)",
            id="two dots in a row",
        ),
    ],
)
def test_explain_says_how_a_selector_was_read(selector: str, path: str, sentence: str) -> None:
    assert patterns.path_selector(selector).explain(path) == sentence


@pytest.mark.parametrize(
    ("selector", "path", "taken"),
    [
        pytest.param("..", "../x", True, id="above the root"),
        pytest.param("..", "../..", False, id="further above"),
        pytest.param("../..", "..", False, id="less far above"),
        pytest.param("//apps", "/apps/x", True, id="a double slash is one"),
        pytest.param("../..", "../../x", True, id="two above"),
        pytest.param("a//./b", "a/b/x", True, id="empty parts and dots in the middle"),
        pytest.param("a//./b", "a/c", False, id="which end no path"),
        pytest.param("../..", "x", False, id="nothing here is below what is two above"),
        pytest.param("/..", "/x", True, id="the root has no parent"),
        pytest.param(".", "/x", False, id="an absolute path is not below here"),
        pytest.param("/", "/", True, id="the root itself"),
        pytest.param("a/../..", "../b", True, id="cleaned beyond the start"),
    ],
)
def test_plain_paths_are_cleaned_as_go_does(selector: str, path: str, taken: bool) -> None:
    assert patterns.path_selector(selector).matches(path) is taken


@pytest.mark.parametrize(
    ("pattern", "position", "message"),
    [
        pytest.param(r"foo\Z", 3, "invalid escape sequence", id="an escape Go does not know"),
        pytest.param(r"ab\C", 2, "invalid escape sequence", id="single bytes"),
        pytest.param("x(?P<é>a)", 5, "invalid named capture group", id="a group name beyond ASCII"),
        pytest.param("x(?<é>a)", 4, "invalid named capture group", id="the short form of it"),
        pytest.param("x(?P<a-b>a)", 1, "invalid named capture group", id="a group name with a hyphen"),
        pytest.param("a{123456789}", 1, "invalid repetition size", id="a count of nine digits"),
        pytest.param("a{1,123456789}", 1, "invalid repetition size", id="a second count of nine digits"),
        pytest.param("a{1001}", 1, "invalid repetition size", id="a count above 1000"),
        pytest.param(f"({'a' * 40}){{100000}}{'b' * 900}", 42, "invalid repetition size", id="a large one of much"),
        pytest.param(f"({'a' * 40}){{1,100000}}{'b' * 900}", 42, "invalid repetition size", id="a second large one"),
        pytest.param("(a{100}){11}", 8, "invalid repetition size", id="a product above 1000"),
        pytest.param("a(b", 0, "missing )", id="an open group"),
        pytest.param("[b-a][b-a]", 6, "invalid character class range", id="the last place where the piece stands"),
        pytest.param(r"a\p{Nope}", 1, "invalid character class range", id="an unknown Unicode class"),
        pytest.param(
            r"[\P{Ascii}]", 1, "the opposite of Ascii cannot be a member of a class here", id="a limit of ours"
        ),
        pytest.param("\\pL{1000}" * 50, -1, "pattern too large - compile failed", id="too large"),
    ],
)
def test_a_refusal_points_at_the_character(pattern: str, position: int, message: str) -> None:
    with pytest.raises(PatternError) as refused:
        patterns.regex(pattern)
    assert (refused.value.position, refused.value.message) == (position, message)


@pytest.mark.parametrize(
    ("selector", "position", "message"),
    [
        pytest.param("regexp:a{1001}", 8, "invalid repetition size", id="in a regular expression"),
        pytest.param("glob:a]{b", 7, "the brace is not closed", id="in a glob"),
        pytest.param("glob:}", 5, "no brace is open here", id="at the start of a glob"),
        pytest.param(
            "regex:" + "\\pL{1000}" * 50, -1, "pattern too large - compile failed", id="nowhere in particular"
        ),
        pytest.param("regex:" + "(" * 1000 + ")" * 1000, -1, "expression nests too deeply", id="too deep"),
    ],
)
def test_a_refused_selector_points_into_the_whole_text(selector: str, position: int, message: str) -> None:
    with pytest.raises(PatternError) as refused:
        patterns.path_selector(selector)
    assert (refused.value.position, refused.value.message, refused.value.text) == (position, message, selector)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        pytest.param(r"\Q\C{123456789}\E+", r"\C{123456789}}", r"\C{123456789}}", id="quoted text is not looked at"),
        pytest.param(r"\Q\C", r"a\C", r"\C", id="nor is quoted text without an end"),
        pytest.param(r"\\C", r"\C", r"\C", id="an escaped backslash and a letter"),
        pytest.param(r"[]\]C{999999999}(?<é>]+", "](?é", "](?é", id="members of a class are not looked at"),
        pytest.param("a{01}", "a{01}", "a{01}", id="a count with a leading zero is text"),
        pytest.param("[[:alpha:]]+", "1ab", "ab", id="a named class"),
        pytest.param(r"\p{uppercase_letter}", "aB", "B", id="a long name of a Unicode class"),
        pytest.param(r"\p{ L-u }", "aB", "B", id="case, blanks and hyphens do not matter"),
        pytest.param(r"[\p{greek}x]+", "aβx", "βx", id="a script in a class"),
        pytest.param(r"\p{^Lu}", "Ab", "b", id="a negated Unicode class"),
        pytest.param(r"\P{^Lu}", "aB", "B", id="negated twice"),
        pytest.param(r"\PL", "a1", "1", id="one letter, negated"),
        pytest.param(r"\p{Cased_Letter}", "1a", "a", id="cased letters"),
        pytest.param(r"\P{LC}", "a1", "1", id="not cased letters"),
        pytest.param(r"[\p{lc}-]+", "1a-", "a-", id="cased letters in a class"),
        pytest.param(r"\p{ASCII}+", "éab", "ab", id="ASCII"),
        pytest.param(r"\p{Assigned}", "\u0378a", "a", id="assigned"),
        pytest.param(r"\p{Unassigned}", "a\u0378", "\u0378", id="unassigned"),
        pytest.param(r"[\P{Cn}]", "\u0378a", "a", id="not unassigned, in a class"),
        pytest.param(r"\B", "é", "", id="no word boundary, at the start"),
        pytest.param(r"\B", "aé1", None, id="none inside a character"),
        pytest.param(r"\B", "aéé1", "", id="but between two that are no part of a word"),
        pytest.param(r"[\p{greek}x]\p{ASCII}", "éβa", "βa", id="a class and a name behind it"),
        pytest.param(r"\pL{1000}", "a" * 1000, "a" * 1000, id="a size that RE2 takes only with more memory"),
        pytest.param(r"\B", "a💡1é", "", id="but at the end"),
        pytest.param("a", "\ud800a", "a", id="half a surrogate pair in the text"),
        pytest.param("\ufffd", "\udfff", "\ufffd", id="which counts as the replacement character"),
        pytest.param("\ud800+", "\ufffd", "\ufffd", id="in a pattern as well"),
    ],
)
def test_go_and_re2_are_made_to_agree(pattern: str, text: str, found: str | None) -> None:
    regex = patterns.regex(pattern)
    assert (regex.find(text), regex.search(text)) == (found, found is not None)


def test_a_regular_expression_keeps_its_text() -> None:
    assert patterns.regex("a+b").text == "a+b"


def test_a_refused_pattern_leaves_no_trace_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PatternError):
        patterns.regex("a(b")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("(a*)*b", False), ("(a|aa)+$", False), ("(.*a){20}", True), ("(?:a?){50}a{50}", True), ("((a+)+)+c", False)],
)
def test_hostile_patterns_are_searched(pattern: str, *, found: bool) -> None:
    assert bool(patterns.regex(pattern).search("a" * 20_000 + "!")) == found


@given(st.text(max_size=8), st.text(max_size=4), st.text(max_size=4))
def test_a_quoted_text_is_found_where_it_stands(text: str, before: str, after: str) -> None:
    escaped = "".join(f"\\x{{{ord(char):X}}}" for char in text)
    assert patterns.regex(escaped).find(before + text + after) == text


PIECES = ["a", "b", ".", "*", "+", "?", "|", "(a)", "[ab]", "[^a]", "a{2}"]


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.text("ab"))
def test_where_python_takes_a_pattern_of_this_subset_it_agrees(pattern: str, text: str) -> None:
    try:
        python = re.compile(pattern)
        regex = patterns.regex(pattern)
    except (re.error, PatternError):
        return
    assert regex.search(text) == (python.search(text) is not None)


@given(
    st.text() | st.text("ab\\QEpPC{}[]()?P<>,19:^-", max_size=12),
    st.sampled_from(["", "glob:", "regex:", "regexp:"]),
    st.text(),
)
def test_any_text_is_a_selector_or_refused(text: str, prefix: str, path: str) -> None:
    try:
        selectors = [patterns.path_selector(prefix + text), patterns.name_selector(prefix + text)]
    except PatternError as refused:
        position = refused.position
    else:
        position = 0
        assert all(one.matches(path) in (True, False) for one in selectors)
    assert -1 <= position <= len(prefix + text)
