"""What a proof says of itself: survivors, idle core cases, groups in which an absurd target passes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import attrs
import pytest

from kargo_lab.conformance import kills, proving
from kargo_lab.conformance.cases import Case
from kargo_lab.conformance.faults import FAULTS
from kargo_lab.conformance.proving import ABSURD, Proof, Trial

FAULT = next(iter(FAULTS))


def case(name: str, level: str = "core") -> Case:
    return Case(
        id=name, says="", level=level, source="", since="v1.6", until=None, receiver={"type": "github"}, setup={},
        steps=(), features=frozenset(), quirk=False, file="", line=0,
    )  # fmt: skip


CASES = (case("github/a"), case("github/b"), case("quay/c"), case("quay/d", "extended"))


def trial(fault: str, *killers: str, judged: tuple[str, ...] = ("github/a", "github/b", "quay/c")) -> Trial:
    return Trial(fault=fault, killers=killers, errors=(), judged=frozenset(judged), seconds=1.0, processor_seconds=0.5)


GOOD = (
    trial(FAULT, "github/a", "github/b", "quay/c"),
    *(trial(name, "github/a", "quay/d") for name in ABSURD),
)


def proof(*trials: Trial, complete: bool = True) -> Proof:
    return Proof(trials=trials, cases=CASES, complete=complete)


def test_is_good_where_nothing_is_missing() -> None:
    assert proof(*GOOD).good


def test_a_fault_that_nobody_notices_survives() -> None:
    found = proof(*GOOD, trial("unnoticed"))
    assert (found.survivors, found.good) == (("unnoticed",), False)


def test_a_core_case_that_notices_nothing_is_idle() -> None:
    found = proof(trial(FAULT, "github/a", "quay/c"), *GOOD[1:])
    assert (found.idle, found.good) == (("github/b",), False)


def test_what_an_absurd_target_fails_makes_no_case_busy() -> None:
    assert "github/a" in proof(trial(FAULT, "github/b", "quay/c"), *GOOD[1:]).idle


def test_a_group_that_an_absurd_target_passes_is_blind() -> None:
    found = proof(GOOD[0], trial(ABSURD[0], "github/a"), GOOD[2])
    assert (found.blind, found.good) == ((f"{ABSURD[0]}: quay",), False)


def test_a_part_cannot_tell_of_idle_cases() -> None:
    assert proof(trial(FAULT, "github/a"), complete=False).good


def test_two_trials_of_a_fault_are_one() -> None:
    later = trial(FAULT, "quay/d", judged=("quay/d",))
    joined = trial(FAULT, "github/a").joined(later)
    assert joined == attrs.evolve(
        joined, killers=("github/a", "quay/d"), judged=joined.judged | {"quay/d"}, seconds=2.0, processor_seconds=1.0
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    kills.write(tmp_path / "proof", proof(*GOOD, trial("unnoticed", judged=("github/a",))))
    return tmp_path / "proof"


def test_the_matrix_for_programs_names_what_is_missing(written: Path) -> None:
    document = json.loads((written / "kills.json").read_text())
    assert (document["good"], document["survivors"]) == (False, ["unnoticed"])
    assert document["faults"][0]["killers"] == ["github/a", "github/b", "quay/c"]


def test_the_matrix_says_how_it_is_made_again(written: Path) -> None:
    made = json.loads((written / "kills.json").read_text())["made"]
    assert made["command"] == "kargo-lab conformance prove --seed 7"
    assert made["command"] in (written / "kills.html").read_text()


def test_the_table_tells_not_noticed_from_not_run(written: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((written / "kills.csv").read_text())))
    assert rows[-1] == {"fault": "unnoticed", "github/a": "0", "github/b": "", "quay/c": "", "quay/d": ""}


def test_the_page_asks_nobody_for_anything(written: Path) -> None:
    page = (written / "kills.html").read_text()
    assert "unnoticed" in page
    assert "http" not in page


def test_one_fault_runs_against_the_cases_that_are_asked_for() -> None:
    found = proving.judge_only("oci-charts-take-v", ("discovery/charts/oci/caret",), 7)
    assert (found.killers, found.errors) == (("discovery/charts/oci/caret",), ())
