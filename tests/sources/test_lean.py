"""Lean mode finds what the faithful one finds, and asks for less (sources/lean.py, docs/lean.md)."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import responses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.discovery import NETWORK
from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.oci.auth import BasicAuthority, BearerAuthority
from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.oci.images import Child, make_image, make_index
from kargo_lab.platforms.registry import Registry
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.artifacts import CommitDiscovery
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription, Subscription
from kargo_lab.sources.connections import Connections
from kargo_lab.sources.credentials import NO_CREDENTIALS, Credentials
from kargo_lab.sources.lean import Lean, Question
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.outgoing import Outgoing
from kargo_lab.sources.shared import Context, OperatorSettings, Shared

WAREHOUSES = ("p/a", "p/b")
INTERVAL, MOMENT = 300.0, 1.0
NAMES = (f"acme/{number}" for number in itertools.count())
MODEST = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROBOT = Credentials(username="robot", password="s3cr3t")


class Side:
    """One process that discovers for two Warehouses, lean or not."""

    def __init__(self, *, lean: bool, clock: VirtualClock | None = None, profile: str = "latest") -> None:
        self.clock, self.ledger = clock or VirtualClock(), Ledger()
        operator = OperatorSettings(lean=lean)
        self.shared = Shared(ledger=self.ledger, profile=PROFILES[profile], settings=operator, workers=1)
        self._previous: dict[tuple[str, Subscription], Any] = {}

    def find(
        self, subscription: Subscription, *, warehouse: str = "p/a", credentials: Credentials = NO_CREDENTIALS
    ) -> Any:
        before = self._previous.get((warehouse, subscription))
        context = Context(
            shared=self.shared,
            clock=self.clock,
            warehouse=warehouse,
            credentials=credentials,
            previous=before if isinstance(before, CommitDiscovery) else None,
        )
        found = NETWORK[subscription.TYPE](subscription, context)
        self._previous[warehouse, subscription] = found
        return attrs.evolve(found, observed=None) if isinstance(found, CommitDiscovery) else found

    def outcome(self, subscription: Subscription, warehouse: str) -> Any:
        try:
            return self.find(subscription, warehouse=warehouse)
        except UpstreamError as error:
            return "error", error.status


class Pair:
    """The same discoveries on both sides, of a world that changes between them."""

    def __init__(self, *subscriptions: Subscription, profile: str = "latest") -> None:
        self.clock, self.subscriptions = VirtualClock(), subscriptions
        self.sides = [Side(lean=lean, clock=self.clock, profile=profile) for lean in (False, True)]

    def poll(self) -> None:
        """All Warehouses, an interval later."""
        self.clock.advance(INTERVAL)
        for warehouse in WAREHOUSES:
            self.compare(warehouse)

    def refresh(self, warehouse: str) -> None:
        """One Warehouse, a moment later, because a webhook asked for it."""
        self.clock.advance(MOMENT)
        lean = self.sides[1].shared.lean
        assert lean is not None
        lean.refreshed([warehouse])
        self.compare(warehouse)

    def compare(self, warehouse: str) -> None:
        for each in self.subscriptions:
            faithful, lean = (side.outcome(each, warehouse) for side in self.sides)
            assert lean == faithful

    def close(self) -> None:
        connections = self.sides[1].shared.connections
        assert connections is not None
        connections.close()


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as running:
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


LOOKS = [st.just(("poll",)), st.tuples(st.just("refresh"), st.sampled_from(WAREHOUSES))]
IMAGE_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 4), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("delete"), st.integers(0, 4)),
        *LOOKS,
    ),
    max_size=14,
)


@MODEST
@given(steps=IMAGE_STEPS, profile=st.sampled_from(["latest", "v1.8"]))
def test_images_are_the_same_after_any_history(registry: Registry, steps: list[Any], profile: str) -> None:
    name = next(NAMES)
    registry.push(name, image(0, index=False), "1.0.0")
    url = f"{registry.host}/{name}"
    pair = Pair(
        ImageSubscription(repo_url=url, discovery_limit=2),
        ImageSubscription(repo_url=url, image_selection_strategy="NewestBuild", platform="linux/arm64"),
        ImageSubscription(repo_url=url, image_selection_strategy="NewestBuild", platform="linux/amd64"),
        ImageSubscription(repo_url=url, image_selection_strategy="Digest", constraint="1.1.0"),
        ImageSubscription(repo_url=url, image_selection_strategy="Lexical", cache_by_tag=True),
        profile=profile,
    )
    for step in (*steps, ("poll",)):
        match step:
            case ("push", int(tag), int(content), bool(index)):
                registry.push(name, image(content, index=index), f"1.{tag}.0")
            case ("delete", int(tag)):
                registry.delete_tag(name, f"1.{tag}.0")
            case ("refresh", warehouse):
                pair.refresh(warehouse)
            case _:
                pair.poll()
    pair.close()


CHART_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["push", "delete"]), st.sampled_from(["web", "api"]), st.integers(0, 3)), *LOOKS
    ),
    max_size=14,
)


@MODEST
@given(steps=CHART_STEPS)
def test_charts_are_the_same_after_any_history(charts: ChartHost, registry: Registry, steps: list[Any]) -> None:
    name = next(NAMES)
    charts.push_chart("web", "0.1.0", repository=name)
    registry.push(name, image(0, index=False), "0.1.0")
    pair = Pair(
        ChartSubscription(repo_url=f"{charts.url}/{name}", chart_name="web"),
        ChartSubscription(repo_url=f"{charts.url}/{name}", chart_name="api"),
        ChartSubscription(repo_url=f"oci://{registry.host}/{name}"),
    )
    for step in (*steps, ("poll",)):
        match step:
            case ("push", chart, int(version)):
                charts.push_chart(chart, f"1.{version}.0", repository=name)
                registry.push(name, image(version, index=False), f"1.{version}.0")
            case ("delete", chart, int(version)):
                charts.delete_chart(chart, f"1.{version}.0", repository=name)
                registry.delete_tag(name, f"1.{version}.0")
            case ("refresh", warehouse):
                pair.refresh(warehouse)
            case _:
                pair.poll()
    pair.close()


GIT_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.sampled_from(["apps/a", "docs/b"])),
        st.tuples(st.just("tag"), st.integers(0, 3)),
        st.tuples(st.just("untag"), st.integers(0, 3)),
        *LOOKS,
    ),
    max_size=5,
)


@settings(MODEST, max_examples=5)
@given(steps=GIT_STEPS, profile=st.sampled_from(["latest", "v1.10"]))
def test_commits_are_the_same_after_any_history(githost: GitHost, steps: list[Any], profile: str) -> None:
    name, number, present = next(NAMES), itertools.count(), set[int]()
    githost.create_repository(name)
    githost.commit(name, files={"README.md": "hello"}, message="first")
    url = f"{githost.url}/{name}.git"
    pair = Pair(
        GitSubscription(repo_url=url, include_paths=("apps",)),
        GitSubscription(repo_url=url, commit_selection_strategy="SemVer"),
        profile=profile,
    )
    for step in (*steps, ("poll",)):
        match step:
            case ("commit", path):
                githost.commit(name, files={path: str(next(number))}, message="more")
            case ("tag", int(tag)):
                githost.tags(name, [f"1.{tag}.0"])
                present.add(tag)
            case ("untag", int(tag)) if tag in present:
                githost.delete_ref(name, f"refs/tags/1.{tag}.0")
                present.discard(tag)
            case ("refresh", warehouse):
                pair.refresh(warehouse)
            case ("poll",):
                pair.poll()
    pair.close()


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
        side.clock.advance(INTERVAL)
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


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def answering(*connections: int) -> Iterator[str]:
    """A port that answers so many requests on each connection in turn, and breaks it at the one after them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answers in connections:
                connection, _ = listening.accept()
                with connection:
                    for _ in range(answers):
                        connection.recv(65536)
                        connection.sendall(ANSWER)
                    connection.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


def asked_in_turn(url: str, times: int) -> list[int]:
    connections, ledger = Connections(), Ledger()
    out = Outgoing(ledger=ledger, clock=VirtualClock(), connections=connections)
    for _ in range(times):
        out.send(url, kind="ping")
    connections.close()
    return [row.status for row in ledger.rows]


def test_a_connection_is_kept() -> None:
    with answering(3) as url:
        assert asked_in_turn(url, 3) == [200, 200, 200]


def test_a_connection_that_ended_meanwhile_is_replaced() -> None:
    with answering(1, 1) as url:
        assert asked_in_turn(url, 2) == [200, 0, 200]


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
