"""A Warehouse and its subscriptions, field by field as Kargo's CRD has them.

Names are the YAML's in snake case; `resources.loading` maps between the two. Defaults here are
those of the admission webhook, which a lab without a cluster has to apply itself; where Kargo
treats an absent setting differently past admission (`strictSemvers`), None says absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs

DEFAULT_INTERVAL = "5m0s"
DEFAULT_DISCOVERY_LIMIT = 20


@attrs.frozen(kw_only=True)
class GitSubscription:
    """`git:`"""

    TYPE: ClassVar[str] = "git"
    repo_url: str
    name: str = ""
    commit_selection_strategy: str = "NewestFromBranch"
    branch: str = ""
    semver_constraint: str = ""
    strict_semvers: bool | None = True
    allow_tags: str = ""
    ignore_tags: tuple[str, ...] = ()
    allow_tags_regexes: tuple[str, ...] = ()
    ignore_tags_regexes: tuple[str, ...] = ()
    include_paths: tuple[str, ...] = ()
    exclude_paths: tuple[str, ...] = ()
    expression_filter: str = ""
    since: str = ""
    blobless: bool | None = None
    discovery_limit: int = DEFAULT_DISCOVERY_LIMIT
    insecure_skip_tls_verify: bool = False


@attrs.frozen(kw_only=True)
class ImageSubscription:
    """`image:`"""

    TYPE: ClassVar[str] = "image"
    repo_url: str
    name: str = ""
    image_selection_strategy: str = "SemVer"
    constraint: str = ""
    semver_constraint: str = ""  # deprecated; read by v1.6 to v1.8 when `constraint` is empty
    strict_semvers: bool | None = True
    allow_tags: str = ""
    ignore_tags: tuple[str, ...] = ()
    allow_tags_regexes: tuple[str, ...] = ()
    ignore_tags_regexes: tuple[str, ...] = ()
    platform: str = ""
    discovery_limit: int = DEFAULT_DISCOVERY_LIMIT
    cache_by_tag: bool = False
    insecure_skip_tls_verify: bool = False


@attrs.frozen(kw_only=True)
class ChartSubscription:
    """`chart:`; its chart `name` is not the subscription's, hence `chart_name`."""

    TYPE: ClassVar[str] = "chart"
    repo_url: str
    name: str = ""
    chart_name: str = ""
    semver_constraint: str = ""
    discovery_limit: int = DEFAULT_DISCOVERY_LIMIT
    insecure_skip_tls_verify: bool = False


@attrs.frozen(kw_only=True)
class GenericSubscription:
    """Any other key; `kind` is that key. The open-source controller discovers nothing for it."""

    TYPE: ClassVar[str] = "generic"
    kind: str
    name: str
    config: Mapping[str, object] = attrs.field(factory=dict)
    discovery_limit: int = DEFAULT_DISCOVERY_LIMIT


Subscription = GitSubscription | ImageSubscription | ChartSubscription | GenericSubscription


@attrs.frozen(kw_only=True)
class WarehouseSpec:
    """`spec:`; `interval` is the duration text, `interval_seconds` its value."""

    subscriptions: tuple[Subscription, ...]
    shard: str = ""
    interval: str = DEFAULT_INTERVAL
    interval_seconds: float = 300.0
    freight_creation_policy: str = "Automatic"
    freight_creation_criteria: str = ""  # the expression; empty is absent


@attrs.frozen(kw_only=True)
class Warehouse:
    """One Warehouse. `generation` grows when the spec is edited; `status` lives in the engine's store."""

    namespace: str
    name: str
    spec: WarehouseSpec
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    generation: int = 1

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"
