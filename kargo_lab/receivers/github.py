"""GitHub and its container registry: pings, pushes, packages and pull requests, signed by an HMAC over the raw body.

As in Kargo, the event is judged before the signature, so an unsupported event answers 400 even when it is
unsigned. Bodies are decoded into the vendor client's types. Source: receivers.md 4.1, 3.5 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kargo_lab.profiles import Profile
from kargo_lab.receivers.documents import github as documents
from kargo_lab.receivers.documents import shapes
from kargo_lab.receivers.examination import (
    BAD_BODY,
    DELETION,
    NOTHING_TO_DO,
    PING,
    Check,
    Examination,
    body_decodes,
    event_is_of_interest,
    event_is_supported,
    examine,
    has_header,
    has_hmac,
    is_zero,
    push,
)
from kargo_lab.receivers.media_types import artifact_urls
from kargo_lab.rules import json as gojson
from kargo_lab.rules import urls
from kargo_lab.rules.references import RegistryReferenceError, parse_image
from kargo_lab.wire import Acknowledged, Delivery, NoAnswer, PullRequestClosed, Push, Refusal, Setup, Verdict

TYPE = "github"
SECRET_KEY = "secret"  # noqa: S105 - the name of a key, not a secret
EVENT_HEADER = "x-github-event"
SIGNATURE_HEADER = "x-hub-signature-256"

_DOCUMENTS = shapes(documents.STRUCTS)
SHAPES: Mapping[str, gojson.Shape] = MappingProxyType(
    {
        "ping": gojson.Nullable(_DOCUMENTS["PingEvent"]),
        "push": gojson.Nullable(_DOCUMENTS["PushEvent"]),
        "package": gojson.Nullable(_DOCUMENTS["PackageEvent"]),
        "registry_package": gojson.Nullable(_DOCUMENTS["RegistryPackageEvent"]),
        "pull_request": gojson.Nullable(_DOCUMENTS["PullRequestEvent"]),
    }
)

MOST_COMMITS = 2048  # GitHub cuts the list here, so a list of that length may be incomplete
_NULL_BODY: Mapping[str, Verdict] = MappingProxyType(
    {
        "empty-answer": Acknowledged(empty=True),
        "as-object": Push(repo_urls=()),
        "closes-connection": NoAnswer("the event decodes to nothing, and Kargo's code expects something"),
        "refuse": BAD_BODY,
    }
)
_IMAGE_TYPES = ("CONTAINER", "docker")
_ACTIONS = ("published", "updated")


def body_is_something(examination: Examination) -> Verdict | None:
    """The literal `null` is valid JSON for every event; what becomes of it differs between releases."""
    if examination.body is not None:
        return None
    return _NULL_BODY[examination.profile.null_body]


def conclude(examination: Examination) -> Verdict:
    """What the event means."""
    return _CONCLUSIONS[examination.event](examination)


CHECKS: tuple[Check, ...] = (
    event_is_supported,
    has_header(SIGNATURE_HEADER, "missing signature"),
    has_hmac(SIGNATURE_HEADER),
    event_is_of_interest,
    body_decodes,
    body_is_something,
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


def _ping(_: Examination) -> Verdict:
    return PING


def _push(examination: Examination) -> Verdict:
    body, profile = examination.body, examination.profile
    if not profile.deletions_refresh and (body["deleted"] or is_zero(body["after"])):
        return DELETION
    commits = body["commits"]
    files: list[str] = []
    if profile.path_filtering and len(commits) < MOST_COMMITS:
        if None in commits and profile.null_commit == "closes-connection":
            return NoAnswer("a commit is null, and Kargo's code takes every commit for an object")
        for commit in (*commits, body["head_commit"]):
            if commit is not None:
                files += (*commit["added"], *commit["modified"], *commit["removed"])
    repository = body["repository"] or {}
    found = [repository.get("clone_url")]
    if profile.ssh_urls:
        found.append(repository.get("ssh_url"))
    return push(examination, (urls.normalize_git(url, profile=profile) for url in found if url), (body["ref"],), files)


def _package(examination: Examination) -> Verdict:
    body = examination.body
    if body["action"] not in _ACTIONS:
        return NOTHING_TO_DO
    package = body[examination.event]
    if package is None or package["package_version"] is None:
        return BAD_BODY
    if package["package_type"] not in _IMAGE_TYPES:
        return NOTHING_TO_DO
    return _version(examination, package["package_version"])


def _version(examination: Examination, version: Mapping[str, Any]) -> Verdict:
    """A new version of a container package, by its reference and its tag."""
    profile = examination.profile
    reference = version["package_url"] or ""
    container = version["container_metadata"] or {}
    config = container.get("manifest", {}).get("config")
    media_type = config.get("media_type") if isinstance(config, dict) else None
    if profile.package_url_parsing == "strict":
        try:
            parse_image(reference, localhost=profile.localhost_is_registry)
        except RegistryReferenceError:
            return Refusal(500)
    else:
        # GHCR sometimes ends the reference in a bare colon, which no parser takes.
        reference = reference.removesuffix(":")
    if not isinstance(media_type, str):
        media_type = ""
    if not media_type and profile.package_without_media_type == "closes-connection":
        return NoAnswer("the package has no media type, hence no URL, and Kargo's code expects one")
    tag = (container.get("tag") or {}).get("name")
    return push(examination, artifact_urls(reference, profile, media_type), (tag,))


def _pull_request(examination: Examination) -> Verdict:
    body = examination.body
    if body["action"] != "closed":
        return NOTHING_TO_DO
    return PullRequestClosed((body["pull_request"] or {}).get("html_url") or "")


_CONCLUSIONS = MappingProxyType(
    {
        "ping": _ping,
        "push": _push,
        "package": _package,
        "registry_package": _package,
        "pull_request": _pull_request,
    }
)
