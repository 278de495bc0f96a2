"""YAML as `asYAML` writes it: what Go's library wrote, and what PyYAML reads in it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kargo_lab.errors import ExpressionError
from kargo_lab.rules import json as gojson
from kargo_lab.rules import templates, yamltext
from kargo_lab.rules.expressions import Duration, Function, Time
from kargo_lab.rules.expressions.dates import UTC, Month, Weekday
from kargo_lab.rules.expressions.values import AnyMap, Byte, Int64, NilList, NilStringMap, Strings, Struct

FILE = Path(__file__).parents[1] / "data" / "yaml-texts.json"
VECTORS = json.loads(FILE.read_text(encoding="utf-8"))
VARIABLES = gojson.loads(json.dumps(VECTORS["variables"]).encode())


@pytest.mark.parametrize("record", VECTORS["yamls"], ids=lambda record: ascii(record["value"])[:50])
def test_a_value_is_written_as_go_writes_it(record: dict[str, Any]) -> None:
    assert yamltext.dumps(record["value"]) == record["yaml"]


@pytest.mark.parametrize("record", VECTORS["templates"], ids=lambda record: record["template"])
def test_a_template_gives_what_kargo_gives(record: dict[str, Any]) -> None:
    try:
        found = {"value": templates.evaluate(record["template"], VARIABLES)}
    except ExpressionError:
        found = {"error": record.get("error")}
    assert found == {name: record[name] for name in ("value", "error") if name in record}


def any_map(*pairs: tuple[Any, Any]) -> AnyMap:
    made = AnyMap()
    for key, value in pairs:
        made.put(key, value)
    return made


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(NilList(), "[]\n", id="a nil list is an empty one"),
        pytest.param(NilStringMap(), "{}\n", id="a nil map is an empty one"),
        pytest.param(b"a\x00", "- 97\n- 0\n", id="bytes are numbers"),
        pytest.param(range(2), "- 0\n- 1\n", id="a range is a list"),
        pytest.param(Strings(["1"]), '- "1"\n', id="texts"),
        pytest.param([Byte(7), Int64(8)], "- 7\n- 8\n", id="integers of other sizes"),
        pytest.param("a\ud800", "a\ufffd\n", id="half a pair is no character of Go's"),
        pytest.param("\udcc3\udca9", "é\n", id="bytes that make a character are that character"),
        pytest.param({"\udcff": 1, "\ue000": 2}, "\ue000: 2\n!!binary /w==: 1\n", id="a stray byte sorts as U+FFFD"),
        pytest.param({"\udcff": 1, "A": 2}, "!!binary /w==: 1\nA: 2\n", id="which is no letter"),
        pytest.param("\udcff" * 51, f"!!binary {'/' * 68}\n", id="bytes on one line"),
        pytest.param("\udcff" * 54, f"!!binary |\n    {'/' * 70}\n    //\n", id="bytes on two lines"),
        pytest.param({"\udcff" * 54: 1}, f"? !!binary |\n    {'/' * 70}\n    //\n: 1\n", id="as a key"),
        pytest.param(
            any_map((Byte(1), 0), (1.0, 1), (Int64(1), 2), (1, 3), (True, 4), (Month(1), 5), (Duration(1), 6)),
            "true: 4\n1: 3\n1: 5\n1: 2\n1ns: 6\n1: 0\n1: 1\n",
            id="equal numbers go by their types",
        ),
        pytest.param(
            any_map(("a", 0), (UTC, 1), (None, 2), (("x", 1), 3), (2**63 - 1, 4), (2**63 - 2, 5), (Weekday(3), 6)),
            "3: 6\n9223372036854775806: 5\n9223372036854775807: 4\n? - x\n  - 1\n: 3\nnull: 2\n{}: 1\na: 0\n".replace(
                "? - x\n  - 1", "?   - x\n    - 1"
            ),
            id="keys of many types",
        ),
        pytest.param(any_map((Time(0), 1)), "1970-01-01T00:00:00Z: 1\n", id="a time as a key"),
    ],
)
def test_what_only_expressions_hold_is_written(value: Any, text: str) -> None:
    assert yamltext.dumps(value) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param([Function("f", len)], "cannot marshal type: func", id="a function"),
        pytest.param({"a": Struct("v1.X", {})}, "cannot marshal type: v1.X", id="a struct"),
        pytest.param(
            any_map((Struct("v1.X", {}), 1), (Struct("v1.X", {}), 2)),
            "cannot marshal type: v1.X",
            id="a struct as a key",
        ),
        pytest.param("x" * 100, "asYAML makes a text longer than 100 characters", id="with the last newline too long"),
        pytest.param({"a": {"b": ["x"] * 99}}, "asYAML makes a text longer than 100 characters", id="indents count"),
    ],
)
def test_what_cannot_be_written_is_an_error_of_running(value: Any, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        yamltext.dumps(value, most=100)
    assert (caught.value.message, caught.value.text, caught.value.stage) == (message, "", "run")


def test_a_text_of_just_the_most_characters_is_written() -> None:
    assert yamltext.dumps("x" * 99, most=100) == "x" * 99 + "\n"


TEXTS = st.text(alphabet="ab:- #'\"\n\t1é{}[]&*!|>%@`,?=~.\x00\r\x85\xa0\ufeff\ufffe😀", max_size=8) | st.text(
    max_size=5
)
SHOWN = TEXTS.filter(lambda text: not {"\u2028", "\u2029"} & set(text))  # which PyYAML and Go take for different things
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | SHOWN


def as_texts(value: Any) -> Any:
    """A value as a reader sees it that takes every scalar for a text."""
    if isinstance(value, dict):
        return {key: as_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_texts(item) for item in value]
    return value if isinstance(value, str) else json.dumps(value)


def told(value: Any) -> bool:
    """False where the library announces a wrong indent: in a list, for a block that begins with a blank or a break."""
    if isinstance(value, dict):
        return all(told(key) and told(item) for key, item in value.items())
    if isinstance(value, list):
        return all(told(item) for item in value)
    return not (isinstance(value, str) and "\n" in value and value[0] in " \n")


@given(
    st.recursive(
        LEAVES,
        lambda inside: st.lists(inside, max_size=3) | st.dictionaries(SHOWN, inside, max_size=3),
        max_leaves=8,
    ).filter(told)
)
@settings(max_examples=150, deadline=None)
def test_what_is_written_reads_back(value: Any) -> None:
    assert yaml.load(yamltext.dumps(value), Loader=yaml.BaseLoader) == as_texts(value)


@given(st.recursive(LEAVES, lambda inside: st.dictionaries(SHOWN, inside, max_size=3), max_leaves=8))
@settings(max_examples=100, deadline=None)
def test_maps_in_maps_read_back_whatever_their_texts_begin_with(value: Any) -> None:
    assert yaml.load(yamltext.dumps(value), Loader=yaml.BaseLoader) == as_texts(value)


@given(SHOWN.filter(lambda text: text not in {"=", "<<"}))
@settings(max_examples=150, deadline=None)
def test_a_text_reads_back_as_a_text_but_for_two_marks_of_yaml_1_1(text: str) -> None:
    assert yaml.safe_load(yamltext.dumps({"a": text})) == {"a": text}


SURROGATES = st.text(alphabet="a\n \udc80\udcc3\udca9\ud800", max_size=6)
KEYS = (
    SURROGATES | st.none() | st.booleans() | st.integers() | st.floats() | st.builds(Duration, st.integers(0, 10**12))
)
ANYTHING = st.recursive(
    KEYS | st.binary(max_size=3) | st.builds(Time, st.integers(0, 10**18)) | st.just(Function("f", len)),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.tuples(inside, inside)
        | st.lists(st.tuples(KEYS, inside), max_size=3).map(lambda pairs: any_map(*pairs))
    ),
    max_leaves=8,
)


@given(ANYTHING)
@settings(max_examples=150, deadline=None)
def test_any_value_gives_a_text_or_the_error(value: Any) -> None:
    try:
        text = yamltext.dumps(value)
    except ExpressionError as error:
        text = f"{error.message}\n"
    assert text.encode().endswith(b"\n")
    assert "cannot" not in text or text == "cannot marshal type: func\n"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("1_" * 100_000 + "x", id="a number, nearly"),
        pytest.param("1" * 200_000 + "e", id="an exponent, nearly"),
        pytest.param("1" * 200_000, id="a number out of reach"),
        pytest.param("0x" + "1" * 200_000, id="a hexadecimal out of reach"),
        pytest.param("1" + ":1" * 100_000 + "\t\n", id="a time of day, nearly"),
        pytest.param("2024-01-01 1:1:1." + "1" * 200_000 + "x", id="a date, nearly"),
        pytest.param(" " * 200_000 + "\u2028#", id="blanks"),
        pytest.param({"a" * 50_000 + str(place): 1 for place in range(20)}, id="keys of one beginning"),
        pytest.param({"0" * 50_000 + str(place): 1 for place in range(20)}, id="zeros before keys"),
        pytest.param({f"key{place}": 1 for place in range(10_000)}, id="many keys"),
    ],
)
def test_a_large_value_is_written_in_no_time(value: Any) -> None:
    start = time.process_time()
    yamltext.dumps(value)
    assert time.process_time() - start < 1


def test_depth_needs_no_recursion() -> None:
    value: Any = 1
    for _ in range(10_000):
        value = [value]
    assert yamltext.dumps(value) == "- " * 10_000 + "1\n"
