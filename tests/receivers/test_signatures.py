"""Who is let in: the forms of a signature that count, and the near misses that do not (receivers.md 4)."""

import hashlib
import hmac

import pytest

from kargo_lab import profiles
from kargo_lab.receivers import RECEIVERS
from kargo_lab.wire import Delivery, Push, Refusal, Setup, Verdict

KEY, BODY = b"s3cr3t", b'{"zen":"ok"}'
HEX = {
    "sha1": "a46adf40b01bda310d51be29843d21ee7a801a8e",
    "sha256": "2ef16f4a345cb4b1e5cd07b5755f3a171abc817232a31326a835a069702de932",
    "sha512": "723efcf79cde9c07f3cfd3e5df8dd43c5b6975b243084ef4d0cba0c36de7257f"
    "b5ea468d4547f459260fba86611193bfdbf43370db1c1cec3560dd471c819027",
}
PREFIXED = {
    "github": ("X-GitHub-Event", "push", "X-Hub-Signature-256"),
    "bitbucket": ("X-Event-Key", "repo:push", "X-Hub-Signature"),
    "gitea": ("X-Gitea-Event", "push", "X-Hub-Signature-256"),
}


def _signed(kind: str, claimed: str, *, profile: str = "latest", body: bytes = BODY, key: bytes = KEY) -> Verdict:
    event_header, event, header = PREFIXED[kind]
    delivery = Delivery(headers={event_header: event, header: claimed}, body=body)
    return RECEIVERS[kind](delivery, Setup(secret=key), profiles.get(profile))


@pytest.mark.parametrize("kind", PREFIXED)
@pytest.mark.parametrize("algorithm", HEX)
def test_each_of_three_algorithms_is_taken_under_one_header(kind: str, algorithm: str) -> None:
    assert isinstance(_signed(kind, f"{algorithm}={HEX[algorithm]}"), Push)


@pytest.mark.parametrize("kind", PREFIXED)
def test_hex_may_be_upper_case(kind: str) -> None:
    assert isinstance(_signed(kind, f"sha256={HEX['sha256'].upper()}"), Push)


NEAR_MISSES = [
    pytest.param(HEX["sha256"], id="no prefix"),
    pytest.param(f"SHA256={HEX['sha256']}", id="the prefix in upper case"),
    pytest.param("sha256=", id="nothing behind the prefix"),
    pytest.param(f"sha256= {HEX['sha256']}", id="a blank behind the prefix"),
    pytest.param(f"sha256={HEX['sha256'][:-1]}", id="one digit short"),
    pytest.param(f"sha256={HEX['sha256'][:-2]}", id="one byte short"),
    pytest.param(f"sha256={HEX['sha256']}00", id="one byte more"),
    pytest.param(f"sha256={HEX['sha256'][:-2]}zz", id="letters that are no hex"),
    pytest.param(f"sha256={HEX['sha1']}", id="the digest of another algorithm"),
    pytest.param(f"sha1={HEX['sha256']}", id="the prefix of another algorithm"),
    pytest.param(f"md5={hmac.new(KEY, BODY, 'md5').hexdigest()}", id="an algorithm that is not taken"),
    pytest.param(f"sha384={hmac.new(KEY, BODY, 'sha384').hexdigest()}", id="another one of the family"),
    pytest.param(f"sha256={hashlib.sha256(KEY + BODY).hexdigest()}", id="a plain hash of key and body"),
    pytest.param(f"sha256={hmac.new(b'S3cr3t', BODY, 'sha256').hexdigest()}", id="another key"),
    pytest.param(f"sha256={hmac.new(KEY, BODY + b' ', 'sha256').hexdigest()}", id="another body"),
    pytest.param(f"sha256={HEX['sha256']},sha1={HEX['sha1']}", id="two in one value"),
    pytest.param("sha256=é", id="letters beyond ASCII"),
    pytest.param("=", id="a lone equals sign"),
]


@pytest.mark.parametrize("kind", PREFIXED)
@pytest.mark.parametrize("claimed", NEAR_MISSES)
def test_a_near_miss_is_unauthorized(kind: str, claimed: str) -> None:
    assert _signed(kind, claimed) == Refusal(401, "unauthorized")


@pytest.mark.parametrize("kind", PREFIXED)
def test_no_signature_is_called_missing(kind: str) -> None:
    assert _signed(kind, "") == Refusal(401, "missing signature")


@pytest.mark.parametrize("kind", PREFIXED)
def test_an_empty_secret_is_a_key_like_any_other_in_kargo(kind: str) -> None:
    claimed = "sha256=" + hmac.new(b"", BODY, "sha256").hexdigest()
    assert isinstance(_signed(kind, claimed, key=b""), Push)


@pytest.mark.parametrize("kind", PREFIXED)
def test_recommended_lets_no_empty_secret_authenticate(kind: str) -> None:
    claimed = "sha256=" + hmac.new(b"", BODY, "sha256").hexdigest()
    assert _signed(kind, claimed, key=b"", profile="recommended") == Refusal(401, "unauthorized")


@pytest.mark.parametrize("algorithm", ["sha1", "sha512"])
@pytest.mark.parametrize("kind", PREFIXED)
def test_recommended_takes_the_advertised_algorithm_only(kind: str, algorithm: str) -> None:
    assert _signed(kind, f"{algorithm}={HEX[algorithm]}", profile="recommended") == Refusal(401, "unauthorized")


@pytest.mark.parametrize(
    ("claimed", "verdict"),
    [
        pytest.param("", Refusal(401, "missing signature"), id="none"),
        pytest.param(HEX["sha256"].upper(), Refusal(401, "unauthorized"), id="upper-case hex"),
        pytest.param(f"sha256={HEX['sha256']}", Refusal(401, "unauthorized"), id="a prefix"),
        pytest.param("s3cr3t", Refusal(401, "unauthorized"), id="the plain secret"),
        pytest.param(
            HEX["sha256"],
            Refusal(501, "event type must be 'pushed' and domain must be 'docker'"),
            id="bare lower-case hex is let in",
        ),
    ],
)
def test_artifactory_takes_bare_lower_case_hex_only(claimed: str, verdict: Verdict) -> None:
    delivery = Delivery(headers={"X-JFrog-Event-Auth": claimed}, body=BODY)
    assert RECEIVERS["artifactory"](delivery, Setup(secret=KEY), profiles.LATEST) == verdict


@pytest.mark.parametrize(
    ("headers", "key", "verdict"),
    [
        pytest.param({}, b"s3cr3t", Refusal(401), id="no token"),
        pytest.param({"X-Gitlab-Token": "S3CR3T"}, b"s3cr3t", Refusal(401), id="another letter case"),
        pytest.param({"X-Gitlab-Token": "s3cr3t x"}, b"s3cr3t", Refusal(401), id="more than the token"),
        pytest.param(
            {"X-Gitlab-Token": "s3cr3t"}, b"s3cr3t", Refusal(400, "event type  is not supported"), id="the token"
        ),
        pytest.param(
            {"X-Gitlab-Token": "påske"}, "påske".encode(), Refusal(400, "event type  is not supported"), id="UTF-8"
        ),
        pytest.param({}, b"", Refusal(400, "event type  is not supported"), id="an empty secret needs no header"),
    ],
)
def test_gitlab_judges_the_token_first_and_says_nothing(headers: dict[str, str], key: bytes, verdict: Verdict) -> None:
    assert RECEIVERS["gitlab"](Delivery(headers=headers), Setup(secret=key), profiles.LATEST) == verdict


@pytest.mark.parametrize(
    ("claimed", "key", "verdict"),
    [
        pytest.param("", b"s3cr3t", Refusal(401, "missing authorization"), id="none"),
        pytest.param("Bearer s3cr3t", b"s3cr3t", Refusal(401, "unauthorized"), id="a scheme that is not in the secret"),
        pytest.param(
            "Basic dTpw", b"Basic dTpw", Refusal(400, "invalid request body"), id="a scheme that is in the secret"
        ),
        pytest.param("", b"", Refusal(401, "missing authorization"), id="an empty secret never authenticates"),
    ],
)
def test_harbor_compares_the_whole_header(claimed: str, key: bytes, verdict: Verdict) -> None:
    delivery = Delivery(headers={"Authorization": claimed}, body=b"{")
    assert RECEIVERS["harbor"](delivery, Setup(secret=key), profiles.LATEST) == verdict
