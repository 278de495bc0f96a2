"""How a registry says no: the error codes of the distribution specification, each with its usual status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Response

# code -> (HTTP status, message). The first fourteen are the specification's, the rest distribution's.
CODES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "BLOB_UNKNOWN": (404, "blob unknown to registry"),
        "BLOB_UPLOAD_INVALID": (400, "blob upload invalid"),
        "BLOB_UPLOAD_UNKNOWN": (404, "blob upload unknown to registry"),
        "DIGEST_INVALID": (400, "provided digest did not match uploaded content"),
        "MANIFEST_BLOB_UNKNOWN": (400, "manifest references a manifest or blob unknown to registry"),
        "MANIFEST_INVALID": (400, "manifest invalid"),
        "MANIFEST_UNKNOWN": (404, "manifest unknown to registry"),
        "NAME_INVALID": (400, "invalid repository name"),
        "NAME_UNKNOWN": (404, "repository name not known to registry"),
        "SIZE_INVALID": (400, "provided length did not match content length"),
        "UNAUTHORIZED": (401, "authentication required"),
        "DENIED": (403, "requested access to the resource is denied"),
        "UNSUPPORTED": (405, "the operation is unsupported"),
        "TOOMANYREQUESTS": (429, "too many requests"),
        "PAGINATION_NUMBER_INVALID": (400, "invalid number of results requested"),
        "RANGE_INVALID": (416, "the range does not fit"),
        "TAG_INVALID": (400, "the tag is not a valid one"),
        "UNKNOWN": (500, "unknown error"),
    }
)

VERSION_HEADER = {"Docker-Distribution-Api-Version": "registry/2.0"}


def refusal(code: str, detail: Any = None, *, status: int = 0, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the specification's format; `detail` is anything that helps a person."""
    usual, message = CODES[code]
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": detail}]}) + "\n"
    answer = Response(body, status=status or usual, content_type="application/json; charset=utf-8")
    answer.headers.update({**VERSION_HEADER, **(headers or {})})
    return answer


def empty(status: int, headers: Mapping[str, str]) -> Response:
    """A success without a body."""
    answer = Response(status=status, headers={**VERSION_HEADER, **headers})
    # The default of a framework for a body that does not exist would only mislead.
    answer.headers.pop("Content-Type", None)
    return answer


def document(
    value: Any, *, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> Response:
    """200 with JSON."""
    answer = Response(json.dumps(value), content_type=content_type)
    answer.headers.update({**VERSION_HEADER, **(headers or {})})
    return answer
