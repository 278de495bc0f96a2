"""Whatever leaves the package as an error has its words, the text it is about, and its stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import LIMITS, PLAIN, Function, Limits, Program


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


DEEP = nested(5000)
SHOWN = "x" * 150


@pytest.mark.parametrize(
    ("refuse", "message", "text"),
    [
        pytest.param(lambda: expressions.accepted(SHOWN), "the result is no boolean", SHOWN[:100], id="a filter"),
        pytest.param(lambda: expressions.matched(SHOWN), "the result is not a boolean", SHOWN[:100], id="when"),
        pytest.param(lambda: expressions.json_of(float("nan")), "json: unsupported value: NaN", "", id="no JSON"),
        pytest.param(lambda: expressions.plain_of(Function("f", len)), "json: unsupported type: func", "", id="plain"),
        pytest.param(lambda: expressions.text_of(DEEP), "the value is nested too deeply", "", id="a deep value"),
        pytest.param(
            lambda: expressions.compile("toJSON(xs)").run({"xs": DEEP}),
            "the value is nested too deeply",
            "toJSON(xs)",
            id="a deep value in an evaluation",
        ),
    ],
)
def test_a_value_is_refused_at_run_time(refuse: Callable[[], object], message: str, text: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        refuse()
    error = refused.value
    assert (error.stage, error.message, error.text, error.position) == ("run", message, text, -1)


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (RecursionError, "the value is nested too deeply"),
        (MemoryError, "the value is too large"),
        (OverflowError, "the value is too large"),
    ],
)
def test_what_python_cannot_hold_is_an_expression_error(cause: type[Exception], message: str) -> None:
    def exhausted(_: object) -> None:
        raise cause

    with pytest.raises(ExpressionError) as refused:
        Program("x", PLAIN, LIMITS, exhausted, 0).run()
    assert (refused.value.stage, refused.value.message, refused.value.text) == ("run", message, "x")


@pytest.mark.parametrize(
    ("text", "limits", "message", "shown", "position"),
    [
        ("1 + 11", Limits(characters=5), "the expression is longer than 5 characters", "1 + 11", -1),
        ("1" * 200, Limits(characters=5), "the expression is longer than 5 characters", "1" * 100, -1),
        ("[1, 2]", Limits(nodes=2), "the expression has more than 2 nodes", "[1, 2]", 0),
        ("((1))", Limits(nesting=2), "the expression is nested too deeply", "((1))", 2),
        ("a.b.c", Limits(depth=2), "the expression is nested too deeply", "a.b.c", 4),
    ],
)
def test_a_limit_of_the_text_is_a_compile_error(
    text: str, limits: Limits, message: str, shown: str, position: int
) -> None:
    with pytest.raises(ExpressionError) as refused:
        expressions.compile(text, limits=limits)
    error = refused.value
    assert (error.stage, error.message, error.text, error.position) == ("compile", message, shown, position)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("1 + 1", Limits(characters=5)),
        ("[1, 2]", Limits(nodes=3)),
        ("((1))", Limits(nesting=3)),
        ("a.b.c", Limits(depth=3)),
    ],
)
def test_the_limit_itself_is_fine(text: str, limits: Limits) -> None:
    expressions.compile(text, limits=limits)


def test_a_compiler_out_of_stack_names_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any, **__: Any) -> None:
        raise RecursionError

    monkeypatch.setattr(expressions, "check", exhausted)
    with pytest.raises(ExpressionError) as refused:
        expressions.compile("1")
    assert (refused.value.stage, refused.value.message, refused.value.text) == (
        "compile",
        "the expression is nested too deeply",
        "1",
    )


def test_no_variable_stands_in_for_a_declared_function() -> None:
    program = expressions.compile("quote('x')", environment=expressions.template_environment(("quote",)))
    with pytest.raises(ExpressionError, match="quote was not given"):
        program.run({"quote": Function("quote", str, (str,))})


def test_a_text_that_is_no_boolean_is_named() -> None:
    with pytest.raises(ValueError, match=r"\Ayes\Z"):
        expressions.parse_boolean("yes")


def test_a_text_that_is_no_float_is_named() -> None:
    for text in ("x", "1__0", "1e999", "0x1p99999"):
        with pytest.raises(ValueError) as refused:  # noqa: PT011  (the text is looked at below)
            expressions.parse_float(text)
        assert refused.value.args == (text,)


def test_now_takes_nothing_but_a_place_where_the_checker_does_not_look_either() -> None:
    with pytest.raises(ExpressionError) as refused:
        expressions.compile("x.f(now(1))").run({"x": {}})
    assert (refused.value.message, refused.value.position) == ("now takes nothing but a place", 4)
