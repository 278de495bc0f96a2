"""Docker Hub: every delivery is a pushed tag; nothing authenticates it but the secrecy of the URL.

Source: receivers.md 4.4.
"""

from __future__ import annotations

from kargo_lab.profiles import Profile
from kargo_lab.receivers.examination import Check, Examination, body_decodes, examine, push
from kargo_lab.receivers.media_types import artifact_urls
from kargo_lab.rules.json import TEXT, Struct
from kargo_lab.wire import Delivery, Setup, Verdict

TYPE = "dockerhub"
SECRET_KEY = "secret"  # noqa: S105 - the name of a key, not a secret

SHAPE = Struct(
    {
        "push_data": Struct({"tag": TEXT, "media_type": TEXT}),
        "repository": Struct({"repo_name": TEXT}),
    }
)
_SHAPE_BEFORE_TAGS = Struct({"push_data": Struct({"media_type": TEXT}), "repository": Struct({"repo_name": TEXT})})


def conclude(examination: Examination) -> Verdict:
    """The repository by its name, and the tag."""
    body = examination.body
    found = artifact_urls(body["repository"]["repo_name"], examination.profile, body["push_data"]["media_type"])
    return push(examination, found, (body["push_data"].get("tag"),))


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
