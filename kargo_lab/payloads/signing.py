"""How each platform proves who it is, seen from the sender: signatures are computed when a delivery leaves.

Source: platforms.md 0.1 and the section of each platform.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from kargo_lab.errors import UsageError
from kargo_lab.payloads.format import Request

Value = Callable[[Request, bytes], str]


def _hex(algorithm: str, prefix: str = "") -> Value:
    def value(request: Request, secret: bytes) -> str:
        covered = request.body if request.signed is None else request.signed
        return prefix + hmac.new(secret, covered, algorithm).hexdigest()

    return value


def _whole_body(algorithm: str, prefix: str) -> Value:
    """GitHub signs what it sends, also where that is a form."""

    def value(request: Request, secret: bytes) -> str:
        return prefix + hmac.new(secret, request.body, algorithm).hexdigest()

    return value


def _verbatim(_: Request, secret: bytes) -> str:
    return secret.decode(errors="surrogateescape")


def _standard_webhook(request: Request, secret: bytes) -> str:
    """`v1,` and a base64 HMAC over id, time and body; the key is base64 behind `whsec_`, or else the text itself."""
    key = secret
    if secret.startswith(b"whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix(b"whsec_"), validate=True)
        except binascii.Error as problem:
            raise UsageError(f"a secret that begins with whsec_ goes on in base64: {problem}") from None
    head = f"{request.header('webhook-id')}.{request.header('webhook-timestamp')}.".encode()
    return "v1," + base64.b64encode(hmac.new(key, head + request.body, hashlib.sha256).digest()).decode()


@attrs.frozen
class Scheme:
    """The headers that prove the sender. `unsigned` is what they hold without a secret; None leaves them out."""

    headers: Mapping[str, Value] = MappingProxyType({})
    unsigned: Mapping[str, str] | None = None


_GITEA: Mapping[str, Value] = MappingProxyType(
    {
        "X-Gitea-Signature": _hex("sha256"),
        "X-Gogs-Signature": _hex("sha256"),
        "X-Hub-Signature": _hex("sha1", "sha1="),
        "X-Hub-Signature-256": _hex("sha256", "sha256="),
    }
)
_GITEA_UNSIGNED: Mapping[str, str] = MappingProxyType(
    {"X-Gitea-Signature": "", "X-Gogs-Signature": "", "X-Hub-Signature": "sha1=", "X-Hub-Signature-256": "sha256="}
)

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        "artifactory": Scheme({"X-JFrog-Event-Auth": _hex("sha256")}),
        "artifactory-plain": Scheme({"X-JFrog-Event-Auth": _verbatim}),
        "bitbucket": Scheme({"X-Hub-Signature": _hex("sha256", "sha256=")}),
        "forgejo": Scheme(
            {**_GITEA, "X-Forgejo-Signature": _hex("sha256")}, {**_GITEA_UNSIGNED, "X-Forgejo-Signature": ""}
        ),
        "gitea": Scheme(_GITEA, _GITEA_UNSIGNED),
        "github": Scheme(
            {
                "X-Hub-Signature": _whole_body("sha1", "sha1="),
                "X-Hub-Signature-256": _whole_body("sha256", "sha256="),
            }
        ),
        "gitlab": Scheme({"X-Gitlab-Token": _verbatim}),
        "gitlab-signing-token": Scheme({"webhook-signature": _standard_webhook}),
        "gitlab-both": Scheme({"X-Gitlab-Token": _verbatim, "webhook-signature": _standard_webhook}),
        "gogs": Scheme({"X-Gogs-Signature": _hex("sha256")}, {"X-Gogs-Signature": ""}),
        "harbor": Scheme({"Authorization": _verbatim}),
        "none": Scheme(),
        "standard-webhooks": Scheme({"webhook-signature": _standard_webhook}),
        "x-signature": Scheme({"X-Signature": _hex("sha256", "sha256=")}),
    }
)


def sign(request: Request, platform: str, secret: str | bytes, *, scheme: str = "") -> Request:
    """The request with the headers by which `platform` proves that it knows the secret.

    An empty secret is none: most platforms leave the headers out then, Gitea and its kin send them empty.
    A platform that proves nothing gives the request back. `scheme` names another way of `SCHEMES`.
    """
    chosen = scheme or (platform if platform in SCHEMES else "none")
    if chosen not in SCHEMES:
        raise UsageError(f"no way to sign is called {chosen!r}; there are {', '.join(SCHEMES)}")
    how = SCHEMES[chosen]
    key = secret.encode(errors="surrogateescape") if isinstance(secret, str) else secret
    if not key:
        return request.with_headers(how.unsigned or {})
    return request.with_headers({name: value(request, key) for name, value in how.headers.items()})
