"""The lab API as its own description has it, whatever is sent: schemathesis makes the requests, and judges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.generation import GenerationMode

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.resources import loading
from kargo_lab.service import document
from kargo_lab.service.api import PREFIX, create_app

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
spec:
  interval: 24h
  freightCreationPolicy: Manual
  subscriptions: [{git: {repoURL: https://github.com/ex/repo, branch: main}}]
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {name: test, namespace: p1}
spec: {requestedFreight: [{origin: {kind: Warehouse, name: code}, sources: {direct: true}}]}
"""
FEW = hypothesis.settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def described() -> tuple[Any, Any]:
    """The application of a small lab, and its description as schemathesis reads it."""
    lab = Lab(clock=VirtualClock(), sources={})
    lab.apply(loading.loads(RESOURCES))
    app = create_app(lab)
    return lab, schemathesis.openapi.from_wsgi(f"{PREFIX}/openapi.yaml", app)


OPERATIONS = {
    f"{method.upper()} {path}": each
    for path, item in sorted(document.whole()["paths"].items())
    for method, each in item.items()
    if isinstance(each, dict) and "operationId" in each
}
# Any text is a name, so what has nothing but names in its path cannot be asked wrongly.
FALLIBLE = [
    title
    for title, each in OPERATIONS.items()
    if "requestBody" in each or any(parameter.get("in", "query") == "query" for parameter in each.get("parameters", ()))
]
ASKED = [
    *(pytest.param(title, GenerationMode.POSITIVE, id=f"{title}, rightly") for title in OPERATIONS),
    *(pytest.param(title, GenerationMode.NEGATIVE, id=f"{title}, wrongly") for title in FALLIBLE),
]


@pytest.fixture
def schema() -> Iterator[Any]:
    lab, made = described()
    yield made
    lab.close()


@pytest.mark.parametrize(("title", "mode"), ASKED)
def test_every_answer_is_a_described_one(schema: Any, title: str, mode: GenerationMode) -> None:
    method, path = title.split()
    operation = schema[path][method]

    @FEW
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def asked(case: Any) -> None:
        case.call_and_validate()

    asked()


@pytest.mark.parametrize(
    "whole", [document.whole(), document.part()], ids=["as a whole", "what the suite asks of others"]
)
def test_the_description_is_openapi(whole: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(whole).validate()
