"""What a report may not hold, and where it may be written."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from kargo_lab.conformance import report, suite
from kargo_lab.conformance.cases import for_profile, load, select
from kargo_lab.conformance.plans import plan, receiver_path

CANARY = b"the-secret-of-this-receiver"  # of the case security/near-misses/foreign-secret


def failing() -> dict:
    chosen = for_profile(select(load(), ("security/near-misses", "github/authenticity", "gitlab", "harbor")), "latest")
    return suite.judge(chosen, suite.header("always-200"), jobs=1)


@pytest.fixture(scope="module")
def document() -> dict:
    return failing()


def secrets() -> list[str]:
    chosen = for_profile(select(load(), ("security/near-misses", "gitlab", "harbor")), "latest")
    plans = [plan(case, suite.NOWHERE, 7) for case in chosen]
    paths = [receiver_path(each).rpartition("/")[2] for each in plans]
    return [each.secret.decode() for each in plans if len(each.secret) > 6] + paths


def test_no_secret_and_no_path_that_is_one_stands_in_any_file_of_a_report(document: dict, tmp_path: Path) -> None:
    report.write(tmp_path, document)
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    found = [secret for secret in secrets() if secret in written]
    assert found == []
    assert CANARY.decode() not in written


def test_no_secret_stands_in_a_repr_of_a_plan() -> None:
    case = select(load(), ("security/near-misses/foreign-secret",))[0]
    each = plan(case, suite.NOWHERE, 7)
    assert each.secret == CANARY
    assert CANARY.decode() not in repr(each)
    assert "dGhlLXNlY3JldC1vZi10aGlzLXJlY2VpdmVy" not in repr(each)  # in Base64, as the Secret has it


def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    chosen = for_profile(select(load(), ("security/near-misses/foreign-secret",)), "latest")
    suite.judge(chosen, suite.header("reference-in-process"), jobs=1)
    assert CANARY.decode() not in caplog.text


def test_a_report_is_written_into_its_folder_and_nowhere_else(
    document: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "report", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    report.write(folder, document)
    assert sorted(path.name for path in folder.iterdir()) == sorted(report.FILES)
    assert list(elsewhere.iterdir()) == []


def test_every_failure_says_how_to_see_it_again(document: dict) -> None:
    bad = [case for case in document["cases"] if case["status"] == "fail"]
    assert bad
    assert all(case["id"] in case["rerun"] and case["exchanges"][0]["curl"].startswith("curl") for case in bad)


def test_reports_stand_side_by_side(document: dict) -> None:
    heads, rows = report.matrix({"one": document, "two": document})
    assert heads == ["", "one", "two"]
    assert rows[-1] == ["outcome", "failed", "failed"]
