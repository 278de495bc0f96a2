"""Gitea's table (platforms.md 10.2), row by row, with real pushes: which requests, and what is in them."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from kargo_lab.platforms.githost import GitHost

ZEROS = "0" * 40


def push(git, *refs: str) -> None:
    git("push", "-q", "--force", "origin", *refs, at="work")


@pytest.fixture
def one(scene, git, work):
    """A scene whose main branch has one commit, everything before it forgotten."""
    made = scene("gitea")
    work(made.host)
    work("first", "1")
    push(git, "main")
    made.sent()
    return made


def test_a_first_push_is_create_and_push(scene, git, work) -> None:
    made = scene("gitea")
    work(made.host)
    head = work("first", "1")
    push(git, "main")
    create, pushed = made.bodies()
    assert (create["ref"], create["ref_type"], create["sha"]) == ("main", "branch", head)
    assert (pushed["ref"], pushed["before"], pushed["after"]) == ("refs/heads/main", ZEROS, head)
    assert (pushed["total_commits"], [commit["id"] for commit in pushed["commits"]]) == (1, [head])
    assert pushed["compare_url"] == f"{made.host.url}/"


def test_a_new_branch_is_looked_at_ten_commits_deep_and_told_five(one, git, work) -> None:
    git("checkout", "-q", "-b", "long", at="work")
    ids = [work("n", str(number)) for number in range(12)]
    push(git, "long")
    create, pushed = one.bodies()
    assert (create["ref"], create["ref_type"]) == ("long", "branch")
    assert pushed["before"] == ZEROS
    assert pushed["total_commits"] == 10
    assert [commit["id"] for commit in pushed["commits"]] == ids[:-6:-1]


def test_a_new_branch_without_commits_still_lists_its_newest(one, git) -> None:
    git("branch", "same", at="work")
    push(git, "same")
    pushed = one.bodies("push")[0]
    assert (pushed["total_commits"], len(pushed["commits"])) == (1, 1)
    assert pushed["compare_url"].endswith(f"/acme/app/compare/main...{pushed['after']}")


def test_a_push_of_commits_is_one_push_with_the_newest_five_first(one, git, work) -> None:
    before = one.host.refs("acme/app")["refs/heads/main"]
    ids = [work("n", str(number)) for number in range(7)]
    push(git, "main")
    (pushed,) = one.bodies()
    assert (pushed["before"], pushed["after"], pushed["total_commits"]) == (before, ids[-1], 7)
    assert [commit["id"] for commit in pushed["commits"]] == ids[:1:-1]
    assert pushed["head_commit"]["id"] == ids[-1]
    assert pushed["compare_url"] == f"{one.host.url}/acme/app/compare/{before}...{ids[-1]}"


def test_a_force_push_with_new_history_is_one_push_without_a_flag(one, git, work) -> None:
    git("commit", "-q", "--amend", "-m", "other", at="work")
    push(git, "main")
    (pushed,) = one.bodies()
    assert pushed["total_commits"] == 1
    assert "forced" not in pushed


def test_a_reset_backwards_is_a_push_without_commits(one, git, work) -> None:
    work("second", "2")
    push(git, "main")
    one.sent()
    git("reset", "-q", "--hard", "HEAD~1", at="work")
    push(git, "main")
    (pushed,) = one.bodies()
    assert (pushed["total_commits"], pushed["commits"]) == (0, [])
    assert pushed["head_commit"]["id"] == pushed["after"]


@pytest.mark.parametrize("words", [("v1",), ("-a", "-m", "one", "v1")], ids=["lightweight", "annotated"])
def test_a_new_tag_is_push_and_create(one, git, words: tuple[str, ...]) -> None:
    git("tag", *words, at="work")
    push(git, "v1")
    pushed, create = one.bodies()
    object_id = git("rev-parse", "v1", at="work").strip()
    assert (pushed["ref"], pushed["before"], pushed["after"]) == ("refs/tags/v1", ZEROS, object_id)
    assert (pushed["commits"], pushed["total_commits"]) == ([], 0)
    assert pushed["head_commit"]["id"] == git("rev-parse", "HEAD", at="work").strip()
    assert (create["ref"], create["ref_type"], create["sha"]) == ("v1", "tag", object_id)


def test_a_moved_tag_is_told_like_a_new_one(one, git, work) -> None:
    git("tag", "v1", at="work")
    push(git, "v1")
    one.sent()
    work("second", "2")
    git("tag", "-f", "v1", at="work")
    push(git, "v1")
    pushed, create = one.bodies()
    assert (pushed["before"], create["ref"]) == (ZEROS, "v1")


def test_a_deleted_tag_is_push_and_delete(one, git) -> None:
    git("tag", "v1", at="work")
    push(git, "v1")
    one.sent()
    push(git, ":v1")
    pushed, delete = one.bodies()
    assert (pushed["after"], pushed["commits"], pushed["head_commit"]) == (ZEROS, [], None)
    assert (delete["ref"], delete["ref_type"], delete["pusher_type"]) == ("v1", "tag", "user")


def test_a_deleted_branch_is_delete_only(one, git) -> None:
    git("branch", "gone", at="work")
    push(git, "gone")
    one.sent()
    push(git, ":gone")
    (delete,) = one.bodies()
    assert (delete["ref"], delete["ref_type"]) == ("gone", "branch")


def test_a_deleted_branch_closes_its_pull_requests(one, git, work) -> None:
    git("checkout", "-q", "-b", "topic", at="work")
    work("topic", "1")
    push(git, "topic")
    one.host.open_pull("acme/app", head="topic")
    one.sent()
    push(git, ":topic")
    events = [(outgoing.event, outgoing.action) for outgoing in one.sent()]
    assert events == [("delete", ""), ("pull_request", "closed")]


def test_a_pushed_head_synchronizes_its_pull_request(one, git, work) -> None:
    git("checkout", "-q", "-b", "topic", at="work")
    work("topic", "1")
    push(git, "topic")
    one.host.open_pull("acme/app", head="topic")
    one.sent()
    work("topic", "2")
    push(git, "topic")
    pushed, synchronized = one.sent()
    headers = dict(synchronized.headers)
    assert pushed.event == "push"
    assert headers["X-Gitea-Event"] == "pull_request"
    assert headers["X-Gitea-Event-Type"] == "pull_request_sync"
    body = json.loads(synchronized.body)
    assert body["action"] == "synchronized"
    assert (body["before"], body["after"]) == (json.loads(pushed.body)["before"], json.loads(pushed.body)["after"])


def test_a_merge_is_pull_request_closed_and_push(one) -> None:
    one.host.commit("acme/app", {"topic": "1"}, branch="topic")
    pull = one.host.open_pull("acme/app", head="topic")
    one.sent()
    merged = one.host.merge_pull("acme/app", pull.number)
    closed, pushed = one.bodies()
    assert (closed["action"], closed["number"]) == ("closed", pull.number)
    assert closed["pull_request"]["merged"] is True
    assert closed["pull_request"]["merge_commit_sha"] == merged.merge_sha == pushed["after"]
    assert closed["pull_request"]["merged_by"]["login"] == "acme"
    assert (pushed["ref"], pushed["total_commits"]) == ("refs/heads/main", 2)


def test_a_close_without_merge_is_pull_request_closed(one) -> None:
    one.host.commit("acme/app", {"topic": "1"}, branch="topic")
    pull = one.host.open_pull("acme/app", head="topic")
    one.sent()
    one.host.close_pull("acme/app", pull.number)
    (closed,) = one.bodies()
    assert (closed["action"], closed["pull_request"]["merged"]) == ("closed", False)


def test_several_refs_in_one_push_are_told_one_by_one(one, git, work) -> None:
    work("second", "2")
    git("branch", "other", at="work")
    git("tag", "v1", at="work")
    push(git, "main", "other", "v1")
    assert one.events() == ["push", "create", "push", "push", "create"]


def test_other_refs_are_not_told(one, git) -> None:
    push(git, "HEAD:refs/notes/review")
    assert one.events() == []


def test_a_commit_lists_the_paths_it_touched(one, git, work) -> None:
    git("rm", "-q", "first", at="work")
    (one.host._directory / "unused").touch()
    work("dir/new file.txt", "2")
    push(git, "main")
    work("dir/new file.txt", "3")
    push(git, "main")
    added, modified = one.bodies()
    assert added["commits"][0]["added"] == ["dir/new file.txt"]
    assert added["commits"][0]["removed"] == ["first"]
    assert modified["commits"][0]["modified"] == ["dir/new file.txt"]


def test_a_commit_keeps_author_message_and_zone(one, git, work) -> None:
    work("second", "2")
    push(git, "main")
    commit = one.bodies()[0]["commits"][0]
    assert commit["author"] == {"name": "Ann", "email": "ann@example.com", "username": ""}
    assert commit["message"] == "Write second\n"
    assert commit["timestamp"] == "2026-01-02T03:04:05+02:00"


def test_a_merge_commit_lists_what_changed_against_its_first_parent(one) -> None:
    one.host.commit("acme/app", {"topic": "1"}, branch="topic")
    one.host.commit("acme/app", {"main": "1"})
    one.sent()
    one.host.merge("acme/app", "topic")
    (pushed,) = one.bodies()
    assert pushed["head_commit"]["added"] == ["topic"]


def test_the_bytes_are_indented_and_escaped_as_go_does(one) -> None:
    one.host.commit("acme/app", {"a": "1"}, message="<ä & b>")
    text = one.sent()[0].body.decode()
    assert text.startswith('{\n  "ref": "refs/heads/main",\n')
    assert '"message": "\\u003cä \\u0026 b\\u003e\\n"' in text


def test_the_urls_are_those_of_the_host(one) -> None:
    one.host.commit("acme/app", {"a": "1"})
    repository = one.bodies()[0]["repository"]
    assert repository["clone_url"] == f"{one.host.url}/acme/app.git" == one.host.clone_url("acme/app")
    assert repository["html_url"] == f"{one.host.url}/acme/app"


def test_a_public_url_takes_the_place_of_the_hosts() -> None:
    with GitHost(public_url="https://gitea.example.com/") as host:
        assert host.clone_url("a/b") == "https://gitea.example.com/a/b.git"


def test_all_aliases_of_all_headers_are_sent(one) -> None:
    one.host.commit("acme/app", {"a": "1"})
    (sent,) = one.sent()
    headers = dict(sent.headers)
    text = hmac.new(b"s3cr3t", sent.body, hashlib.sha256).hexdigest()
    old = hmac.new(b"s3cr3t", sent.body, hashlib.sha1).hexdigest()
    assert {headers[f"X-{name}-Delivery"] for name in ("Gitea", "Gogs", "GitHub")} == {sent.guid}
    assert {headers[f"X-{name}-Event"] for name in ("Gitea", "Gogs", "GitHub")} == {"push"}
    assert {headers[f"X-{name}-Event-Type"] for name in ("Gitea", "Gogs", "GitHub")} == {"push"}
    assert headers["X-Gitea-Signature"] == headers["X-Gogs-Signature"] == text
    assert headers["X-Hub-Signature-256"] == f"sha256={text}"
    assert headers["X-Hub-Signature"] == f"sha1={old}"
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers


def with_hook(one, **facts) -> dict[str, str]:
    one.host.add_hook("acme/app", url="http://other.test/", events=("push",), **facts)
    one.host.commit("acme/app", {"b": "1"})
    sent = next(outgoing for outgoing in one.sent() if urlsplit(outgoing.url).hostname == "other.test")
    return dict(sent.headers) | {"body": sent.body.decode(), "url": sent.url, "method": sent.method}


def test_a_hook_without_secret_sends_empty_signatures(one) -> None:
    sent = with_hook(one)
    assert (sent["X-Gitea-Signature"], sent["X-Hub-Signature-256"], sent["X-Hub-Signature"]) == ("", "sha256=", "sha1=")


def test_a_form_is_signed_over_its_json(one) -> None:
    sent = with_hook(one, secret="k", content_type="form")
    text = parse_qs(sent["body"])["payload"][0]
    assert sent["Content-Type"] == "application/x-www-form-urlencoded"
    assert sent["X-Gitea-Signature"] == hmac.new(b"k", text.encode(), "sha256").hexdigest()


def test_an_authorization_is_sent_as_it_was_given(one) -> None:
    assert with_hook(one, authorization="Bearer 123")["Authorization"] == "Bearer 123"


def test_a_get_hook_has_its_payload_in_the_query(one) -> None:
    sent = with_hook(one, settings={"http_method": "GET"})
    query = parse_qs(urlsplit(sent["url"]).query)
    assert (sent["method"], sent["body"]) == ("GET", "")
    assert json.loads(query["payload"][0])["ref"] == "refs/heads/main"


def test_forgejo_adds_its_own_headers(scene) -> None:
    one = scene("forgejo")
    one.host.commit("acme/app", {"a": "1"})
    headers = dict(one.sent()[-1].headers)
    assert headers["X-Forgejo-Event"] == headers["X-Gitea-Event"] == "push"
    assert headers["X-Forgejo-Signature"] == headers["X-Gitea-Signature"]


@pytest.mark.parametrize(
    ("target", "kind"), [("acme/app", "repository"), ("acme", "user"), ("", "system")], ids=["own", "owner's", "host's"]
)
def test_the_level_of_the_hook_is_told(one, target: str, kind: str) -> None:
    one.host.add_hook(target, url="http://level.test/")
    one.host.commit("acme/app", {"a": "1"})
    sent = next(outgoing for outgoing in one.sent() if outgoing.url == "http://level.test/")
    assert dict(sent.headers)["X-Gitea-Hook-Installation-Target-Type"] == kind


@pytest.mark.parametrize(
    ("target", "hears"),
    [
        pytest.param("acme", True, id="the owner's"),
        pytest.param("", True, id="the host's"),
        pytest.param("other", False, id="not another owner's"),
    ],
)
def test_hooks_of_other_levels_fire_too(one, target: str, hears: bool) -> None:
    one.host.add_hook(target, url="http://level.test/")
    one.host.commit("acme/app", {"a": "1"})
    assert ("http://level.test/" in [outgoing.url for outgoing in one.sent()]) is hears


def test_a_default_hook_is_copied_to_new_repositories(one) -> None:
    one.host.add_hook(url="http://default.test/", level="default")
    one.host.create_repository("acme/new")
    one.host.commit("acme/new", {"a": "1"})
    assert [outgoing.url for outgoing in one.sent()] == ["http://default.test/"]


def test_a_branch_filter_keeps_other_branches_out(one) -> None:
    one.host.add_hook("acme/app", url="http://filtered.test/", branch_filter="release/*")
    one.host.commit("acme/app", {"a": "1"})
    one.host.commit("acme/app", {"a": "2"}, branch="release/1")
    urls = [outgoing.url for outgoing in one.sent()]
    assert urls.count("http://filtered.test/") == 1


def test_a_repository_of_sha256_has_long_ids(scene) -> None:
    one = scene("gitea")
    one.host.create_repository("acme/long", object_format="sha256")
    one.host.add_hook("acme/long", url="http://long.test/")
    one.host.commit("acme/long", {"a": "1"})
    (pushed,) = one.bodies("push")
    assert (len(pushed["after"]), pushed["before"]) == (64, "0" * 64)
    assert pushed["repository"]["object_format_name"] == "sha256"


def test_a_delivery_arrives_over_http_and_is_logged(httpserver, git, work) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_json({"msg": "ok"})
    with GitHost() as host:
        host.create_repository("acme/app")
        host.add_hook("acme/app", url=httpserver.url_for("/hook"), secret="k")
        work(host)
        work("a", "1")
        git("push", "-q", "origin", "main", at="work")
        assert host.sender.settle()
        (row,) = host.deliveries
    request = httpserver.log[0][0]
    assert (row.event, row.outcome, row.status, row.attempt) == ("push", "delivered", 200, 1)
    assert json.loads(row.response_body) == {"msg": "ok"}
    assert request.headers["User-Agent"] == "Go-http-client/1.1"
    assert request.headers["X-Gitea-Signature"] == hmac.new(b"k", request.data, "sha256").hexdigest()
