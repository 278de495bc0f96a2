"""How a registry wants to be talked to: scheme, challenge, token.

Both client libraries that Kargo links read the same challenges and ask the same token services, but
not at the same moments; what they share is here, as functions over values. Facts after
go-containerregistry 0.21 (transport/ping.go, bearer.go, basic.go) and oras-go 2.6 (auth/).
"""

from __future__ import annotations

import base64
import ipaddress
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs

from kargo_lab.errors import UpstreamError
from kargo_lab.rules import json as gojson
from kargo_lab.sources.outgoing import Reply

UNAUTHORIZED = 401
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - RFC 9110's token, not a secret
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?:,|$)')
_TOKEN_ANSWER = gojson.Struct({"token": gojson.TEXT, "access_token": gojson.TEXT})
_EXPIRY_ANSWER = gojson.Struct({"expires_in": gojson.INT64})
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:\s+|,|$)")


@attrs.frozen(kw_only=True)
class Login:
    """A user name and a password; both or neither are used."""

    username: str = attrs.field(default="", repr=False)
    password: str = attrs.field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.username and self.password)

    @property
    def basic(self) -> str:
        """The value of an Authorization header, empty without credentials."""
        if not self:
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


ANONYMOUS = Login()


@attrs.frozen(kw_only=True)
class Challenge:
    """One challenge of a WWW-Authenticate header; scheme and parameter names in lower case."""

    scheme: str
    parameters: dict[str, str] = attrs.field(factory=dict)


def challenges(header: str) -> tuple[Challenge, ...]:
    """All challenges of a header, or of several joined by commas."""
    found: list[Challenge] = []
    rest = header
    while rest.strip(" ,\t"):
        rest = rest.lstrip(" ,\t")
        begun = _SCHEME.match(rest)
        if begun is None:
            break
        rest = rest[begun.end() :]
        parameters: dict[str, str] = {}
        while (pair := _PARAMETER.match(rest)) is not None:
            name, quoted, plain = pair.groups()
            parameters[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            rest = rest[pair.end() :]
        found.append(Challenge(scheme=begun[1].lower(), parameters=parameters))
    return tuple(found)


def pick(reply: Reply) -> Challenge | None:
    """The first challenge that can be met (Basic or Bearer), else the last of all; None without any."""
    found = challenges(reply.header("www-authenticate")) if reply.status == UNAUTHORIZED else ()
    return next((each for each in found if each.scheme in ("basic", "bearer")), found[-1] if found else None)


def plain_http_allowed(registry: str) -> bool:
    """True for hosts that go-containerregistry also tries without TLS: loopback, *.localhost, RFC 1918."""
    host = registry.rsplit(":", 1)[0] if re.search(r":\d{1,5}$", registry) else registry
    if host in ("localhost", "127.0.0.1", "[::1]", "::1") or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return any(address in ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def realm_url(challenge: Challenge, *, service: str, scopes: tuple[str, ...]) -> str:
    """Where to ask for a token: the realm with its own query kept, service and scopes added, names sorted."""
    realm = challenge.parameters.get("realm")
    if realm is None:
        raise UpstreamError("malformed WWW-Authenticate header: a Bearer challenge without realm")
    try:
        parts = urlsplit(realm)
        known = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError as error:
        raise UpstreamError(f"the realm {realm[:200]!r} is no URL: {error}") from None
    query = [(name, value) for name, value in known if name not in ("service", "scope")]
    query += [("scope", scope) for scope in scopes] + [("service", service)]
    return urlunsplit(parts._replace(query=urlencode(sorted(query, key=lambda pair: pair[0]))))


def token(reply: Reply) -> str:
    """The token in a token service's answer; `access_token` is preferred, as go-containerregistry does."""
    if reply.status != 200:
        raise UpstreamError(f"token service answered {reply.status}", status=reply.status)
    try:
        answer = gojson.decode(reply.body, _TOKEN_ANSWER)
    except gojson.JSONError as error:
        raise UpstreamError(f"token service: {error.message}") from None
    found: str = answer["access_token"] or answer["token"]
    if found:
        return found
    raise UpstreamError("token service: no token in its answer")


def lifetime(reply: Reply) -> float | None:
    """For how many seconds a token service says that its token is good; None if it does not say."""
    try:
        seconds: int = gojson.decode(reply.body, _EXPIRY_ANSWER)["expires_in"]
    except gojson.JSONError:
        return None
    return float(seconds) if seconds > 0 else None
