"""Artifactory's subscriptions and Quay's notifications: made, shown, changed and removed by their APIs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from kargo_lab.platforms.outgoing import Outgoing, Response
from kargo_lab.platforms.registry_platform import PlatformRegistry

URL = "http://receiver.example/hook"
SUBSCRIPTIONS, NOTIFICATIONS = "/event/api/v1/subscriptions", "/api/v1/repository/team/app/notification/"


class Receiver:
    """Answers as it is told, and remembers."""

    def __init__(self) -> None:
        self.got, self.status = list[Outgoing](), 200

    def __call__(self, outgoing: Outgoing, _timeout: float, _follow: bool) -> Response:
        self.got.append(outgoing)
        return Response(status=self.status)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def registry(request: pytest.FixtureRequest, receiver: Receiver) -> Iterator[PlatformRegistry]:
    with PlatformRegistry(request.param, transport=receiver, asynchronous=False) as registry:
        yield registry


@pytest.fixture
def call(registry: PlatformRegistry) -> Callable[..., requests.Response]:
    def send(method: str, path: str, body: Any = None, token: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token or registry.token}"}
        return requests.request(method, registry.url + path, json=body, headers=headers, timeout=10)

    return send


def subscription(**changes: Any) -> dict[str, Any]:
    criteria = {"anyLocal": False, "repoKeys": ["team"]}
    return {
        "key": "kargo",
        "enabled": True,
        "event_filter": {"domain": "docker", "event_types": ["pushed"], "criteria": criteria},
        "handlers": [{"handler_type": "webhook", "url": URL, "secret": "s3cr3t", "use_secret_for_signing": True}],
        **changes,
    }


artifactory = pytest.mark.parametrize("registry", ["artifactory"], indirect=True)
quay = pytest.mark.parametrize("registry", ["quay"], indirect=True)


@artifactory
def test_a_subscription_tells_of_pushes_to_its_repositories(
    registry: PlatformRegistry, call: Any, receiver: Receiver
) -> None:
    assert call("POST", SUBSCRIPTIONS, subscription()).status_code == 201
    registry.push_image("team/app", "1")
    registry.push_image("other/app", "1")
    registry.sender.step()
    assert [(each.about, each.event) for each in receiver.got] == [("team/app", "docker/pushed")]


@artifactory
@pytest.mark.parametrize(
    ("signing", "shape"),
    [pytest.param(True, "[0-9a-f]{64}", id="as a signature"), pytest.param(False, "s3cr3t", id="in clear")],
)
def test_the_secret_travels(
    registry: PlatformRegistry, call: Any, receiver: Receiver, signing: bool, shape: str
) -> None:
    handler = {"handler_type": "webhook", "url": URL, "secret": "s3cr3t", "use_secret_for_signing": signing}
    call("POST", SUBSCRIPTIONS, subscription(handlers=[handler]))
    registry.push_image("team/app", "1")
    registry.sender.step()
    proof = {name.lower(): value for name, value in receiver.got[0].headers}["x-jfrog-event-auth"]
    assert re.fullmatch(shape, proof)


@artifactory
def test_a_subscription_shows_everything_but_its_secret(call: Any) -> None:
    call("POST", SUBSCRIPTIONS, subscription())
    shown = call("GET", f"{SUBSCRIPTIONS}/kargo").json()
    assert (shown["handlers"][0]["url"], shown["handlers"][0]["secret"]) == (URL, "")


@artifactory
def test_a_changed_subscription_is_about_other_repositories(registry: PlatformRegistry, call: Any) -> None:
    call("POST", SUBSCRIPTIONS, subscription())
    changed = subscription()
    changed["event_filter"]["criteria"] = {"anyLocal": True}
    call("PUT", f"{SUBSCRIPTIONS}/kargo", changed)
    assert [(hook.level, hook.target) for hook in registry.hooks] == [("system", "")]


@artifactory
def test_a_removed_subscription_leaves_no_hook(registry: PlatformRegistry, call: Any) -> None:
    call("POST", SUBSCRIPTIONS, subscription())
    assert call("DELETE", f"{SUBSCRIPTIONS}/kargo").status_code == 204
    assert (registry.hooks, call("GET", SUBSCRIPTIONS).json()) == ((), [])


@artifactory
@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param([], 400, id="no object"),
        pytest.param(subscription(key=""), 400, id="no key"),
        pytest.param(subscription(handlers=[]), 400, id="no handler"),
        pytest.param(subscription(handlers=[{"url": "ftp://x"}]), 400, id="no web address"),
    ],
)
def test_a_subscription_is_refused(call: Any, body: Any, status: int) -> None:
    assert call("POST", SUBSCRIPTIONS, body).status_code == status


@artifactory
def test_a_key_is_taken_once(call: Any) -> None:
    answers = [call("POST", SUBSCRIPTIONS, subscription()).status_code for _ in range(2)]
    assert answers == [201, 409]


@artifactory
def test_a_stranger_is_refused(call: Any) -> None:
    assert call("GET", SUBSCRIPTIONS, token="wrong").status_code == 401


def notification(**changes: Any) -> dict[str, Any]:
    return {"event": "repo_push", "method": "webhook", "config": {"url": URL}, "title": "Kargo", **changes}


@quay
def test_a_notification_tells_of_pushes_to_its_repository(
    registry: PlatformRegistry, call: Any, receiver: Receiver
) -> None:
    assert call("POST", NOTIFICATIONS, notification()).status_code == 201
    registry.push_image("team/app", "1")
    registry.push_image("team/other", "1")
    registry.sender.step()
    assert [each.about for each in receiver.got] == ["team/app"]


@quay
def test_failures_are_shown_and_forgotten_on_request(registry: PlatformRegistry, call: Any, receiver: Receiver) -> None:
    number = call("POST", NOTIFICATIONS, notification()).json()["uuid"]
    receiver.status = 500
    registry.push_image("team/app", "1")
    registry.sender.step()
    failures = [call("GET", f"{NOTIFICATIONS}{number}").json()["number_of_failures"]]
    assert call("POST", f"{NOTIFICATIONS}{number}").status_code == 204
    failures.append(call("GET", f"{NOTIFICATIONS}{number}").json()["number_of_failures"])
    assert failures == [1, 0]


@quay
def test_a_removed_notification_is_gone(call: Any) -> None:
    number = call("POST", NOTIFICATIONS, notification()).json()["uuid"]
    assert call("DELETE", f"{NOTIFICATIONS}{number}").status_code == 204
    assert (call("GET", NOTIFICATIONS).json(), call("GET", f"{NOTIFICATIONS}{number}").status_code) == (
        {"notifications": []},
        404,
    )


@quay
@pytest.mark.parametrize("changes", [{"method": "email"}, {"config": {}}, {"config": {"url": "nowhere"}}])
def test_a_notification_is_refused(call: Any, changes: dict[str, Any]) -> None:
    assert call("POST", NOTIFICATIONS, notification(**changes)).status_code == 400
