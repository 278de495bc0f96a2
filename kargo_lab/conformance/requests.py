"""From a case's `send` to the exact bytes on the wire, signed as the platform signs, or wrongly on purpose.

The suite signs by itself and not with the lab's receivers' code: a mistake in one would otherwise hide in
the other.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Scheme:
    """How one platform names its events and proves who it is."""

    event_header: str = ""
    signature_header: str = ""
    style: str = "none"  # hmac-prefixed, hmac-bare, token, none
    user_agent: str = ""


SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        "artifactory": Scheme(signature_header="X-JFrog-Event-Auth", style="hmac-bare"),
        "azure": Scheme(user_agent="AzureContainerRegistry/1.0"),
        "bitbucket": Scheme(event_header="X-Event-Key", signature_header="X-Hub-Signature", style="hmac-prefixed"),
        "dockerhub": Scheme(),
        "generic": Scheme(),
        "gitea": Scheme(event_header="X-Gitea-Event", signature_header="X-Hub-Signature-256", style="hmac-prefixed"),
        "github": Scheme(event_header="X-GitHub-Event", signature_header="X-Hub-Signature-256", style="hmac-prefixed"),
        "gitlab": Scheme(event_header="X-Gitlab-Event", signature_header="X-Gitlab-Token", style="token"),
        "harbor": Scheme(signature_header="Authorization", style="token"),
        "quay": Scheme(),
    }
)
# The legacy or alias headers that a receiver must not take instead.
OTHER_HEADERS = MappingProxyType(
    {
        "github": "X-Hub-Signature",
        "gitea": "X-Gitea-Signature",
        "bitbucket": "X-Hub-Signature-256",
        "artifactory": "X-Hub-Signature",
        "gitlab": "Authorization",
        "harbor": "X-Harbor-Token",
    }
)


@attrs.frozen(kw_only=True)
class Request:
    """One HTTP request, ready to be sent. `target` is the request line's, escapes and query included."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    chunked: bool = False


def build(send: Mapping[str, Any], *, receiver: str, path: str, secret: bytes) -> Request:
    """The request that a `send` describes; names in angle brackets are already filled in."""
    scheme = SCHEMES.get(receiver, Scheme())
    headers: dict[str, str] = {"Content-Type": "application/json"}
    body, corpus_headers = _body(send)
    headers |= corpus_headers
    if scheme.user_agent and "User-Agent" not in headers:
        headers["User-Agent"] = scheme.user_agent
    if "event" in send:
        headers[scheme.event_header or "X-Event-Type"] = str(send["event"])
    if pad := send.get("pad-to"):
        body = body.ljust(int(pad))
    if send.get("gzip"):
        body = gzip.compress(body, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers |= signature(send.get("sign", "right"), receiver, body, secret)
    for name, value in send.get("headers", {}).items():
        headers = {key: old for key, old in headers.items() if key.lower() != name.lower()}
        if value is not None:
            headers[name] = value
    target = str(send.get("path", path))
    if query := send.get("query"):
        target += f"?{query}"
    return Request(
        method=send.get("method", "POST"),
        target=target,
        headers=tuple(headers.items()),
        body=body,
        chunked=bool(send.get("chunked")),
    )


def _body(send: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    if "text" in send:
        return str(send["text"]).encode("utf-8", "surrogatepass"), {}
    if "base64" in send:
        return base64.b64decode(send["base64"]), {}
    if "payload" in send:
        from kargo_lab import payloads

        platform, event, variant = str(send["payload"]).split("/")
        delivery = payloads.render(platform, event, variant, **send.get("set", {}))
        return delivery.body, dict(delivery.headers)
    if "body" not in send:
        return b"", {}
    value = send["body"]
    if repeat := send.get("repeat"):
        value = {**value, repeat["member"]: [repeat["item"]] * int(repeat["count"])}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"), {}


def _hex(algorithm: str, secret: bytes, body: bytes) -> str:
    return hmac.new(secret, body, algorithm).hexdigest()


def _reserialised(body: bytes) -> bytes:
    try:
        return json.dumps(json.loads(body), indent=1).encode()
    except ValueError:
        return body + b" "


# What a value in the signature header looks like, by the case's word. Each takes secret and body.
_Maker = Callable[[bytes, bytes], str]
_PREFIXED: Mapping[str, _Maker] = MappingProxyType(
    {
        "right": lambda key, body: "sha256=" + _hex("sha256", key, body),
        "wrong-key": lambda key, body: "sha256=" + _hex("sha256", key + b"x", body),
        "wrong-body": lambda key, body: "sha256=" + _hex("sha256", key, body + b" "),
        "reserialised": lambda key, body: "sha256=" + _hex("sha256", key, _reserialised(body)),
        "sha1": lambda key, body: "sha1=" + _hex("sha1", key, body),
        "sha512": lambda key, body: "sha512=" + _hex("sha512", key, body),
        "upper-hex": lambda key, body: "sha256=" + _hex("sha256", key, body).upper(),
        "no-prefix": lambda key, body: _hex("sha256", key, body),
        "upper-prefix": lambda key, body: "SHA256=" + _hex("sha256", key, body),
        "empty": lambda _key, _body: "",
        "prefix-only": lambda _key, _body: "sha256=",
        "truncated": lambda key, body: "sha256=" + _hex("sha256", key, body)[:-2],
        "base64": lambda key, body: "sha256=" + base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode(),
        "plain-secret": lambda key, _body: key.decode("latin-1"),
    }
)


def _without_prefix(make: _Maker) -> _Maker:
    return lambda key, body: make(key, body).partition("=")[2]


_SAME_BUT_BARE = (
    "right",
    "wrong-key",
    "wrong-body",
    "reserialised",
    "sha1",
    "sha512",
    "upper-hex",
    "truncated",
    "base64",
)
_BARE: Mapping[str, _Maker] = MappingProxyType(
    {
        **{word: _without_prefix(_PREFIXED[word]) for word in _SAME_BUT_BARE},
        "no-prefix": _PREFIXED["right"],  # the opposite mistake: a prefix where none belongs
        "empty": _PREFIXED["empty"],
        "plain-secret": _PREFIXED["plain-secret"],
    }
)
_TOKEN: Mapping[str, _Maker] = MappingProxyType(
    {
        "right": lambda key, _body: key.decode("latin-1"),
        "wrong-key": lambda key, _body: key.decode("latin-1") + "x",
        "empty": lambda _key, _body: "",
        "truncated": lambda key, _body: key.decode("latin-1")[:-1],
        "upper-prefix": lambda key, _body: "Bearer " + key.decode("latin-1"),
        "upper-hex": lambda key, _body: key.decode("latin-1").upper(),
    }
)
_STYLES: Mapping[str, Mapping[str, _Maker]] = MappingProxyType(
    {"hmac-prefixed": _PREFIXED, "hmac-bare": _BARE, "token": _TOKEN, "none": {}}
)


def signature(word: str, receiver: str, body: bytes, secret: bytes) -> dict[str, str]:
    """The header that proves, or fails to prove, who sent the body. A receiver without secrets in headers gets none."""
    scheme = SCHEMES.get(receiver, Scheme())
    if word == "none" or scheme.style == "none":
        return {}
    makers = _STYLES[scheme.style]
    if word == "other-header":
        return {OTHER_HEADERS[receiver]: makers["right"](secret, body)}
    return {scheme.signature_header: makers[word](secret, body)}


def words(receiver: str) -> frozenset[str]:
    """The words under `sign` that mean something for this receiver."""
    style = SCHEMES.get(receiver, Scheme()).style
    return frozenset({"none"}) | (frozenset(_STYLES[style]) | {"other-header"} if style != "none" else {"right"})


def as_curl(request: Request, base_url: str, *, redact: Callable[[str], str] = lambda text: text) -> str:
    """The request as a command line that sends the very same bytes; secrets go through `redact`."""
    parts = ["curl", "-sS", "-i", "--path-as-is", "-X", request.method]
    for name, value in request.headers:
        parts += ["-H", _quoted(redact(f"{name}: {value}"))]
    if request.chunked:
        parts += ["-H", "'Transfer-Encoding: chunked'"]
    if len(request.body) > 4096:
        parts += ["--data-binary", f"@body-of-{len(request.body)}-bytes"]
    elif request.body:
        parts += ["--data-binary", _quoted(redact(request.body.decode("utf-8", "replace")))]
    return " ".join([*parts, _quoted(redact(base_url.rstrip("/") + request.target))])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
