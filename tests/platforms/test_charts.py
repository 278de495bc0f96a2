"""Classic chart repositories, as Helm writes them, over HTTP."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests
import yaml

from kargo_lab.platforms.charts import ChartEvent, ChartHost
from kargo_lab.platforms.oci.chart_packages import gzip as our_gzip
from kargo_lab.platforms.oci.chart_packages import package_chart

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def host() -> Iterator[ChartHost]:
    with ChartHost(now=lambda: NOON) as host:
        yield host


def index(host: ChartHost, repository: str = "") -> dict[str, list[dict[str, object]]]:
    answer = requests.get(f"{host.repository_url(repository)}/index.yaml", timeout=5)
    document: dict[str, dict[str, list[dict[str, object]]]] = yaml.safe_load(answer.text)
    return document["entries"]


def test_the_index_lists_what_helm_reads(host: ChartHost) -> None:
    digest = host.push_chart("app", "1.0.0", app_version="2.1")
    assert index(host)["app"] == [
        {
            "apiVersion": "v2", "name": "app", "version": "1.0.0", "type": "application", "appVersion": "2.1",
            "description": "A chart that proves that app was found", "created": "2026-01-01T12:00:00Z",
            "digest": digest, "urls": ["app-1.0.0.tgz"],
        }
    ]  # fmt: skip


def test_versions_are_listed_newest_first_and_what_is_none_last(host: ChartHost) -> None:
    for version in ("1.9.0", "latest", "1.10.0", "1.10.0-rc.1"):
        host.push_chart("app", version)
    assert [entry["version"] for entry in index(host)["app"]] == ["1.10.0", "1.10.0-rc.1", "1.9.0", "latest"]


def test_the_address_in_the_index_leads_to_the_archive(host: ChartHost) -> None:
    host.push_chart("app", "1.0.0")
    archive = requests.get(f"{host.url}/{index(host)['app'][0]['urls'][0]}", timeout=5).content  # type: ignore[index]
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        assert files.getnames() == ["app/Chart.yaml", "app/values.yaml", "app/templates/configmap.yaml"]


def test_addresses_may_be_whole() -> None:
    with ChartHost(relative_urls=False) as host:
        host.push_chart("app", "1.0.0", repository="team")
        assert index(host, "team")["app"][0]["urls"] == [f"{host.url}/team/app-1.0.0.tgz"]


def test_repositories_are_apart(host: ChartHost) -> None:
    host.push_chart("app", "1.0.0")
    host.push_chart("db", "1.0.0", repository="team")
    assert (list(index(host)), list(index(host, "team"))) == (["app"], ["db"])


def test_a_deleted_version_is_gone_from_index_and_store(host: ChartHost) -> None:
    host.push_chart("app", "1.0.0")
    assert (host.delete_chart("app", "1.0.0"), index(host)) == (True, {})
    assert requests.get(f"{host.url}/app-1.0.0.tgz", timeout=5).status_code == 404


@pytest.mark.parametrize("path", ["nothing", "team/index.yaml", "app-1.0.0.tgz"])
def test_what_is_not_there_is_404(host: ChartHost, path: str) -> None:
    assert requests.get(f"{host.url}/{path}", timeout=5).status_code == 404


def test_an_unchanged_index_is_not_sent_again(host: ChartHost) -> None:
    etag = requests.get(f"{host.url}/index.yaml", timeout=5).headers["ETag"]
    assert requests.get(f"{host.url}/index.yaml", headers={"If-None-Match": etag}, timeout=5).status_code == 304


def test_an_index_changes_when_a_chart_comes() -> None:
    host = ChartHost()
    host.push_chart("app", "1.0.0")
    before = host.index()
    host.push_chart("app", "1.1.0")
    assert ("1.1.0" in before, "1.1.0" in host.index()) == (False, True)


def test_an_index_may_be_broken_on_purpose(host: ChartHost) -> None:
    host.replace_file("index.yaml", "entries: [", status=503)
    answer = requests.get(f"{host.url}/index.yaml", timeout=5)
    assert (answer.status_code, answer.text) == (503, "entries: [")


@pytest.mark.parametrize(("password", "status"), [("right", 200), ("wrong", 401), ("", 401)])
def test_credentials_are_asked_for(password: str, status: int) -> None:
    with ChartHost(users={"me": "right"}) as host:
        assert requests.get(f"{host.url}/index.yaml", auth=("me", password), timeout=5).status_code == status


def test_pushes_and_deletions_are_told() -> None:
    told: list[ChartEvent] = []
    host = ChartHost(on_event=told.append)
    host.push_chart("app", "1.0.0", repository="team")
    host.delete_chart("app", "1.0.0", repository="team")
    assert [(one.action, one.repository, one.name, one.version) for one in told] == [
        ("push", "team", "app", "1.0.0"), ("delete", "team", "app", "1.0.0"),
    ]  # fmt: skip


def test_a_package_never_varies() -> None:
    assert package_chart("app", "1.0.0").archive == package_chart("app", "1.0.0").archive


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 200_000])
def test_our_gzip_is_gzip(size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    assert gzip.decompress(our_gzip(content)) == content
