"""Lean mode finds what the faithful one finds, and asks for less (sources/lean.py, docs/lean.md)."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import responses

from kargo_lab.errors import UpstreamError
from kargo_lab.experiments.lean import Asking as Side
from kargo_lab.experiments.lean import telling as told_by
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.oci.auth import BasicAuthority, BearerAuthority
from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.oci.images import Child, make_image, make_index
from kargo_lab.platforms.registry import Registry
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription
from kargo_lab.sources.credentials import Credentials
from kargo_lab.sources.lean import Lean, Question
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Context, OperatorSettings, Shared

WAREHOUSES = ("p/a", "p/b")
INTERVAL = 300.0
NAMES = (f"acme/{number}" for number in itertools.count())
ROBOT = Credentials(username="robot", password="s3cr3t")


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as running:
        yield running


@pytest.fixture(scope="module")
def telling() -> Iterator[Registry]:
    """One that tells with its tags what they point at."""
    with Registry(layers=[told_by]) as running:
        yield running


@pytest.fixture(scope="module")
def charts() -> Iterator[ChartHost]:
    with ChartHost() as running:
        yield running


@pytest.fixture(scope="module")
def githost() -> Iterator[GitHost]:
    with GitHost() as running:
        yield running


def image(content: int, *, index: bool) -> Any:
    if not index:
        return make_image(f"single {content}", created=f"2026-01-{content + 1:02}T00:00:00Z")
    platforms = ("linux/amd64", "linux/arm64")
    # Of two indexes one child is the same, as when only one platform was built anew.
    return make_index(
        [Child(make_image(f"{content // (1 + place)} {name}"), name) for place, name in enumerate(platforms)]
    )


def kinds(registry: Registry, scene: SimpleNamespace) -> list[str]:
    return [f"{row.method} {scene.kind_of(row)}" for row in registry.access_log.rows]


def test_lean_is_off_unless_asked_for() -> None:
    assert not OperatorSettings().lean
    assert Shared(ledger=Ledger()).connections is None


def test_no_profile_turns_it_on() -> None:
    assert not any(field.name.startswith("lean") for field in attrs.fields(type(PROFILES["recommended"])))


@pytest.fixture
def web(registry: Registry) -> ImageSubscription:
    name = next(NAMES)
    registry.push(name, image(1, index=False), "1.0.0")
    return ImageSubscription(repo_url=f"{registry.host}/{name}")


def test_a_warm_pass_asks_for_the_tags_and_what_they_point_at(
    registry: Registry, web: ImageSubscription, scene: SimpleNamespace
) -> None:
    side = Side(lean=True)
    side.find(web)
    side.clock.advance(INTERVAL)
    registry.access_log.clear()
    side.find(web)
    assert kinds(registry, scene) == ["GET tags", "HEAD manifest-by-tag"]


def test_another_warehouse_asks_for_nothing(registry: Registry, web: ImageSubscription) -> None:
    side = Side(lean=True)
    side.find(web)
    registry.access_log.clear()
    side.find(web, warehouse="p/b")
    assert registry.access_log.rows == ()
    assert side.ledger.totals().query("kind == 'tags'").cache_hits.sum() == 1


def test_another_login_has_to_see_for_itself(registry: Registry, web: ImageSubscription) -> None:
    side = Side(lean=True)
    side.find(web)
    registry.access_log.clear()
    side.find(web, credentials=ROBOT)
    assert registry.access_log.rows


def test_a_refreshed_warehouse_trusts_nothing_older_than_its_refresh(
    registry: Registry, web: ImageSubscription
) -> None:
    side = Side(lean=True)
    side.find(web)
    registry.push(web.repo_url.partition("/")[2], image(2, index=False), "1.1.0")
    assert side.shared.lean is not None
    side.shared.lean.refreshed(["p/b"])
    assert [each.tag for each in side.find(web, warehouse="p/b").references] == ["1.1.0", "1.0.0"]


def test_warehouses_that_are_refreshed_together_ask_once(registry: Registry, web: ImageSubscription) -> None:
    side = Side(lean=True)
    for warehouse in WAREHOUSES:
        side.find(web, warehouse=warehouse)
    assert side.shared.lean is not None
    side.shared.lean.refreshed(WAREHOUSES)
    registry.access_log.clear()
    for warehouse in WAREHOUSES:
        side.find(web, warehouse=warehouse)
    assert len(registry.access_log.rows) == 2


def test_what_was_seen_serves_no_longer_than_the_window(registry: Registry, web: ImageSubscription) -> None:
    side = Side(lean=True)
    side.find(web)
    side.clock.advance(side.shared.settings.lean_window_seconds)
    registry.access_log.clear()
    side.find(web, warehouse="p/b")
    assert registry.access_log.rows


def test_a_registry_that_tells_no_digest_is_asked_conditionally() -> None:
    with Registry(settings=RegistrySettings(digest_on_head=False)) as quiet:
        quiet.push("acme/web", image(1, index=False), "1.0.0")
        wanted, side = ImageSubscription(repo_url=f"{quiet.host}/acme/web"), Side(lean=True)
        cold = side.find(wanted)
        side.clock.advance(INTERVAL)
        quiet.access_log.clear()
        assert side.find(wanted) == cold
        assert [row.status for row in quiet.access_log.rows] == [200, 200, 304]


@pytest.mark.parametrize("authority", [BearerAuthority, BasicAuthority])
def test_a_login_is_used_again(authority: Any, scene: SimpleNamespace) -> None:
    with Registry(authority=authority({"robot": "s3cr3t"})) as locked:
        locked.push("acme/web", image(1, index=False), "1.0.0")
        wanted, side = ImageSubscription(repo_url=f"{locked.host}/acme/web"), Side(lean=True)
        side.find(wanted, credentials=ROBOT)
        side.clock.advance(side.shared.settings.lean_window_seconds)
        locked.access_log.clear()
        side.find(wanted, credentials=ROBOT)
        assert kinds(locked, scene) == ["GET tags", "HEAD manifest-by-tag"]


def test_a_token_that_ran_out_is_renewed_once() -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="https://r.example/token",service="s"'}
    side, wanted = Side(lean=True), ImageSubscription(repo_url="r.example/acme/web")
    with responses.RequestsMock(registry=responses.registries.OrderedRegistry) as mock:
        mock.get("https://r.example/v2/", status=401, headers=challenge)
        mock.get("https://r.example/token", json={"token": "one"})
        mock.get("https://r.example/v2/acme/web/tags/list", json={"tags": []})
        side.find(wanted)
        side.clock.advance(INTERVAL)
        mock.get("https://r.example/v2/acme/web/tags/list", status=401, headers=challenge)
        mock.get("https://r.example/token", json={"token": "two"})
        mock.get("https://r.example/v2/acme/web/tags/list", json={"tags": []})
        side.find(wanted)
        assert mock.calls[-1].request.headers["Authorization"] == "Bearer two"


def test_a_token_whose_time_is_over_is_renewed_before_it_is_refused() -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="https://r.example/token",service="s"'}
    side, wanted = Side(lean=True), ImageSubscription(repo_url="r.example/acme/web")
    with responses.RequestsMock(registry=responses.registries.OrderedRegistry) as mock:
        mock.get("https://r.example/v2/", status=401, headers=challenge)
        mock.get("https://r.example/token", json={"token": "one", "expires_in": int(INTERVAL)})
        mock.get("https://r.example/v2/acme/web/tags/list", json={"tags": []})
        side.find(wanted)
        side.clock.advance(INTERVAL)
        mock.get("https://r.example/token", json={"token": "two"})
        mock.get("https://r.example/v2/acme/web/tags/list", json={"tags": []})
        side.find(wanted)
        assert mock.calls[-1].request.headers["Authorization"] == "Bearer two"


def test_a_token_of_a_chart_registry_is_renewed_before_it_is_refused(scene: SimpleNamespace) -> None:
    side = Side(lean=True)
    with Registry(authority=BearerAuthority({"robot": "s3cr3t"}, now=side.clock.now)) as locked:
        locked.push("acme/web", image(1, index=False), "1.0.0")
        wanted = ChartSubscription(repo_url=f"oci://{locked.host}/acme/web")
        side.find(wanted)
        side.clock.advance(INTERVAL)
        locked.access_log.clear()
        side.find(wanted)
        assert kinds(locked, scene) == ["GET token", "GET tags"]


def test_a_registry_that_tells_what_tags_point_at_is_asked_once(telling: Registry) -> None:
    side, name = Side(lean=True), next(NAMES)
    for number in range(5):
        telling.push(name, image(number, index=bool(number % 2)), f"1.{number}.0")
    wanted = ImageSubscription(repo_url=f"{telling.host}/{name}", image_selection_strategy="NewestBuild")
    cold = side.find(wanted)
    side.clock.advance(INTERVAL)
    telling.access_log.clear()
    assert side.find(wanted) == cold
    assert len(telling.access_log.rows) == 1


@pytest.mark.parametrize("told", [1, [], {"sha256:0": {}}, {"x": {"mediaType": "a", "tag": ["1.0.0"]}}, {"x": None}])
def test_what_a_registry_tells_beside_its_tags_may_be_anything(told: Any) -> None:
    side, wanted = Side(lean=True), ImageSubscription(repo_url="r.example/acme/web")
    with responses.RequestsMock() as mock:
        mock.get("https://r.example/v2/", body="{}")
        mock.get("https://r.example/v2/acme/web/tags/list", json={"tags": [], "manifest": told})
        assert side.find(wanted).references == ()


def test_a_git_host_that_wants_a_password_is_asked_once(githost: GitHost) -> None:
    side, name = Side(lean=True), next(NAMES)
    githost.forge.add_account("robot", password="s3cr3t", admin=True)
    githost.create_repository(name, private=True)
    githost.commit(name, files={"README.md": "hello"}, message="first")
    wanted = GitSubscription(repo_url=f"{githost.url}/{name}.git")
    side.find(wanted, credentials=ROBOT)
    side.clock.advance(INTERVAL)
    githost.access_log.clear()
    side.find(wanted, credentials=ROBOT)
    assert [row.status for row in githost.access_log.rows] == [200]
    assert "s3cr3t" not in str(side.ledger.rows)


def test_an_open_registry_that_closes_is_greeted_anew() -> None:
    side, wanted = Side(lean=True), ImageSubscription(repo_url="r.example/acme/web")
    tags = "https://r.example/v2/acme/web/tags/list"
    with responses.RequestsMock(registry=responses.registries.OrderedRegistry) as mock:
        mock.get("https://r.example/v2/", body="{}")
        mock.get(tags, json={"tags": []})
        side.find(wanted, credentials=ROBOT)
        side.clock.advance(INTERVAL)
        mock.get(tags, status=401, headers={"WWW-Authenticate": "Basic"})
        mock.get("https://r.example/v2/", status=401, headers={"WWW-Authenticate": "Basic"})
        mock.get(tags, json={"tags": []})
        side.find(wanted, credentials=ROBOT)
        assert mock.calls[-1].request.headers["Authorization"].startswith("Basic ")


def test_whoever_asks_at_the_same_time_waits_for_the_answer() -> None:
    side, asked, go = Side(lean=True), list[str](), threading.Event()
    lean, question = Lean(window_seconds=30), Question(kind="tags", source="r.example")

    def ask(_last: object) -> str:
        asked.append("once")
        assert go.wait(5)
        return "answer"

    def look() -> None:
        answers.append(lean.seen(question, Context(shared=side.shared, clock=side.clock), ask))

    answers: list[str] = []
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert (answers, asked) == (["answer"] * 4, ["once"])


def test_a_failure_is_nobody_elses() -> None:
    side, question = Side(lean=True), Question(kind="tags", source="r.example")
    lean, context = Lean(window_seconds=30), Context(shared=side.shared, clock=side.clock)

    def fail(_last: object) -> str:
        raise UpstreamError("down")

    with pytest.raises(UpstreamError):
        lean.seen(question, context, fail)
    assert lean.seen(question, context, lambda _: "up again") == "up again"


def test_the_ledger_agrees_with_the_access_logs(
    registry: Registry, charts: ChartHost, githost: GitHost, web: ImageSubscription
) -> None:
    name, side = next(NAMES), Side(lean=True)
    charts.push_chart("web", "1.0.0", repository=name)
    githost.create_repository(name)
    githost.commit(name, files={"README.md": "hello"}, message="first")
    platforms = (registry, charts, githost)
    for platform in platforms:
        platform.access_log.clear()
    for _ in ("cold", "warm"):
        side.clock.advance(INTERVAL)
        side.find(web)
        side.find(ChartSubscription(repo_url=f"{charts.url}/{name}", chart_name="web"))
        side.find(GitSubscription(repo_url=f"{githost.url}/{name}.git"))
    for platform in platforms:
        seen = [(row.method, row.path, row.status) for row in platform.access_log.rows]
        assert seen == [
            (row.method, row.path, row.status) for row in side.ledger.requests if row.source == platform.host
        ]


def test_nothing_of_a_login_shows_in_a_question() -> None:
    assert "s3cr3t" not in repr(Question(kind="tags", source="r.example", rest=(ROBOT,)))
