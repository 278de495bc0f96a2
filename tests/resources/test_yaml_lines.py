"""YAML values know their lines, and scalars are what Go makes of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.resources.yaml_lines import documents, spelled, written


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-0", 0),
        ("017", 15),
        ("-0o17", -15),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-1.5", -1.5),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("null", None),
        ("08", 8.0),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
        ("y", "y"),
        ("1.2.3", "1.2.3"),
        ("^1.0", "^1.0"),
        ("=", "="),
        ("'1'", "1"),
        ("!!str 1", "1"),
    ],
)
def test_a_scalar_is_read(text: str, value: Any) -> None:
    (document,) = documents(f"a: {text}\n", "f")
    assert (document.value, document.problems) == ({"a": value}, ())


def test_not_a_number_is_one() -> None:
    assert math.isnan(documents("a: .nan", "f")[0].value["a"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!int " + "9" * 90, "does not fit"),
        ("a: !!bool maybe", "does not fit"),
        ("a: !!timestamp 2026-01-31", "the tag"),
        ("a: {<<: 1}", "merges mappings only"),
        ("a: {<<: [{b: 1}, 2]}", "merges mappings only"),
    ],
)
def test_a_value_that_has_no_meaning_is_a_problem(text: str, message: str) -> None:
    (document,) = documents(text, "f")
    assert [message in problem.message for problem in document.problems] == [True]


def test_every_value_knows_its_line() -> None:
    (first, second) = documents("a:\n  b:\n  - c\n  - {d: 1}\n---\n\ne: 2\n", "f")
    assert [first.line(path) for path in (("a",), ("a", "b", 1, "d"), ("a", "nope"))] == [1, 4, 1]
    assert second.line(("e",)) == 7


def test_a_place_that_is_not_there_has_the_line_around_it_or_none() -> None:
    assert documents("a: 1", "f")[0].line(("z", 1)) == 1


def test_empty_documents_are_left_out() -> None:
    assert len(documents("---\n---\n# nothing\n---\na: 1\n---\n~\n", "f")) == 1


def test_merged_keys_give_way_to_written_ones() -> None:
    (document,) = documents("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\n", "f")
    assert document.value["z"] == {"a": 1, "b": 1, "c": 3}


def test_a_byte_order_mark_is_no_character_of_the_file() -> None:
    assert documents(b"\xef\xbb\xbfa: 1", "f")[0].value == {"a": 1}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("spec", "subscriptions", 0, "image", "repoURL"), "spec.subscriptions[0].image.repoURL"),
        (("metadata", "annotations", "kargo.akuity.io/refresh"), 'metadata.annotations["kargo.akuity.io/refresh"]'),
        ((), ""),
        ((0, "a"), "[0].a"),
    ],
)
def test_a_path_is_spelled_as_people_write_it(path: tuple[str | int, ...], text: str) -> None:
    assert spelled(path) == text


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_VALUES.filter(lambda value: value is not None))
def test_what_is_written_reads_back(value: Any) -> None:
    (document,) = documents(written(value), "f")
    assert (document.value, document.problems) == (value, ())
