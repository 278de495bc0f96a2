import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.rules.jsontext import ESCAPED, JSONError, numbers, parse, parse_marked, refuse, text_of


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"a\xffb", "a\ufffdb", id="a byte that begins nothing"),
        pytest.param(b"\xe4\xbdx", "\ufffd\ufffdx", id="a sequence cut short counts byte by byte"),
        pytest.param(b"\xed\xa0\x80", "\ufffd" * 3, id="a surrogate in UTF-8"),
        pytest.param(b"\xf4\x90\x80\x80", "\ufffd" * 4, id="a code point that is too large"),
        pytest.param("\u00e9\U0001f600".encode(), "\u00e9\U0001f600", id="characters stay"),
    ],
)
def test_broken_utf_8_is_replaced_byte_by_byte(body, text):
    assert text_of(body) == text


def test_two_mebibytes_of_broken_utf_8_are_read_at_once():
    assert text_of(b"\xff" * 2**21) == "\ufffd" * 2**21


def test_the_tree_keeps_spellings_and_repeats():
    assert parse(b'{"a": 1e2, "a": [true, null]}') == (("a", b"1e2"), ("a", [True, None]))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'"ab"', "ab"),
        (b'"a\\u0062c"', "abc"),
        (b'"\\ud83d\\uDE00"', "\U0001f600"),
        (b'"\\uD83D"', "\ufffd"),
        (b'"\\ud83d-"', "\ufffd-"),
    ],
)
def test_a_string_is_read(body, text):
    assert parse(body) == text


DIGIT = re.compile(r"\\u003[0-9]")


@pytest.mark.parametrize(
    ("body", "tree"),
    [
        pytest.param(b'"1\\u0032\\n"', f"1{ESCAPED}2\n", id="what is looked for"),
        pytest.param(b'"\\\\u0032"', "\\u0032", id="a backslash that is one itself"),
        pytest.param(b'"\\ud83d\\ude00\\u0032"', f"\U0001f600{ESCAPED}2", id="beside a pair"),
        pytest.param(b'{"\\u0032": "\\u0032"}', (("2", f"{ESCAPED}2"),), id="not in names"),
        pytest.param(b'{"a": 1.50}', (("a", b"1.50"),), id="numbers are kept"),
    ],
)
def test_escapes_are_marked(body, tree):
    assert parse_marked(body, DIGIT) == tree


def test_numbers_come_in_their_order_as_they_are_spelled():
    assert [*numbers(b'{"1": [-1.50e+1, "\\"2"], "a": {"b": 0}}')] == ["-1.50e+1", "0"]


def nested(levels: int, inside: str) -> str:
    return '[0,{"a":' * (levels // 2) + inside + "},[1]]" * (levels // 2)


@pytest.mark.parametrize("levels", [2, 98, 100, 102, 104, 2000, 9998])
def test_a_tree_of_any_depth_is_read(levels):
    tree = parse(
        nested(
            levels, f'[{nested(100, "2")}, "[]{{}}\\"NaN", {nested(200, "3")}]'[: 2**20] if levels < 9000 else "2"
        ).encode()
    )
    for _ in range(levels // 2):
        assert (tree[0], tree[2]) == (b"0", [b"1"])
        ((name, tree),) = tree[1]
        assert name == "a"
    if levels > 9000:
        assert tree == b"2"
    else:
        assert (tree[0], tree[1], tree[2]) == (
            parse(nested(100, "2").encode()),
            '[]{}"NaN',
            parse(nested(200, "3").encode()),
        )


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("[Infinity]", "invalid character 'I' looking for beginning of value"),
        ("[1}", "invalid character '}' after array element"),
        ("[]]", "invalid character ']' after object key:value pair"),
        ("{[]: 1}", "invalid character '[' looking for beginning of object key string"),
        ('"', "invalid character '\\n' in string literal"),
    ],
)
def test_faults_in_deep_texts_are_named_too(inside, message):
    with pytest.raises(JSONError) as refused:
        parse(nested(2000, inside + "\n").encode())
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param("[" * 5000, "unexpected end of JSON input", id="nothing is closed"),
        pytest.param(nested(2000, "0") + "]", "invalid character ']' after top-level value", id="one too many"),
        pytest.param(nested(2000, "0")[:-1], "unexpected end of JSON input", id="one is not closed"),
        pytest.param("[" * 10_001 + "]" * 10_001, "invalid character '[' exceeded max depth", id="too deep"),
    ],
)
def test_deep_texts_are_closed_as_they_were_opened(body, message):
    with pytest.raises(JSONError) as refused:
        parse(body.encode())
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("body", "position", "message"),
    [
        (b"X", 0, "invalid character 'X' looking for beginning of value"),
        (b"[1", 2, "unexpected end of JSON input"),
        (b'{"a" 1}', 5, "invalid character '1' after object key"),
        (b"\xff", 0, "invalid character '\u00ff' looking for beginning of value"),
    ],
)
def test_a_refusal_points_at_the_character(body, position, message):
    with pytest.raises(JSONError) as refused:
        parse(body)
    assert (refused.value.position, refused.value.message, refused.value.text) == (position, message, text_of(body))


LIKELY = st.lists(
    st.sampled_from(
        [
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b'"a"',
            b'"\\ud83d\\ude00"',
            b'"\\ud83d"',
            b"1",
            b"-0.5e+7",
            b"true",
            b" ",
            b"\\",
            b"\xff",
            b'"',
        ]
    ),
    max_size=14,
).map(b"".join)


@given(body=st.one_of(LIKELY, LIKELY.map(lambda text: b"[0,1," + text + b"]"), st.binary(max_size=12)))
def test_a_text_is_read_or_has_a_fault_and_never_both(body):
    """The walk finds nothing wrong with a text that was read, and blames what should follow its end."""
    with pytest.raises(JSONError) as refused:
        refuse(body)
    wrong = refused.value
    if (wrong.message, wrong.position) == ("invalid character ' ' after top-level value", len(text_of(body))):
        parse(body)
    else:
        with pytest.raises(JSONError) as problem:
            parse(body)
        assert problem.value.message == wrong.message
