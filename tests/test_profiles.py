from pathlib import Path

import pytest

from kargo_lab import profiles
from kargo_lab.errors import UsageError
from kargo_lab.profiles import PROFILES

DOCUMENT = Path(__file__).parents[1] / "docs" / "profiles.md"


def test_the_rows_are_kargos_minors_in_order_then_latest_and_recommended() -> None:
    assert list(PROFILES) == ["v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "latest", "recommended"]


@pytest.mark.parametrize("name", PROFILES)
def test_a_row_is_found_by_its_name(name: str) -> None:
    assert profiles.get(name).name == name


@pytest.mark.parametrize("name", ["", "1.9", "v1.12", "Latest"])
def test_a_name_that_is_none_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match=r"v1\.6, v1\.7"):
        profiles.get(name)


@pytest.mark.parametrize(
    ("name", "semver", "expr"),
    [
        ("v1.6", "3.3.1", "1.17.5"),
        ("v1.7", "3.4.0", "1.17.5"),
        ("v1.8", "3.4.0", "1.17.6"),
        ("v1.9", "3.4.0", "1.17.7"),
        ("v1.10", "3.4.0", "1.17.8"),
        ("v1.11", "3.4.0", "1.17.8"),
        ("latest", "3.5.0", "1.17.8"),
    ],
)
def test_each_version_links_the_libraries_of_its_go_mod(name: str, semver: str, expr: str) -> None:
    row = profiles.get(name)
    assert (row.semver_library, row.expr_version) == (semver, expr)


@pytest.mark.parametrize(
    ("kind", "event", "since"),
    [
        ("github", "push", "v1.6"),
        ("github", "registry_package", "v1.7"),
        ("github", "pull_request", "v1.11"),
        ("gitlab", "Tag Push Hook", "v1.7"),
        ("gitlab", "Merge Request Hook", "v1.11"),
        ("bitbucket", "repo:refs_changed", "v1.8"),
        ("bitbucket", "pr:declined", "v1.11"),
        ("gitea", "push", "v1.7"),
        ("azure", "git.push", "v1.7"),
        ("azure", "git.pullrequest.updated", "v1.11"),
        ("artifactory", "docker/pushed", "v1.7"),
        ("harbor", "PUSH_ARTIFACT", "v1.8"),
        ("generic", "*", "v1.9"),
    ],
)
def test_an_event_is_known_since_its_release(kind: str, event: str, since: str) -> None:
    known = [name for name, row in PROFILES.items() if row.accepts(kind, event)]
    assert known == list(PROFILES)[list(PROFILES).index(since) :]


@pytest.mark.parametrize(
    ("switch", "values"),
    [
        ("qualifiers", "no yes yes yes yes yes yes yes"),
        ("path_filtering", "no no no no yes yes yes yes"),
        ("promotions", "no no no no no yes yes yes"),
        ("ssh_urls", "no no yes yes yes yes yes yes"),
        ("healthz", "no no yes yes yes yes yes yes"),
        ("mux_redirect_status", "0 0 301 301 307 307 307 307"),
        ("chunked_oversize_status", "413 500 500 500 500 500 500 413"),
        ("url_cleanup", "no no no yes yes yes yes yes"),
        ("bitbucket_bare_names", "yes yes yes yes yes no no no"),
        ("deletions_refresh", "yes yes yes yes yes yes yes no"),
        ("acknowledge_unsupported", "no no no no no no no yes"),
    ],
)
def test_a_switch_has_the_value_of_each_release(switch: str, values: str) -> None:
    assert profiles.differences()[switch] == tuple(values.split())


def test_the_page_in_the_documentation_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == profiles.as_markdown(), "run: python -m kargo_lab.profiles > docs/profiles.md"
