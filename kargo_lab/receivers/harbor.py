"""Harbor: pushed artifacts in its default format, authenticated by a whole header value.

The secret is what the operator typed into Harbor's field, scheme word included. Kargo takes the
repository from the first resource and the tags from all. Source: receivers.md 4.6.
"""

from __future__ import annotations

from kargo_lab.profiles import Profile
from kargo_lab.receivers.examination import (
    Check,
    Examination,
    body_decodes,
    examine,
    has_header,
    push,
)
from kargo_lab.receivers.media_types import artifact_urls
from kargo_lab.rules import signatures
from kargo_lab.rules.json import TEXT, ListOf, Struct
from kargo_lab.wire import Acknowledged, Delivery, Refusal, Setup, Verdict

TYPE = "harbor"
SECRET_KEY = "auth-header"  # noqa: S105 - the name of a key, not a secret
AUTH_HEADER = "authorization"

SHAPE = Struct(
    {
        "type": TEXT,
        "event_data": Struct({"resources": ListOf(Struct({"tag": TEXT, "resource_url": TEXT}))}),
    }
)


def authorization_matches(examination: Examination) -> Verdict | None:
    """The header is the secret, as a whole."""
    claimed = examination.delivery.header(AUTH_HEADER)
    return None if signatures.token_matches(claimed, examination.setup.secret) else Refusal(401, "unauthorized")


def is_push(examination: Examination) -> Verdict | None:
    """Only pushed artifacts are of interest; CloudEvents name their type otherwise."""
    if examination.profile.accepts(TYPE, examination.body["type"]):
        return None
    text = "unsupported event type"
    if examination.profile.acknowledge_unsupported:
        return Acknowledged(f"{text}, so nothing was refreshed")
    return Refusal(examination.profile.unsupported_event_status[TYPE], text)


def conclude(examination: Examination) -> Verdict:
    """The repository of the first resource, and the tags of all."""
    resources = examination.body["event_data"]["resources"]
    named = resources if examination.profile.harbor_repositories == "all" else resources[:1]
    found = [url for resource in named for url in artifact_urls(resource["resource_url"], examination.profile)]
    return push(examination, found, (resource["tag"] for resource in resources))


CHECKS: tuple[Check, ...] = (
    has_header(AUTH_HEADER, "missing authorization"),
    authorization_matches,
    body_decodes,
    is_push,
    conclude,
)


def begin(delivery: Delivery, setup: Setup, profile: Profile) -> Examination:
    """What the checks look at."""
    return Examination(receiver_type=TYPE, delivery=delivery, setup=setup, profile=profile, shape=SHAPE)


def receive(delivery: Delivery, setup: Setup, profile: Profile) -> Verdict:
    """Say what one delivery means."""
    return examine(CHECKS, begin(delivery, setup, profile))
