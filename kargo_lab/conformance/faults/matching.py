"""Faults in who is refreshed: scopes, counts, files and paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import attrs

from kargo_lab.conformance.faults.changes import always, push, refreshed
from kargo_lab.conformance.faults.fault import Change, Fault

_IMAGES = "kargo_lab.selection.images:ImageSelector"
_COMMITS = "kargo_lab.selection.commits:CommitSelector"
_CHARTS = "kargo_lab.selection.charts:ChartSelector"
_NAMES = "kargo_lab.selection.names"
_RULES = "receivers.md 6.7"
_ALL = "receivers.md 6.6"
PUSHES = (
    "github",
    "gitlab",
    "gitea",
    "bitbucket",
    "azure",
    "dockerhub",
    "quay",
    "harbor",
    "artifactory",
    "matching",
    "scopes",
)


def _same_host(index: Any, pushed: Any, namespace: Any, found: Any) -> Any:
    hosts = {url.partition("://")[2].partition("/")[0] or url.partition("/")[0] for url in pushed.repo_urls}
    return [
        each
        for each in index.warehouses
        if namespace in (None, each.namespace)
        and any(host and host in str(getattr(sub, "repo_url", "")) for sub in each.spec.subscriptions for host in hosts)
    ] or found.refresh


def _everybody(index: Any, _pushed: Any, namespace: Any, _found: Any) -> Any:
    return [each for each in index.warehouses if namespace in (None, each.namespace)]


def _unscoped(index: Any, pushed: Any, _namespace: Any, _found: Any) -> Any:
    if _namespace is None:
        return _found.refresh
    return index.match(pushed, None).refresh


def _every_subscriber(index: Any, pushed: Any, namespace: Any, _found: Any) -> Any:
    subscribers = {each.key: each for url in pushed.repo_urls for each in index.subscribers(url)}
    return [each for each in subscribers.values() if namespace in (None, each.namespace)]


def _one_place(_index: Any, _pushed: Any, namespace: Any, found: Any) -> Any:
    if namespace is not None or not found.refresh:
        return found.refresh
    home = min(each.namespace for each in found.refresh)
    return [each for each in found.refresh if each.namespace == home]


def _per_subscription(index: Any, pushed: Any, _namespace: Any, found: Any) -> Any:
    del index, pushed
    return [each for each in found.refresh for _ in each.spec.subscriptions]


def _paths(**change: Any) -> Mapping[str, Change]:
    return {
        "kargo_lab.selection.commits:path_rules": lambda right: (
            lambda subscription: right(attrs.evolve(subscription, **change))
        )
    }


def _wider(change: Any) -> Mapping[str, Change]:
    """Path patterns that also match where `change(pattern, path)` says so."""

    def wrap(right: Any) -> Any:
        def wrong(text: str) -> Any:
            selector = right(text)
            return SimpleNamespace(text=text, matches=lambda path: selector.matches(path) or change(text, path))

        return wrong

    return {"kargo_lab.selection.paths:patterns.path_selector": wrap}


def _begins(pattern: str, path: str) -> bool:
    return ":" not in pattern and path.startswith(pattern)


def _crosses(pattern: str, path: str) -> bool:
    glob = re.escape(pattern.removeprefix("glob:")).replace(r"\*", ".*")
    return pattern.startswith("glob:") and re.fullmatch(glob, path) is not None


def _files_wanted(right: Any) -> Any:
    def wrong(self: Any, qualifiers: Any, changed_files: Any = ()) -> Any:
        reason = right(self, qualifiers, changed_files)
        return attrs.evolve(reason, accepted=False) if reason and self.paths and not changed_files else reason

    return wrong


def _fault(name: str, says: str, source: str, touches: tuple[str, ...] = PUSHES, **change: Any) -> Fault:
    return Fault(name=name, says=says, source=source, touches=touches, **change)


SELECTION = (
    _fault(
        "refreshes-every-subscriber",
        "Tags, refs and versions are not looked at, as in 1.6",
        "receivers.md 7.2",
        replaced=refreshed(_every_subscriber),
    ),
    _fault(
        "refreshes-everybody", "Every Warehouse of the project is refreshed", _ALL, (), replaced=refreshed(_everybody)
    ),
    _fault("refreshes-nobody", "No Warehouse is ever refreshed", _ALL, (), replaced=refreshed(lambda *_: ())),
    _fault(
        "refreshes-the-same-host",
        "Whoever subscribes to the same host is refreshed",
        _ALL,
        replaced=refreshed(_same_host),
    ),
    _fault(
        "refreshes-only-the-first",
        "Only one Warehouse is refreshed",
        _ALL,
        replaced=refreshed(lambda _i, _p, _n, found: found.refresh[:1]),
    ),
    _fault(
        "counts-subscriptions",
        "The answer counts subscriptions instead of Warehouses",
        "receivers.md 9 MT-10",
        replaced=refreshed(_per_subscription),
    ),
    _fault(
        "project-receivers-reach-everywhere",
        "A project's receiver reaches other projects",
        "receivers.md 8.3 S12",
        (*PUSHES, "scopes"),
        replaced=refreshed(_unscoped),
    ),
    _fault(
        "cluster-receivers-reach-one-project",
        "A cluster's receiver reaches one project only",
        _ALL,
        (*PUSHES, "scopes"),
        replaced=refreshed(_one_place),
    ),
    _fault(
        "no-answer-without-effect",
        "The refresh token is not stored",
        "receivers.md 6.9",
        (),
        replaced={"kargo_lab.engine.store:Store.refresh": always(())},
    ),
    _fault(
        "the-same-token-for-ever",
        "Every refresh writes the same token",
        "receivers.md 6.9",
        ("refreshing", "polling"),
        replaced={"kargo_lab.engine.intake:token": always("2026-01-01T00:00:00Z")},
    ),
    _fault(
        "broken-warehouses-do-no-harm",
        "An unusable subscription spoils nothing, where Kargo's delivery fails",
        "receivers.md 8.1 B1",
        (*PUSHES, "resilience"),
        switches={"broken_warehouse": "left-alone"},
    ),
    _fault(
        "files-are-not-looked-at",
        "Changed files do not matter, as up to 1.9",
        "receivers.md 7.2",
        ("github", "gitlab", "gitea", "paths"),
        switches={"path_filtering": False},
    ),
    _fault(
        "only-the-first-url",
        "Of several URLs only the first is looked up",
        _ALL,
        receivers={"*": push(lambda seen: attrs.evolve(seen, repo_urls=seen.repo_urls[:1]))},
    ),
    _fault(
        "only-the-first-qualifier",
        "Of several tags or refs only the first counts",
        _ALL,
        receivers={"*": push(lambda seen: attrs.evolve(seen, qualifiers=seen.qualifiers[:1]))},
    ),
    _fault(
        "files-decide-alone",
        "Without files a Warehouse with paths is left alone",
        _RULES,
        ("github", "gitlab", "gitea", "azure", "bitbucket", "paths"),
        replaced={"kargo_lab.selection.commits:CommitSelector.matches": _files_wanted},
    ),
)
PATHS = (
    _fault(
        "excludes-ignored",
        "excludePaths has no effect",
        _RULES,
        ("github", "gitlab", "gitea", "paths", "discovery"),
        replaced=_paths(exclude_paths=()),
    ),
    _fault(
        "includes-ignored",
        "includePaths has no effect",
        _RULES,
        ("github", "gitlab", "gitea", "paths", "discovery"),
        replaced=_paths(include_paths=()),
    ),
    _fault(
        "paths-by-prefix",
        "apps/foo includes apps/foobar",
        _RULES,
        ("paths", "discovery"),
        replaced=_wider(_begins),
    ),
    _fault(
        "stars-cross-directories",
        "* in a glob matches slashes",
        _RULES,
        ("paths", "discovery"),
        replaced=_wider(_crosses),
    ),
    _fault(
        "one-excluded-file-spoils-all",
        "One excluded file makes the whole push uninteresting",
        _RULES,
        ("paths", "github", "discovery"),
        replaced={
            "kargo_lab.selection.paths:PathRules.judge_commit": lambda right: (
                lambda self, changed: (
                    attrs.evolve(right(self, changed), accepted=False)
                    if any(selector.matches(path) for path in changed for selector in self.exclude)
                    else right(self, changed)
                )
            )
        },
    ),
)
FAULTS = (*SELECTION, *PATHS)
