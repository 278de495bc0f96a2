"""Versions as Masterminds semver reads and orders them. Vectors: semver-parse.json, semver-order.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.errors import UsageError, VersionError
from kargo_lab.rules import versions

DATA = Path(__file__).parents[1] / "data"
PARSE = json.loads((DATA / "semver-parse.json").read_text())
ORDER = json.loads((DATA / "semver-order.json").read_text())
LIBRARIES = ("3.3.1", "3.4.0", "3.5.0")


def holds_for(record: dict[str, Any]) -> list[str]:
    """The library releases that a record speaks of; their names sort as text."""
    first, last = record.get("since") or LIBRARIES[0], record.get("until") or LIBRARIES[-1]
    return [library for library in LIBRARIES if first <= library <= last]


def pairs(records: list[dict[str, Any]], *names: str) -> list[Any]:
    return [
        pytest.param(record, library, id=f"{library} " + " ".join(ascii(str(record[name])[:60]) for name in names))
        for record in records
        for library in holds_for(record)
    ]


@pytest.mark.parametrize(("record", "library"), pairs(PARSE, "mode", "text"))
def test_a_text_is_read_as_recorded(record: dict[str, Any], library: str) -> None:
    try:
        found = versions.parse(record["text"], strict=record["mode"] == "strict", library=library)
    except VersionError:
        assert record["version"] is None
        return
    names = ("major", "minor", "patch", "prerelease", "metadata", "original")
    assert {**{name: getattr(found, name) for name in names}, "string": str(found)} == record["version"]


@pytest.mark.parametrize(("record", "library"), pairs(ORDER["sorts"], "mode", "input"))
def test_a_list_sorts_newest_first_and_ties_by_text(record: dict[str, Any], library: str) -> None:
    read = []
    for text in record["input"]:
        try:
            read.append(versions.parse(text, strict=record["mode"] == "strict", library=library))
        except VersionError:
            continue
    read.sort(key=lambda version: (version.key, version.original), reverse=True)
    assert [version.original for version in read] == record["newest_first"]


@pytest.mark.parametrize("record", [pytest.param(r, id=f"{r['a']} with {r['b']}") for r in ORDER["compares"]])
def test_two_versions_compare_as_recorded(record: dict[str, Any]) -> None:
    a, b = versions.parse(record["a"]).key, versions.parse(record["b"]).key
    assert (a > b) - (a < b) == record["compare"]


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        pytest.param("latest", 0, "a version starts with a digit", id="no digit at all"),
        pytest.param("vx", 1, "a version starts with a digit", id="no digit behind the v"),
        pytest.param("", 0, "a version starts with a digit", id="nothing"),
        pytest.param("1.2.3.4", 5, "a version does not go on like this", id="a fourth number"),
        pytest.param("1.2.3-", 5, "nothing follows the '-'", id="an empty prerelease"),
        pytest.param("1.2.3+", 5, "nothing follows the '+'", id="empty metadata"),
        pytest.param("1.2.", 3, "nothing follows the '.'", id="an empty number"),
        pytest.param(
            "1.2.3_", 5, "a version does not go on like this", id="a character at the end that belongs nowhere"
        ),
        pytest.param("1.2.3-rc.x.01", 11, "a numeric prerelease identifier starts with zero", id="a leading zero"),
        pytest.param("1.2.3X", 5, "a version does not go on like this", id="a letter at the end"),
        pytest.param("1.18446744073709551616", 2, "a number does not fit 64 bits", id="one above 64 bits"),
        pytest.param("1.2.18446744073709551616", 4, "a number does not fit 64 bits", id="the last number too large"),
        pytest.param("v" + "9" * 30, 1, "a number does not fit 64 bits", id="far above 64 bits"),
        pytest.param("1.2.3-" + "a" * 300, -1, "a version has at most 256 bytes", id="more than 256 bytes"),
        pytest.param("é" * 129, -1, "a version has at most 256 bytes", id="bytes are counted, not characters"),
        pytest.param("é" * 128, 0, "a version starts with a digit", id="exactly 256 bytes are looked at"),
    ],
)
def test_a_refusal_points_at_the_character(text: str, position: int, message: str) -> None:
    with pytest.raises(VersionError) as refused:
        versions.parse(text)
    assert (refused.value.position, refused.value.message, refused.value.text) == (position, message, text)


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        pytest.param("1", 1, "a strict version has three numbers", id="one number"),
        pytest.param("v1.2-rc", 4, "a strict version has three numbers", id="two numbers"),
        pytest.param("v1.02.3", 3, "a number starts with zero", id="a leading zero"),
    ],
)
def test_strict_reading_refuses_more(text: str, position: int, message: str) -> None:
    with pytest.raises(VersionError) as refused:
        versions.parse(text, strict=True)
    assert (refused.value.position, refused.value.message) == (position, message)


def test_zeros_in_front_do_not_count_towards_64_bits() -> None:
    assert versions.parse("0" * 40 + "7.18446744073709551615." + "0" * 30).key == (7, 2**64 - 1, 0, 1)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        pytest.param("1.0.0-18446744073709551615", "1.0.0-18446744073709551616", id="digits beyond 64 bits are text"),
        pytest.param("1.0.0-99999999999999999999", "1.0.0-a", id="and compare with text as text"),
        pytest.param("1.0.0-99999999999999999999", "1.0.0-999999999999999999990", id="and with each other as text"),
        pytest.param("1.0.0-100000000000000000000", "1.0.0-99999999999999999999", id="character by character"),
        pytest.param(
            "1.0.0-18446744073709551615", "1.0.0-100000000000000000000", id="the largest number is below text"
        ),
        pytest.param("1.0.0-9223372036854775808", "1.0.0-10000000000000000000", id="twenty digits still are a number"),
    ],
)
def test_numeric_identifiers_end_at_64_bits(lower: str, higher: str) -> None:
    assert versions.parse(lower).key < versions.parse(higher).key


def test_metadata_makes_versions_differ_that_tie() -> None:
    one, other = versions.parse("1.0.0+a"), versions.parse("1.0.0+b")
    assert one.key == other.key
    assert one != other


def test_an_unknown_library_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"semver library '2\.0\.0' is not known; known are 3\.3\.1, 3\.4\.0, 3\.5\.0"):
        versions.parse("1.0.0", library="2.0.0")


numbers = st.integers(0, 2**64 - 1) | st.integers(0, 3)
identifiers = st.from_regex(r"\A[0-9A-Za-z-]{1,4}\Z").filter(lambda text: not text.isdigit()) | numbers.map(str)


@st.composite
def full_versions(draw: st.DrawFn) -> str:
    text = ".".join(str(draw(numbers)) for _ in range(3))
    prerelease = draw(st.lists(identifiers, max_size=3))
    return f"{text}-{'.'.join(prerelease)}" if prerelease else text


@given(full_versions(), full_versions())
def test_precedence_agrees_with_the_semver_package(one: str, other: str) -> None:
    a, b = versions.parse(one, strict=True).key, versions.parse(other, strict=True).key
    assert (a > b) - (a < b) == semver.Version.parse(one).compare(other)


@given(full_versions(), full_versions(), full_versions())
def test_the_order_is_total(one: str, other: str, third: str) -> None:
    keys = sorted(versions.parse(text).key for text in (one, other, third))
    assert keys[0] <= keys[1] <= keys[2]
    assert keys[0] <= keys[2]


@given(full_versions() | st.from_regex(r"\Av?[0-9]{1,3}(\.[0-9]{1,3}){0,2}(-[a-z]{1,3})?(\+[a-z0-9]{1,3})?\Z"))
def test_written_in_full_a_version_reads_the_same(text: str) -> None:
    version = versions.parse(text)
    again = versions.parse(str(version), strict=True)
    assert (again.key, again.metadata, str(again)) == (version.key, version.metadata, str(version))


@given(st.text() | st.text("v0123456789.-+ax", max_size=12), st.booleans(), st.sampled_from(LIBRARIES))
def test_any_text_is_a_version_or_refused(text: str, strict: bool, library: str) -> None:
    try:
        version = versions.parse(text, strict=strict, library=library)
    except VersionError as refused:
        position = refused.position
    else:
        position = 0
        assert version.original == text
    assert -1 <= position <= len(text)
