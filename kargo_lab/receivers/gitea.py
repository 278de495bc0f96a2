"""Gitea, Forgejo and whatever else speaks Gitea's webhooks: pushes and pull requests, signed by an HMAC.

As in Kargo, the event is judged before the signature, unsupported ones answer 501 where GitHub's answer 400,
and only the GitHub-like signature header is looked at, so that Gogs cannot authenticate. Source: receivers.md 4.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kargo_lab.profiles import Profile
from kargo_lab.receivers.examination import (
    DELETION,
    NOTHING_TO_DO,
    Check,
    Examination,
    body_decodes,
    event_is_of_interest,
    event_is_supported,
    examine,
    has_header,
    has_hmac,
    is_zero,
    member,
    push,
)
from kargo_lab.rules import json as gojson
from kargo_lab.rules import urls
from kargo_lab.rules.json import INT64, TEXT, ListOf, Struct
from kargo_lab.wire import Delivery, PullRequestClosed, Setup, Verdict

TYPE = "gitea"
SECRET_KEY = "secret"  # noqa: S105 - the name of a key, not a secret
EVENT_HEADER = "x-gitea-event"
SIGNATURE_HEADER = "x-hub-signature-256"

_REPOSITORY = Struct({"clone_url": TEXT})
_COMMIT = Struct({"added": ListOf(TEXT), "modified": ListOf(TEXT), "removed": ListOf(TEXT)})
SHAPES: Mapping[str, gojson.Shape] = MappingProxyType(
    {
        "push": Struct({"ref": TEXT, "repository": _REPOSITORY, "commits": ListOf(_COMMIT), "total_commits": INT64}),
        "pull_request": Struct({"action": TEXT, "pull_request": Struct({"html_url": TEXT})}),
    }
)
# Before path filtering the commits were not declared.
_PUSH_WITHOUT_COMMITS = Struct({"ref": TEXT, "repository": _REPOSITORY})


def conclude(examination: Examination) -> Verdict:
    """What the event means."""
    return _CONCLUSIONS[examination.event](examination)


CHECKS: tuple[Check, ...] = (
    event_is_supported,
    has_header(SIGNATURE_HEADER, "missing signature"),
    has_hmac(SIGNATURE_HEADER),
    event_is_of_interest,
    body_decodes,
    conclude,
)


def begin(delivery: Delivery, setup: Setup, profile: Profile) -> Examination:
    """What the checks look at."""
    event = delivery.header(EVENT_HEADER)
    shape = SHAPES.get(event, gojson.ANY)
    if event == "push" and not profile.path_filtering:
        shape = _PUSH_WITHOUT_COMMITS
    return Examination(receiver_type=TYPE, delivery=delivery, setup=setup, profile=profile, event=event, shape=shape)


def receive(delivery: Delivery, setup: Setup, profile: Profile) -> Verdict:
    """Say what one delivery means."""
    return examine(CHECKS, begin(delivery, setup, profile))


def _push(examination: Examination) -> Verdict:
    body, profile = examination.body, examination.profile
    if not profile.deletions_refresh and is_zero(member(examination.document, "after")):
        return DELETION
    commits = body.get("commits", [])
    files: list[str] = []
    # Gitea sends five commits at most; of a longer list nothing is known about files.
    if body.get("total_commits", 0) <= len(commits):
        for commit in commits:
            files += (*commit["added"], *commit["modified"], *commit["removed"])
    url = urls.normalize_git(body["repository"]["clone_url"], profile=profile)
    return push(examination, (url,), (body["ref"],), files)


def _pull_request(examination: Examination) -> Verdict:
    if examination.body["action"] != "closed":
        return NOTHING_TO_DO
    return PullRequestClosed(examination.body["pull_request"]["html_url"])


_CONCLUSIONS = MappingProxyType({"push": _push, "pull_request": _pull_request})
