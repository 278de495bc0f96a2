"""Charts: every record of chart-selection.json and of the chart part of request-counts.json."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from requests import PreparedRequest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.errors import SelectionError, UpstreamError
from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.oci.images import make_image
from kargo_lab.platforms.registry import Registry
from kargo_lab.profiles import LATEST, PROFILES, Profile
from kargo_lab.resources.warehouse import ChartSubscription
from kargo_lab.sources import charts
from kargo_lab.sources.credentials import Credentials
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, Shared

FOLDER = Path(__file__).parents[1] / "data"
RECORDS = json.loads((FOLDER / "chart-selection.json").read_text())
COUNTS = json.loads((FOLDER / "request-counts.json").read_text())["chart"]
ERRORS = {"configuration": SelectionError, "discovery": UpstreamError}
HOST = "registry.example.com"
REPOSITORY = "charts/app"
ROBOT = Credentials(username="robot", password="s3cr3t")
BASIC = "Basic " + base64.b64encode(b"robot:s3cr3t").decode()
Answer = tuple[int, dict[str, str], str]


def context(credentials: Credentials | None = None, profile: Profile = LATEST) -> Context:
    return Context(
        shared=Shared(ledger=Ledger(), profile=profile),
        clock=VirtualClock(),
        credentials=credentials or Credentials(),
    )


def sequence(asked: Context) -> list[str]:
    return [row.kind for row in asked.ledger.rows]


class TLSRegistry:
    """A registry over TLS, as far as oras asks one: pings, tokens, pages of tags."""

    def __init__(self, tags: list[list[str]], *, auth: str = "none", names_scope: bool = False) -> None:
        self.pages, self.auth, self.names_scope = tags, auth, names_scope

    def register(self, mock: responses.RequestsMock) -> None:
        for path, answer in (
            ("/v2/", self.ping),
            (f"/v2/{REPOSITORY}/tags/list", self.tags),
            ("/token", self.token),
        ):
            mock.add_callback("GET", f"https://{HOST}{path}", callback=answer)

    def ping(self, request: PreparedRequest) -> Answer:
        return self.guarded(request, "", lambda: (200, {}, "{}"))

    def tags(self, request: PreparedRequest) -> Answer:
        return self.guarded(request, f"repository:{REPOSITORY}:pull", lambda: self.page(request))

    def page(self, request: PreparedRequest) -> Answer:
        number = int(parse_qs(urlsplit(request.url or "").query).get("page", ["0"])[0])
        more = number + 1 < len(self.pages)
        link = {"Link": f'</v2/{REPOSITORY}/tags/list?page={number + 1}>; rel="next"'} if more else {}
        return 200, link, json.dumps({"name": REPOSITORY, "tags": self.pages[number] if self.pages else []})

    def token(self, request: PreparedRequest) -> Answer:
        scope = parse_qs(urlsplit(request.url or "").query).get("scope", [""])[0]
        return 200, {}, json.dumps({"token": f"for-{scope}"})

    def guarded(self, request: PreparedRequest, scope: str, answer: Callable[[], Answer]) -> Answer:
        given = request.headers.get("Authorization", "")
        if self.auth == "none" or (self.auth == "basic" and given == BASIC):
            return answer()
        if self.auth == "basic":
            return 401, {"WWW-Authenticate": 'Basic realm="r"'}, ""
        named = scope or (f"repository:{REPOSITORY}:pull" if self.names_scope else "")
        if given.startswith("Bearer for-") and given.endswith(scope):
            return answer()
        challenge = f'Bearer realm="https://{HOST}/token",service="s"' + (f',scope="{named}"' if named else "")
        return 401, {"WWW-Authenticate": challenge}, ""


def subscription(document: dict[str, Any]) -> ChartSubscription:
    return ChartSubscription(
        repo_url=document["repoURL"],
        chart_name=document.get("name", ""),
        semver_constraint=document.get("semverConstraint", ""),
        discovery_limit=document["discoveryLimit"],
    )


@pytest.mark.parametrize("record", [pytest.param(each, id=each["case"]) for each in RECORDS])
def test_which_versions_are_found(record: dict[str, Any]) -> None:
    wanted, asked = subscription(record["subscription"]), context()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        TLSRegistry([record.get("tags", [])]).register(mock)
        if "index_yaml" in record:
            url = f"{wanted.repo_url.removesuffix('/')}/index.yaml"
            mock.get(url, body=record["index_yaml"], status=record["index_status"])
        if "error" in record:
            with pytest.raises(ERRORS[record["error"]]):
                charts.discover(wanted, asked)
        else:
            assert list(charts.discover(wanted, asked).versions) == record["versions"]
    assert sequence(asked) == record["requests"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(
            each,
            id=f"{each['auth']}, {'credentials' if each['credentials'] else 'anonymous'}, {each['pages']} pages"
            + (", scope in the challenge" if each["ping_challenge_names_scope"] else ""),
        )
        for each in COUNTS
        if each["case"] == "OCI chart" and not each["plain_http"]
    ],
)
def test_requests_to_a_registry(record: dict[str, Any]) -> None:
    asked = context(ROBOT if record["credentials"] else None)
    pages = [[f"1.{number}.0"] for number in range(record["pages"])]
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        TLSRegistry(pages, auth=record["auth"], names_scope=record["ping_challenge_names_scope"]).register(mock)
        found = charts.discover(ChartSubscription(repo_url=f"oci://{HOST}/{REPOSITORY}"), asked)
    assert sequence(asked) == record["sequence"]
    assert len(found.versions) == record["pages"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(each, id="credentials" if each["credentials"] else "anonymous")
        for each in COUNTS
        if each.get("plain_http")
    ],
)
def test_requests_to_a_registry_that_speaks_plain_http(record: dict[str, Any]) -> None:
    asked = context(ROBOT if record["credentials"] else None)
    with Registry(settings=RegistrySettings()) as registry:
        registry.push(REPOSITORY, make_image("a"), "1.0.0")
        found = charts.discover(ChartSubscription(repo_url=f"oci://{registry.host}/{REPOSITORY}"), asked)
        assert len(registry.access_log.rows) == record["total"]
    assert sequence(asked) == record["sequence"]
    assert found.versions == ("1.0.0",)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(each, id=f"credentials={each['credentials']}, redirect={each['redirect']}")
        for each in COUNTS
        if each["case"] == "classic chart"
    ],
)
def test_requests_to_a_classic_repository(record: dict[str, Any]) -> None:
    asked, index = context(ROBOT if record["credentials"] else None), "entries: {web: [{version: 1.0.0}]}"
    with responses.RequestsMock() as mock:
        if record["redirect"]:
            mock.get("https://c.example/index.yaml", status=302, headers={"Location": "https://d.example/i.yaml"})
            mock.get("https://d.example/i.yaml", body=index)
        else:
            mock.get("https://c.example/index.yaml", body=index)
        charts.discover(ChartSubscription(repo_url="https://c.example", chart_name="web"), asked)
        sent = [call.request.headers.get("Authorization") for call in mock.calls]
    assert sequence(asked) == record["sequence"]
    # Credentials stay with the host that they were given for.
    assert sent == [BASIC if record["credentials"] else None, *([None] if record["redirect"] else [])]


def test_before_v1_11_there_is_no_probe() -> None:
    asked = context(profile=PROFILES["v1.10"])
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        TLSRegistry([["1.0.0"]]).register(mock)
        charts.discover(ChartSubscription(repo_url=f"oci://{HOST}/{REPOSITORY}"), asked)
    assert sequence(asked) == ["tags"]


def test_a_registry_that_is_busy_is_asked_up_to_six_times() -> None:
    asked = context()
    with responses.RequestsMock() as mock:
        mock.get(f"https://{HOST}/v2/", status=200)
        mock.get(f"https://{HOST}/v2/{REPOSITORY}/tags/list", status=503)
        with pytest.raises(UpstreamError):
            charts.discover(ChartSubscription(repo_url=f"oci://{HOST}/{REPOSITORY}"), asked)
    assert sequence(asked) == ["ping", *["tags"] * 6]
    assert asked.clock.monotonic() == pytest.approx(6.75)


def test_retry_after_is_heeded_up_to_three_seconds() -> None:
    asked = context()
    with responses.RequestsMock() as mock:
        mock.get(f"https://{HOST}/v2/", status=200)
        mock.get(f"https://{HOST}/v2/{REPOSITORY}/tags/list", status=429, headers={"Retry-After": "60"})
        with pytest.raises(UpstreamError):
            charts.discover(ChartSubscription(repo_url=f"oci://{HOST}/{REPOSITORY}"), asked)
    assert asked.clock.monotonic() == pytest.approx(15.0)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"entries: [", id="no YAML"),
        pytest.param(b"- a", id="no mapping"),
        pytest.param(b"entries: {web: [[1]]}", id="an entry that is no mapping"),
        pytest.param(b"entries: {web: [{version: 1, version: 2}]}", id="a key twice"),
        pytest.param(b"a: &a [*a]", id="an alias of itself"),
    ],
)
def test_a_stranger_s_index_is_an_upstream_error_or_empty(body: bytes) -> None:
    try:
        assert charts.index_versions(body, "web") == []
    except UpstreamError as error:
        assert "index" in str(error)  # noqa: PT017 - either outcome is right, a third is not
