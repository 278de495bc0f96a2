"""Reads tokens into a tree (A.3, A.4): precedence climbing, with the language's own oddities.

Chains of `let` and of `else` are read in loops, so that only true nesting is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from kargo_lab.errors import ExpressionError
from kargo_lab.rules.expressions import nodes
from kargo_lab.rules.expressions.lexer import (
    BRACKET,
    BYTES,
    END,
    NAME,
    NEGATABLE,
    NUMBER,
    OPERATOR,
    TEXT,
    Token,
    tokens,
    word_character,
)
from kargo_lab.rules.expressions.limits import Limits
from kargo_lab.rules.expressions.values import MAX_INT

UNARY: Mapping[str, int] = MappingProxyType({"not": 50, "!": 50, "-": 90, "+": 90})
BINARY: Mapping[str, int] = MappingProxyType(
    {"|": 0, "or": 10, "||": 10, "and": 15, "&&": 15, "..": 25, "+": 30, "-": 30, "*": 60, "/": 60, "%": 60}
    | {"**": 100, "^": 100, "??": 500}
    | dict.fromkeys(["==", "!=", "<", ">", ">=", "<=", *NEGATABLE], 20)
)
COMPARISONS = frozenset({"<", ">", "<=", ">="})
_RIGHT = frozenset({"**", "^"})

# What each built-in with a predicate takes: e an expression, p a predicate; capitals may be absent.
PREDICATES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ["all", "none", "any", "one", "filter", "map", "find", "findIndex", "findLast", "findLastIndex"], "ep"
    )
    | {"groupBy": "ep", "count": "eP", "sum": "eP", "sortBy": "epE", "reduce": "epE"}
)
BUILTINS = frozenset(PREDICATES) | frozenset(
    (
        "len",
        "type",
        "abs",
        "ceil",
        "floor",
        "round",
        "int",
        "float",
        "string",
        "trim",
        "trimPrefix",
        "trimSuffix",
        "upper",
        "lower",
        "split",
        "splitAfter",
        "replace",
        "repeat",
        "join",
        "indexOf",
        "lastIndexOf",
        "hasPrefix",
        "hasSuffix",
        "max",
        "min",
        "mean",
        "median",
        "toJSON",
        "fromJSON",
        "toBase64",
        "fromBase64",
        "now",
        "duration",
        "date",
        "timezone",
        "first",
        "last",
        "get",
        "take",
        "keys",
        "values",
        "toPairs",
        "fromPairs",
        "reverse",
        "uniq",
        "concat",
        "flatten",
        "sort",
        "bitand",
        "bitor",
        "bitxor",
        "bitnand",
        "bitshl",
        "bitshr",
        "bitushr",
        "bitnot",
    )
)

_INTEGER = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[0-9]+")
_FLOAT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BASES = {"0x": 16, "0o": 8, "0b": 2}

SomeNode = TypeVar("SomeNode", bound=nodes.Node)


def parse(text: str, *, version: tuple[int, ...], limits: Limits) -> nodes.Node:
    """The tree of `text`; an ExpressionError points at what could not be read."""
    if len(text) > limits.characters:
        raise ExpressionError(f"the expression is longer than {limits.characters} characters", text[:100])
    parser = _Parser(text, version, limits)
    tree = parser.sequence()
    parser.expect(END)
    return tree


class _Parser:
    """The state of one reading: the current token, and how much was read so far."""

    def __init__(self, text: str, version: tuple[int, ...], limits: Limits) -> None:
        self.text, self.version, self.limits = text, version, limits
        self.stream = tokens(text, version)
        self.stash: Token | None = None
        self.token = next(self.stream)
        self.nodes = self.nesting = self.predicates = 0

    # Tokens.

    def error(self, message: str, position: int | None = None) -> ExpressionError:
        return ExpressionError(message, self.text, self.token.position if position is None else position)

    def unexpected(self) -> ExpressionError:
        return self.error(f"unexpected {self.token}")

    def advance(self) -> Token:
        before = self.token
        if self.stash is not None:
            self.token, self.stash = self.stash, None
        else:
            self.token = next(self.stream, self.token)
        return before

    def at(self, kind: str, *texts: str) -> bool:
        return self.token.kind == kind and (not texts or self.token.text in texts)

    def expect(self, kind: str, *texts: str) -> Token:
        if not self.at(kind, *texts):
            raise self.unexpected()
        return self.advance()

    def made(self, node: SomeNode) -> SomeNode:
        """Count a new node against the limits."""
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            raise self.error(f"the expression has more than {self.limits.nodes} nodes", node.position)
        if node.depth > self.limits.depth:
            raise self.error("the expression is nested too deeply", node.position)
        return node

    # Expressions, from the weakest binding to the strongest.

    def sequence(self) -> nodes.Node:
        items = [self.expression()]
        while self.at(OPERATOR, ";"):
            self.advance()
            if self.at(END):
                break
            items.append(self.expression())
        return items[0] if len(items) == 1 else self.made(nodes.Sequence(items[0].position, items))

    def expression(self, rank: int = 0) -> nodes.Node:
        self.nesting += 1
        if self.nesting > self.limits.nesting:
            raise self.error("the expression is nested too deeply")
        if rank == 0 and self.at(OPERATOR, "let"):
            result = self.let()
        elif rank == 0 and self.at(OPERATOR, "if"):
            result = self.condition()
        elif rank == 0:
            result = self.ternary()
        else:
            result = self.binary(rank)
        self.nesting -= 1
        return result

    def let(self) -> nodes.Node:
        bindings: list[nodes.Binding] = []
        while self.at(OPERATOR, "let"):
            self.advance()
            name = self.expect(NAME)
            if not self.at(OPERATOR, "="):
                raise self.unexpected()
            self.advance()
            value = self.expression()
            self.expect(OPERATOR, ";")
            bindings.append(self.made(nodes.Binding(name.position, name.text, value)))
        body = self.sequence()
        return self.checked(nodes.Let(bindings[0].position, bindings, body))

    def checked(self, node: SomeNode) -> SomeNode:
        """A node that upstream does not count, but that may still be too deep."""
        self.nodes -= 1
        return self.made(node)

    def condition(self) -> nodes.Node:
        arms: list[tuple[nodes.Node, nodes.Node]] = []
        while True:
            self.advance()
            test = self.expression()
            arms.append((test, self.block()))
            self.expect(OPERATOR, "else")
            if not (self.at(OPERATOR, "if") and self.version >= (1, 17, 7)):
                break
        other = self.block()
        for test, then in reversed(arms):
            other = self.checked(nodes.Conditional(0, test, then, other))  # upstream gives it no place
        return other

    def block(self) -> nodes.Node:
        self.expect(BRACKET, "{")
        inside = self.sequence()
        self.expect(BRACKET, "}")
        return inside

    def ternary(self) -> nodes.Node:
        """A binary expression with its `? :`. The last branch is read here, not by recursion."""
        arms: list[tuple[nodes.Node, nodes.Node]] = []
        node = self.binary(0)
        while self.at(OPERATOR, "?"):
            self.advance()
            if self.at(OPERATOR, ":"):
                self.advance()
                then = node
            else:
                then = self.expression()
                self.expect(OPERATOR, ":")
            arms.append((node, then))
            if self.at(OPERATOR, "let", "if"):
                node = self.expression()
                break
            node = self.binary(0)
        for test, then in reversed(arms):
            node = self.made(nodes.Conditional(self.token.position, test, then, node))  # upstream points behind it
        return node

    def binary(self, rank: int) -> nodes.Node:
        left = self.primary()
        previous = ""
        while self.at(OPERATOR):
            operator, negation = self.token, None
            if operator.text == "not":
                negation = operator
                self.advance()
                if self.token.text not in NEGATABLE:
                    raise self.unexpected()
                operator = self.token
                if BINARY[operator.text] < rank:
                    self.stash, self.token = operator, negation
                    break
            strength = BINARY.get(operator.text, -1)
            if strength < rank:
                break
            self.advance()
            if operator.text == "|":
                left = self.call(self.expect(NAME), [left])
            elif previous == "??" and operator.text != "??":
                raise self.error(f"{operator.text} and ?? cannot be mixed without parentheses", operator.position)
            elif operator.text in COMPARISONS:
                left = self.comparisons(left, operator)
            else:
                right = self.expression(strength if operator.text in _RIGHT else strength + 1)
                left = self.made(nodes.Binary(operator.position, operator.text, left, right))
                if negation is not None:
                    left = self.made(nodes.Unary(negation.position, "not", left))
            previous = operator.text
        return left

    def comparisons(self, left: nodes.Node, operator: Token) -> nodes.Node:
        """`a < b < c` means `a < b and b < c`."""
        joined: nodes.Node | None = None
        while True:
            right = self.expression(BINARY["<"] + 1)
            one = self.made(nodes.Binary(operator.position, operator.text, left, right))
            joined = one if joined is None else self.made(nodes.Binary(operator.position, "&&", joined, one))
            if not self.at(OPERATOR, *COMPARISONS):
                return joined
            left, operator = right, self.advance()

    def primary(self) -> nodes.Node:
        token = self.token
        if token.kind == OPERATOR and token.text in UNARY:
            self.advance()
            operand = self.expression(UNARY[token.text])
            return self.postfix(self.made(nodes.Unary(token.position, token.text, operand)))
        if self.at(BRACKET, "("):
            self.advance()
            inside = self.sequence()
            self.expect(BRACKET, ")")
            return self.postfix(inside)
        if self.predicates and self.at(OPERATOR, "#", "."):
            name = ""
            if token.text == "#":
                self.advance()
                if self.at(NAME):
                    name = self.advance().text
            return self.postfix(self.made(nodes.Pointer(token.position, name)))
        if self.at(OPERATOR, "::"):
            self.advance()
            return self.postfix(self.call(self.expect(NAME), []))
        return self.secondary()

    def secondary(self) -> nodes.Node:
        token = self.token
        if token.kind == NUMBER:
            self.advance()
            return self.made(nodes.Literal(token.position, self.number(token)))
        if token.kind == NAME:
            self.advance()
            if token.text in {"true", "false"}:
                return self.made(nodes.Literal(token.position, token.text == "true"))
            if token.text == "nil":
                return self.made(nodes.Nil(token.position))
            if self.at(BRACKET, "("):
                return self.postfix(self.call(token, []))
            return self.postfix(self.made(nodes.Name(token.position, token.text)))
        if token.kind in {TEXT, BYTES}:
            self.advance()
            value = token.text if token.kind == TEXT else token.text.encode("latin-1")
            return self.postfix(self.made(nodes.Literal(token.position, value)))
        if self.at(BRACKET, "["):
            return self.postfix(self.list())
        if self.at(BRACKET, "{"):
            return self.postfix(self.map())
        raise self.unexpected()

    def number(self, token: Token) -> int | float:
        digits = token.text.replace("_", "")
        base = _BASES.get(digits[:2].lower())
        if base != 16 and any(mark in digits for mark in ".eE"):
            if not _FLOAT.fullmatch(digits) or (value := float(digits)) == float("inf"):
                raise self.error("invalid float literal", token.position)
            return value
        if not _INTEGER.fullmatch(digits):
            raise self.error("invalid integer literal", token.position)
        # Twenty digits without zeros before them are too many; int() refuses thousands with an error of its own.
        number = int(digits[2:], base) if base else int(digits.lstrip("0")[:20] or "0")
        if number > MAX_INT:
            raise self.error("integer literal is too large", token.position)
        return number

    def call(self, name: Token, arguments: list[nodes.Node]) -> nodes.Node:
        """A call by name; a pipe has put the first argument into `arguments` already."""
        if name.text in PREDICATES:
            return self.made(nodes.Builtin(name.position, name.text, self.predicate_arguments(name, arguments)))
        if name.text in BUILTINS:
            return self.made(nodes.Builtin(name.position, name.text, self.arguments(arguments)))
        callee = self.made(nodes.Name(name.position, name.text))
        return self.made(nodes.Call(name.position, callee, self.arguments(arguments)))

    def predicate_arguments(self, name: Token, arguments: list[nodes.Node]) -> list[nodes.Node]:
        self.expect(BRACKET, "(")
        for index, kind in enumerate(PREDICATES[name.text][len(arguments) :]):
            if self.at(BRACKET, ")"):
                if kind.isupper():
                    break
                raise self.error(f"not enough arguments to call {name.text}")
            if index > 0:
                self.expect(OPERATOR, ",")
            arguments.append(self.predicate() if kind in "pP" else self.expression())
        if self.at(OPERATOR, ","):
            self.advance()
        self.expect(BRACKET, ")")
        return arguments

    def predicate(self) -> nodes.Node:
        position = self.token.position
        self.predicates += 1
        if self.at(BRACKET, "{"):
            body = self.block()
        else:
            body = self.expression()
            if self.at(OPERATOR, ";"):
                raise self.error("wrap predicate with brackets { and }")
        self.predicates -= 1
        return self.made(nodes.Predicate(position, body))

    def arguments(self, arguments: list[nodes.Node]) -> list[nodes.Node]:
        self.expect(BRACKET, "(")
        arguments += self.listed(")")
        return arguments

    def listed(self, closing: str) -> list[nodes.Node]:
        """Expressions with commas between them and perhaps one behind, up to the closing bracket."""
        found: list[nodes.Node] = []
        while not self.at(BRACKET, closing):
            if found:
                self.expect(OPERATOR, ",")
                if self.at(BRACKET, closing):
                    break
            found.append(self.expression())
        self.advance()
        return found

    def list(self) -> nodes.Node:
        position = self.advance().position
        return self.made(nodes.List(position, self.listed("]")))

    def map(self) -> nodes.Node:
        position = self.advance().position
        pairs: list[nodes.Pair] = []
        while not self.at(BRACKET, "}"):
            if pairs:
                self.expect(OPERATOR, ",")
                if self.at(BRACKET, "}"):
                    break
            key = self.key()
            self.expect(OPERATOR, ":")
            pairs.append(self.made(nodes.Pair(position, key, self.expression())))
        self.advance()
        return self.made(nodes.Map(position, pairs))

    def key(self) -> nodes.Node:
        if self.token.kind in {NAME, NUMBER, TEXT}:
            token = self.advance()
            return self.made(nodes.Literal(token.position, token.text))
        if self.at(BRACKET, "("):
            return self.expression()
        raise self.error(
            "a map key must be a quoted string, a number, a name, or an expression in parentheses "
            f"(unexpected {self.token})"
        )

    def postfix(self, node: nodes.Node) -> nodes.Node:
        while True:
            token = self.token
            optional = False
            if self.at(OPERATOR, ".", "?."):
                self.advance()
                optional = token.text == "?."
                if not (optional and self.at(BRACKET, "[")):
                    node = self.member(node, optional=optional)
                    continue
            if not self.at(BRACKET, "["):
                return node
            position = self.advance().position
            node = self.index(node, position, optional=optional)

    def member(self, node: nodes.Node, *, optional: bool) -> nodes.Node:
        name = self.advance()
        named = name.kind == NAME or (name.kind == OPERATOR and all(map(word_character, name.text)))
        if not named:
            raise self.error("expected name", name.position)
        chained = isinstance(node, nodes.Chain)
        owner = node.inside if isinstance(node, nodes.Chain) else node
        property_node = self.made(nodes.Literal(name.position, name.text))
        member = self.made(nodes.Member(name.position, owner, property_node, optional=optional))
        result: nodes.Node = member
        if self.at(BRACKET, "("):
            member.method = True
            result = self.made(nodes.Call(name.position, member, self.arguments([])))
        if chained or optional:
            result = self.made(nodes.Chain(name.position, result))
        return result

    def index(self, node: nodes.Node, position: int, *, optional: bool) -> nodes.Node:
        start = None if self.at(OPERATOR, ":") else self.expression()
        if start is not None and not self.at(OPERATOR, ":"):
            node = self.made(nodes.Member(position, node, start, optional=optional))
            if optional:
                node = self.made(nodes.Chain(position, node))
        else:
            self.advance()
            end = None if self.at(BRACKET, "]") else self.expression()
            node = self.made(nodes.Slice(position, node, start, end))
        self.expect(BRACKET, "]")
        return node
