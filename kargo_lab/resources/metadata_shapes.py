"""Names, labels and the `metadata` of every document, by Kubernetes' rules."""

from __future__ import annotations

import re
from typing import Any

import attrs

from kargo_lab.resources.shapes import Anything, Field, MapOf, Number, Place, Record, Text

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
LABEL_NAME = re.compile(_LABEL)
SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_QUALIFIED = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

OBJECT_NAME = Text(
    pattern=SUBDOMAIN, meaning="a name of lower-case letters, digits, `-` and `.`", shortest=1, longest=253
)
NAMESPACE = Text(
    pattern=LABEL_NAME, meaning="a namespace of lower-case letters, digits and `-`", shortest=1, longest=63
)
ANNOTATION = "kargo.akuity.io/refresh"


def label_key_problem(key: str) -> str:
    """What is wrong with the key of a label or annotation, empty if nothing."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (SUBDOMAIN.fullmatch(prefix) and len(prefix) <= 253):
        return f"expected a domain before the slash of a label key, found {prefix[:60]!r}"
    if len(name) > 63 or not _QUALIFIED.fullmatch(name):
        return f"expected a label key of at most 63 letters, digits, `-`, `_` and `.`, found {name[:70]!r}"
    return ""


def _label_value_problem(value: str, _profile: object) -> str:
    if value and (len(value) > 63 or not _QUALIFIED.fullmatch(value)):
        return f"expected a label value of at most 63 letters, digits, `-`, `_` and `.`, found {value[:70]!r}"
    return ""


LABELS = MapOf(shape=Text(check=_label_value_problem), check_key=label_key_problem)
ANNOTATIONS = MapOf(shape=Text())

# What a cluster writes into metadata; files made by `kubectl get -o yaml` carry it.
_BY_THE_SERVER = (
    "uid",
    "resourceVersion",
    "selfLink",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_MEMBERS = (
    Field("labels", "labels", LABELS),
    Field("annotations", "annotations", ANNOTATIONS),
    Field("generation", "generation", Number(lowest=0), zero_is_absent=True),
    Field("creationTimestamp", "created_at", Text()),
)


@attrs.frozen
class _Namespaced:
    """The metadata of a namespaced object: without a namespace it is in the one the loader was given."""

    record: Record

    def read(self, place: Place) -> Any:
        values = self.record.read(place)
        return {"namespace": place.report.namespace, **values} if isinstance(values, dict) else values

    def write(self, value: Any) -> Any:
        return self.record.write(value)


def metadata(*kept: str, namespaced: bool = True) -> Field:
    """The `metadata` field of a kind that keeps the named attributes beside its name."""
    members = tuple(attrs.evolve(member, skipped=member.attribute not in kept) for member in _MEMBERS)
    server = tuple(Field(key, key, Anything(), skipped=True) for key in _BY_THE_SERVER)
    name = Field("name", "name", OBJECT_NAME, required=True)
    namespace = Field("namespace", "namespace", NAMESPACE, skipped=not namespaced)
    record = Record(fields=(name, namespace, *members, *server))
    return Field("metadata", "metadata", _Namespaced(record) if namespaced else record, required=True, spread=True)


def envelope(*fields: Field) -> tuple[Field, ...]:
    """The fields of a document: its type, which the caller has looked at, and the rest."""
    return (
        Field("apiVersion", "apiVersion", Text(), skipped=True),
        Field("kind", "kind", Text(), skipped=True),
        *fields,
    )
