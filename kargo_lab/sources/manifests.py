"""Manifests, indexes and configs as Go's structs hold them: only the members that discovery reads.

A member of the wrong type is an error although nobody needs it, as in go-containerregistry; all
others may be anything.
"""

from __future__ import annotations

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
_PLATFORM = gojson.Struct({"architecture": gojson.TEXT, "os": gojson.TEXT, "variant": gojson.TEXT})
_DESCRIPTOR = gojson.Struct(
    {
        "mediaType": gojson.TEXT,
        "size": gojson.INT64,
        "digest": gojson.TEXT,
        "annotations": _ANNOTATIONS,
        "platform": gojson.Nullable(_PLATFORM),
    }
)
MANIFEST = gojson.Struct({"config": _DESCRIPTOR, "annotations": _ANNOTATIONS})
INDEX = gojson.Struct({"manifests": gojson.ListOf(_DESCRIPTOR), "annotations": _ANNOTATIONS})
CONFIG = gojson.Struct(
    {
        "architecture": gojson.TEXT,
        "os": gojson.TEXT,
        "variant": gojson.TEXT,
        "created": gojson.TIME,
        "config": gojson.Struct({"Labels": _ANNOTATIONS}),
    }
)


def read(body: bytes, shape: gojson.Shape, what: str) -> Mapping[str, Any]:
    """The document as Go's structs hold it; UpstreamError if it is none."""
    try:
        document = gojson.decode(body, shape)
    except gojson.JSONError as error:
        raise UpstreamError(f"{what}: {error.message}") from None
    if not isinstance(document, Mapping):
        raise UpstreamError(f"{what}: not an object")
    return document
