"""Written resources read back, the pipeline's documents too, and nothing but a ManifestError is ever raised."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kargo_lab import profiles
from kargo_lab.errors import ManifestError
from kargo_lab.resources import loading
from kargo_lab.resources.configuration import Secret
from kargo_lab.resources.warehouse import ImageSubscription, Warehouse, WarehouseSpec

_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
_SECRETS = st.builds(
    Secret,
    namespace=_NAMES,
    name=_NAMES,
    data=st.dictionaries(_NAMES, st.binary(max_size=12)),
    annotations=st.dictionaries(_NAMES, _TEXTS),
)
_IMAGES = st.builds(
    ImageSubscription,
    repo_url=st.from_regex(r"[a-z]{2,8}(/[a-z]{2,8}){0,2}", fullmatch=True),
    name=st.just("") | _NAMES,
    image_selection_strategy=st.sampled_from(["Lexical", "NewestBuild"]),
    constraint=_TEXTS,
    strict_semvers=st.booleans(),
    allow_tags_regexes=st.lists(_TEXTS, max_size=2).map(tuple),
    discovery_limit=st.integers(1, 100),
    cache_by_tag=st.booleans(),
)


@given(secret=_SECRETS)
@settings(max_examples=60, deadline=None)
def test_a_written_secret_reads_back(secret: Secret) -> None:
    assert loading.loads(loading.dump(secret)).secrets == (secret,)


@given(image=_IMAGES, labels=st.dictionaries(_NAMES, _NAMES), generation=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_a_written_warehouse_reads_back(image: ImageSubscription, labels: dict[str, str], generation: int) -> None:
    spec = WarehouseSpec(
        subscriptions=(image,), freight_creation_criteria="true", interval="30s", interval_seconds=30.0
    )
    written = Warehouse(namespace="p1", name="w", spec=spec, labels=labels, generation=generation)
    assert loading.loads(loading.dump(written)).warehouses == (written,)


_PIPELINE = """\
apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {name: test, namespace: p1}
spec:
  vars: [{name: a, value: b}]
  requestedFreight:
  - origin: {kind: Warehouse, name: w}
    sources:
      stages: [dev]
      requiredSoakTime: 0s
      availabilityStrategy: All
      autoPromotionOptions: {selectionPolicy: MatchUpstream}
  promotionTemplate:
    spec:
      steps:
      - {uses: git-clone, as: clone, if: "true", continueOnError: true, config: {a: [1]}}
      - {uses: git-push, retry: {timeout: 5m, errorThreshold: 3}}
      - {task: {name: t, kind: ClusterPromotionTask}, vars: [{name: x}]}
  verification: {analysisTemplates: [{name: v}], analysisRunMetadata: {labels: {a: b}}, args: [{name: q, value: r}]}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ClusterPromotionTask
metadata: {name: t}
spec: {vars: [{name: x, value: y}], steps: [{uses: noop}]}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Freight
metadata: {name: f1, namespace: p1, creationTimestamp: 2026-01-31T09:00:00Z}
alias: happy-whale
discoveredAt: 2026-01-31T09:00:00Z
origin: {kind: Warehouse, name: w}
commits: [{repoURL: https://h/r, id: abc, branch: main, message: m}]
images: [{repoURL: nginx, tag: "1", digest: sha256:0, annotations: {a: b}}]
charts: [{repoURL: https://c/r, name: n, version: 1.0.0}]
artifacts: [{artifactType: t, subscriptionName: s, version: v, metadata: {k: 1}}]
status:
  currentlyIn: {dev: {since: 2026-01-31T09:00:00Z}}
  verifiedIn: {dev: {verifiedAt: 2026-01-31T09:00:00Z, longestSoak: 40m0s}}
  approvedFor: {prod: {approvedAt: 2026-01-31T09:00:00Z}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Promotion
metadata: {name: test.01.f1, namespace: p1}
spec: {stage: test, freight: f1, steps: [{uses: git-wait-for-pr, as: wait}]}
status: {phase: Running, currentStep: 0, state: {wait: {pr: {url: https://h/r/pull/7}}}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Project
metadata: {name: p1}
"""


def test_the_pipelines_documents_read_and_read_back() -> None:
    read = loading.loads(_PIPELINE)
    again = loading.loads("---\n".join(loading.dump(item) for item in read.all()))
    assert len(read.all()) == 5
    assert again == read


def test_match_upstream_needs_one_upstream_stage() -> None:
    text = _PIPELINE.replace("stages: [dev]", "stages: [dev, qa]")
    with pytest.raises(ManifestError, match="MatchUpstream needs"):
        loading.loads(text)


_YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=6)
            | st.sampled_from(
                [
                    "name",
                    "kind",
                    "spec",
                    "metadata",
                    "subscriptions",
                    "image",
                    "git",
                    "webhookReceivers",
                    "github",
                    "data",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    spec=_YAML,
    metadata=_YAML,
    kind=st.sampled_from([*loading.KINDS, "List"]),
    profile=st.sampled_from([*profiles.PROFILES]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_a_document_holds_it_is_read_or_refused_never_raised(
    spec: object, metadata: object, kind: str, profile: str
) -> None:
    version = "v1" if kind in ("Secret", "List") else loading.KARGO_VERSION
    document = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "data": spec, "items": spec}
    with contextlib.suppress(ManifestError):
        loading.loads(json.dumps(document), profile=profiles.get(profile))
    with contextlib.suppress(ManifestError):
        loading.stored(document)


@given(content=st.binary(max_size=60) | st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_whatever_a_file_holds_it_is_read_or_refused_never_raised(content: bytes | str) -> None:
    with contextlib.suppress(ManifestError):
        loading.loads(content)
