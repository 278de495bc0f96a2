"""Manifests, indexes and configs as Go's structs hold them.

A declared member of the wrong type is an error although nobody needs it, as in go-containerregistry;
members that nobody declared may be anything.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from kargo_lab.errors import UpstreamError
from kargo_lab.rules import json as gojson

INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
IMAGE_TYPES = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
_ANNOTATIONS = gojson.MapOf(gojson.TEXT)
_TEXTS = gojson.ListOf(gojson.TEXT)
_PLATFORM = gojson.Struct(
    {
        "architecture": gojson.TEXT,
        "os": gojson.TEXT,
        "os.version": gojson.TEXT,
        "os.features": _TEXTS,
        "variant": gojson.TEXT,
        "features": _TEXTS,
    }
)
_DESCRIPTOR = gojson.Struct(
    {
        "mediaType": gojson.TEXT,
        "size": gojson.INT64,
        "digest": gojson.TEXT,
        "data": gojson.TEXT,
        "urls": _TEXTS,
        "annotations": _ANNOTATIONS,
        "platform": gojson.Nullable(_PLATFORM),
        "artifactType": gojson.TEXT,
    }
)
_HEAD: dict[str, gojson.Shape] = {
    "schemaVersion": gojson.INT64,
    "mediaType": gojson.TEXT,
    "annotations": _ANNOTATIONS,
    "subject": gojson.Nullable(_DESCRIPTOR),
}
MANIFEST = gojson.Struct({**_HEAD, "config": _DESCRIPTOR, "layers": gojson.ListOf(_DESCRIPTOR)})
INDEX = gojson.Struct({**_HEAD, "manifests": gojson.ListOf(_DESCRIPTOR)})
_HISTORY = gojson.Struct(
    {
        "author": gojson.TEXT,
        "created": gojson.TIME,
        "created_by": gojson.TEXT,
        "comment": gojson.TEXT,
        "empty_layer": gojson.BOOL,
    }
)
CONFIG = gojson.Struct(
    {
        "architecture": gojson.TEXT,
        "os": gojson.TEXT,
        "variant": gojson.TEXT,
        "created": gojson.TIME,
        "author": gojson.TEXT,
        "history": gojson.ListOf(_HISTORY),
        "rootfs": gojson.Struct({"type": gojson.TEXT, "diff_ids": _TEXTS}),
        "config": gojson.Struct(
            {
                "Labels": _ANNOTATIONS,
                "Env": _TEXTS,
                "Cmd": _TEXTS,
                "Entrypoint": _TEXTS,
                "User": gojson.TEXT,
                "WorkingDir": gojson.TEXT,
            }
        ),
    }
)


def inline(descriptor: Mapping[str, Any]) -> bytes | None:
    """The content that a descriptor carries with it, which saves asking for it; None if it carries none.

    oras writes empty configs so. Content that is no base64, or of another size than told, is an error.
    """
    if not descriptor["data"]:
        return None
    try:
        content = base64.b64decode(descriptor["data"], validate=True)
    except (binascii.Error, ValueError):
        raise UpstreamError("a descriptor's data is no base64") from None
    if len(content) != descriptor["size"]:
        raise UpstreamError(f"a descriptor's data has {len(content)} bytes, not {descriptor['size']}")
    return content


def read(body: bytes, shape: gojson.Shape, what: str) -> Mapping[str, Any]:
    """The document as Go's structs hold it; UpstreamError if it is none."""
    try:
        document = gojson.decode(body, shape)
    except gojson.JSONError as error:
        raise UpstreamError(f"{what}: {error.message}") from None
    if not isinstance(document, Mapping):
        raise UpstreamError(f"{what}: not an object")
    return document
