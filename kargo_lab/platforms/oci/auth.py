"""Who may do what at a registry: nobody asked, Basic credentials, or Bearer tokens from the registry's own endpoint.

The three are told apart by what the client sees: no challenge, `Basic realm=...`, or the
`Bearer realm=...,service=...,scope=...` that sends it to fetch a token (distribution's token
specification; platforms.md 13.1). Tokens are signed, not stored, so any number may be out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import attrs

from kargo_lab.platforms.access import utc_now

PULL, PUSH, DELETE = "pull", "push", "delete"


@attrs.frozen
class Need:
    """What a request needs: a kind of thing (`repository`, `registry`), its name, and the actions on it."""

    kind: str
    name: str
    actions: tuple[str, ...]

    @property
    def scope(self) -> str:
        """As a challenge spells it."""
        return f"{self.kind}:{self.name}:{','.join(self.actions)}"


@attrs.frozen
class Allowed:
    """Go on; `actor` is the user's name, empty for anybody."""

    actor: str = ""


@attrs.frozen
class Challenge:
    """Stop with 401; `header` is the value of WWW-Authenticate."""

    header: str
    message: str = "authentication required"


@attrs.frozen
class TokenAnswer:
    """What the token endpoint answers: an HTTP status and a JSON body."""

    status: int
    body: Mapping[str, Any]


class Authority(Protocol):
    """Decides about one request. `host` is the registry as the client spelled it."""

    def decide(self, authorization: str, need: Need | None, host: str) -> Allowed | Challenge:
        """`need` is None for the version check `GET /v2/`."""
        ...


class OpenAuthority:
    """Everybody may do everything, as with registry:2 out of the box."""

    def decide(self, authorization: str, need: Need | None, host: str) -> Allowed | Challenge:  # noqa: ARG002 -- the protocol's
        """Always yes; a name in Basic credentials is still noted."""
        return Allowed((basic_credentials(authorization) or ("", ""))[0])


class BasicAuthority:
    """Credentials with each call. With `anonymous_pull`, pulling needs none."""

    def __init__(self, users: Mapping[str, str], *, anonymous_pull: bool = False, realm: str = "registry") -> None:
        self._users, self._anonymous_pull, self._realm = dict(users), anonymous_pull, realm

    def decide(self, authorization: str, need: Need | None, host: str) -> Allowed | Challenge:  # noqa: ARG002 -- the protocol's
        """Wrong credentials are refused even where none were needed."""
        if not authorization and self._anonymous_pull and (need is None or need.actions == (PULL,)):
            return Allowed()
        user = known_user(authorization, self._users)
        return Allowed(user) if user else Challenge(f'Basic realm="{self._realm}"')


class BearerAuthority:
    """Tokens from `token_path` of the registry itself.

    Even a public pull needs one: the client is challenged, and then gets an anonymous token (Docker
    Hub, GHCR, Harbor). `seconds` is how long a token is good; `tell_seconds` False leaves
    `expires_in` out, which clients must read as 60.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        anonymous_pull: bool = True,
        service: str = "kargo-lab",
        token_path: str = "/token",  # noqa: S107 -- a path, no password
        seconds: int = 300,
        tell_seconds: bool = True,
        token_key: str = "token",  # noqa: S107 -- the name of a JSON member
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._users, self._anonymous_pull = users, anonymous_pull  # not a copy: users may come and go
        self.service, self.token_path = service, token_path
        self._seconds, self._tell_seconds, self._token_key, self._now = seconds, tell_seconds, token_key, now
        self._key = secrets.token_bytes(32)

    def decide(self, authorization: str, need: Need | None, host: str) -> Allowed | Challenge:
        """A valid token whose access covers the need, else a challenge that names it."""
        scheme, _, token = authorization.partition(" ")
        header = f'Bearer realm="http://{host}{self.token_path}",service="{self.service}"'
        if need is not None:
            header += f',scope="{need.scope}"'
        if scheme.lower() != "bearer":
            return Challenge(header)
        claims = self._claims(token.strip())
        if claims is None:
            return Challenge(f'{header},error="invalid_token"', "the token is not valid, or no longer")
        if need is None or _covers(claims["access"], need):
            return Allowed(claims["sub"])
        return Challenge(f'{header},error="insufficient_scope"', "the token does not cover this")

    def answer(self, authorization: str, scopes: Iterable[str], *, service: str = "") -> TokenAnswer:
        """`GET token_path?service=...&scope=...`, with Basic credentials or anonymously."""
        user = known_user(authorization, self._users) if authorization else ""
        if user is None:
            return TokenAnswer(401, {"details": "incorrect username or password"})
        return self._token(user, scopes, service or self.service)

    def answer_form(self, form: Mapping[str, str], *, scopes: Sequence[str] = ()) -> TokenAnswer:
        """`POST token_path`, OAuth 2: by password, or by the refresh token of an earlier answer."""
        if form.get("grant_type") == "password":
            user = form.get("username", "")
            right = self._users.get(user)
            if right is None or not _same(right, form.get("password", "")):
                return TokenAnswer(401, {"details": "incorrect username or password"})
        elif form.get("grant_type") == "refresh_token":
            claims = self._claims(form.get("refresh_token", ""))
            if claims is None:
                return TokenAnswer(401, {"details": "the refresh token is not valid"})
            user = claims["sub"]
        else:
            return TokenAnswer(400, {"details": "grant_type must be password or refresh_token"})
        answer = self._token(user, scopes or form.get("scope", "").split(), form.get("service", self.service))
        token = next(iter(answer.body.values()))
        return TokenAnswer(200, {**answer.body, "access_token": token, "refresh_token": token})

    def _token(self, user: str, scopes: Iterable[str], service: str) -> TokenAnswer:
        now = self._now()
        asked = (word for scope in scopes for word in scope.split())
        claims = {
            "iss": "kargo-lab", "sub": user, "aud": service, "jti": secrets.token_hex(8),
            "iat": int(now.timestamp()), "exp": (now + timedelta(seconds=self._seconds)).timestamp(),
            "access": [access for scope in asked if (access := self._access(user, scope))],
        }  # fmt: skip
        body: dict[str, Any] = {self._token_key: self._sign(claims), "issued_at": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if self._tell_seconds:
            body["expires_in"] = self._seconds
        return TokenAnswer(200, body)

    def _access(self, user: str, scope: str) -> dict[str, Any] | None:
        """What of a scope is granted; a name may contain colons (a registry's port), so it is cut at both ends."""
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        granted = [action for action in actions.split(",") if user or (action == PULL and self._anonymous_pull)]
        return {"type": kind, "name": name, "actions": granted} if granted and kind else None

    def _sign(self, claims: Mapping[str, Any]) -> str:
        head = _encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = _encoded(json.dumps(claims).encode())
        return f"{head}.{body}.{self._signature(head, body)}"

    def _signature(self, head: str, body: str) -> str:
        return _encoded(hmac.digest(self._key, f"{head}.{body}".encode(), hashlib.sha256))

    def _claims(self, token: str) -> Any:
        parts = token.split(".")
        if len(parts) != 3 or not _same(self._signature(parts[0], parts[1]), parts[2]):
            return None
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
        return claims if claims["exp"] > self._now().timestamp() else None


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """User and password of an Authorization header; None for any other header, and for a broken one."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return user, password


def known_user(authorization: str, users: Mapping[str, str]) -> str | None:
    """The user whose password this is."""
    user, password = basic_credentials(authorization) or ("", "")
    right = users.get(user)
    return user if right is not None and _same(right, password) else None


def _covers(access: Sequence[Mapping[str, Any]], need: Need) -> bool:
    granted = {
        action for entry in access if (entry["type"], entry["name"]) == (need.kind, need.name)
        for action in entry["actions"]
    }  # fmt: skip
    return "*" in granted or granted.issuperset(need.actions)


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(errors="replace"), right.encode(errors="replace"))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
