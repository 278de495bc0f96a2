"""The spellings that the platforms share: times, JSON, signatures."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

Body = dict[str, Any]

# Go's encoder escapes these in strings; nowhere else in JSON can they stand.
_GO_ESCAPES = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
ZERO_TIME = "0001-01-01T00:00:00Z"


def rfc3339(moment: datetime) -> str:
    """With the offset it was given in, `Z` for none; whole seconds."""
    text = moment.replace(microsecond=0).isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def utc(moment: datetime) -> str:
    """In UTC, with `Z`."""
    return rfc3339(moment.astimezone(UTC))


def compact(value: Mapping[str, Any]) -> bytes:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def go_json(value: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """JSON as Go's encoder writes it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=(",", ": ") if indent else (",", ":"))
    for character, escape in _GO_ESCAPES:
        text = text.replace(character, escape)
    return text.encode(errors="replace")


def form(text: bytes) -> bytes:
    """The JSON as the one field `payload` of a form."""
    return f"payload={quote_plus(text)}".encode()


def signature(algorithm: str, secret: str, message: bytes) -> str:
    """HMAC as lower hex."""
    return hmac.new(secret.encode(), message, algorithm).hexdigest()


def stable_uuid(*words: object) -> str:
    """A UUID that depends on the words only."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(str(word) for word in words)))


def node_id(kind: str, number: int) -> str:
    """An opaque ID as GitHub hands them out."""
    return f"{kind}_kgDO{number:08x}"


def gravatar(email: str) -> str:
    """The hash of an address in the URLs of portraits."""
    return hashlib.md5(email.strip().lower().encode(), usedforsecurity=False).hexdigest()
