"""Quotas: what counts, for whom, and how a refusal is spelled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.platforms.oci.auth import BearerAuthority
from kargo_lab.platforms.quotas import FLAVOURS, Quota, TokenBucket, Window, by_address
from kargo_lab.platforms.registry import Registry

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def pass_seconds(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Front:
    """A quota in front of a registry with one image."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self.registry = Registry(layers=[quota.wrap])

    def __enter__(self) -> Self:
        self.registry.start().push_image("acme/app", "v1")
        return self

    def __exit__(self, *_: object) -> None:
        self.registry.stop()

    def ask(self, method: str = "GET", path: str = "manifests/v1", **options: Any) -> requests.Response:
        return requests.request(method, f"{self.registry.url}/v2/acme/app/{path}", timeout=5, **options)


@pytest.fixture
def hub(clock: Clock) -> Iterator[Front]:
    with Front(Quota.docker_hub(3, now=clock)) as front:
        yield front


def test_docker_hub_counts_the_get_of_a_manifest(hub: Front) -> None:
    assert [hub.ask().headers["RateLimit-Remaining"] for _ in range(3)] == ["2;w=21600", "1;w=21600", "0;w=21600"]


def test_docker_hub_does_not_count_a_head_and_still_tells(hub: Front) -> None:
    for _ in range(5):
        answer = hub.ask("HEAD")
    assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("3;w=21600", "3;w=21600")


def test_docker_hub_does_not_count_what_is_no_manifest(hub: Front) -> None:
    for _ in range(5):
        assert "RateLimit-Remaining" not in hub.ask(path="tags/list").headers
    assert hub.quota.standing("127.0.0.1").remaining == 3


def test_what_is_used_up_is_refused_and_a_head_is_not(hub: Front) -> None:
    answers = [hub.ask().status_code for _ in range(4)]
    assert (answers, hub.ask("HEAD").status_code) == ([200, 200, 200, 429], 200)
    assert (hub.quota.spent["127.0.0.1"], hub.quota.refused["127.0.0.1"]) == (3, 1)


def test_a_refusal_names_its_code(hub: Front) -> None:
    for _ in range(4):
        answer = hub.ask()
    assert answer.json()["errors"][0]["code"] == "TOOMANYREQUESTS"


def test_after_the_window_it_begins_again(hub: Front, clock: Clock) -> None:
    for _ in range(4):
        hub.ask()
    clock.pass_seconds(21_600)
    assert hub.ask().status_code == 200


SPELLED = {
    "seconds": {"Retry-After": "60"},
    "date": {"Retry-After": "Thu, 01 Jan 2026 12:01:00 GMT"},
    "ratelimit": {"RateLimit-Limit": "1;w=60", "RateLimit-Remaining": "0;w=60"},
    "epoch": {"X-RateLimit-Reset": str(int(NOON.timestamp()) + 60), "X-RateLimit-Remaining": "0"},
    "nothing": {},
}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_refusal_says_when_to_come_again_in_its_flavour(flavour: str, clock: Clock) -> None:
    with Front(Quota(Window(1, 60), flavour=flavour, now=clock)) as front:
        front.ask()
        answer = front.ask()
    shown = {name: answer.headers.get(name) for name in SPELLED[flavour]}
    assert (answer.status_code, shown) == (429, SPELLED[flavour])
    assert ("Retry-After" in answer.headers) == (flavour in ("seconds", "date"))


def test_a_flavour_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="there are seconds, date"):
        Quota(Window(1, 1), flavour="chocolate")


def test_github_refuses_with_403_and_gives_304_back(clock: Clock) -> None:
    with Front(Quota.github_rest(2, now=clock)) as front:
        etag = front.ask().headers["ETag"]
        for _ in range(3):
            assert front.ask(headers={"If-None-Match": etag}).status_code == 304
        assert front.ask().headers["X-RateLimit-Remaining"] == "0"
        assert front.ask().status_code == 403


def test_users_are_counted_apart_from_addresses(clock: Clock) -> None:
    with Front(Quota(Window(1, 60), now=clock)) as front:
        answers = [front.ask(auth=auth).status_code for auth in (None, ("me", "x"), ("you", "x"), None)]
    assert answers == [200, 200, 200, 429]


def test_everybody_of_an_address_may_be_counted_together(clock: Clock) -> None:
    with Front(Quota(Window(1, 60), consumer=by_address, now=clock)) as front:
        answers = [front.ask(auth=auth).status_code for auth in (None, ("me", "x"))]
    assert answers == [200, 429]


def test_a_bucket_is_refilled_drop_by_drop(clock: Clock) -> None:
    with Front(Quota.acr(60, now=clock)) as front:
        codes = [front.ask("HEAD").status_code for _ in range(61)]
        clock.pass_seconds(1)
        codes += [front.ask("HEAD").status_code for _ in range(2)]
    assert codes == [200] * 60 + [429, 200, 429]


def test_a_challenge_is_not_charged_as_a_pull_where_the_quota_stands_behind_it(clock: Clock) -> None:
    quota = Quota.docker_hub(1, now=clock, free_statuses=(401,))
    with Registry(layers=[quota.wrap], authority=BearerAuthority({})) as registry:
        for _ in range(3):
            assert requests.get(f"{registry.url}/v2/acme/app/manifests/v1", timeout=5).status_code == 401


WINDOWS = st.builds(Window, st.integers(1, 5), st.integers(1, 50))
BUCKETS = st.builds(TokenBucket, st.sampled_from([0.1, 1, 3]), st.integers(1, 5))


@given(WINDOWS | BUCKETS, st.lists(st.integers(0, 20), max_size=30))
def test_a_consumer_is_refused_exactly_when_nothing_remains(policy: Any, pauses: list[int]) -> None:
    account, now = policy.account(), 0.0
    for pause in pauses:
        now += pause
        before = account.standing(now)
        assert account.spend(now) is (before.remaining > 0)
        assert 0 <= account.standing(now).remaining <= before.limit


@given(WINDOWS | BUCKETS)
def test_waiting_as_long_as_told_is_long_enough(policy: Any) -> None:
    account = policy.account()
    while account.spend(0.0):
        pass
    assert account.spend(account.standing(0.0).wait_seconds + 1e-6)
