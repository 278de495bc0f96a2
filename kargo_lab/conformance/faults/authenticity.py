"""Faults that let strangers in, or turn the genuine sender away."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

import attrs

from kargo_lab.conformance.faults.changes import always, delivery, header, push, refusals, unsigned
from kargo_lab.conformance.faults.fault import Change, Fault
from kargo_lab.wire import Delivery, Push, Refusal

_PREFIXED = "kargo_lab.rules.signatures:prefixed_matches"
_BARE = "kargo_lab.rules.signatures:bare_sha256_matches"
_TOKEN = "kargo_lab.rules.signatures:token_matches"  # noqa: S105 - the name of a function
_GUIDE = "GitHub documentation, validating webhook deliveries"
_SIGNED = ("github", "gitea", "bitbucket")


def _prefixed(change: Any) -> Mapping[str, Change]:
    """`change(claimed, true, body, secret)` decides, where `true` is the right SHA-256 value."""

    def wrap(right: Any) -> Any:
        def wrong(claimed: str, body: bytes, secret: bytes, algorithms: Any = ("sha1", "sha256", "sha512")) -> bool:
            true = "sha256=" + hmac.new(secret, body, "sha256").hexdigest()
            return bool(right(claimed, body, secret, algorithms) or change(claimed, true, body, secret))

        return wrong

    return {_PREFIXED: wrap}


def _only(change: Any) -> Mapping[str, Change]:
    """As before, but `change(claimed, true, body, secret)` alone decides."""

    def wrap(_right: Any) -> Any:
        def wrong(claimed: str, body: bytes, secret: bytes, _algorithms: Any = ()) -> bool:
            return bool(change(claimed, "sha256=" + hmac.new(secret, body, "sha256").hexdigest(), body, secret))

        return wrong

    return {_PREFIXED: wrap}


def _compact(body: bytes) -> bytes:
    try:
        return json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
    except ValueError:
        return body


def _reserialised(claimed: str, _true: str, body: bytes, secret: bytes) -> bool:
    return hmac.compare_digest(claimed.lower(), "sha256=" + hmac.new(secret, _compact(body), "sha256").hexdigest())


def _optional(name: str) -> Change:
    """A header that nobody sent is not missed."""

    def wrap(receive: Any) -> Any:
        def wrong(seen: Delivery, setup: Any, profile: Any) -> Any:
            if seen.header(name):
                return receive(seen, setup, profile)
            return unsigned(receive)(seen, setup, profile)

        return wrong

    return wrap


def _parsed_first(receive: Any) -> Any:
    def wrong(seen: Delivery, setup: Any, profile: Any) -> Any:
        try:
            json.loads(seen.body)
        except ValueError:
            return Refusal(400, "invalid request body")
        return receive(seen, setup, profile)

    return wrong


def _legacy(seen: Delivery) -> Delivery:
    legacy = seen.header("x-hub-signature")
    if seen.header("x-hub-signature-256") or not legacy:
        return seen
    return attrs.evolve(seen, headers=(*seen.headers, ("x-hub-signature-256", legacy)))


def _gitea_header(seen: Delivery) -> Delivery:
    bare = seen.header("x-gitea-signature")
    if seen.header("x-hub-signature-256") or not bare:
        return seen
    return attrs.evolve(
        seen, headers=(*seen.headers, ("x-hub-signature-256", "sha256=" + bare.removeprefix("sha256=")))
    )


def _token(change: Any) -> Mapping[str, Change]:
    def wrap(right: Any) -> Any:
        return lambda claimed, secret: bool(right(claimed, secret) or change(claimed, secret.decode("latin-1")))

    return {_TOKEN: wrap}


def _bare(change: Any) -> Mapping[str, Change]:
    def wrap(right: Any) -> Any:
        return lambda claimed, body, secret: bool(
            right(claimed, body, secret) or change(claimed, hmac.new(secret, body, "sha256").hexdigest(), secret)
        )

    return {_BARE: wrap}


def _fault(name: str, says: str, touches: tuple[str, ...], source: str = _GUIDE, **change: Any) -> Fault:
    return Fault(name=name, says=says, source=source, touches=touches, **change)


FAULTS = (
    _fault(
        "accepts-any-signature",
        "The signature is never looked at",
        (*_SIGNED, "artifactory", "gitlab", "harbor", "security", "secrets"),
        replaced={_PREFIXED: always(True), _BARE: always(True), _TOKEN: always(True)},
    ),
    _fault(
        "refuses-every-signature",
        "No signature is ever right",
        (*_SIGNED, "artifactory", "gitlab", "harbor", "security", "secrets"),
        replaced={_PREFIXED: always(False), _BARE: always(False), _TOKEN: always(False)},
    ),
    _fault(
        "checks-only-the-algorithm",
        "Whatever begins with sha256= is believed",
        _SIGNED,
        replaced=_only(lambda claimed, *_: claimed.startswith(("sha1=", "sha256=", "sha512="))),
    ),
    _fault(
        "checks-only-the-length",
        "Whatever is as long as a signature is believed",
        _SIGNED,
        replaced=_only(lambda claimed, true, *_: claimed.startswith("sha256=") and len(claimed) == len(true)),
    ),
    _fault(
        "compares-only-the-beginning",
        "A signature that is cut short is believed",
        _SIGNED,
        replaced=_prefixed(lambda claimed, true, *_: len(claimed) > 16 and true.startswith(claimed)),
    ),
    _fault(
        "signs-the-reserialised-body",
        "The signature is checked over the document as the JSON library writes it, not over the bytes that came",
        _SIGNED,
        replaced=_only(_reserialised),
        source="bugs of this kind in many receivers; " + _GUIDE,
    ),
    _fault(
        "signs-an-empty-body",
        "The body was consumed before the signature is checked",
        _SIGNED,
        replaced=_only(
            lambda claimed, _true, _body, secret: claimed == "sha256=" + hmac.new(secret, b"", "sha256").hexdigest()
        ),
    ),
    _fault(
        "insists-on-lower-case-hex",
        "A signature in upper-case hex is refused",
        _SIGNED,
        replaced=_only(lambda claimed, true, *_: claimed == true),
        source="go-github messages.go:143-176",
    ),
    _fault(
        "ignores-the-case-of-the-algorithm",
        "SHA256= is taken for sha256=",
        _SIGNED,
        replaced=_prefixed(lambda claimed, true, *_: claimed.lower() == true),
        source="receivers.md 4",
    ),
    _fault(
        "accepts-hex-without-algorithm",
        "The bare digest is believed",
        _SIGNED,
        replaced=_prefixed(lambda claimed, true, *_: f"sha256={claimed}" == true),
        source="receivers.md 4",
    ),
    _fault(
        "accepts-base64",
        "A digest in base64 is believed",
        _SIGNED,
        replaced=_prefixed(lambda claimed, true, *_: claimed[7:] == base64.b64encode(bytes.fromhex(true[7:])).decode()),
        source="receivers.md 4",
    ),
    _fault(
        "accepts-the-secret-itself",
        "The secret in the signature's header is believed",
        (*_SIGNED, "artifactory"),
        replaced={
            **_prefixed(lambda claimed, _true, _body, secret: claimed.encode() == secret),
            **_bare(lambda claimed, _true, secret: claimed.encode() == secret),
        },
        source="receivers.md 4.9 row 2",
    ),
    _fault(
        "only-sha256",
        "SHA-1 and SHA-512 are refused, which Kargo takes",
        _SIGNED,
        replaced=_only(lambda claimed, true, *_: claimed.lower() == true),
        source="receivers.md 8.3 S3",
    ),
    *(
        _fault(
            f"{kind}-signature-is-optional",
            "A delivery without a signature is believed",
            (kind,),
            receivers={kind: _optional(name)},
            source="receivers.md 4",
        )
        for kind, name in (
            ("github", "x-hub-signature-256"),
            ("gitea", "x-hub-signature-256"),
            ("bitbucket", "x-hub-signature"),
            ("artifactory", "x-jfrog-event-auth"),
            ("gitlab", "x-gitlab-token"),
            ("harbor", "authorization"),
        )
    ),
    _fault(
        "github-takes-the-legacy-header",
        "X-Hub-Signature is looked at where the newer header is absent",
        ("github",),
        receivers={"github": delivery(_legacy)},
        source="receivers.md 9 GH-11",
    ),
    _fault(
        "gitea-takes-its-bare-header",
        "X-Gitea-Signature is looked at as well",
        ("gitea",),
        receivers={"gitea": delivery(_gitea_header)},
        source="receivers.md 9 GT-02",
    ),
    _fault(
        "gitlab-token-may-be-cut-short",
        "The beginning of the token suffices",
        ("gitlab", "harbor"),
        replaced=_token(lambda claimed, secret: len(claimed) > 3 and secret.startswith(claimed)),
        source="receivers.md 4.2",
    ),
    _fault(
        "token-in-any-letter-case",
        "Tokens are compared without regard to case",
        ("gitlab", "harbor"),
        replaced=_token(lambda claimed, secret: claimed.lower() == secret.lower()),
        source="receivers.md 4.2, 4.6",
    ),
    _fault(
        "token-may-contain-the-secret",
        "It suffices that the header contains the secret",
        ("gitlab", "harbor"),
        replaced=_token(lambda claimed, secret: bool(secret) and secret in claimed),
        source="receivers.md 4.6 row 2",
    ),
    _fault(
        "harbor-strips-the-scheme",
        "Only the last word of the Authorization header is compared",
        ("harbor",),
        receivers={"harbor": header("authorization", lambda value: value.rpartition(" ")[2])},
        source="receivers.md 9 HB-02",
    ),
    _fault(
        "artifactory-accepts-a-prefix",
        "sha256= in front of the digest is accepted",
        ("artifactory",),
        replaced=_bare(lambda claimed, true, _secret: claimed == f"sha256={true}"),
        source="receivers.md 9 AF-03",
    ),
    _fault(
        "artifactory-accepts-upper-case",
        "The digest in upper-case hex is accepted",
        ("artifactory",),
        replaced=_bare(lambda claimed, true, _secret: claimed.lower() == true),
        source="receivers.md 9 AF-03",
    ),
    *(
        _fault(
            f"{kind}-parses-before-it-trusts",
            "A body that is no JSON is called so before the signature is looked at",
            (kind,),
            receivers={kind: _parsed_first},
            source="receivers.md 4, order of checks",
        )
        for kind in ("github", "gitlab", "gitea", "bitbucket", "harbor", "artifactory")
    ),
    _fault(
        "forbidden-instead-of-unauthorised",
        "A wrong signature answers 403",
        (*_SIGNED, "artifactory", "gitlab", "harbor", "security", "secrets"),
        receivers={"*": refusals({401: 403})},
        source="receivers.md 4",
    ),
    _fault(
        "missing-secret-text",
        "The refusal does not say what is missing",
        (*_SIGNED, "artifactory", "harbor"),
        receivers={
            "*": lambda receive: (
                lambda *given: (
                    attrs.evolve(found, reason="unauthorized")
                    if isinstance(found := receive(*given), Refusal) and found.status == 401
                    else found
                )
            )
        },
        source="receivers.md 4",
    ),
    _fault(
        "acknowledges-without-acting",
        "A genuine push is answered well and forgotten",
        (),
        receivers={"*": push(lambda _seen: Push(repo_urls=()))},
        source="the plainest of all faults",
    ),
)
