"""The lab API of a testbed: one shape for every platform's log, whatever its own API makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from kargo_lab.platforms.losses import Losses
from kargo_lab.service import api
from kargo_lab.service.api import PREFIX
from kargo_lab.service.platforms import add_platforms
from kargo_lab.testbed import Testbed

LOST = {"losses": Losses(drop=1.0)}


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    """Every hook of it is lost, so that its log is the same each time."""
    with Testbed(interval="24h", registry_options=LOST, git_options=LOST) as bed:
        bed.install_hooks()
        bed.registry.push_image("team/app", "1.0.0")
        bed.git.create_repository("team/config")
        bed.git.commit("team/config", {"version": "1"})
        bed.registry.sender.settle()
        bed.git.sender.settle()
        yield bed


@pytest.fixture
def client(bed: Testbed) -> FlaskClient:
    return add_platforms(api.create_app(bed.lab), bed).test_client()


def get(client: FlaskClient, path: str) -> Any:
    return client.get(f"{PREFIX}{path}").get_json()


def test_every_platform_is_listed_with_its_persona_and_hooks(client: FlaskClient, bed: Testbed) -> None:
    items = {item["name"]: item for item in get(client, "/platforms")["items"]}
    assert {name: item["persona"] for name, item in items.items()} == {
        "registry": "harbor",
        "git": "gitea",
        "charts": "charts",
    }
    assert [hook["url"] for hook in items["git"]["hooks"]] == [bed.receiver_urls()["git"]]


@pytest.mark.parametrize(("platform", "about"), [("registry", "team/app"), ("git", "team/config")])
def test_the_log_has_one_shape(client: FlaskClient, platform: str, about: str) -> None:
    row = get(client, f"/platforms/{platform}/deliveries")["items"][0]
    assert (row["about"], row["attempt"], row["outcome"], row["redelivery"]) == (about, 1, "lost", False)


def test_one_delivery_is_shown_whole_and_without_its_secret(client: FlaskClient, bed: Testbed) -> None:
    number = get(client, "/platforms/registry/deliveries")["items"][0]["id"]
    shown = get(client, f"/platforms/registry/deliveries/{number}")
    assert "PUSH_ARTIFACT" in shown["request_body"]["text"]
    assert bed.secret("registry") not in str(shown)


def test_the_charts_have_an_empty_log(client: FlaskClient) -> None:
    assert get(client, "/platforms/charts/deliveries") == {"items": []}


def test_a_delivery_is_sent_once_more(client: FlaskClient, bed: Testbed) -> None:
    guid = get(client, "/platforms/git/deliveries")["items"][0]["guid"]
    answer = client.post(f"{PREFIX}/platforms/git/deliveries/{guid}/redeliver")
    bed.git.sender.settle()
    again = get(client, "/platforms/git/deliveries")["items"][-1]
    assert (answer.status_code, again["guid"], again["redelivery"]) == (202, guid, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/platforms/nobody/deliveries", 404, id="no such platform"),
        pytest.param("GET", "/platforms/git/deliveries/9999", 404, id="no such delivery"),
        pytest.param("GET", "/platforms/git/deliveries?limit=0", 400, id="no such number of rows"),
        pytest.param("POST", "/platforms/git/deliveries/none/redeliver", 400, id="nothing to send again"),
        pytest.param("POST", "/platforms/charts/deliveries/none/redeliver", 400, id="nobody to send it"),
    ],
)
def test_what_is_not_there(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(f"{PREFIX}{path}", method=method)
    assert (answer.status_code, list(answer.get_json())) == (status, ["error"])


@pytest.mark.parametrize("repository", ["config", 5])
def test_a_hook_wants_a_whole_name(client: FlaskClient, repository: object) -> None:
    assert client.post(f"{PREFIX}/platforms/git/hooks", json={"repository": repository}).status_code == 400


def test_other_sites_are_refused(client: FlaskClient) -> None:
    answer = client.post(f"{PREFIX}/platforms/git/hooks", json={}, headers={"Origin": "http://elsewhere.example"})
    assert answer.status_code == 403


def test_nothing_was_burnt_without_a_warehouse(client: FlaskClient) -> None:
    assert get(client, "/burn") == {"items": []}
