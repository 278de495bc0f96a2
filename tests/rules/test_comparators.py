"""What each operator accepts, as the interval it stands for (discovery.md 6.6)."""

from __future__ import annotations

import pytest

from kargo_lab.rules import comparators, versions
from kargo_lab.rules.comparators import END, START, Written

NEXT = (-1, 0)
FULL, MINOR, MAJOR, ANY = Written.FULL, Written.MINOR, Written.MAJOR, Written.ANY


def understood(operator: str, written: Written, reference: str) -> comparators.Comparator:
    return comparators.comparator(
        text=operator + reference, position=3, operator=operator, written=written, reference=versions.parse(reference)
    )


@pytest.mark.parametrize(
    ("operator", "written", "reference", "floor", "ceiling", "words"),
    [
        ("=", FULL, "1.2.3", (1, 2, 3, 1), (1, 2, 3, 1, NEXT), "exactly 1.2.3"),
        ("", MINOR, "1.2.0", (1, 2, 0, 1), (1, 3), "at least 1.2.0 and below 1.3.0"),
        ("=", MAJOR, "1.0.0", (1, 0, 0, 1), (2,), "at least 1.0.0 and below 2.0.0"),
        ("=", ANY, "0.0.0", (0, 0, 0, 1), END, "at least 0.0.0"),
        ("!=", FULL, "1.2.3", (1, 2, 3, 1), (1, 2, 3, 1, NEXT), "exactly 1.2.3"),
        ("!=", MINOR, "1.2.0", (1, 2), (1, 3), "any 1.2.z"),
        ("!=", MAJOR, "1.0.0", (1,), (2,), "any 1.y.z"),
        ("!=", ANY, "0.0.0", (0, 0, 0, 1), (0, 0, 0, 1, NEXT), "exactly 0.0.0"),
        (">", FULL, "1.2.3-a", (1, 2, 3, 0, (1, "a"), NEXT), END, "above 1.2.3-a"),
        (">", MINOR, "1.2.0", (1, 3), END, "at least 1.3"),
        (">", MAJOR, "1.0.0", (2,), END, "at least 2"),
        (">", ANY, "0.0.0", (0, 0, 0, 1, NEXT), END, "above 0.0.0"),
        ("<", FULL, "1.2.3", START, (1, 2, 3, 1), "below 1.2.3"),
        ("<", MAJOR, "1.0.0", START, (1, 0, 0, 1), "below 1.0.0"),
        (">=", FULL, "1.2.3", (1, 2, 3, 1), END, "at least 1.2.3"),
        ("=>", MINOR, "1.2.0", (1, 2, 0, 1), END, "at least 1.2.0"),
        ("<=", FULL, "1.2.3", START, (1, 2, 3, 1, NEXT), "at most 1.2.3"),
        ("=<", MINOR, "1.2.0", START, (1, 3), "below 1.3.0"),
        ("<=", MAJOR, "1.0.0", START, (2,), "below 2.0.0"),
        ("<=", ANY, "0.0.0", START, (0, 1), "below 0.1.0"),
        ("~", FULL, "1.2.3", (1, 2, 3, 1), (1, 3), "at least 1.2.3 and below 1.3.0"),
        ("~>", FULL, "0.0.0-a", (0, 0, 0, 0, (1, "a")), END, "at least 0.0.0-a"),
        ("~", FULL, "0.0.1", (0, 0, 1, 1), (0, 1), "at least 0.0.1 and below 0.1.0"),
        ("~", MINOR, "0.0.0", (0, 0, 0, 1), (0, 1), "at least 0.0.0 and below 0.1.0"),
        ("~", ANY, "0.0.0", (0, 0, 0, 1), END, "at least 0.0.0"),
        ("^", FULL, "1.2.3", (1, 2, 3, 1), (2,), "at least 1.2.3 and below 2.0.0"),
        ("^", FULL, "0.2.3", (0, 2, 3, 1), (0, 3), "at least 0.2.3 and below 0.3.0"),
        ("^", FULL, "0.0.3", (0, 0, 3, 1), (0, 0, 4), "at least 0.0.3 and below 0.0.4"),
        ("^", MINOR, "0.0.0", (0, 0, 0, 1), (0, 1), "at least 0.0.0 and below 0.1.0"),
        ("^", MINOR, "2.1.0", (2, 1, 0, 1), (3,), "at least 2.1.0 and below 3.0.0"),
        ("^", MAJOR, "0.0.0", (0, 0, 0, 1), (1,), "at least 0.0.0 and below 1.0.0"),
        ("^", ANY, "0.0.0", (0, 0, 0, 1), (0, 0, 1), "at least 0.0.0 and below 0.0.1"),
    ],
)
def test_an_operator_stands_for_an_interval(
    operator: str,
    written: Written,
    reference: str,
    floor: versions.Key,
    ceiling: versions.Key,
    words: str,
) -> None:
    interval = understood(operator, written, reference).interval
    assert (interval.floor, interval.ceiling, interval.words) == (floor, ceiling, words)


def test_the_key_after_a_key_has_nothing_before_it() -> None:
    after = understood(">", FULL, "1.0.0-a").interval.floor
    assert versions.parse("1.0.0-a").key < after < versions.parse("1.0.0-a.0").key


@pytest.mark.parametrize(
    ("operator", "written", "reference", "alone"),
    [
        pytest.param("!=", FULL, "1.2.3", True, id="unequal to a full version"),
        pytest.param("!=", MINOR, "1.2.0", False, id="unequal to a short one"),
        pytest.param(">", FULL, "1.2.3", False, id="another operator"),
        pytest.param(">", MINOR, "1.2.0-0", True, id="a prerelease named"),
    ],
)
def test_before_library_3_4_a_comparator_alone_let_prereleases_through(
    operator: str, written: Written, reference: str, alone: bool
) -> None:
    assert understood(operator, written, reference).passes_prereleases_alone is alone


@pytest.mark.parametrize(
    ("version", "accepted"), [("1.2.5", True), ("1.2.5-0", False), ("1.2.5-rc", True), ("1.3.0-0", True)]
)
def test_unequal_to_a_minor_compares_prereleases(version: str, accepted: bool) -> None:
    assert understood("!=", MINOR, "1.2.0-0").accepts(versions.parse(version).key) is accepted
