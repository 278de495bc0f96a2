import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab import payloads
from kargo_lab.errors import ManifestError
from kargo_lab.payloads import Request, of_request, parse, unparse

TEXT = b"""# A tag was pushed.
# follows: platforms.md 2.6
# parameters: tag
# set: tag=v1
# body: compact
POST /?t={{tag}} HTTP/1.1
Content-Type: application/json
X-Tag: {{ tag }}

{
  "ref": "refs/tags/{{ tag }}",
  "text": "blanks  stay { here }"
}
"""


def test_a_file_says_what_it_is_and_what_it_follows() -> None:
    file = parse(TEXT)
    assert (file.says, file.notes["follows"], file.parameters) == ("A tag was pushed.", "platforms.md 2.6", ("tag",))


def test_parameters_are_filled_into_target_headers_and_body_each_in_its_spelling() -> None:
    request = parse(TEXT).request({"tag": 'v"1 ä'})
    assert (request.target, request.header("x-tag"), request.body.decode()) == (
        "/?t=v%221%20%C3%A4",
        'v"1 ä',
        '{"ref":"refs/tags/v\\"1 ä","text":"blanks  stay { here }"}',
    )


def test_braces_that_a_file_does_not_declare_are_left_alone() -> None:
    request = parse(b"POST / HTTP/1.1\n\n{{ tag }}").request({"tag": "v1"})
    assert request.body == b"{{ tag }}"


@pytest.mark.parametrize(
    ("how", "body", "signed"),
    [
        pytest.param("as-written", b'{\n "a": 1\n}', None, id="as written, less the last newline"),
        pytest.param("compact", b'{"a":1}', None, id="compact"),
        pytest.param("form", b"payload=%7B%22a%22%3A1%7D", b'{"a":1}', id="a form of compact JSON"),
        pytest.param("form-as-written", b"payload=%7B%0A+%22a%22%3A+1%0A%7D", b'{\n "a": 1\n}', id="a form as written"),
    ],
)
def test_the_bytes_are_made_as_the_note_says(how: str, body: bytes, signed: bytes | None) -> None:
    request = parse(f'# body: {how}\nPOST / HTTP/1.1\n\n{{\n "a": 1\n}}\n'.encode()).request()
    assert (request.body, request.signed) == (body, signed)


def test_a_base64_body_is_decoded() -> None:
    assert parse(b"# body: base64\nPOST / HTTP/1.1\n\n/v8=\n").request().body == b"\xfe\xff"


def test_an_element_is_repeated_and_the_body_padded() -> None:
    file = parse(b'# body: compact\n# repeat: a.b 3\n# pad: 40\nPOST / HTTP/1.1\n\n{"a":{"b":[1,2]}}\n')
    assert file.request().body == b'{"a":{"b":[1,1,1]}}'.ljust(40)


def test_a_content_length_counts_exactly() -> None:
    assert parse(b"POST / HTTP/1.1\nContent-Length: 3\n\nab\n\n").request().body == b"ab\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(b"hello", "x:1: a request line such as `POST / HTTP/1.1` is expected here", id="no request line"),
        pytest.param(
            b"POST / HTTP/1.1\nnonsense\n\n", "x:2: a header (`Name: value`) or an empty line", id="no header"
        ),
        pytest.param(b"# secret: s3cr3t\nPOST / HTTP/1.1\n\n", "x:1: no note is called 'secret'", id="an unknown note"),
        pytest.param(
            b"# body: zip\nPOST / HTTP/1.1\n\n", "x:1: no way to make a body is called 'zip'", id="an unknown way"
        ),
        pytest.param(
            b"POST / HTTP/1.1\nContent-Length: 9\n\nab", "Content-Length says 9; correct", id="a wrong length"
        ),
        pytest.param(b"# body: base64\nPOST / HTTP/1.1\n\nA", "the body is not base64", id="no base64"),
        pytest.param(
            b"# repeat: b 2\nPOST / HTTP/1.1\n\n{}", "`repeat: b 2` does not fit the body", id="nothing to repeat"
        ),
        pytest.param(
            b"POST / HTTP/1.1\nX-A: \xff\n\n", "x:2: the lines before the body have to be UTF-8", id="no UTF-8"
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(text: bytes, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(text, "x").request()
    assert message in str(caught.value)


def test_a_parameter_cannot_add_a_header() -> None:
    with pytest.raises(ManifestError):
        parse(TEXT).request({"tag": "v1\r\nX-Evil: 1"})


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ManifestError):
        payloads.read(tmp_path / "none.http")


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True).filter(
    lambda name: name.lower() != "content-length"
)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12)


@given(
    body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=3),
)
def test_any_request_is_read_back_as_it_was_written(body: bytes, headers: list[tuple[str, str]]) -> None:
    request = Request(headers=tuple(headers), body=body, method="PUT", target="/x?y=1")
    again = parse(unparse(of_request(request, says="Anything."))).request()
    kept = tuple(pair for pair in again.headers if pair[0] != "Content-Length")
    assert (again.body, kept, again.method, again.target) == (body, tuple(headers), "PUT", "/x?y=1")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_a_misfit(data: bytes) -> None:
    with contextlib.suppress(ManifestError):
        parse(data).request()
