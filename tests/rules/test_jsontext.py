import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.rules.jsontext import Escaped, JSONError, Number, Pairs, parse, scan, text_of


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
    assert parse(b'{"a": 1e2, "a": [true, null]}') == Pairs([("a", Number("1e2")), ("a", [True, None])])


@pytest.mark.parametrize("read", [parse, scan])
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
def test_a_string_is_read_by_both_scanners(read, body, text):
    assert read(body) == text


@pytest.mark.parametrize(
    ("body", "kind"), [(b'"a"', str), (b'"\\u0061"', Escaped), (b"-1.50e+1", Number), (b"null", type(None))]
)
def test_the_slow_scanner_marks_how_a_value_was_spelled(body, kind):
    assert type(scan(body)) is kind


def test_a_number_keeps_its_spelling():
    assert scan(b" -1.50e+1 ") == "-1.50e+1"


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


def _outcome(read, body):
    try:
        return read(body)
    except JSONError as problem:
        return problem.message


@given(body=st.one_of(LIKELY, st.binary(max_size=12)))
def test_the_quick_and_the_slow_reading_agree(body):
    assert _outcome(parse, body) == _outcome(scan, body)
