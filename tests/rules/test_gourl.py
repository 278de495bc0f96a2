"""URLs as Go 1.26 reads and writes them: records made by asking it."""

import json
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.rules import gourl

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "go-urls.json").read_text())


@pytest.mark.parametrize("record", [pytest.param(r, id=ascii(r["text"])) for r in RECORDS if "written" in r])
def test_reads_and_writes_as_go(record):
    url = gourl.parse(record["text"])
    longer = bytes(attrs.evolve(url, path=url.path + b"x"))
    shown = [url.host.decode("latin-1"), url.has_query(), bytes(url).decode("latin-1"), longer.decode("latin-1")]
    assert shown == [record[key] for key in ("host", "has_query", "written", "written_with_x")]


@pytest.mark.parametrize("record", [pytest.param(r, id=ascii(r["text"])) for r in RECORDS if "error" in r])
def test_refuses_what_go_refuses(record):
    with pytest.raises(gourl.URLError):
        gourl.parse(record["text"])


def test_600_answers_of_go_are_compared():
    assert len(RECORDS) == 600


@pytest.mark.parametrize(("text", "strict", "fine"), [
    ("http://::1/x", True, False),
    ("http://::1/x", False, True),
    ("ssh://::1/x", True, True),
    ("http://a:1:2/x", False, True),
    ("http://a:1:b/x", False, False),
])  # fmt: skip
def test_several_colons_in_a_host_depend_on_gos_release(text, strict, fine):
    try:
        gourl.parse(text, strict_colons=strict)
    except gourl.URLError:
        assert not fine
    else:
        assert fine


@pytest.mark.parametrize(("text", "message"), [
    ("a\tb", "invalid control character in URL"),
    (":x", "missing protocol scheme"),
    ("1:b", "first path segment in URL cannot contain colon"),
    ("http://a b@c/", "invalid userinfo"),
    ("http://a b/", "invalid character ' ' in host name"),
    ("http://a:b/", "invalid port b':b' after host"),
    ("http://h/%zzz", "invalid URL escape b'%zz'"),
    ("http://h/#%1", "invalid URL escape b'%1'"),
    ("http://%41/", "invalid URL escape b'%41'"),
    ("http://x[::1]/", "invalid IP-literal"),
    ("http://[::1", "invalid IP-literal"),
    ("http://[fe80::1%25[a]/", "invalid IP-literal"),
    ("http://[::1]x/", "invalid port b'x' after host"),
    ("http://[1.2.3.4]/", "invalid host b'[1.2.3.4]'"),
    ("http://[%3A:1]/", "invalid URL escape b'%3A'"),
    ("http://[::1%25]/", "empty IPv6 zone"),
    ("http://[::1%25%zz]/", "invalid URL escape b'%zz'"),
    ("http://[fe80::1%25%01]/", "invalid URL escape b'%01'"),
    ("http://[fe80::1%25a^b]/", "invalid character '^' in host name"),
])  # fmt: skip
def test_a_refusal_says_why(text, message):
    with pytest.raises(gourl.URLError) as refused:
        gourl.parse(text)
    assert (refused.value.message, refused.value.text) == (message, text)


@pytest.mark.parametrize(("zone", "written"), [
    pytest.param("a%20b", "a%20b", id="a blank"),
    pytest.param("%41", "A", id="an escape that is not needed"),
    pytest.param("a]b", "a]b", id="a closing bracket"),
    pytest.param("a%25b", "a%25b", id="a percent sign"),
    pytest.param("a%20b%25c", "a%20b%25c", id="a blank and a percent sign"),
])  # fmt: skip
def test_a_zone_may_hold(zone, written):
    assert bytes(gourl.parse(f"http://[fe80::1%25{zone}]:8/")).decode() == f"http://[fe80::1%25{written}]:8/"


@pytest.mark.parametrize(("host", "read"), [
    pytest.param("%80", b"\x80", id="an escape beyond ASCII"),
    pytest.param("\u0400", b"\xd0\x80", id="a letter beyond ASCII"),
    pytest.param("\ud800", b"\xef\xbf\xbd", id="half a surrogate pair, which Go has not"),
])  # fmt: skip
def test_a_host_may_hold(host, read):
    assert gourl.parse(f"http://{host}/").host == read


@pytest.mark.parametrize(("pairs", "read"), [(10_000, True), (10_001, False)])
def test_a_query_of_too_many_pairs_is_not_read(pairs, read):
    assert gourl.parse("http://h/?" + "&".join("a" * pairs)).has_query() is read


def test_only_a_star():
    assert bytes(gourl.parse("*#f")) == b"*#f"


@given(text=st.text(max_size=60) | st.text(alphabet="ht:/@[]%25?#&=;a1.\u00e9 \ud800", max_size=30))
def test_any_text_is_a_url_or_refused(text):
    with suppress(gourl.URLError):
        bytes(gourl.parse(text))


@given(text=st.text(alphabet="ab/.-_~!$&'()*+,;=:@%41[]{}\u00e9?", max_size=20).map("https://host/".__add__))
def test_what_is_written_reads_the_same(text):
    try:
        url = gourl.parse(text)
    except gourl.URLError:
        return
    assert gourl.parse(bytes(url).decode()).path == url.path


@pytest.mark.parametrize("text", ["file:/srv/x", "file:///srv/x", "mailto:a@b", "https:", "a/b:c"])
def test_a_url_without_host_is_written_as_it_came(text):
    assert bytes(gourl.parse(text)).decode() == text
