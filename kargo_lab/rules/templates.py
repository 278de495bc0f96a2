"""Texts with expressions in them, as Kargo evaluates `name`, label values and index values.

What a template gives has a type, and that type is guessed from the finished text: that is why a
branch called `1` has to be quoted. The quirks are Kargo's and are kept, because the generic
receiver turns a result that is no text into an error.

Source: receivers.md 5.6.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from kargo_lab.errors import ExpressionError, RuleError
from kargo_lab.rules import expressions, yamltext
from kargo_lab.rules import json as gojson
from kargo_lab.rules.expressions import (
    LIMITS,
    VERSION,
    Environment,
    Function,
    Limits,
    Program,
    Value,
    json_of,
    parse_boolean,
    parse_float,
    template_environment,
)

_DELIMITERS = MappingProxyType({"${{": "}}", "${%": "%}"})
_OPENING = re.compile("|".join(map(re.escape, _DELIMITERS)))


def evaluate(
    text: str,
    variables: Mapping[str, Value],
    *,
    functions: tuple[str, ...] = ("quote", "unsafeQuote", "asYAML", "asJSON"),
    version: str = VERSION,
    limits: Limits = LIMITS,
    now: datetime | None = None,
    environment: Environment | None = None,
    calls: Mapping[str, Function] = MappingProxyType({}),
) -> Value:
    """The value of a template: str, float, bool, None, list or dict; an ExpressionError if there is none.

    A text without an opening delimiter is itself. `functions` are the names in FUNCTIONS that the
    Kargo release knows, its profile's `template_functions`. `environment` and `calls` are further
    functions, declared and implemented, as promotion steps have them.
    """
    if not any(opening in text for opening in _DELIMITERS):
        return text
    declared = template_environment(functions)
    if environment is not None:
        declared = Environment(name=environment.name, functions={**declared.functions, **environment.functions})
    implemented = {**{name: FUNCTIONS[name] for name in functions}, **calls}
    programs: dict[str, Program] = {}
    parts: list[str] = []
    length = 0
    for before, expression in _pieces(text):
        made = [before]
        if expression:
            if expression not in programs:
                programs[expression] = expressions.compile(
                    expression, environment=declared, version=version, limits=limits
                )
            value = programs[expression].run(variables, functions=implemented, now=now)
            made.append(value if isinstance(value, str) else json_of(value))
        parts += made
        length += sum(map(len, made))
        if expression and length > limits.text:
            raise ExpressionError(f"the template makes a text longer than {limits.text} characters", text, stage="run")
    return typed("".join(parts))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Each expression with what stands before it, and at last what follows them all, with none."""
    position = 0
    while opened := _OPENING.search(text, position):
        closing = _DELIMITERS[opened[0]]
        end = text.find(closing, opened.end())
        if end < 0:
            raise ExpressionError(f"unclosed expression: expected {closing} before the end", text, opened.start())
        before, position = text[position : opened.start()], end + len(closing)
        if opened.end() == end:
            # Nothing between delimiters reads to Kargo as "no more expressions": the rest stays text.
            yield before, ""
            break
        yield before, text[opened.end() : end]
    yield text[position:], ""


def typed(text: str) -> Value:
    """The type that Kargo sees in a finished text; one newline at its end is set aside meanwhile."""
    bare = text.removesuffix("\n")
    newline = text[len(bare) :]
    if len(bare) > 1 and bare[0] == bare[-1] == '"':
        return bare[1:-1] + newline
    for read in (parse_float, parse_boolean):
        try:
            return read(bare)
        except ValueError:
            continue
    try:
        return gojson.loads(bare.encode("utf-8", "surrogateescape"))
    except (RuleError, UnicodeEncodeError):
        return bare + newline


def _quote(value: Value) -> str:
    return quoted(value) if isinstance(value, str) else _unsafe_quote(value)


def _unsafe_quote(value: Value) -> str:
    return f'"{json_of(value)}"'


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"} | {
    '"': '\\"',
    "\\": "\\\\",
}


def quoted(text: str) -> str:
    """Go's `%q`: what cannot be printed is escaped."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if "\udc80" <= character <= "\udcff":  # a stray byte
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _as_json(value: Value) -> str:
    """In quotation marks, so that it stays a text."""
    return '"' + json_of(value, indent="  ") + '\n"'


def _as_yaml(value: Value) -> str:
    """By go.yaml.in/yaml/v3 and not by way of JSON, in quotation marks as well."""
    return f'"{yamltext.dumps(value)}"'


_CALLS: Mapping[str, Callable[[Value], str]] = {
    "quote": _quote,
    "unsafeQuote": _unsafe_quote,
    "asYAML": _as_yaml,
    "asJSON": _as_json,
}
FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {name: Function(name, call, (object,)) for name, call in _CALLS.items()}
)
"""The implementations; which of them a template may call is its environment's matter."""
