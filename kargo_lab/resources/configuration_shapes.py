"""The shapes of Secret, ProjectConfig and ClusterConfig: receivers.md 1.2 to 1.4, with the admission rules of 1.7."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import attrs

from kargo_lab.errors import PatternError
from kargo_lab.resources.configuration import (
    ClusterConfig,
    GenericAction,
    IndexRequirement,
    LabelRequirement,
    ProjectConfig,
    PromotionPolicy,
    ReceiverSpec,
    Secret,
    TargetCriteria,
)
from kargo_lab.resources.metadata_shapes import SUBDOMAIN, envelope, metadata
from kargo_lab.resources.shapes import (
    WRONG,
    Anything,
    Field,
    Flag,
    ListOf,
    MapOf,
    Place,
    Record,
    Text,
    Unread,
    found,
    nearest,
)
from kargo_lab.resources.warehouse_shapes import no_twins
from kargo_lab.rules import patterns

TEXT = Text()
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")

# Kargo takes the first of these, in this order, that a receiver has (receivers.md 1.3).
RECEIVER_TYPES = (
    "artifactory",
    "azure",
    "bitbucket",
    "dockerhub",
    "generic",
    "gitea",
    "github",
    "gitlab",
    "harbor",
    "quay",
)
# Kargo's admission check for "one type only" forgets this one (receivers.md 1.7, B14).
_UNCOUNTED_TYPE = "harbor"


# Secret ---------------------------------------------------------------------------------------------


@attrs.frozen
class _Base64:
    """Bytes, as the members of `data` are written."""

    def read(self, place: Place) -> Any:
        """As Go decodes: line ends are skipped, everything else has to be right."""
        text = place.value
        if isinstance(text, str):
            try:
                return base64.b64decode(re.sub(r"[\r\n]", "", text).encode(), validate=True)
            except (binascii.Error, UnicodeEncodeError):
                pass
        # The value itself may be a secret typed into the wrong field, so it is not repeated here.
        return place.wrong("expected base64 (plain text belongs under stringData)")

    def write(self, value: Any) -> Any:
        """Base64 without line ends."""
        return base64.b64encode(value).decode()


@attrs.frozen
class _Plain(_Base64):
    """Bytes, as the members of `stringData` are written: the text's UTF-8. What is written is always `data`."""

    def read(self, place: Place) -> Any:
        if not isinstance(place.value, str):
            return place.wrong(f"expected text, found {found(place.value)}; put it in quotes")
        try:
            return place.value.encode()
        except UnicodeEncodeError:
            return place.wrong("expected text without lone surrogates")


def _key_problem(key: str) -> str:
    return "" if _KEY.fullmatch(key) else f"expected a key of letters, digits, `-`, `_` and `.`, found {key[:60]!r}"


def _secret(
    *, data: Mapping[str, bytes] | None = None, string_data: Mapping[str, bytes] | None = None, **rest: Any
) -> Secret:
    # stringData wins where both have a key, as in the API server.
    return Secret(data={**(data or {}), **(string_data or {})}, **rest)


SECRET = Record(
    kind=Secret,
    build=_secret,
    fields=envelope(
        metadata("labels", "annotations"),
        Field("type", "type", TEXT, skipped=True),
        Field("immutable", "immutable", Flag(), skipped=True),
        Field("data", "data", MapOf(shape=_Base64(), check_key=_key_problem)),
        Field("stringData", "string_data", MapOf(shape=_Plain(), check_key=_key_problem), read_only=True),
    ),
)


# Receivers ------------------------------------------------------------------------------------------

REQUIREMENTS = ListOf(
    shape=Record(
        kind=LabelRequirement,
        fields=(
            Field("key", "key", TEXT, required=True),
            Field("operator", "operator", TEXT, required=True),
            Field("values", "values", ListOf(shape=TEXT)),
        ),
    )
)
_LABEL_SELECTOR = (
    Field("matchLabels", "match_labels", MapOf(shape=TEXT)),
    Field("matchExpressions", "match_expressions", REQUIREMENTS),
)
_INDICES = ListOf(
    least=1,
    shape=Record(
        kind=IndexRequirement,
        fields=(
            Field("key", "key", Text(choices=("subscribedURLs", "receiverPaths")), required=True),
            # Any text passes admission; what is neither Equals nor NotEquals fails at each request.
            Field("operator", "operator", TEXT, required=True),
            Field("value", "value", TEXT, required=True),
        ),
    ),
)


def _check_target(place: Place) -> None:
    selects = (
        place.text("name"),
        place.at("labelSelector", "matchLabels").value,
        place.at("labelSelector", "matchExpressions").value,
        place.at("indexSelector", "matchIndices").value,
    )
    if not any(selects):
        place.wrong("selects nothing: expected a name, a labelSelector or an indexSelector")


_TARGET = Record(
    kind=TargetCriteria,
    check=_check_target,
    fields=(
        # The server also knows Promotion; the CRD does not let it in.
        Field("kind", "kind", Text(choices=("Warehouse",)), required=True),
        Field("name", "name", TEXT),
        Field("labelSelector", "labels", Record(fields=_LABEL_SELECTOR), spread=True),
        Field(
            "indexSelector", "indices", Record(fields=(Field("matchIndices", "match_indices", _INDICES),)), spread=True
        ),
    ),
)
_ACTION = Record(
    kind=GenericAction,
    fields=(
        Field("action", "action", Text(choices=("Refresh",)), required=True),
        Field("whenExpression", "when_expression", TEXT),
        Field("parameters", "parameters", MapOf(shape=TEXT)),
        Field("targetSelectionCriteria", "targets", ListOf(shape=_TARGET, least=1)),
    ),
)
_SECRET_REF = Field(
    "secretRef", "secret", Record(fields=(Field("name", "secret_name", TEXT),)), required=True, spread=True
)
_OWN_FIELDS: Mapping[str, tuple[Field, ...]] = {
    "artifactory": (Field("virtualRepoName", "virtual_repo_name", TEXT),),
    "generic": (Field("actions", "actions", ListOf(shape=_ACTION, least=1)),),
}
_TYPE_RECORDS = {kind: Record(fields=(_SECRET_REF, *_OWN_FIELDS.get(kind, ()))) for kind in RECEIVER_TYPES}
_NAME = Text(pattern=SUBDOMAIN, meaning="a name of lower-case letters, digits, `-` and `.`", shortest=1, longest=253)


@attrs.frozen
class ReceiverShape:
    """One element of `spec.webhookReceivers`: a name and a type object."""

    def read(self, place: Place) -> Any:
        """A receiver without a type object is admitted, and fails when it is synced (receivers.md 1.7)."""
        if not isinstance(place.value, Mapping):
            return place.wrong(f"expected a mapping with a name and a type, found {found(place.value)}")
        before = len(place.report.misfits)
        for key in place.value:
            if key not in ("name", *RECEIVER_TYPES) and not place.report.full:
                place.at(key).wrong(f"unknown field `{key[:60]}`{nearest(key[:60], ('name', *RECEIVER_TYPES))}")
        name = place.at("name")
        named: Any = name.wrong("missing, and required") if name.value is None else _NAME.read(name)
        types = tuple(kind for kind in RECEIVER_TYPES if place.value.get(kind) is not None)
        settings = [_TYPE_RECORDS[kind].read(place.at(kind)) for kind in types]
        self._one_type(place, types)
        if len(place.report.misfits) > before:
            return WRONG
        return ReceiverSpec(name=named, types=types, **(settings[0] if settings else {}))

    def _one_type(self, place: Place, types: tuple[str, ...]) -> None:
        counted = [kind for kind in types if kind != _UNCOUNTED_TYPE]
        if len(counted) > 1 and place.report.admitted:
            place.at(counted[1]).wrong(f"expected one type only, but `{counted[0]}` is there too")

    def write(self, value: Any) -> Any:
        """Further type objects are written with the secret of the first: nothing reads them."""
        bodies = {kind: {"secretRef": {"name": value.secret_name}} for kind in value.types}
        if value.types:
            bodies[value.type].update(_written(_OWN_FIELDS.get(value.type, ()), value))
        return {"name": value.name, **bodies}


def _written(fields: tuple[Field, ...], value: Any) -> dict[str, Any]:
    return Record(fields=fields).write(value)


def _check_receivers(place: Place) -> None:
    no_twins(place, lambda item: item.text("name"), "the same name as the receiver", "name")


_RECEIVERS = Field("webhookReceivers", "receivers", ListOf(shape=ReceiverShape(), check=_check_receivers))
_POLICY = Record(
    kind=PromotionPolicy,
    fields=(
        Field("stage", "stage", TEXT),
        Field(
            "stageSelector",
            "selector",
            Record(fields=(Field("name", "stage_selector_name", TEXT), *_LABEL_SELECTOR)),
            spread=True,
        ),
        Field("autoPromotionEnabled", "auto_promotion_enabled", Flag()),
    ),
)


_PATTERN_KINDS = ("glob", "regex", "regexp")


def _policy_stage(policy: Place) -> Place:
    """Where a policy names its Stage: the selector's name, or the deprecated field."""
    selector = policy.at("stageSelector")
    return policy.at("stage") if selector.value is None else selector.at("name")


def _exact_stage(policy: Place) -> str:
    name = _policy_stage(policy).value
    return name if isinstance(name, str) and ":" not in name else ""


def _check_policies(place: Place) -> None:
    no_twins(place, _exact_stage, "the same Stage as the policy")
    for policy in place.items():
        stage = _policy_stage(policy)
        if not isinstance(stage.value, str) or ":" not in stage.value:
            continue
        kind = stage.value.partition(":")[0]
        if kind not in _PATTERN_KINDS:
            stage.wrong(
                f"expected glob:, regex: or regexp: before the colon, found {kind!r}{nearest(kind, _PATTERN_KINDS)}"
            )
            continue
        try:
            patterns.name_selector(stage.value)
        except PatternError as error:
            stage.wrong(f"expected a pattern: {error.message}")


def _check_project_config(place: Place) -> Unread | None:
    name = place.text("metadata", "name")
    namespace = place.text("metadata", "namespace") or place.report.namespace
    if name and name != namespace:
        return place.at("metadata", "name").wrong(
            f"expected the name of the namespace, {namespace!r}, which is the Project's; found {name!r}"
        )
    return None


PROJECT_CONFIG = Record(
    kind=ProjectConfig,
    check=_check_project_config,
    fields=envelope(
        metadata("annotations", "generation"),
        Field(
            "spec",
            "spec",
            Record(
                fields=(
                    Field("promotionPolicies", "promotion_policies", ListOf(shape=_POLICY, check=_check_policies)),
                    _RECEIVERS,
                )
            ),
            spread=True,
        ),
        Field("status", "status", Anything(), skipped=True),
    ),
)


def _check_cluster_config(place: Place) -> Unread | None:
    name = place.text("metadata", "name")
    if name and name != "cluster":
        return place.at("metadata", "name").wrong(f"expected the name `cluster`, the only one; found {name!r}")
    return None


CLUSTER_CONFIG = Record(
    kind=ClusterConfig,
    check=_check_cluster_config,
    fields=envelope(
        metadata("annotations", "generation", namespaced=False),
        Field("spec", "spec", Record(fields=(_RECEIVERS,)), spread=True),
        Field("status", "status", Anything(), skipped=True),
    ),
)
