"""Verification: the part of an AnalysisTemplate that a lab can run, and how measurements make a verdict.

Of Argo Rollouts' fields: `args`, and of each metric `name`, `interval`, `initialDelay`, `count`, `failureLimit`,
`inconclusiveLimit`, `consecutiveErrorLimit`, `successCondition`, `failureCondition`, and the provider `web`. Every
other provider needs a `Check` of ours under the metric's or the template's name. Pure; who measures is an argument.
Source: Argo Rollouts' documentation, "Analysis & Progressive Delivery"; Kargo's, "Verification".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs

from kargo_lab.errors import ExpressionError, PipelineError, RuleError
from kargo_lab.resources.pipeline import Variable
from kargo_lab.rules import durations, expressions

CONSECUTIVE_ERRORS = 4  # Argo Rollouts' default limit
MOST_MEASUREMENTS = 10_000
SUCCESSFUL, FAILED, ERROR, INCONCLUSIVE, RUNNING = "Successful", "Failed", "Error", "Inconclusive", "Running"
_WORST_FIRST = (FAILED, ERROR, INCONCLUSIVE, RUNNING, SUCCESSFUL)


@attrs.frozen(kw_only=True)
class Measurement:
    """What one look gave: a value to judge, or a phase that is decided already."""

    phase: str = ""
    value: Any = None
    message: str = ""


@attrs.frozen(kw_only=True)
class Metric:
    """One metric of a template. Spans in seconds; `count` 0 means once."""

    name: str
    interval: float = 0.0
    delay: float = 0.0
    count: int = 0
    failure_limit: int = 0
    inconclusive_limit: int = 0
    error_limit: int = CONSECUTIVE_ERRORS
    success: str = ""
    failure: str = ""
    provider: Mapping[str, Any] = attrs.field(factory=dict)
    template: str = ""


@attrs.frozen(kw_only=True)
class Template:
    """An AnalysisTemplate, or with an empty namespace a ClusterAnalysisTemplate."""

    name: str
    namespace: str = ""
    metrics: tuple[Metric, ...] = ()
    args: tuple[Variable, ...] = ()


Check = Callable[[Metric, Mapping[str, str]], Measurement]
"""Takes one measurement of a metric, given the arguments of the analysis. May raise LabError."""


@attrs.frozen(kw_only=True)
class Progress:
    """How far a metric has come."""

    phase: str = RUNNING
    message: str = ""
    taken: int = 0
    failed: int = 0
    inconclusive: int = 0
    errors: int = 0
    due: str = ""  # ISO 8601, when the next measurement is


@attrs.frozen(kw_only=True)
class Analysis:
    """One analysis on its way."""

    name: str
    stage: str
    metrics: tuple[Metric, ...]
    args: Mapping[str, str] = attrs.field(factory=dict)
    progress: Mapping[str, Progress] = attrs.field(factory=dict)
    message: str = ""

    @property
    def phase(self) -> str:
        """The worst of the metrics' phases; what still runs counts unless something has failed."""
        phases = {each.phase for each in self.progress.values()} or {ERROR if self.message else SUCCESSFUL}
        return next(phase for phase in _WORST_FIRST if phase in phases)

    @property
    def finished(self) -> bool:
        """True once the phase is final; a failure ends the other metrics."""
        return self.phase != RUNNING

    @property
    def text(self) -> str:
        """Why it did not succeed."""
        told = [f"metric {name}: {each.message}" for name, each in self.progress.items() if each.phase == self.phase]
        return self.message or ("; ".join(told) if self.phase not in (SUCCESSFUL, RUNNING) else "")

    def next_due(self) -> datetime | None:
        """When the next measurement is due."""
        moments = [datetime.fromisoformat(each.due) for each in self.progress.values() if each.phase == RUNNING]
        return min(moments, default=None)


def begun(name: str, stage: str, templates: Iterable[Template], args: Mapping[str, str], now: datetime) -> Analysis:
    """An analysis of all metrics of all templates, at its beginning."""
    metrics = tuple(metric for template in templates for metric in template.metrics)
    progress = {_key(metric): Progress(due=(now + timedelta(seconds=metric.delay)).isoformat()) for metric in metrics}
    return Analysis(name=name, stage=stage, metrics=metrics, args=dict(args), progress=progress)


def failed(name: str, stage: str, message: str) -> Analysis:
    """An analysis that cannot begin."""
    return Analysis(name=name, stage=stage, metrics=(), message=message)


def _key(metric: Metric) -> str:
    return f"{metric.template}/{metric.name}" if metric.template else metric.name


def due(analysis: Analysis, now: datetime) -> tuple[Metric, ...]:
    """The metrics that are to be measured now."""
    return tuple(
        metric
        for metric in analysis.metrics
        if (progress := analysis.progress[_key(metric)]).phase == RUNNING
        and datetime.fromisoformat(progress.due) <= now
    )


def measured(analysis: Analysis, metric: Metric, measurement: Measurement, now: datetime) -> Analysis:
    """The analysis with one more measurement."""
    phase, message = judged(metric, measurement)
    before = analysis.progress[_key(metric)]
    after = attrs.evolve(
        before,
        taken=before.taken + 1,
        failed=before.failed + (phase == FAILED),
        inconclusive=before.inconclusive + (phase == INCONCLUSIVE),
        errors=before.errors + 1 if phase == ERROR else 0,
        message=message or before.message,
    )
    after = attrs.evolve(after, phase=_phase(metric, after), due=_next(metric, after, now))
    return attrs.evolve(analysis, progress={**analysis.progress, _key(metric): after})


def _phase(metric: Metric, progress: Progress) -> str:
    for count, limit, phase in (
        (progress.failed, metric.failure_limit, FAILED),
        (progress.inconclusive, metric.inconclusive_limit, INCONCLUSIVE),
        (progress.errors, metric.error_limit, ERROR),
    ):
        if count > limit:
            return phase
    # A measurement that broke does not count towards `count`; it is repeated.
    return SUCCESSFUL if progress.taken - progress.errors >= max(1, metric.count) else RUNNING


def _next(metric: Metric, progress: Progress, now: datetime) -> str:
    broken = progress.errors and not metric.interval
    return (now + timedelta(seconds=10.0 if broken else metric.interval)).isoformat()


def judged(metric: Metric, measurement: Measurement) -> tuple[str, str]:
    """Phase and message of one measurement."""
    if measurement.phase:
        return measurement.phase, measurement.message
    try:
        bad = bool(metric.failure) and _holds(metric.failure, measurement.value)
        good = bool(metric.success) and _holds(metric.success, measurement.value)
    except ExpressionError as error:
        return ERROR, f"a condition cannot be evaluated: {error}"
    shown = f"the result was {str(measurement.value)[:200]}"
    if bad or (metric.success and not good and not metric.failure):
        return FAILED, shown
    if metric.success and metric.failure and not good:
        return INCONCLUSIVE, shown
    return SUCCESSFUL, ""


def _holds(condition: str, value: Any) -> bool:
    return expressions.matched(expressions.compile(condition).run({"result": value}))


# Reading ------------------------------------------------------------------------------------------------


def template(document: Mapping[str, Any]) -> Template:
    """A template out of its YAML. Raises PipelineError that names it."""
    metadata = document.get("metadata") or {}
    name, namespace = str(metadata.get("name", "")), str(metadata.get("namespace") or "")
    cluster = document.get("kind") == "ClusterAnalysisTemplate"
    named, spec = f"{document.get('kind', 'AnalysisTemplate')} {name}", document.get("spec") or {}
    if not isinstance(spec, Mapping) or not isinstance(spec.get("metrics"), Sequence):
        raise PipelineError(named, "`spec.metrics` must be a list")
    args = tuple(
        Variable(name=str(each.get("name", "")), value=str(each.get("value", "")))
        for each in spec.get("args") or ()
        if isinstance(each, Mapping)
    )
    metrics = tuple(_metric(each, name, named) for each in spec["metrics"])
    return Template(name=name, namespace="" if cluster else namespace, metrics=metrics, args=args)


def _metric(document: object, template_name: str, named: str) -> Metric:
    if not isinstance(document, Mapping) or not document.get("name"):
        raise PipelineError(named, "each metric must be a mapping with a `name`")
    where = f"{named}, metric {document['name']}"
    count, interval = _number(document, "count", 0, where), _span(document, "interval", where)
    if interval and not count:
        raise PipelineError(where, "an `interval` without `count` would measure for ever")
    if count > MOST_MEASUREMENTS:
        raise PipelineError(where, f"`count` is {count}; {MOST_MEASUREMENTS} are allowed")
    if count > 1 and not interval:
        raise PipelineError(where, "a `count` of more than one needs an `interval`")
    return Metric(
        name=str(document["name"]),
        interval=interval,
        delay=_span(document, "initialDelay", where),
        count=count,
        failure_limit=_number(document, "failureLimit", 0, where),
        inconclusive_limit=_number(document, "inconclusiveLimit", 0, where),
        error_limit=_number(document, "consecutiveErrorLimit", CONSECUTIVE_ERRORS, where),
        success=str(document.get("successCondition") or ""),
        failure=str(document.get("failureCondition") or ""),
        provider=document.get("provider") or {},
        template=template_name,
    )


def _number(document: Mapping[str, Any], key: str, default: int, where: str) -> int:
    value = document.get(key, default)
    try:
        return int(value)
    except (TypeError, ValueError):
        raise PipelineError(where, f"`{key}` must be a whole number; found {value!r}") from None


def _span(document: Mapping[str, Any], key: str, where: str) -> float:
    value = document.get(key)
    try:
        return durations.seconds(str(value)) if value else 0.0
    except RuleError as error:
        raise PipelineError(where, f"`{key}`: {error}") from None
