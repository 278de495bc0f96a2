"""Stages and Promotions over the lab API: what is there, what is promoted, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.resources import loading
from kargo_lab.service.api import PREFIX, create_app

RESOURCES = """
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: w, namespace: p}
spec: {freightCreationPolicy: Manual, subscriptions: [{image: {repoURL: example.com/app}}]}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Freight
metadata: {name: f, namespace: p}
alias: one
origin: {kind: Warehouse, name: w}
images: [{repoURL: example.com/app, tag: "1"}]
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {name: dev, namespace: p}
spec:
  requestedFreight: [{origin: {kind: Warehouse, name: w}, sources: {direct: true}}]
  promotionTemplate: {spec: {steps: [{uses: noop}]}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {name: qa, namespace: p}
spec:
  requestedFreight: [{origin: {kind: Warehouse, name: w}, sources: {stages: [dev]}}]
  promotionTemplate: {spec: {steps: [{uses: noop}]}}
"""


@pytest.fixture
def lab() -> Any:
    made = Lab(clock=VirtualClock(), sources={}, seed=1)
    made.apply(loading.loads(RESOURCES))
    made.step()
    yield made
    made.close()


@pytest.fixture
def client(lab: Lab) -> FlaskClient:
    return create_app(lab).test_client()


def test_a_promotion_over_the_api_arrives_in_the_stage(lab: Lab, client: FlaskClient) -> None:
    made = client.post(f"{PREFIX}/stages/p/dev/promote", json={"freight": "one"})
    lab.step()
    shown = client.get(f"{PREFIX}/stages/p/dev").get_json()
    assert (made.status_code, shown["status"]["lastPromotion"]["status"]) == (201, {"phase": "Succeeded"})
    assert shown["status"]["lastPromotion"]["name"] == made.get_json()["metadata"]["name"]


def test_freight_that_is_not_available_is_a_conflict(client: FlaskClient) -> None:
    answer = client.post(f"{PREFIX}/stages/p/qa/promote", json={"freight": "one"})
    assert answer.status_code == 409
    assert "is not available to Stage qa: it is not verified in dev" in answer.get_json()["error"]


def test_an_approval_makes_it_available(lab: Lab, client: FlaskClient) -> None:
    client.post(f"{PREFIX}/stages/p/qa/approve", json={"freight": "one"})
    assert client.post(f"{PREFIX}/stages/p/qa/promote", json={"freight": "one"}).status_code == 201
    assert [record["reason"] for record in client.get(f"{PREFIX}/events").get_json()["items"]] == [
        "FreightApproved",
        "PromotionCreated",
    ]
    lab.step()


@pytest.mark.parametrize("verb", ["promote", "approve", "refresh", "reverify", "abort-verification"])
def test_an_unknown_stage_is_not_found(client: FlaskClient, verb: str) -> None:
    assert client.post(f"{PREFIX}/stages/p/none/{verb}", json={"freight": "one"}).status_code == 404


@pytest.mark.parametrize("body", [{}, {"freight": 1}, {"freight": ""}, [], {"freight": "x" * 2000}])
def test_a_request_without_freight_is_bad(client: FlaskClient, body: Any) -> None:
    assert client.post(f"{PREFIX}/stages/p/dev/promote", json=body).status_code == 400


def test_a_stage_without_verification_cannot_be_verified_again(client: FlaskClient) -> None:
    answer = client.post(f"{PREFIX}/stages/p/dev/reverify")
    assert (answer.status_code, answer.get_json()["error"]) == (409, "Stage p/dev: has no verification")


def test_a_finished_promotion_cannot_be_aborted(lab: Lab, client: FlaskClient) -> None:
    name = client.post(f"{PREFIX}/stages/p/dev/promote", json={"freight": "one"}).get_json()["metadata"]["name"]
    lab.step()
    answer = client.post(f"{PREFIX}/promotions/p/{name}/abort")
    assert (answer.status_code, "has ended already: Succeeded" in answer.get_json()["error"]) == (409, True)


@pytest.mark.parametrize("path", ["stages", "promotions", "traces", "events"])
def test_lists_have_items(client: FlaskClient, path: str) -> None:
    assert isinstance(client.get(f"{PREFIX}/{path}").get_json()["items"], list)
