"""`kargo-lab status`: the same Stages from a file and from a lab that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kargo_lab.cli import main
from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.pipeline import showing
from kargo_lab.engine.store import Store
from kargo_lab.resources import loading
from kargo_lab.service.api import PREFIX, create_app
from kargo_lab.serving import Server

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
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(clock=VirtualClock(), sources={}, seed=1, store=Store(tmp_path / "lab.db"))
    made.apply(loading.loads(RESOURCES))
    made.step()
    made.pipeline.promote("p/dev", "one")
    made.step()
    yield made
    made.close()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["status", *arguments])
    return result.exit_code, result.output


def test_a_store_shows_what_is_in_each_stage(lab: Lab) -> None:
    status, text = run("--store", lab.store.path)
    assert (status, text.splitlines()) == (
        0,
        [
            "namespace  stage  freight  health   verification",
            "p          dev    one      Healthy  Successful",
            "p          qa",
        ],
    )


def test_promotions_are_shown_when_asked_for(lab: Lab) -> None:
    assert "Succeeded" in run("--store", lab.store.path, "--promotions")[1]


def test_a_running_lab_shows_the_tree_as_well(lab: Lab) -> None:
    with Server(create_app(lab)) as server:
        status, text = run("--url", f"{server.url}{PREFIX}")
    assert (status, text.splitlines()[:3]) == (
        0,
        ["p Warehouse/w", "└─ dev  one  Successful", "   └─ qa"],
    )


def test_json_is_for_programs(lab: Lab) -> None:
    document = json.loads(run("--store", lab.store.path, "--json")[1])
    assert [row["stage"] for row in document["stages"]] == ["dev", "qa"]


def test_what_is_wrong_with_the_stages_ends_in_status_1(lab: Lab) -> None:
    lab.apply(loading.loads(RESOURCES.replace("stages: [dev]", "stages: [dve]")))
    lab.step()
    with Server(create_app(lab)) as server:
        status, text = run("--url", f"{server.url}{PREFIX}")
    assert (status, "names the upstream Stage 'dve'" in text) == (1, True)


@pytest.mark.parametrize("arguments", [(), ("--url", "http://127.0.0.1:9")], ids=["neither", "nobody there"])
def test_what_cannot_be_asked_is_said(arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 2


def test_frames_have_the_same_rows(lab: Lab) -> None:
    shown = showing.of_lab(lab)
    assert list(showing.stages_frame(shown)["freight"]) == ["one", ""]
    assert list(showing.promotions_frame(shown)["phase"]) == ["Succeeded"]
    assert list(showing.trace_frame(lab.trace.marks())["what"]) == ["discovery started", "discovery ended"]
