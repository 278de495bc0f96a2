"""YAML as `asYAML` writes it; PyYAML reads it back."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kargo_lab.rules import yamltext


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("x", "x\n", id="a word is plain"),
        pytest.param("true", '"true"\n', id="what would read as a boolean is quoted"),
        pytest.param("5", '"5"\n', id="what would read as a number is quoted"),
        pytest.param("", '""\n', id="the empty text is quoted"),
        pytest.param("a: b", "'a: b'\n", id="a colon before a blank is quoted"),
        pytest.param("- it's", "'- it''s'\n", id="a dash is quoted, quotes doubled"),
        pytest.param("a\x01<", '"a\\u0001<"\n', id="what cannot be printed is escaped"),
        pytest.param("\x01<>&", '"\\u0001<>&"\n', id="but not as in JSON for pages"),
        pytest.param(["X"], "- X\n", id="a list of one word"),
        pytest.param("a\nb\n", "|\n  a\n  b\n", id="lines are a block"),
        pytest.param({"k": "a\n\nb"}, "k: |-\n  a\n\n  b\n", id="a block without a last newline"),
        pytest.param({"k": "a\n\n"}, "k: |+\n  a\n\n", id="a block with more of them"),
        pytest.param(None, "null\n", id="null"),
        pytest.param([], "[]\n", id="an empty list"),
        pytest.param({"b": {"x": 1.5}, "a": [[1, 2], {"k": True}]}, None, id="maps and lists inside one another"),
    ],
)
def test_a_value_is_written(value: Any, text: str | None) -> None:
    expected = "a:\n- - 1\n  - 2\n- k: true\nb:\n  x: 1.5\n" if text is None else text
    assert yamltext.dumps(value) == expected


TEXTS = st.text(alphabet="ab:- #'\"\n\t1é{}[]&*!|>%@`,?=~", max_size=8)
KEYS = st.text(alphabet="ab 1:-", max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=3),
    max_leaves=6,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_what_is_written_reads_back(value: Any) -> None:
    assert yaml.safe_load(yamltext.dumps(value)) == value


@pytest.mark.parametrize("text", ["1_" * 100_000 + "x", "1" * 200_000 + "e", "1" + ":1" * 100_000 + "\t\n"])
def test_what_is_nearly_a_number_is_written_in_no_time(text: str) -> None:
    start = time.process_time()
    yamltext.dumps({"a": text})
    assert time.process_time() - start < 1
