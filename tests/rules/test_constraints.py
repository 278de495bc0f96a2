"""Constraints as Masterminds semver reads them. Vectors: semver-constraints.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.errors import ConstraintError, UsageError, VersionError
from kargo_lab.rules import constraints, versions

DATA = Path(__file__).parents[1] / "data"
RECORDS = json.loads((DATA / "semver-constraints.json").read_text())
LIBRARIES = ("3.3.1", "3.4.0", "3.5.0")


def outcome(constraint: str, version: str, *, strict: bool, library: str) -> str:
    try:
        compiled = constraints.compile(constraint, library=library)
    except ConstraintError:
        return "bad-constraint"
    try:
        read = versions.parse(version, strict=strict, library=library)
    except VersionError:
        return "bad-version"
    return "match" if compiled.check(read) else "no-match"


def judge(record: dict[str, Any], library: str) -> str:
    return outcome(record["constraint"], record["version"], strict=record["parse"] == "strict", library=library)


@pytest.mark.parametrize("library", LIBRARIES)
def test_all_recorded_pairs_of_a_library_come_out_as_recorded(library: str) -> None:
    held = [r for r in RECORDS if (r["since"] or "3.3.1") <= library <= (r["until"] or "3.5.0")]
    wrong = [record for record in held if judge(record, library) != record["result"]]
    print(f"{len(held)} records ran with {library}")
    assert not wrong, f"{len(wrong)} of {len(held)} differ, the first: {wrong[:3]}"
    assert len(held) > 2000


@pytest.mark.parametrize(
    ("constraint", "version", "result"),
    [
        pytest.param("^*", "0.0.0", "match", id="caret and a wildcard accept 0.0.0"),
        pytest.param("^*", "0.0.1", "no-match", id="and nothing else"),
        pytest.param("~0.0.0", "9.9.9", "match", id="tilde zero accepts everything"),
        pytest.param("<=*", "0.0.7", "match", id="at most a wildcard accepts 0.0.z"),
        pytest.param("<=*", "0.1.0", "no-match", id="and no 0.1.0"),
        pytest.param(">*", "0.0.0", "no-match", id="above a wildcard leaves out 0.0.0"),
        pytest.param(">*", "0.0.1", "match", id="and nothing else is left out"),
        pytest.param("<*", "0.0.0", "no-match", id="nothing is below a wildcard"),
        pytest.param("^0.0.3", "0.0.4", "no-match", id="caret with 0.0 is one patch"),
        pytest.param("^0.0", "0.0.9", "match", id="caret with 0.0 written short is the minor"),
        pytest.param("^0", "0.9.0", "match", id="caret with 0 is the major"),
        pytest.param("~1", "1.9.0", "match", id="tilde with one number is the major"),
        pytest.param(">1", "2.0.0-rc-not-named", "no-match", id="a prerelease needs one named in the group"),
        pytest.param(">1 >0-0", "2.0.0-rc", "match", id="one in the group is enough"),
        pytest.param(">1 || >9-0", "2.0.0-rc", "no-match", id="in another group it is not"),
        pytest.param("!=1.2.x-0", "1.2.5-rc", "match", id="unequal compares prereleases when one is in play"),
        pytest.param("!=1.2.x-0", "1.2.5-0", "no-match", id="and leaves out the same one"),
        pytest.param("1.0.0 - 2.0.0 !=1.4.6", "1.5.0", "match", id="a range and another comparator"),
        pytest.param("!=1.4.6 1.0.0 - 2.0.0", "1.5.0", "bad-constraint", id="not the other way round"),
        pytest.param("!=1.4.6, 1.0.0 - 2.0.0", "1.5.0", "match", id="unless with a comma"),
        pytest.param("1 - 2||3", "3.1.0", "match", id="a range before a bar"),
        pytest.param("1 ||1 - 2", "1.0.0", "bad-constraint", id="a range right after a bar"),
        pytest.param("1 ||v1 - 2", "2.0.0", "match", id="unless it starts with a v"),
        pytest.param("1 || 1 - 2", "2.0.0", "match", id="or a blank stands between"),
        pytest.param("x.|", "7.0.0", "match", id="what follows a wildcard is not looked at"),
        pytest.param("1.2.3-rc+meta || 2+meta", "2.5.0", "match", id="metadata plays no part"),
        pytest.param("01.x", "1.2.3", "match", id="leading zeros"),
    ],
)
def test_the_surprises_of_the_dialect(constraint: str, version: str, result: str) -> None:
    assert outcome(constraint, version, strict=False, library="3.5.0") == result


@pytest.mark.parametrize(
    ("constraint", "position", "message"),
    [
        pytest.param("", 0, "a constraint is expected", id="nothing"),
        pytest.param("  ", 2, "a constraint is expected", id="blanks"),
        pytest.param(">=1.0.0 ||", 10, "a side of || is empty", id="an empty side at the end"),
        pytest.param("|| 1", 0, "a side of || is empty", id="an empty side at the start"),
        pytest.param("1 || || 2", 5, "a side of || is empty", id="an empty side between"),
        pytest.param("\v", 0, "a comparator is expected, such as >=1.2.3", id="a vertical tab, which is no blank"),
        pytest.param(
            "1 || 2 || banana", 10, "a comparator is expected, such as >=1.2.3", id="a word in the third group"
        ),
        pytest.param("1 || banana", 5, "a comparator is expected, such as >=1.2.3", id="a word"),
        pytest.param("1,,2", 2, "a comparator is expected, such as >=1.2.3", id="two commas"),
        pytest.param("1, ", 3, "a comparator is expected, such as >=1.2.3", id="a comma at the end"),
        pytest.param(">=1<2", 3, "comparators are separated by a blank or a comma", id="no blank between"),
        pytest.param("1.2.3.4", 5, "comparators are separated by a blank or a comma", id="a fourth number"),
        pytest.param("^1 || v12*", 9, "a part is a number, or just x, X or *", id="a wildcard inside a number"),
        pytest.param("1.2x.3", 3, "a part is a number, or just x, X or *", id="an x inside the second number"),
        pytest.param("~ v1.99999999999999999999.x", 5, "a number does not fit 64 bits", id="a number too large"),
        pytest.param("1 - 2.3.4-01", 10, "a numeric prerelease identifier starts with zero", id="behind a hyphen"),
        pytest.param(">= 1.x-0.01", 9, "a numeric prerelease identifier starts with zero", id="behind a wildcard"),
        pytest.param(
            ">=1.0 1.0 - 2.0", 6, "comparators are separated by a blank or a comma", id="blanks before a range"
        ),
        pytest.param("1 - 2 - 3", 6, "a comparator is expected, such as >=1.2.3", id="two hyphens"),
        pytest.param("^" + "1" * 257, 1, "a version has at most 256 bytes", id="a version of 257 bytes"),
        pytest.param(
            "=1.2.3+" + "a" * 300, 1, "a version has at most 256 bytes", id="metadata counts in a full version"
        ),
        pytest.param("1 " * 256 + "x", -1, "a constraint has at most 512 bytes", id="more than 512 bytes"),
        pytest.param("||".join("1" * 33), -1, "a constraint has at most 32 groups", id="more than 32 groups"),
    ],
)
def test_a_refusal_points_at_the_character(constraint: str, position: int, message: str) -> None:
    with pytest.raises(ConstraintError) as refused:
        constraints.compile(constraint)
    assert (refused.value.position, refused.value.message, refused.value.text) == (position, message, constraint)


def test_leading_zeros_are_refused_by_the_library_of_kargo_1_6() -> None:
    with pytest.raises(ConstraintError) as refused:
        constraints.compile("~v01.x", library="3.3.1")
    assert refused.value.position == 2


@pytest.mark.parametrize("library", LIBRARIES[:2])
def test_older_libraries_have_no_size_limits(library: str) -> None:
    assert constraints.compile("||".join(["1.x"] * 200), library=library).check(versions.parse("1.2.3"))


def test_an_unknown_library_is_refused() -> None:
    with pytest.raises(UsageError):
        constraints.compile("1", library="9")


@pytest.mark.parametrize(
    ("constraint", "version", "sentence"),
    [
        pytest.param(
            "^1.2", "v1.3", "v1.3 satisfies ^1.2: it is at least 1.2.0 and below 2.0.0", id="accepted by an interval"
        ),
        pytest.param(
            "^1.2",
            "2.0.0-rc.1",
            "2.0.0-rc.1 does not satisfy ^1.2: it is a prerelease, and ^1.2 does not name one",
            id="stopped by the gate",
        ),
        pytest.param(
            ">1 <3",
            "2.0.0-rc.1",
            "2.0.0-rc.1 does not satisfy >1 <3: it is a prerelease, and no comparator of >1, <3 names one",
            id="stopped by the gate of several",
        ),
        pytest.param(
            "=1.2.3 || !=2.x",
            "2.0.0",
            "2.0.0 does not satisfy =1.2.3 || !=2.x: it is not exactly 1.2.3, as =1.2.3 wants; "
            "it is any 2.y.z, which !=2.x leaves out",
            id="every group has its reason",
        ),
        pytest.param(
            "<1.2.3",
            "1.2.3",
            "1.2.3 does not satisfy <1.2.3: it is not below 1.2.3, as <1.2.3 wants",
            id="at the bound",
        ),
        pytest.param(
            "!=1.4.x >1",
            "2.0.0",
            "2.0.0 satisfies !=1.4.x >1: it is not any 1.4.z and at least 2",
            id="accepted beside a hole",
        ),
    ],
)
def test_explain_says_why(constraint: str, version: str, sentence: str) -> None:
    assert constraints.compile(constraint).explain(versions.parse(version)) == sentence


def test_a_comparator_knows_where_it_stands() -> None:
    (group,) = constraints.compile("1.0 - v2, !=1.5").groups
    assert [(one.text, one.position) for one in group.comparators] == [(">= 1.0", 0), ("<= v2", 6), ("!=1.5", 10)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1" * 50_000, "bad-constraint"),
        ("1-" * 30_000, "match"),
        (" " * 60_000, "bad-constraint"),
        ("1||" * 2_000, "bad-constraint"),
        ("|" * 60_000, "bad-constraint"),
        ("1 - " * 3_000, "bad-constraint"),
        ("1 - 2 " * 2_000, "match"),
        ("v1|" * 20_000, "bad-constraint"),
    ],
    ids=lambda text: f"{text[:6]!r} repeated",
)
def test_hostile_texts_are_read_as_masterminds_reads_them(text: str, expected: str) -> None:
    assert outcome(text, "1.0.0", strict=False, library="3.4.0") == expected


patterns = st.lists(st.sampled_from(["0", "1", "2", "3"]), min_size=1, max_size=3).map(".".join)
releases = st.tuples(*[st.integers(0, 3)] * 3).map(lambda numbers: ".".join(map(str, numbers)))
prereleases = st.tuples(releases, st.sampled_from(["0", "1", "a", "rc.1"])).map("-".join)
comparators = st.tuples(
    st.sampled_from(["", "=", "!=", ">", "<", ">=", "<=", "~", "^"]),
    st.lists(st.sampled_from(["0", "1", "2", "x", "*"]), min_size=1, max_size=3).map(".".join),
    st.sampled_from(["", "", "-0", "-a"]),
).map("".join)


@pytest.mark.parametrize(("one", "other"), [("=", "!="), ("<", ">="), (">", "<="), ("", "!=")])
@given(pattern=patterns, version=releases)
def test_of_a_comparator_and_its_negation_exactly_one_holds_for_a_release(
    one: str, other: str, pattern: str, version: str
) -> None:
    read = versions.parse(version)
    assert constraints.compile(one + pattern).check(read) != constraints.compile(other + pattern).check(read)


@pytest.mark.parametrize(("one", "other"), [("=", "!="), ("<", ">="), (">", "<=")])
@given(pattern=prereleases, version=releases | prereleases)
def test_with_a_full_prerelease_named_the_negation_holds_for_every_version(
    one: str, other: str, pattern: str, version: str
) -> None:
    read = versions.parse(version)
    assert constraints.compile(one + pattern).check(read) != constraints.compile(other + pattern).check(read)


@given(st.lists(comparators, min_size=1, max_size=4), releases | prereleases, st.sampled_from(LIBRARIES))
def test_a_group_accepts_what_all_its_comparators_accept(texts: list[str], version: str, library: str) -> None:
    constraint = constraints.compile(" ".join(texts), library=library)
    read = versions.parse(version, library=library)
    (group,) = constraint.groups
    each = all(one.accepts(read.key) for one in group.comparators)
    assert constraint.check(read) == (each and (not read.prerelease or group.admits_prereleases))


@given(st.lists(comparators, min_size=1, max_size=4), releases | prereleases)
def test_or_holds_when_a_side_holds(texts: list[str], version: str) -> None:
    read = versions.parse(version)
    assert constraints.compile("||".join(texts)).check(read) == any(constraints.compile(t).check(read) for t in texts)


@given(st.text() | st.text("v01x*|.-+ ,<>=!~^a", max_size=20), st.sampled_from(LIBRARIES))
def test_any_text_is_a_constraint_or_refused(text: str, library: str) -> None:
    try:
        constraint = constraints.compile(text, library=library)
    except ConstraintError as refused:
        position = refused.position
    else:
        position = 0
        version = versions.parse("1.2.3-rc.1")
        assert (" does not satisfy " in constraint.explain(version)) != constraint.check(version)
    assert -1 <= position <= len(text)
