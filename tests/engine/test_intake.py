"""From a path to refreshed objects and an answer: receivers.md 3.2, 5.2 to 5.4, 6.6, 6.8, 6.9."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from kargo_lab import profiles
from kargo_lab.engine import intake
from kargo_lab.engine.declared import DeclaredObjects
from kargo_lab.engine.intake import Route
from kargo_lab.errors import StoreError
from kargo_lab.profiles import Profile
from kargo_lab.resources import loading
from kargo_lab.resources.configuration import GenericAction, TargetCriteria
from kargo_lab.wire import Answer, Delivery, Setup

NOW = datetime(2026, 8, 21, 17, 51, 41, 123456, tzinfo=UTC)
BASE = "https://kargo.example.com"
RESOURCES = """
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: p1}
stringData: {secret: s3cr3t}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: p1, namespace: p1}
spec:
  webhookReceivers:
  - {name: gh, github: {secretRef: {name: s}}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: code, namespace: p1}
spec: {subscriptions: [{git: {repoURL: https://github.com/ex/repo, branch: main}}]}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: other, namespace: p1}
spec: {subscriptions: [{git: {repoURL: https://github.com/ex/other, branch: main}}]}
"""


def declared(profile: Profile) -> DeclaredObjects:
    return DeclaredObjects(loading.loads(RESOURCES), base_url=BASE, profile=profile)


def push(body: dict[str, Any] | None = None, *, identity: str = "", key: bytes = b"s3cr3t") -> Delivery:
    given = {"ref": "refs/heads/main", "repository": {"clone_url": "https://github.com/Ex/Repo.git"}}
    data = json.dumps(body or given).encode()
    headers = {
        "X-GitHub-Event": "push",
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, data, hashlib.sha256).hexdigest(),
        "X-GitHub-Delivery": identity,
    }
    return Delivery(headers=headers, body=data)


def routed(objects: DeclaredObjects) -> Route:
    path = objects.status(objects.configs()[0]).entries[0].path
    found = intake.route(path, objects, profile=objects.profile, base_url=BASE)
    assert isinstance(found, Route)
    return found


def deliver(
    objects: DeclaredObjects, delivery: Delivery, *, now: datetime = NOW, uniqueness: int = 0
) -> intake.Outcome:
    """One delivery, recorded as the Lab records it."""
    route = routed(objects)
    outcome = intake.deliver(route, delivery, objects, profile=objects.profile, now=now, uniqueness=uniqueness)
    if outcome.delivery_id and isinstance(outcome.answer, Answer) and outcome.answer.status == 200:
        objects.deliveries.add((route.receiver, outcome.delivery_id))
    return outcome


@pytest.fixture
def objects() -> DeclaredObjects:
    return declared(profiles.LATEST)


@pytest.fixture
def recommended() -> DeclaredObjects:
    return declared(profiles.get("recommended"))


def test_an_unknown_path_is_not_found(objects: DeclaredObjects) -> None:
    assert intake.route("/nope", objects, profile=objects.profile, base_url=BASE) == Answer(status=404)


def test_a_store_that_cannot_be_read_is_an_internal_error(
    objects: DeclaredObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: str) -> Any:
        raise StoreError("disk gone")

    monkeypatch.setattr(objects, "configs_with_path", broken)
    assert intake.route("/x", objects, profile=objects.profile, base_url=BASE) == Answer(status=500)


def test_a_route_tells_whose_receiver_it_is(objects: DeclaredObjects) -> None:
    route = routed(objects)
    assert (route.receiver, route.type, route.setup.secret) == ("p1/gh", "github", b"s3cr3t")


def test_rf_01_the_token_is_the_time_in_whole_seconds(objects: DeclaredObjects) -> None:
    deliver(objects, push())
    assert objects.refreshed == {("Warehouse", "p1", "code"): "2026-08-21T17:51:41Z"}


def test_rf_03_two_events_within_one_second_write_one_token(objects: DeclaredObjects) -> None:
    deliver(objects, push())
    first = dict(objects.refreshed)
    again = deliver(objects, push(), now=NOW + timedelta(milliseconds=800))
    assert (again.answer, objects.refreshed) == (Answer(status=200, body={"msg": "refreshed 1 warehouse(s)"}), first)


def test_rf_04_two_events_in_different_seconds_write_two_tokens(objects: DeclaredObjects) -> None:
    deliver(objects, push())
    first = dict(objects.refreshed)
    deliver(objects, push(), now=NOW + timedelta(seconds=2))
    assert objects.refreshed != first


def test_recommended_tokens_of_one_instant_differ(recommended: DeclaredObjects) -> None:
    tokens = {intake.token(NOW, recommended.profile, uniqueness=number) for number in range(100)}
    assert len(tokens) == 100
    assert min(tokens) == "2026-08-21T17:51:41.123456000Z"


def test_rf_07_a_replayed_delivery_is_accepted(objects: DeclaredObjects) -> None:
    first, second = (deliver(objects, push(identity="d1")) for _ in range(2))
    assert first.answer == second.answer


def test_recommended_acknowledges_a_repeated_delivery_without_refreshing(recommended: DeclaredObjects) -> None:
    deliver(recommended, push(identity="d1"))
    recommended.refreshed.clear()
    again = deliver(recommended, push(identity="d1"), uniqueness=1)
    assert isinstance(again.answer, Answer)
    assert (again.answer.status, recommended.refreshed) == (200, {})


def test_recommended_takes_another_body_under_one_id_for_another_delivery(recommended: DeclaredObjects) -> None:
    deliver(recommended, push(identity="d1"))
    body = {"ref": "refs/heads/main", "repository": {"clone_url": "https://github.com/ex/other"}}
    deliver(recommended, push(body, identity="d1"))
    assert {name for _, _, name in recommended.refreshed} == {"code", "other"}


def test_recommended_lets_no_forgery_use_up_an_id(recommended: DeclaredObjects) -> None:
    forged = deliver(recommended, push(identity="d1", key=b"wrong"))
    genuine = deliver(recommended, push(identity="d1"))
    assert (forged.answer, genuine.answer) == (
        Answer(status=401, body={"error": "unauthorized"}),
        Answer(status=200, body={"msg": "refreshed 1 warehouse(s)"}),
    )


def test_recommended_tries_again_after_a_failure(recommended: DeclaredObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(recommended, "_refused", lambda *_target: True)
        failed = deliver(recommended, push(identity="d1"))
    again = deliver(recommended, push(identity="d1"))
    assert failed.answer == Answer(status=500, body={"error": "failed to refresh 1 of 1 warehouses"})
    assert again.answer == Answer(status=200, body={"msg": "refreshed 1 warehouse(s)"})


def test_a_delivery_without_an_id_is_never_a_repetition(recommended: DeclaredObjects) -> None:
    deliver(recommended, push())
    recommended.refreshed.clear()
    deliver(recommended, push())
    assert len(recommended.refreshed) == 1


def test_what_was_left_alone_is_told_with_its_reason(objects: DeclaredObjects) -> None:
    outcome = deliver(objects, push())
    assert [(warehouse.name, bool(reason)) for warehouse, reason in outcome.left_alone] == [("other", False)]


def test_of_those_left_alone_the_subscribers_are_told_apart(objects: DeclaredObjects) -> None:
    body = {"ref": "refs/heads/dev", "repository": {"clone_url": "https://github.com/Ex/Repo.git"}}
    outcome = deliver(objects, push(body))
    assert {warehouse.name for warehouse, _ in outcome.left_alone} == {"code", "other"}
    assert [warehouse.name for warehouse, _ in outcome.declined] == ["code"]


def test_a_wrong_signature_refreshes_nothing(objects: DeclaredObjects) -> None:
    outcome = deliver(objects, push(key=b"wrong"))
    assert (outcome.answer, objects.refreshed) == (Answer(status=401, body={"error": "unauthorized"}), {})


def test_a_store_that_cannot_write_has_refreshed_nothing(
    objects: DeclaredObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_targets: Any, _token: str) -> Any:
        raise StoreError("disk full")

    monkeypatch.setattr(objects, "request_refresh", broken)
    outcome = deliver(objects, push())
    assert outcome.answer == Answer(status=500, body={"error": "failed to refresh 1 of 1 warehouses"})


def test_a_store_that_fails_during_a_delivery_is_an_internal_error(
    objects: DeclaredObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = routed(objects)

    def broken() -> Any:
        raise StoreError("disk gone")

    monkeypatch.setattr(objects, "index", broken)
    outcome = intake.deliver(route, push(), objects, profile=objects.profile, now=NOW)
    assert (outcome.answer, outcome.detail) == (Answer(status=500), "disk gone")


def test_a_store_that_fails_while_a_generic_action_selects_is_that_actions_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Kargo's pkg/webhook/external/generic_test.go: the list of targets fails, and the other actions are still tried.
    criteria = TargetCriteria(kind="Warehouse", name="code")
    action = GenericAction(action="Refresh", when_expression="true", targets=(criteria,))
    objects = declared(profiles.LATEST)
    setup = Setup(secret=b"x", actions=(action, attrs.evolve(action, when_expression="false")))

    def broken() -> Any:
        raise StoreError("disk gone")

    monkeypatch.setattr(objects, "index", broken)
    route = Route(path="/generic/x", type="generic", name="g", namespace="p1", setup=setup)
    outcome = intake.deliver(route, Delivery(body=b"{}"), objects, profile=objects.profile, now=NOW)
    assert isinstance(outcome.answer, Answer)
    assert outcome.answer.body is not None
    results = [(each["result"], each["summary"]) for each in outcome.answer.body["results"]]
    assert (outcome.answer.status, results, outcome.detail) == (
        500,
        [
            ("Error", "Error evaluating targetSelectionCriteria"),
            ("NotApplicable", "Request did not match whenExpression"),
        ],
        "disk gone",
    )
