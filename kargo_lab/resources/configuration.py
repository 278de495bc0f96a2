"""Secrets, ProjectConfig and ClusterConfig: what configures receivers.

A receiver's type is kept as text (`github`, ...): which types exist depends on the profile.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Secret:
    """A Secret; `data` holds decoded bytes and never shows in a repr."""

    namespace: str
    name: str
    data: Mapping[str, bytes] = attrs.field(repr=False)
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class LabelRequirement:
    """One element of `matchExpressions`, or of `matchLabels` written as `In` with one value."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class IndexRequirement:
    """One element of `matchIndices`."""

    key: str
    operator: str
    value: str


@attrs.frozen(kw_only=True)
class TargetCriteria:
    """One entry of `targetSelectionCriteria`; texts are templates. `echo` is the YAML as written."""

    kind: str
    name: str = ""
    match_labels: Mapping[str, str] = attrs.field(factory=dict)
    match_expressions: tuple[LabelRequirement, ...] = ()
    match_indices: tuple[IndexRequirement, ...] = ()


@attrs.frozen(kw_only=True)
class GenericAction:
    """One action of a generic receiver."""

    action: str = "Refresh"
    when_expression: str = ""
    parameters: Mapping[str, str] = attrs.field(factory=dict)
    targets: tuple[TargetCriteria, ...] = ()


@attrs.frozen(kw_only=True)
class ReceiverSpec:
    """One element of `spec.webhookReceivers`.

    `types` are the type objects present, in Kargo's (alphabetical) order; the first one counts.
    `secret_name` and the settings are those of that first type.
    """

    name: str
    types: tuple[str, ...]
    secret_name: str = ""
    virtual_repo_name: str = ""
    actions: tuple[GenericAction, ...] = ()

    @property
    def type(self) -> str:
        """The type that Kargo uses, empty if there is no type object."""
        return self.types[0] if self.types else ""


@attrs.frozen(kw_only=True)
class PromotionPolicy:
    """One element of `spec.promotionPolicies` of a ProjectConfig."""

    stage: str = ""  # the deprecated exact name
    stage_selector_name: str = ""
    match_labels: Mapping[str, str] = attrs.field(factory=dict)
    match_expressions: tuple[LabelRequirement, ...] = ()
    auto_promotion_enabled: bool = False


@attrs.frozen(kw_only=True)
class ProjectConfig:
    """A ProjectConfig; its name equals its namespace."""

    namespace: str
    name: str
    receivers: tuple[ReceiverSpec, ...] = ()
    promotion_policies: tuple[PromotionPolicy, ...] = ()
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    generation: int = 1


@attrs.frozen(kw_only=True)
class ClusterConfig:
    """The ClusterConfig, named `cluster`."""

    name: str = "cluster"
    receivers: tuple[ReceiverSpec, ...] = ()
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    generation: int = 1
