"""What an evaluation costs, by the three measures that bound it.

A row of `expression-costs.json` holds an expression and the least steps, memory and length of text with
which it is evaluated. Memory counts as expr-lang does, and as there the limit itself is too much; steps and
text are this package's own measures.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import Limits, layouts

ROWS = json.loads((Path(__file__).parents[2] / "data" / "expression-costs.json").read_text())
VARIABLES: dict[str, Any] = {
    "xs": [3, 1, 2],
    "ys": [[1, 2], [3, [4, 5]]],
    "s": "a" * 640,
    "t": "a,b,c",
    "m": {"k": 1, "l": 2},
    "o": [{"v": 1}, {"v": 2}],
    "w": ["x", "y", "z"],
    "f": False,
    "c": ",",
}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MESSAGES = {
    "steps": "the evaluation takes more than {} steps",
    "memory": "memory budget exceeded",
    "text": "the evaluation makes a text longer than {} characters",
}
CASES = [
    pytest.param(text, measure, least, id=ascii(f"{text[:50]}: {measure} {least}"))
    for text, *costs in ROWS
    for measure, least in zip(MESSAGES, costs, strict=True)
]


@pytest.mark.parametrize(("text", "measure", "least"), CASES)
def test_an_evaluation_needs_that_much(text: str, measure: str, least: int) -> None:
    expressions.compile(text, limits=Limits(**{measure: least})).run(VARIABLES, now=NOON)


@pytest.mark.parametrize(("text", "measure", "least"), [case for case in CASES if case.values[2]])
def test_and_is_stopped_with_one_less(text: str, measure: str, least: int) -> None:
    program = expressions.compile(text, limits=Limits(**{measure: least - 1}))
    with pytest.raises(ExpressionError) as stopped:
        program.run(VARIABLES, now=NOON)
    error = stopped.value
    assert (error.stage, error.message) == ("run", MESSAGES[measure].format(least - 1))


GUESSED = len(layouts.GUESSED)


@pytest.mark.parametrize(
    ("text", "wrong", "characters"),
    [
        pytest.param("2024-01-02", 0, 10, id="the first layout fits"),
        pytest.param(
            "2024-01-02T10:00:00Z", layouts.GUESSED.index("2006-01-02T15:04:05Z07:00"), 20, id="a later one fits"
        ),
        pytest.param("x", GUESSED, 1, id="none fits"),
    ],
)
def test_each_wrong_guess_at_a_date_is_paid_for(text: str, wrong: int, characters: int) -> None:
    """A built-in, a date with its characters, and the guesses."""
    least = 10 + 50 + 5 * characters + 50 * wrong
    program = expressions.compile("date(s)", limits=Limits(steps=least - 1))
    with pytest.raises(ExpressionError, match=f"more than {least - 1} steps"):
        program.run({"s": text})
    enough = expressions.compile("date(s)", limits=Limits(steps=least))
    if wrong < GUESSED:
        enough.run({"s": text})
    else:
        with pytest.raises(ExpressionError, match="invalid date x"):
            enough.run({"s": text})


@pytest.mark.parametrize(
    "text",
    [
        'all(xs, date(#.at).Year() == 2024 and #.name matches "^n[0-9]+$")',
        "len(sortBy(xs, #.at)) == 4000 and len(groupBy(xs, #.name[0:2])) > 1",
        'count(xs, date(#.at).Format("2006-01") == "2024-01") == 4000',
        'all(xs, len(split(#.text, ",")) > 1 and trim(upper(#.name)) != lower(#.text))',
        "len(fromJSON(toJSON(xs))) == 4000",
        'any(map(xs, #.name), # == "n3999") and "n12" in map(xs, #.name)',
    ],
)
def test_a_payload_of_a_megabyte_is_within_the_limits(text: str) -> None:
    rows = [{"name": f"n{n}", "at": "2024-01-02T10:00:00Z", "text": "a," * 100} for n in range(4000)]
    assert expressions.compile(text).run({"xs": rows})


@pytest.mark.parametrize(
    ("text", "least"),
    [
        pytest.param('u + "b"', 1000 // 8 + 1001 // 32, id="beyond ASCII, texts are put together as bytes"),
        pytest.param('x + "b"', 5 * 1000 + 1001 // 32, id="stray bytes cost most"),
        pytest.param("upper(u)", 10 + 1000 // 32 + 5 * 1000, id="characters beyond ASCII are looked at one by one"),
        pytest.param("u[1]", 1000 // 8, id="a byte of a text"),
        pytest.param("get(u, 1)", 10 + 1000 // 8, id="got"),
        pytest.param("first(u)", 10 + 1000 // 8, id="first"),
        pytest.param("xs[1:]", 1000 // 8, id="a part of a list"),
        pytest.param("take(xs, 1)", 10 + 1000 // 8, id="taken"),
        pytest.param("trim(u, u)", 10 + 1000 // 32 * 2 + 1000 * 1000 // 32, id="each character among all others"),
        pytest.param("u matches p", 100 + 10 + 5 * 11 + 1000 // 32 + 40 * 2 * 600, id="repeats in repeats"),
        pytest.param("u matches q", 100 + 10 + 5 * 12 + 1000 // 32 + 40 * 2 * 1000, id="more than RE2 allows"),
    ],
)
def test_the_size_of_what_is_read_is_paid_for(text, least):
    variables = {
        "u": "\u00e9" * 1000,
        "x": "\udc80" * 1000,
        "xs": [0] * 1000,
        "p": "(\u00e9{20}){30}",
        "q": "x{999}y{999}",
    }

    def run(steps: int) -> None:
        expressions.compile(text, limits=Limits(steps=steps)).run(variables)

    run(least)
    with pytest.raises(ExpressionError, match="steps"):
        run(least - 1)


@pytest.mark.parametrize(
    ("text", "part", "place"),
    [("abcabc", "bc", 4), ("abc", "", 3), ("", "", 0), ("\u00e9a", "a", 2), ("a", "b", -1), ("aaa", "aa", 1)],
)
def test_the_last_occurrence_is_found_backwards(text, part, place):
    assert expressions.compile("lastIndexOf(a, b)").run({"a": text, "b": part}) == place


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("1", 1),
        ("[]", 1),
        ("{}", 1),
        ("-a[b]", 3),
        ("a[b] + c", 3),
        ("a + b[c]", 3),
        ("a + b + c + d", 2),
        ("a + (b + c)", 3),
        ("a < b < c", 3),
        ("a.b", 2),
        ("a?.b", 3),
        ("a?.b.c", 4),
        ("a?.b?.c", 4),
        ("a[b[c]]", 3),
        ("a[b[c]][d]", 4),
        ("a[b:c]", 2),
        ("a[b][c:d]", 3),
        ("a[b[c]:d]", 3),
        ("a[b:c[d]]", 3),
        ("a[b[c]:]", 3),
        ("a[:b[c]]", 3),
        ("f(a[b])", 3),
        ("f(a, b[c])", 3),
        ("a.f(b)", 3),
        ("len(a[b])", 3),
        ("split(a, b[c])", 3),
        ("map(a[b], c)", 3),
        ("map(a, b[c])", 4),
        ("map(a, #.b.c)", 5),
        ("sum(a, b[c])", 4),
        ("reduce(a, b, c[d])", 3),
        ("a | len()", 2),
        ("let x = a[b]; c", 4),
        ("let x = a; b[x]", 3),
        ("let x = a; b[c[x]]", 4),
        ("let x = a; let y = b[c]; d", 4),
        ("let x = a; let y = b; c", 3),
        ("a; b[c]", 3),
        ("a[b]; c", 3),
        ("a[b] ? c : d", 3),
        ("a ? b[c] : d", 3),
        ("a ? b : c[d]", 3),
        ("a ? b : c ? d : e", 2),
        ("a ? b : c ? d : e[f]", 3),
        ("[a ? b : c ? d[e] : f]", 4),
        ("if a {b} else {c}", 2),
        ("if a {b} else if c {d} else {e}", 2),
        ("[a, b[c]]", 3),
        ("[a[b], c]", 3),
        ("{a: b[c]}", 4),
        ("{(a[b]): c}", 4),
        ("{a: b, c: d[e]}", 4),
        ("sum([a, b, c])", 3),
        ("sum([a, b[c], d])", 4),
        ("!a", 2),
        ("not (a in b[c])", 4),
        ("a not in b[c]", 4),
        ("a ?? b ?? c", 2),
        ("a matches b", 2),
        ("a..b", 2),
        ("a + b + c[d]", 3),
        ("a + b[c] + d", 3),
        ("a[x] ? b : c ? d : e", 3),
        ("a ? b[x] : c ? d : e", 3),
        ("a ? b : c[x] ? d : e", 3),
        ("a ? b : c ? d[x] : e", 3),
    ],
)
def test_a_tree_is_so_deep(text: str, depth: int) -> None:
    """Chains of operators, of `else` and of `let` count once; everything else is a level."""
    expressions.compile(text, limits=Limits(depth=depth))
    with pytest.raises(ExpressionError, match="the expression is nested too deeply"):
        expressions.compile(text, limits=Limits(depth=depth - 1))
