"""Bitbucket Cloud and Bitbucket Data Center: pushes and ended pull requests, signed by an HMAC over the raw body.

The two send different events with different bodies under one header. Cloud names no clone URL, so the
page of the repository serves as one, as it is; Data Center names its clone URLs. Source: receivers.md 4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kargo_lab.profiles import Profile
from kargo_lab.receivers.examination import (
    DELETION,
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
from kargo_lab.rules.json import TEXT, ListOf, Nullable, Struct
from kargo_lab.wire import Delivery, PullRequestClosed, Setup, Verdict

TYPE = "bitbucket"
SECRET_KEY = "secret"  # noqa: S105 - the name of a key, not a secret
EVENT_HEADER = "x-event-key"
SIGNATURE_HEADER = "x-hub-signature"  # no -256 in the name, though SHA-256 is what Bitbucket sends

_ACTOR = Struct({"name": TEXT, "emailAddress": TEXT})
_LINK = Struct({"href": TEXT})


def _cloud_push(**ref: gojson.Shape) -> gojson.Struct:
    return Struct(
        {
            "actor": _ACTOR,
            "push": Struct({"changes": ListOf(Struct({"new": Nullable(Struct(ref))}))}),
            "repository": Struct({"links": Struct({"html": _LINK})}),
        }
    )


_CLOUD_PUSH = _cloud_push(type=TEXT, name=TEXT)
_CLOUD_PUSH_BARE = _cloud_push(name=TEXT)  # as long as the name was taken bare, nobody declared the type
_SERVER_PUSH = Struct(
    {
        "actor": _ACTOR,
        "changes": ListOf(Struct({"ref": Struct({"id": TEXT})})),
        "repository": Struct({"links": Struct({"clone": ListOf(_LINK)})}),
    }
)
_CLOUD_PULL_REQUEST = Struct({"pullrequest": Struct({"links": Struct({"html": _LINK})})})
_SERVER_PULL_REQUEST = Struct({"pullRequest": Struct({"links": Struct({"self": ListOf(_LINK)})})})

SHAPES: Mapping[str, gojson.Shape] = MappingProxyType(
    {
        "repo:push": _CLOUD_PUSH,
        "repo:refs_changed": _SERVER_PUSH,
        "pullrequest:fulfilled": _CLOUD_PULL_REQUEST,
        "pullrequest:rejected": _CLOUD_PULL_REQUEST,
        "pr:merged": _SERVER_PULL_REQUEST,
        "pr:declined": _SERVER_PULL_REQUEST,
    }
)


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
    if event == "repo:push" and profile.bitbucket_bare_names:
        shape = _CLOUD_PUSH_BARE
    return Examination(
        receiver_type=TYPE,
        delivery=delivery,
        setup=setup,
        profile=profile,
        event=event,
        shape=shape,
    )


def receive(delivery: Delivery, setup: Setup, profile: Profile) -> Verdict:
    """Say what one delivery means."""
    return examine(CHECKS, begin(delivery, setup, profile))


def _conclude_cloud_push(examination: Examination) -> Verdict:
    profile = examination.profile
    found = [change["new"] for change in examination.body["push"]["changes"] if change["new"] is not None]
    if not profile.deletions_refresh and examination.body["push"]["changes"] and not found:
        return DELETION
    names = [
        new["name"] if profile.bitbucket_bare_names or not new["name"] else f"refs/{_kind(new['type'])}/{new['name']}"
        for new in found
    ]
    page = examination.body["repository"]["links"]["html"]["href"]
    if profile.bitbucket_cloud_url == "normalised":
        page = urls.normalize_git(page, profile=profile)
    return push(examination, (page,), names)


def _kind(ref_type: str) -> str:
    return "tags" if ref_type == "tag" else "heads"


def _server_push(examination: Examination) -> Verdict:
    profile = examination.profile
    changes = examination.body["changes"]
    if not profile.deletions_refresh:
        raw = member(examination.document, "changes")
        gone = [is_zero(member(change, "toHash")) for change in raw] if isinstance(raw, list) else []
        if gone and all(gone):
            return DELETION
        if len(gone) == len(changes):
            changes = [change for change, is_gone in zip(changes, gone, strict=True) if not is_gone]
    return push(
        examination,
        (
            urls.normalize_git(link["href"], profile=profile)
            for link in examination.body["repository"]["links"]["clone"]
        ),
        (change["ref"]["id"] for change in changes),
    )


def _cloud_pull_request(examination: Examination) -> Verdict:
    return PullRequestClosed(examination.body["pullrequest"]["links"]["html"]["href"])


def _server_pull_request(examination: Examination) -> Verdict:
    links = examination.body["pullRequest"]["links"]["self"]
    return PullRequestClosed(links[0]["href"] if links else "")


_CONCLUSIONS = MappingProxyType(
    {
        "repo:push": _conclude_cloud_push,
        "repo:refs_changed": _server_push,
        "pullrequest:fulfilled": _cloud_pull_request,
        "pullrequest:rejected": _cloud_pull_request,
        "pr:merged": _server_pull_request,
        "pr:declined": _server_pull_request,
    }
)
