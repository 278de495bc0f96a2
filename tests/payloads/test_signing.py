import base64
import hashlib
import hmac

import pytest

from kargo_lab import payloads, profiles
from kargo_lab.errors import UsageError
from kargo_lab.payloads import Request, sign
from kargo_lab.receivers import RECEIVERS
from kargo_lab.wire import Push, Setup

BODY = b'{"zen":"ok"}'
SHA1, SHA256 = (
    "a46adf40b01bda310d51be29843d21ee7a801a8e",
    "2ef16f4a345cb4b1e5cd07b5755f3a171abc817232a31326a835a069702de932",
)


def _headers(platform: str, secret: str = "s3cr3t", **more: str) -> dict[str, str]:
    return dict(sign(Request(body=BODY), platform, secret, **more).headers)


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("github", {"X-Hub-Signature": f"sha1={SHA1}", "X-Hub-Signature-256": f"sha256={SHA256}"}),
        ("bitbucket", {"X-Hub-Signature": f"sha256={SHA256}"}),
        ("gitlab", {"X-Gitlab-Token": "s3cr3t"}),
        ("harbor", {"Authorization": "s3cr3t"}),
        ("artifactory", {"X-JFrog-Event-Auth": SHA256}),
        ("gogs", {"X-Gogs-Signature": SHA256}),
        (
            "gitea",
            {
                "X-Gitea-Signature": SHA256,
                "X-Gogs-Signature": SHA256,
                "X-Hub-Signature": f"sha1={SHA1}",
                "X-Hub-Signature-256": f"sha256={SHA256}",
            },
        ),
        ("dockerhub", {}),
        ("quay", {}),
        ("azure", {}),
        ("generic", {}),
    ],
)
def test_each_platform_proves_itself_in_its_own_headers(platform: str, expected: dict[str, str]) -> None:
    assert _headers(platform) == expected


def test_without_a_secret_most_platforms_leave_the_headers_out() -> None:
    assert _headers("github", "") == {}


def test_without_a_secret_gitea_sends_them_empty() -> None:
    assert _headers("gitea", "") == {
        "X-Gitea-Signature": "",
        "X-Gogs-Signature": "",
        "X-Hub-Signature": "sha1=",
        "X-Hub-Signature-256": "sha256=",
    }


@pytest.mark.parametrize(
    ("platform", "accepted"), [("github", "body"), ("gitea", "json"), ("forgejo", "json"), ("gogs", "json")]
)
def test_a_form_is_signed_whole_by_github_and_by_its_json_elsewhere(platform: str, accepted: str) -> None:
    request = payloads.render(platform, "push", "form")
    assert request.signed is not None
    covered = request.body if accepted == "body" else request.signed
    name = {"github": "X-Hub-Signature-256", "gogs": "X-Gogs-Signature"}.get(platform, "X-Gitea-Signature")
    expected = hmac.new(b"k", covered, hashlib.sha256).hexdigest()
    assert sign(request, platform, "k").header(name).removeprefix("sha256=") == expected


def test_the_signing_token_of_gitlab_19_covers_id_time_and_body() -> None:
    key = b"\x01" * 24
    request = sign(
        payloads.render("gitlab", "push", "signing-token", time="2026-01-01T00:00:00Z", delivery="d"),
        "gitlab",
        "whsec_" + base64.b64encode(key).decode(),
        scheme="gitlab-signing-token",
    )
    message = b"d.1767225600." + request.body
    expected = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    assert request.header("webhook-signature") == f"v1,{expected}"


def test_a_signing_token_that_is_no_base64_is_an_error() -> None:
    with pytest.raises(UsageError):
        _headers("gitlab", "whsec_!", scheme="gitlab-signing-token")


def test_an_unknown_scheme_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="there are artifactory"):
        _headers("github", scheme="rot13")


@pytest.mark.parametrize("platform", ["github", "gitlab", "bitbucket", "gitea", "forgejo", "harbor", "artifactory"])
def test_what_is_signed_here_is_believed_by_the_receiver(platform: str) -> None:
    event = {"bitbucket": "repo:push", "harbor": "push-artifact", "artifactory": "docker-pushed"}.get(platform, "push")
    request = sign(payloads.render(platform, event), platform, "påske🔑".encode())
    receiver = payloads.RECEIVERS.get(platform, platform)
    verdict = RECEIVERS[receiver](request.delivery(), Setup(secret="påske🔑".encode()), profiles.LATEST)
    assert isinstance(verdict, Push)


def test_a_signature_replaces_one_that_was_there_in_any_letter_case() -> None:
    request = Request(headers=(("x-gitlab-token", "old"),), body=BODY)
    assert sign(request, "gitlab", "new").headers == (("X-Gitlab-Token", "new"),)
