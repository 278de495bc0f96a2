"""Each profile of the reference passes the cases that hold for it, and `recommended` the strict ones."""

from __future__ import annotations

import pytest

from kargo_lab import profiles
from kargo_lab.conformance import suite
from kargo_lab.conformance.cases import LEVELS, for_profile, load

SLOW = ("discovery", "polling", "freight")  # groups that ask real sources, which costs a git process each


def bad(document: dict) -> dict[str, str]:
    return {case["id"]: case["sentence"] for case in document["cases"] if case["status"] != "pass"}


def judged(profile: str, *, slow: bool) -> dict:
    chosen = [case for case in for_profile(load(), profile) if (case.group in SLOW) == slow]
    return suite.judge(chosen, suite.header("reference-in-process", profile=profile, strict=True), jobs=1)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("profile", list(profiles.PROFILES))
def test_passes_its_own_cases(profile: str) -> None:
    document = judged(profile, slow=False)
    print(f"{document['header']['cases']} cases of {profile}")
    assert bad(document) == {}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("profile", ["latest", "recommended"])
def test_discovers_as_its_cases_say(profile: str) -> None:
    assert bad(judged(profile, slow=True)) == {}


def test_there_are_at_least_seven_hundred_cases() -> None:
    assert len(for_profile(load(), "latest")) >= 700


def test_every_case_has_a_source_and_a_level() -> None:
    assert all(case.source and case.level in LEVELS for case in load())


def test_recommended_is_held_to_strict_cases_and_kargo_is_not() -> None:
    strict = {case.id for case in load() if case.level == "strict"}
    assert strict <= {case.id for case in for_profile(load(), "recommended")}
    assert not strict & {case.id for case in for_profile(load(), "latest")}
