"""A target is lost on the way, without a failure before: every form of the report says so, and that it is no pass."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kargo_lab.conformance import report, suite, targets
from kargo_lab.conformance.board import print_board
from kargo_lab.conformance.cases import for_profile, load, select
from kargo_lab.conformance.notebook import Run
from kargo_lab.conformance.plans import Plan
from kargo_lab.conformance.targets.reference import Reference
from kargo_lab.conformance.verdicts import EXIT_STATUS
from kargo_lab.errors import LabError

LOST = "the lab API gave no answer"


class Mortal(Reference):
    """Can be asked for its state so often, and then no more."""

    lives = 5

    def state(self, plan: Plan) -> Mapping[str, Any]:
        self.lives -= 1
        if self.lives < 0:
            raise LabError(LOST)
        return super().state(plan)


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(targets, "make", lambda _name, profile, _factor: Mortal(profile))
    cases = for_profile(select(load(), ("github/authenticity", "github/push/url-form")), "latest")
    return suite.judge(cases, suite.header("reference-in-process"), jobs=1)


def test_it_is_broken_and_the_status_is_2(document: dict[str, Any]) -> None:
    assert (document["footer"]["outcome"], EXIT_STATUS[document["footer"]["outcome"]]) == ("broken", 2)
    assert {case["status"] for case in document["cases"]} == {"pass", "error"}


@pytest.mark.parametrize("name", ["report.json", "report.html", "junit.xml"])
def test_a_file_says_why(document: dict[str, Any], tmp_path: Path, name: str) -> None:
    report.write(tmp_path, document)
    assert "could not be judged: " + LOST in (tmp_path / name).read_text()


@pytest.mark.parametrize("name", ["badge.json", "badge.svg"])
def test_a_badge_says_that_it_is_broken(document: dict[str, Any], tmp_path: Path, name: str) -> None:
    report.write(tmp_path, document)
    assert "broken: core" in (tmp_path / name).read_text()


def test_the_terminal_ends_with_it(document: dict[str, Any]) -> None:
    console = Console(file=io.StringIO(), width=1000)
    print_board(document, console)
    last = console.file.getvalue().splitlines()[-1]  # type: ignore[attr-defined]  # a StringIO
    assert last.startswith("broken: ")
    assert "could not be judged: " + LOST in last


def test_a_notebook_shows_it(document: dict[str, Any]) -> None:
    assert "could not be judged: " + LOST in Run(document)._repr_html_()
