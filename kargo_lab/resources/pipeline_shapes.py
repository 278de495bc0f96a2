"""The shapes of Project, Stage, PromotionTask, Freight and Promotion: discovery.md 7.1, 8.1 and 8.7."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from kargo_lab.resources.metadata_shapes import envelope, metadata
from kargo_lab.resources.pipeline import (
    AnalysisTemplate,
    Freight,
    FreightArtifact,
    FreightChart,
    FreightCommit,
    FreightImage,
    FreightRequest,
    FreightStatus,
    Origin,
    Project,
    Promotion,
    PromotionStatus,
    PromotionStep,
    PromotionTask,
    Stage,
    StepRetry,
    TaskReference,
    Variable,
    Verification,
    VerifiedStage,
)
from kargo_lab.resources.shapes import WRONG, Anything, Field, Flag, ListOf, MapOf, Number, Place, Record, Text
from kargo_lab.resources.warehouse_shapes import DURATION, no_twins, time_problem

TEXT = Text()
TEXTS = MapOf(shape=TEXT)
TIME = Text(check=time_problem)
_STATUS_SKIPPED = Field("status", "status", Anything(), skipped=True)


def _list(shape: Record) -> ListOf:
    return ListOf(shape=shape)


# Parts ----------------------------------------------------------------------------------------------

ORIGIN = Record(
    kind=Origin,
    fields=(
        Field("kind", "kind", Text(choices=("Warehouse",)), required=True),
        Field("name", "name", Text(shortest=1, meaning="the name of a Warehouse"), required=True),
    ),
)


def _variables(name: Text) -> ListOf:
    return _list(
        Record(kind=Variable, fields=(Field("name", "name", name, required=True), Field("value", "value", TEXT)))
    )


VARIABLES = _variables(Text(pattern=re.compile(r"[a-zA-Z_]\w*", re.ASCII), meaning="a name of letters, digits and `_`"))
ARGUMENTS = _variables(Text(shortest=1, meaning="a name"))


def _check_step(place: Place) -> None:
    if bool(place.text("uses")) == (place.at("task").value is not None):
        place.wrong("expected either `uses` or `task`")


STEPS = _list(
    Record(
        kind=PromotionStep,
        check=_check_step,
        fields=(
            Field("uses", "uses", TEXT),
            Field(
                "task",
                "task",
                Record(
                    kind=TaskReference,
                    fields=(
                        Field("name", "name", Text(shortest=1), required=True),
                        Field("kind", "kind", Text(choices=("PromotionTask", "ClusterPromotionTask"))),
                    ),
                ),
            ),
            Field("as", "alias", TEXT),
            Field("if", "condition", TEXT),
            Field("continueOnError", "continue_on_error", Flag()),
            Field(
                "retry",
                "retry",
                Record(
                    kind=StepRetry,
                    fields=(
                        Field("timeout", "timeout", DURATION),
                        Field("errorThreshold", "error_threshold", Number(lowest=0)),
                    ),
                ),
            ),
            Field("vars", "vars", VARIABLES),
            Field("config", "config", Anything()),
        ),
    )
)

# Project, Stage, tasks --------------------------------------------------------------------------------

PROJECT = Record(
    kind=Project,
    fields=envelope(
        metadata("labels", "annotations", "generation", namespaced=False),
        Field("spec", "spec", Anything(), skipped=True),
        _STATUS_SKIPPED,
    ),
)


def _check_sources(place: Place) -> None:
    options = place.at("autoPromotionOptions")
    if options.text("selectionPolicy") != "MatchUpstream":
        return
    stages = place.at("stages").value
    if place.at("direct").value or not isinstance(stages, list) or len(stages) != 1:
        options.at("selectionPolicy").wrong("MatchUpstream needs `direct: false` and exactly one upstream Stage")


_SOURCES = Record(
    check=_check_sources,
    fields=(
        Field("direct", "direct", Flag()),
        Field("stages", "stages", ListOf(shape=TEXT)),
        Field("requiredSoakTime", "required_soak_time", DURATION),
        Field("availabilityStrategy", "availability_strategy", Text(choices=("OneOf", "All")), zero_is_absent=True),
        Field(
            "autoPromotionOptions",
            "options",
            Record(
                fields=(
                    Field(
                        "selectionPolicy",
                        "selection_policy",
                        Text(choices=("NewestFreight", "MatchUpstream")),
                        zero_is_absent=True,
                    ),
                )
            ),
            spread=True,
        ),
    ),
)


def _check_requests(place: Place) -> None:
    no_twins(place, lambda item: item.text("origin", "name"), "the same origin as the request", "origin")


_VERIFICATION = Record(
    kind=Verification,
    fields=(
        Field(
            "analysisTemplates",
            "analysis_templates",
            _list(
                Record(
                    kind=AnalysisTemplate,
                    fields=(
                        Field("name", "name", Text(shortest=1), required=True),
                        Field("kind", "kind", Text(choices=("AnalysisTemplate", "ClusterAnalysisTemplate"))),
                    ),
                )
            ),
        ),
        Field(
            "analysisRunMetadata",
            "metadata",
            Record(fields=(Field("labels", "run_labels", TEXTS), Field("annotations", "run_annotations", TEXTS))),
            spread=True,
        ),
        Field("args", "args", ARGUMENTS),
    ),
)
_TEMPLATE = Record(
    fields=(
        Field(
            "spec",
            "spec",
            Record(fields=(Field("vars", "template_vars", VARIABLES, skipped=True), Field("steps", "steps", STEPS))),
            spread=True,
        ),
    )
)
STAGE = Record(
    kind=Stage,
    fields=envelope(
        metadata("labels", "annotations", "generation"),
        Field(
            "spec",
            "spec",
            Record(
                fields=(
                    Field("shard", "shard", TEXT),
                    Field("vars", "vars", VARIABLES),
                    Field(
                        "requestedFreight",
                        "requested_freight",
                        ListOf(
                            least=1,
                            check=_check_requests,
                            shape=Record(
                                kind=FreightRequest,
                                fields=(
                                    Field("origin", "origin", ORIGIN, required=True),
                                    Field("sources", "sources", _SOURCES, spread=True),
                                ),
                            ),
                        ),
                        required=True,
                    ),
                    Field("promotionTemplate", "template", _TEMPLATE, spread=True),
                    Field("verification", "verification", _VERIFICATION),
                    Field("targets", "targets", Anything()),
                )
            ),
            required=True,
            spread=True,
        ),
        _STATUS_SKIPPED,
    ),
)


def _task(*, namespaced: bool) -> Record:
    spec = Record(
        fields=(
            Field("vars", "vars", VARIABLES),
            Field("steps", "steps", ListOf(shape=STEPS.shape, least=1), required=True),
        )
    )
    return Record(
        kind=PromotionTask,
        fields=envelope(
            metadata("labels", "annotations", "generation", namespaced=namespaced),
            Field("spec", "spec", spec, required=True, spread=True),
            _STATUS_SKIPPED,
        ),
    )


PROMOTION_TASK = _task(namespaced=True)
CLUSTER_PROMOTION_TASK = _task(namespaced=False)

# Freight ----------------------------------------------------------------------------------------------

_REPO_URL = Field("repoURL", "repo_url", TEXT, required=True)
_SUBSCRIPTION_NAME = Field("subscriptionName", "subscription_name", TEXT)


def _texts(kind: type, *keys: tuple[str, str]) -> ListOf:
    members = tuple(Field(key, attribute, TEXT) for key, attribute in keys)
    return _list(Record(kind=kind, fields=(_REPO_URL, *members, _SUBSCRIPTION_NAME)))


_COMMITS = _texts(
    FreightCommit,
    ("id", "id"),
    ("branch", "branch"),
    ("tag", "tag"),
    ("message", "message"),
    ("author", "author"),
    ("committer", "committer"),
)
_CHARTS = _texts(FreightChart, ("name", "name"), ("version", "version"))
_IMAGES = _list(
    Record(
        kind=FreightImage,
        fields=(
            _REPO_URL,
            Field("tag", "tag", TEXT),
            Field("digest", "digest", TEXT),
            Field("annotations", "annotations", TEXTS),
            _SUBSCRIPTION_NAME,
        ),
    )
)
_ARTIFACTS = _list(
    Record(
        kind=FreightArtifact,
        fields=(
            Field("artifactType", "artifact_type", TEXT, required=True),
            Field("subscriptionName", "subscription_name", TEXT, required=True),
            Field("version", "version", TEXT, required=True),
            Field("metadata", "metadata", Anything()),
        ),
    )
)


@attrs.frozen
class _TimesBy:
    """A mapping of Stage names to objects with one time in them, kept as Stage -> time."""

    key: str

    def read(self, place: Place) -> Any:
        values = MapOf(shape=Record(fields=(Field(self.key, "time", TIME),))).read(place)
        return WRONG if values is WRONG else {stage: item.get("time", "") for stage, item in values.items()}

    def write(self, value: Any) -> Any:
        return {stage: {self.key: time} if time else {} for stage, time in value.items()}


_FREIGHT_STATUS = Record(
    kind=FreightStatus,
    fields=(
        Field("currentlyIn", "currently_in", _TimesBy("since")),
        Field(
            "verifiedIn",
            "verified_in",
            MapOf(
                shape=Record(
                    kind=VerifiedStage,
                    fields=(Field("verifiedAt", "verified_at", TIME), Field("longestSoak", "longest_soak", TEXT)),
                )
            ),
        ),
        Field("approvedFor", "approved_for", _TimesBy("approvedAt")),
        Field("metadata", "metadata", Anything()),
    ),
)


def _check_freight(place: Place) -> None:
    if not any(place.at(key).value for key in ("commits", "images", "charts", "artifacts")):
        place.wrong("expected at least one artifact in commits, images, charts or artifacts")


FREIGHT = Record(
    kind=Freight,
    check=_check_freight,
    fields=envelope(
        metadata("labels", "annotations", "created_at"),
        Field("alias", "alias", TEXT),
        Field("discoveredAt", "discovered_at", TIME),
        Field("origin", "origin", ORIGIN, required=True),
        Field("commits", "commits", _COMMITS),
        Field("images", "images", _IMAGES),
        Field("charts", "charts", _CHARTS),
        Field("artifacts", "artifacts", _ARTIFACTS),
        Field("status", "status", _FREIGHT_STATUS),
    ),
)

# Promotion --------------------------------------------------------------------------------------------

_PROMOTION_STATUS = Record(
    kind=PromotionStatus,
    fields=(
        Field("phase", "phase", Text(choices=("Pending", "Running", "Succeeded", "Failed", "Errored", "Aborted"))),
        Field("message", "message", TEXT),
        Field("currentStep", "current_step", Number(lowest=0)),
        Field("state", "state", MapOf(shape=Anything())),
        Field("startedAt", "started_at", TIME),
        Field("finishedAt", "finished_at", TIME),
        Field("lastHandledRefresh", "last_handled_refresh", TEXT),
        Field("freightCollection", "freight_collection", Anything()),
        Field("freight", "freight", Anything(), skipped=True),
        Field("healthChecks", "health_checks", Anything(), skipped=True),
        Field("stepExecutionMetadata", "step_execution_metadata", Anything(), skipped=True),
    ),
)


def _check_promotion(place: Place) -> None:
    if bool(place.text("spec", "freight")) == (place.at("spec", "origin").value is not None):
        place.at("spec").wrong("expected either `freight` or `origin`")


PROMOTION = Record(
    kind=Promotion,
    check=_check_promotion,
    fields=envelope(
        metadata("labels", "annotations", "created_at"),
        Field(
            "spec",
            "spec",
            Record(
                fields=(
                    Field("stage", "stage", Text(shortest=1), required=True),
                    Field("freight", "freight", TEXT),
                    Field("origin", "origin", ORIGIN),
                    Field("vars", "vars", VARIABLES),
                    Field("steps", "steps", STEPS),
                )
            ),
            required=True,
            spread=True,
        ),
        Field("status", "status", _PROMOTION_STATUS),
    ),
)

SHAPES: Mapping[str, Record] = {
    "Project": PROJECT,
    "Stage": STAGE,
    "PromotionTask": PROMOTION_TASK,
    "ClusterPromotionTask": CLUSTER_PROMOTION_TASK,
    "Freight": FREIGHT,
    "Promotion": PROMOTION,
}
