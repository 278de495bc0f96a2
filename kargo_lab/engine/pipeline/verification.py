"""The verifier: which templates and checks there are, and measurements when they are due."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from kargo_lab.engine.clock import Clock
from kargo_lab.engine.pipeline import analysis as analyses
from kargo_lab.engine.pipeline.analysis import Analysis, Check, Measurement, Metric, Template
from kargo_lab.engine.pipeline.values import HEALTHY, VerificationRecord
from kargo_lab.engine.status import timestamp
from kargo_lab.errors import LabError, PipelineError
from kargo_lab.resources.pipeline import Stage

Health = Callable[[Stage], str]


class Verifier:
    """Runs analyses. `checks` are by the name of a metric, `template/metric`, or a template.

    A template that is not declared but has a check of its name is one metric, measured once. `probe` is
    asked for what has no check; `health` says how a Stage is (no step of the lab registers health checks).
    """

    def __init__(
        self,
        *,
        probe: Check,
        checks: Mapping[str, Check] | None = None,
        health: Health = lambda _stage: HEALTHY,
        now: Callable[[], datetime],
    ) -> None:
        self._probe, self._checks, self._now = probe, dict(checks or {}), now
        self.health = health
        self._templates: dict[tuple[str, str], Template] = {}

    def apply(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Take over the AnalysisTemplates, all of them."""
        found = [analyses.template(document) for document in documents]
        self._templates = {(each.namespace, each.name): each for each in found}

    def begin(self, stage: Stage, record: VerificationRecord, now: datetime) -> Analysis:
        """The analysis for a verification that a pass has started."""
        assert stage.verification is not None  # noqa: S101 - a pass starts none without it
        try:
            templates = [
                self._template(stage.namespace if each.kind == "AnalysisTemplate" else "", each.name)
                for each in stage.verification.analysis_templates
            ]
        except PipelineError as error:
            return analyses.failed(record.run, stage.key, str(error))
        args = {each.name: each.value for template in templates for each in template.args}
        args |= {each.name: each.value for each in stage.verification.args}
        return analyses.begun(record.run, stage.key, templates, args, now)

    def _template(self, namespace: str, name: str) -> Template:
        found = self._templates.get((namespace, name))
        if found is not None:
            return found
        if name in self._checks:
            return Template(name=name, namespace=namespace, metrics=(Metric(name=name),))
        kind = "AnalysisTemplate" if namespace else "ClusterAnalysisTemplate"
        raise PipelineError(f"{kind} {name}", "is neither declared nor a check of this lab")

    def measure(self, analysis: Analysis, clock: Clock) -> Analysis:
        """Take the measurements that are due."""
        for metric in analyses.due(analysis, clock.now()):
            names = (f"{metric.template}/{metric.name}", metric.name, metric.template)
            check = next((self._checks[name] for name in names if name in self._checks), self._probe)
            try:
                measurement = check(metric, analysis.args)
            except LabError as error:
                measurement = Measurement(phase=analyses.ERROR, message=str(error))
            analysis = analyses.measured(analysis, metric, measurement, clock.now())
            if analysis.finished:
                break
        return analysis

    def record(self, analysis: Analysis | None) -> VerificationRecord | None:
        """What an analysis says now, as a pass reads it."""
        if analysis is None:
            return None
        ended = timestamp(self._now()) or "" if analysis.finished else ""
        return VerificationRecord(
            id="", phase=analysis.phase, message=analysis.text, finished_at=ended, run=analysis.name
        )
