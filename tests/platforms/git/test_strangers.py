"""Whatever a stranger sends to the Git host is answered, and never with a failure of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from kargo_lab.platforms.git.apis.all import application
from kargo_lab.platforms.git.personas import PERSONAS
from kargo_lab.platforms.githost import GitHost

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["main", "push", "http://x/"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WORDS = ["name", "config", "url", "content_type", "type", "events", "active", "content", "branch", "new_branch", "sha"]
MORE = ["files", "message", "author", "dates", "title", "head", "base", "Do", "state", "tag_name", "target", "actions"]
EVEN_MORE = ["consumerInputs", "publisherInputs", "eventType", "configuration", "credentials", "token", "ref"]
BODIES = st.dictionaries(st.sampled_from(WORDS + MORE + EVEN_MORE), JSON, max_size=6)
PATHS = {
    "azure-devops": ["/_apis/hooks/subscriptions"],
    "bitbucket": ["/2.0/repositories/acme/app/hooks"],
    "bitbucket-data-center": ["/rest/api/1.0/projects/acme/repos/app/webhooks"],
    "gitea": [
        "/api/v1/repos/acme/app/hooks",
        "/api/v1/repos/acme/app/contents/x",
        "/api/v1/repos/acme/app/contents",
        "/api/v1/repos/acme/app/branches",
        "/api/v1/repos/acme/app/tags",
        "/api/v1/repos/acme/app/pulls",
        "/api/v1/repos/acme/app/pulls/1/merge",
        "/api/v1/user/repos",
        "/api/v1/orgs",
    ],
    "github": ["/repos/acme/app/hooks"],
    "gitlab": [
        "/api/v4/projects/acme%2Fapp/hooks",
        "/api/v4/projects/acme%2Fapp/repository/tags",
        "/api/v4/projects/acme%2Fapp/repository/commits",
    ],
}


@pytest.fixture(scope="module", params=sorted(PATHS))
def client(request: pytest.FixtureRequest):
    """The platform's API without a server, its paths, and the header that opens it."""
    host = GitHost(persona=request.param, asynchronous=False)
    host.create_repository("acme/app")
    host.commit("acme/app", {"a": "1"})
    yield Client(application(host)), PATHS[request.param], {"Authorization": f"Bearer {host.token}"}
    host.stop()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), body=BODIES)
def test_any_object_is_answered(client: Any, data: st.DataObject, body: dict[str, Any]) -> None:
    calls, paths, headers = client
    path = data.draw(st.sampled_from(paths))
    answer = calls.post(path, data=json.dumps(body), headers=headers, content_type="application/json")
    assert answer.status_code < 500, answer.text


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=50), authorization=st.text(st.characters(max_codepoint=255, min_codepoint=32)))
def test_any_bytes_and_credentials_are_answered(client: Any, body: bytes, authorization: str) -> None:
    calls, paths, headers = client
    assert calls.post(paths[0], data=body, headers=headers).status_code < 500
    assert calls.get(paths[0], headers={"Authorization": authorization}).status_code < 500


@pytest.fixture(scope="module")
def host():
    made = GitHost(asynchronous=False)
    made.create_repository("acme/app")
    yield Client(made)
    made.stop()


@settings(max_examples=30, deadline=None)
@given(
    service=st.sampled_from(["git-upload-pack", "git-receive-pack"]),
    body=st.binary(max_size=80) | st.sampled_from([b"0000", b"0004", b"zzzz", b"ffff", b"0008NAK\n", b"0001"]),
    protocol=st.text(st.characters(max_codepoint=255, min_codepoint=32), max_size=20),
)
def test_any_request_to_git_is_answered(host: Client, service: str, body: bytes, protocol: str) -> None:
    headers = {"Git-Protocol": protocol}
    kind = f"application/x-{service}-request"
    answer = host.post(f"/acme/app.git/{service}", data=body, headers=headers, content_type=kind)
    assert answer.status_code == 200
    answer.close()


@settings(max_examples=50, deadline=None)
@given(path=st.text(max_size=30))
def test_any_path_is_answered(host: Client, path: str) -> None:
    answer = host.get("/" + path.replace("?", "").replace("#", ""))
    assert answer.status_code < 500
    answer.close()


def test_every_persona_with_an_api_is_here() -> None:
    assert PATHS.keys() == PERSONAS.keys() - {"forgejo"}
