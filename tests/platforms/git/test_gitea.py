"""Gitea's REST API, driven by a client that was generated from Gitea's own description of it, and by plain requests."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import requests

from kargo_lab.platforms.git.apis.gitea import Gitea
from kargo_lab.platforms.outgoing import Outgoing, Response

client = pytest.importorskip("gitea_api_client", reason="gitea-api-client is not installed")


class Recorder:
    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    def __call__(self, outgoing: Outgoing, timeout: float, follow: bool) -> Response:
        self.sent.append(outgoing)
        return Response(status=200)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def gitea(recorder: Recorder):
    with Gitea(transport=recorder) as running:
        yield running


@pytest.fixture
def events(gitea, recorder: Recorder) -> Callable[[], list[str]]:
    """The events that were sent since the last call, in alphabetical order: workers run side by side."""

    def take() -> list[str]:
        assert gitea.sender.settle()
        sent, recorder.sent = recorder.sent, []
        return sorted(outgoing.event for outgoing in sent)

    return take


@pytest.fixture
def api(gitea):
    """Runs a coroutine that gets the generated client's API objects."""

    def run(act: Callable[..., Awaitable[Any]], **credentials: Any) -> Any:
        async def inside() -> Any:
            given = credentials or {"api_key": {"AuthorizationHeaderToken": f"token {gitea.token}"}}
            configuration = client.Configuration(host=gitea.api_url, **given)
            async with client.ApiClient(configuration) as connection:
                return await act(connection)

        return asyncio.run(inside())

    return run


@pytest.fixture
def app(api):
    """The repository lab/app with one commit and one active hook for everything."""

    async def make(connection):
        repositories = client.RepositoryApi(connection)
        await repositories.create_current_user_repo(body=client.CreateRepoOption(name="app", auto_init=True))
        option = client.CreateHookOption(
            type="gitea",
            active=True,
            events=["push", "create", "delete", "pull_request"],
            config={"url": "http://receiver.test/", "content_type": "json", "secret": "s3cr3t"},
        )
        return await repositories.repo_create_hook("lab", "app", body=option)

    return api(make)


def call(gitea: Gitea, method: str, path: str, **more: Any) -> requests.Response:
    headers = {"Authorization": f"token {gitea.token}"} | more.pop("headers", {})
    return requests.request(method, f"{gitea.api_url}{path}", headers=headers, timeout=10, **more)


def test_the_client_reads_the_version(api) -> None:
    assert api(lambda c: client.MiscellaneousApi(c).get_version()).version == "1.27.3"


def test_health_is_told_outside_the_api(gitea) -> None:
    assert requests.get(f"{gitea.url}/api/healthz", timeout=10).json()["status"] == "pass"


def test_a_token_is_made_with_a_password_and_works(gitea, api) -> None:
    async def make(connection):
        option = client.CreateAccessTokenOption(name="t", scopes=["all"])
        return await client.UserApi(connection).user_create_token("lab", body=option)

    token = api(make, username="lab", password=gitea.password)
    answer = requests.get(f"{gitea.api_url}/user", headers={"Authorization": f"token {token.sha1}"}, timeout=10)
    assert answer.json()["login"] == "lab"


def test_a_token_does_not_make_tokens(gitea) -> None:
    assert call(gitea, "POST", "/users/lab/tokens", json={"name": "t", "scopes": ["all"]}).status_code == 401


def test_a_repository_is_created_with_its_first_commit_and_no_hook(api, app, events) -> None:
    repository = api(lambda c: client.RepositoryApi(c).repo_get("lab", "app"))
    assert (repository.full_name, repository.empty, repository.default_branch) == ("lab/app", False, "main")
    assert events() == []


def test_a_hook_is_shown_without_its_secret(app) -> None:
    assert (app.type, app.active, app.config) == (
        "gitea",
        True,
        {"url": "http://receiver.test/", "content_type": "json"},
    )


def test_hooks_are_listed_edited_and_deleted(api, app) -> None:
    async def act(connection):
        repositories = client.RepositoryApi(connection)
        edit = client.EditHookOption(events=["push"], branch_filter="main")
        await repositories.repo_edit_hook("lab", "app", app.id, body=edit)
        edited = await repositories.repo_get_hook("lab", "app", app.id)
        await repositories.repo_delete_hook("lab", "app", app.id)
        return edited, await repositories.repo_list_hooks("lab", "app")

    edited, left = api(act)
    assert (edited.events, edited.branch_filter, edited.active) == (["push"], "main", True)
    assert left == []


def test_files_are_created_updated_and_deleted(api, app, events) -> None:
    def text(words: str) -> str:
        return base64.b64encode(words.encode()).decode()

    async def act(connection):
        repositories = client.RepositoryApi(connection)
        one = await repositories.repo_create_file(
            "lab", "app", "a/b.txt", body=client.CreateFileOptions(content=text("1"), message="one")
        )
        two = await repositories.repo_update_file(
            "lab", "app", "a/b.txt", body=client.UpdateFileOptions(content=text("2"), sha=one.content.sha)
        )
        read = await repositories.repo_get_contents("lab", "app", "a/b.txt")
        await repositories.repo_delete_file(
            "lab", "app", "a/b.txt", body=client.DeleteFileOptions(sha=two.content.sha, message="gone")
        )
        return read, await repositories.repo_get_contents_list("lab", "app")

    read, left = api(act)
    assert base64.b64decode(read.content) == b"2"
    assert [entry.name for entry in left] == ["README.md"]
    assert events() == ["push", "push", "push"]


def test_a_file_on_a_new_branch_is_create_and_push(api, app, events) -> None:
    option = client.CreateFileOptions(content="MQ==", message="one", new_branch="topic")
    made = api(lambda c: client.RepositoryApi(c).repo_create_file("lab", "app", "a", body=option))
    assert made.commit.sha
    assert events() == ["create", "push"]


def test_several_files_are_one_commit(api, app, events) -> None:
    files = [
        client.ChangeFileOperation(operation="create", path="a", content="MQ=="),
        client.ChangeFileOperation(operation="create", path="b", content="Mg=="),
    ]
    option = client.ChangeFilesOptions(files=files, message="two")
    made = api(lambda c: client.RepositoryApi(c).repo_change_files("lab", "app", body=option))
    assert [one.path for one in made.files] == ["a", "b"]
    assert events() == ["push"]


def test_branches_are_created_listed_and_deleted(api, app, events) -> None:
    async def act(connection):
        repositories = client.RepositoryApi(connection)
        option = client.CreateBranchRepoOption(new_branch_name="feature/x", old_ref_name="main")
        await repositories.repo_create_branch("lab", "app", body=option)
        names = [branch.name for branch in await repositories.repo_list_branches("lab", "app")]
        one = await repositories.repo_get_branch("lab", "app", "main")
        await repositories.repo_delete_branch("lab", "app", "feature/x")
        return names, one

    names, one = api(act)
    assert names == ["feature/x", "main"]
    assert one.commit.message == "Initial commit\n"
    assert events() == ["create", "delete", "push"]


def test_tags_are_created_listed_and_deleted(api, app, events) -> None:
    async def act(connection):
        repositories = client.RepositoryApi(connection)
        option = client.CreateTagOption(tag_name="v1.0.0", target="main", message="one")
        # The client expects 200 as Gitea's description has it and reads nothing from the 201 that Gitea answers.
        await repositories.repo_create_tag("lab", "app", body=option)
        made = await repositories.repo_get_tag("lab", "app", "v1.0.0")
        names = [tag.name for tag in await repositories.repo_list_tags("lab", "app")]
        await repositories.repo_delete_tag("lab", "app", "v1.0.0")
        return made, names

    made, names = api(act)
    assert made.id != made.commit.sha
    assert names == ["v1.0.0"]
    assert events() == ["create", "delete", "push", "push"]


def test_a_pull_request_is_opened_and_merged(api, app, events) -> None:
    async def act(connection):
        repositories = client.RepositoryApi(connection)
        option = client.CreateFileOptions(content="MQ==", message="one", new_branch="topic")
        await repositories.repo_create_file("lab", "app", "a", body=option)
        pull = await repositories.repo_create_pull_request(
            "lab", "app", body=client.CreatePullRequestOption(title="Topic", head="topic", base="main")
        )
        await repositories.repo_merge_pull_request(
            "lab", "app", pull.number, body=client.MergePullRequestOption(do="merge", delete_branch_after_merge=True)
        )
        return await repositories.repo_get_pull_request("lab", "app", pull.number)

    pull = api(act)
    assert (pull.merged, pull.state, pull.merged_by.login) == (True, "closed", "lab")
    assert events() == ["create", "delete", "pull_request", "pull_request", "push", "push"]


def test_a_pull_request_is_closed_and_reopened(api, app) -> None:
    async def act(connection):
        repositories = client.RepositoryApi(connection)
        option = client.CreateFileOptions(content="MQ==", message="one", new_branch="topic")
        await repositories.repo_create_file("lab", "app", "a", body=option)
        body = client.CreatePullRequestOption(title="Topic", head="topic", base="main")
        await repositories.repo_create_pull_request("lab", "app", body=body)
        states = []
        for state in ("closed", "open"):
            edit = client.EditPullRequestOption(state=state)
            states.append((await repositories.repo_edit_pull_request("lab", "app", 1, body=edit)).state)
        return states

    assert api(act) == ["closed", "open"]


def test_the_test_button_pushes_the_head_onto_itself(gitea, api, app, recorder) -> None:
    api(lambda c: client.RepositoryApi(c).repo_test_hook("lab", "app", app.id, ref="refs/heads/main"))
    gitea.sender.settle()
    (sent,) = recorder.sent
    assert sent.event == "push"
    assert b'"total_commits": 1' in sent.body


def test_organisations_own_repositories_and_hooks(api, events) -> None:
    async def act(connection):
        organizations = client.OrganizationApi(connection)
        await organizations.org_create(organization=client.CreateOrgOption(username="corp"))
        option = client.CreateRepoOption(name="tool", auto_init=True)
        repository = await organizations.create_org_repo("corp", body=option)
        config = {"url": "http://corp.test/", "content_type": "form"}
        hook = client.CreateHookOption(type="gitea", active=True, config=config)
        await organizations.org_create_hook("corp", body=hook)
        content = client.CreateFileOptions(content="MQ==", message="one")
        await client.RepositoryApi(connection).repo_create_file("corp", "tool", "a", body=content)
        return repository

    assert api(act).owner.login == "corp"
    assert events() == ["push"]


def test_an_administrator_makes_users_who_cannot_write_elsewhere(gitea, api, app) -> None:
    option = client.CreateUserOption(
        username="eve", email="eve@example.com", password="pw-of-eve", must_change_password=False
    )
    assert api(lambda c: client.AdminApi(c).admin_create_user(body=option)).login == "eve"
    body = {"content": "MQ==", "message": "x"}
    url = f"{gitea.api_url}/repos/lab/app/contents/x"
    assert requests.post(url, json=body, auth=("eve", "pw-of-eve"), timeout=10).status_code == 403


@pytest.mark.parametrize(("system", "level"), [("true", "system"), ("false", "default")])
def test_hooks_of_the_host_are_system_or_default(gitea, system: str, level: str) -> None:
    config = {"url": "http://all.test/", "content_type": "json", "is_system_webhook": system}
    body = {"type": "gitea", "active": True, "config": config}
    assert call(gitea, "POST", "/admin/hooks", json=body).status_code == 201
    assert [hook.url for hook in gitea.forge.hooks_at(level)] == ["http://all.test/"]


@pytest.fixture(scope="module")
def standing():
    """One host for all refusals: none of them may change it."""
    with Gitea() as running:
        assert call(running, "POST", "/user/repos", json={"name": "app", "auto_init": True}).status_code == 201
        yield running


def hook_body(**changes: Any) -> dict[str, Any]:
    config = {"url": "http://receiver.test/", "content_type": "json"}
    return {"type": "gitea", "active": True, "config": config} | changes


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("GET", "/repos/lab/none", None, 404, id="an unknown repository"),
        pytest.param("GET", "/users/nobody", None, 404, id="an unknown user"),
        pytest.param("GET", "/nothing", None, 404, id="an unknown call"),
        pytest.param("POST", "/user/repos", {"name": "app"}, 409, id="a repository twice"),
        pytest.param("POST", "/user/repos", {}, 422, id="a repository without a name"),
        pytest.param("POST", "/user/repos", {"name": "a b"}, 422, id="a repository with a blank in its name"),
        pytest.param("POST", "/orgs", {"username": "lab"}, 422, id="an organisation called like a user"),
        pytest.param("POST", "/repos/lab/app/hooks", hook_body(type="smoke"), 422, id="a hook of no known type"),
        pytest.param("POST", "/repos/lab/app/hooks", hook_body(config={"url": "http://x"}), 422, id="no content type"),
        pytest.param(
            "POST",
            "/repos/lab/app/hooks",
            hook_body(config={"url": "http://x/", "content_type": "xml"}),
            422,
            id="a hook of no known content type",
        ),
        pytest.param("GET", "/repos/lab/app/hooks/999", None, 404, id="an unknown hook"),
        pytest.param("POST", "/repos/lab/app/contents/README.md", {"content": ""}, 422, id="a file that exists"),
        pytest.param(
            "PUT",
            "/repos/lab/app/contents/README.md",
            {"content": ""},
            422,
            id="an update without sha of a file that exists",
        ),
        pytest.param("PUT", "/repos/lab/app/contents/README.md", {"sha": "1"}, 422, id="an update with another sha"),
        pytest.param("PUT", "/repos/lab/app/contents/none", {"sha": "1"}, 404, id="an update of no file"),
        pytest.param("POST", "/repos/lab/app/contents/x", {"content": "?"}, 422, id="content that is no base64"),
        pytest.param("POST", "/repos/lab/app/contents/x", {"branch": "none"}, 404, id="a file on no branch"),
        pytest.param(
            "POST",
            "/repos/lab/app/contents/x",
            {"content": "", "new_branch": "a\nreset refs/heads/main"},
            422,
            id="a file on a branch git refuses",
        ),
        pytest.param("POST", "/repos/lab/app/contents/.git/x", {"content": ""}, 422, id="a file in .git"),
        pytest.param("DELETE", "/repos/lab/app/branches/main", None, 403, id="the default branch deleted"),
        pytest.param("DELETE", "/repos/lab/app/branches/none", None, 404, id="no branch deleted"),
        pytest.param("POST", "/repos/lab/app/branches", {"new_branch_name": "main"}, 409, id="a branch twice"),
        pytest.param("POST", "/repos/lab/app/branches", {"new_branch_name": "a..b"}, 422, id="a branch git refuses"),
        pytest.param("POST", "/repos/lab/app/branches", {"new_branch_name": "main/x"}, 422, id="a branch below one"),
        pytest.param("POST", "/repos/lab/app/tags", {"tag_name": "v1", "target": "no"}, 404, id="a tag of nothing"),
        pytest.param(
            "POST", "/repos/lab/app/pulls", {"title": "t", "head": "no", "base": "main"}, 404, id="no head branch"
        ),
        pytest.param(
            "POST", "/repos/lab/app/pulls", {"title": "t", "head": "main", "base": "main"}, 422, id="nothing to merge"
        ),
        pytest.param("POST", "/repos/lab/app/pulls/9/merge", {"Do": "merge"}, 404, id="no pull request to merge"),
        pytest.param("POST", "/repos/lab/app/pulls/9/merge", {"Do": "magic"}, 422, id="no known way to merge"),
    ],
)
def test_refusals(standing: Gitea, method: str, path: str, body: Any, status: int) -> None:
    answer = call(standing, method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["url"] == f"{standing.url}/api/swagger"


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b'"x"'])
def test_a_body_that_is_no_object_is_refused(standing: Gitea, body: bytes) -> None:
    assert call(standing, "POST", "/user/repos", data=body).status_code == 422


@pytest.mark.parametrize(
    ("authorization", "status"), [("", 401), ("token wrong", 401), ("Basic !!", 401), ("Digest x", 401)]
)
def test_credentials_are_asked_for(standing: Gitea, authorization: str, status: int) -> None:
    answer = call(standing, "GET", "/user", headers={"Authorization": authorization})
    assert (answer.status_code, set(answer.json())) == (status, {"message", "url"})


def test_a_private_repository_is_not_found_by_others(gitea) -> None:
    call(gitea, "POST", "/user/repos", json={"name": "secret", "private": True})
    assert requests.get(f"{gitea.api_url}/repos/lab/secret", timeout=10).status_code == 404


def test_lists_come_in_pages(gitea, app) -> None:
    for number in range(5):
        gitea.tag("lab/app", f"v{number}")
    answer = call(gitea, "GET", "/repos/lab/app/tags?page=2&limit=2")
    assert [tag["name"] for tag in answer.json()] == ["v2", "v3"]
    assert answer.headers["X-Total-Count"] == "5"
    pages = {relation: link["url"].rpartition("page=")[2] for relation, link in answer.links.items()}
    assert pages == {"next": "3", "last": "3", "first": "1", "prev": "1"}


def test_a_page_has_fifty_items_at_most(gitea, app) -> None:
    for number in range(60):
        gitea.forge.store(gitea.forge.repository("lab/app")).set_ref(f"refs/tags/v{number}", "main")
    assert len(call(gitea, "GET", "/repos/lab/app/tags?limit=100").json()) == 50


def test_a_hook_without_active_is_inactive(gitea, app, events) -> None:
    body = hook_body()
    del body["active"]
    answer = call(gitea, "POST", "/repos/lab/app/hooks", json=body)
    assert (answer.status_code, answer.json()["active"], answer.json()["events"]) == (201, False, ["push"])


def test_git_pushes_with_the_token(gitea, app, git, events) -> None:
    git("clone", "-q", gitea.push_url("lab/app"), "work")
    git("commit", "-q", "--allow-empty", "-m", "empty", at="work")
    git("push", "-q", "origin", "main", at="work")
    assert events() == ["push"]
