"""What does not fit a published schema, told to who wrote the file: where, what was expected, what was found.

jsonschema's own messages speak of schemas and quote whole documents, which may hold a token; these name the
key, and nothing of a value but a short text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from kargo_lab.errors import Misfit
from kargo_lab.resources.shapes import found, nearest
from kargo_lab.resources.yaml_lines import Document, spelled

MOST_MISFITS = 20
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
}


def misfits(validator: Draft202012Validator, document: Document) -> list[Misfit]:
    """Everything that does not fit, in the order of the file; each thing once, and not without end."""
    told = [
        Misfit(document.file, document.line(path), spelled(path), sentence)
        for path, sentence in sentences(validator, document.value)
    ]
    return sorted(told, key=lambda each: each.line)[:MOST_MISFITS]


def sentences(validator: Draft202012Validator, value: Any) -> list[tuple[tuple[Any, ...], str]]:
    """Where a value does not fit, and what was expected there; each thing once."""
    every = (each for flaw in validator.iter_errors(value) for each in _sentences(flaw))
    return list(dict.fromkeys(every))


def _sentences(flaw: ValidationError) -> Iterator[tuple[tuple[Any, ...], str]]:
    path = tuple(flaw.absolute_path)
    match flaw.validator:
        case "additionalProperties" if isinstance(flaw.schema, Mapping) and isinstance(flaw.instance, Mapping):
            known = list(flaw.schema.get("properties", ()))
            for key in flaw.instance:
                if key not in known:
                    hint = nearest(str(key), known) or f"; expected one of {', '.join(known)}"
                    yield (*path, key), f"there is no such key{hint}"
        case "required":
            wanted: Any = flaw.validator_value
            for key in wanted:
                if isinstance(flaw.instance, Mapping) and key not in flaw.instance:
                    yield path, f"`{key}` is missing{_meaning(flaw, key)}"
        case "anyOf" | "oneOf":
            yield from _alternatives(flaw, path)
        case _:
            say = _SAYINGS.get(str(flaw.validator))
            described = str(flaw.schema.get("description", "")) if isinstance(flaw.schema, Mapping) else ""
            described = "" if flaw.validator == "not" else described
            text = say(flaw) if say else "does not fit what this place is for"
            yield path, f"{text} ({_in_words(described)})" if described else text


def _alternatives(flaw: ValidationError, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """What keeps the value from being the alternative that it looks like; most have one and a parameter."""
    wanted: Any = flaw.validator_value
    if all(set(each) == {"required"} for each in wanted):
        names = [f"`{name}`" for each in wanted for name in each["required"]]
        yield path, f"{' or '.join(names)} is missing" if flaw.context else f"{' and '.join(names)} exclude each other"
        return
    branches: dict[Any, list[ValidationError]] = {}
    for each in flaw.context or ():
        branches.setdefault(each.schema_path[0], []).append(each)
    alike = [each for each in branches.values() if not any(_of_another_kind(error, flaw) for error in each)]
    for error in [*alike, *branches.values(), [flaw]][0]:
        if error is flaw:
            yield path, "does not fit what this place is for"
        else:
            yield from _sentences(error)


def _of_another_kind(error: ValidationError, around: ValidationError) -> bool:
    """Whether the value as a whole is something else than this alternative: a text where it wants a mapping."""
    whole = len(error.absolute_path) == len(around.absolute_path)
    return whole and error.validator in ("type", "enum", "const", "pattern", "anyOf", "oneOf", None)


def _meaning(flaw: ValidationError, key: str) -> str:
    properties = flaw.schema.get("properties", {}) if isinstance(flaw.schema, Mapping) else {}
    described = str(properties.get(key, {}).get("description", ""))
    return f": {_in_words(described)}" if described else ""


def _in_words(description: str) -> str:
    """A description of the schema, as a part of a sentence of ours."""
    return description[:1].lower() + description[1:].rstrip(".")


_NOT_SHOWN = {"token", "headers"}


def _type(flaw: ValidationError) -> str:
    wanted: Any = flaw.validator_value if isinstance(flaw.validator_value, list) else [flaw.validator_value]
    seen = "something else" if _NOT_SHOWN & set(flaw.absolute_path) else found(flaw.instance)
    return f"expected {' or '.join(_TYPES.get(name, name) for name in wanted)}, found {seen}"


def _choice(flaw: ValidationError) -> str:
    choices: Any = flaw.validator_value
    known = [str(each) for each in choices]
    hint = nearest(flaw.instance, known) if isinstance(flaw.instance, str) else ""
    return f"expected one of {', '.join(known)}, found {found(flaw.instance)}{hint}"


def _pattern(flaw: ValidationError) -> str:
    # A text that has to fit a pattern may be a token or a header, so it is not shown.
    like = _LIKE.get(str(flaw.validator_value), f"a text that fits the pattern {flaw.validator_value}")
    return f"expected {like}"


_LIKE = {
    "^https?://": "a URL that begins with http:// or https://",
    "^https?://[^/@?#]+(/[^@?#]*)?$": "a URL that begins with http:// or https://, without user, password and query",
    "^http://.+:[0-9]+$": "http://host:port",
    "^[^/]+:[0-9]+$": "host:port",
    "^/": "a path that begins with /",
    "^[a-z0-9][a-z0-9.-]*$": "small letters, digits, `.` and `-`, since it becomes a part of an id",
    "^<[a-z][a-z0-9-]*>$": "a parameter of the row, like <name>",
    "^[!-~]+$": "visible ASCII characters only",
    "^[ -~]*$": "printable ASCII characters only",
}

_SAYINGS: Mapping[str, Callable[[ValidationError], str]] = {
    "type": _type,
    "enum": _choice,
    "const": lambda flaw: f"expected {found(flaw.validator_value)}, found {found(flaw.instance)}",
    "pattern": _pattern,
    "minLength": lambda flaw: (
        "expected a text that is not empty"
        if flaw.validator_value == 1
        else f"expected a text of {flaw.validator_value} letters or more"
    ),
    "maxLength": lambda flaw: f"expected a text of {flaw.validator_value} letters or fewer",
    "maximum": lambda flaw: f"expected {flaw.validator_value} or less, found {found(flaw.instance)}",
    "minItems": lambda _flaw: "expected a list that is not empty",
    "minimum": lambda flaw: f"expected {flaw.validator_value} or more, found {found(flaw.instance)}",
    "exclusiveMinimum": lambda flaw: f"expected more than {flaw.validator_value}, found {found(flaw.instance)}",
    "not": lambda flaw: (
        f"{' and '.join(f'`{key}`' for key in flaw.validator_value['required'])} cannot stand here "
        f"{'together' if len(flaw.validator_value['required']) > 1 else 'without the `kind` of that name'}"
        if isinstance(flaw.validator_value, Mapping) and "required" in flaw.validator_value
        else "does not fit what this place is for"
    ),
}
