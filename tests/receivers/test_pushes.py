"""What a push names: repositories, qualifiers and changed files, by the tables of receivers.md 4."""

import json
from typing import Any

import pytest

from kargo_lab import payloads, profiles
from kargo_lab.receivers import RECEIVERS
from kargo_lab.wire import Acknowledged, NoAnswer, PullRequestClosed, Push, Refusal, Setup, Verdict

GITHUB = ("https://github.com/acme/guestbook", "ssh://git@github.com/acme/guestbook")
GITLAB = ("https://gitlab.com/acme/guestbook", "ssh://git@gitlab.com/acme/guestbook")
GITEA = ("https://gitea.acme.example/acme/guestbook",)
CLOUD = ("https://bitbucket.org/acme/guestbook",)
SERVER = (
    "ssh://git@bitbucket.acme.example:7999/shop/guestbook",
    "https://bitbucket.acme.example/scm/shop/guestbook",
)
FILES = ("apps/guestbook/greeting.txt",)


def push(urls: tuple[str, ...], *qualifiers: str, files: tuple[str, ...] = ()) -> Push:
    return Push(repo_urls=urls, qualifiers=qualifiers, changed_files=files)


def verdict(delivery: str, profile: str = "latest", **setup: Any) -> Verdict:
    platform, event, variant = delivery.split("/")
    request = payloads.sign(payloads.render(platform, event, variant), platform, b"s3cr3t")
    receiver = payloads.RECEIVERS.get(platform, platform)
    return RECEIVERS[receiver](request.delivery(), Setup(secret=b"s3cr3t", **setup), profiles.get(profile))


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        ("github/push/default", push(GITHUB, "refs/heads/main", files=FILES)),
        ("github/push/tag", push(GITHUB, "refs/tags/v1.4.0", files=FILES)),
        ("github/push/branch-deleted", push(GITHUB, "refs/heads/feature-greeting")),
        ("github/push/commits-2048", push(GITHUB, "refs/heads/main")),
        ("github/push/commits-2047", push(GITHUB, "refs/heads/main", files=FILES)),
        ("github/push/files-without-lists", push(GITHUB, "refs/heads/main")),
        ("github/push/owner-upper-case", push(GITHUB, "refs/heads/main", files=FILES)),
        ("github/push/form", Refusal(400, "invalid request body")),
        ("github/push/null-commit", NoAnswer("a commit is null, and Kargo's code takes every commit for an object")),
        ("github/package/chart", push(("ghcr.io/acme/charts/guestbook",), "1.4.0")),
        ("github/package/untagged", push(("ghcr.io/acme/guestbook",))),
        ("github/package/trailing-colon", push(("ghcr.io/acme/guestbook",))),
        ("github/package/version-null", Refusal(400, "invalid request body")),
        ("github/package/npm", Acknowledged()),
        ("github/package/type-lower-case", Acknowledged()),
        ("github/registry-package/wrong-member", Refusal(400, "invalid request body")),
        ("github/pull-request/closed-unmerged", PullRequestClosed("https://github.com/acme/guestbook/pull/42")),
        ("github/pull-request/synchronize", Acknowledged()),
        ("gitlab/push-hook/default", push(GITLAB, "refs/heads/main", files=FILES)),
        ("gitlab/push-hook/commits-20", push(GITLAB, "refs/heads/main", files=FILES)),
        ("gitlab/push-hook/commits-truncated", push(GITLAB, "refs/heads/main")),
        ("gitlab/tag-push-hook/with-commits", push(GITLAB, "refs/tags/v1.4.0")),
        ("gitlab/system-hook/push", Refusal(400, "event type System Hook is not supported")),
        (
            "gitlab/merge-request-hook/closed",
            PullRequestClosed("https://gitlab.com/acme/guestbook/-/merge_requests/42"),
        ),
        ("gitlab/merge-request-hook/without-action", Acknowledged()),
        ("bitbucket/repo-push/default", push(CLOUD, "refs/heads/main")),
        ("bitbucket/repo-push/tag-annotated", push(CLOUD, "refs/tags/v1.4.0")),
        ("bitbucket/repo-push/annotated-tag-type", push(CLOUD, "refs/heads/v1.4.0")),
        ("bitbucket/repo-push/branch-deleted", push(CLOUD)),
        ("bitbucket/repo-push/deletion-and-update", push(CLOUD, "refs/heads/main")),
        ("bitbucket/repo-push/owner-upper-case", push(("https://bitbucket.org/Acme/GuestBook",), "refs/heads/main")),
        ("bitbucket/repo-refs-changed/default", push(SERVER, "refs/heads/main")),
        ("bitbucket/repo-refs-changed/without-links", push((), "refs/heads/main")),
        ("bitbucket/pr-merged/without-links", PullRequestClosed("")),
        ("bitbucket/diagnostics-ping/default", Refusal(400, "event type diagnostics:ping is not supported")),
        ("dockerhub/push/library", push(("nginx",), "1.27")),
        ("dockerhub/push/float-times", push(("acme/guestbook",), "v1.4.0")),
        ("dockerhub/push/keys-other-case", push(("acme/guestbook",), "v1.4.0")),
        ("quay/push/tags-many", push(("quay.io/acme/guestbook",), "v1.4.0", "latest", "v1", "v1.4")),
        ("quay/vulnerability-found/default", push(("quay.io/acme/guestbook",))),
        (
            "harbor/push-artifact/resources-of-two-repositories",
            push(("harbor.acme.example/acme/guestbook",), "v1.4.0", "v2.0.0"),
        ),
        ("harbor/push-artifact/resources-none", push(())),
        ("harbor/cloudevents/artifact-pushed", Refusal(400, "unsupported event type")),
        ("azure/push/digest-only", push(("acme.azurecr.io/guestbook",))),
        ("azure/push/without-request", push(("/guestbook",), "v1.4.0")),
        ("azure/chart-push/default", Refusal(400, "event type chart_push is not supported")),
        (
            "azure/git-push/remote-with-blank",
            push(("https://dev.azure.com/acme/corner%20shop/_git/guestbook",), "refs/heads/main"),
        ),
        (
            "azure/git-pullrequest-merged/attempt",
            PullRequestClosed("https://dev.azure.com/acme/shop/_git/guestbook/pullrequest/42"),
        ),
        ("azure/git-pullrequest-updated/completed", Acknowledged()),
        ("gitea/push/default", push(GITEA, "refs/heads/main", files=FILES)),
        ("gitea/push/commits-truncated", push(GITEA, "refs/heads/main")),
        ("gitea/push/without-total", push(GITEA, "refs/heads/main", files=FILES)),
        ("gitea/push/null-commit", push(GITEA, "refs/heads/main")),
        ("gitea/push/form", Refusal(401, "unauthorized")),
        ("gitea/package/created", Refusal(501, "event type  is not supported")),
        ("forgejo/push/tag", push(("https://forgejo.acme.example/acme/guestbook",), "refs/tags/v1.4.0")),
        ("gogs/push/default", Refusal(501, "event type  is not supported")),
        ("artifactory/docker-pushed/chart", push(("acme.jfrog.example/helm-local/guestbook",), "1.4.0")),
        ("artifactory/docker-pushed/origin-missing", push(("/docker-local/team/guestbook",), "v1.4.0")),
        ("artifactory/docker-pushed/npm-type", Refusal(501, 'unsupported image type "npm"')),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_delivery_of_the_corpus_means(delivery: str, expected: Verdict) -> None:
    assert verdict(delivery) == expected


DIFFERENCES = [
    ("github/push/default", "v1.6", push(GITHUB[:1])),
    ("github/push/default", "v1.7", push(GITHUB[:1], "refs/heads/main")),
    ("github/push/default", "v1.9", push(GITHUB, "refs/heads/main")),
    ("github/push/default", "v1.10", push(GITHUB, "refs/heads/main", files=FILES)),
    ("github/push/null-commit", "v1.9", push(GITHUB, "refs/heads/main")),
    ("github/push/null", "v1.10", push(())),
    ("github/push/null", "v1.11", Acknowledged(empty=True)),
    ("github/registry-package/default", "v1.6", Refusal(400, "event type registry_package is not supported")),
    ("github/package/trailing-colon", "v1.6", Refusal(500)),
    ("github/package/owner-upper-case", "v1.6", Refusal(500)),
    (
        "github/package/owner-upper-case",
        "v1.8",
        push(("ghcr.io/Acme/GuestBook:v1.4.0",), "v1.4.0"),
    ),
    ("github/pull-request/default", "v1.10", Refusal(400, "event type pull_request is not supported")),
    ("gitlab/push-hook/default", "v1.7", push(GITLAB[:1], "refs/heads/main")),
    ("gitlab/tag-push-hook/default", "v1.6", Refusal(400, "event type Tag Push Hook is not supported")),
    ("bitbucket/repo-push/default", "v1.6", push(CLOUD)),
    ("bitbucket/repo-push/default", "v1.10", push(CLOUD, "main")),
    ("bitbucket/repo-refs-changed/default", "v1.7", Refusal(400, "event type repo:refs_changed is not supported")),
    ("quay/push/malformed-tags", "v1.6", push(("quay.io/acme/guestbook",))),
    ("gitea/pull-request/default", "v1.10", Refusal(501, "event type pull_request is not supported")),
    ("artifactory/docker-pushed/malformed-origin", "v1.7", Refusal(400, "invalid request body")),
    (
        "artifactory/docker-pushed/path-of-one-segment",
        "v1.7",
        NoAnswer("the path has one segment, and Kargo's code cuts off two"),
    ),
    (
        "azure/git-pullrequest-merged/default",
        "v1.10",
        Refusal(400, "event type git.pullrequest.merged is not supported"),
    ),
]


@pytest.mark.parametrize(
    ("delivery", "profile", "expected"), DIFFERENCES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_older_version_takes_it_otherwise(delivery: str, profile: str, expected: Verdict) -> None:
    assert verdict(delivery, profile) == expected


@pytest.mark.parametrize(("profile", "key"), [("v1.7", "docker-local"), ("v1.8", "docker")])
def test_a_virtual_repository_takes_the_place_of_the_local_one_since_1_8(profile: str, key: str) -> None:
    found = verdict("artifactory/docker-pushed/default", profile, virtual_repo_name="docker")
    assert found == push((f"acme.jfrog.example/{key}/team/guestbook",), "v1.4.0")


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        ("github/issues/opened", Acknowledged("event type issues is not supported, so nothing was refreshed")),
        ("github/push/branch-deleted", Acknowledged("a deletion brings nothing new, so nothing was refreshed")),
        ("github/push/tag-deleted", Acknowledged("a deletion brings nothing new, so nothing was refreshed")),
        ("github/push/null", Refusal(400, "invalid request body")),
        ("github/push/null-commit", push(GITHUB, "refs/heads/main", files=FILES)),
        ("gitlab/push-hook/branch-deleted", Acknowledged("a deletion brings nothing new, so nothing was refreshed")),
        ("gitlab/tag-push-hook/deleted", Acknowledged("a deletion brings nothing new, so nothing was refreshed")),
        ("gitlab/issue-hook/opened", Acknowledged("event type Issue Hook is not supported, so nothing was refreshed")),
        ("bitbucket/repo-push/branch-deleted", Acknowledged("a deletion brings nothing new, so nothing was refreshed")),
        ("bitbucket/repo-push/owner-upper-case", push(CLOUD, "refs/heads/main")),
        (
            "bitbucket/repo-refs-changed/branch-deleted",
            Acknowledged("a deletion brings nothing new, so nothing was refreshed"),
        ),
        ("bitbucket/repo-refs-changed/changes-several", push(SERVER, "refs/heads/main", "refs/tags/v1.4.0")),
        (
            "bitbucket/diagnostics-ping/default",
            Acknowledged("event type diagnostics:ping is not supported, so nothing was refreshed"),
        ),
        (
            "azure/git-push/deletion-and-update",
            push(("https://dev.azure.com/acme/shop/_git/guestbook",), "refs/heads/main"),
        ),
        ("azure/git-push/branch-deleted", Acknowledged("a deletion brings nothing new, so nothing was refreshed")),
        ("gitea/push/tag-deleted", Acknowledged("a deletion brings nothing new, so nothing was refreshed")),
        ("gitea/delete/branch", Acknowledged("event type delete is not supported, so nothing was refreshed")),
        ("harbor/pull-artifact/default", Acknowledged("unsupported event type, so nothing was refreshed")),
        (
            "harbor/push-artifact/resources-of-two-repositories",
            push(("harbor.acme.example/acme/guestbook", "harbor.acme.example/acme/other"), "v1.4.0", "v2.0.0"),
        ),
        (
            "artifactory/docker-deleted/default",
            Acknowledged("event type must be 'pushed' and domain must be 'docker', so nothing was refreshed"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_recommended_takes_it_better(delivery: str, expected: Verdict) -> None:
    assert verdict(delivery, "recommended") == expected


@pytest.mark.parametrize(
    "delivery", ["github/issues/opened", "bitbucket/diagnostics-ping/default", "gitea/fork/default"]
)
def test_recommended_acknowledges_only_what_is_signed(delivery: str) -> None:
    platform, event, variant = delivery.split("/")
    request = payloads.sign(payloads.render(platform, event, variant), platform, b"another")
    found = RECEIVERS[platform](request.delivery(), Setup(secret=b"s3cr3t"), profiles.get("recommended"))
    assert found == Refusal(401, "unauthorized")


@pytest.mark.parametrize("value", [7, {}, ["x"], True])
def test_a_declared_member_of_another_type_is_refused_even_where_nobody_reads_it(value: object) -> None:
    body = json.loads(payloads.render("bitbucket", "repo:push", "minimal").body)
    body["actor"] = {"emailAddress": value}
    request = payloads.render("bitbucket", "repo:push", "minimal")
    signed = payloads.sign(payloads.Request(headers=request.headers, body=json.dumps(body).encode()), "bitbucket", b"k")
    assert RECEIVERS["bitbucket"](signed.delivery(), Setup(secret=b"k"), profiles.LATEST) == Refusal(
        400, "invalid request body"
    )
