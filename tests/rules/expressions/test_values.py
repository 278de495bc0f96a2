"""Values at the edges of what Go's types hold: 64 bits, bytes that are no UTF-8, keys of maps."""

from __future__ import annotations

from typing import Any

import pytest

from kargo_lab.rules.expressions import values
from kargo_lab.rules.expressions.dates import Month, Time
from kargo_lab.rules.expressions.values import MAX_INT, MIN_INT, AnyMap, Failure, Function, Struct


@pytest.mark.parametrize(
    ("number", "held"),
    [
        (MAX_INT, MAX_INT),
        (MIN_INT, MIN_INT),
        (MAX_INT + 1, MIN_INT),
        (MIN_INT - 1, MAX_INT),
        (2**64 + 5, 5),
        (3 * 2**63, MIN_INT),
    ],
)
def test_integers_wrap_around(number: int, held: int) -> None:
    assert values.wrapped(number) == held


@pytest.mark.parametrize(
    ("number", "cut"),
    [
        (2.9, 2),
        (-2.9, -2),
        (-9.223372036854776e18, MIN_INT),
        (9.223372036854775e18, 9223372036854774784),
        (9.223372036854776e18, MIN_INT),
        (float("inf"), MIN_INT),
        (float("nan"), MIN_INT),
    ],
)
def test_a_float_is_cut_or_becomes_the_smallest_integer(number: float, cut: int) -> None:
    assert values.truncated(number) == cut


@pytest.mark.parametrize(
    ("text", "data"),
    [
        pytest.param("aé", b"a\xc3\xa9", id="characters"),
        pytest.param("\udcc3", b"\xc3", id="a stray byte"),
        pytest.param("\udc80\udcff", b"\x80\xff", id="the first and the last of them"),
        pytest.param("a\ud800\udcc3\udfff\udc7f", b"a\xef\xbf\xbd\xc3\xef\xbf\xbd\xef\xbf\xbd", id="other surrogates"),
        pytest.param("\ud800\udc80\udcff", b"\xef\xbf\xbd\x80\xff", id="beside the first and the last stray byte"),
        pytest.param("\ud800é", b"\xef\xbf\xbd\xc3\xa9", id="beside a character"),
    ],
)
def test_a_text_is_the_bytes_that_go_holds(text: str, data: bytes) -> None:
    assert values.encoded(text) == data


def test_bytes_that_are_no_text_survive_as_one() -> None:
    assert values.encoded(values.decoded(b"a\xff\xc3")) == b"a\xff\xc3"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["a", "b"], "ab"),
        (["é", "x"], "éx"),
        (["\udcc3", "\udca9"], "é"),
        (["\udcc3", "x"], "\udcc3x"),
        (["é", "\ud800"], "é\ufffd"),
        (["é", "\udfff", "x"], "é\ufffdx"),
    ],
)
def test_halves_of_a_character_that_meet_become_it(parts: list[str], text: str) -> None:
    assert values.joined(parts) == text


STRUCT = Struct("v1.Image", {"Tag": "1"})


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "<nil>"),
        (1, "int"),
        (STRUCT, "v1.Image"),
        (Function("f", len), "func"),
        (AnyMap(), "map[interface {}]interface {}"),
        (0j, "complex"),
    ],
)
def test_a_value_has_the_name_of_its_type(value: Any, name: str) -> None:
    assert values.type_name(value) == name


def test_keys_of_different_types_are_different_keys() -> None:
    made = AnyMap()
    for key in (1, 1.0, True, "1", (1, "a"), (1, "b"), STRUCT, Struct("v1.Image", {"Tag": "1"})):
        made.put(key, key)
    assert len(made) == 8
    assert made.get((1, "b")) == (1, "b")
    assert made.get(STRUCT) is STRUCT


@pytest.mark.parametrize(
    ("key", "equal"),
    [(int("1000"), int("1000")), (float("2.5"), float("2.5")), (Time(5), Time(5)), (Month(1), Month(1))],
)
def test_equal_keys_are_one_key(key: Any, equal: Any) -> None:
    made = AnyMap()
    made.put(key, "found")
    assert made.get(equal) == "found"


@pytest.mark.parametrize("key", [[1], {}, ([1], 2), Function("f", len)])
def test_lists_maps_and_functions_are_no_keys(key: Any) -> None:
    with pytest.raises(Failure, match=r"runtime error: hash of unhashable type"):
        AnyMap().put(key, 1)


@pytest.mark.parametrize(("known", "blamed"), [(-1, 7), (0, 0), (3, 3)])
def test_a_failure_keeps_the_first_place_it_is_blamed_on(known: int, blamed: int) -> None:
    failure = Failure("x", known).at(7)
    assert (failure.position, str(failure)) == (blamed, "x")
