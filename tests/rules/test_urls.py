import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.profiles import LATEST, PROFILES
from kargo_lab.rules import urls

DATA = Path(__file__).parents[1] / "data"
NORMALIZE = {
    "git-urls": urls.normalize_git,
    "image-urls": urls.normalize_image,
    "chart-urls": urls.normalize_chart,
}
RECORDS = [(name, record) for name in NORMALIZE for record in json.loads((DATA / f"{name}.json").read_text())]

LAST_ROW = {"1.9.2": "v1.8", "1.11.2": "v1.11"}


def _profile(record):
    # The rows stand for the newest patch of a minor, so that `until 1.9.2` is any row before v1.9.
    return PROFILES[LAST_ROW[record["until"]]] if record["until"] else LATEST


@pytest.mark.parametrize(
    ("name", "record"),
    [pytest.param(n, r, id=f"{n}: {r['input']!a} until {r['until']}"[:120]) for n, r in RECORDS],
)
def test_normalises_as_kargo_does(name, record):
    assert NORMALIZE[name](record["input"], profile=_profile(record)) == record["output"]


def test_there_are_328_vectors():
    assert len(RECORDS) == 328


@pytest.mark.parametrize("normalize", NORMALIZE.values(), ids=NORMALIZE)
@given(text=st.text() | st.text(alphabet="htpsgi:/@.-_~A\u0130\u03a3 %2\u200b\ud800[]?#", max_size=30))
def test_any_text_is_normalised(normalize, text):
    for profile in (LATEST, PROFILES["v1.6"]):
        normalize(text, profile=profile).encode()


SEGMENT = st.text(alphabet="abcXYZ019-_", min_size=2, max_size=6)  # legal in images, once lower-cased
PATHS = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)
GIT = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(
        ["https://Example.com/", "http://u:p@example.com:8080/", "ssh://git@example.com/", "git@example.com:"]
    ),
    PATHS,
    st.sampled_from(["", ".git", "/", ".git/"]),
    st.sampled_from(["", "#frag"]),
)
IMAGE = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "ghcr.io/", "docker.io/", "localhost:5000/"]),
    PATHS,
    st.sampled_from(["", ":v1"]),
)


# Kargo removes ONE suffix or prefix, so a doubled one takes two goes: `x.git.git`, `x//`,
# `library/library/x`, `oci://oci://x`. Elsewhere a normal form is its own.
@given(text=GIT)
def test_a_git_url_in_normal_form_stays(text):
    once = urls.normalize_git(text)
    assert urls.normalize_git(once) == once


@given(text=IMAGE)
def test_an_image_url_in_normal_form_stays(text):
    once = urls.normalize_image(text)
    assert urls.normalize_image(once) == once


@given(text=IMAGE, prefix=st.sampled_from(["", "oci://", "OCI://", " "]))
def test_a_chart_url_in_normal_form_stays(text, prefix):
    once = urls.normalize_chart(prefix + text)
    assert urls.normalize_chart(once) == once


# A chart's URL is read as a URL first, in which a first segment with a colon is a port.
@given(text=IMAGE.filter(lambda text: "/" in text))
def test_image_and_chart_urls_of_one_reference_agree(text):
    assert urls.normalize_chart(f"oci://{text}") == urls.normalize_image(text)


@pytest.mark.parametrize("suffix", [".git.git", "//"])
def test_a_doubled_suffix_takes_two_goes(suffix):
    once = urls.normalize_git(f"https://example.com/x{suffix}")
    assert urls.normalize_git(once) == "https://example.com/x"


def test_half_a_surrogate_pair_is_the_replacement_character():
    assert urls.normalize_git("x \ud800") == "x \ufffd"


def test_before_the_cleanup_only_what_go_calls_a_blank_was_trimmed():
    texts = ["\u2003oci://ghcr.io/Ex/App\x85", "\x1coci://ghcr.io/Ex/App"]
    found = [urls.normalize_chart(text, profile=PROFILES["v1.8"]) for text in texts]
    assert found == ["ghcr.io/ex/app", "\x1coci://ghcr.io/ex/app"]


def test_several_colons_in_the_host_of_a_chart_were_fine_before_go_1_26():
    text = "https://::1/X"
    assert [urls.normalize_chart(text, profile=PROFILES[name]) for name in ("v1.9", "v1.10")] == ["https://::1/x", text]


def test_several_colons_in_a_host_were_fine_before_go_1_26():
    text = "https://::1/X.git"
    assert [urls.normalize_git(text, profile=PROFILES[name]) for name in ("v1.9", "v1.10")] == ["https://::1/x", text]
