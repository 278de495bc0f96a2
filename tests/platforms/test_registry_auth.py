"""Who may do what at a registry, and how a client finds out."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.platforms.oci.auth import (
    Allowed,
    BasicAuthority,
    BearerAuthority,
    Challenge,
    Need,
    OpenAuthority,
    basic_credentials,
)
from kargo_lab.platforms.registry import Registry

USERS = {"me": "s3cr3t"}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ME = "Basic " + base64.b64encode(b"me:s3cr3t").decode()
PULL, PUSH = Need("repository", "acme/app", ("pull",)), Need("repository", "acme/app", ("pull", "push"))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Clock:
    time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bearer(clock: Clock) -> BearerAuthority:
    return BearerAuthority(USERS, now=clock, seconds=60)


def token(authority: BearerAuthority, authorization: str, *scopes: str) -> str:
    return "Bearer " + str(authority.answer(authorization, scopes).body["token"])


@pytest.mark.parametrize("need", [None, PULL, PUSH])
def test_an_open_registry_lets_everybody_in(need: Need | None) -> None:
    assert OpenAuthority().decide("", need, "h") == Allowed("")


@pytest.mark.parametrize(
    ("authorization", "need", "allowed"),
    [
        pytest.param(basic("me", "s3cr3t"), PUSH, True, id="right credentials"),
        pytest.param(basic("me", "wrong"), PULL, False, id="a wrong password"),
        pytest.param(basic("you", "s3cr3t"), PULL, False, id="an unknown user"),
        pytest.param("Basic !", PULL, False, id="no base64"),
        pytest.param("Bearer x", PULL, False, id="another scheme"),
        pytest.param("", PULL, True, id="an anonymous pull"),
        pytest.param("", None, True, id="an anonymous ping"),
        pytest.param("", PUSH, False, id="an anonymous push"),
    ],
)
def test_basic_credentials_are_checked(authorization: str, need: Need | None, allowed: bool) -> None:
    decision = BasicAuthority(USERS, anonymous_pull=True).decide(authorization, need, "h")
    assert isinstance(decision, Allowed) is allowed


def test_without_anonymous_pull_everything_is_challenged() -> None:
    assert BasicAuthority(USERS).decide("", PULL, "h") == Challenge('Basic realm="registry"')


def test_a_challenge_says_where_to_get_which_token(bearer: BearerAuthority) -> None:
    header = 'Bearer realm="http://h:1/token",service="kargo-lab",scope="repository:acme/app:pull,push"'
    assert bearer.decide("", PUSH, "h:1") == Challenge(header)


def test_the_version_check_has_no_scope(bearer: BearerAuthority) -> None:
    decision = bearer.decide("", None, "h")
    assert isinstance(decision, Challenge)
    assert "scope" not in decision.header


@pytest.mark.parametrize(
    ("authorization", "scopes", "need", "allowed"),
    [
        pytest.param("", ["repository:acme/app:pull"], PULL, True, id="anybody may pull what is public"),
        pytest.param("", ["repository:acme/app:pull,push"], PUSH, False, id="nobody may push"),
        pytest.param("", [], None, True, id="any token passes the version check"),
        pytest.param("", [], PULL, False, id="a token without access"),
        pytest.param(ME, ["repository:acme/app:pull,push"], PUSH, True, id="a user pushes"),
        pytest.param(ME, ["repository:acme/other:pull"], PULL, False, id="another repository"),
        pytest.param(ME, ["repository:a:pull repository:acme/app:pull"], PULL, True, id="two scopes in one"),
        pytest.param(ME, ["repository:a:pull", "repository:acme/app:*"], PUSH, True, id="all actions"),
    ],
)  # fmt: skip
def test_a_token_covers_what_it_was_asked_for(
    bearer: BearerAuthority, authorization: str, scopes: list[str], need: Need | None, allowed: bool
) -> None:
    decision = bearer.decide(token(bearer, authorization, *scopes), need, "h")
    assert isinstance(decision, Allowed) is allowed


def test_a_token_that_does_not_cover_says_so(bearer: BearerAuthority) -> None:
    decision = bearer.decide(token(bearer, ""), PULL, "h")
    assert isinstance(decision, Challenge)
    assert 'error="insufficient_scope"' in decision.header


def test_a_token_ends(bearer: BearerAuthority, clock: Clock) -> None:
    held = token(bearer, "", PULL.scope)
    clock.time = NOON + timedelta(seconds=60)
    decision = bearer.decide(held, PULL, "h")
    assert isinstance(decision, Challenge)
    assert 'error="invalid_token"' in decision.header


def test_another_registrys_token_is_not_taken(bearer: BearerAuthority) -> None:
    foreign = token(BearerAuthority(USERS), "", PULL.scope)
    assert isinstance(bearer.decide(foreign, PULL, "h"), Challenge)


def test_a_wrong_password_gets_no_token(bearer: BearerAuthority) -> None:
    assert bearer.answer(basic("me", "wrong"), []).status == 401


def test_the_endpoint_tells_how_long_a_token_is_good(bearer: BearerAuthority) -> None:
    body = bearer.answer("", []).body
    assert (body["expires_in"], body["issued_at"]) == (60, "2026-01-01T12:00:00Z")


def test_the_endpoint_may_use_the_other_name_and_leave_out_the_time() -> None:
    body = BearerAuthority(USERS, token_key="access_token", tell_seconds=False).answer("", []).body
    assert sorted(body) == ["access_token", "issued_at"]


def test_oauth_takes_a_password_and_then_its_refresh_token(bearer: BearerAuthority) -> None:
    first = bearer.answer_form({"grant_type": "password", "username": "me", "password": "s3cr3t", "scope": PUSH.scope})
    again = bearer.answer_form(
        {"grant_type": "refresh_token", "refresh_token": first.body["refresh_token"], "scope": PUSH.scope}
    )
    decision = bearer.decide(f"Bearer {again.body['access_token']}", PUSH, "h")
    assert decision == Allowed("me")


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"grant_type": "password", "username": "me", "password": "wrong"}, 401),
        ({"grant_type": "password"}, 401),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 401),
        ({"grant_type": "client_credentials"}, 400),
        ({}, 400),
    ],
)
def test_oauth_refuses(bearer: BearerAuthority, form: dict[str, str], status: int) -> None:
    assert bearer.answer_form(form).status == status


@given(st.text(max_size=40))
def test_whatever_a_stranger_claims_is_answered(text: str) -> None:
    authority = BearerAuthority(USERS)
    for header in (text, f"Bearer {text}", f"Bearer {text}.{text}.{text}", f"Basic {text}"):
        assert isinstance(authority.decide(header, PULL, "h"), Challenge)
        assert authority.answer(header, [text]).status in (200, 401)


@given(user=st.text(alphabet=st.characters(exclude_characters=":", exclude_categories=["Cs"])), password=st.text())
def test_credentials_are_read_as_they_were_written(user: str, password: str) -> None:
    try:
        header = basic(user, password)
    except UnicodeEncodeError:
        return
    assert basic_credentials(header) == (user, password)


# Over HTTP


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry(authority=BearerAuthority(USERS)) as registry:
        registry.push_image("acme/app", "v1")
        yield registry


def ask(registry: Registry, method: str, path: str, **options: Any) -> requests.Response:
    return requests.request(method, registry.url + path, timeout=5, **options)


def test_a_public_pull_is_challenged_first_and_then_served(registry: Registry) -> None:
    path = "/v2/acme/app/manifests/v1"
    challenged = ask(registry, "GET", path)
    assert (challenged.status_code, challenged.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    got = ask(registry, "GET", "/token", params={"service": "kargo-lab", "scope": PULL.scope}).json()["token"]
    assert ask(registry, "GET", path, headers={"Authorization": f"Bearer {got}"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/a/tags/list", "repository:a:pull"),
        ("HEAD", "/v2/a/manifests/v1", "repository:a:pull"),
        ("PUT", "/v2/a/manifests/v1", "repository:a:pull,push"),
        ("DELETE", "/v2/a/manifests/v1", "repository:a:delete"),
        ("POST", "/v2/a/blobs/uploads/", "repository:a:pull,push"),
        ("PATCH", "/v2/a/blobs/uploads/x", "repository:a:pull,push"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
    ],
)
def test_every_call_is_challenged_for_what_it_needs(registry: Registry, method: str, path: str, scope: str) -> None:
    answer = ask(registry, method, path)
    assert (answer.status_code, f'scope="{scope}"' in answer.headers["WWW-Authenticate"]) == (401, True)


def test_a_token_is_had_by_post_as_well(registry: Registry) -> None:
    form = {"grant_type": "password", "username": "me", "password": "s3cr3t", "scope": PUSH.scope, "service": "x"}
    assert ask(registry, "POST", "/token", data=form).json()["access_token"]


def test_whoever_pushed_is_named_in_the_event(registry: Registry) -> None:
    got = ask(registry, "GET", "/token", params={"scope": PUSH.scope}, auth=("me", "s3cr3t")).json()["token"]
    manifest = registry.storage.read_manifest(registry.digest("acme/app", "v1") or "")
    headers = {"Authorization": f"Bearer {got}", "Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    assert ask(registry, "PUT", "/v2/acme/app/manifests/v2", data=manifest, headers=headers).status_code == 201
    assert (registry.events[-1].actor, registry.events[-1].tag) == ("me", "v2")
