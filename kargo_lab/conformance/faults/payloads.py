"""Faults in how bodies are read."""

from __future__ import annotations

import gzip
import json
from typing import Any
from urllib.parse import parse_qs

import attrs

from kargo_lab.conformance.faults.changes import edited, instead, push, raw, verdict
from kargo_lab.conformance.faults.fault import Fault
from kargo_lab.wire import Acknowledged, Push, Refusal

_SPEC = "receivers.md 4"
_JSON = "receivers.md 3.3"
_JSON_GROUPS = (
    "github",
    "gitlab",
    "gitea",
    "bitbucket",
    "dockerhub",
    "quay",
    "harbor",
    "azure",
    "artifactory",
    "security",
)


def _walk(document: Any, change: Any) -> Any:
    if isinstance(document, dict):
        return change({name: _walk(value, change) for name, value in document.items()})
    return [_walk(value, change) for value in document] if isinstance(document, list) else document


def _without_upper_case(document: Any) -> Any:
    return _walk(document, lambda found: {name: value for name, value in found.items() if name == name.lower()})


def _first_duplicate(body: bytes) -> bytes:
    def keep_first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(reversed(pairs))

    try:
        return json.dumps(json.loads(body, object_pairs_hook=keep_first)).encode()
    except ValueError:
        return body


def _prefix_only(body: bytes) -> bytes:
    try:
        text = body.decode()
        _, end = json.JSONDecoder().raw_decode(text.lstrip())
        return text.lstrip()[:end].encode()
    except ValueError:
        return body


def _form(body: bytes) -> bytes:
    found = parse_qs(body.decode("latin-1")).get("payload")
    return found[0].encode() if found else body


def _unzipped(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def _from_page(document: Any) -> None:
    repository = document["repository"]
    repository.setdefault("clone_url", repository.get("html_url"))


def _project(document: Any) -> None:
    document.setdefault("repository", document["project"])


def _files(name: str) -> Any:
    def edit(document: Any) -> None:
        for commit in document.get("commits") or []:
            commit.pop(name, None)
        (document.get("head_commit") or {}).pop(name, None)

    return edit


def _first_change(document: Any) -> None:
    if "push" in document:
        del document["push"]["changes"][1:]
    else:
        del document["changes"][1:]


def _any_deletion(document: Any) -> None:
    if any(change["new"] is None for change in document["push"]["changes"]):
        document["push"]["changes"] = []


def _branches_only(document: Any) -> None:
    for change in document["push"]["changes"]:
        if change["new"]:
            change["new"]["type"] = "branch"


def _annotated(document: Any) -> None:
    for change in document["push"]["changes"]:
        if "tag" in change["new"]["type"]:
            change["new"]["type"] = "tag"


def _keep_first(*path: str) -> Any:
    def edit(document: Any) -> None:
        found = document
        for name in path:
            found = found[name]
        del found[1:]

    return edit


def _only_last(*path: str) -> Any:
    def edit(document: Any) -> None:
        found = document
        for name in path:
            found = found[name]
        del found[:-1]

    return edit


def _head_only(document: Any) -> None:
    document["commits"] = []


def _zero(name: str) -> Any:
    return lambda document: document.update({name: 0}) if name in document else None


def _texts(document: Any) -> Any:
    for name in ("ref", "docker_url"):
        if name in document and not isinstance(document[name], str):
            document[name] = str(document[name])
    return document


def _strict(receive: Any) -> Any:
    known_noise = ("brand_new", "sender", "pusher", "hook_id", "unknown")

    def wrong(delivery: Any, setup: Any, profile: Any) -> Any:
        found = receive(delivery, setup, profile)
        try:
            document = json.loads(delivery.body)
        except ValueError:
            return found
        noisy = isinstance(document, dict) and any(name in document for name in known_noise)
        return Refusal(400, "invalid request body") if noisy and isinstance(found, Push) else found

    return wrong


def _one_segment(document: Any) -> None:
    head, _, last = document["data"]["path"].rpartition("/")
    document["data"]["path"] = f"{head}/x/{last}"


def _from_image_name(document: Any) -> None:
    if name := document["data"].get("image_name"):
        document["data"]["path"] = f"{name}/x/manifest.json"


def _with_origin_path(document: Any) -> None:
    origin = document["jpd_origin"]
    path = origin.partition("://")[2].partition("/")[2]
    if path:
        document["data"]["repo_key"] = f"{path}/{document['data']['repo_key']}"


def _no_change_without_qualifier(seen: Push) -> Any:
    return seen if seen.qualifiers else Acknowledged("nothing to do")


def _fault(name: str, says: str, touches: tuple[str, ...], source: str = _SPEC, **change: Any) -> Fault:
    return Fault(name=name, says=says, source=source, touches=touches, **change)


FAULTS = (
    _fault(
        "first-duplicate-wins",
        "Of two equal keys the first counts",
        _JSON_GROUPS,
        _JSON,
        replaced=raw(_first_duplicate),
    ),
    _fault(
        "keys-in-one-case",
        "Keys have to be spelled as documented",
        ("dockerhub", "quay", "security"),
        _JSON,
        replaced=edited(_without_upper_case),
    ),
    _fault("trailing-garbage", "Text behind the document is ignored", _JSON_GROUPS, _JSON, replaced=raw(_prefix_only)),
    _fault(
        "byte-order-mark",
        "A byte-order mark in front is forgiven",
        _JSON_GROUPS,
        _JSON,
        replaced=raw(lambda body: body.removeprefix(b"\xef\xbb\xbf")),
    ),
    _fault(
        "form-bodies", "Form-encoded payloads are read", ("github", "gitea", "security"), _JSON, replaced=raw(_form)
    ),
    _fault("unzips", "Content-Encoding is honoured", ("dockerhub", "security"), _JSON, replaced=raw(_unzipped)),
    _fault(
        "wrong-types-become-text",
        "A number where text belongs is converted",
        _JSON_GROUPS,
        _JSON,
        replaced=edited(_texts),
    ),
    _fault(
        "unknown-members-refused",
        "A member that nobody declared is refused",
        _JSON_GROUPS,
        _JSON,
        receivers={"*": _strict},
    ),
    _fault(
        "null-is-malformed",
        "The literal null is refused",
        ("dockerhub", "quay", "github", "gitlab", "harbor"),
        "receivers.md 3.5",
        replaced=raw(lambda body: b"" if body.strip() == b"null" else body),
    ),
    _fault(
        "null-commits-ignored",
        "A null among the commits is ignored, where Kargo's process panics",
        ("github", "gitlab"),
        "receivers.md 8.1 B10",
        switches={"null_commit": "ignore"},
    ),
    _fault(
        "github-null-as-object",
        "The literal null is answered as a push of nothing, as up to 1.10",
        ("github",),
        "receivers.md 3.5",
        switches={"null_body": "as-object"},
    ),
    _fault(
        "github-page-as-repository",
        "html_url stands in for a missing clone_url",
        ("github", "gitea"),
        replaced=edited(_from_page),
    ),
    _fault(
        "github-ignores-ssh",
        "The SSH URL is not looked up, as before 1.8.5",
        ("github", "gitlab", "urls"),
        "receivers.md 7.2",
        switches={"ssh_urls": False},
    ),
    _fault(
        "github-head-commit-only",
        "Only head_commit tells which files changed",
        ("github", "paths"),
        replaced=edited(_head_only),
    ),
    _fault(
        "github-ignores-head-commit",
        "head_commit is not looked at",
        ("github", "paths"),
        replaced=edited(lambda document: document.update(head_commit=None)),
    ),
    *(
        _fault(
            f"ignores-{name}-files",
            f"Files that were {name} do not count",
            ("github", "gitlab", "gitea", "paths"),
            replaced=edited(_files(name)),
        )
        for name in ("added", "modified", "removed")
    ),
    _fault(
        "github-trusts-long-lists",
        "A list of 2048 commits is taken to be complete",
        ("github",),
        "receivers.md 4.1",
        replaced={"kargo_lab.receivers.github:MOST_COMMITS": instead(1 << 30)},
    ),
    _fault(
        "github-cuts-lists-early",
        "A list of 2047 commits is taken to be cut",
        ("github",),
        "receivers.md 4.1",
        replaced={"kargo_lab.receivers.github:MOST_COMMITS": instead(2047)},
    ),
    _fault(
        "gitlab-trusts-cut-lists",
        "total_commits_count is not looked at",
        ("gitlab",),
        replaced=edited(_zero("total_commits_count")),
    ),
    _fault(
        "gitea-trusts-cut-lists", "total_commits is not looked at", ("gitea",), replaced=edited(_zero("total_commits"))
    ),
    _fault(
        "gitlab-project-as-repository",
        "project stands in for a missing repository",
        ("gitlab",),
        replaced=edited(_project),
    ),
    _fault(
        "gitlab-tag-files",
        "Tag pushes are filtered by paths",
        ("gitlab",),
        "receivers.md 8.1 B4",
        receivers={
            "gitlab": lambda receive: (
                lambda delivery, setup, profile: (
                    attrs.evolve(
                        found,
                        changed_files=tuple(
                            name
                            for commit in json.loads(delivery.body).get("commits", [])
                            for name in commit.get("added", [])
                        ),
                    )
                    if isinstance(found := receive(delivery, setup, profile), Push)
                    and delivery.header("x-gitlab-event").startswith("Tag")
                    else found
                )
            )
        },
    ),
    _fault(
        "bitbucket-bare-names",
        "Branches are taken without refs/heads/, as in 1.7 to 1.10",
        ("bitbucket",),
        "receivers.md 7.2",
        switches={"bitbucket_bare_names": True},
    ),
    _fault(
        "bitbucket-first-change-only",
        "Only the first change of a push counts",
        ("bitbucket",),
        replaced=edited(_first_change),
    ),
    _fault(
        "bitbucket-any-deletion-is-unconditional",
        "One deletion makes the whole push unconditional",
        ("bitbucket",),
        "receivers.md 9 BB-21",
        replaced=edited(_any_deletion),
    ),
    _fault(
        "bitbucket-tags-are-branches", "Tags are taken for branches", ("bitbucket",), replaced=edited(_branches_only)
    ),
    _fault(
        "bitbucket-other-tags-are-tags",
        "annotated_tag is taken for a tag",
        ("bitbucket",),
        "receivers.md 4.3",
        replaced=edited(_annotated),
    ),
    _fault(
        "bitbucket-normalises-the-page",
        "The page's URL is normalised",
        ("bitbucket",),
        "receivers.md 8.1 B5",
        switches={"bitbucket_cloud_url": "normalised"},
    ),
    _fault(
        "bitbucket-first-link-only",
        "Only the first clone link counts",
        ("bitbucket",),
        replaced=edited(_keep_first("repository", "links", "clone")),
    ),
    _fault(
        "bitbucket-last-link-only",
        "Only the last clone link counts",
        ("bitbucket",),
        replaced=edited(_only_last("repository", "links", "clone")),
    ),
    _fault(
        "quay-first-tag-only",
        "Only the first of several tags counts",
        ("quay",),
        replaced=edited(_keep_first("updated_tags")),
    ),
    _fault(
        "quay-last-tag-only",
        "Only the last of several tags counts",
        ("quay",),
        replaced=edited(_only_last("updated_tags")),
    ),
    _fault(
        "harbor-first-tag-only",
        "Only the first resource's tag counts",
        ("harbor",),
        "receivers.md 8.1 B6",
        replaced=edited(_keep_first("event_data", "resources")),
    ),
    _fault(
        "harbor-every-repository",
        "Every resource names a repository",
        ("harbor",),
        "receivers.md 8.1 B6",
        switches={"harbor_repositories": "all"},
    ),
    _fault(
        "dockerhub-ignores-the-tag",
        "The tag is not looked at",
        ("dockerhub",),
        replaced=edited(lambda document: document["push_data"].pop("tag") and None),
    ),
    _fault(
        "azure-first-ref-only",
        "Only the first of several refs counts",
        ("azure",),
        replaced=edited(_keep_first("resource", "refUpdates")),
    ),
    _fault(
        "azure-ignores-the-ref",
        "The refs of a push are not looked at",
        ("azure",),
        replaced=edited(lambda document: document["resource"].update(refUpdates=[])),
    ),
    _fault(
        "azure-repository-without-host",
        "The registry's host is left out",
        ("azure",),
        replaced=edited(lambda document: document["request"].update(host="")),
    ),
    _fault(
        "artifactory-cuts-one-segment",
        "Only the manifest's name is cut off the path",
        ("artifactory",),
        replaced=edited(_one_segment),
    ),
    _fault(
        "artifactory-believes-the-image-name",
        "image_name names the repository",
        ("artifactory",),
        "receivers.md 4.9",
        replaced=edited(_from_image_name),
    ),
    _fault(
        "artifactory-keeps-the-origins-path",
        "The path of jpd_origin is kept",
        ("artifactory",),
        replaced=edited(_with_origin_path),
    ),
    _fault(
        "artifactory-ignores-virtual-repositories",
        "virtualRepoName is ignored, as in 1.7",
        ("artifactory",),
        "receivers.md 7.1",
        switches={"virtual_repositories": False},
    ),
    _fault(
        "artifactory-short-path-panics",
        "A path of one segment closes the connection, as in 1.7",
        ("artifactory",),
        "receivers.md 7.2",
        switches={"artifactory_short_path": "closes-connection"},
    ),
    _fault(
        "artifactory-vague-origin",
        "A bad jpd_origin is not named, as in 1.7",
        ("artifactory",),
        "receivers.md 7.2",
        switches={"artifactory_origin_text": False},
    ),
    _fault(
        "deletions-do-nothing",
        "A deleted branch is ignored, where Kargo refreshes",
        ("github", "gitlab", "gitea", "bitbucket", "azure"),
        "receivers.md 4.1",
        switches={"deletions_refresh": False},
    ),
    _fault(
        "nothing-without-a-tag",
        "A push that names no tag or ref refreshes nobody",
        (),
        "receivers.md 8.1 B2",
        receivers={"*": push(_no_change_without_qualifier)},
    ),
    _fault(
        "acknowledgements-have-words",
        "Events without an action are answered with a message",
        ("github", "gitlab", "gitea", "azure", "promotions"),
        "receivers.md 3.4",
        receivers={"*": verdict(lambda seen: Acknowledged("ignored") if seen == Acknowledged() else seen)},
    ),
)
