"""The story from the push to the second Stage, on the embedded platforms: six steps (discovery.md 8.11).

A push makes a webhook, the webhook a discovery, the discovery Freight, the Freight a Promotion that commits and
pushes to a Git repository; verification and soak let it into the second Stage.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kargo_lab.engine import tracing
from kargo_lab.engine.pipeline.checks import scripted
from kargo_lab.engine.status import timestamp
from kargo_lab.resources.pipeline import Freight
from kargo_lab.testbed import API, PROJECT, Testbed

PATIENCE_SECONDS = 10.0
CONFIG = "team/deploy"


def until(bed: Testbed, holds: Callable[[], bool]) -> None:
    changed, ends = bed.lab.pipeline.changed, time.monotonic() + PATIENCE_SECONDS
    with changed:
        while not holds():
            assert changed.wait(ends - time.monotonic()), [
                (each.name, each.status.phase, each.status.message) for each in bed.lab.promotions()
            ]


def steps(bed: Testbed, expression: str) -> list[dict[str, Any]]:
    """Clone, write the version into the Stage's file, commit, push."""
    return [
        {
            "uses": "git-clone",
            "config": {"repoURL": bed.git.clone_url(CONFIG), "checkout": [{"branch": "main", "path": "src"}]},
        },
        {
            "uses": "yaml-update",
            "as": "update",
            "config": {"path": "src/${{ ctx.stage }}.yaml", "updates": [{"key": "app.version", "value": expression}]},
        },
        {"uses": "git-commit", "config": {"path": "src", "message": "${{ outputs.update.commitMessage }}"}},
        {"uses": "git-push", "as": "push", "config": {"path": "src"}},
    ]


def stage(name: str, sources: dict[str, Any], work: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    requested = {"origin": {"kind": "Warehouse", "name": "w"}, "sources": sources}
    return {
        "apiVersion": API,
        "kind": "Stage",
        "metadata": {"namespace": PROJECT, "name": name},
        "spec": {"requestedFreight": [requested], "promotionTemplate": {"spec": {"steps": work}}, **spec},
    }


@pytest.fixture
def bed() -> Iterator[Testbed]:
    checks = {"smoke": scripted("Successful")}
    with Testbed(
        profile="recommended",
        registry="ghcr",
        registry_options={"public_host": "ghcr.io"},
        lab_options={"checks": checks},
    ) as running:
        # Payloads and Warehouses say ghcr.io; the testbed's registry stands in for it.
        aliases = running.lab.settings.registry_aliases
        assert isinstance(aliases, dict)
        aliases["ghcr.io"] = running.registry.host
        running.git.create_repository(CONFIG)
        text = "# kept\napp:\n  version: none  # set by Kargo\n"
        running.git.commit(CONFIG, {"dev.yaml": text, "prod.yaml": text})
        running.install_hooks()
        yield running


def follow(bed: Testbed, subscription: dict[str, Any], push: Callable[[], object], expression: str) -> Freight:
    """All six steps for the second push; the Freight that arrived in the second Stage. The first is there already."""
    bed.watch("w", subscription, interval="24h")
    until(bed, lambda: bed.freight("w") == 1)
    first = bed.lab.freight(PROJECT)
    work = steps(bed, expression)
    verified = {"verification": {"analysisTemplates": [{"name": "smoke"}]}}
    upstream = {"stages": ["dev"], "requiredSoakTime": "1s"}
    bed.behind(
        stage("dev", {"direct": True}, work, **verified), stage("prod", upstream, work), auto_promotion=("dev", "prod")
    )
    # Times of Freight have whole seconds, and of two in one second the greater name counts as newer (8.8).
    while timestamp(bed.lab.clock.now()) == first[0].discovered_at:
        bed.lab.clock.wait(0.02)
    push()

    def arrived() -> list[Freight]:
        known = {piece.name for piece in first}
        pieces = bed.lab.freight(PROJECT)
        return [each for each in pieces if each.name not in known and "prod" in each.status.verified_in]

    until(bed, lambda: bool(arrived()))
    return arrived()[0]


def committed(bed: Testbed, name: str) -> str:
    repository = bed.git.forge.store(bed.git.forge.repository(CONFIG))
    return repository.run("show", f"main:{name}.yaml")


def skopeo(bed: Testbed, repository: str, tag: str) -> None:
    """Push with a client that nobody here wrote."""
    if not shutil.which("skopeo"):
        pytest.skip("the program skopeo is not installed")
    bed.registry.push_image("team/built", tag, content=tag)
    source, target = (
        f"docker://{bed.registry.host}/team/built:{tag}",
        f"docker://{bed.registry.host}/{repository}:{tag}",
    )
    words = ["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", source, target]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def in_process(bed: Testbed, repository: str, tag: str) -> None:
    bed.registry.push_image(repository, tag)


@pytest.mark.parametrize("client", [in_process, skopeo])
def test_an_image_pushed_under_ghcrs_package_event_reaches_the_second_stage(
    bed: Testbed, client: Callable[[Testbed, str, str], None]
) -> None:
    subscription = {"image": {"repoURL": "ghcr.io/team/app"}}
    bed.registry.push_image("team/app", "1.0.0")
    piece = follow(
        bed,
        subscription,
        lambda: client(bed, "team/app", "1.2.0"),
        '${{ imageFrom("ghcr.io/team/app").Tag }}',
    )
    assert piece.images[0].tag == "1.2.0"
    assert committed(bed, "dev") == committed(bed, "prod") == "# kept\napp:\n  version: 1.2.0\n"
    marks = bed.lab.trace.marks(bed.lab.trace.correlation_of(piece.key))
    assert marks[0].what == tracing.RECEIVED
    behind = (
        tracing.DISCOVERY_STARTED,
        tracing.DISCOVERY_ENDED,
        tracing.FREIGHT_CREATED,
        tracing.PROMOTION_CREATED,
        tracing.PROMOTION_STARTED,
        tracing.PROMOTION_ENDED,
        tracing.VERIFIED,
    )
    assert tuple(dict.fromkeys(mark.what for mark in marks if mark.what in behind)) == behind


def test_a_commit_reaches_the_second_stage(bed: Testbed) -> None:
    bed.git.create_repository("team/source")
    bed.git.commit("team/source", {"README": "one"})
    subscription = bed.commits("team/source", branch="main")
    url = subscription["git"]["repoURL"]
    piece = follow(
        bed,
        subscription,
        lambda: bed.git.commit("team/source", {"README": "two"}),
        f'${{{{ commitFrom("{url}").ID }}}}',
    )
    assert piece.commits[0].id in committed(bed, "prod")


def test_a_chart_pushed_under_ghcrs_package_event_reaches_the_second_stage(bed: Testbed) -> None:
    url = "oci://ghcr.io/charts/web"
    bed.registry.push_chart("charts/web", "3.0.0")
    piece = follow(
        bed,
        {"chart": {"repoURL": url}},
        lambda: bed.registry.push_chart("charts/web", "3.1.4"),
        f'${{{{ chartFrom("{url}").Version }}}}',
    )
    assert piece.charts[0].version == "3.1.4"
    assert "version: 3.1.4" in committed(bed, "prod")


def test_merging_the_pull_request_wakes_the_promotion_that_waits_for_it(bed: Testbed) -> None:
    url = bed.git.clone_url(CONFIG)
    clone, update, commit, _ = steps(bed, "2.0.0")
    work = [
        clone,
        update,
        commit,
        {"uses": "git-push", "as": "push", "config": {"path": "src", "generateTargetBranch": True}},
        {
            "uses": "git-open-pr",
            "as": "open",
            "config": {"repoURL": url, "sourceBranch": "${{ outputs.push.branch }}", "targetBranch": "main"},
        },
        {"uses": "git-wait-for-pr", "as": "wait", "config": {"repoURL": url, "prNumber": "${{ outputs.open.pr.id }}"}},
    ]
    bed.behind(stage("dev", {"direct": True}, work), auto_promotion=("dev",))
    bed.watch("w", {"image": {"repoURL": "ghcr.io/team/app"}}, interval="24h")
    bed.registry.push_image("team/app", "2.0.0")
    until(bed, lambda: any("wait" in each.status.state for each in bed.lab.promotions()))
    (waiting,) = bed.lab.promotions()
    bed.git.merge_pull(CONFIG, int(waiting.status.state["open"]["pr"]["id"]))
    until(bed, lambda: bed.lab.promotions()[0].status.phase == "Succeeded")
    assert "version: 2.0.0" in committed(bed, "dev")
    assert json.loads(json.dumps(bed.lab.promotions()[0].status.state["wait"]["pr"]))["merged"] is True
