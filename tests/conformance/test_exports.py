"""JUnit and badge: a run that is no pass looks like one to nobody."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kargo_lab.conformance import exports, verdicts


def report(*statuses: str, note: str = "", stale: tuple[str, ...] = ()) -> dict[str, Any]:
    cases = [
        {
            "id": f"github/push/{number}",
            "says": "A push refreshes",
            "level": "core",
            "source": "somewhere",
            "status": status,
            "sentence": f"why {status}",
            "note": note,
            "seconds": 0.1,
            "differences": [],
            "rerun": "again",
        }
        for number, status in enumerate(statuses)
    ]
    counts = {level: dict(number) for level, number in verdicts.counts(cases).items()}
    return {
        "header": {"target": "t <1>", "profile": "latest", "seed": 7, "command": "run"},
        "cases": cases,
        "footer": {
            "outcome": verdicts.outcome(cases, stale=stale),
            "why": verdicts.why(cases, stale=stale),
            "stale": list(stale),
            "seconds": 1.0,
            "counts": {
                level: {each: number.get(each, 0) for each in verdicts.STATUSES} for level, number in counts.items()
            },
        },
    }


def numbers(document: dict[str, Any]) -> dict[str, str]:
    (suite,) = ET.fromstring(exports.junit(document))
    return {name: suite.get(name, "") for name in ("tests", "failures", "errors", "skipped")}


@pytest.mark.parametrize(
    ("document", "counted"),
    [
        (report("pass", "fail"), {"tests": "2", "failures": "1", "errors": "0", "skipped": "0"}),
        (report("pass", "error"), {"tests": "2", "failures": "0", "errors": "1", "skipped": "0"}),
        (report("skip", "disabled"), {"tests": "2", "failures": "0", "errors": "0", "skipped": "2"}),
        (report("fail", note=verdicts.KNOWN_FAILING), {"tests": "1", "failures": "0", "errors": "0", "skipped": "1"}),
    ],
    ids=["a failure", "what could not be judged", "what was not run", "a known failure"],
)
def test_junit_counts(document: dict[str, Any], counted: dict[str, str]) -> None:
    assert numbers(document) == counted


def test_junit_says_what_the_run_is_worth() -> None:
    properties = {
        each.get("name"): each.get("value") for each in ET.fromstring(exports.junit(report("error"))).iter("property")
    }
    assert properties["outcome"] == "broken"
    assert "could not be judged: why error" in str(properties["why"])


def test_junit_fails_where_an_entry_of_the_target_file_is_stale() -> None:
    suites = {each.get("name"): each for each in ET.fromstring(exports.junit(report("pass", stale=("x is listed",))))}
    assert suites["target-file"].get("failures") == "1"


@pytest.mark.parametrize(
    ("document", "message", "colour"),
    [
        (report("pass"), "core 1/1", "brightgreen"),
        (report("pass", "fail"), "core 1/2", "red"),
        (report("pass", "skip"), "partial: core 1/2", "yellow"),
        (report("pass", "disabled"), "partial: core 1/2", "yellow"),
        (report("pass", "error"), "broken: core 1/2", "lightgrey"),
    ],
)
def test_a_badge_says(document: dict[str, Any], message: str, colour: str) -> None:
    badge = exports.badge(document)
    assert (badge["message"], badge["color"]) == (message, colour)


@pytest.mark.parametrize("document", [report("pass"), report("error")])
def test_the_image_of_a_badge_says_the_same_and_has_a_name(document: dict[str, Any]) -> None:
    image = ET.fromstring(exports.badge_image(document))
    texts = [each.text for each in image.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["kargo-lab", exports.badge(document)["message"]]
    assert document["footer"]["outcome"] in str(image.get("aria-label"))
