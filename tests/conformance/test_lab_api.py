"""The lab API as a target: it agrees with the other ways, and a bad answer costs a verdict and no traceback."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.conformance import suite, targets
from kargo_lab.conformance.cases import for_profile, load, select
from kargo_lab.engine.clock import VirtualClock, WallClock
from kargo_lab.engine.lab import Lab
from kargo_lab.errors import ManifestError, TargetError, UsageError
from kargo_lab.resources import loading
from kargo_lab.service import document, nearby
from kargo_lab.service.api import MOST_BYTES, PREFIX, create_app
from kargo_lab.service.serving import Server
from kargo_lab.service.webhook import Webhook
from kargo_lab.sources.shared import OperatorSettings

TOKEN = "c4n4ry-t0ken-of-the-lab-api"
HEADER = "c4n4ry-header-of-a-gateway"
EVERYTHING = "features: [outside-addresses, promotions, secrets-change]\n"
SAMPLE = (
    "github/push/url-form",
    "github/authenticity/text",
    "promotions/pull-requests/gitea",
    "secrets/changes",
)

every = cache(load)  # read once for all tests here


def chosen(*patterns: str) -> list[Any]:
    return list(for_profile(select(every(), patterns), "latest"))


@contextmanager
def served(tmp_path: Path, *, clock: Any = None, token: str = "", extra: str = EVERYTHING) -> Iterator[tuple[Lab, str]]:
    """The reference behind sockets, as `kargo-lab serve` has it, and the name of a target file for it."""
    with ExitStack() as stack:
        lab = Lab(
            clock=clock or WallClock(),
            sources=nearby.LOOPBACK,
            settings=OperatorSettings(registry_rate_limit=10_000.0),
            seed=7,
        )
        stack.callback(lab.close)
        webhooks = stack.enter_context(Server(Webhook(lab)))
        api = stack.enter_context(Server(create_app(lab, token=token), kept_bytes=MOST_BYTES + 1))
        lab.resync(base_url=webhooks.url)
        if clock is None:
            lab.start()
        yield lab, file(tmp_path, api.url + PREFIX, url=webhooks.url, extra=extra)


def file(folder: Path, api: str, *, url: str = "", more: str = "", extra: str = "") -> str:
    path = folder / "target.yaml"
    path.write_text(
        f"name: t\nurl: {url or api}\nkind: lab-api\nlab-api: {{url: '{api}'{more}}}\nsettle-seconds: 20\n{extra}"
    )
    return str(path)


def statuses(target: str, cases: list[Any]) -> dict[str, str]:
    found = suite.judge(cases, suite.header(target), jobs=2)
    return {case["id"]: case["status"] for case in found["cases"]}


# Agreement ----------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_it_concludes_what_the_reference_concludes_over_a_socket(tmp_path: Path) -> None:
    cases = chosen(*SAMPLE)
    with served(tmp_path) as (_, target):
        assert statuses(target, cases) == statuses("reference", cases)


@pytest.mark.timeout(120)
def test_what_is_configured_by_hand_agrees_where_it_is_judged_at_all(tmp_path: Path) -> None:
    cases = chosen("github/push/url-form", "github/authenticity/text")
    with served(tmp_path) as (lab, target):
        by_api = statuses(target, cases)
        by_hand = tmp_path / "by-hand.yaml"
        lab.apply(loading.loads(suite.manifests(cases, suite.USUAL_ADDRESSES, 7)))
        by_hand.write_text(f"name: t\nurl: {lab.base_url}\ncalls: false\n")
        judged = {name: status for name, status in statuses(str(by_hand), cases).items() if status != "skip"}
    assert judged == {name: by_api[name] for name in judged}
    assert judged


@pytest.mark.timeout(120)
def test_on_a_virtual_clock_an_interval_passes_at_once(tmp_path: Path) -> None:
    cases = chosen("polling/intervals")
    with served(tmp_path, clock=VirtualClock(), extra="features: [time]\n") as (_, target):
        assert set(statuses(target, cases).values()) == {"pass"}


def test_what_the_target_file_does_not_list_is_unsupported(tmp_path: Path) -> None:
    cases = chosen("promotions/pull-requests/gitea/merged", "polling/intervals/git", "secrets/changes/deleted")
    with served(tmp_path, extra="") as (_, target):
        found = suite.judge(cases, suite.header(target), jobs=1)
    assert {case["sentence"] for case in found["cases"]} == {
        "the target does not offer promotions",
        "the target does not offer time",
        "the target does not offer secrets-change",
    }


@pytest.mark.parametrize("status", ["403 No", "404 No", "405 No", "409 No", "501 No"])
def test_what_it_refuses_though_it_is_listed_is_unsupported_as_well(status: str, tmp_path: Path) -> None:
    with served(tmp_path) as (lab, target), Server(refusing(create_app(lab), "/secrets/", status)) as api:
        text = Path(target).read_text()
        Path(target).write_text(text.replace(text.partition("lab-api: {url: '")[2].partition("'")[0], api.url + PREFIX))
        found = suite.judge(chosen("secrets/changes/deleted"), suite.header(target), jobs=1)
    (case,) = found["cases"]
    assert case["status"] == "unsupported"
    assert re.fullmatch(
        r"the target file lists secrets-change, but the target does not offer it: "
        rf"DELETE /secrets/\S+ was answered {status[:3]}: not here",
        case["sentence"],
    )


def refusing(application: Any, part: str, status: str) -> Any:
    def answer(environ: Any, start_response: Any) -> Any:
        refused = part in environ["PATH_INFO"]
        return (answering(status, b'{"error": "not here"}') if refused else application)(environ, start_response)

    return answer


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with served(tmp_path) as (lab, target):
        statuses(target, chosen("github/push/url-form"))
        assert (lab.objects.warehouses(), lab.objects.configs, lab.objects.secrets) == ([], (), ())


def test_somebody_elses_warehouses_are_not_replaced(tmp_path: Path) -> None:
    theirs = """
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: shop, namespace: production}
spec: {subscriptions: [{git: {repoURL: https://github.com/ex/repo}}]}
"""
    with served(tmp_path) as (lab, target):
        lab.apply(loading.loads(theirs))
        with pytest.raises(TargetError) as refusal:
            suite.judge(chosen("github/push/answer"), suite.header(target), jobs=1)
        kept = [each.key for each in lab.objects.warehouses()]
    assert kept == ["production/shop"]
    assert "Warehouse production/shop, which is not the suite's" in str(refusal.value)


# Letting in ---------------------------------------------------------------------------------------


def test_the_right_token_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", TOKEN)
    with served(tmp_path, token=TOKEN) as (lab, target):
        text = Path(target).read_text().replace(f"{PREFIX}'", f"{PREFIX}', token-env: LAB_TOKEN")
        Path(target).write_text(text)
        assert set(statuses(target, chosen("github/push/answer")).values()) == {"pass"}
        del lab


def test_a_wrong_token_is_an_error_that_says_so_and_shows_no_secret(tmp_path: Path, caplog: Any) -> None:
    with served(tmp_path, token="another") as (_, target):
        more = f"{PREFIX}', token: {TOKEN}, headers: {{X-Gateway: {HEADER}}}"
        Path(target).write_text(Path(target).read_text().replace(f"{PREFIX}'", more))
        with pytest.raises(TargetError, match="GET /: the lab API answered 401") as refusal:
            suite.judge(chosen("github/push/answer"), suite.header(target), jobs=1)
        made = targets.make(target, "latest")
    shown = str(refusal.value) + repr(refusal) + repr(made.file) + repr(made.settings) + caplog.text  # type: ignore[attr-defined]  # of this target
    assert TOKEN not in shown
    assert HEADER not in shown


def test_an_api_that_says_the_token_again_is_not_quoted(tmp_path: Path) -> None:
    body = json.dumps({"error": f"Bearer {TOKEN} and {HEADER} are wrong"}).encode()
    with Server(answering("403 Forbidden", body)) as server:
        target = file(tmp_path, server.url, more=f", token: {TOKEN}, headers: {{X-Gateway: {HEADER}}}")
        with pytest.raises(TargetError, match=r": \*\*\* and \*\*\* are wrong$"):
            suite.judge(chosen("github/push/answer"), suite.header(target), jobs=1)


def test_a_token_that_is_not_in_the_environment_is_asked_for(tmp_path: Path) -> None:
    target = file(tmp_path, "http://127.0.0.1:9", more=", token-env: NO_SUCH_VARIABLE_HERE")
    with pytest.raises(UsageError, match="NO_SUCH_VARIABLE_HERE"):
        targets.make(target, "latest")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("kind: lab-api\n", id="without its section"),
        pytest.param("lab-api: {url: http://127.0.0.1}\n", id="a section without the kind"),
        pytest.param("kind: lab-api\nlab-api: {url: http://me:secret@host/}\n", id="a password in the URL"),
        pytest.param("kind: lab-api\nlab-api: {url: http://h, token: a, token-env: B}\n", id="two tokens"),
    ],
)
def test_a_target_file_does_not_fit(text: str, tmp_path: Path) -> None:
    path = tmp_path / "target.yaml"
    path.write_text(f"name: t\nurl: http://127.0.0.1:9\n{text}")
    with pytest.raises(ManifestError):
        targets.make(str(path), "latest")


# Answering badly ----------------------------------------------------------------------------------


def answering(status: str, body: bytes, kind: str = "application/json") -> Callable[..., list[bytes]]:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    return application


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        pytest.param("500 No", b'{"error": "oh"}', "GET /: the lab API answered 500: oh", id="a failure"),
        pytest.param("200 OK", b"<html>hello</html>", "answered 200 with something that is not JSON", id="a page"),
        pytest.param("200 OK", b"\xff\xfe\x00", "something that is not JSON", id="bytes"),
        pytest.param("200 OK", b"[" * 100_000, "something that is not JSON", id="a depth"),
        pytest.param("200 OK", b"[]", "does not fit the description of the lab API", id="another shape"),
        pytest.param("302 Found", b"", "the lab API answered 302", id="a redirection"),
        pytest.param("404 No", b'{"error": []}', "the operation is not offered", id="not found"),
    ],
)
def test_an_api_that_answers(status: str, body: bytes, says: str, tmp_path: Path) -> None:
    with Server(answering(status, body)) as server, pytest.raises(TargetError) as refusal:
        suite.judge(chosen("github/push/url-form"), suite.header(file(tmp_path, server.url)), jobs=1)
    assert says in str(refusal.value)


def test_an_api_that_is_not_there(tmp_path: Path) -> None:
    with Server(answering("200 OK", b"")) as webhooks:
        target = file(tmp_path, "http://127.0.0.1:9", url=webhooks.url)
        with pytest.raises(TargetError, match="the lab API gave no answer"):
            suite.judge(chosen("github/push/answer"), suite.header(target), jobs=1)


def test_an_api_that_hangs_is_waited_for_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        more = ", timeout-seconds: 0.2"
        target = file(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", more=more)
        with pytest.raises(TargetError, match=r"no answer: none within 0\.2 s"):
            suite.judge(chosen("github/push/url-form"), suite.header(target), jobs=1)


@pytest.mark.timeout(60)
def test_an_api_that_dies_in_the_middle_costs_errors_and_is_given_up(tmp_path: Path) -> None:
    asked: list[float] = []

    def dying(application: Any) -> Any:
        def answer(environ: Any, start_response: Any) -> Any:
            if "/warehouses/" in environ["PATH_INFO"] and refreshed():
                asked.append(time.monotonic())
                return answering("500 No", b"")(environ, start_response)
            return application(environ, start_response)

        return answer

    def refreshed() -> bool:
        records = [lab.store.warehouse(each.key) for each in lab.objects.warehouses()]
        return any(record is not None and record.refresh for record in records)

    with served(tmp_path) as (lab, target), Server(dying(create_app(lab))) as api:
        text = Path(target).read_text()
        old = text.partition("lab-api: {url: '")[2].partition("'")[0]
        Path(target).write_text(text.replace(old, api.url + PREFIX))
        found = suite.judge(chosen("github/push"), suite.header(target), jobs=2)
    assert asked
    assert {case["status"] for case in found["cases"]} <= {"error", "pass"}
    assert "error" in {case["status"] for case in found["cases"]}


# The description ----------------------------------------------------------------------------------


def test_what_others_must_offer_stands_by_itself() -> None:
    text = json.dumps(document.part())
    wanted = {piece.partition('"')[0] for piece in text.split('"#/components/')[1:]}
    held = {f"{section}/{name}" for section, each in document.part()["components"].items() for name in each}
    assert wanted <= held
    assert len(document.part()["paths"]) == 10


def test_the_guides_target_file_fits(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "implementers-guide.md").read_text()
    section = guide.partition("## Offer the lab API")[2].partition("\n## ")[0]
    path = tmp_path / "my-target.yaml"
    path.write_text(section.partition("```yaml\n")[2].partition("```")[0])
    described = targets.file(str(path))
    assert described is not None
    assert described.api is not None
    assert described.api.url.endswith(PREFIX)


def test_all_kinds_of_targets_have_one_shape(tmp_path: Path) -> None:
    by_hand = tmp_path / "by-hand.yaml"
    by_hand.write_text("name: t\nurl: http://127.0.0.1:9\n")
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text("name: t\nurl: http://127.0.0.1:9\nkind: kubernetes\nkubernetes: {context: c}\n")
    names = ["reference", "reference-in-process", str(by_hand), str(cluster), file(tmp_path, "http://127.0.0.1:9")]
    shape = {name for name in vars(targets.Target) if not name.startswith("_")} | set(targets.Target.__annotations__)
    lacking = {name: {part for part in shape if not hasattr(targets.make(name, "latest"), part)} for name in names}
    assert not any(lacking.values()), lacking


# A token on the server ----------------------------------------------------------------------------


@pytest.mark.parametrize("claimed", ["", "Bearer", "Bearer other", f"Basic {TOKEN}", "Bearer \N{SNOWMAN}"])
def test_who_does_not_know_the_token_is_not_let_in(claimed: str) -> None:
    with Lab(clock=VirtualClock(), sources={}) as lab:
        client = create_app(lab, token=TOKEN).test_client()
        headers = {"Authorization": claimed.encode().decode("latin-1")} if claimed else {}
        assert client.get(f"{PREFIX}/objects", headers=headers).status_code == 401
