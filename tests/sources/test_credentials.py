"""Which Secret is used for which repository, and that nothing of it shows."""

from __future__ import annotations

from typing import Any

import pytest

from kargo_lab.resources.configuration import Secret
from kargo_lab.sources import credentials
from kargo_lab.sources.credentials import NO_CREDENTIALS, TYPE_LABEL, Credentials

URL = "https://g.example/acme/web.git"


def secret(name: str, *, namespace: str = "p", kind: str = "git", url: str = URL, regex: bool = False) -> Secret:
    data = {"repoURL": url.encode(), "username": name.encode(), "password": b"pw"}
    if regex:
        data["repoURLIsRegex"] = b"true"
    return Secret(namespace=namespace, name=name, data=data, labels={TYPE_LABEL: kind})


def used(*secrets: Secret, **settings: Any) -> str:
    given = {"kind": "git", "repo_url": URL, "namespace": "p", **settings}
    return credentials.find(secrets, **given).username


@pytest.mark.parametrize(
    ("secrets", "settings", "expected"),
    [
        pytest.param([], {}, "", id="none"),
        pytest.param([secret("b"), secret("a")], {}, "a", id="the first by name"),
        pytest.param([secret("a", kind="image")], {}, "", id="of the right type only"),
        pytest.param([secret("a", namespace="q")], {}, "", id="not of another project"),
        pytest.param(
            [secret("a", namespace="shared"), secret("z")],
            {"shared_namespace": "shared"},
            "z",
            id="the project's before the shared",
        ),
        pytest.param(
            [secret("a", namespace="shared")], {"shared_namespace": "shared"}, "a", id="the shared if there is no other"
        ),
        pytest.param([secret("a", url="https://G.example/acme/web")], {}, "a", id="URLs are normalised"),
        pytest.param([secret("a", url="https://g.example/acme/api")], {}, "", id="another repository"),
        pytest.param([secret("a", url=r"^https://g\.example/", regex=True)], {}, "a", id="a regex"),
        pytest.param([secret("a", url=r"web\.git$", regex=True)], {}, "a", id="a regex on the URL as written"),
        pytest.param([secret("a", url=r"web$", regex=True)], {}, "a", id="a regex on the normalised URL"),
        pytest.param([secret("a", url="(", regex=True), secret("b")], {}, "b", id="a broken regex is passed over"),
        pytest.param(
            [secret("a", url="http://g.example/a")], {"repo_url": "http://g.example/a"}, "", id="not over plain HTTP"
        ),
        pytest.param(
            [secret("a", url="http://g.example/a")],
            {"repo_url": "http://g.example/a", "allow_over_http": True},
            "a",
            id="over plain HTTP if that is allowed",
        ),
    ],
)
def test_which_secret_is_used(secrets: list[Secret], settings: dict[str, Any], expected: str) -> None:
    assert used(*secrets, **settings) == expected


def test_a_secret_without_url_matches_nothing() -> None:
    bare = Secret(namespace="p", name="a", data={"username": b"u"}, labels={TYPE_LABEL: "git"})
    assert credentials.find([bare], kind="git", repo_url=URL, namespace="p") is NO_CREDENTIALS


def test_that_credentials_are_held_back_from_plain_http_is_said(caplog: pytest.LogCaptureFixture) -> None:
    url = "http://u:pw@g.example/a"
    assert credentials.find([secret("a", url=url)], kind="git", repo_url=url, namespace="p") is NO_CREDENTIALS
    assert [each.getMessage() for each in caplog.records] == [
        "no credentials are sent to g.example/a: it is asked without TLS"
    ]


def test_nothing_of_it_shows() -> None:
    held = Credentials(username="u5er", password="p4ss", ssh_private_key="k3y")
    assert not any(word in f"{held!r} {held} {held.login!r}" for word in ("u5er", "p4ss", "k3y"))


def test_half_a_login_is_none() -> None:
    assert Credentials(username="u").login.basic == ""
