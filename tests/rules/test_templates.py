"""Templates of the generic receiver: the executed vectors, and what they do not reach."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions, templates, urls
from kargo_lab.rules.expressions.natures import STRING, function

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "generic-templates.json").read_text())
KINDS = {float: "number", bool: "boolean", type(None): "null", dict: "object", list: "list"}


def floats(value: Any) -> Any:
    """JSON's numbers as Go decodes them."""
    if isinstance(value, dict):
        return {key: floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [floats(item) for item in value]
    return float(value) if type(value) is int else value


def variables(body: Any = None, **record: Any) -> dict[str, Any]:
    return expressions.request_variables(
        body=floats(body),
        headers=[(name, value) for name, found in record.get("headers", {}).items() for value in found],
        query=record.get("query", ""),
        parameters=record.get("params", {}),
        normalize_git=urls.normalize_git,
        normalize_image=urls.normalize_image,
        normalize_chart=urls.normalize_chart,
    )


def outcome(record: dict[str, Any]) -> Any:
    """The text, or what kind of error the action ends in."""
    functions = ("quote", "unsafeQuote") if record["until"] else ("quote", "unsafeQuote", "asYAML", "asJSON")
    try:
        value = templates.evaluate(record["template"], variables(**record), functions=functions)
    except ExpressionError:
        return "evaluation"
    return value if isinstance(value, str) else ("kind", KINDS[type(value)])


@pytest.mark.parametrize(
    "record", [pytest.param(record, id=ascii([record["template"], record["until"]])) for record in RECORDS]
)
def test_a_template_gives_what_kargos_gave(record: dict[str, Any]) -> None:
    expected = record.get("value")
    if record["error"]:
        expected = "evaluation" if record["errorKind"] == "evaluation" else ("kind", record["errorKind"])
    assert outcome(record) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("x${% 1 %}${{ 2 }}", "x12", id="the opening that comes first is taken first"),
        pytest.param("${% '${{ 1 }}' %}", "${{ 1 }}", id="what an expression gives is not evaluated again"),
        pytest.param(
            '${{ quote("\\u200b\\x01\\U000E0001") }}', "\\u200b\\x01\\U000e0001", id="quote escapes as Go does"
        ),
        pytest.param('${{ quote("é"[:1]) }}', "\\xc3", id="quote escapes a stray byte"),
        pytest.param("${{ asYAML({b: 1.0, a: [1, {c: nil}], e: {}, f: []}) }}", None, id="asYAML of a map is YAML"),
        pytest.param('${{ "é"[:1] }}', "\udcc3", id="half a character stays half a character"),
    ],
)
def test_a_template_evaluates(text: str, value: str | None) -> None:
    expected = "a:\n    - 1\n    - c: null\nb: 1\ne: {}\nf: []\n" if value is None else value
    assert templates.evaluate(text, {}) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"', '"'),
        ('""', ""),
        ('"a"\n', "a\n"),
        ('""\n', "\n"),
        ("1\n", 1.0),
        ("T", True),
        ("null", None),
        ('["\udcff"]', ["\ufffd"]),
        ("[1", "[1"),
        ("\ud800", "\ud800"),
    ],
)
def test_a_finished_text_has_a_type(text: str, value: Any) -> None:
    found = templates.typed(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("character", "quoted"),
    [
        ("\udc80", "\\x80"),
        ("\udcff", "\\xff"),
        ("\x7f", "\\x7f"),
        ("\x80", "\\u0080"),
        ("\uffff", "\\uffff"),
        ("\U000e0001", "\\U000e0001"),
        ("\a\b\f\v", "\\a\\b\\f\\v"),
        ('"\\', '\\"\\\\'),
        ("é", "é"),
    ],
)
def test_quote_escapes_what_cannot_be_printed(character: str, quoted: str) -> None:
    assert templates.evaluate("${{ quote(a) }}", {"a": character}) == quoted


def test_an_expression_without_an_end_is_pointed_at() -> None:
    with pytest.raises(ExpressionError) as refused:
        templates.evaluate("ab ${% 1 }}", {})
    error = refused.value
    assert (error.message, error.text, error.position) == (
        "unclosed expression: expected %} before the end",
        "ab ${% 1 }}",
        3,
    )


def test_a_template_takes_the_moment_and_the_release() -> None:
    assert templates.evaluate("${{ now().Year() }}", {}, now=datetime(2031, 1, 1, tzinfo=UTC)) == 2031.0
    assert templates.evaluate('${{ string(b"ab") }}', {}) == "[97 98]"
    with pytest.raises(ExpressionError):
        templates.evaluate('${{ string(b"ab") }}', {}, version="1.17.7")


def test_further_functions_stand_beside_those_of_a_template() -> None:
    declared = expressions.Environment(name="steps", functions={"shout": (function(STRING, result=STRING),)})
    calls = {"shout": expressions.Function("shout", str.upper, (str,))}
    assert templates.evaluate("${{ quote(shout('1')) }}", {}, environment=declared, calls=calls) == "1"
    with pytest.raises(ExpressionError, match="cannot use int as argument"):
        templates.evaluate("${{ shout(1) }}", {}, environment=declared, calls=calls)


def test_expressions_in_a_template_have_limits_too() -> None:
    with pytest.raises(ExpressionError, match="more than 2 nodes"):
        templates.evaluate("${{ 1 + 1 }}", {}, limits=expressions.Limits(nodes=2))


def test_a_template_may_be_as_long_as_its_limit() -> None:
    limits = expressions.Limits(text=4)
    assert templates.evaluate("x${{ a }}", {"a": "bcd"}, limits=limits) == "xbcd"
    with pytest.raises(ExpressionError) as refused:
        templates.evaluate("x${{ a }}y${{ a }}", {"a": "bcd"}, limits=limits)
    error = refused.value
    assert (error.stage, error.message, error.text) == (
        "run",
        "the template makes a text longer than 4 characters",
        "x${{ a }}y${{ a }}",
    )


def test_a_template_is_bounded() -> None:
    with pytest.raises(ExpressionError, match="longer than"):
        templates.evaluate("${{ a }}" * 3, {"a": "x" * 500}, limits=expressions.Limits(text=1000))


def test_a_function_is_no_json() -> None:
    with pytest.raises(ExpressionError, match="unsupported type"):
        templates.evaluate("${{ request.header }}", variables())


@given(st.text(alphabet=st.characters()) | st.text(alphabet="${%} a1\"'[]().\n"))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_value_or_an_expression_error(text: str) -> None:
    try:
        value = templates.evaluate(text, {"a": [1.0]})
    except ExpressionError as error:
        value = str(error)
    assert value is None or isinstance(value, str | float | bool | list | dict)
