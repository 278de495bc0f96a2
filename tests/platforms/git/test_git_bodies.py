"""What the other Git platforms send: the facts that differ, and that the reference receivers understand all of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from kargo_lab import profiles
from kargo_lab.platforms.git.personas import PERSONAS
from kargo_lab.receivers import RECEIVERS
from kargo_lab.rules import urls
from kargo_lab.wire import Delivery, PullRequestClosed, Push, Setup

ZEROS = "0" * 40
LATEST = profiles.get("latest")
RECEIVER = {
    "azure-devops": "azure",
    "bitbucket": "bitbucket",
    "bitbucket-data-center": "bitbucket",
    "forgejo": "gitea",
    "gitea": "gitea",
    "github": "github",
    "gitlab": "gitlab",
}


def verdicts(persona: str, sent: list[Any]) -> list[Any]:
    receive, setup = RECEIVERS[RECEIVER[persona]], Setup(secret=b"s3cr3t")
    return [receive(Delivery(headers=one.headers, body=one.body), setup, LATEST) for one in sent]


@pytest.mark.parametrize("persona", sorted(PERSONAS))
def test_the_reference_receiver_understands_a_push(persona: str, scene) -> None:
    one = scene(persona)
    one.host.commit("acme/app", {"first": "1"})
    one.sent()
    one.host.commit("acme/app", {"a.txt": "1"})
    pushes = [verdict for verdict in verdicts(persona, one.sent()) if isinstance(verdict, Push)]
    assert [push.qualifiers for push in pushes] == [("refs/heads/main",)]
    assert urls.normalize_git(one.host.clone_url("acme/app")) in pushes[0].repo_urls


@pytest.mark.parametrize("persona", sorted(PERSONAS))
def test_the_reference_receiver_understands_a_tag(persona: str, scene) -> None:
    one = scene(persona)
    one.host.commit("acme/app", {"first": "1"})
    one.sent()
    one.host.tag("acme/app", "v1.0.0", message="one")
    pushes = [verdict for verdict in verdicts(persona, one.sent()) if isinstance(verdict, Push)]
    assert [push.qualifiers for push in pushes] == [("refs/tags/v1.0.0",)]


@pytest.mark.parametrize("persona", sorted(PERSONAS))
def test_the_reference_receiver_understands_a_merge(persona: str, scene) -> None:
    one = scene(persona)
    one.host.commit("acme/app", {"first": "1"})
    one.host.commit("acme/app", {"topic": "1"}, branch="topic")
    one.host.open_pull("acme/app", head="topic")
    one.sent()
    one.host.merge_pull("acme/app", 1)
    closed = [verdict for verdict in verdicts(persona, one.sent()) if isinstance(verdict, PullRequestClosed)]
    assert len(closed) >= 1
    assert all("acme/" in verdict.url for verdict in closed)


@pytest.mark.parametrize("persona", ["github", "gitea", "gitlab"])
def test_the_changed_files_are_told(persona: str, scene) -> None:
    one = scene(persona)
    one.host.commit("acme/app", {"first": "1"})
    one.sent()
    one.host.commit("acme/app", {"a.txt": "1", "first": None})
    (push,) = verdicts(persona, one.sent())
    assert set(push.changed_files) == {"a.txt", "first"}


class TestGitHub:
    @pytest.fixture
    def one(self, scene):
        made = scene("github")
        made.host.commit("acme/app", {"first": "1"})
        made.sent()
        return made

    def test_commits_are_oldest_first_and_distinct(self, one) -> None:
        one.host.commit("acme/app", {"a": "1"}, branch="topic")
        one.host.commit("acme/app", {"b": "1"}, branch="topic")
        one.sent()
        one.host.merge("acme/app", "topic")
        (pushed,) = one.bodies("push")
        assert [commit["message"] for commit in pushed["commits"]] == ["Change files"] * 2 + ["Merge topic into main"]
        assert [commit["distinct"] for commit in pushed["commits"]] == [False, False, True]

    def test_a_new_branch_at_an_old_commit_has_no_commits_and_a_base(self, one) -> None:
        one.host.branch("acme/app", "same")
        (pushed,) = one.bodies("push")
        assert (pushed["created"], pushed["commits"], pushed["base_ref"]) == (True, [], "refs/heads/main")
        assert pushed["head_commit"]["id"] == pushed["after"]

    def test_an_annotated_tag_is_told_by_its_own_id(self, one) -> None:
        tag = one.host.tag("acme/app", "v1", message="one")
        (pushed,) = one.bodies("push")
        assert pushed["after"] == tag != pushed["head_commit"]["id"]
        assert (pushed["created"], pushed["commits"]) == (True, [])

    def test_a_moved_tag_is_forced(self, one) -> None:
        one.host.tag("acme/app", "v1")
        one.host.commit("acme/app", {"b": "1"})
        one.sent()
        one.host.tag("acme/app", "v1")
        (pushed,) = one.bodies("push")
        assert (pushed["forced"], pushed["created"]) == (True, False)

    def test_a_deletion_has_no_head(self, one) -> None:
        one.host.tag("acme/app", "v1")
        one.sent()
        one.host.delete_ref("acme/app", "refs/tags/v1")
        pushed, deleted = one.bodies()
        assert (pushed["deleted"], pushed["after"], pushed["head_commit"]) == (True, ZEROS, None)
        assert deleted["ref"] == "v1"

    def test_a_rewound_branch_is_forced(self, one) -> None:
        first = one.host.refs("acme/app")["refs/heads/main"]
        one.host.commit("acme/app", {"b": "1"})
        one.sent()
        one.host.branch("acme/app", "main", target=first)
        (pushed,) = one.bodies("push")
        assert (pushed["forced"], pushed["commits"]) == (True, [])

    def test_the_headers_name_hook_and_target(self, one) -> None:
        one.host.commit("acme/app", {"b": "1"})
        (sent,) = one.sent()
        headers = dict(sent.headers)
        assert headers["X-GitHub-Hook-ID"] == str(one.hook.id)
        assert headers["X-GitHub-Hook-Installation-Target-Type"] == "repository"
        assert headers["User-Agent"].startswith("GitHub-Hookshot/")
        assert headers["X-GitHub-Delivery"] == sent.guid

    def test_a_form_is_signed_as_it_is_sent(self, one) -> None:
        one.host.add_hook("acme/app", url="http://form.test/", secret="k", content_type="form")
        one.host.commit("acme/app", {"b": "1"})
        sent = next(outgoing for outgoing in one.sent() if outgoing.url == "http://form.test/")
        true = hmac.new(b"k", sent.body, hashlib.sha256).hexdigest()
        assert dict(sent.headers)["X-Hub-Signature-256"] == f"sha256={true}"
        assert json.loads(parse_qs(sent.body.decode())["payload"][0])["ref"] == "refs/heads/main"

    def test_a_hook_without_secret_sends_no_signature(self, one) -> None:
        one.host.add_hook("acme/app", url="http://open.test/")
        one.host.commit("acme/app", {"b": "1"})
        sent = next(outgoing for outgoing in one.sent() if outgoing.url == "http://open.test/")
        assert not [name for name, _ in sent.headers if name.startswith("X-Hub")]

    def test_an_organisation_is_named(self, one) -> None:
        one.host.forge.add_account("corp", organization=True)
        one.host.create_repository("corp/tool")
        one.host.add_hook("corp", url="http://corp.test/")
        one.host.commit("corp/tool", {"a": "1"})
        (sent,) = one.sent()
        assert json.loads(sent.body)["organization"]["login"] == "corp"
        assert dict(sent.headers)["X-GitHub-Hook-Installation-Target-Type"] == "organization"


class TestGitLab:
    @pytest.fixture
    def one(self, scene):
        made = scene("gitlab")
        made.host.commit("acme/app", {"first": "1"})
        made.sent()
        return made

    def test_the_token_travels_in_clear(self, one) -> None:
        one.host.commit("acme/app", {"a": "1"})
        headers = dict(one.sent()[0].headers)
        assert (headers["X-Gitlab-Event"], headers["X-Gitlab-Token"]) == ("Push Hook", "s3cr3t")
        assert headers["webhook-id"] == headers["Idempotency-Key"]

    def test_a_tag_is_another_event_with_its_message(self, one) -> None:
        one.host.tag("acme/app", "v1", message="release one")
        (sent,) = one.sent()
        body = json.loads(sent.body)
        assert dict(sent.headers)["X-Gitlab-Event"] == "Tag Push Hook"
        assert (body["object_kind"], body["ref"], body["message"]) == ("tag_push", "refs/tags/v1", "release one")
        assert body["checkout_sha"] == one.host.refs("acme/app")["refs/heads/main"] != body["after"]

    def test_a_deleted_ref_has_no_checkout(self, one) -> None:
        one.host.tag("acme/app", "v1")
        one.sent()
        one.host.delete_ref("acme/app", "refs/tags/v1")
        (body,) = one.bodies()
        assert (body["after"], body["checkout_sha"], body["total_commits_count"]) == (ZEROS, None, 0)

    def test_twenty_commits_are_told_and_all_are_counted(self, one, git, work) -> None:
        work(one.host)
        ids = [work("n", str(number)) for number in range(22)]
        git("push", "-q", "origin", "main", at="work")
        (body,) = one.bodies()
        assert body["total_commits_count"] == 22
        assert [commit["id"] for commit in body["commits"]] == ids[2:]

    def test_push_options_are_told(self, one, git, work) -> None:
        work(one.host)
        work("n", "1")
        git("push", "-q", "-o", "ci.skip", "-o", "ci.variable=A=1", "origin", "main", at="work")
        assert one.bodies()[0]["push_options"] == {"ci": {"skip": True, "variable": "A=1"}}

    def test_a_signing_token_signs_id_time_and_body(self, one) -> None:
        key = base64.b64encode(b"key").decode()
        one.host.add_hook("acme/app", url="http://signed.test/", settings={"signing_token": f"whsec_{key}"})
        one.host.commit("acme/app", {"a": "1"})
        sent = next(outgoing for outgoing in one.sent() if outgoing.url == "http://signed.test/")
        headers = dict(sent.headers)
        message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + sent.body
        true = base64.b64encode(hmac.new(b"key", message, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{true}"
        assert "X-Gitlab-Token" not in headers

    def test_a_hook_of_the_host_is_a_system_hook(self, one) -> None:
        one.host.add_hook(url="http://system.test/")
        one.host.commit("acme/app", {"a": "1"})
        sent = next(outgoing for outgoing in one.sent() if outgoing.url == "http://system.test/")
        assert dict(sent.headers)["X-Gitlab-Event"] == "System Hook"

    def test_a_merge_is_told_with_its_action(self, one) -> None:
        one.host.commit("acme/app", {"topic": "1"}, branch="topic")
        one.host.open_pull("acme/app", head="topic")
        one.sent()
        one.host.merge_pull("acme/app", 1)
        attributes = one.bodies("merge_request")[0]["object_attributes"]
        assert (attributes["action"], attributes["state"], attributes["iid"]) == ("merge", "merged", 1)


class TestBitbucketCloud:
    @pytest.fixture
    def one(self, scene):
        made = scene("bitbucket")
        made.host.commit("acme/app", {"first": "1"})
        made.sent()
        return made

    def test_a_deletion_has_no_new_and_no_zeros(self, one) -> None:
        one.host.branch("acme/app", "gone")
        one.sent()
        one.host.delete_ref("acme/app", "refs/heads/gone")
        (change,) = one.bodies()[0]["push"]["changes"]
        assert (change["new"], change["closed"], change["old"]["name"]) == (None, True, "gone")
        assert len(change["old"]["target"]["hash"]) == 40
        assert "commits" not in change

    def test_a_tag_has_a_bare_name_and_its_message(self, one) -> None:
        one.host.tag("acme/app", "v1", message="one")
        (change,) = one.bodies()[0]["push"]["changes"]
        assert (change["new"]["type"], change["new"]["name"], change["new"]["message"]) == ("tag", "v1", "one\n")
        assert (change["old"], change["created"]) == (None, True)

    def test_five_commits_are_told_newest_first(self, one, git, work) -> None:
        work(one.host)
        ids = [work("n", str(number)) for number in range(6)]
        git("push", "-q", "origin", "main", at="work")
        (change,) = one.bodies()[0]["push"]["changes"]
        assert change["truncated"] is True
        assert [commit["hash"] for commit in change["commits"]] == ids[:0:-1]

    def test_the_signature_is_sha256_under_the_old_name(self, one) -> None:
        one.host.commit("acme/app", {"a": "1"})
        (sent,) = one.sent()
        headers = dict(sent.headers)
        assert headers["X-Hub-Signature"] == f"sha256={hmac.new(b's3cr3t', sent.body, 'sha256').hexdigest()}"
        assert (headers["X-Event-Key"], headers["X-Attempt-Number"]) == ("repo:push", "1")


class TestBitbucketDataCenter:
    @pytest.fixture
    def one(self, scene):
        made = scene("bitbucket-data-center")
        made.host.commit("acme/app", {"first": "1"})
        made.sent()
        return made

    def test_changes_have_full_refs_and_types(self, one, git, work) -> None:
        work(one.host)
        work("a", "1")
        git("tag", "v1", at="work")
        git("push", "-q", "origin", "main", "v1", at="work")
        changes = one.bodies()[0]["changes"]
        assert [(change["refId"], change["type"], change["ref"]["type"]) for change in changes] == [
            ("refs/heads/main", "UPDATE", "BRANCH"),
            ("refs/tags/v1", "ADD", "TAG"),
        ]

    def test_a_deletion_has_zeros(self, one) -> None:
        one.host.tag("acme/app", "v1")
        one.sent()
        one.host.delete_ref("acme/app", "refs/tags/v1")
        (change,) = one.bodies()[0]["changes"]
        assert (change["type"], change["toHash"]) == ("DELETE", ZEROS)

    def test_the_clone_link_can_be_cloned(self, one, git) -> None:
        one.host.commit("acme/app", {"a": "1"})
        links = one.bodies()[0]["repository"]["links"]["clone"]
        http = next(link["href"] for link in links if link["name"] == "http")
        git("clone", "-q", http, "again")
        assert http == one.host.clone_url("acme/app")

    def test_the_date_has_no_colon_and_the_type_has_a_charset(self, one) -> None:
        one.host.commit("acme/app", {"a": "1"})
        (sent,) = one.sent()
        assert json.loads(sent.body)["date"].endswith("+0000")
        assert dict(sent.headers)["Content-Type"] == "application/json; charset=utf-8"

    def test_credentials_are_sent(self, one) -> None:
        settings = {"credentials": {"username": "u", "password": "p"}}
        one.host.add_hook("acme/app", url="http://basic.test/", settings=settings)
        one.host.commit("acme/app", {"a": "1"})
        sent = next(outgoing for outgoing in one.sent() if outgoing.url == "http://basic.test/")
        assert dict(sent.headers)["Authorization"] == f"Basic {base64.b64encode(b'u:p').decode()}"


class TestAzureDevOps:
    @pytest.fixture
    def one(self, scene):
        made = scene("azure-devops")
        made.host.commit("acme/app", {"first": "1"})
        made.sent()
        return made

    def test_all_refs_of_a_push_are_in_one_body(self, one, git, work) -> None:
        work(one.host)
        work("a", "1")
        git("tag", "v1", at="work")
        git("push", "-q", "origin", "main", "v1", at="work")
        updates = one.bodies()[0]["resource"]["refUpdates"]
        assert [update["name"] for update in updates] == ["refs/heads/main", "refs/tags/v1"]

    def test_a_deletion_has_zeros_and_no_commits(self, one) -> None:
        one.host.tag("acme/app", "v1")
        one.sent()
        one.host.delete_ref("acme/app", "refs/tags/v1")
        resource = one.bodies()[0]["resource"]
        assert resource["refUpdates"][0]["newObjectId"] == ZEROS
        assert "commits" not in resource

    def test_the_remote_url_can_be_cloned(self, one, git) -> None:
        one.host.commit("acme/app", {"a": "1"})
        git("clone", "-q", one.bodies()[0]["resource"]["repository"]["remoteUrl"], "again")

    def test_a_merge_attempt_is_told_when_a_pull_request_opens(self, one) -> None:
        one.host.commit("acme/app", {"topic": "1"}, branch="topic")
        one.sent()
        one.host.open_pull("acme/app", head="topic")
        told = [(body["eventType"], body["resource"]["status"]) for body in one.bodies()]
        assert told == [("git.pullrequest.created", "active"), ("git.pullrequest.merged", "active")]

    def test_there_is_neither_signature_nor_event_header(self, one) -> None:
        one.host.commit("acme/app", {"a": "1"})
        assert {name for name, _ in one.sent()[0].headers} == {"User-Agent", "Content-Type"}

    def test_headers_of_the_subscription_are_sent(self, one) -> None:
        settings = {"httpHeaders": {"X-Lab": "1"}, "basicAuthUsername": "u", "basicAuthPassword": "p"}
        one.host.add_hook("acme/app", url="http://extra.test/", settings=settings)
        one.host.commit("acme/app", {"a": "1"})
        sent = next(outgoing for outgoing in one.sent() if outgoing.url == "http://extra.test/")
        assert dict(sent.headers)["X-Lab"] == "1"
        assert dict(sent.headers)["Authorization"].startswith("Basic ")
