"""Azure Container Registry and Azure DevOps: told apart by the user agent, authenticated by nothing but the URL.

Source: receivers.md 4.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kargo_lab.profiles import Profile
from kargo_lab.receivers.examination import (
    DELETION,
    NOTHING_TO_DO,
    PING,
    Check,
    Examination,
    body_decodes,
    examine,
    is_zero,
    member,
    push,
    unsupported,
)
from kargo_lab.receivers.media_types import artifact_urls
from kargo_lab.rules import json as gojson
from kargo_lab.rules import urls
from kargo_lab.rules.json import INT64, TEXT, ListOf, Struct
from kargo_lab.wire import Delivery, PullRequestClosed, Refusal, Setup, Verdict

TYPE = "azure"
SECRET_KEY = "secret"  # noqa: S105 - the name of a key, not a secret
REGISTRY, DEVOPS = "AzureContainerRegistry", "VSServices"  # how the user agents begin

SHAPES: Mapping[str, gojson.Shape] = MappingProxyType(
    {
        REGISTRY: Struct(
            {
                "action": TEXT,
                "target": Struct({"mediaType": TEXT, "repository": TEXT, "tag": TEXT}),
                "request": Struct({"host": TEXT}),
            }
        ),
        DEVOPS: Struct(
            {
                "eventType": TEXT,
                "resource": Struct(
                    {
                        "pullRequestId": INT64,
                        "status": TEXT,
                        "refUpdates": ListOf(Struct({"name": TEXT})),
                        "repository": Struct({"remoteUrl": TEXT}),
                        "_links": Struct({"web": Struct({"href": TEXT})}),
                    }
                ),
            }
        ),
    }
)
# Before pull requests were looked at, their members were not declared either.
_PUSHES_ONLY = Struct(
    {
        "eventType": TEXT,
        "resource": Struct(
            {"refUpdates": ListOf(Struct({"name": TEXT})), "repository": Struct({"remoteUrl": TEXT})},
        ),
    }
)


def sender_is_known(examination: Examination) -> Verdict | None:
    """The user agent begins with one of the two names, in this very spelling."""
    if examination.event:
        return None
    return Refusal(400, "request does not appear to have originated from a supported service")


def event_is_known(examination: Examination) -> Verdict | None:
    """The body names an event that this service sends and this version knows."""
    event = _event(examination)
    if event in _CONCLUSIONS[examination.event] and examination.profile.accepts(TYPE, event):
        return None
    return unsupported(examination, event)


def conclude(examination: Examination) -> Verdict:
    """What the event means."""
    return _CONCLUSIONS[examination.event][_event(examination)](examination)


CHECKS: tuple[Check, ...] = (sender_is_known, body_decodes, event_is_known, conclude)


def begin(delivery: Delivery, setup: Setup, profile: Profile) -> Examination:
    """What the checks look at."""
    agent = delivery.header("user-agent")
    sender = next((name for name in (REGISTRY, DEVOPS) if agent.startswith(name)), "")
    shape: gojson.Shape = SHAPES.get(sender, gojson.ANY)
    if sender == DEVOPS and not profile.promotions:
        shape = _PUSHES_ONLY
    return Examination(receiver_type=TYPE, delivery=delivery, setup=setup, profile=profile, event=sender, shape=shape)


def receive(delivery: Delivery, setup: Setup, profile: Profile) -> Verdict:
    """Say what one delivery means."""
    return examine(CHECKS, begin(delivery, setup, profile))


def _event(examination: Examination) -> str:
    name: str = examination.body["action" if examination.event == REGISTRY else "eventType"]
    return name


def _ping(_: Examination) -> Verdict:
    return PING


def _image_push(examination: Examination) -> Verdict:
    target, host = examination.body["target"], examination.body["request"]["host"]
    found = artifact_urls(f"{host}/{target['repository']}", examination.profile, target["mediaType"])
    return push(examination, found, (target["tag"],))


def _git_push(examination: Examination) -> Verdict:
    profile = examination.profile
    resource = examination.body["resource"]
    updates = resource["refUpdates"]
    if not profile.deletions_refresh:
        raw = member(examination.document, "resource", "refUpdates")
        gone = [is_zero(member(update, "newObjectId")) for update in raw] if isinstance(raw, list) else []
        if gone and all(gone):
            return DELETION
        if len(gone) == len(updates):
            updates = [update for update, is_gone in zip(updates, gone, strict=True) if not is_gone]
    url = urls.normalize_git(resource["repository"]["remoteUrl"], profile=profile)
    return push(examination, (url,), (update["name"] for update in updates))


def _merge_attempted(examination: Examination) -> Verdict:
    """Azure sends this at every merge attempt, not only at the last; Kargo asks the provider what happened."""
    return PullRequestClosed(examination.body["resource"]["_links"]["web"]["href"])


def _pull_request_updated(examination: Examination) -> Verdict:
    if examination.body["resource"]["status"] != "abandoned":
        return NOTHING_TO_DO
    return _merge_attempted(examination)


_CONCLUSIONS = MappingProxyType(
    {
        REGISTRY: MappingProxyType({"ping": _ping, "push": _image_push}),
        DEVOPS: MappingProxyType(
            {
                "git.push": _git_push,
                "git.pullrequest.merged": _merge_attempted,
                "git.pullrequest.updated": _pull_request_updated,
            }
        ),
    }
)
