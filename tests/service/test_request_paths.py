"""Paths are split, cleaned and redirected as by Go's ServeMux; the table was put to Go 1.26."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.service import request_paths


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("//githu%62/x?q=1", "/githu%2562/x?q=1"),
        ("//a/b", "/a/b"),
        ("/a/../b", "/b"),
        ("/x/./y/", "/x/y/"),
        ("/x/.", "/x"),
        ("/x/..", "/"),
        ("/../..", "/"),
        ("http://h/a//b?c", "/a/b?c"),
        ("/é//b", "/%25C3%25A9/b"),
        ("/a//b?x=<y>&z", "/a/b?x=<y>&z"),
        ('//a/"<b', "/a/%2522%253Cb"),
        ("/a//b?", "/a/b"),
        ("//a#f", "/a%2523f"),
        ("/a;b//c", "/a;b/c"),
        ("/a//b%20c", "/a/b%2520c"),
    ],
)
def test_an_unclean_path_is_redirected(target: str, location: str) -> None:
    path, query = request_paths.split_target(target)
    answer, _ = request_paths.redirect(request_paths.cleaned(path), query, method="POST", status=307)
    assert answer.headers == (("Location", location),)


@pytest.mark.parametrize("target", ["/x/%2e%2e/y", "/%2Fhealthz", "/a%2F/b", "/healthz/", "/", "/a/...", "/.a"])
def test_a_clean_path_is_left_alone(target: str) -> None:
    path, _ = request_paths.split_target(target)
    assert request_paths.cleaned(path) == path


def test_a_get_is_redirected_with_a_page() -> None:
    _, page = request_paths.redirect("/a/%22%3Cb", "", method="GET", status=307)
    assert page == b'<a href="/a/%2522%253Cb">Temporary Redirect</a>.\n\n'


@pytest.mark.parametrize("target", ["/a%zz", "/a%", "/a b", "a", "*", "/a\x7f"])
def test_a_target_that_is_no_path_is_refused(target: str) -> None:
    with pytest.raises(request_paths.BadPathError):
        request_paths.split_target(target)


@pytest.mark.parametrize(
    ("path", "health"),
    [("/healthz", True), ("/health%7A", True), ("/%2Fhealthz", False), ("/healthz/", False), ("/Healthz", False)],
)
def test_the_health_endpoint_may_be_spelled_with_escapes(path: str, health: bool) -> None:
    assert request_paths.is_health(path) is health


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_escaping_and_decoding_are_each_others_reverse(path: str) -> None:
    assert request_paths.decoded(request_paths.escaped(path)) == path


@given(st.text("/.a%2fe", max_size=14).map(lambda text: "/" + text))
def test_cleaning_twice_is_cleaning_once(path: str) -> None:
    assert request_paths.cleaned(request_paths.cleaned(path)) == request_paths.cleaned(path)
