"""The `kubernetes` target: what it writes, what it never touches, and what it says when the API server is in a mood."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from kargo_lab.cli import main
from kargo_lab.conformance import leftovers, runner
from kargo_lab.conformance.cases import load, select
from kargo_lab.conformance.cluster import Cluster, ClusterError
from kargo_lab.conformance.plans import USUAL_ADDRESSES, Plan, plan, receiver_path
from kargo_lab.conformance.targets import kubernetes, make, url
from kargo_lab.conformance.targets.kubernetes import Kubernetes
from kargo_lab.conformance.world import World
from kargo_lab.errors import LabError, ManifestError, UnfitError, UsageError

CASES = ("github/push/branch", "github/push/answer", "scopes/namespaces/*/cluster")
every = cache(load)


def plans(*patterns: str) -> list[Plan]:
    return [plan(case, USUAL_ADDRESSES, 7) for case in select(every(), patterns or CASES)]


def opened(room: Any, *patterns: str, run: str = "", **section: Any) -> tuple[Kubernetes, list[Plan]]:
    target, chosen = room.target(run=run, **section), plans(*patterns)
    target.open(chosen, World())
    return target, chosen


def ours(api: Any) -> list[tuple[str, str, str]]:
    return [key for key in api.objects if key not in BEFORE]


BEFORE = {("Namespace", "", "default"), ("Namespace", "", "kargo-system-resources")}


# Who is asked


def test_a_target_file_without_a_context_is_refused(room: Any) -> None:
    path = room.file()
    document = yaml.safe_load(path.read_text())
    del document["kubernetes"]["context"]
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ManifestError, match="context"):
        url.read(path)


def test_a_kubernetes_target_without_its_section_is_refused(room: Any) -> None:
    path = room.file()
    document = yaml.safe_load(path.read_text())
    del document["kubernetes"]
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ManifestError, match="kubernetes"):
        url.read(path)


def test_an_unknown_context_is_refused_and_the_current_one_not_taken(room: Any) -> None:
    with pytest.raises(UsageError, match="'elsewhere' cannot be used"):
        room.target(context="elsewhere").open(plans(), World())
    assert room.api.calls == []


def test_a_missing_kubeconfig_is_named(room: Any) -> None:
    with pytest.raises(UsageError, match="there is no kubeconfig /nowhere"):
        room.target(kubeconfig="/nowhere").open(plans(), World())


def test_without_the_package_the_extra_is_named(room: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(UsageError, match=r"pip install 'kargo-lab\[kubernetes\]'"):
        room.target().open(plans(), World())


def test_the_target_file_makes_this_target(room: Any) -> None:
    assert isinstance(make(str(room.file()), "v1.11"), Kubernetes)


def test_a_cluster_without_kargo_is_refused(room: Any) -> None:
    room.api.with_kargo = False
    with pytest.raises(UsageError, match="is Kargo installed"):
        room.target().open(plans(), World())


# What is written


def test_every_object_is_rehearsed_before_any_is_written_but_empty_namespaces(room: Any) -> None:
    opened(room)
    writes = [(index, call) for index, call in enumerate(room.api.calls) if call.writes and call.kind != "Namespace"]
    rehearsals = [(index, call) for index, call in enumerate(room.api.calls) if call.rehearsed]
    assert writes[0][0] > rehearsals[-1][0]
    rehearsed = {(call.kind, call.namespace, call.name) for _, call in rehearsals}
    assert {(call.kind, call.namespace, call.name) for _, call in writes} <= rehearsed


def test_a_namespace_is_rehearsed_before_it_is_made(room: Any) -> None:
    opened(room)
    kinds = [call.rehearsed for call in room.api.calls if call.kind == "Namespace" and call.method == "POST"]
    assert kinds == sorted(kinds, reverse=True)
    assert True in kinds


def test_namespaces_and_projects_bear_the_runs_label(room: Any) -> None:
    opened(room, run="r1")
    tops = [room.api.objects[key] for key in ours(room.api) if key[0] in ("Namespace", "Project", "ClusterConfig")]
    assert len(tops) >= 3
    assert {each["metadata"]["labels"][leftovers.RUN] for each in tops} == {"r1"}


def test_a_namespace_is_labelled_as_a_projects_so_that_kargo_adopts_it(room: Any) -> None:
    opened(room)
    labels = room.api.objects[("Namespace", "", "kargo-lab")]["metadata"]["labels"]
    assert labels["kargo.akuity.io/project"] == "true"


def test_a_clusters_secret_lies_where_the_file_says(room: Any) -> None:
    room.api.add("Namespace", "older")
    opened(room, "scopes/namespaces/*/cluster", **{"secrets-namespace": "older"})
    assert {
        key[1] for key in ours(room.api) if key[0] == "Secret" and key[1] in ("older", "kargo-system-resources")
    } == {"older"}


# What is never touched


def test_closing_leaves_the_cluster_as_it_was(room: Any) -> None:
    before = json.dumps({"/".join(key): value for key, value in room.api.objects.items()}, sort_keys=True)
    target, _ = opened(room)
    assert ours(room.api)
    target.close()
    assert json.dumps({"/".join(key): value for key, value in room.api.objects.items()}, sort_keys=True) == before


def test_only_what_bears_the_runs_label_is_deleted(room: Any) -> None:
    target, _ = opened(room)
    room.api.add("Namespace", "theirs")
    room.api.add("Secret", "theirs", "kargo-system-resources")
    made = {key for key in ours(room.api) if key[0] in ("Namespace", "Project", "ClusterConfig", "Secret")}
    room.api.calls.clear()
    target.close()
    deleted = {(call.kind, call.namespace, call.name) for call in room.api.calls if call.method == "DELETE"}
    assert deleted <= made
    assert ("Namespace", "", "theirs") in room.api.objects
    assert ("Secret", "kargo-system-resources", "theirs") in room.api.objects


def test_what_lost_its_label_meanwhile_is_left(room: Any) -> None:
    target, _ = opened(room, "github/push/branch")
    room.api.objects[("Namespace", "", "kargo-lab")]["metadata"]["labels"].pop(leftovers.RUN)
    room.api.objects[("Project", "", "kargo-lab")]["metadata"]["labels"].pop(leftovers.RUN)
    target.close()
    assert ("Namespace", "", "kargo-lab") in room.api.objects


def test_a_namespace_of_the_same_name_is_refused_before_anything_is_rehearsed(room: Any) -> None:
    room.api.add("Namespace", "kargo-lab")
    with pytest.raises(UsageError, match="Namespace kargo-lab is there already, and not ours"):
        room.target().open(plans(), World())
    assert {call.method for call in room.api.calls} == {"GET"}


def test_a_leftover_is_told_from_somebody_elses(room: Any) -> None:
    room.api.add("Namespace", "kargo-lab", metadata={"labels": {leftovers.RUN: "older"}})
    with pytest.raises(UsageError, match="left over from run older"):
        room.target().open(plans(), World())


@pytest.mark.parametrize("mode", ["refuse", None])
def test_a_clusterconfig_that_is_not_ours_is_left_alone(room: Any, mode: str | None) -> None:
    theirs = room.api.add("ClusterConfig", "cluster", spec={"webhookReceivers": [{"name": "theirs", "github": {}}]})
    target, chosen = opened(room, **({"cluster-config": mode} if mode else {}))
    assert not [call for call in room.api.calls if call.kind == "ClusterConfig" and call.method != "GET"]
    of_the_cluster = next(each for each in chosen if each.scope == "cluster" and each.receiver)
    with pytest.raises(UnfitError, match="cluster-config: borrow"):
        target.path(of_the_cluster)
    target.close()
    assert room.api.objects[("ClusterConfig", "", "cluster")] == theirs


def test_a_borrowed_clusterconfig_is_given_back(room: Any) -> None:
    receiver = {"name": "theirs", "github": {"secretRef": {"name": "theirs"}}}
    room.api.add("ClusterConfig", "cluster", spec={"webhookReceivers": [receiver]})
    target, chosen = opened(room, **{"cluster-config": "borrow"})
    config = room.api.objects[("ClusterConfig", "", "cluster")]
    cluster_wide = {each.receiver_name for each in chosen if each.scope == "cluster" and each.receiver}
    assert {each["name"] for each in config["spec"]["webhookReceivers"]} == {"theirs", *cluster_wide}
    target.close()
    config = room.api.objects[("ClusterConfig", "", "cluster")]
    assert config["spec"]["webhookReceivers"] == [receiver]
    assert leftovers.BORROWED not in (config["metadata"].get("annotations") or {})


# After a crash


def fails_at(kind: str, number: int, status: int = 500) -> Any:
    """The stand-in stops at the n-th write of a kind."""
    seen = 0

    def answer(call: Any) -> tuple[int, str] | None:
        nonlocal seen
        if call.kind == kind and call.writes:
            seen += 1
        return (status, "etcdserver: request timed out") if seen >= number and call.kind == kind else None

    return answer


@pytest.mark.parametrize(
    ("kind", "number"), [("Namespace", 2), ("Project", 1), ("Secret", 1), ("Warehouse", 3), ("ProjectConfig", 1)]
)
def test_a_setup_that_breaks_off_is_cleaned_up(room: Any, kind: str, number: int) -> None:
    room.api.answer = fails_at(kind, number)
    target = room.target()
    with pytest.raises(ClusterError, match="500, the API server is in trouble"):
        target.open(plans(), World())
    room.api.answer = lambda _: None
    target.close()
    assert ours(room.api) == []


def test_what_a_killed_run_left_is_found_by_its_label_and_taken_away(room: Any) -> None:
    opened(room, run="killed")  # and never closed
    room.api.add("Namespace", "theirs")
    found = CliRunner().invoke(main, ["conformance", "leftovers", "--target", str(room.file())])
    assert found.exit_code == 1
    assert "killed" in found.output
    assert "Namespace  kargo-lab" in found.output
    cleaned = CliRunner().invoke(main, ["conformance", "leftovers", "--target", str(room.file()), "--delete"])
    assert cleaned.exit_code == 0, cleaned.output
    assert ours(room.api) == [("Namespace", "", "theirs")]


def test_a_clusterconfig_that_a_killed_run_borrowed_is_given_back(room: Any) -> None:
    room.api.add("ClusterConfig", "cluster", spec={"webhookReceivers": []})
    opened(room, "scopes/namespaces/*/cluster", **{"cluster-config": "borrow"})
    CliRunner().invoke(main, ["conformance", "leftovers", "--target", str(room.file()), "--delete"])
    assert room.api.objects[("ClusterConfig", "", "cluster")]["spec"]["webhookReceivers"] == []


def test_a_run_that_is_told_to_end_takes_away_what_it_made(room: Any) -> None:
    made = threading.Event()

    def stalls(call: Any) -> tuple[int, Any] | None:
        if call.kind == "Warehouse" and call.writes:
            made.set()
        return None

    room.api.answer, room.api.stalled = stalls, True
    command = [sys.executable, "-c", "from kargo_lab.cli import main; main()", "conformance", "run"]
    run = subprocess.Popen(
        [*command, "--target", str(room.file(**{"setup-seconds": 60})), "--select", "github/push/branch"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert made.wait(20)
    run.send_signal(signal.SIGTERM)
    run.wait(20)
    assert ours(room.api) == []


def test_no_leftovers_is_said_and_good(room: Any) -> None:
    found = CliRunner().invoke(main, ["conformance", "leftovers", "--target", str(room.file())])
    assert (found.exit_code, found.stdout) == (0, "")


def test_what_cannot_be_taken_away_is_said(room: Any, caplog: pytest.LogCaptureFixture) -> None:
    target, _ = opened(room, "github/push/branch", **{"setup-seconds": 0.3})
    room.api.answer = lambda call: (403, "no") if call.method == "DELETE" else None
    with caplog.at_level(logging.WARNING):
        target.close()
    assert "left behind: deleting Namespace kargo-lab: 403" in caplog.text


# Moods of the API server


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "the credentials of this context are not accepted"),
        (403, "the user of this context lacks the permission"),
        (409, "it is there already, or was changed meanwhile"),
        (429, "asks to come back later"),
        (500, "the API server is in trouble"),
        (503, "the API server is in trouble"),
    ],
)
def test_a_refusal_of_the_whole_run_is_one_clear_sentence(room: Any, status: int, said: str) -> None:
    room.api.answer = lambda call: (status, "forbidden: a reason") if call.kind == "Warehouse" else None
    target = room.target()
    with pytest.raises(ClusterError) as caught:
        target.open(plans("github/push/branch"), World())
    assert said in str(caught.value)
    assert str(caught.value).startswith("creating Warehouse kargo-lab/c")
    room.api.answer = lambda _: None
    target.close()
    assert ours(room.api) == []


@pytest.mark.parametrize("status", [400, 422])
def test_an_object_that_does_not_fit_costs_its_case_and_no_other(room: Any, status: int) -> None:
    bad, good = plans("github/push/branch", "github/push/answer")

    def answer(call: Any) -> tuple[int, str] | None:
        return (
            (status, "spec.subscriptions: no")
            if call.name.startswith(bad.case.slug) and call.kind == "Warehouse"
            else None
        )

    room.api.answer = answer
    target = room.target()
    target.open([bad, good], World())
    with pytest.raises(UnfitError, match="does not take what the case sets up"):
        target.path(bad)
    assert target.path(good) == receiver_path(good)


def test_a_case_that_was_not_taken_is_skipped_with_the_reason(room: Any) -> None:
    room.api.answer = lambda call: (422, "the reason") if call.kind == "Warehouse" else None
    cases = select(every(), ("github/push/branch",))
    with World() as world:
        target = room.target()
        (result,) = runner.run(cases, target, world)
        target.close()
    assert result.status == "skip"
    assert "the reason" in result.sentence


def test_an_api_server_that_hangs_is_given_up(room: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    room.kubeconfig(f"http://127.0.0.1:{listener.getsockname()[1]}")
    began = time.monotonic()
    with listener, pytest.raises(ClusterError, match=r"did not answer within 0\.3 s"):
        room.target(**{"timeout-seconds": 0.3}).open(plans(), World())
    assert time.monotonic() - began < 5


def test_an_api_server_that_is_not_there_is_said(room: Any) -> None:
    room.kubeconfig("http://127.0.0.1:1")
    with pytest.raises(ClusterError, match="could not be reached"):
        room.target().open(plans(), World())


@pytest.mark.parametrize("garbage", [b"<html>login</html>", b"[1]", b"\xff"])
def test_an_answer_that_is_no_json_object_is_said(room: Any, garbage: bytes) -> None:
    room.api.answer = lambda call: (200, garbage) if call.kind == "Namespace" else None
    with pytest.raises(ClusterError, match="answered, but not with JSON"):
        room.target().open(plans(), World())


def test_a_controller_that_does_not_sync_is_named(room: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(room.api), "_reconcile", lambda *_: None)
    with pytest.raises(LabError, match="is Kargo's management controller running"):
        opened(room, "github/push/branch", **{"setup-seconds": 0.3})


# Secrets


def test_no_secret_is_in_a_message_log_or_repr(room: Any, caplog: pytest.LogCaptureFixture) -> None:
    each = plans("github/push/branch")[0]
    secret = each.secret.decode()
    room.api.answer = lambda call: (
        (422, f"invalid: {json.dumps(call.body)} {secret}") if call.kind == "Secret" else None
    )
    target = room.target()
    with caplog.at_level(logging.DEBUG):
        target.open([each], World())
        with pytest.raises(UnfitError) as caught:
            target.path(each)
        target.close()
    everything = f"{caught.value}{caplog.text}{target!r}{vars(target)}"
    assert secret not in everything
    assert "canary-token" not in everything


# What is seen


def test_a_path_is_the_one_in_the_status_below_the_urls_own(room: Any) -> None:
    target, chosen = opened(room)
    assert {target.path(each) for each in chosen if each.receiver} == {
        receiver_path(each) for each in chosen if each.receiver
    }


def test_state_is_read_from_annotation_and_status(room: Any) -> None:
    target, (each,) = opened(room, "github/push/branch")
    short, key = next(iter(each.warehouses.items()))
    namespace, _, name = key.partition("/")
    room.api.objects[("Warehouse", namespace, name)]["metadata"]["annotations"] = {"kargo.akuity.io/refresh": "now"}
    seen = target.state(each)
    assert seen["refresh"][short] == "now"
    assert seen["discovered"][short] == ["a change", "v1", "1.1.0", "1.0.0", "2.0.0"]
    assert seen["conditions"][short] == {"Ready": ["True", "Synced"]}
    assert seen["receiver"]["url"].startswith("http://kargo.example/github/")


def test_freight_is_counted_by_its_origin_over_all_pages(room: Any) -> None:
    target, (each, *_) = opened(room, "freight/*")
    short, key = next(iter(each.warehouses.items()))
    namespace, _, name = key.partition("/")
    for number in range(5):
        room.api.add("Freight", f"f{number}", namespace, origin={"kind": "Warehouse", "name": name})
    room.api.add("Freight", "other", namespace, origin={"kind": "Warehouse", "name": "other"})
    assert target.state(each)["freight"][short] == 5


def test_settling_waits_for_the_last_token_and_no_longer_than_told(room: Any) -> None:
    target, (each,) = opened(room, "github/push/branch")
    key = next(iter(each.warehouses.values()))
    warehouse = room.api.objects[("Warehouse", *key.split("/"))]
    warehouse["metadata"]["annotations"] = {"kargo.akuity.io/refresh": "new"}
    began = time.monotonic()
    target.settle([each])
    assert 1.9 < time.monotonic() - began < 4


def test_first_discoveries_that_do_not_end_are_said_and_the_run_goes_on(
    room: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kubernetes, "quiet", lambda _: False)
    with caplog.at_level(logging.WARNING):
        opened(room, "github/push/branch", **{"setup-seconds": 0.3})
    assert "4 Warehouses have not finished their first discovery within 0.3 s" in caplog.text


def test_a_rotated_secret_moves_the_path_with_the_next_sync(room: Any) -> None:
    target, (each,) = opened(room, "github/push/branch")
    before = target.path(each)
    target.change(each, {"secret": "another"})
    assert target.path(each) == before
    target.change(each, {"resync": True})
    assert target.path(each) != before


def test_a_removed_secret_takes_the_entry_out_of_the_status(room: Any) -> None:
    target, (each,) = opened(room, "github/push/branch")
    target.change(each, {"secret": None, "resync": True})
    assert target.state(each)["receiver"] is None


def test_time_cannot_be_moved_on_a_cluster(room: Any) -> None:
    target, (each,) = opened(room, "github/push/branch")
    with pytest.raises(LabError, match="cannot change 'poll'"):
        target.change(each, {"poll": {"seconds": 1}})


def test_lists_are_read_page_by_page(room: Any) -> None:
    for number in range(10):
        room.api.add("Secret", f"s{number}", "default")
    cluster = Cluster.connect(kubeconfig=str(room.folder / "kubeconfig"), context="lab", timeout_seconds=5)
    assert len(list(cluster.items("Secret", "default"))) == 10
    cluster.close()
