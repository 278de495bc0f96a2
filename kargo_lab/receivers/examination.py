"""How a receiver is read: a tuple of checks in Kargo's order, of which the first to say something decides.

The order is part of the behaviour (GitHub judges the event before the signature, GitLab the other way
round), so each receiver writes it down as data and this module walks it. What several receivers
check alike is here too; what only one of them does stays in its module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import attrs

from kargo_lab.profiles import Profile
from kargo_lab.rules import json as gojson
from kargo_lab.rules import signatures
from kargo_lab.wire import Acknowledged, Delivery, Push, Refusal, Setup, Verdict

PING = Acknowledged("ping event received, webhook is configured correctly")
BAD_BODY = Refusal(400, "invalid request body")
NOTHING_TO_DO = Acknowledged()
DELETION = Acknowledged("a deletion brings nothing new, so nothing was refreshed")


@attrs.frozen(kw_only=True)
class Examination:
    """One delivery on its way through the checks. `event` is the header's; senders without one leave it empty."""

    receiver_type: str
    delivery: Delivery
    setup: Setup
    profile: Profile
    shape: gojson.Shape = gojson.ANY
    event: str = ""

    @cached_property
    def body(self) -> Any:
        """The body in the declared shape. Raises JSONError; no check before `body_decodes` may ask."""
        return gojson.decode(self.delivery.body, self.shape)

    @cached_property
    def document(self) -> Any:
        """The body without declared types, for what Kargo does not read: None where it is unusable."""
        try:
            return gojson.loads(self.delivery.body)
        except gojson.JSONError:
            return None


Check = Callable[[Examination], Verdict | None]


def examine(checks: tuple[Check, ...], examination: Examination) -> Verdict:
    """What the first check says that says anything; the last one of every receiver always does."""
    for check in checks:
        verdict = check(examination)
        if verdict is not None:
            return verdict
    message = f"no check of the {examination.receiver_type} receiver came to a conclusion"
    raise AssertionError(message)


@attrs.frozen
class Step:
    """One check on the way: its name, what it checks in words, and what it said (None: nothing to object to)."""

    check: str
    says: str
    verdict: Verdict | None


def trace(checks: tuple[Check, ...], examination: Examination) -> tuple[Step, ...]:
    """All checks up to the one that decides."""
    steps: list[Step] = []
    for check in checks:
        says = " ".join((check.__doc__ or "").split())
        steps.append(Step(getattr(check, "__name__", str(check)), says, check(examination)))
        if steps[-1].verdict is not None:
            break
    return tuple(steps)


def unsupported(examination: Examination, event: str) -> Verdict:
    """What an event without a meaning is answered; only `recommended` takes it kindly."""
    text = f"event type {event} is not supported"
    if examination.profile.acknowledge_unsupported:
        return Acknowledged(f"{text}, so nothing was refreshed")
    return Refusal(examination.profile.unsupported_event_status[examination.receiver_type], text)


def event_is_supported(examination: Examination) -> Verdict | None:
    """The event of the header is one that this version knows. `recommended` asks again after the signature."""
    if examination.profile.acknowledge_unsupported:
        return None
    return event_is_of_interest(examination)


def event_is_of_interest(examination: Examination) -> Verdict | None:
    """As `event_is_supported`, at the place where the sender is known to be genuine."""
    if examination.profile.accepts(examination.receiver_type, examination.event):
        return None
    return unsupported(examination, examination.event)


def has_header(name: str, complaint: str) -> Check:
    """A check that the header is there and not empty; else 401 with the complaint."""

    def header_is_there(examination: Examination) -> Verdict | None:
        return None if examination.delivery.header(name) else Refusal(401, complaint)

    header_is_there.__doc__ = f"The header {name} is there and not empty."
    return header_is_there


def has_hmac(name: str) -> Check:
    """A check that the header is `<algorithm>=<hex>` over the raw body, as go-github checks it for three receivers."""

    def hmac_matches(examination: Examination) -> Verdict | None:
        algorithms: tuple[str, ...] = signatures.PREFIXED_ALGORITHMS
        if examination.profile.advertised_algorithm_only:
            algorithms = ("sha256",)
        if secret_is_void(examination) or not signatures.prefixed_matches(
            examination.delivery.header(name), examination.delivery.body, examination.setup.secret, algorithms
        ):
            return Refusal(401, "unauthorized")
        return None

    hmac_matches.__doc__ = f"The header {name} is an HMAC of the body under the secret, with its algorithm in front."
    return hmac_matches


def secret_is_void(examination: Examination) -> bool:
    """True if the secret is empty and the profile lets no empty secret authenticate anybody."""
    return examination.profile.advertised_algorithm_only and not examination.setup.secret


def body_decodes(examination: Examination) -> Verdict | None:
    """The body is JSON, and every declared member has its type."""
    try:
        _ = examination.body
    except gojson.JSONError:
        return BAD_BODY
    return None


def push(
    examination: Examination,
    repo_urls: Iterable[str],
    qualifiers: Iterable[str | None] = (),
    changed_files: Iterable[str] = (),
) -> Push:
    """What was pushed, less what is empty or repeated, and less what this version does not look at yet."""
    profile = examination.profile
    return Push(
        repo_urls=tuple(dict.fromkeys(url for url in repo_urls if url)),
        qualifiers=tuple(dict.fromkeys(name for name in qualifiers if name)) if profile.qualifiers else (),
        changed_files=tuple(dict.fromkeys(changed_files)) if profile.path_filtering else (),
    )


def member(value: Any, *names: str) -> Any:
    """What a path of members holds in an undeclared document; None where the path ends early."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def is_zero(commit_id: Any) -> bool:
    """True for the all-zero object ID by which Git hosts spell "nothing here"."""
    return isinstance(commit_id, str) and len(commit_id) in (40, 64) and not commit_id.strip("0")
