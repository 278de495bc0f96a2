"""The mock of Harbor: driven by the client library `harborapi`, which nobody here wrote, and by plain requests."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
import requests
from harborapi import HarborAsyncClient
from harborapi.exceptions import Conflict, NotFound
from harborapi.models import (
    Access,
    ProjectReq,
    RobotCreate,
    RobotPermission,
    Tag,
    WebhookPolicy,
    WebhookTargetObject,
)

from kargo_lab.platforms.harbor import ADMIN, PASSWORD, Harbor
from kargo_lab.platforms.outgoing import Outgoing, Response
from kargo_lab.platforms.registry import Registry

# The library's own use of pydantic; no business of ours.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute:DeprecationWarning")

OURS = (ADMIN, PASSWORD)
START = datetime(2026, 1, 1, tzinfo=UTC)
HOOK = "https://kargo.example.com/webhooks/harbor/abc"


@attrs.define
class HandClock:
    """Time that moves when the test says so."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Receiver:
    """Answers with the given statuses in turn, the last one for ever; 0 is no answer in time."""

    def __init__(self) -> None:
        self.statuses, self.got, self.timeouts = [200], list[Outgoing](), set[float]()

    def __call__(self, outgoing: Outgoing, timeout_seconds: float, _follow: bool) -> Response:
        self.got.append(outgoing)
        self.timeouts.add(timeout_seconds)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Response(status=status, body=b"answered") if status else Response(outcome="timed out")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def harbor(clock: HandClock, receiver: Receiver) -> Iterator[Harbor]:
    with Harbor(clock=clock, transport=receiver, asynchronous=False, users={"mira": "pw"}) as harbor:
        yield harbor


@pytest.fixture
def ask(harbor: Harbor) -> Callable[[Callable[[Any], Any]], Any]:
    """What the client library answers, as the administrator."""

    def call(what: Callable[[Any], Any]) -> Any:
        async def once() -> Any:
            client = HarborAsyncClient(url=harbor.api_url, username=ADMIN, secret=PASSWORD)
            try:
                return await what(client)
            finally:
                await client.client.aclose()

        return asyncio.run(once())

    return call


def get(harbor: Harbor, path: str, *, auth: tuple[str, str] | None = OURS, **options: Any) -> requests.Response:
    return requests.get(f"{harbor.api_url}{path}", auth=auth, timeout=10, **options)


def post(harbor: Harbor, path: str, body: Any, *, auth: tuple[str, str] | None = OURS) -> requests.Response:
    return requests.post(f"{harbor.api_url}{path}", json=body, auth=auth, timeout=10)


def policy(**changes: Any) -> dict[str, Any]:
    target = {"type": "http", "address": HOOK, "auth_header": "s3cr3t"}
    return {"name": "kargo", "enabled": True, "event_types": ["PUSH_ARTIFACT"], "targets": [target], **changes}


# -- about itself ---------------------------------------------------------------------------------


def test_it_is_alive_and_healthy(ask: Any) -> None:
    assert (ask(lambda harbor: harbor.ping()), ask(lambda harbor: harbor.health_check()).status) == ("Pong", "healthy")


def test_the_version_is_not_told_to_strangers(harbor: Harbor) -> None:
    assert "harbor_version" in get(harbor, "/systeminfo").json()
    assert "harbor_version" not in get(harbor, "/systeminfo", auth=None).json()


def test_who_one_is(harbor: Harbor, ask: Any) -> None:
    assert ask(lambda client: client.get_current_user()).username == "admin"
    assert get(harbor, "/users/current", auth=None).status_code == 401


def test_every_answer_has_a_request_id(harbor: Harbor) -> None:
    assert get(harbor, "/ping").headers["X-Request-Id"]
    assert get(harbor, "/ping", headers={"X-Request-Id": "mine"}).headers["X-Request-Id"] == "mine"


def test_an_error_has_harbors_shape(harbor: Harbor) -> None:
    answer = get(harbor, "/projects/nowhere")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert [error["code"] for error in answer.json()["errors"]] == ["NOT_FOUND"]


def test_wrong_credentials_are_refused(harbor: Harbor) -> None:
    assert get(harbor, "/projects", auth=(ADMIN, "wrong")).status_code == 401


def test_a_cookie_needs_the_token_against_forgery(harbor: Harbor) -> None:
    body, cookie = {"project_name": "team"}, {"Cookie": "sid=1"}
    assert requests.post(f"{harbor.api_url}/projects", json=body, headers=cookie, timeout=10).status_code == 403


# -- projects and repositories --------------------------------------------------------------------


def test_a_project_is_made_found_and_removed(ask: Any) -> None:
    made = ask(lambda harbor: harbor.create_project(ProjectReq(project_name="team", public=True)))
    assert made == "/api/v2.0/projects/2"
    assert ask(lambda harbor: harbor.get_project("team")).project_id == 2
    assert ask(lambda harbor: harbor.project_exists("team"))
    ask(lambda harbor: harbor.delete_project("team"))
    assert not ask(lambda harbor: harbor.project_exists("team"))


def test_a_project_that_is_there_conflicts(ask: Any) -> None:
    with pytest.raises(Conflict):
        ask(lambda harbor: harbor.create_project(ProjectReq(project_name="library")))


@pytest.mark.parametrize("name", ["Team", "a/b", "", "-a", "a" * 256])
def test_a_project_needs_a_lower_case_name(harbor: Harbor, name: str) -> None:
    assert post(harbor, "/projects", {"project_name": name}).status_code == 400


def test_a_project_with_repositories_is_not_removed(harbor: Harbor) -> None:
    harbor.push_image("team/app", "1.0.0")
    assert requests.delete(f"{harbor.api_url}/projects/team", auth=OURS, timeout=10).status_code == 412


def test_a_number_is_an_id_unless_it_is_said_to_be_a_name(harbor: Harbor) -> None:
    post(harbor, "/projects", {"project_name": "1"})
    by_name = get(harbor, "/projects/1", headers={"X-Is-Resource-Name": "true"})
    assert (get(harbor, "/projects/1").json()["name"], by_name.json()["name"]) == ("library", "1")


def test_a_private_project_is_hidden_from_strangers(harbor: Harbor) -> None:
    post(harbor, "/projects", {"project_name": "team", "metadata": {"public": "false"}})
    assert [each["name"] for each in get(harbor, "/projects", auth=None).json()] == ["library"]
    assert get(harbor, "/projects/team", auth=None).status_code == 401


def test_pages(harbor: Harbor) -> None:
    for number in range(12):
        post(harbor, "/projects", {"project_name": f"team-{number:02}"})
    first = get(harbor, "/projects", params={"page_size": 5})
    assert (len(first.json()), first.headers["X-Total-Count"]) == (5, "13")
    assert first.headers["Link"] == '</api/v2.0/projects?page=2&page_size=5>; rel="next"'
    assert get(harbor, "/projects", params={"page": 3, "page_size": 5}).headers["Link"].endswith('rel="prev"')
    assert get(harbor, "/projects", params={"page_size": 101}).status_code == 422


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("name=team-a", ["team-a"], id="exactly"),
        pytest.param("name=~team", ["team-a", "team-b"], id="somewhere within"),
        pytest.param("name={team-a library}", ["library", "team-a"], id="any of these"),
        pytest.param("project_id=[2~3]", ["team-a", "team-b"], id="a range"),
        pytest.param("name=~team,project_id=3", ["team-b"], id="both"),
    ],
)
def test_queries(harbor: Harbor, query: str, names: list[str]) -> None:
    for name in ("team-a", "team-b"):
        post(harbor, "/projects", {"project_name": name})
    assert [each["name"] for each in get(harbor, "/projects", params={"q": query}).json()] == names


def test_a_repository_with_a_slash_is_encoded_twice(harbor: Harbor, ask: Any) -> None:
    harbor.push_image("team/deep/app", "1.0.0")
    assert ask(lambda client: client.get_repository("team", "deep/app")).name == "team/deep/app"
    assert get(harbor, "/projects/team/repositories/deep%2Fapp").status_code == 404


def test_repositories_are_listed_in_a_project_and_across(harbor: Harbor, ask: Any) -> None:
    harbor.push_image("a/app", "1")
    harbor.push_image("b/app", "1")
    assert [each.name for each in ask(lambda client: client.get_repositories("a"))] == ["a/app"]
    assert [each.name for each in ask(lambda client: client.get_repositories())] == ["a/app", "b/app"]


# -- artifacts and tags ---------------------------------------------------------------------------


def test_an_index_is_one_artifact_with_references(harbor: Harbor, ask: Any) -> None:
    digest = harbor.push_index("team/app", "1.0.0")
    (artifact,) = ask(lambda client: client.get_artifacts("team", "app"))
    shown = [f"{each.platform.os}/{each.platform.architecture}" for each in artifact.references]
    assert (artifact.digest, artifact.type, shown) == (digest, "IMAGE", ["linux/amd64", "linux/arm64"])
    assert [tag.name for tag in artifact.tags] == ["1.0.0"]


def test_a_chart_is_a_chart(harbor: Harbor, ask: Any) -> None:
    harbor.push_chart("team/chart", "1.0.0")
    assert ask(lambda client: client.get_artifact("team", "chart", "1.0.0")).type == "CHART"


def test_tags_are_left_out_on_request(harbor: Harbor) -> None:
    harbor.push_image("team/app", "1")
    path = "/projects/team/repositories/app/artifacts"
    assert get(harbor, path, params={"with_tag": "false"}).json()[0]["tags"] is None


def test_an_unknown_artifact_is_not_found(harbor: Harbor, ask: Any) -> None:
    harbor.push_image("team/app", "1")
    with pytest.raises(NotFound):
        ask(lambda client: client.get_artifact("team", "app", "2"))


def test_a_tag_by_the_api_is_told_to_nobody(harbor: Harbor, receiver: Receiver, ask: Any) -> None:
    harbor.push_image("team/app", "1")
    post(harbor, "/projects/team/webhook/policies", policy())
    ask(lambda client: client.create_artifact_tag("team", "app", "1", Tag(name="stable")))
    harbor.sender.step()
    names = [tag.name for tag in ask(lambda client: client.get_artifact_tags("team", "app", "1"))]
    assert (names, receiver.got) == (["1", "stable"], [])


def test_a_copy_is_told_as_a_push(harbor: Harbor, receiver: Receiver, ask: Any) -> None:
    digest = harbor.push_index("team/app", "1.0.0")
    post(harbor, "/projects", {"project_name": "live", "metadata": {"public": "true"}})
    post(harbor, "/projects/live/webhook/policies", policy())
    ask(lambda client: client.copy_artifact("live", "app", "team/app:1.0.0"))
    harbor.sender.step()
    told = [json.loads(each.body)["event_data"]["resources"][0]["tag"] for each in receiver.got]
    assert (harbor.digest("live/app", "1.0.0"), told[-1], len(told)) == (digest, "1.0.0", 3)


def test_a_deletion_is_told(harbor: Harbor, receiver: Receiver, ask: Any) -> None:
    harbor.push_image("team/app", "1")
    post(harbor, "/projects/team/webhook/policies", policy(event_types=["DELETE_ARTIFACT"]))
    ask(lambda client: client.delete_artifact("team", "app", "1"))
    harbor.sender.step()
    (told,) = [json.loads(each.body) for each in receiver.got]
    assert (told["type"], told["operator"]) == ("DELETE_ARTIFACT", "admin")


# -- robots and the registry's tokens -------------------------------------------------------------


def test_a_robot_may_do_what_it_was_given(harbor: Harbor, ask: Any) -> None:
    post(harbor, "/projects", {"project_name": "team", "metadata": {"public": "false"}})
    access = [Access(resource="repository", action="pull")]
    permission = RobotPermission(kind="project", namespace="team", access=access)
    wanted = RobotCreate(name="ci", level="project", duration=-1, permissions=[permission])
    robot = ask(lambda client: client.create_robot(wanted))
    assert robot.name == "robot$team+ci"
    scope = {"service": "harbor-registry", "scope": "repository:team/app:pull,push"}
    answer = requests.get(f"{harbor.url}/service/token", params=scope, auth=(robot.name, robot.secret), timeout=10)
    assert granted(answer) == [{"type": "repository", "name": "team/app", "actions": ["pull"]}]


def granted(answer: requests.Response) -> Any:
    return json.loads(base64.urlsafe_b64decode(answer.json()["token"].split(".")[1] + "=="))["access"]


def test_even_a_public_pull_is_challenged(harbor: Harbor) -> None:
    harbor.push_image("library/app", "1")
    answer = requests.get(f"{harbor.url}/v2/library/app/manifests/1", timeout=10)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (
        401,
        f'Bearer realm="{harbor.url}/service/token",service="harbor-registry",scope="repository:library/app:pull"',
    )


def test_who_comes_with_wrong_basic_credentials_is_asked_for_better_ones(harbor: Harbor) -> None:
    answer = requests.get(f"{harbor.url}/v2/", auth=(ADMIN, "wrong"), timeout=10)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="harbor"')


@pytest.mark.parametrize(
    ("service", "auth", "status"),
    [
        pytest.param("harbor-registry", None, 200, id="anybody"),
        pytest.param("harbor-registry", (ADMIN, "wrong"), 401, id="a wrong password"),
        pytest.param("other", None, 400, id="an unknown service"),
    ],
)
def test_tokens(harbor: Harbor, service: str, auth: tuple[str, str] | None, status: int) -> None:
    scope = {"service": service, "scope": "repository:library/app:pull"}
    answer = requests.get(f"{harbor.url}/service/token", params=scope, auth=auth, timeout=10)
    assert answer.status_code == status


def test_a_token_lasts_half_an_hour(harbor: Harbor) -> None:
    answer = requests.get(f"{harbor.url}/service/token", params={"service": "harbor-registry"}, timeout=10).json()
    assert (answer["expires_in"], answer["access_token"]) == (1800, "")


def test_a_strict_harbor_wants_the_project_first() -> None:
    with Harbor(strict_projects=True, open_push=True) as harbor:
        answer = requests.post(f"{harbor.url}/v2/team/app/blobs/uploads/", timeout=10)
        assert answer.status_code == 401


# -- webhooks -------------------------------------------------------------------------------------


def test_a_policy_is_made_read_changed_and_removed(harbor: Harbor, ask: Any) -> None:
    target = WebhookTargetObject(type="http", address=HOOK, auth_header="s3cr3t", skip_cert_verify=True)
    wanted = WebhookPolicy(name="kargo", enabled=True, event_types=["PUSH_ARTIFACT"], targets=[target])
    made = ask(lambda client: client.create_webhook_policy("library", wanted))
    assert made == "/api/v2.0/projects/library/webhook/policies/1"
    read = ask(lambda client: client.get_webhook_policy("library", 1))
    assert (read.targets[0].payload_format.root, read.creator, read.project_id) == ("Default", "admin", 1)
    ask(lambda client: client.update_webhook_policy("library", 1, wanted.model_copy(update={"enabled": False})))
    assert [each.enabled for each in ask(lambda client: client.get_webhook_policies("library"))] == [False]
    ask(lambda client: client.delete_webhook_policy("library", 1))
    assert harbor.hooks == ()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"targets": []}, 400, id="no targets"),
        pytest.param({"event_types": []}, 400, id="no event"),
        pytest.param({"event_types": ["UPLOAD_CHART"]}, 400, id="an event of the past"),
        pytest.param({"targets": [{"type": "http", "address": "nowhere"}]}, 400, id="no address"),
        pytest.param({"targets": [{"type": "http", "address": "http://["}]}, 400, id="half an address"),
        pytest.param({"targets": [{"type": "mail", "address": HOOK}]}, 400, id="an unknown type"),
        pytest.param(
            {"targets": [{"type": "http", "address": HOOK, "payload_format": "XML"}]}, 400, id="an unknown format"
        ),
        pytest.param(
            {"targets": [{"type": "slack", "address": HOOK, "payload_format": "Default"}]}, 400, id="Slack's format"
        ),
        pytest.param({"name": "there"}, 409, id="the same name"),
    ],
)
def test_a_policy_is_refused_for(harbor: Harbor, changes: dict[str, Any], status: int) -> None:
    post(harbor, "/projects/library/webhook/policies", policy(name="there"))
    assert post(harbor, "/projects/library/webhook/policies", policy(**changes)).status_code == status


def test_policies_are_for_the_projects_owner(harbor: Harbor) -> None:
    assert post(harbor, "/projects/library/webhook/policies", policy(), auth=("mira", "pw")).status_code == 403


def test_what_can_be_subscribed_to(ask: Any) -> None:
    known = ask(lambda client: client.get_webhook_supported_events("library"))
    assert "PUSH_ARTIFACT" in [getattr(each, "root", each) for each in known.event_type]


@pytest.mark.parametrize(
    ("payload_format", "content_type", "kind"),
    [
        pytest.param("Default", "application/json", "PUSH_ARTIFACT", id="the default format"),
        pytest.param("CloudEvents", "application/cloudevents+json", "harbor.artifact.pushed", id="CloudEvents"),
    ],
)
def test_a_push_is_told_in(
    harbor: Harbor, receiver: Receiver, payload_format: str, content_type: str, kind: str
) -> None:
    target = {"type": "http", "address": HOOK, "auth_header": "s3cr3t", "payload_format": payload_format}
    post(harbor, "/projects", {"project_name": "team", "metadata": {"public": "false"}})
    post(harbor, "/projects/team/webhook/policies", policy(targets=[target]))
    harbor.push_image("team/app", "1.0.0")
    harbor.sender.step()
    (told,) = receiver.got
    headers, body = dict(told.headers), json.loads(told.body)
    data = body.get("event_data") or body["data"]
    assert (headers["Content-Type"], headers["Authorization"], body["type"]) == (content_type, "s3cr3t", kind)
    assert (data["repository"]["repo_type"], body.get("source", "")) == (
        "private",
        "/projects/2/webhook/policies/1" if payload_format == "CloudEvents" else "",
    )


def test_each_child_of_an_index_is_told(harbor: Harbor, receiver: Receiver) -> None:
    post(harbor, "/projects/library/webhook/policies", policy())
    harbor.push_index("library/app", "1.0.0")
    harbor.sender.step()
    assert len(receiver.got) == 3


def test_three_attempts_of_three_seconds(harbor: Harbor, receiver: Receiver, clock: HandClock) -> None:
    post(harbor, "/projects/library/webhook/policies", policy())
    receiver.statuses = [500, 0, 500]
    harbor.push_image("library/app", "1.0.0")
    pauses = []
    while (wait := harbor.sender.next_due_seconds()) is not None:
        pauses.append(wait)
        clock.seconds += wait
        harbor.sender.step()
    assert (len(receiver.got), receiver.timeouts) == (3, {3})
    assert [16 <= pauses[1] <= 74, 31 <= pauses[2] <= 118] == [True, True]
    (execution,) = get(harbor, "/projects/library/webhook/policies/1/executions").json()
    (task,) = get(harbor, f"/projects/library/webhook/policies/1/executions/{execution['id']}/tasks").json()
    assert (execution["status"], task["run_count"]) == ("Error", 3)


def test_an_execution_its_task_and_its_log(harbor: Harbor, receiver: Receiver, clock: HandClock) -> None:
    post(harbor, "/projects/library/webhook/policies", policy())
    receiver.statuses = [503, 200]
    harbor.push_image("library/app", "1.0.0")
    place = "/projects/library/webhook/policies/1/executions"
    assert [each["status"] for each in get(harbor, place).json()] == ["Pending"]
    harbor.sender.step()
    assert [each["status"] for each in get(harbor, place).json()] == ["Error"]
    clock.seconds += 100
    harbor.sender.step()
    (execution,) = get(harbor, place).json()
    assert (execution["status"], execution["metrics"]) == ("Success", {"task_count": 1, "success_task_count": 1})
    log = get(harbor, f"{place}/{execution['id']}/tasks/{execution['id']}/log")
    assert [line.split("] ", 1)[1].partition(":")[0] for line in log.text.splitlines()] == [
        "attempt 1",
        "request body",
        "abnormal response code",
        "attempt 2",
        "request body",
    ]


def test_the_last_fifty_executions_are_kept(harbor: Harbor) -> None:
    post(harbor, "/projects/library/webhook/policies", policy())
    for number in range(55):
        harbor.push_image("library/app", f"1.0.{number}")
    place = "/projects/library/webhook/policies/1/executions"
    assert get(harbor, place).headers["X-Total-Count"] == "50"


def test_the_views_of_before(harbor: Harbor, ask: Any) -> None:
    post(harbor, "/projects/library/webhook/policies", policy())
    harbor.push_image("library/app", "1.0.0")
    harbor.sender.step()
    (trigger,) = ask(lambda client: client.get_webhook_policy_last_trigger("library"))
    (job,) = ask(lambda client: client.get_webhook_jobs("library", 1))
    assert (trigger.event_type, job.status) == ("PUSH_ARTIFACT", "Success")


def test_skopeo_pushes_with_the_administrators_password(harbor: Harbor) -> None:
    if not shutil.which("skopeo"):
        pytest.skip("the program skopeo is not installed")
    with Registry() as source:
        source.push_image("app", "1.0.0")
        words = [
            "skopeo",
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            f"--dest-creds={ADMIN}:{PASSWORD}",
        ]
        places = [f"docker://{source.host}/app:1.0.0", f"docker://{harbor.host}/library/app:1.0.0"]
        done = subprocess.run([*words, *places], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, harbor.tags("library/app")) == (0, ["1.0.0"]), done.stderr
