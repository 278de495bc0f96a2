"""What Go refuses for its size alone, at the limits that Go 1.26 was asked about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.errors import PatternError
from kargo_lab.rules import pattern_size, patterns

DEEP, LARGE = "expression nests too deeply", "expression too large"


def nested(opening: str, times: int, closing: str, *, inside: str = "") -> str:
    return opening * times + inside + closing * times


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        pytest.param(nested("(", 999, ")"), None, id="999 groups"),
        pytest.param(nested("(", 1000, ")"), DEEP, id="1000 groups"),
        pytest.param(nested("(", 999, ")", inside="a"), None, id="999 groups around a character"),
        pytest.param(nested("(?P<n>", 1000, ")"), DEEP, id="1000 named groups"),
        pytest.param(nested("(?:", 3000, ")", inside="a"), None, id="groups that capture nothing are no nodes"),
        pytest.param(nested("(?:", 999, ")*"), None, id="999 stars"),
        pytest.param(nested("(?:", 1000, ")*"), DEEP, id="1000 stars"),
        pytest.param(nested("(a|", 300, "b)", inside="c"), None, id="300 groups of three nodes"),
        pytest.param(nested("(a|", 500, "b)", inside="c"), DEEP, id="500 groups of three nodes"),
        pytest.param(nested("(?:.", 3000, ")", inside="x"), None, id="a sequence in a sequence is one"),
        pytest.param(nested("(?:", 3000, "|zz)", inside="x"), None, id="an alternation in an alternation is one"),
        pytest.param(nested("(", 248, ")?c|de", inside="a|bc"), None, id="four nodes 248 times"),
        pytest.param(nested("(", 250, ")?c|de", inside="a|bc"), DEEP, id="four nodes 250 times"),
        pytest.param(nested("(?:", 990, r"|\d)+", inside="x"), DEEP, id="a sequence of one and an alternation"),
        pytest.param(
            nested("(?:", 990, ")+", inside=r"a|\d|b|[c-e]"), None, id="an alternation of characters is a class"
        ),
        pytest.param(nested("(?:", 998, ")+", inside=r"\d|^"), None, id="with an edge it is an alternation"),
        pytest.param(nested("(?:", 999, ")+", inside=r"\d|^"), DEEP, id="which is one node more"),
        pytest.param(nested("(?:", 999, ")+", inside=r"\Qab\E"), None, id="quoted text is one node"),
        pytest.param(nested("(?:", 999, ")+", inside=r"\Qab\Ec\."), None, id="and one with its neighbours"),
        pytest.param(nested("(?:", 999, ")+", inside="(?i)ab"), None, id="flags are no node"),
        pytest.param(nested("(?:", 999, ")+", inside=r"a\b"), DEEP, id="but not with an edge"),
        pytest.param("(" + "|" * 12345 + ")", None, id="an alternation of nothing"),
        pytest.param("(" + "(xx?)" * 1000 + "){1000}", LARGE, id="a thousand times a long sequence"),
        pytest.param("(xx?){1000}" * 1000, LARGE, id="a thousand counts of a thousand"),
        pytest.param("(x{1000})" * 3300, None, id="just below three million"),
        pytest.param("(x{1000})" * 3350, LARGE, id="just above three million"),
        pytest.param("(?:x{1000})" * 3355, None, id="3355 counts of a thousand"),
        pytest.param("x{1000}" * 3355 + "y" * 443, None, id="the limit itself"),
        pytest.param("(?:x{1000})" * 3356, LARGE, id="3356 counts of a thousand"),
        pytest.param("(?:xx+){1000,}" * 1117, None, id="an open count, below"),
        pytest.param("(?:xx+){1000,}" * 1119, LARGE, id="an open count, above"),
        pytest.param("(?:x{0,}){999}" * 1119, None, id="an open count from nothing, below"),
        pytest.param("(?:x{0,}){999}" * 1120, LARGE, id="an open count from nothing, above"),
        pytest.param("(?:x{500,1000})" * 2236, None, id="a count from and to, below"),
        pytest.param("(?:x{500,1000})" * 2237, LARGE, id="a count from and to, above"),
        pytest.param("(?:x|yy*){1000}" * 559, None, id="an alternation, below"),
        pytest.param("(?:x|yy*){1000}" * 560, LARGE, id="an alternation, above"),
        pytest.param(r"\pL" * 25_000, None, id="25,000 Unicode classes"),
        pytest.param(r"\PL" * 27_000, LARGE, id="27,000 Unicode classes"),
    ],
)
def test_a_pattern_is_too_deep_or_too_large(pattern: str, problem: str | None) -> None:
    assert pattern_size.problem(pattern) == problem


@pytest.mark.parametrize(
    ("pattern", "height", "size", "kind"),
    [
        ("abc", 1, 3, "literal"),
        ("a(?i)bc", 1, 3, "literal"),
        (r"a\x{41}\.", 1, 3, "literal"),
        (r"\Qa.c\Ed", 1, 4, "literal"),
        (r"\Qa.c", 1, 3, "literal"),
        (r"\Qa\E", 1, 1, "literal"),
        ("X", 1, 1, "literal"),
        (r"\pL", 1, 1, "class"),
        (".", 1, 1, "class"),
        (r"[a-z]|\d|b", 1, 1, "class"),
        ("ab|c", 2, 4, "alternate"),
        ("a|b|cd", 2, 4, "alternate"),
        ("^", 1, 1, "other"),
        ("^|a", 2, 3, "alternate"),
        (r"a\b", 2, 2, "concat"),
        ("^ab$", 2, 4, "concat"),
        ("(?:a.)b", 2, 3, "concat"),
        ("", 1, 1, "other"),
        ("()", 2, 3, "other"),
        ("(ab)", 2, 4, "other"),
        ("((a))", 3, 5, "other"),
        ("a*", 2, 3, "other"),
        ("a+", 2, 2, "other"),
        ("(?:ab)??", 2, 3, "other"),
        ("a{3}", 2, 3, "other"),
        ("a{0}", 2, 1, "other"),
        ("a{3,}", 2, 4, "other"),
        ("a{0,}", 2, 3, "other"),
        ("(?:ab){2,5}?", 2, 13, "other"),
        ("a(b", 3, 4, "concat"),
        ("a((b", 4, 6, "concat"),
    ],
)
def test_height_and_size_are_those_of_gos_tree(pattern: str, height: int, size: int, kind: str) -> None:
    assert pattern_size._measure(pattern) == pattern_size.Node(height, size, kind)


@pytest.mark.parametrize("letter", "pP")
def test_written_out_classes_have_their_own_limit(letter: str) -> None:
    problems = [pattern_size.problem(f"\\{letter}L" * count) for count in (25_970, 25_971)]
    assert problems == [None, LARGE]


@pytest.mark.parametrize("pattern", ["(" * 2000, ")" * 2000, "*" * 2000, "[" * 2000, "(?i" * 700, "\\Q" * 900 + "\\"])
def test_a_pattern_that_is_none_has_a_size_as_well(pattern: str) -> None:
    assert pattern_size.problem(pattern) in (None, DEEP)


def test_a_pattern_too_deep_is_refused() -> None:
    with pytest.raises(PatternError, match=DEEP) as refused:
        patterns.regex(nested("(", 1000, ")"))
    assert refused.value.text == nested("(", 1000, ")")


@given(st.text("a(|)*?{1,}[]\\QE.", max_size=40))
def test_no_short_pattern_is_looked_at_and_every_long_one_is_measured(text: str) -> None:
    assert pattern_size.problem(text) is None
    assert pattern_size.problem(text + "a" * pattern_size.SHORTEST) is None
