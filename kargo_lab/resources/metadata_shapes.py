"""Names, labels and the `metadata` of every document, by Kubernetes' rules."""

from __future__ import annotations

import re
from typing import Any

import attrs

from kargo_lab.profiles import Profile
from kargo_lab.resources.shapes import Anything, Field, MapOf, Number, Place, Record, Text
from kargo_lab.rules import labels

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
LABEL_NAME = re.compile(_LABEL)
SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")

OBJECT_NAME = Text(
    pattern=SUBDOMAIN, meaning="a name of lower-case letters, digits, `-` and `.`", shortest=1, longest=253
)
NAMESPACE = Text(
    pattern=LABEL_NAME, meaning="a namespace of lower-case letters, digits and `-`", shortest=1, longest=63
)


def _label_value_problem(value: str, _profile: Profile) -> str:
    return labels.value_problem(value)


LABELS = MapOf(shape=Text(check=_label_value_problem), check_key=labels.key_problem)
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
