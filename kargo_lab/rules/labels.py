"""Kubernetes label selectors: what they match, and which of them the API machinery refuses.

The generic receiver selects its targets with them, and its values come out of templates, so that a
wrong one shows only when a delivery arrives. Source: receivers.md 5.4; Kubernetes documentation,
"Labels and Selectors" and "Object Names and IDs".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from kargo_lab.errors import RuleError

Requirement = tuple[str, str, tuple[str, ...]]  # key, operator, values: as in `wire.Target`

MAX_NAME = 63
MAX_PREFIX = 253
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


class SelectorError(RuleError):
    """A label selector that Kubernetes refuses."""


def key_problem(key: str) -> str:
    """What is wrong with a label key, empty if nothing is."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > MAX_PREFIX or not _PREFIX.fullmatch(prefix)):
        return f"the prefix of label key {key!r} is no DNS subdomain of at most {MAX_PREFIX} characters"
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        return (
            f"the name part of label key {key!r} must be 1 to {MAX_NAME} letters, digits, '-', '_' or '.', "
            "with a letter or digit at both ends"
        )
    return ""


def value_problem(value: str) -> str:
    """What is wrong with a label value, empty if nothing is; an empty value is fine."""
    if value and (len(value) > MAX_NAME or not _NAME.fullmatch(value)):
        return (
            f"label value {value!r} must be at most {MAX_NAME} letters, digits, '-', '_' or '.', "
            "with a letter or digit at both ends"
        )
    return ""


def _in(value: str | None, values: tuple[str, ...]) -> bool:
    return value is not None and value in values


def _not_in(value: str | None, values: tuple[str, ...]) -> bool:
    return value is None or value not in values  # an object without the label is selected too


def _exists(value: str | None, _values: tuple[str, ...]) -> bool:
    return value is not None


def _does_not_exist(value: str | None, _values: tuple[str, ...]) -> bool:
    return value is None


_OPERATORS: Mapping[str, tuple[bool, Callable[[str | None, tuple[str, ...]], bool]]] = MappingProxyType(
    {  # whether it takes values, and how it judges
        "In": (True, _in),
        "NotIn": (True, _not_in),
        "Exists": (False, _exists),
        "DoesNotExist": (False, _does_not_exist),
    }
)


def problem(requirement: Requirement) -> str:
    """Why Kubernetes refuses this requirement, empty if it does not."""
    key, operator, values = requirement
    if operator not in _OPERATORS:
        return f"{operator!r} is no label selector operator; there are {', '.join(_OPERATORS)}"
    takes_values = _OPERATORS[operator][0]
    if takes_values and not values:
        return f"operator {operator} on label {key!r} needs at least one value"
    if values and not takes_values:
        return f"operator {operator} on label {key!r} takes no values"
    return key_problem(key) or next(filter(None, map(value_problem, values)), "")


def validate(requirements: Iterable[Requirement]) -> None:
    """Raise SelectorError for the first requirement that Kubernetes refuses."""
    for requirement in requirements:
        if wrong := problem(requirement):
            raise SelectorError(wrong, requirement[0])


def matches(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """True if all requirements hold; without any, everything is selected. Raises SelectorError before it judges."""
    checked = tuple(requirements)
    validate(checked)
    return all(_OPERATORS[operator][1](labels.get(key), values) for key, operator, values in checked)
