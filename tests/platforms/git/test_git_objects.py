"""Git's own bytes as values, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.platforms.git import objects as git_objects
from kargo_lab.platforms.git.objects import Person

ZONES = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
MOMENTS = st.integers(0, 2**32).flatmap(lambda seconds: ZONES.map(lambda zone: datetime.fromtimestamp(seconds, zone)))
NAMES = st.text(st.characters(exclude_characters="<>\n\0", exclude_categories=["Cs"])).map(str.strip)


@given(name=NAMES, email=NAMES, when=MOMENTS)
def test_a_person_survives_being_written_and_read(name: str, email: str, when: datetime) -> None:
    read = git_objects.person(git_objects.spelled(Person(name, email, when)))
    assert (read.name, read.email, read.when) == (name, email, when)
    assert read.when.utcoffset() == when.utcoffset()


@given(text=st.text())
def test_any_text_is_a_person(text: str) -> None:
    assert isinstance(git_objects.person(text), Person)


@given(raw=st.binary())
def test_any_bytes_are_a_commit_and_a_tag(raw: bytes) -> None:
    assert git_objects.commit("1", raw).id == git_objects.tag("1", raw).id == "1"


def test_a_signed_commit_keeps_its_message() -> None:
    people = b"author A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\n"
    raw = b"tree 1\nparent 2\n" + people + b"gpgsig -----BEGIN\n x\n -----END\n\nsubject\n"
    commit = git_objects.commit("3", raw)
    assert (commit.tree, commit.parents, commit.message, commit.title) == ("1", ("2",), "subject\n", "subject")


def test_a_signed_tag_loses_its_signature() -> None:
    raw = b"object 1\ntype commit\ntag v1\ntagger A <a@b> 5 +0130\n\nmessage\n-----BEGIN PGP SIGNATURE-----\nx\n"
    tag = git_objects.tag("2", raw)
    assert (tag.message, tag.target, tag.name) == ("message\n", "1", "v1")
    assert tag.tagger == Person("A", "a@b", datetime.fromtimestamp(5, timezone(timedelta(hours=1, minutes=30))))


def test_a_zone_that_cannot_be_is_utc() -> None:
    assert git_objects.person("A <a@b> 0 +9999").when == datetime.fromtimestamp(0, UTC)


def test_objects_of_a_batch_may_hold_anything() -> None:
    output = b"1 commit 3\na\nb\n2 missing\n3 blob 0\n\n"
    assert list(git_objects.batch(output)) == [("1", "commit", b"a\nb"), ("3", "blob", b"")]


@pytest.mark.parametrize(
    ("output", "found"),
    [
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b"1" * 40 + b"\0A\0a b\0", {"1" * 40: {"A": ["a b"]}}, id="one path"),
        pytest.param(b"1" * 40 + b"\0" + b"2" * 40 + b"\0M\0M\0D\0x\ny\0", {
            "1" * 40: {},
            "2" * 40: {"M": ["M"], "D": ["x\ny"]},
        }, id="a commit without paths, a path like a status, a path of two lines"),
    ],
)  # fmt: skip
def test_touched_paths_are_read(output: bytes, found: dict[str, dict[str, list[str]]]) -> None:
    assert git_objects.touched(output) == found
