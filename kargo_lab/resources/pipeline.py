"""Project, Stage, PromotionTask, Freight and Promotion: what lies behind discovery.

Fields after spec/discovery.md 7.1, 8.1 and 8.7. Times are RFC 3339 texts as in YAML, durations their
texts; the engine turns them into numbers where it computes. What only the Kargo Enterprise product
reads, and the configuration of promotion steps, is kept as it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

TERMINAL_PHASES = frozenset({"Succeeded", "Failed", "Errored", "Aborted"})


@attrs.frozen(kw_only=True)
class Project:
    """A Project; the namespace of the same name belongs to it."""

    name: str
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    generation: int = 1


@attrs.frozen(kw_only=True)
class Origin:
    """Where Freight comes from."""

    kind: str = "Warehouse"
    name: str

    @property
    def key(self) -> str:
        """`Warehouse/name`, as the Freight ID hashes it."""
        return f"{self.kind}/{self.name}"


@attrs.frozen(kw_only=True)
class Variable:
    """One element of `vars`; `required` counts in tasks, where an empty value then refuses the Promotion."""

    name: str
    value: str = ""


@attrs.frozen(kw_only=True)
class TaskReference:
    """`task:` of a step."""

    name: str
    kind: str = "PromotionTask"


@attrs.frozen(kw_only=True)
class StepRetry:
    """`retry:` of a step; `timeout` is a duration text."""

    timeout: str = ""
    error_threshold: int = 0


@attrs.frozen(kw_only=True)
class PromotionStep:
    """One step; it either `uses` a runner or refers to a `task`. `alias` is spelled `as`, `condition` `if`."""

    uses: str = ""
    task: TaskReference | None = None
    alias: str = ""
    condition: str = ""
    continue_on_error: bool = False
    retry: StepRetry | None = None
    vars: tuple[Variable, ...] = ()
    config: Any = None


@attrs.frozen(kw_only=True)
class FreightRequest:
    """One element of `requestedFreight`, its `sources` unfolded.

    `required_soak_time` is None where absent: `0s` counts as set.
    """

    origin: Origin
    direct: bool = False
    stages: tuple[str, ...] = ()
    required_soak_time: str | None = None
    availability_strategy: str = "OneOf"
    selection_policy: str = "NewestFreight"


@attrs.frozen(kw_only=True)
class AnalysisTemplate:
    """A reference of `verification.analysisTemplates`."""

    name: str
    kind: str = "AnalysisTemplate"


@attrs.frozen(kw_only=True)
class Verification:
    """`verification:` of a Stage."""

    analysis_templates: tuple[AnalysisTemplate, ...] = ()
    run_labels: Mapping[str, str] = attrs.field(factory=dict)
    run_annotations: Mapping[str, str] = attrs.field(factory=dict)
    args: tuple[Variable, ...] = ()


@attrs.frozen(kw_only=True)
class Stage:
    """A Stage. Without steps it is a control flow Stage."""

    namespace: str
    name: str
    requested_freight: tuple[FreightRequest, ...]
    shard: str = ""
    vars: tuple[Variable, ...] = ()
    steps: tuple[PromotionStep, ...] = ()
    verification: Verification | None = None
    targets: Any = None
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    generation: int = 1

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def control_flow(self) -> bool:
        """True if the Stage promotes nothing itself."""
        return not self.steps


@attrs.frozen(kw_only=True)
class PromotionTask:
    """A PromotionTask, or with an empty namespace a ClusterPromotionTask."""

    namespace: str = ""
    name: str
    vars: tuple[Variable, ...] = ()
    steps: tuple[PromotionStep, ...] = ()
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    generation: int = 1


@attrs.frozen(kw_only=True)
class FreightCommit:
    """One element of `commits`."""

    repo_url: str
    id: str = ""
    branch: str = ""
    tag: str = ""
    message: str = ""
    author: str = ""
    committer: str = ""
    subscription_name: str = ""


@attrs.frozen(kw_only=True)
class FreightImage:
    """One element of `images`."""

    repo_url: str
    tag: str = ""
    digest: str = ""
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    subscription_name: str = ""


@attrs.frozen(kw_only=True)
class FreightChart:
    """One element of `charts`."""

    repo_url: str
    name: str = ""
    version: str = ""
    subscription_name: str = ""


@attrs.frozen(kw_only=True)
class FreightArtifact:
    """One element of `artifacts`: what a generic subscription found."""

    artifact_type: str
    subscription_name: str
    version: str
    metadata: Any = None


@attrs.frozen(kw_only=True)
class VerifiedStage:
    """`status.verifiedIn[stage]`; `longest_soak` is a duration text."""

    verified_at: str = ""
    longest_soak: str = ""


@attrs.frozen(kw_only=True)
class FreightStatus:
    """`status:` of Freight; the values of `currently_in` and `approved_for` are times."""

    currently_in: Mapping[str, str] = attrs.field(factory=dict)
    verified_in: Mapping[str, VerifiedStage] = attrs.field(factory=dict)
    approved_for: Mapping[str, str] = attrs.field(factory=dict)
    metadata: Any = None


@attrs.frozen(kw_only=True)
class Freight:
    """One Freight; all but alias, labels and status never changes. Its name is a hash of the rest."""

    namespace: str
    name: str
    origin: Origin
    alias: str = ""
    discovered_at: str = ""
    created_at: str = ""
    commits: tuple[FreightCommit, ...] = ()
    images: tuple[FreightImage, ...] = ()
    charts: tuple[FreightChart, ...] = ()
    artifacts: tuple[FreightArtifact, ...] = ()
    status: FreightStatus = FreightStatus()
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@attrs.frozen(kw_only=True)
class PromotionStatus:
    """`status:` of a Promotion; `state` maps step aliases to what the steps wrote."""

    phase: str = ""
    message: str = ""
    current_step: int = 0
    state: Mapping[str, Any] = attrs.field(factory=dict)
    started_at: str = ""
    finished_at: str = ""
    last_handled_refresh: str = ""
    freight_collection: Any = None


@attrs.frozen(kw_only=True)
class Promotion:
    """One Promotion: Freight (or, since 1.11, the candidate of an origin) on its way into a Stage."""

    namespace: str
    name: str
    stage: str
    freight: str = ""
    origin: Origin | None = None
    vars: tuple[Variable, ...] = ()
    steps: tuple[PromotionStep, ...] = ()
    status: PromotionStatus = PromotionStatus()
    created_at: str = ""
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"
