"""Verification: what makes a verdict of measurements, and where measurements come from."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.pipeline import analysis, checks
from kargo_lab.engine.pipeline.analysis import Measurement, Metric
from kargo_lab.errors import PipelineError
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Shared

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD, BAD, BROKEN, UNSURE = (Measurement(phase=phase) for phase in ("Successful", "Failed", "Error", "Inconclusive"))


def template(**metric: Any) -> analysis.Template:
    document = {"kind": "AnalysisTemplate", "metadata": {"name": "t"}, "spec": {"metrics": [{"name": "m", **metric}]}}
    return analysis.template(document)


def outcome(measurements: list[Measurement], **metric: Any) -> tuple[str, int]:
    """The phase, and how many measurements were taken for it."""
    running, now = analysis.begun("run", "p/dev", [template(**metric)], {}, NOW), NOW
    for taken, measurement in enumerate(measurements, 1):
        while not (due := analysis.due(running, now)):
            now += timedelta(seconds=1)
        running = analysis.measured(running, due[0], measurement, now)
        if running.finished:
            return running.phase, taken
    return running.phase, len(measurements)


@pytest.mark.parametrize(
    ("metric", "measurements", "expected"),
    [
        pytest.param({}, [GOOD], ("Successful", 1), id="once, and well"),
        pytest.param({}, [BAD], ("Failed", 1), id="no failure is allowed by default"),
        pytest.param({"interval": "1m", "count": 3}, [GOOD] * 3, ("Successful", 3), id="as often as count says"),
        pytest.param(
            {"interval": "1m", "count": 3, "failureLimit": 1},
            [BAD, GOOD, GOOD],
            ("Successful", 3),
            id="one failure allowed",
        ),
        pytest.param(
            {"interval": "1m", "count": 5, "failureLimit": 1}, [BAD, BAD], ("Failed", 2), id="two are too many, at once"
        ),
        pytest.param({}, [UNSURE], ("Inconclusive", 1), id="nobody knows"),
        pytest.param({}, [BROKEN] * 5, ("Error", 5), id="five errors in a row"),
        pytest.param({}, [BROKEN] * 4 + [GOOD], ("Successful", 5), id="errors are repeated, and forgotten"),
        pytest.param({"consecutiveErrorLimit": 0}, [BROKEN], ("Error", 1), id="no error is allowed"),
    ],
)
def test_measurements_make_a_phase(
    metric: dict[str, Any], measurements: list[Measurement], expected: tuple[str, int]
) -> None:
    assert outcome(measurements, **metric) == expected


@pytest.mark.parametrize(
    ("success", "failure", "value", "phase"),
    [
        ("", "", 1, "Successful"),
        ("result > 0", "", 1, "Successful"),
        ("result > 0", "", 0, "Failed"),
        ("", "result > 0", 1, "Failed"),
        ("", "result > 0", 0, "Successful"),
        ("result > 9", "result < 0", 5, "Inconclusive"),
        ("result.nope.deeper == 1", "", {}, "Error"),
    ],
)
def test_conditions_judge_a_value(success: str, failure: str, value: Any, phase: str) -> None:
    assert analysis.judged(Metric(name="m", success=success, failure=failure), Measurement(value=value))[0] == phase


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ({"interval": "1m"}, "an `interval` without `count` would measure for ever"),
        ({"count": 3}, "a `count` of more than one needs an `interval`"),
        ({"count": 10**6, "interval": "1s"}, "10000 are allowed"),
        ({"interval": "soon"}, "`interval`"),
        ({"failureLimit": "x"}, "`failureLimit` must be a whole number"),
    ],
)
def test_a_template_that_cannot_be_run_is_refused_by_name(metric: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match="AnalysisTemplate t, metric m") as refused:
        template(**metric)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("code", "phase"),
    [
        ("raise SystemExit(0)", "Successful"),
        ("raise SystemExit(3)", "Failed"),
        ("import time; time.sleep(60)", "Error"),
    ],
)
def test_a_command_is_judged_by_its_end_and_bounded(code: str, phase: str) -> None:
    check = checks.command([sys.executable, "-c", code], seconds=60.0 if "sleep" not in code else 0.5)
    assert check(Metric(name="m"), {}).phase == phase


def test_a_command_sees_the_arguments_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    code = "import os; raise SystemExit(os.environ.get('SECRET') is not None or os.environ['ARG_VERSION'] != '1')"
    assert checks.command([sys.executable, "-c", code])(Metric(name="m"), {"version": "1"}).phase == "Successful"


def test_a_command_that_is_not_there_is_an_error() -> None:
    assert checks.command(["/no/such/program"])(Metric(name="m"), {}).phase == "Error"


def probed(metric: Metric, **args: str) -> Measurement:
    shared = Shared(ledger=Ledger())
    return checks.probe(shared, VirtualClock())(metric, args)


def test_a_probe_reads_the_part_of_the_answer_that_its_path_names(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/v/1").respond_with_json({"data": [{"rate": 0.5}]})
    web = {"url": httpserver.url_for("/v/") + "{{args.version}}", "jsonPath": "{$.data[0].rate}"}
    assert probed(Metric(name="m", provider={"web": web}), version="1").value == 0.5


def test_a_probe_of_a_broken_page_is_an_error(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/").respond_with_data("", status=500)
    assert probed(Metric(name="m", provider={"web": {"url": httpserver.url_for("/")}})).phase == "Error"


@pytest.mark.parametrize("provider", [{}, {"job": {}}, {"prometheus": {}}, {"web": {"url": "file:///etc/passwd"}}])
def test_what_the_lab_cannot_ask_is_an_error(provider: dict[str, Any]) -> None:
    assert probed(Metric(name="m", provider=provider)).phase == "Error"
