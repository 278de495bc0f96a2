"""Kargo's YAML becomes values, or a list of everything that is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kargo_lab.errors import ManifestError, UsageError
from kargo_lab.profiles import PROFILES
from kargo_lab.resources import loading
from kargo_lab.resources.configuration import PromotionPolicy, ReceiverSpec, Secret
from kargo_lab.resources.warehouse import GenericSubscription, GitSubscription, ImageSubscription

DATA = Path(__file__).parents[1] / "data"

WAREHOUSE = """\
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: w, namespace: p1}
spec:
  subscriptions:
"""
PROJECT_CONFIG = """\
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: p1, namespace: p1}
spec:
  webhookReceivers:
"""


def misfits(text: str, **options: object) -> list[str]:
    """The misfits of a text as `line path: message`."""
    with pytest.raises(ManifestError) as caught:
        loading.loads(text, name="f.yaml", **options)  # type: ignore[arg-type]
    return [f"{m.line} {m.path}: {m.message}" for m in caught.value.misfits]


def warehouse(*subscriptions: str) -> str:
    return WAREHOUSE + "".join(f"  - {text}\n" for text in subscriptions)


def generic(action: str) -> str:
    """A generic receiver with one action."""
    return f"{{name: r, generic: {{secretRef: {{name: s}}, actions: [{action}]}}}}"


def refreshing(criterion: str) -> str:
    """A generic receiver with one criterion."""
    return generic(f"{{action: Refresh, targetSelectionCriteria: [{criterion}]}}")


def indexed(key: str, operator: str) -> str:
    """A generic receiver that selects by an index."""
    requirement = f"{{key: {key}, operator: {operator}, value: ''}}"
    return refreshing(f"{{kind: Warehouse, indexSelector: {{matchIndices: [{requirement}]}}}}")


def receivers(*entries: str) -> str:
    return PROJECT_CONFIG + "".join(f"  - {text}\n" for text in entries)


# What is read ---------------------------------------------------------------------------------------


def test_a_secret_takes_base64_and_plain_text_and_the_plain_text_wins() -> None:
    text = """
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: p1, labels: {kargo.akuity.io/cred-type: generic}}
type: Opaque
data: {a: "YWI=\\n", b: eA==}
stringData: {b: "pl\\u00e4in\\n"}
"""
    (secret,) = loading.loads(text).secrets
    assert secret == Secret(
        namespace="p1",
        name="s",
        data={"a": b"ab", "b": "pläin\n".encode()},
        labels={"kargo.akuity.io/cred-type": "generic"},
    )


def test_an_object_without_a_namespace_is_in_the_one_given() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
    assert loading.loads(text, namespace="team").secrets[0].namespace == "team"


def test_a_subscription_gets_the_defaults_of_admission() -> None:
    (read,) = loading.loads(warehouse("image: {repoURL: nginx}")).warehouses
    assert read.spec.subscriptions == (
        ImageSubscription(repo_url="nginx", image_selection_strategy="SemVer", strict_semvers=True, discovery_limit=20),
    )


def test_an_empty_strategy_and_a_zero_limit_take_the_default() -> None:
    text = warehouse('git: {repoURL: https://h.io/r, commitSelectionStrategy: "", discoveryLimit: 0}')
    (read,) = loading.loads(text).warehouses
    assert read.spec.subscriptions == (GitSubscription(repo_url="https://h.io/r"),)


def test_the_interval_is_known_in_seconds() -> None:
    (read,) = loading.loads(warehouse("image: {repoURL: nginx}") + "  interval: 1h1.5m\n").warehouses
    assert read.spec.interval_seconds == 3690.0


def test_a_stored_subscription_keeps_what_is_absent_absent() -> None:
    stored = loading.subscription({"image": {"repoURL": "ex/repo", "discoveryLimit": 500}}, admitted=False)
    assert isinstance(stored, ImageSubscription)
    assert (stored.strict_semvers, stored.discovery_limit) == (None, 500)


def test_a_stored_subscription_may_be_generic() -> None:
    stored = loading.subscription({"models": {"config": {"a": 1}}, "name": "m"}, admitted=False)
    assert stored == GenericSubscription(kind="models", name="m", config={"a": 1})


def test_a_time_stays_the_text_it_was() -> None:
    (read,) = loading.loads(warehouse("git: {repoURL: https://h.io/r, since: 2026-01-31T09:00:00Z}")).warehouses
    assert read.spec.subscriptions[0] == GitSubscription(repo_url="https://h.io/r", since="2026-01-31T09:00:00Z")


def test_harbor_beside_another_type_is_admitted_and_the_alphabet_decides() -> None:
    text = receivers("{name: r, harbor: {secretRef: {name: h}}, github: {secretRef: {name: g}}}")
    (config,) = loading.loads(text).project_configs
    assert config.receivers == (ReceiverSpec(name="r", types=("github", "harbor"), secret_name="g"),)


def test_a_receiver_without_a_type_is_admitted() -> None:
    (config,) = loading.loads(receivers("{name: r}")).project_configs
    assert config.receivers[0].type == ""


def test_a_list_as_kubectl_writes_it_is_read() -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "uid": "u", "resourceVersion": "7"}}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [item]})
    assert [secret.name for secret in loading.loads(text).secrets] == ["s"]


def test_documents_of_other_kinds_are_told_apart_not_refused() -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: p1}\n---\napiVersion: apps/v1\nkind: Deployment\n"
    assert [(other.kind, other.line) for other in loading.loads(text).others] == [("Namespace", 1), ("Deployment", 5)]


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: b}\n")
    (tmp_path / "notes.txt").write_text("not: [yaml")
    assert {secret.name for secret in loading.load(tmp_path).secrets} == {"a", "b"}


def test_merge_keys_and_anchors_are_followed() -> None:
    text = warehouse("image: &i {repoURL: nginx, discoveryLimit: 5}", "image: {<<: *i, repoURL: redis}")
    (read,) = loading.loads(text).warehouses
    assert read.spec.subscriptions[1] == ImageSubscription(repo_url="redis", discovery_limit=5)


# What is refused ------------------------------------------------------------------------------------


def test_three_mistakes_in_two_documents_are_three_misfits_with_their_lines() -> None:
    text = (
        warehouse("image: {repoUrl: nginx}")
        + "  interval: 500ms\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {secret: s3cr3t}\n"
    )
    assert misfits(text) == [
        "6 spec.subscriptions[0].image.repoUrl: unknown field `repoUrl` (did you mean `repoURL`?)",
        "6 spec.subscriptions[0].image.repoURL: missing, and required",
        "7 spec.interval: expected a duration such as 5m0s (units s, m and h), found '500ms'",
        "12 data.secret: expected base64 (plain text belongs under stringData)",
    ]


def test_a_wrong_secret_value_is_not_repeated() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {secret: hunter2!}\n"
    assert "hunter2" not in misfits(text)[0]


@pytest.mark.parametrize(
    ("subscription", "expected"),
    [
        pytest.param(
            "{image: {repoURL: 'oci://ghcr.io/x'}}", "expected an image repository", id="an image URL with a scheme"
        ),
        pytest.param("{image: {repoURL: 'nginx:1'}}", "expected an image repository", id="an image URL with a tag"),
        pytest.param("{image: {repoURL: 'nginx/é'}}", "expected an image repository", id="an image URL beyond ASCII"),
        pytest.param("{image: {repoURL: nginx, imageSelectionStrategy: Digest}}", "missing", id="Digest without a tag"),
        pytest.param(
            "{image: {repoURL: nginx, constraint: '>>1'}}", "expected a semver constraint", id="a bad constraint"
        ),
        pytest.param("{image: {repoURL: nginx, platform: linux}}", "expected a platform", id="a platform without arch"),
        pytest.param("{image: {repoURL: nginx, discoveryLimit: 101}}", "from 1 to 100", id="a limit too high"),
        pytest.param(
            "{image: {repoURL: nginx, constraint: 1.0}}", "put it in quotes", id="a constraint that is a number"
        ),
        pytest.param(
            "{image: {repoURL: nginx, imageSelectionStrategy: semver}}",
            "did you mean `SemVer`",
            id="a strategy in lower case",
        ),
        pytest.param("{git: {repoURL: github.com/ex/repo}}", "Git URL", id="a Git URL without scheme"),
        pytest.param("{git: {repoURL: https://github.com}}", "Git URL", id="a Git URL without a path"),
        pytest.param(
            "{git: {repoURL: https://h/r, branch: /x}}", "branch name", id="a branch that starts with a slash"
        ),
        pytest.param("{git: {repoURL: https://h/r, since: yesterday}}", "expected a time", id="a time in words"),
        pytest.param(
            "{git: {repoURL: https://h/r, since: 2026-02-30T00:00:00Z}}", "expected a time", id="a day that is none"
        ),
        pytest.param("{chart: {repoURL: https://h/r}}", "missing", id="a classic chart without a name"),
        pytest.param("{chart: {repoURL: 'oci://h/r', name: x}}", "must be absent", id="an OCI chart with a name"),
        pytest.param("{chart: {repoURL: h/r, name: x}}", "chart URL", id="a chart URL without a scheme"),
        pytest.param("{image: {repoURL: nginx}, git: {repoURL: https://h/r}}", "exactly one", id="two types"),
        pytest.param("{name: x}", "exactly one", id="no type"),
        pytest.param("{images: {repoURL: nginx}}", "did you mean `image`", id="a type that nobody serves"),
        pytest.param("{image: {repoURL: nginx}, name: A}", "a name of lower-case", id="a name in upper case"),
        pytest.param("nginx", "found the text", id="a text"),
    ],
)
def test_a_subscription_is_refused(subscription: str, expected: str) -> None:
    assert any(expected in misfit for misfit in misfits(warehouse(subscription)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            "git: {repoURL: https://h.io/Ex/r.git}", "git: {repoURL: https://h.io/ex/r}", id="git, normalised"
        ),
        pytest.param("image: {repoURL: nginx}", "image: {repoURL: docker.io/library/nginx}", id="image, normalised"),
        pytest.param(
            "chart: {repoURL: 'oci://h.io/x'}", "chart: {repoURL: 'oci://H.io/x'}", id="OCI chart, normalised"
        ),
        pytest.param(
            "chart: {repoURL: https://h.io/x, name: a}", "chart: {repoURL: https://h.io/x, name: a}", id="classic chart"
        ),
    ],
)
def test_two_subscriptions_to_one_repository_are_refused(first: str, second: str) -> None:
    assert "the same repository as the subscription in line 6" in misfits(warehouse(first, second))[0]


def test_one_release_lets_two_subscriptions_to_one_repository_pass() -> None:
    # Kargo v1.11.2, pkg/webhook/kubernetes/warehouse/webhook.go, addSub: it looks in a set that nothing is put into.
    text = warehouse("image: {repoURL: nginx}", "image: {repoURL: nginx, constraint: ^1}")
    assert len(loading.loads(text, profile=PROFILES["v1.11"]).warehouses[0].spec.subscriptions) == 2


@pytest.mark.parametrize("release", ["v1.8", "v1.11"])
def test_releases_before_names_refuse_a_named_subscription(release: str) -> None:
    named = {"name": "web", "image": {"repoURL": "r.example/web"}}
    with pytest.raises(ManifestError, match="has no name before"):
        loading.subscription(named, profile=PROFILES[release])


def test_a_named_subscription_that_is_stored_is_read_for_every_release() -> None:
    named = {"name": "web", "image": {"repoURL": "r.example/web"}}
    assert loading.subscription(named, admitted=False, profile=PROFILES["v1.11"]).name == "web"


def test_two_charts_of_one_classic_repository_are_fine() -> None:
    text = warehouse("chart: {repoURL: https://h.io/x, name: a}", "chart: {repoURL: https://h.io/x, name: b}")
    assert len(loading.loads(text).warehouses[0].spec.subscriptions) == 2


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param("{name: r, githb: {secretRef: {name: s}}}", "did you mean `github`", id="a type that is none"),
        pytest.param("{name: R, github: {secretRef: {name: s}}}", "a name of lower-case", id="a name in upper case"),
        pytest.param("{github: {secretRef: {name: s}}}", "name: missing", id="no name"),
        pytest.param("{name: r, github: {}}", "secretRef: missing", id="no secretRef"),
        pytest.param(
            "{name: r, github: {secretRef: {}}, gitlab: {secretRef: {}}}", "one type only", id="CF-08: two types"
        ),
        pytest.param("{name: r, generic: {secretRef: {}, actions: []}}", "at least 1", id="an empty list of actions"),
        pytest.param(refreshing("{kind: Warehouse}"), "selects nothing", id="GE-25: a criterion that selects nothing"),
        pytest.param(refreshing("{kind: Promotion, name: x}"), "expected one of Warehouse", id="GE-26: kind Promotion"),
        pytest.param(generic("{action: Delete}"), "expected one of Refresh", id="another action"),
        pytest.param(indexed("subscribedUrls", "Equals"), "did you mean `subscribedURLs`", id="an index that is none"),
    ],
)
def test_a_receiver_is_refused(entry: str, expected: str) -> None:
    assert any(expected in misfit for misfit in misfits(receivers(entry)))


def test_any_operator_of_an_index_requirement_is_admitted() -> None:
    (config,) = loading.loads(receivers(indexed("subscribedURLs", "equals"))).project_configs
    assert config.receivers[0].actions[0].targets[0].match_indices[0].operator == "equals"


def test_cf_07_two_receivers_of_one_name_are_refused() -> None:
    assert "the same name" in misfits(receivers("{name: r}", "{name: r}"))[0]


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param("[{stage: a}, {stageSelector: {name: a}}]", "the same Stage as the policy", id="one Stage twice"),
        pytest.param("[{stageSelector: {name: 'globb:x'}}]", "did you mean `glob`", id="an unknown kind of pattern"),
        pytest.param("[{stageSelector: {name: 'regex:('}}]", "expected a pattern", id="a broken pattern"),
    ],
)
def test_a_promotion_policy_is_refused(policies: str, expected: str) -> None:
    text = PROJECT_CONFIG.replace("webhookReceivers:", f"promotionPolicies: {policies}")
    assert expected in misfits(text)[0]


def test_promotion_policies_are_read() -> None:
    policies = "[{stage: a, autoPromotionEnabled: true}, {stageSelector: {name: 'glob:b*', matchLabels: {k: v}}}]"
    text = PROJECT_CONFIG.replace("webhookReceivers:", f"promotionPolicies: {policies}")
    (config,) = loading.loads(text).project_configs
    assert config.promotion_policies == (
        PromotionPolicy(stage="a", auto_promotion_enabled=True),
        PromotionPolicy(stage_selector_name="glob:b*", match_labels={"k": "v"}),
    )
    assert loading.loads(loading.dump(config)).project_configs == (config,)


def test_cf_10_a_cluster_config_of_another_name_is_refused() -> None:
    text = "apiVersion: kargo.akuity.io/v1alpha1\nkind: ClusterConfig\nmetadata: {name: other}\n"
    assert "expected the name `cluster`" in misfits(text)[0]


def test_cf_11_a_project_config_is_named_like_its_namespace() -> None:
    text = "apiVersion: kargo.akuity.io/v1alpha1\nkind: ProjectConfig\nmetadata: {name: a, namespace: b}\n"
    assert "expected the name of the namespace" in misfits(text)[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("5", "expected text, found the number 5"), ('"\\ud800"', "without lone surrogates"), ("[a]", "found a list")],
)
def test_a_plain_secret_is_text(value: str, expected: str) -> None:
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{secret: {value}}}\n"
    assert expected in misfits(text)[0]


def test_a_step_uses_a_runner_or_a_task() -> None:
    text = """
apiVersion: kargo.akuity.io/v1alpha1
kind: ClusterPromotionTask
metadata: {name: t}
spec: {steps: [{as: a}, {uses: x, task: {name: y}}]}
"""
    assert [misfit.partition(": ")[2] for misfit in misfits(text)] == ["expected either `uses` or `task`"] * 2


def test_upstream_stages_need_no_policy() -> None:
    text = """
apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {name: s, namespace: p}
spec: {requestedFreight: [{origin: {kind: Warehouse, name: w}, sources: {stages: [a, b]}}]}
"""
    (stage,) = loading.loads(text).stages
    assert stage.requested_freight[0].stages == ("a", "b")


def test_a_file_that_cannot_be_read_does_not_hide_the_others_mistakes(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_text("- b\n")
    (tmp_path / "c.yaml").symlink_to(tmp_path / "c.yaml")
    with pytest.raises(ManifestError) as caught:
        loading.load([tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml")])
    assert [Path(misfit.file).name for misfit in caught.value.misfits] == ["c.yaml", "a.yaml", "b.yaml"]


def test_a_file_that_is_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("")

    def locked(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(ManifestError, match=r"a\.yaml: cannot be read: Permission denied"):
        loading.load(tmp_path / "a.yaml")


def test_a_device_without_end_is_a_huge_file() -> None:
    with pytest.raises(ManifestError, match="larger than"):
        loading.load("/dev/zero")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_FILES", 1)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("")
    with pytest.raises(UsageError, match="more than 1 files"):
        loading.load(tmp_path)


def test_the_same_object_twice_is_refused_naming_the_first_place(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n")
    with pytest.raises(ManifestError, match=r"b\.yaml:3: metadata\.name: the same Secret is already in .*a\.yaml:1"):
        loading.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("a: 1\na: 2\n", "twice, first in line 1", id="a duplicate key"),
        pytest.param(b"a: \xff\n", "not UTF-8", id="bytes that are no UTF-8"),
        pytest.param("- a\n", "expected a Kubernetes object", id="a list"),
        pytest.param("5\n", "expected a Kubernetes object", id="a number"),
        pytest.param("a: [", "not YAML", id="broken YAML"),
        pytest.param("a: \x00", "not YAML", id="a control character"),
        pytest.param("a: !!python/object:os.system {}", "the tag", id="a tag that would run code"),
        pytest.param("a: &x [*x]\n", "nested deeper", id="an alias to itself"),
        pytest.param("[" * 5000, "nested deeper", id="deep nesting"),
        pytest.param("{" * 5000, "nested deeper", id="deep mappings"),
        pytest.param("? [a]\n: b\n", "a key must be text", id="a key that is a list"),
        pytest.param("a: " + "x" * 2**20, "larger than", id="a huge file"),
        pytest.param(
            "a: &a [" + ",".join(["1"] * 400) + "]\nb: &b [" + ",".join(["*a"] * 400) + "]\n",
            "more than",
            id="an alias bomb",
        ),
        pytest.param("a: !!int x\n", "does not fit", id="a number that is none"),
        pytest.param("kind: Secret\n", "apiVersion: missing", id="no apiVersion"),
        pytest.param("apiVersion: v1\nkind: Secrets\n", "did you mean `Secret`", id="a misspelt kind of v1"),
        pytest.param(
            "apiVersion: kargo.akuity.io/v1alpha1\nkind: Warehose\n", "did you mean `Warehouse`", id="a misspelt kind"
        ),
        pytest.param(
            "apiVersion: kargo.akuity.io/v1\nkind: Warehouse\n",
            "expected kargo.akuity.io/v1alpha1",
            id="a wrong version",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_a_manifest_error(content: str | bytes, expected: str) -> None:
    with pytest.raises(ManifestError, match=expected):
        loading.loads(content)


def test_a_missing_path_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        loading.load([tmp_path, tmp_path / "nope"])
    assert [misfit.message for misfit in caught.value.misfits] == [
        "no .yaml, .yml or .json file in this folder",
        "no such file or folder",
    ]


@pytest.mark.parametrize(
    "record", json.loads((DATA / "timers.json").read_text())["interval_admission"], ids=lambda r: repr(r["interval"])
)
def test_intervals_are_admitted_as_by_the_crd(record: dict[str, object]) -> None:
    text = warehouse("image: {repoURL: nginx}") + f"  interval: {json.dumps(record['interval'])}\n"
    try:
        loading.loads(text)
        accepted = True
    except ManifestError:
        accepted = False
    assert accepted is record["accepted"]
