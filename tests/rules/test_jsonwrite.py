import math

import pytest

from kargo_lab.rules.json import JSONError, dumps


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"), (-0.0, "-0"), (0.1, "0.1"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-6, "0.000001"),
        (1e-7, "1e-7"), (1.5e-10, "1.5e-10"), (123456.789, "123456.789"), (-2.5e300, "-2.5e+300"), (5, "5"),
        (2**80, str(2**80)),
        (True, "true"), (None, "null"), ([], "[]"), ({}, "{}"), ((1, "a"), '[1,"a"]'),
        ({"b": 1, "a": [2]}, '{"a":[2],"b":1}'), ("<&>", '"\\u003c\\u0026\\u003e"'),
        ("\u2028\x00\x1f\t\b\f\x7f\u00e9\ud800\udfff", '"\\u2028\\u0000\\u001f\\t\\b\\f\x7f\u00e9\\ufffd\\ufffd"'),
    ],
)  # fmt: skip
def test_writes_as_go(value, text):
    assert dumps(value) == text


def test_indents_as_go():
    assert dumps({"a": [1, {}], "b": {"c": []}}, indent="  ") == (
        '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": {\n    "c": []\n  }\n}'
    )


@pytest.mark.parametrize(
    ("value", "message", "text"),
    [
        (math.nan, "json: unsupported value: NaN", "NaN"),
        ([math.inf], "json: unsupported value: +Inf", "+Inf"),
        (-math.inf, "json: unsupported value: -Inf", "-Inf"),
        (object(), "json: unsupported type: object", "object"),
        ({1: 2}, "json: unsupported type: map key int", "int"),
    ],
)
def test_refuses_what_has_no_json(value, message, text):
    with pytest.raises(JSONError) as caught:
        dumps(value)
    assert (caught.value.message, caught.value.text) == (message, text)
