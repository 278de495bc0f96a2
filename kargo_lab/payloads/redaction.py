"""What has to go before a recorded delivery may be shown: secrets, and whatever tells of persons.

Signatures go too: they prove the secret to whoever guesses it, and no longer fit once the body has changed.
Names of repositories and their owners stay, for without them a delivery explains nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from kargo_lab.payloads.format import File, Request, of_request

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authorization",
        "webhook-signature",
        "x-forgejo-signature",
        "x-gitea-signature",
        "x-gitlab-token",
        "x-gogs-signature",
        "x-hub-signature",
        "x-hub-signature-256",
        "x-jfrog-event-auth",
        "x-nexus-webhook-signature",
        "x-signature",
    }
)
# These belong to the way that the request took, not to the delivery.
_WAY_HEADERS = frozenset(
    {
        "cf-connecting-ip",
        "connection",
        "content-length",
        "forwarded",
        "host",
        "transfer-encoding",
        "via",
        "x-forwarded-for",
    }
    | {"x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
)
_SECRET_MEMBERS = frozenset({"secret", "token", "password", "access_token", "private_token", "callback_url"})
_MAIL_MEMBERS = frozenset({"email", "emailaddress", "user_email"})
_NAME_MEMBERS = frozenset({"displayname", "display_name", "user_name", "real_name", "full_name_of_user"})
_LOGIN_MEMBERS = ("login", "username", "user_username", "nickname", "uniqueName", "slug", "name")
_PERSONS = frozenset(
    {"actor", "assignee", "author", "committer", "created_by", "createdby", "merged_by", "operator"}
    | {"pushedby", "pusher", "requested_reviewer", "reviewer", "sender", "tagger", "user"}
)
_MAIL = re.compile(r"(?<![\w.+-])(?!git@)[\w.+-]+@[\w-]+(?:\.[\w-]+)+(?![:/\w])")
_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_HASH = re.compile(r"/[0-9a-f]{64}(?=/|$|\?)")

MAIL, NAME, LOGIN, ADDRESS, SECRET = "redacted@example.com", "Redacted", "redacted-user", "192.0.2.1", "redacted"
_BY_MEMBER: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(_SECRET_MEMBERS, SECRET) | dict.fromkeys(_MAIL_MEMBERS, MAIL) | dict.fromkeys(_NAME_MEMBERS, NAME)
)


def redact(request: Request, *, says: str = "") -> File:
    """The delivery as a file without secrets and personal data; the body is laid out for reading."""
    headers = tuple(
        (name, _plain(value)) for name, value in request.headers if name.lower() not in SECRET_HEADERS | _WAY_HEADERS
    )
    target = _HASH.sub("", request.target.partition("?")[0]) or "/"
    query = request.target.partition("?")[2]
    kept = Request(headers=headers, method=request.method, target=f"{target}?{_plain(query)}" if query else target)
    document, how = _document(request)
    if how:
        text = json.dumps(redacted(document), ensure_ascii=False, indent=2).encode(errors="surrogatepass")
        return File(
            origin="recorded",
            says=says,
            notes={"body": how},
            method=kept.method,
            target=kept.target,
            headers=kept.headers,
            text=text,
        )
    body = _plain(request.body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    return of_request(Request(headers=headers, body=body, method=kept.method, target=kept.target), says=says)


def redacted(document: Any) -> Any:
    """A JSON document in which persons and secrets are replaced, the same one everywhere by the same text."""
    owners = {text.partition("/")[0] for text in _texts_at(document, ("full_name", "path_with_namespace", "repo_name"))}
    logins = set(_logins(document)) - owners - {""}
    word = (
        re.compile("|".join(rf"(?<![\w-]){re.escape(login)}(?![\w-])" for login in sorted(logins))) if logins else None
    )

    def replaced(text: str) -> str:
        return _plain(word.sub(LOGIN, text) if word else text)

    return _walk(document, "", replaced)


def _document(request: Request) -> tuple[Any, str]:
    """The JSON of a body, and how it was written; an empty second value means that it is none."""
    text, prefix = request.body, ""
    if text.startswith(b"payload="):
        text, prefix = parse_qs(text.decode(errors="replace")).get("payload", [""])[0].encode(), "form"
    try:
        document = json.loads(text)
    except ValueError:
        return None, ""
    if not isinstance(document, dict | list):
        return None, ""
    written = b"\n" in text
    return document, {"": ("compact", "as-written"), "form": ("form", "form-as-written")}[prefix][written]


def _walk(value: Any, member: str, replaced: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        person = member.lower() in _PERSONS
        return {
            key: NAME
            if person and key in ("name", "full_name", "raw") and isinstance(inner, str)
            else _walk(inner, key, replaced)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_walk(inner, member, replaced) for inner in value]
    if isinstance(value, str) and value:
        return _BY_MEMBER.get(member.lower()) or replaced(value)
    return value


def _logins(value: Any, member: str = "") -> Iterator[str]:
    """The account names of the persons in a document."""
    if isinstance(value, dict):
        if member.lower() in _PERSONS:
            yield from (value[key] for key in _LOGIN_MEMBERS if isinstance(value.get(key), str))
        for key, inner in value.items():
            yield from _logins(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _logins(inner, member)
    elif isinstance(value, str) and member in ("user_username", "operator", "pusher"):
        yield value


def _texts_at(value: Any, members: tuple[str, ...], member: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts_at(inner, members, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_at(inner, members, member)
    elif isinstance(value, str) and member in members:
        yield value


def _plain(text: str) -> str:
    return _ADDRESS.sub(ADDRESS, _MAIL.sub(MAIL, text))
