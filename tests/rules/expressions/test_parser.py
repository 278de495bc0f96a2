"""What is no expression, and where; and how the parts of one hang together."""

from __future__ import annotations

from typing import Any

import pytest

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import expressions
from kargo_lab.rules.expressions import Limits


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("1 +", 2, "unexpected end of the expression"),
        ("(1]", 2, "unexpected bracket ']'"),
        ("[1)", 2, "unexpected bracket ')'"),
        ("[1; 2]", 2, "unexpected operator ';'"),
        ("a[1)", 3, "unexpected bracket ')'"),
        ("a[1;2]", 3, "unexpected operator ';'"),
        ("a[1:)", 4, "unexpected bracket ')'"),
        ("a[1:2)", 5, "unexpected bracket ')'"),
        ("len(1]", 5, "unexpected bracket ']'"),
        ("f(1; 2)", 3, "unexpected operator ';'"),
        ("x | len[1]", 7, "unexpected bracket '['"),
        ("x | map[1]", 7, "unexpected bracket '['"),
        ("map(x, 1]", 8, "unexpected bracket ']'"),
        ("map(x; 1)", 5, "unexpected operator ';'"),
        ("map(x, 1, 2)", 10, "unexpected number '2'"),
        ("{a: 1]", 5, "unexpected bracket ']'"),
        ("{a: 1; b: 2}", 5, "unexpected operator ';'"),
        ("{a: 1,]", 6, None),
        ("{a, 1}", 2, "unexpected operator ','"),
        ("{[a]: 1}", 1, None),
        ("sortBy(x, #, 'asc' ;)", 19, "unexpected operator ';'"),
        ("let x + 1; 2", 6, "unexpected operator '+'"),
        ("let x = 1, 2", 9, "unexpected operator ','"),
        ("if t {1} + {2}", 9, "unexpected operator '+'"),
        ("if t (1) else {2}", 9, "unexpected operator 'else'"),
        ("if t {1) else {2}", 7, "unexpected bracket ')'"),
        ("if t {1} else (2)", 14, "unexpected bracket '('"),
        ("if t {1} else not {2}", 14, "unexpected operator 'not'"),
        ("t ? 1 , 2", 6, "unexpected operator ','"),
        ("x?.(1)", 3, "expected name"),
        ("a.+b", 2, None),
        ("* len(1)", 0, "unexpected operator '*'"),
        (")", 0, "unexpected bracket ')'"),
        ("map(x, 1) == #", 13, "unexpected operator '#'"),
        ("map(x, map(#, 1)) == #", 21, "unexpected operator '#'"),
        ("a not b", 6, "unexpected name 'b'"),
        ("0x", 0, "invalid integer literal"),
        ("1 + 0o8", 6, "bad number syntax"),
        ("0b1.5", 0, "invalid float literal"),
        ("1E", 0, "invalid float literal"),
        ("1e999", 0, "invalid float literal"),
        ("2 + 9223372036854775808", 4, "integer literal is too large"),
        ("1" * 5000, 0, "integer literal is too large"),
        ("0" * 5000 + "1" * 20, 0, "integer literal is too large"),
    ],
)
def test_what_is_no_expression_is_pointed_at(text: str, position: int, message: str | None) -> None:
    with pytest.raises(ExpressionError) as refused:
        expressions.compile(text)
    error = refused.value
    assert (error.stage, error.position) == ("compile", position)
    assert message in (None, error.message)


VARIABLES: dict[str, Any] = {"t": True, "x": [[1], [2]], "m": {"in": 5, "not": 6, "a": {"b": 7}}, "n": None}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("::len(x)", 2),
        ("m.in", 5),
        ("m?.not", 6),
        ("m?.a?.b", 7),
        ("n?.a.b.c", None),
        ('m?.["a"]?.["b"]', 7),
        ("map(x, map(#, # + len(x)))", [[3], [4]]),
        ("not t == false", True),
        ("not (t and t)", False),
        ("t and not false", True),
        ("1 not in [1]", False),
        ("t and 1 not in [1]", False),
        ("1 < 2 < 3", True),
        ("3 > 2 > 2", False),
        ("1 < 2 == true", True),
        ("1 + 2 * 3 - 4", 3),
        ("10 - 4 - 3", 3),
        ("2 ** 3 ** 2", 512.0),
        ("-2 ** 2", -4.0),
        ("1..3 == [1, 2, 3]", True),
        ("n ?? n ?? 3", 3),
        ("1 in [1] and 2 in [2]", True),
        ('"ab" startsWith "a" == true', True),
        ("0x1F + 0b11 + 0o17", 49),
        ("0xE5", 229),
        ("1_000", 1000),
        ("1.5e1", 15.0),
        ("1; 2;", 2),
        ("let p = 1; let q = 2; p + q", 3),
        ("if n == nil {1} else if t {2} else {3}", 1),
        ("t ? n == 1 ? 1 : 2 : 3", 2),
        ("t ?: 4", True),
        ('{a: 1, "b": 2, 3: 4, ("c"): 5,}', {"a": 1, "b": 2, "3": 4, "c": 5}),
        ("[1, 2,]", [1, 2]),
        ("x | map(#[0]) | sum()", 3),
        ("[1, 2, 3][0:(1)]", [1]),
    ],
)
def test_the_parts_of_an_expression_hang_together(text: str, value: Any) -> None:
    assert expressions.compile(text).run(VARIABLES) == value


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("1", 1),
        ("[1, 2]", 3),
        ("1 + 2 + 3", 5),
        ("a.b", 3),
        ("a?.b", 4),
        ("f(1)", 3),
        ("map(a, #)", 4),
        ("let x = 1; x", 3),
        ("1; 2", 3),
        ("a ? 1 : 2", 4),
        ("if a {1} else {2}", 3),
        ("{a: 1}", 4),
        ("a not in b", 4),
        ("1 < 2 < 3", 6),
        ("(let x = 1; x) + len([1, 2])", 8),
        ("(if a {1} else {2}) + len([1, 2])", 8),
    ],
)
def test_so_many_nodes_are_counted(text: str, nodes: int) -> None:
    expressions.compile(text, limits=Limits(nodes=nodes))
    with pytest.raises(ExpressionError, match=f"more than {nodes - 1} nodes"):
        expressions.compile(text, limits=Limits(nodes=nodes - 1))


@pytest.mark.parametrize(
    ("text", "nesting"),
    [
        ("1", 1),
        ("(1)", 2),
        ("1 + 2", 2),
        ("((1)) + (2)", 3),
        ("[[1], [2]]", 3),
        ("f(g(1))", 3),
        ("[[1], [[2]]]", 4),
        ("[[[1], [[2]]]]", 5),
    ],
)
def test_so_deep_is_the_nesting(text: str, nesting: int) -> None:
    expressions.compile(text, limits=Limits(nesting=nesting))
    with pytest.raises(ExpressionError, match="nested too deeply"):
        expressions.compile(text, limits=Limits(nesting=nesting - 1))


def test_a_text_may_be_as_long_as_its_limit() -> None:
    assert expressions.compile("1 + 1", limits=Limits(characters=5)).run() == 2


@pytest.mark.parametrize(
    ("text", "depth", "position"),
    [
        ("a.b.c + 1", 2, 4),
        ("a < b < c", 2, 6),
        ("let x = a; b[x]", 2, 4),
        ("{a: b[c]}", 2, 0),
        ("{a: 1}", 0, 1),
        ("a?.b + 1", 2, 3),
        ("a?.[b] + 1", 2, 3),
        ("1; 2", 1, 0),
    ],
)
def test_the_node_that_is_too_deep_is_pointed_at(text: str, depth: int, position: int) -> None:
    with pytest.raises(ExpressionError) as refused:
        expressions.compile(text, limits=Limits(depth=depth))
    assert (refused.value.message, refused.value.position) == ("the expression is nested too deeply", position)


def test_if_may_follow_else_since_1_17_7() -> None:
    text = "if false {1} else if true {2} else {3}"
    assert expressions.compile(text, version="1.17.7").run() == 2
    with pytest.raises(ExpressionError, match="unexpected operator 'if'"):
        expressions.compile(text, version="1.17.6")
