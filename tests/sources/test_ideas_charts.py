"""The case ideas C01 to C18 of discovery.md 10.4."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.discovery import Discoverer
from kargo_lab.errors import ManifestError, UpstreamError
from kargo_lab.resources import loading
from kargo_lab.resources.configuration import Secret
from kargo_lab.resources.warehouse import ChartSubscription, Warehouse, WarehouseSpec
from kargo_lab.rules import constraints, versions
from kargo_lab.sources import charts
from kargo_lab.sources.credentials import TYPE_LABEL
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, OperatorSettings, Shared

INDEX = "entries: {web: [{version: 1.0.0}, {version: v2.0.0}, {version: bad}]}"


def context() -> Context:
    return Context(shared=Shared(ledger=Ledger()), clock=VirtualClock())


def classic(body: str, *, status: int = 200, url: str = "https://c.example", name: str = "web") -> list[str]:
    with responses.RequestsMock() as mock:
        mock.get(f"{url.removesuffix('/')}/index.yaml", body=body, status=status)
        return list(charts.discover(ChartSubscription(repo_url=url, chart_name=name), context()).versions)


def in_registry(*tags: str) -> list[str]:
    with responses.RequestsMock() as mock:
        mock.get("https://r.example/v2/", body="{}")
        mock.get("https://r.example/v2/charts/web/tags/list", json={"tags": list(tags)})
        return list(charts.discover(ChartSubscription(repo_url="oci://r.example/charts/web"), context()).versions)


def test_c01_an_index_may_have_a_v_and_what_is_no_version() -> None:
    assert classic(INDEX) == ["v2.0.0", "1.0.0"]


def test_c02_an_index_that_is_missing_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        classic("", status=404)


def test_c03_a_chart_that_the_index_does_not_have_is_an_empty_result() -> None:
    assert classic(INDEX, name="api") == []


def test_c04_an_underscore_stands_for_a_plus() -> None:
    assert in_registry("1.0.0_b1") == ["1.0.0+b1"]


def test_c05_a_v_is_no_version_in_a_registry() -> None:
    assert in_registry("v1.0.0") == []


def admitted(**fields: str) -> None:
    spec = {"subscriptions": [{"chart": fields}]}
    loading.loads(
        str({"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Warehouse", "metadata": {"name": "w"}, "spec": spec})
    )


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"repoURL": "oci://r.example/charts/web", "name": "web"}, id="C06 an OCI URL with a name"),
        pytest.param({"repoURL": "https://c.example"}, id="C07 a classic URL without one"),
        pytest.param(
            {"repoURL": "https://c.example", "name": "web", "semverConstraint": ">=1.0.0<2.0.0"},
            id="C16 two comparators without a blank",
        ),
    ],
)
def test_admission_refuses(fields: dict[str, str]) -> None:
    with pytest.raises(ManifestError):
        admitted(**fields)


def test_c08_one_slash_is_removed_before_the_index() -> None:
    assert classic(INDEX, url="https://c.example/") == ["v2.0.0", "1.0.0"]


@pytest.mark.parametrize(
    ("allowed", "sent"), [(False, None), (True, "Basic dTpw")], ids=["C09 not over HTTP", "unless allowed"]
)
def test_credentials_over_plain_http(allowed: bool, sent: str | None) -> None:
    values = {"repoURL": b"http://c.example", "username": b"u", "password": b"p"}
    secret = Secret(namespace="p", name="s", labels={TYPE_LABEL: "helm"}, data=values)
    subscription = ChartSubscription(repo_url="http://c.example", chart_name="web")
    warehouse = Warehouse(namespace="p", name="w", spec=WarehouseSpec(subscriptions=(subscription,)))
    settings = OperatorSettings(allow_credentials_over_http=allowed)
    discoverer = Discoverer(shared=Shared(ledger=Ledger(), settings=settings), secrets=lambda: [secret])
    with responses.RequestsMock() as mock:
        mock.get("http://c.example/index.yaml", body=INDEX)
        discoverer.discover_one(warehouse, 0, VirtualClock())
        assert mock.calls[0].request.headers.get("Authorization") == sent


@pytest.mark.parametrize(
    ("constraint", "version", "library", "matches"),
    [
        pytest.param(">=1.0.0-0 <2.0.0", "2.0.0-alpha", "3.4.0", True, id="C11 a prerelease below the upper bound"),
        pytest.param(">=1.0.0-0 <2.0.0", "2.0.0-alpha", "3.3.1", False, id="C12 and not in v1.6"),
        pytest.param("^*", "1.2.3", "3.5.0", False, id="C13 a caret before a wildcard takes nothing"),
        pytest.param("~0.0.0", "7.8.9", "3.5.0", True, id="C14 a tilde before zeros takes everything"),
        pytest.param("1.2 - 2.3", "2.3.9", "3.5.0", True, id="C17 a range of short forms"),
        pytest.param("!=1.2.3", "2.0.0-beta.1", "3.4.0", False, id="C18 unequal takes no prerelease"),
    ],
)
def test_constraints(constraint: str, version: str, library: str, matches: bool) -> None:
    compiled = constraints.compile(constraint, library=library)
    assert compiled.check(versions.parse(version, library=library)) is matches


@pytest.mark.parametrize("version", ["0.9.9", "1.0.0", "1.9.9", "2.0.0", "2.0.0-alpha"])
def test_c15_a_comma_is_a_blank(version: str) -> None:
    found: list[Any] = [
        constraints.compile(text).check(versions.parse(version)) for text in (">=1.0.0,<2.0.0", ">=1.0.0 <2.0.0")
    ]
    assert found[0] == found[1]
