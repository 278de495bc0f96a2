"""Reading as Go's encoding/json does: records made by asking Go 1.26, and the rules one by one."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.rules import json as gojson
from kargo_lab.rules.json import (
    ANY,
    BOOL,
    FLOAT,
    INT64,
    TEXT,
    TIME,
    TIMESTAMP,
    JSONError,
    ListOf,
    MapOf,
    Nullable,
    Struct,
)

DATA = Path(__file__).parents[1] / "data"
VALUES = json.loads((DATA / "go-json.json").read_text())
STRUCTS = json.loads((DATA / "go-json-structs.json").read_text())

INNER_TWO = Struct({"z": TEXT, "ks": ListOf(INT64)})
INNER = Struct({"x": TEXT, "ks": ListOf(TEXT), "q": Nullable(INNER_TWO), "r": INNER_TWO})
OUTER = Struct(
    {
        "text": TEXT,
        "n": INT64,
        "f": FLOAT,
        "b": BOOL,
        "a": ANY,
        "p": Nullable(INNER),
        "s": INNER,
        "l": ListOf(INNER),
        "pl": ListOf(Nullable(INNER)),
        "ll": ListOf(ListOf(TEXT)),
        "m": MapOf(INNER),
        "ma": MapOf(ANY),
        "ml": MapOf(ListOf(TEXT)),
        "t": TIME,
        "pt": Nullable(TIME),
        "g": TIMESTAMP,
        "pg": Nullable(TIMESTAMP),
        "pn": Nullable(INT64),
        "la": ListOf(ANY),
        "lpn": ListOf(Nullable(INT64)),
        "task": TEXT,
        "TASK": TEXT,
    }
)
ZERO = gojson.decode(b"{}", OUTER)


@pytest.mark.parametrize("record", [pytest.param(r, id=ascii(r["body"])) for r in VALUES if "written" in r])
def test_reads_and_writes_as_go(record):
    assert gojson.dumps(gojson.loads(record["body"].encode("latin-1"))) == record["written"]


@pytest.mark.parametrize("record", [pytest.param(r, id=ascii(r["body"])) for r in VALUES if "error" in r])
def test_refuses_with_gos_words(record):
    with pytest.raises(JSONError) as caught:
        gojson.loads(record["body"].encode("latin-1"))
    assert caught.value.message == record["error"]


@pytest.mark.parametrize("record", [pytest.param(r, id=ascii(r["body"])) for r in STRUCTS if "decoded" in r])
def test_decodes_into_structs_as_go(record):
    expected = None if record["decoded"] is None else ZERO | record["decoded"]
    assert gojson.decode(record["body"].encode(), Nullable(OUTER)) == expected


@pytest.mark.parametrize("record", [pytest.param(r, id=ascii(r["body"])) for r in STRUCTS if "error" in r])
def test_refuses_what_does_not_fit_a_struct(record):
    with pytest.raises(JSONError):
        gojson.decode(record["body"].encode(), Nullable(OUTER))


def test_938_answers_of_go_are_compared():
    assert (len(VALUES), len(STRUCTS)) == (627, 311)


REPOSITORY = Struct({"repository": Struct({"clone_url": TEXT, "id": INT64}), "ref": TEXT})


def _decode(text, shape=REPOSITORY):
    return gojson.decode(text.encode(), shape)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("{}", "", id="absent reads as the zero value"),
        pytest.param('{"ref": null}', "", id="null leaves it"),
        pytest.param('{"ref": "a", "ref": null}', "a", id="also a value that was there"),
        pytest.param('{"REF": "a"}', "a", id="names are compared without case"),
        pytest.param('{"ref": "a", "Ref": "b"}', "b", id="the last one wins whatever its case"),
        pytest.param('{"ref": "\\ud800x"}', "\ufffdx", id="half a surrogate pair is U+FFFD"),
    ],
)
def test_a_member_is_read(text, value):
    assert _decode(text)["ref"] == value


def test_repeated_objects_are_merged():
    text = '{"repository": {"id": 1}, "repository": {"clone_url": "u"}}'
    assert _decode(text)["repository"] == {"id": 1, "clone_url": "u"}


@pytest.mark.parametrize(
    ("letter", "name"),
    [pytest.param("\u017f", "ssh", id="long s"), pytest.param("\u212a", "key", id="Kelvin sign")],
)
def test_two_letters_beyond_ascii_fold_into_it(letter, name):
    text = '{"%s": "v"}' % (letter + name[1:])
    assert _decode(text, Struct({name: TEXT}))[name] == "v"


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        pytest.param("cla\u00df", "class", id="sharp s"),
        pytest.param("\ufb01le", "file", id="a ligature"),
        pytest.param("\u0131d", "id", id="dotless i"),
        pytest.param("\u0130d", "id", id="dotted capital I"),
    ],
)
def test_other_letters_do_not(spelled, name):
    assert _decode(f'{{"{spelled}": "v"}}', Struct({name: TEXT}))[name] == ""


def test_an_exact_name_goes_before_one_that_folds_alike():
    assert _decode('{"A": "big", "a": "small"}', Struct({"a": TEXT, "A": TEXT})) == {"a": "small", "A": "big"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '{"repository": {"id": "x"}}',
            "json: cannot unmarshal string into Go struct field repository.id of type int64",
            id="the path is named",
        ),
        pytest.param("[]", "json: cannot unmarshal array into Go value of type struct", id="the document itself"),
        pytest.param(
            '{"ref": {}}', "json: cannot unmarshal object into Go struct field ref of type string", id="object"
        ),
        pytest.param('{"ref": true}', "json: cannot unmarshal bool into Go struct field ref of type string", id="bool"),
        pytest.param(
            '{"ref": 1}', "json: cannot unmarshal number into Go struct field ref of type string", id="number"
        ),
        pytest.param(
            '{"repository": {"id": 1.5}}',
            "json: cannot unmarshal number 1.5 into Go struct field repository.id of type int64",
            id="a number that is no integer",
        ),
        pytest.param('{"ref": "a\\"} ', "unexpected end of JSON input", id="syntax goes first"),
    ],
)
def test_what_does_not_fit_is_named(text, message):
    with pytest.raises(JSONError) as caught:
        _decode(text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"f": 1e999}', "number 1e999 into Go struct field f of type float64"),
        ('{"a": 1e999}', "number 1e999 into Go value of type float64"),
        ('{"n": 9223372036854775808}', "number 9223372036854775808 into Go struct field n of type int64"),
        ('{"n": -9223372036854775809}', "number -9223372036854775809 into Go struct field n of type int64"),
        ('{"p": {"x": 1}}', "number into Go struct field p.x of type string"),
        ('{"m": {"k": {"x": 1}}}', "number into Go struct field m.x of type string"),
        ('{"l": [{"x": 1}]}', "number into Go struct field l.x of type string"),
        ('{"s": 5}', "number into Go struct field s of type struct"),
        ('{"m": []}', "array into Go struct field m of type map"),
        ('{"l": {}}', "object into Go struct field l of type slice"),
        ('{"g": null}', "null into Go struct field g of type github.Timestamp"),
        ('{"g": 1.5}', "number 1.5 into Go struct field g of type int64"),
        ('{"t": "2020\\u002d01-02T03:04:05Z"}', "string into Go struct field t of type time.Time"),
    ],
)
def test_a_misfit_names_the_value_the_member_and_the_type(text, message):
    with pytest.raises(JSONError) as caught:
        _decode(text, OUTER)
    assert (caught.value.message, caught.value.text) == (f"json: cannot unmarshal {message}", text)


def test_the_least_integer_of_64_bits_is_read():
    assert _decode('{"n": -9223372036854775808}', OUTER)["n"] == -(2**63)


def test_an_error_points_at_the_character():
    with pytest.raises(JSONError) as caught:
        gojson.loads('{"é": x}'.encode())
    assert caught.value.position == 6


def test_ten_thousand_levels_are_read_and_written():
    body = b"[" * 10_000 + b"]" * 10_000
    assert gojson.dumps(gojson.loads(body)).encode() == body


def test_one_level_more_is_refused():
    with pytest.raises(JSONError) as caught:
        gojson.loads(b"[" * 10_001 + b"]" * 10_001)
    assert caught.value.message == "invalid character '[' exceeded max depth"


def test_escapes_leave_no_mark_in_values():
    value = _decode('{"a": "\\u0031"}', Struct({"a": ANY}))["a"]
    assert (value, type(value)) == ("1", str)


def test_a_body_of_two_mebibytes_of_brackets_is_refused_not_crashed_on():
    with pytest.raises(JSONError, match="exceeded max depth"):
        gojson.loads(b"[" * 2**21)


def test_a_number_of_a_million_digits_is_refused_quickly():
    with pytest.raises(JSONError, match="of type float64"):
        gojson.loads(b"9" * 1_000_000)


def test_a_time_spelled_with_escapes_is_refused_as_in_go():
    with pytest.raises(JSONError):
        _decode('{"t": "2020\\u002d01-02T03:04:05Z"}', Struct({"t": TIME}))


TREE_FIELDS = {"name": TEXT}
TREE = Struct(TREE_FIELDS)
TREE_FIELDS["next"] = Nullable(TREE)


def test_structs_in_structs_are_read_as_deep_as_go_goes():
    tree = _decode('{"next": ' * 9_998 + '{"name": "a", "next": {}}' + "}" * 9_998, TREE)
    for _ in range(9_998):
        assert tree["name"] == ""
        tree = tree["next"]
    assert tree == {"name": "a", "next": {"name": "", "next": None}}


def test_repeated_structs_are_merged_far_down_too():
    tree = _decode('{"next": ' * 30 + '{"name": "a"}, "next": {"next": {}}' + "}" * 30, TREE)
    for _ in range(30):
        tree = tree["next"]
    assert tree == {"name": "a", "next": {"name": "", "next": None}}


def test_maps_in_maps_and_lists_begin_afresh():
    shape = Struct({"l": ListOf(MapOf(TEXT)), "m": MapOf(MapOf(TEXT))})
    found = _decode('{"l": [{"a": "b"}, {}], "m": {"k": {"a": "b"}}}', shape)
    assert found == {"l": [{"a": "b"}, {}], "m": {"k": {"a": "b"}}}


def test_a_misfit_far_down_is_refused():
    with pytest.raises(JSONError, match=r"into Go struct field next.+next\.name of type string"):
        _decode('{"next": ' * 30 + '{"name": 1}' + "}" * 30, TREE)


def test_a_number_that_does_not_fit_is_named_though_another_is_deeper():
    text = "[" * 2000 + "1e997" + "]" * 2000
    with pytest.raises(JSONError, match="number 1e998 into"):
        gojson.loads(f"[1, 1e998, {text}, 1e999]".encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"ll": [["a", "b"], ["c"]], "ll": [[]], "ll": [["d"], ["e"]]}', [["d"], ["e"]]),
        ('{"l": [{"x": "a"}, {"x": "b"}], "l": [{}], "l": [{}, {}, {}]}', ["a", "b", ""]),
        ('{"l": [{"x": "a"}, {"x": "b"}, {"x": "c"}], "l": [{}, {}], "l": [{}], "l": [{}, {}, {}]}', ["a", "b", "c"]),
        ('{"l": [{"x": "a"}, {"x": "b"}], "l": [], "l": [{}, {}]}', ["", ""]),
        ('{"l": [{"x": "a"}, {"x": "b"}], "l": null, "l": [{}, {}]}', ["", ""]),
    ],
)
def test_a_repeated_list_is_written_over_what_the_first_left(text, value):
    found = _decode(text, OUTER)
    assert (found["ll"] or [each["x"] for each in found["l"]]) == value


def test_what_one_member_leaves_is_nobody_elses():
    """Structs that nothing is said of may be one value; writing into one of them makes it another."""
    found = _decode('{"l": [{}, {"r": {}}, {"r": {"z": "a"}}, {}], "m": {"k": {}}, "m": {"l": {"x": "b"}}}', OUTER)
    assert [each["r"]["z"] for each in found["l"]] == ["", "", "a", ""]
    assert (found["m"]["k"]["x"], found["m"]["l"]["x"], found["s"]["x"]) == ("", "b", "")


SHAPES = st.recursive(
    st.sampled_from([TEXT, INT64, FLOAT, BOOL, ANY, TIME, TIMESTAMP]),
    lambda inner: st.one_of(
        st.builds(ListOf, inner),
        st.builds(MapOf, inner),
        st.builds(Nullable, inner),
        st.builds(Struct, st.dictionaries(st.sampled_from("abKs"), inner, max_size=3)),
    ),
    max_leaves=6,
)
JSON_LIKE = st.text(alphabet='{}[],:"\\ \n019-.eEtruefalsnabKsu\u017f\u00e9\ufeff', max_size=40).map(str.encode)


@given(body=st.one_of(st.binary(max_size=40), JSON_LIKE), shape=SHAPES)
def test_any_bytes_are_a_value_or_a_json_error(body, shape):
    with suppress(JSONError):
        gojson.decode(body, shape)
        gojson.loads(body)


TREES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)),
    max_leaves=20,
)


@given(value=TREES, indent=st.sampled_from(["", "  "]))
def test_what_is_written_reads_back(value, indent):
    assert gojson.loads(gojson.dumps(value, indent=indent).encode()) == value
