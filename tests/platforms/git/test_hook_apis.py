"""Bitbucket's and Azure DevOps' REST for hooks: what is registered there is what the next push goes to."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from kargo_lab.platforms.git.bodies.writing import stable_uuid


def call(one: Any, method: str, path: str, status: int, body: Any = None, **more: Any) -> Any:
    headers = more.pop("headers", {"Authorization": f"Bearer {one.host.token}"})
    answer = requests.request(method, f"{one.host.url}{path}", json=body, headers=headers, timeout=10)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def urls(one: Any) -> list[str]:
    one.host.commit("acme/app", {"a": str(one.host.forge.next_id())})
    return [sent.url for sent in one.sent() if "new.test" in sent.url]


CLOUD = {"description": "d", "url": "http://new.test/", "active": True, "events": ["repo:push"], "secret": "k"}
CENTER = {"name": "n", "url": "http://new.test/", "events": ["repo:refs_changed"], "configuration": {"secret": "k"}}


@pytest.mark.parametrize(
    ("persona", "where", "body", "key"),
    [
        ("bitbucket", "/2.0/repositories/acme/app/hooks", CLOUD, "uuid"),
        ("bitbucket", "/2.0/workspaces/acme/hooks", CLOUD, "uuid"),
        ("bitbucket-data-center", "/rest/api/1.0/projects/acme/repos/app/webhooks", CENTER, "id"),
        ("bitbucket-data-center", "/rest/api/latest/projects/acme/webhooks", CENTER, "id"),
    ],
)
def test_bitbucket_hooks_are_made_changed_and_deleted(persona: str, where: str, body: Any, key: str, scene) -> None:
    one = scene(persona)
    made = call(one, "POST", where, 201, body)
    assert urls(one) == ["http://new.test/"]
    assert "'k'" not in repr(made)
    assert made in call(one, "GET", where, 200)["values"]
    assert call(one, "PUT", f"{where}/{made[key]}", 200, {"active": False})["active"] is False
    assert urls(one) == []
    call(one, "DELETE", f"{where}/{made[key]}", 204)
    call(one, "GET", f"{where}/{made[key]}", 404)


def test_data_center_shows_the_latest_invocation(scene) -> None:
    one = scene("bitbucket-data-center")
    where = "/rest/api/1.0/projects/acme/repos/app/webhooks"
    number = call(one, "POST", where, 201, CENTER)["id"]
    call(one, "GET", f"{where}/{number}/latest", 204)
    urls(one)
    assert call(one, "GET", f"{where}/{number}/latest", 200)["result"]["outcome"] == "SUCCESS"
    assert call(one, "GET", f"{where}/{number}/statistics", 200)["invocations"] == 1


def subscription(one: Any, **changes: Any) -> dict[str, Any]:
    repository = stable_uuid("repository", one.host.forge.repository("acme/app").id)
    return {
        "publisherId": "tfs",
        "eventType": "git.push",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "publisherInputs": {"repository": repository},
        "consumerInputs": {"url": "http://new.test/", "httpHeaders": "X-Lab: 1"},
    } | changes


SUBSCRIPTIONS = "/lab/_apis/hooks/subscriptions?api-version=7.1"


def test_azure_subscriptions_are_made_and_deleted(scene) -> None:
    one = scene("azure-devops")
    made = call(one, "POST", SUBSCRIPTIONS, 200, subscription(one))
    assert urls(one) == ["http://new.test/"]
    assert call(one, "GET", f"/_apis/hooks/subscriptions/{made['id']}", 200)["status"] == "enabled"
    history = call(one, "GET", f"/_apis/hooks/subscriptions/{made['id']}/notifications", 200)
    assert [row["result"] for row in history["value"]] == ["succeeded"]
    call(one, "DELETE", f"/_apis/hooks/subscriptions/{made['id']}", 204)
    assert urls(one) == []


def test_azure_finds_the_repository_by_its_id(scene) -> None:
    one = scene("azure-devops")
    (repository,) = call(one, "GET", "/lab/acme/_apis/git/repositories", 200)["value"]
    assert repository["remoteUrl"] == one.host.clone_url("acme/app")
    assert subscription(one)["publisherInputs"] == {"repository": repository["id"]}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"consumerInputs": {}}, id="without url"),
        pytest.param({"eventType": ""}, id="without event"),
        pytest.param({"publisherInputs": {"repository": "none"}}, id="about no repository"),
        pytest.param(
            {"consumerInputs": {"url": "http://new.test/", "basicAuthUsername": "u"}}, id="with a password in the open"
        ),
    ],
)
def test_azure_refuses_a_subscription(changes: Any, scene) -> None:
    one = scene("azure-devops")
    call(one, "POST", SUBSCRIPTIONS, 400, subscription(one, **changes))


@pytest.mark.parametrize(
    ("persona", "path"),
    [
        ("bitbucket", "/2.0/repositories/acme/app/hooks"),
        ("bitbucket-data-center", "/rest/api/1.0/projects/acme/repos/app/webhooks"),
        ("azure-devops", "/_apis/hooks/subscriptions"),
    ],
)
def test_nobody_registers_a_hook(persona: str, path: str, scene) -> None:
    one = scene(persona)
    call(one, "GET", path, 401, headers={})
    call(one, "GET", path, 401, headers={"Authorization": "Bearer wrong"})
