"""What each Kargo minor version does differently, as data.

A profile is a frozen row of switches; code asks `profile.<switch>`, never for a version. Rows are
written newest first, each as what differs from the row before it, so that reading down the file is
reading Kargo's history backwards. Every minor stands for its newest patch release (v1.6.4, v1.7.10,
v1.8.14, v1.9.10, v1.10.10, v1.11.2).
`recommended` is not a Kargo version: it is the better behaviour where Kargo's would hurt somebody.
Source of all rows: receivers.md section 7, discovery.md sections 0.3 and 9.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from kargo_lab.errors import UsageError

EVENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "artifactory": ("docker/pushed",),
        "azure": ("ping", "push", "git.push", "git.pullrequest.merged", "git.pullrequest.updated"),
        "bitbucket": (
            "repo:push",
            "repo:refs_changed",
            "pullrequest:fulfilled",
            "pullrequest:rejected",
            "pr:merged",
            "pr:declined",
        ),
        "dockerhub": ("push",),
        "generic": ("*",),
        "gitea": ("push", "pull_request"),
        "github": ("ping", "push", "package", "registry_package", "pull_request"),
        "gitlab": ("Push Hook", "Tag Push Hook", "Merge Request Hook"),
        "harbor": ("PUSH_ARTIFACT",),
        "quay": ("push",),
    }
)

_PULL_REQUEST_EVENTS = frozenset(
    {
        "git.pullrequest.merged",
        "git.pullrequest.updated",
        "pullrequest:fulfilled",
        "pullrequest:rejected",
        "pr:merged",
        "pr:declined",
        "pull_request",
        "Merge Request Hook",
    }
)


def _without(events: Mapping[str, tuple[str, ...]], *gone: str) -> Mapping[str, tuple[str, ...]]:
    """The table without the named events, and without the named receiver types."""
    return MappingProxyType(
        {
            kind: tuple(event for event in known if event not in gone)
            for kind, known in events.items()
            if kind not in gone
        }
    )


_EVENTS_V1_10 = _without(EVENTS, *_PULL_REQUEST_EVENTS)
_EVENTS_V1_8 = _without(_EVENTS_V1_10, "generic")
_EVENTS_V1_7 = _without(_EVENTS_V1_8, "harbor", "repo:refs_changed")
_EVENTS_V1_6 = _without(_EVENTS_V1_7, "artifactory", "azure", "gitea", "registry_package", "Tag Push Hook")

_REFUSED_STATUS = MappingProxyType(dict.fromkeys(EVENTS, 400) | {"artifactory": 501, "gitea": 501})


@attrs.frozen(kw_only=True)
class Profile:
    """The switches. Every default is the behaviour of `latest`; the rows below say where others differ."""

    name: str

    # Libraries and dialects.
    semver_library: str = "3.5.0"  # Masterminds/semver
    expr_version: str = "1.17.8"  # expr-lang
    template_functions: tuple[str, ...] = ("quote", "unsafeQuote", "asYAML", "asJSON")
    url_cleanup: bool = True  # invisible characters removed, image URLs lower-cased, unparsable chart URLs kept
    localhost_is_registry: bool = True  # an image `localhost/app` is not on Docker Hub; go-containerregistry 0.21.7
    url_strict_colons: bool = True  # Go 1.26: an HTTP host without brackets holds one colon at most

    # Endpoint.
    healthz: bool = True
    mux_redirect_status: int = 307  # for paths that need cleaning; 0: no mux, such a path is just unknown
    chunked_oversize_status: int = 500  # with an empty object as body; 413 says why
    cluster_secrets_namespace: str = "kargo-system-resources"
    empty_receivers_clear_status: bool = True
    receiver_type_order: str = "alphabetical"  # "random": the first type object of a receiver is not determined

    # Receivers: which types and events exist, and what is made of them.
    receiver_events: Mapping[str, tuple[str, ...]] = EVENTS
    unsupported_event_status: Mapping[str, int] = _REFUSED_STATUS
    secret_error_text: str = "by-type"  # noqa: S105 - "uniform": one wording for all types, as in 1.6
    ssh_urls: bool = True  # GitHub and GitLab pushes also look up the SSH URL
    null_body: str = "empty-answer"  # GitHub, body `null`: or "as-object", "closes-connection", "refuse"
    null_commit: str = "closes-connection"  # GitHub and GitLab, `null` among the commits: or "ignore"
    package_url_parsing: str = "lenient"  # "strict": GitHub, an unparsable package_url ends in a generic 500
    package_without_media_type: str = "image-and-chart"  # "closes-connection": GitHub, in 1.6.2 to 1.6.4
    bitbucket_bare_names: bool = False  # Cloud pushes name branches without refs/heads/, which no matcher accepts
    bitbucket_cloud_url: str = "as-is"  # "normalised"
    virtual_repositories: bool = True  # Artifactory's virtualRepoName
    artifactory_short_path: str = "refuse"  # data.path of one segment: "closes-connection"
    artifactory_origin_text: bool = True  # a bad jpd_origin is named; else the answer is `invalid request body`
    artifactory_type_first: bool = True  # image type judged before the URL is built
    harbor_repositories: str = "first"  # which resources name a repository: "all"
    generic_target_kinds: tuple[str, ...] = ("Warehouse", "Promotion")

    # Matching.
    qualifiers: bool = True  # only Warehouses whose subscription takes one of the tags, refs or versions
    path_filtering: bool = True  # changed files of GitHub, GitLab and Gitea pushes
    promotions: bool = True  # pull-request events refresh waiting Promotions
    tag_regex_lists: bool = True  # allowTagsRegexes and ignoreTagsRegexes exist
    deprecated_tag_fields: str = "error"  # allowTags, ignoreTags: or "merged" into the lists, "honoured" alone
    image_constraint_field: str = "constraint"  # or "either" with the old name as fall-back, or "semverConstraint"
    broken_warehouse: str = "fails-delivery"  # an unusable subscription: or "left-alone"
    index_requirements: str = "last"  # generic: of several matchIndices only the last counts; or "all"
    sound_filter: bool = False  # the webhook filter lets through whatever discovery would take, see selection/
    oci_probe: bool = True  # building the matcher of an oci:// chart asks the registry over HTTPS

    # Refreshing.
    refresh_resolution: str = "seconds"  # two refreshes within a second write one token; or "nanoseconds"
    duplicate_deliveries: str = "processed"  # a delivery id seen before: or "acknowledged"

    # Better behaviour, which no Kargo has; all off in Kargo's rows.
    acknowledge_unsupported: bool = False  # an authenticated event of no interest answers 200
    advertised_algorithm_only: bool = False  # a header takes sha256 only; no empty secret authenticates
    deletions_refresh: bool = True  # a deleted branch or tag triggers like any push

    # Discovery.
    discovery_order: str = "spec"  # "by-type": all git, then all images, then all charts
    first_parent_only: bool = True  # commit lists follow first parents; else every reachable commit
    merge_paths: str = "first-parent"  # paths of a merge commit: or "conflicts" only
    renamed_paths: str = "both"  # a renamed file counts under both names; or "new"
    commit_batches: str = "doubling"  # or "constant"
    subject_bytes: tuple[int, int] = (80, 77)  # longer subjects are cut: limit, kept before `...`
    git_since: bool = True
    blobless: str = "opt-in"  # or "never"
    ls_remote_short_circuit: bool = True
    tag_clone_branch: str = "default"  # or "configured": tag strategies clone the branch of the subscription
    chart_insecure_tls: bool = True
    cache_by_tag: bool = True
    image_cache: str = "process-lru"  # or "per-registry" with 30 minutes of life
    image_created: str = "annotation-then-later"  # or "first-found", or "config"
    registry_retries_429: bool = True
    registry_rates: Mapping[str, float] = MappingProxyType({"*": 20.0})  # requests a second
    platform_single_manifest: str = "never"  # does an image without index meet a platform? or "config"
    platform_index: str = "any-child"  # or "one-child": several matches are an error

    # Freight and Stages.
    freight_criteria: bool = True
    freight_discovered_at: bool = True
    freight_created_event: bool = True
    subscription_names: bool = True
    twin_subscriptions: bool = False  # admission lets two subscriptions to one repository pass
    match_upstream: bool = True
    auto_promotion_guard: str = "newest-terminal"  # or "any-promotion"
    auto_promotion_enabled_status: bool = True
    approval_needs_origin: bool = True
    holds: bool = True
    forbidden_auto_promotion: str = "tolerated"  # or "error"
    promotion_name_trimmed: bool = True  # what is left of `.` and `-` where a long Stage name was cut
    error_back_off: str = "exponential"  # or "exponential-or-bucket"
    sharded_default_controller: bool = True
    header_timeout_seconds: float = 30.0  # 0: none
    work_queue: str = "listed-last"  # Warehouses of the start come last, see engine/warehouses.py; or "in-order"

    # The engine, better than any Kargo; all off in Kargo's rows.
    lost_refresh: bool = True  # a refresh whose discovery failed counts as handled
    broken_subscription: str = "discards-all"  # one that fails discards the results of the others; or "keeps-others"
    soak_listing: str = "any-stage"  # auto-promotion counts soak in Stages nobody named; or "upstreams" only
    soak_from: str = "entry"  # a verified stay counts from before its verification; or "verification"
    control_flow_soak: bool = False  # Freight soaks in a control flow Stage from its verification there
    soak_wakes: bool = False  # the end of a soak wakes the Stages that wait for it; else the next look finds it
    backward_promotion: bool = True  # auto-promotion may replace Freight by older Freight
    newest_of_equals: str = "name"  # of Freight discovered in one second the greater name; or "creation", the later
    hold_intents: str = "finished"  # which Promotions apply their hold: all but aborted ones; or "succeeded"
    spare_workers: int = 0  # of the workers that are free so many are kept for refreshes
    interval_jitter: float = 0.0  # the timer is longer by up to this share, so that a fleet spreads out

    def accepts(self, receiver_type: str, event: str) -> bool:
        """True if this version's receiver of the type knows the event."""
        return event in self.receiver_events.get(receiver_type, ())


LATEST = Profile(name="latest")

V1_11 = attrs.evolve(
    LATEST,
    name="v1.11",
    semver_library="3.4.0",
    localhost_is_registry=False,
    subscription_names=False,
    twin_subscriptions=True,  # addSub of the Warehouse webhook forgets to remember; a running v1.11.2 showed it
    image_created="first-found",
    registry_retries_429=False,
    forbidden_auto_promotion="error",
    promotion_name_trimmed=False,
    error_back_off="exponential-or-bucket",
    work_queue="in-order",
)
V1_10 = attrs.evolve(
    V1_11,
    name="v1.10",
    receiver_events=_EVENTS_V1_10,
    promotions=False,
    bitbucket_bare_names=True,
    null_body="as-object",
    deprecated_tag_fields="merged",
    template_functions=("quote", "unsafeQuote"),
    generic_target_kinds=("Warehouse",),
    oci_probe=False,
    blobless="never",
    ls_remote_short_circuit=False,
    freight_discovered_at=False,
    freight_created_event=False,
    twin_subscriptions=False,
    auto_promotion_guard="any-promotion",
    approval_needs_origin=False,
    holds=False,
    header_timeout_seconds=0.0,
)
V1_9 = attrs.evolve(
    V1_10,
    name="v1.9",
    expr_version="1.17.7",
    mux_redirect_status=301,
    url_strict_colons=False,
    path_filtering=False,
    null_commit="ignore",
    first_parent_only=False,
    merge_paths="conflicts",
    renamed_paths="new",
    git_since=False,
    chart_insecure_tls=False,
)
V1_8 = attrs.evolve(
    V1_9,
    name="v1.8",
    expr_version="1.17.6",
    receiver_events=_EVENTS_V1_8,
    receiver_type_order="random",
    generic_target_kinds=(),
    cluster_secrets_namespace="kargo-cluster-secrets",
    empty_receivers_clear_status=False,
    url_cleanup=False,
    tag_regex_lists=False,
    deprecated_tag_fields="honoured",
    image_constraint_field="either",
    discovery_order="by-type",
    cache_by_tag=False,
    image_cache="per-registry",
    registry_rates=MappingProxyType({"docker.io": 10.0, "*": 20.0}),
    platform_single_manifest="config",
    platform_index="one-child",
)
V1_7 = attrs.evolve(
    V1_8,
    name="v1.7",
    expr_version="1.17.5",
    receiver_events=_EVENTS_V1_7,
    healthz=False,
    mux_redirect_status=0,
    ssh_urls=False,
    virtual_repositories=False,
    artifactory_short_path="closes-connection",
    artifactory_origin_text=False,
    artifactory_type_first=False,
    freight_criteria=False,
    match_upstream=False,
)
V1_6 = attrs.evolve(
    V1_7,
    name="v1.6",
    semver_library="3.3.1",
    receiver_events=_EVENTS_V1_6,
    chunked_oversize_status=413,
    secret_error_text="uniform",  # noqa: S106 - a wording, not a secret
    null_body="closes-connection",
    package_url_parsing="strict",
    package_without_media_type="closes-connection",
    qualifiers=False,
    image_constraint_field="semverConstraint",
    commit_batches="constant",
    subject_bytes=(80, 80),
    tag_clone_branch="configured",
    image_created="config",
    auto_promotion_enabled_status=False,
    sharded_default_controller=False,
)
RECOMMENDED = attrs.evolve(
    LATEST,
    name="recommended",
    chunked_oversize_status=413,
    null_body="refuse",
    null_commit="ignore",
    bitbucket_cloud_url="normalised",
    harbor_repositories="all",
    broken_warehouse="left-alone",
    sound_filter=True,
    index_requirements="all",
    oci_probe=False,
    refresh_resolution="nanoseconds",
    duplicate_deliveries="acknowledged",
    acknowledge_unsupported=True,
    advertised_algorithm_only=True,
    deletions_refresh=False,
    lost_refresh=False,
    broken_subscription="keeps-others",
    work_queue="refreshes-first",
    spare_workers=1,
    soak_listing="upstreams",
    soak_from="verification",
    control_flow_soak=True,
    soak_wakes=True,
    backward_promotion=False,
    newest_of_equals="creation",
    hold_intents="succeeded",
    interval_jitter=0.1,
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {row.name: row for row in (V1_6, V1_7, V1_8, V1_9, V1_10, V1_11, LATEST, RECOMMENDED)}
)


def get(name: str) -> Profile:
    """The profile of that name; a name that is none raises UsageError with those there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(f"no profile is called {name!r}; there are {', '.join(PROFILES)}") from None


def differences() -> Mapping[str, tuple[str, ...]]:
    """Each switch in which two rows differ, with its value in every row, in the order of `PROFILES`."""
    found = {}
    for field in attrs.fields(Profile):
        values = tuple(_shown(getattr(row, field.name)) for row in PROFILES.values())
        if field.name not in ("name", "receiver_events") and len(set(values)) > 1:
            found[field.name] = values
    return found


def as_markdown() -> str:
    """The page of the documentation that says which version does what; a test compares it with the file."""
    head = ["| | " + " | ".join(PROFILES) + " |", "|---" * (len(PROFILES) + 1) + "|"]
    events = [
        f"| {kind} | "
        + " | ".join(_shown(row.receiver_events.get(kind, ())) or "none" for row in PROFILES.values())
        + " |"
        for kind in EVENTS
    ]
    switches = [f"| `{name}` | " + " | ".join(values) + " |" for name, values in differences().items()]
    return "\n".join(
        [
            "# What each Kargo version does differently",
            "",
            "Made by `python -m kargo_lab.profiles > docs/profiles.md`. What each switch means is said in that module.",
            "",
            "## Receivers and their events",
            "",
            *head,
            *events,
            "",
            "## Switches",
            "",
            *head,
            *switches,
            "",
        ]
    )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    return str(value)


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
