"""Tokens and where they stand (A.2), and what a literal stands for in each release."""

from __future__ import annotations

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules.expressions.lexer import (
    BRACKET,
    BYTES,
    END,
    NAME,
    NUMBER,
    OPERATOR,
    TEXT,
    Token,
    tokens,
)

NOW, BEFORE_BYTES, BEFORE_BRACES = (1, 17, 8), (1, 17, 7), (1, 17, 6)


def read(text: str, version: tuple[int, ...] = NOW) -> list[Token]:
    return list(tokens(text, version))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [(END, "", 0)]),
        ("X", [(NAME, "X", 0), (END, "", 0)]),
        ("Xa == 12", [(NAME, "Xa", 0), (OPERATOR, "==", 3), (NUMBER, "12", 6), (END, "", 7)]),
        ("a[X]", [(NAME, "a", 0), (BRACKET, "[", 1), (NAME, "X", 2), (BRACKET, "]", 3), (END, "", 3)]),
        ("#index", [(OPERATOR, "#", 0), (NAME, "index", 1), (END, "", 5)]),
        ("# index", [(OPERATOR, "#", 0), (NAME, "index", 2), (END, "", 6)]),
        ("#.x", [(OPERATOR, "#", 0), (OPERATOR, ".", 1), (NAME, "x", 2), (END, "", 2)]),
        ("a.X", [(NAME, "a", 0), (OPERATOR, ".", 1), (NAME, "X", 2), (END, "", 2)]),
        (".5", [(NUMBER, ".5", 0), (END, "", 1)]),
        (".55", [(NUMBER, ".55", 0), (END, "", 2)]),
        ("a.5b", None),
        ("1..2", [(NUMBER, "1", 0), (OPERATOR, "..", 1), (NUMBER, "2", 3), (END, "", 3)]),
        ("1.5e-3", [(NUMBER, "1.5e-3", 0), (END, "", 5)]),
        ("B'a'", [(BYTES, "a", 0), (END, "", 3)]),
        ('b"\\x41é"', [(BYTES, "AÃ©", 0), (END, "", 7)]),
        ("X'a'", [(NAME, "X", 0), (TEXT, "a", 1), (END, "", 3)]),
        ("'a' // x\n1", [(TEXT, "a", 0), (NUMBER, "1", 9), (END, "", 9)]),
        ("/* x */ 1", [(NUMBER, "1", 8), (END, "", 8)]),
        ("`a``b`", [(TEXT, "a`b", 0), (END, "", 5)]),
        ("_$x", [(NAME, "_$x", 0), (END, "", 2)]),
    ],
)
def test_a_text_is_split_into_tokens(text: str, found: list[tuple[str, str, int]] | None) -> None:
    if found is None:
        with pytest.raises(ExpressionError, match="bad number syntax"):
            read(text)
    else:
        assert read(text) == [Token(*one) for one in found]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'a\\tb'", "a\tb"),
        ("'\\101'", "A"),
        ("'\\u00e9\\U000000e9\\u{e9}'", "ééé"),
        ("'\\uD7FF'", "\ud7ff"),
        ("'\\uD800'", "\ufffd"),
        ("'\\uDFFF'", "\ufffd"),
        ("'\\uE000'", "\ue000"),
        ("'x\ud800'", "x\ufffd"),
        ("'a\rb'", "a\nb"),
        ("'é'", "é"),
    ],
)
def test_a_literal_stands_for(literal: str, value: str) -> None:
    assert read(literal)[0] == Token(TEXT, value, 0)


@pytest.mark.parametrize(
    ("text", "version", "found"),
    [
        pytest.param("`a``b`", BEFORE_BYTES, [(TEXT, "a`b", 0)], id="two backticks are one in 1.17.7"),
        pytest.param("`a``b`", BEFORE_BRACES, [(TEXT, "a", 0), (TEXT, "b", 3)], id="and two texts before"),
        pytest.param("'\\u{41}'", BEFORE_BYTES, [(TEXT, "A", 0)], id="braces since 1.17.7"),
        pytest.param("b'a'", BEFORE_BYTES, [(NAME, "b", 0), (TEXT, "a", 1)], id="no bytes before 1.17.8"),
    ],
)
def test_releases_read_differently(text: str, version: tuple[int, ...], found: list[tuple[str, str, int]]) -> None:
    assert read(text, version)[:-1] == [Token(*one) for one in found]


@pytest.mark.parametrize(
    ("text", "version", "position", "message"),
    [
        ("x `a", NOW, 4, "literal not terminated"),
        ("x 'a", NOW, 4, "literal not terminated"),
        ("x 'a\\q'", NOW, 4, "invalid char escape"),
        ("'\\u{41}'", BEFORE_BRACES, 0, "unable to unescape string"),
        ("'\\400'", NOW, 0, "unable to unescape string"),
        ("b'\\u0041'", NOW, 1, "unable to unescape string"),
        ("'\\U00110000'", NOW, 0, "unable to unescape string"),
        ("1 /* x", NOW, 6, "unclosed comment"),
        ("a ~", NOW, 2, "unrecognized character U+007E"),
        ("12x", NOW, 2, "bad number syntax"),
    ],
)
def test_what_is_no_token_is_pointed_at(text: str, version: tuple[int, ...], position: int, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        read(text, version)
    assert (refused.value.position, refused.value.message, refused.value.text) == (position, message, text)
