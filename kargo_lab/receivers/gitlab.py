"""GitLab: pushes, tag pushes and merge requests, with a shared token in a header.

As in Kargo, the token is judged first, and its refusal has no text. GitLab sends tags as an event of
their own, without changed files. Source: receivers.md 4.2, 3.5 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kargo_lab.profiles import Profile
from kargo_lab.receivers.documents import gitlab as documents
from kargo_lab.receivers.documents import shapes
from kargo_lab.receivers.examination import (
    BAD_BODY,
    DELETION,
    NOTHING_TO_DO,
    Check,
    Examination,
    body_decodes,
    event_is_of_interest,
    examine,
    is_zero,
    member,
    push,
    secret_is_void,
)
from kargo_lab.rules import json as gojson
from kargo_lab.rules import signatures, urls
from kargo_lab.wire import Delivery, NoAnswer, PullRequestClosed, Refusal, Setup, Verdict

TYPE = "gitlab"
SECRET_KEY = "secret-token"  # noqa: S105 - the name of a key, not a secret
EVENT_HEADER = "x-gitlab-event"
TOKEN_HEADER = "x-gitlab-token"  # noqa: S105 - the name of a header, not a secret

_DOCUMENTS = shapes(documents.STRUCTS)
SHAPES: Mapping[str, gojson.Shape] = MappingProxyType(
    {
        "Push Hook": _DOCUMENTS["PushEvent"],
        "Tag Push Hook": _DOCUMENTS["TagEvent"],
        "Merge Request Hook": _DOCUMENTS["MergeEvent"],
    }
)
_ENDED = ("close", "merge")
_FLAGS = frozenset(["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"])


def token_matches(examination: Examination) -> Verdict | None:
    """The token is the secret; a missing one counts as empty."""
    claimed = examination.delivery.header(TOKEN_HEADER)
    if secret_is_void(examination) or not signatures.token_matches(claimed, examination.setup.secret):
        return Refusal(401)
    return None


def merge_parameters_decode(examination: Examination) -> Verdict | None:
    """One member of a merge request has a reader of its own, which takes a boolean also as text."""
    flag = member(examination.body, "object_attributes", "merge_params", "force_remove_source_branch")
    if flag is None or isinstance(flag, bool) or (isinstance(flag, str) and flag in _FLAGS):
        return None
    return BAD_BODY


def conclude(examination: Examination) -> Verdict:
    """What the event means."""
    return _CONCLUSIONS[examination.event](examination)


CHECKS: tuple[Check, ...] = (
    token_matches,
    event_is_of_interest,
    body_decodes,
    merge_parameters_decode,
    conclude,
)


def begin(delivery: Delivery, setup: Setup, profile: Profile) -> Examination:
    """What the checks look at."""
    event = delivery.header(EVENT_HEADER)
    return Examination(
        receiver_type=TYPE,
        delivery=delivery,
        setup=setup,
        profile=profile,
        event=event,
        shape=SHAPES.get(event, gojson.ANY),
    )


def receive(delivery: Delivery, setup: Setup, profile: Profile) -> Verdict:
    """Say what one delivery means."""
    return examine(CHECKS, begin(delivery, setup, profile))


def _repo_urls(body: Mapping[str, Any], profile: Profile) -> list[str]:
    repository = body["repository"]
    if repository is None:
        return []
    found = [repository["git_http_url"]]
    if profile.ssh_urls:
        found.append(repository["git_ssh_url"])
    return [urls.normalize_git(url, profile=profile) for url in found]


def _push(examination: Examination) -> Verdict:
    body, profile = examination.body, examination.profile
    if not profile.deletions_refresh and is_zero(body["after"]):
        return DELETION
    commits = body["commits"]
    files: list[str] = []
    # GitLab sends the newest 20 commits only; of a longer list nothing is known about files.
    if profile.path_filtering and body["total_commits_count"] <= len(commits):
        if None in commits and profile.null_commit == "closes-connection":
            return NoAnswer("a commit is null, and Kargo's code takes every commit for an object")
        for commit in commits:
            if commit is not None:
                files += (*commit["added"], *commit["modified"], *commit["removed"])
    return push(examination, _repo_urls(body, profile), (body["ref"],), files)


def _tag_push(examination: Examination) -> Verdict:
    body = examination.body
    if not examination.profile.deletions_refresh and is_zero(body["after"]):
        return DELETION
    return push(examination, _repo_urls(body, examination.profile), (body["ref"],))


def _merge_request(examination: Examination) -> Verdict:
    attributes = examination.body["object_attributes"]
    if attributes["action"] not in _ENDED:
        return NOTHING_TO_DO
    return PullRequestClosed(attributes["url"])


_CONCLUSIONS = MappingProxyType({"Push Hook": _push, "Tag Push Hook": _tag_push, "Merge Request Hook": _merge_request})
