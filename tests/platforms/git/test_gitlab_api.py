"""GitLab's REST for hooks and their delivery log, by project number and by path."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.habits import HABITS
from kargo_lab.platforms.outgoing import Outgoing, Response

PROJECT = "/projects/acme%2Fapp"


class Receiver:
    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.status = 200

    def __call__(self, outgoing: Outgoing, timeout: float, follow: bool) -> Response:
        self.sent.append(outgoing)
        return Response(status=self.status)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def host(receiver: Receiver):
    with GitHost(persona="gitlab", habit=HABITS["gitlab.com"], transport=receiver) as running:
        running.create_repository("acme/app")
        running.commit("acme/app", {"a": "1"})
        yield running


@pytest.fixture
def call(host: GitHost):
    def send(method: str, path: str, status: int, **more: Any) -> Any:
        headers = more.pop("headers", {"PRIVATE-TOKEN": host.token})
        answer = requests.request(method, f"{host.url}/api/v4{path}", headers=headers, timeout=10, **more)
        assert answer.status_code == status, answer.text
        host.sender.settle()
        return answer.json() if answer.content else answer

    return send


@pytest.fixture
def hook(call) -> dict[str, Any]:
    body = {"url": "http://receiver.test/", "token": "s3cr3t", "tag_push_events": True}
    return call("POST", f"{PROJECT}/hooks", 201, json=body)


def test_pushes_are_told_unless_they_are_switched_off_and_tokens_are_not_shown(hook) -> None:
    assert (hook["push_events"], hook["tag_push_events"], hook["merge_requests_events"]) == (True, True, False)
    assert "token" not in hook


def test_a_hook_may_be_sent_as_a_form(call) -> None:
    made = call("POST", f"{PROJECT}/hooks", 201, data={"url": "http://form.test/", "push_events": "false"})
    assert made["push_events"] is False


def test_a_project_answers_to_its_number_and_its_path(call) -> None:
    number = call("GET", PROJECT, 200)["id"]
    assert call("GET", f"/projects/{number}", 200)["path_with_namespace"] == "acme/app"


def test_hooks_are_changed_and_deleted(call, hook) -> None:
    changed = call("PUT", f"{PROJECT}/hooks/{hook['id']}", 200, json={"push_events": False})
    call("DELETE", f"{PROJECT}/hooks/{hook['id']}", 204)
    assert (changed["push_events"], changed["tag_push_events"]) == (False, True)
    call("GET", f"{PROJECT}/hooks/{hook['id']}", 404)


def test_a_tag_made_by_the_api_is_told(call, hook, receiver: Receiver) -> None:
    call("POST", f"{PROJECT}/repository/tags?", 201, json={"tag_name": "v1", "ref": "main"})
    assert [sent.event for sent in receiver.sent] == ["tag_push"]


def test_a_commit_made_by_the_api_is_told(call, hook, receiver: Receiver) -> None:
    actions = [{"action": "create", "file_path": "b", "content": "1"}]
    body = {"branch": "main", "commit_message": "Add b", "actions": actions}
    assert len(call("POST", f"{PROJECT}/repository/commits", 201, json=body)["id"]) == 40
    assert [sent.event for sent in receiver.sent] == ["push"]


def test_a_test_delivery_is_sent_on_demand(call, hook, receiver: Receiver) -> None:
    call("POST", f"{PROJECT}/hooks/{hook['id']}/test/push_events", 201)
    assert [sent.event for sent in receiver.sent] == ["push"]


def test_a_resent_event_keeps_its_idempotency_key(host, call, hook, receiver: Receiver) -> None:
    host.commit("acme/app", {"a": "2"})
    host.sender.settle()
    (event,) = call("GET", f"{PROJECT}/hooks/{hook['id']}/events", 200)
    call("POST", f"{PROJECT}/hooks/{hook['id']}/events/{event['id']}/resend", 201)
    first, second = (dict(sent.headers)["Idempotency-Key"] for sent in receiver.sent)
    assert first == second
    assert event["request_headers"]["X-Gitlab-Token"] == "******"


def test_a_failing_hook_is_shown_as_resting(host, call, hook, receiver: Receiver) -> None:
    receiver.status = 500
    for text in "2345":
        host.commit("acme/app", {"a": text})
        host.sender.settle()
    assert call("GET", f"{PROJECT}/hooks/{hook['id']}", 200)["alert_status"] == "temporarily_disabled"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("GET", f"{PROJECT}/hooks", {}, 401, id="nobody"),
        pytest.param("GET", f"{PROJECT}/hooks", {"PRIVATE-TOKEN": "wrong"}, 401, id="a wrong token"),
        pytest.param("GET", "/projects/none", None, 404, id="an unknown project"),
        pytest.param("POST", f"{PROJECT}/hooks", None, 400, id="a hook without url"),
        pytest.param("POST", f"{PROJECT}/repository/commits", None, 400, id="a commit without actions"),
    ],
)
def test_refusals(call, method: str, path: str, headers: Any, status: int) -> None:
    call(method, path, status, **({} if headers is None else {"headers": headers}))
