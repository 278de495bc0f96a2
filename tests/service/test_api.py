"""The lab API tells what the lab holds, as its description says it does."""

from __future__ import annotations

from importlib import resources
from typing import Any

import jsonschema
import pytest
import requests
import yaml
from flask.testing import FlaskClient

from kargo_lab.engine.clock import VirtualClock, WallClock
from kargo_lab.engine.lab import Lab
from kargo_lab.resources import loading
from kargo_lab.service import api
from kargo_lab.service.api import PREFIX, create_app
from kargo_lab.service.serving import Server

RESOURCES = """
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: p1}
stringData: {secret: correct-horse}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: p1, namespace: p1}
spec: {webhookReceivers: [{name: gh, github: {secretRef: {name: s}}}]}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: code, namespace: p1}
spec: {freightCreationPolicy: Manual, subscriptions: [{git: {repoURL: https://github.com/ex/repo, branch: main}}]}
"""
DESCRIPTION = yaml.safe_load(resources.files("kargo_lab.service").joinpath("openapi.yaml").read_text())


@pytest.fixture
def lab() -> Any:
    made = Lab(clock=VirtualClock(), sources={}, base_url="http://127.0.0.1:8080")
    made.apply(loading.loads(RESOURCES))
    yield made
    made.close()


@pytest.fixture
def client(lab: Lab) -> FlaskClient:
    return create_app(lab).test_client()


def told(client: FlaskClient, path: str, *, method: str = "get", template: str = "", **options: Any) -> Any:
    """The JSON of an answer, once its status and shape are what the description says."""
    response = client.open(PREFIX + path, method=method.upper(), **options)
    described = DESCRIPTION["paths"][template or path.partition("?")[0]][method]["responses"]
    answer = described[str(response.status_code)]
    answer = _resolved(answer)
    if "content" in answer:
        schema = {**answer["content"]["application/json"]["schema"], "components": DESCRIPTION["components"]}
        jsonschema.validate(response.get_json(), schema)
    return response.get_json(silent=True)


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found = DESCRIPTION
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_every_path_is_described(lab: Lab) -> None:
    rules = create_app(lab).url_map.iter_rules()
    served = {
        (rule.rule.removeprefix(PREFIX).replace("<", "{").replace(">", "}"), method.lower())
        for rule in rules
        if rule.rule.startswith(PREFIX)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {
        (path, method)
        for path, item in DESCRIPTION["paths"].items()
        for method in item
        if method in ("get", "put", "post", "delete")
    }
    assert served == described


def test_it_says_which_lab_it_is(client: FlaskClient) -> None:
    answer = told(client, "/")
    assert (answer["profile"], answer["clock"]) == ("latest", "virtual")


def test_objects_are_told_without_the_values_of_secrets(client: FlaskClient) -> None:
    items = told(client, "/objects")["items"]
    assert [item["kind"] for item in items] == ["Secret", "ProjectConfig", "Warehouse"]
    assert items[0]["data"] == {"secret": ""}


def test_objects_of_one_kind_are_told(client: FlaskClient) -> None:
    assert [item["kind"] for item in told(client, "/objects?kind=Warehouse")["items"]] == ["Warehouse"]


def test_receivers_are_told_as_in_status(client: FlaskClient) -> None:
    (item,) = told(client, "/receivers")["items"]
    (entry,) = item["webhookReceivers"]
    assert entry["url"] == f"http://127.0.0.1:8080{entry['path']}"


def test_a_refresh_shows_in_the_warehouse(client: FlaskClient) -> None:
    template = "/warehouses/{namespace}/{name}"
    token = told(client, "/warehouses/p1/code/refresh", method="post", template=template + "/refresh")["token"]
    assert told(client, "/warehouses/p1/code", template=template)["refresh"] == token
    assert [each["refresh"] for each in told(client, "/warehouses")["items"]] == [token]


@pytest.mark.parametrize(("path", "method"), [("/warehouses/p1/nope", "get"), ("/warehouses/p1/nope/refresh", "post")])
def test_an_unknown_warehouse_is_not_found(client: FlaskClient, path: str, method: str) -> None:
    template = "/warehouses/{namespace}/{name}" + ("/refresh" if method == "post" else "")
    assert told(client, path, method=method, template=template) == {"error": "there is no Warehouse p1/nope"}


def test_resources_are_taken_over_as_a_whole(client: FlaskClient) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\n---\napiVersion: apps/v1\nkind: Deployment\n"
    answer = told(client, "/resources?namespace=p9", method="post", data=text)
    assert (answer["applied"], [other["kind"] for other in answer["ignored"]]) == ({"Secret": 1}, ["Deployment"])
    assert [item["metadata"] for item in told(client, "/objects")["items"]] == [{"name": "t", "namespace": "p9"}]


def test_freight_made_by_hand_is_refused_with_its_name(client: FlaskClient) -> None:
    freight = """
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Freight
metadata: {name: mine, namespace: p1}
origin: {kind: Warehouse, name: gone}
commits: [{repoURL: https://github.com/ex/repo, id: c0ffee}]
"""
    answer = told(client, "/resources", method="post", data=RESOURCES + freight)
    assert answer["error"] == "Freight p1/mine: origin: Warehouse/gone does not exist"


def test_freight_made_by_hand_is_taken_over_under_its_id(client: FlaskClient) -> None:
    freight = """
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Freight
metadata: {name: mine, namespace: p1}
alias: of-mine
origin: {kind: Warehouse, name: code}
commits: [{repoURL: https://github.com/ex/repo.git, id: c0ffee}]
"""
    told(client, "/resources", method="post", data=RESOURCES + freight)
    (piece,) = told(client, "/freight")["items"]
    assert (piece["alias"], len(piece["metadata"]["name"])) == ("of-mine", 40)


def test_every_misfit_of_resources_is_told_and_nothing_changes(client: FlaskClient) -> None:
    text = (
        RESOURCES.replace("branch: main", "brnch: main")
        .replace("policy: Manual", "x: y")
        .replace("github:", "githubx:")
    )
    answer = told(client, "/resources", method="post", data=text)
    assert [misfit["path"] for misfit in answer["misfits"]] == [
        "spec.webhookReceivers[0].githubx",
        "spec.subscriptions[0].git.brnch",
    ]
    assert len(told(client, "/objects")["items"]) == 3


def test_a_large_body_arrives_whole_or_is_refused(lab: Lab) -> None:
    with Server(api.create_app(lab), kept_bytes=api.MOST_BYTES + 1) as server:
        told = [
            requests.post(f"{server.url}{PREFIX}/resources", data=b"#" * size, timeout=10)
            for size in (api.MOST_BYTES, api.MOST_BYTES + 1)
        ]
    assert (told[0].status_code, "larger than 1048576 bytes" in told[0].text) == (422, True)
    assert told[1].status_code == 413


def test_an_empty_body_does_not_remove_everything_by_accident(client: FlaskClient) -> None:
    assert "the body is empty" in told(client, "/resources", method="post", data=b" ")["error"]
    assert len(told(client, "/objects")["items"]) == 3


@pytest.mark.parametrize("limit", ["0", "x", "10001", "-1"])
@pytest.mark.parametrize("path", ["/deliveries", "/ledger"])
def test_a_limit_out_of_range_is_refused(client: FlaskClient, path: str, limit: str) -> None:
    assert "limit must be" in told(client, f"{path}?limit={limit}")["error"]


@pytest.mark.parametrize("path", ["/deliveries", "/freight", "/ledger", "/ledger/totals"])
def test_logs_begin_empty(client: FlaskClient, path: str) -> None:
    assert told(client, path) == {"items": []}


def test_the_ledger_can_be_emptied(client: FlaskClient) -> None:
    assert told(client, "/ledger", method="delete") is None


def test_a_virtual_clock_can_be_moved(client: FlaskClient, lab: Lab) -> None:
    told(client, "/clock/step", method="post", json={"seconds": 90})
    assert lab.clock.monotonic() == 90


@pytest.mark.parametrize("body", [{}, {"seconds": -1}, {"seconds": "1"}, {"seconds": True}, []])
def test_a_step_that_is_none_is_refused(client: FlaskClient, body: Any) -> None:
    assert "seconds" in told(client, "/clock/step", method="post", json=body)["error"]


def test_the_walls_clock_cannot_be_moved() -> None:
    lab = Lab(clock=WallClock(), sources={})
    try:
        assert "wall" in told(create_app(lab).test_client(), "/clock/step", method="post", json={"seconds": 1})["error"]
    finally:
        lab.close()


def test_other_sites_are_refused(client: FlaskClient) -> None:
    response = client.post(f"{PREFIX}/receivers/resync", headers={"Origin": "https://evil.example"})
    assert (response.status_code, response.get_json()["error"]) == (403, "requests from other sites are not answered")


def test_the_description_is_served(client: FlaskClient) -> None:
    assert yaml.safe_load(client.get(f"{PREFIX}/openapi.yaml").data) == DESCRIPTION


def test_an_unknown_path_is_not_found_in_json(client: FlaskClient) -> None:
    response = client.get("/nope")
    assert (response.status_code, list(response.get_json())) == (404, ["error"])
