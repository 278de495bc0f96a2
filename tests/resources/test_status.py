"""What a configuration's status says about its receivers: receivers.md 1.4 to 1.6, cases CF and URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from kargo_lab import profiles, receivers
from kargo_lab.resources import status
from kargo_lab.resources.configuration import ClusterConfig, ProjectConfig, ReceiverSpec, Secret
from kargo_lab.resources.status import BuildFailure, BuiltReceiver, ReceiverStatus, StatusEntry

DATA = Path(__file__).parents[1] / "data"
PATHS = json.loads((DATA / "receiver-paths.json").read_text())
PATHS = PATHS if isinstance(PATHS, list) else PATHS["cases"]
BASE = "https://kargo.example.com"


def secret(namespace: str = "p1", name: str = "s", **data: str) -> Secret:
    return Secret(
        namespace=namespace, name=name, data={key.replace("_", "-"): text.encode() for key, text in data.items()}
    )


def github(name: str = "r", secret_name: str = "s") -> ReceiverSpec:
    return ReceiverSpec(name=name, types=("github",), secret_name=secret_name)


def reconciled(
    config: ProjectConfig | ClusterConfig, *secrets: Secret, profile: str = "latest", previous: Any = ()
) -> ReceiverStatus:
    known = {(each.namespace, each.name): each for each in secrets}
    return status.receiver_statuses(
        config,
        lambda namespace, name: known.get((namespace, name)),
        base_url=BASE,
        profile=profiles.get(profile),
        previous=previous,
    )


def project(*specs: ReceiverSpec) -> ProjectConfig:
    return ProjectConfig(namespace="p1", name="p1", receivers=specs)


def conditions(result: ReceiverStatus) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in result.conditions}


def message(result: ReceiverStatus) -> str:
    return next(each.message for each in result.conditions if each.type == "Ready")


def test_cf_01_a_receiver_with_its_secret_is_listed_and_ready() -> None:
    result = reconciled(project(github()), secret(secret="x"))
    (entry,) = result.entries
    assert entry.url == BASE + entry.path
    assert (entry.name, conditions(result), result.ready) == ("r", {"Ready": ("True", "Synced")}, True)


def test_cf_02_emptying_the_list_clears_the_status() -> None:
    result = reconciled(project(), previous=(StatusEntry("r", "/p", "u"),))
    assert (result.entries, message(result)) == ((), "ProjectConfig is synced and ready for use")


def test_cf_02_up_to_1_9_6_the_old_entries_stay() -> None:
    before = (StatusEntry("r", "/p", "u"),)
    result = reconciled(project(), profile="v1.8", previous=before)
    assert (result.entries, conditions(result)) == (before, {"Ready": ("True", "Synced")})


def test_cf_03_a_missing_secret_is_told() -> None:
    result = reconciled(project(github()))
    assert (result.entries, conditions(result)) == (
        (),
        {"Ready": ("False", "SyncWebhookReceiversFailed"), "Reconciling": ("True", "SyncingWebhooks")},
    )
    cause = 'error getting Secret "s" in namespace "p1": '
    assert message(result).startswith(f'Failed to sync WebhookReceivers: error syncing WebhookReceiver "r": {cause}')


@pytest.mark.parametrize("kind", sorted(status.SECRET_KEYS))
def test_cf_04_a_missing_key_is_told_in_the_types_words(kind: str) -> None:
    result = reconciled(project(ReceiverSpec(name="r", types=(kind,), secret_name="s")), secret(other="x"))
    cause = f'error extracting secret values from Secret "s" in namespace "p1": {status.SECRET_KEYS[kind].missing}'
    assert message(result) == f'Failed to sync WebhookReceivers: error syncing WebhookReceiver "r": {cause}'


def test_cf_04_in_1_6_there_is_one_wording() -> None:
    spec = ReceiverSpec(name="r", types=("quay",), secret_name="s")
    text = message(reconciled(project(spec), secret(other="x"), profile="v1.6"))
    assert text.endswith("Secret data is not valid for a Quay.io WebhookReceiver")


def test_cf_05_a_good_receiver_is_listed_beside_a_bad_one() -> None:
    result = reconciled(project(github("bad", "nope"), github("good")), secret(secret="x"))
    assert ([entry.name for entry in result.entries], result.ready) == (["good"], False)


def test_cf_06_a_receiver_without_a_type_is_told() -> None:
    result = reconciled(project(ReceiverSpec(name="r", types=())))
    assert 'error syncing WebhookReceiver "r": error getting receiver factory: ' in message(result)


def test_cf_09_of_two_types_the_first_in_the_alphabet_counts() -> None:
    spec = ReceiverSpec(name="r", types=("github", "harbor"), secret_name="s")
    (entry,) = reconciled(project(spec), secret(secret="x")).entries
    assert entry.path.startswith("/github/")


@pytest.mark.parametrize(
    ("profile", "namespace", "listed"),
    [
        pytest.param("latest", "kargo-system-resources", 1, id="CF-14"),
        pytest.param("latest", "kargo-cluster-secrets", 0, id="CF-15: since 1.9 the old namespace is not looked at"),
        pytest.param("v1.8", "kargo-cluster-secrets", 1, id="CF-15: up to 1.8 it is the one"),
    ],
)
def test_a_cluster_receivers_secret_is_in_one_namespace(profile: str, namespace: str, listed: int) -> None:
    config = ClusterConfig(receivers=(github(),))
    assert len(reconciled(config, secret(namespace, secret="x"), profile=profile).entries) == listed


def test_a_cluster_config_has_its_own_wording() -> None:
    assert message(reconciled(ClusterConfig(receivers=(github(),)))).startswith("Failed to sync webhook receivers: ")


def test_cf_16_a_secret_needs_no_label() -> None:
    assert reconciled(project(github()), secret(secret="x")).ready


def test_cf_13_the_refresh_annotation_is_handled_by_any_pass() -> None:
    config = attrs.evolve(project(github()), annotations={"kargo.akuity.io/refresh": "t1"})
    assert reconciled(config).last_handled_refresh == "t1"
    assert reconciled(config, secret(secret="x")).last_handled_refresh == "t1"


def test_only_a_pass_without_error_observes_the_generation() -> None:
    config = attrs.evolve(project(github()), generation=3)
    assert (reconciled(config).observed_generation, reconciled(config, secret(secret="x")).observed_generation) == (
        0,
        3,
    )


def test_without_a_namespace_for_its_secrets_the_cluster_config_is_not_ready() -> None:
    nowhere = attrs.evolve(profiles.LATEST, cluster_secrets_namespace="")
    config = ClusterConfig(receivers=(github(),))
    result = status.receiver_statuses(config, lambda _namespace, _name: None, base_url=BASE, profile=nowhere)
    assert (result.entries, result.ready, "SYSTEM_RESOURCES_NAMESPACE" in message(result)) == ((), False, True)


def test_url_05_project_and_cluster_receivers_of_one_name_differ() -> None:
    mine = reconciled(project(github()), secret(secret="x")).entries[0].path
    cluster = ClusterConfig(receivers=(github(),))
    assert reconciled(cluster, secret("kargo-system-resources", secret="x")).entries[0].path != mine


def test_a_type_that_a_version_does_not_have_is_none() -> None:
    spec = ReceiverSpec(name="r", types=("gitea",), secret_name="s")
    assert not reconciled(project(spec), secret(secret="x"), profile="v1.6").entries


def test_several_errors_read_as_kubernetes_writes_them() -> None:
    text = message(reconciled(project(github("a"), github("b"))))
    assert text.startswith('Failed to sync WebhookReceivers: [error syncing WebhookReceiver "a": ')
    assert text.endswith("]")


def test_equal_errors_count_once() -> None:
    assert status.aggregate(["e", "f", "e"]) == "[e, f]"
    assert status.aggregate(["e", "e"]) == "e"


def test_an_empty_secret_value_is_a_value() -> None:
    assert reconciled(project(github()), secret(secret="")).ready


@pytest.mark.parametrize("record", PATHS, ids=lambda record: str(record.get("note") or record["type"])[:60])
def test_paths_are_built_as_by_kargo(record: dict[str, Any]) -> None:
    cluster = record["scope"] == "cluster"
    config: ProjectConfig | ClusterConfig
    config = ClusterConfig() if cluster else ProjectConfig(namespace=record["project"], name=record["project"])
    kind = record["type"]
    held = Secret(namespace="any", name="s", data={status.SECRET_KEYS[kind].key: record["secret"].encode()})
    spec = ReceiverSpec(name=record["name"], types=(kind,), secret_name="s")
    built = status.build(config, spec, lambda _namespace, _name: held, base_url=record["baseURL"])
    if record.get("error"):
        assert isinstance(built, BuildFailure)
    else:
        assert isinstance(built, BuiltReceiver)
        assert (built.entry.path, built.entry.url) == (record["path"], record["url"])


def test_each_receiver_reads_the_key_that_its_status_asks_for() -> None:
    assert {kind: entry.key for kind, entry in status.SECRET_KEYS.items()} == dict(receivers.SECRET_KEYS)
