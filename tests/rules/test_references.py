from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.rules.references import RegistryReferenceError, parse_chart, parse_image

SHA = "sha256:" + "a" * 64


def _parts(reference):
    return reference.registry, reference.repository, reference.tag, reference.digest


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nginx", ("index.docker.io", "library/nginx", "", "")),
        ("nginx:1", ("index.docker.io", "library/nginx", "1", "")),
        ("ex/app", ("index.docker.io", "ex/app", "", "")),
        ("docker.io/nginx", ("index.docker.io", "library/nginx", "", "")),
        ("registry-1.docker.io/nginx", ("registry-1.docker.io", "nginx", "", "")),
        ("ghcr.io/ex/app:v1", ("ghcr.io", "ex/app", "v1", "")),
        (f"ghcr.io/ex/app@{SHA}", ("ghcr.io", "ex/app", "", SHA)),
        (f"ghcr.io/ex/app:v1@{SHA}", ("ghcr.io", "ex/app", "", SHA)),
        ("localhost/ap", ("localhost", "ap", "", "")),
        (f"localhost/ap@{SHA}", ("localhost", "ap", "", SHA)),
        ("localhost:5000/ap", ("localhost:5000", "ap", "", "")),
        ("localhost:5000/ap:1", ("localhost:5000", "ap", "1", "")),
        ("localhost:5000", ("index.docker.io", "library/localhost", "5000", "")),
        (f"ghcr.io:443/ex/app@{SHA}", ("ghcr.io:443", "ex/app", "", SHA)),
        (f"ghcr.io:443/ex/app:v1@{SHA}", ("ghcr.io:443", "ex/app", "", SHA)),
    ],
)
def test_reads_an_image(text, parts):
    assert _parts(parse_image(text)) == parts


def test_before_0_21_7_localhost_without_a_port_was_no_registry():
    assert _parts(parse_image("localhost/ap:1", localhost=False)) == ("index.docker.io", "localhost/ap", "1", "")


@pytest.mark.parametrize(
    "text",
    ["", "a", "ghcr.io/a", "ex/app:", "Ex/App", "ex/app:a b", "ex/app@sha256:ab", f"ex/app:@{SHA}", "a b/c",
     "[::1/ex/app", "host:port/ex/app", f"ghcr.io/ex/app:{'t' * 129}", f"@{SHA}", f"ex@y/app@{SHA}", "ghcr.io%/ex/app"],
)  # fmt: skip
def test_refuses_what_is_no_image(text):
    with pytest.raises(RegistryReferenceError):
        parse_image(text)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("library/nginx", "nginx"),
        ("registry-1.docker.io/library/nginx", "nginx"),
        ("ghcr.io/library/x", "ghcr.io/library/x"),
    ],
)
def test_docker_hubs_repositories_are_written_short(text, short):
    assert parse_image(text).short == short


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ghcr.io/ex/chart", ("ghcr.io", "ex/chart", "", "")),
        ("ghcr.io/ex/chart:1.0.0", ("ghcr.io", "ex/chart", "1.0.0", "")),
        (f"ghcr.io/ex/chart@{SHA}", ("ghcr.io", "ex/chart", "", SHA)),
        (f"ghcr.io/ex/chart:bad tag@{SHA}", ("ghcr.io", "ex/chart", "", SHA)),
        ("localhost:5000/a__b/c-d.e", ("localhost:5000", "a__b/c-d.e", "", "")),
    ],
)
def test_reads_a_chart(text, parts):
    assert _parts(parse_chart(text)) == parts


@pytest.mark.parametrize(
    "text",
    ["", "ghcr.io", "ghcr.io/", "ghcr.io/Ex", "ghcr.io/ex/", "/ex", "ghcr.io/ex:a b", "ghcr.io/ex@sha256:a", "gh cr/ex",
     "user@ghcr.io/ex", "ghcr.io#x/ex", "[::1/ex"],
)  # fmt: skip
def test_refuses_what_is_no_chart(text):
    with pytest.raises(RegistryReferenceError):
        parse_chart(text)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (parse_image, "A", "could not parse reference: A"),
        (parse_chart, "ghcr.io", "missing registry or repository"),
        (parse_chart, "gh cr/ex", "invalid registry 'gh cr'"),
        (parse_chart, "ghcr.io/Ex", "invalid repository 'Ex'"),
        (parse_chart, "ghcr.io/ex:a b", "invalid tag 'a b'"),
        (parse_chart, "ghcr.io/ex@sha256:a", "invalid digest 'sha256:a'"),
    ],
)
def test_a_refusal_says_why(read, text, message):
    with pytest.raises(RegistryReferenceError) as refused:
        read(text)
    assert (refused.value.message, refused.value.text) == (message, text)


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        (parse_chart("docker.io/ex/chart"), "registry-1.docker.io"),
        (parse_chart("ghcr.io/ex/chart"), "ghcr.io"),
        (parse_image("nginx"), "index.docker.io"),
    ],
)
def test_knows_the_host_to_speak_to(reference, host):
    assert reference.host == host


@given(text=st.text(max_size=40) | st.text(alphabet="ab.:/@-_A[]%", max_size=20))
def test_any_text_is_a_reference_or_refused(text):
    for read in (parse_image, parse_chart):
        with suppress(RegistryReferenceError):
            read(text)


def test_a_hostile_chart_is_refused_at_once():
    with pytest.raises(RegistryReferenceError):
        parse_chart("ghcr.io/" + "a" * 100_000 + "!")
