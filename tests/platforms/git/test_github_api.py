"""GitHub's REST for hooks and their delivery log: create, ping, list, look, redeliver."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.outgoing import Outgoing, Response

CONFIG = {"url": "http://receiver.test/", "content_type": "json", "secret": "s3cr3t", "insecure_ssl": "1"}
HOOK = {"name": "web", "active": True, "events": ["push"], "config": CONFIG}


class Receiver:
    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.status = 200

    def __call__(self, outgoing: Outgoing, timeout: float, follow: bool) -> Response:
        self.sent.append(outgoing)
        return Response(status=self.status, body=b"fine", headers=(("X-A", "1"),))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def host(receiver: Receiver):
    with GitHost(persona="github", transport=receiver) as running:
        running.create_repository("acme/app")
        running.commit("acme/app", {"a": "1"})
        yield running


@pytest.fixture
def call(host: GitHost):
    def send(method: str, path: str, status: int, **more: Any) -> Any:
        headers = more.pop("headers", {"Authorization": f"Bearer {host.token}"})
        answer = requests.request(method, f"{host.url}{path}", headers=headers, timeout=10, **more)
        assert answer.status_code == status, answer.text
        host.sender.settle()
        return answer.json() if answer.content else answer

    return send


def test_a_new_hook_is_masked_and_pinged(call, receiver: Receiver) -> None:
    hook = call("POST", "/repos/acme/app/hooks", 201, json=HOOK)
    (ping,) = receiver.sent
    assert hook["config"] == CONFIG | {"secret": "******"}
    assert (ping.event, dict(ping.headers)["X-GitHub-Hook-ID"]) == ("ping", str(hook["id"]))
    assert ping.verify_tls is False


def test_the_api_answers_where_an_enterprise_server_has_it(call) -> None:
    assert call("GET", "/api/v3/repos/acme/app", 200)["full_name"] == "acme/app"


def test_without_a_content_type_a_hook_sends_forms(call, receiver: Receiver) -> None:
    call("POST", "/repos/acme/app/hooks", 201, json={"config": {"url": "http://receiver.test/"}})
    assert receiver.sent[0].body.startswith(b"payload=%7B")


def test_the_same_hook_twice_is_refused(call) -> None:
    call("POST", "/repos/acme/app/hooks", 201, json=HOOK)
    assert "already exists" in call("POST", "/repos/acme/app/hooks", 422, json=HOOK)["message"]


def test_hooks_are_changed_and_deleted(call) -> None:
    number = call("POST", "/repos/acme/app/hooks", 201, json=HOOK)["id"]
    changed = call("PATCH", f"/repos/acme/app/hooks/{number}", 200, json={"active": False, "events": ["create"]})
    call("DELETE", f"/repos/acme/app/hooks/{number}", 204)
    assert (changed["active"], changed["events"], changed["config"]["url"]) == (False, ["create"], CONFIG["url"])
    assert call("GET", "/repos/acme/app/hooks", 200) == []


def test_pings_and_tests_are_sent_on_demand(call, receiver: Receiver) -> None:
    number = call("POST", "/repos/acme/app/hooks", 201, json=HOOK)["id"]
    call("POST", f"/repos/acme/app/hooks/{number}/pings", 204)
    call("POST", f"/repos/acme/app/hooks/{number}/tests", 204)
    assert [sent.event for sent in receiver.sent] == ["ping", "ping", "push"]


def test_the_log_lists_deliveries_newest_first_and_shows_one(host, call, receiver: Receiver) -> None:
    number = call("POST", "/repos/acme/app/hooks", 201, json=HOOK)["id"]
    receiver.status = 500
    host.commit("acme/app", {"a": "2"})
    host.sender.settle()
    newest, oldest = call("GET", f"/repos/acme/app/hooks/{number}/deliveries", 200)
    one = call("GET", f"/repos/acme/app/hooks/{number}/deliveries/{newest['id']}", 200)
    assert [row["event"] for row in (newest, oldest)] == ["push", "ping"]
    assert (newest["status_code"], oldest["status"], oldest["status_code"]) == (500, "OK", 200)
    assert one["request"]["payload"]["ref"] == "refs/heads/main"
    assert one["request"]["headers"]["X-GitHub-Delivery"] == newest["guid"]
    assert one["response"] == {"headers": {"X-A": "1"}, "payload": "fine"}


def test_the_log_is_paged_by_a_cursor(host, call) -> None:
    number = call("POST", "/repos/acme/app/hooks", 201, json=HOOK)["id"]
    where = f"{host.url}/repos/acme/app/hooks/{number}/deliveries"
    for text in "23":
        host.commit("acme/app", {"a": text})
    host.sender.settle()
    headers = {"Authorization": f"token {host.token}"}
    first = requests.get(f"{where}?per_page=2", headers=headers, timeout=10)
    second = requests.get(first.links["next"]["url"], headers=headers, timeout=10)
    assert (len(first.json()), len(second.json()), "next" in second.links) == (2, 1, False)


def test_the_log_is_filtered_by_status(host, call, receiver: Receiver) -> None:
    number = call("POST", "/repos/acme/app/hooks", 201, json=HOOK)["id"]
    receiver.status = 404
    host.commit("acme/app", {"a": "2"})
    host.sender.settle()
    rows = call("GET", f"/repos/acme/app/hooks/{number}/deliveries?status=failure", 200)
    assert [row["status_code"] for row in rows] == [404]


def test_a_redelivery_keeps_its_guid(host, call, receiver: Receiver) -> None:
    number = call("POST", "/repos/acme/app/hooks", 201, json=HOOK)["id"]
    (row,) = call("GET", f"/repos/acme/app/hooks/{number}/deliveries", 200)
    call("POST", f"/repos/acme/app/hooks/{number}/deliveries/{row['id']}/attempts", 202)
    again = call("GET", f"/repos/acme/app/hooks/{number}/deliveries", 200)[0]
    assert (again["guid"], again["redelivery"]) == (row["guid"], True)
    assert receiver.sent[0] == receiver.sent[1]


def test_a_hook_of_an_organisation_is_pinged_without_a_repository(host, call, receiver: Receiver) -> None:
    host.forge.add_account("corp", organization=True)
    assert call("POST", "/orgs/corp/hooks", 201, json=HOOK)["type"] == "Organization"
    assert b'"repository"' not in receiver.sent[0].body


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/repos/acme/app/hooks", {}, 401, id="nobody"),
        pytest.param("/repos/acme/app/hooks", {"Authorization": "Bearer wrong"}, 401, id="a wrong token"),
        pytest.param("/repos/acme/none/hooks", None, 404, id="an unknown repository"),
        pytest.param("/repos/acme/app/hooks/9", None, 404, id="an unknown hook"),
    ],
)
def test_refusals(host, call, path: str, headers: Any, status: int) -> None:
    more = {} if headers is None else {"headers": headers}
    assert "message" in call("GET", path, status, **more)


def test_tags_and_refs_are_listed(host, call) -> None:
    host.tag("acme/app", "v1", message="one")
    assert [tag["name"] for tag in call("GET", "/repos/acme/app/tags", 200)] == ["v1"]
    (ref,) = call("GET", "/repos/acme/app/git/matching-refs/tags/v", 200)
    assert (ref["ref"], ref["object"]["type"]) == ("refs/tags/v1", "tag")


def test_the_limits_and_addresses_are_told(call) -> None:
    assert call("GET", "/rate_limit", 200)["rate"]["limit"] == 5000
    assert call("GET", "/meta", 200)["hooks"] == ["127.0.0.1/32"]
