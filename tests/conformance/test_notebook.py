"""The library call: a table in the cell, failures to unfold, a frame to go on with, and no secret anywhere."""

from __future__ import annotations

import pytest

from kargo_lab import conformance
from kargo_lab.conformance.notebook import COLUMNS
from kargo_lab.errors import TargetError, UsageError

CANARY = "the-secret-of-this-receiver"  # of the case security/near-misses/foreign-secret


def test_a_good_run_is_a_table_by_group_and_level() -> None:
    run = conformance.run(select=["github/authenticity/text"])
    assert run.outcome == "passed"
    page = run._repr_html_()
    assert "<th style='text-align:left'>github</th>" in page
    assert "2/2" in page
    assert "<details>" not in page


def test_a_failure_unfolds_with_its_curl_line_and_the_command_that_runs_it_again() -> None:
    page = conformance.run("always-401", select="github/push/branch*")._repr_html_()
    assert "<details><summary>fail <code>github/push/branch" in page
    assert "curl" in page
    assert "kargo-lab conformance run" in page


def test_the_frame_has_a_row_for_each_case() -> None:
    frame = conformance.run(select=["github/authenticity/*"]).to_frame()
    assert tuple(frame.columns) == COLUMNS
    assert set(frame["group"]) == {"github"}
    assert frame["case"].is_unique


def test_no_secret_is_shown() -> None:
    run = conformance.run("always-401", select=["security/near-misses/foreign-secret"])
    assert run.to_frame()["status"].tolist()
    for text in (run._repr_html_(), repr(run), run.to_frame().to_csv()):
        assert CANARY not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"select": ["no/such/case"]}, "no/such/case", id="a pattern without a match"),
        pytest.param({"profile": "v0.1"}, "v0.1", id="an unknown profile"),
        pytest.param({"target": "http://127.0.0.1:1"}, "127.0.0.1:1", id="nobody there"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(arguments: dict[str, object], said: str) -> None:
    with pytest.raises((UsageError, TargetError), match=said):
        conformance.run(**arguments)  # type: ignore[arg-type]
