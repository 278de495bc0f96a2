"""Quay: every delivery is a push; nothing authenticates it but the secrecy of the URL.

Other events of Quay name no tags, so they refresh every subscriber, as any push without tags does.
Source: receivers.md 4.5.
"""

from __future__ import annotations

from kargo_lab.profiles import Profile
from kargo_lab.receivers.examination import Check, Examination, body_decodes, examine, push
from kargo_lab.receivers.media_types import artifact_urls
from kargo_lab.rules.json import TEXT, ListOf, Struct
from kargo_lab.wire import Delivery, Setup, Verdict

TYPE = "quay"
SECRET_KEY = "secret"  # noqa: S105 - the name of a key, not a secret

SHAPE = Struct({"docker_url": TEXT, "updated_tags": ListOf(TEXT)})
_SHAPE_BEFORE_TAGS = Struct({"docker_url": TEXT})


def conclude(examination: Examination) -> Verdict:
    """The repository by its Docker URL, and all tags."""
    body = examination.body
    return push(examination, artifact_urls(body["docker_url"], examination.profile), body.get("updated_tags", ()))


CHECKS: tuple[Check, ...] = (body_decodes, conclude)


def begin(delivery: Delivery, setup: Setup, profile: Profile) -> Examination:
    """What the checks look at."""
    return Examination(
        receiver_type=TYPE,
        delivery=delivery,
        setup=setup,
        profile=profile,
        shape=SHAPE if profile.qualifiers else _SHAPE_BEFORE_TAGS,
    )


def receive(delivery: Delivery, setup: Setup, profile: Profile) -> Verdict:
    """Say what one delivery means."""
    return examine(CHECKS, begin(delivery, setup, profile))
