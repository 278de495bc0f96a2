"""Faults about which events count, and as what."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import attrs

from kargo_lab.conformance.faults.changes import edited, header, instead, raw, refusals, verdict
from kargo_lab.conformance.faults.fault import Change, Fault
from kargo_lab.profiles import EVENTS
from kargo_lab.wire import Acknowledged, NoAnswer, PullRequestClosed, Push, Refusal

_SPEC = "receivers.md 4"
_LATER_CHANGE = "receivers.md 7.1"
_GITHUB = "kargo_lab.receivers.github"


def _without(kind: str, *events: str) -> dict[str, Any]:
    known = MappingProxyType({**EVENTS, kind: tuple(name for name in EVENTS[kind] if name not in events)})
    return {"receiver_events": known}


def _acknowledged(receive: Any) -> Any:
    """An unsupported event answers 200."""

    def wrong(*given: Any) -> Any:
        found = receive(*given)
        unsupported = isinstance(found, Refusal) and (
            "not supported" in found.reason or "unsupported" in found.reason or "must be" in found.reason
        )
        return Acknowledged() if unsupported else found

    return wrong


def _swap(first: str, second: str) -> Change:
    """Two checks of a receiver in the other order."""

    def change(checks: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [check.__name__ for check in checks]
        here, there = names.index(first), names.index(second)
        swapped = list(checks)
        swapped[here], swapped[there] = swapped[there], swapped[here]
        return tuple(swapped)

    return change


def _set(path: str, value: Any) -> Any:
    """An edit that sets one member where its parent is there."""
    *parents, last = path.split(".")

    def edit(document: Any) -> None:
        for name in parents:
            document = document[name]
        document[last] = value

    return edit


def _value(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _closed(change: Any) -> Change:
    return verdict(lambda seen: change(seen) if isinstance(seen, PullRequestClosed) else seen)


def _any_action(document: Any) -> None:
    if "package" in document or "registry_package" in document:
        document["action"] = "published"


def _any_closing(document: Any) -> None:
    if "pull_request" in document:
        document["action"] = "closed"
    elif _value(document, "object_attributes.action"):
        document["object_attributes"]["action"] = "close"
    elif document.get("eventType") == "git.pullrequest.updated":
        document["resource"]["status"] = "abandoned"


def _merged_only(document: Any) -> None:
    if "pull_request" in document and document["pull_request"].get("merged") is not True:
        document["action"] = "opened"
    elif _value(document, "object_attributes.action") == "close":
        document["object_attributes"]["action"] = "update"
    elif _value(document, "resource.status") == "abandoned":
        document["resource"]["status"] = "active"


def _package_type(change: Any) -> Any:
    def edit(document: Any) -> None:
        for name in ("package", "registry_package"):
            if isinstance(document.get(name), dict) and "package_type" in document[name]:
                document[name]["package_type"] = change(document[name]["package_type"])

    return edit


def _under_one_name(document: Any) -> None:
    """`package` is looked at for `registry_package` too."""
    if "package" in document and "registry_package" not in document:
        document["registry_package"] = document["package"]


def _fault(name: str, says: str, touches: tuple[str, ...], source: str = _SPEC, **change: Any) -> Fault:
    return Fault(name=name, says=says, source=source, touches=touches, **change)


FAULTS = (
    _fault(
        "unknown-events-are-fine",
        "An event that means nothing answers 200",
        ("github", "gitlab", "gitea", "bitbucket", "harbor", "azure", "artifactory"),
        receivers={"*": _acknowledged},
    ),
    _fault(
        "unknown-events-are-not-implemented",
        "501 where Kargo has answered 400 since 1.6.2",
        ("github", "gitlab", "bitbucket", "azure", "harbor"),
        "receivers.md 7.3",
        switches={
            "unsupported_event_status": MappingProxyType(dict.fromkeys(EVENTS, 501)),
        },
    ),
    _fault(
        "one-status-for-unknown-events",
        "400 where Gitea and Artifactory answer 501",
        ("gitea", "artifactory"),
        "receivers.md 8.1 B18",
        switches={"unsupported_event_status": MappingProxyType(dict.fromkeys(EVENTS, 400))},
    ),
    _fault(
        "github-signature-before-event",
        "The signature is checked before the event",
        ("github",),
        "receivers.md 8.1 B18",
        replaced={f"{_GITHUB}:CHECKS": _swap("event_is_supported", "header_is_there")},
    ),
    _fault(
        "gitlab-event-before-token",
        "The event is checked before the token",
        ("gitlab",),
        "receivers.md 8.1 B18",
        replaced={"kargo_lab.receivers.gitlab:CHECKS": _swap("token_matches", "event_is_of_interest")},
    ),
    _fault("github-ping-unknown", "Pings are refused", ("github",), switches=_without("github", "ping")),
    _fault(
        "ping-refreshes",
        "A ping is answered as a push of nothing",
        ("github", "azure"),
        receivers={
            "*": verdict(lambda seen: Push(repo_urls=()) if getattr(seen, "message", "").startswith("ping") else seen)
        },
    ),
    _fault(
        "event-names-in-any-case",
        "Event names are compared without regard to case",
        ("github", "gitlab", "gitea", "bitbucket"),
        receivers={
            "github": header("x-github-event", str.lower),
            "gitea": header("x-gitea-event", str.lower),
            "bitbucket": header("x-event-key", str.lower),
            "gitlab": header("x-gitlab-event", str.title),
        },
    ),
    _fault(
        "gitea-takes-githubs-header",
        "X-GitHub-Event, which Gitea sends as an alias, is enough",
        ("gitea",),
        receivers={
            "gitea": lambda receive: (
                lambda seen, setup, profile: receive(
                    attrs.evolve(seen, headers=(*seen.headers, ("x-gitea-event", seen.header("x-github-event")))),
                    setup,
                    profile,
                )
            )
        },
    ),
    _fault(
        "gitlab-ignores-tags",
        "Tag Push Hook is unknown, as in 1.6",
        ("gitlab",),
        _LATER_CHANGE,
        switches=_without("gitlab", "Tag Push Hook"),
    ),
    _fault(
        "gitlab-ignores-merge-requests",
        "Merge Request Hook is unknown, as up to 1.10",
        ("gitlab", "promotions"),
        _LATER_CHANGE,
        switches=_without("gitlab", "Merge Request Hook"),
    ),
    _fault(
        "github-ignores-registry-packages",
        "registry_package is unknown, as in 1.6",
        ("github",),
        _LATER_CHANGE,
        switches=_without("github", "registry_package"),
    ),
    _fault(
        "github-ignores-pull-requests",
        "pull_request is unknown, as up to 1.10",
        ("github", "promotions"),
        _LATER_CHANGE,
        switches=_without("github", "pull_request"),
    ),
    _fault(
        "bitbucket-knows-only-the-cloud",
        "Data Center's events are unknown, as up to 1.7",
        ("bitbucket", "promotions"),
        _LATER_CHANGE,
        switches=_without("bitbucket", "repo:refs_changed", "pr:merged", "pr:declined"),
    ),
    _fault(
        "github-only-new-packages",
        "An updated package does not count",
        ("github",),
        replaced={f"{_GITHUB}:_ACTIONS": instead(("published",))},
    ),
    _fault("github-any-package-action", "A deleted package counts", ("github",), replaced=edited(_any_action)),
    _fault(
        "github-package-types-in-any-case",
        "container is taken for CONTAINER",
        ("github",),
        replaced=edited(_package_type(lambda kind: "CONTAINER" if kind.lower() in ("container", "docker") else kind)),
    ),
    _fault(
        "github-any-package-type",
        "npm packages are taken for images",
        ("github",),
        replaced=edited(_package_type(lambda _kind: "CONTAINER")),
    ),
    _fault(
        "github-docker-packages-unknown",
        "Only CONTAINER counts as a type of package",
        ("github",),
        replaced={f"{_GITHUB}:_IMAGE_TYPES": instead(("CONTAINER",))},
    ),
    _fault(
        "github-package-under-one-name",
        "registry_package events are read from the member of package events",
        ("github",),
        replaced=edited(_under_one_name),
    ),
    _fault(
        "pull-requests-of-any-action",
        "Opened and updated pull requests count as ended",
        ("github", "gitlab", "gitea", "azure", "promotions"),
        replaced=edited(_any_closing),
    ),
    _fault(
        "pull-requests-merged-only",
        "A pull request that was closed without merging is ignored",
        ("github", "gitlab", "gitea", "azure", "promotions"),
        replaced=edited(_merged_only),
    ),
    _fault(
        "pull-request-urls-in-any-case",
        "The URL of a pull request is lower-cased",
        ("promotions",),
        receivers={"*": _closed(lambda seen: PullRequestClosed(seen.url.lower()))},
    ),
    _fault(
        "pull-requests-refresh-nothing",
        "An ended pull request finds no Promotion",
        ("promotions",),
        receivers={"*": _closed(lambda _seen: PullRequestClosed(""))},
    ),
    _fault(
        "promotions-in-any-phase",
        "Promotions that have ended are refreshed too",
        ("promotions",),
        "receivers.md 6.8",
        replaced={
            "kargo_lab.matching:_awaited": lambda right: (
                lambda promotion: right(attrs.evolve(promotion, status=attrs.evolve(promotion.status, phase="Running")))
            )
        },
    ),
    _fault(
        "promotions-at-any-step",
        "Steps that a Promotion has not reached count",
        ("promotions",),
        "receivers.md 6.8",
        replaced={
            "kargo_lab.matching:_awaited": lambda right: (
                lambda promotion: right(attrs.evolve(promotion, status=attrs.evolve(promotion.status, current_step=99)))
            )
        },
    ),
    _fault(
        "promotions-of-any-project",
        "A project's receiver reaches the Promotions of others",
        ("promotions", "scopes"),
        "receivers.md 8.3 S12",
        replaced={
            "kargo_lab.matching:match_promotions": lambda right: (
                lambda url, promotions, profile, **_scope: right(url, promotions, profile)
            )
        },
    ),
    _fault(
        "harbor-takes-every-event",
        "Deleted artifacts count as pushed",
        ("harbor",),
        replaced=edited(_set("type", "PUSH_ARTIFACT")),
    ),
    _fault(
        "azure-agents-in-any-case",
        "The user agent is compared without regard to case",
        ("azure",),
        receivers={
            "azure": header(
                "user-agent",
                lambda value: value.replace("azurecontainerregistry", "AzureContainerRegistry").replace(
                    "vsservices", "VSServices"
                ),
            )
        },
    ),
    _fault(
        "azure-any-agent",
        "Whoever does not say otherwise is taken for the registry",
        ("azure",),
        receivers={
            "azure": header(
                "user-agent", lambda value: value if value.startswith("VSServices") else "AzureContainerRegistry/1.0"
            )
        },
    ),
    _fault(
        "azure-agent-anywhere",
        "The user agent need not begin with the name",
        ("azure",),
        receivers={
            "azure": header(
                "user-agent",
                lambda value: "AzureContainerRegistry/1.0" if "AzureContainerRegistry" in value else value,
            )
        },
    ),
    _fault(
        "azure-takes-every-action",
        "A deleted image counts as pushed",
        ("azure",),
        replaced=edited(lambda document: _set("action", "push")(document) if document["action"] != "ping" else None),
    ),
    _fault(
        "artifactory-takes-every-event",
        "Deployed files count as pushed images",
        ("artifactory",),
        replaced=edited(lambda document: document.update(event_type="pushed", domain="docker")),
    ),
    _fault(
        "artifactory-takes-every-type",
        "Any type of image is accepted",
        ("artifactory",),
        replaced=edited(
            lambda document: (
                _set("data.image_type", "docker")(document)
                if document["data"]["image_type"] not in ("docker", "oci")
                else None
            )
        ),
    ),
    _fault(
        "malformed-is-fine",
        "A body that is no JSON answers 200",
        ("github", "gitlab", "gitea", "bitbucket", "harbor", "azure", "artifactory", "dockerhub", "quay", "security"),
        receivers={"*": verdict(lambda seen: Acknowledged() if getattr(seen, "status", 0) == 400 else seen)},
    ),
    _fault(
        "malformed-is-our-fault",
        "A body that is no JSON answers 500",
        ("github", "gitlab", "gitea", "bitbucket", "harbor", "azure", "artifactory", "dockerhub", "quay", "generic"),
        receivers={"*": refusals({400: 500})},
    ),
    _fault(
        "malformed-kills-the-connection",
        "A body that is no JSON closes the connection",
        ("github", "gitlab", "gitea", "bitbucket", "harbor", "azure", "artifactory", "dockerhub", "quay", "generic"),
        receivers={"*": verdict(lambda seen: NoAnswer("a crash") if getattr(seen, "status", 0) == 400 else seen)},
    ),
    _fault(
        "empty-body-is-an-object",
        "An empty body counts as an empty object",
        ("github", "gitlab", "gitea", "bitbucket", "harbor", "azure", "artifactory", "dockerhub", "quay"),
        replaced=raw(lambda body: body or b"{}"),
    ),
)
