"""The manifest, tag, referrer and catalogue endpoints of the distribution specification.

Names in brackets are the specification's endpoint ids.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

import attrs
from flask import Response

from kargo_lab.platforms.oci.answers import VERSION_HEADER, document, empty, refusal
from kargo_lab.platforms.oci.call import Call
from kargo_lab.platforms.oci.events import DELETE, PULL, PUSH, RegistryEvent
from kargo_lab.platforms.oci.manifests import (
    DOCKER_LIST,
    OCI_INDEX,
    OCI_MANIFEST,
    ManifestReadingError,
    Reading,
    read,
)
from kargo_lab.platforms.oci.storage import StoredManifest, digest_of, is_digest

_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# The specification's rule for a repository name; the whole of it is at most 255 characters.
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
LONGEST_NAME = 255
_NUMBER = re.compile(r"\d{1,9}")


def is_tag(text: str) -> bool:
    """What the specification allows as a tag."""
    return bool(_TAG.fullmatch(text))


def is_name(text: str) -> bool:
    """What the specification allows as the name of a repository."""
    return len(text) <= LONGEST_NAME and bool(_NAME.fullmatch(text))


def resolve(call: Call, reference: str) -> StoredManifest | None:
    """The manifest behind a tag or a digest."""
    digest = reference if ":" in reference else call.storage.tagged(call.repository, reference)
    return call.storage.manifest(call.repository, digest) if digest else None


def pull_manifest(call: Call, reference: str) -> Response:
    """GET and HEAD (end-3). What is stored is served whatever `Accept` says, unless the settings make it matter."""
    manifest = resolve(call, reference)
    if manifest is not None and call.settings.accept_matters:
        manifest = _acceptable(call, manifest, by_tag=":" not in reference)
    if manifest is None:
        return refusal("MANIFEST_UNKNOWN", {"reference": reference})
    tag = "" if ":" in reference else reference
    call.tell(
        attrs.evolve(
            call.event, action=PULL, digest=manifest.digest, tag=tag, media_type=manifest.media_type, size=manifest.size
        )
    )
    headers = {**VERSION_HEADER, "Docker-Content-Digest": manifest.digest, "ETag": f'"{manifest.digest}"'}
    if call.is_head and not call.settings.digest_on_head:
        headers = {**VERSION_HEADER}
    if manifest.digest in call.request.headers.get("If-None-Match", ""):
        return empty(304, headers)
    body = b"" if call.is_head else call.storage.read_manifest(manifest.digest)
    answer = Response(body, headers=headers)
    # Set by hand: the media type must arrive exactly as it was pushed, without a charset.
    answer.headers["Content-Type"] = manifest.media_type
    answer.content_length = manifest.size
    return answer


def _acceptable(call: Call, manifest: StoredManifest, *, by_tag: bool) -> StoredManifest | None:
    """What distribution 2 serves to this client: wildcards do not count, and OCI types are never converted."""
    accepted = {part.partition(";")[0].strip() for part in call.request.headers.get("Accept", "").split(",")}
    if manifest.media_type in accepted or manifest.media_type not in (OCI_MANIFEST, OCI_INDEX, DOCKER_LIST):
        return manifest
    if manifest.media_type != DOCKER_LIST:
        return None
    entries = json.loads(call.storage.read_manifest(manifest.digest))["manifests"] if by_tag else []
    wanted = {"os": "linux", "architecture": "amd64"}
    one = next((entry["digest"] for entry in entries if wanted.items() <= entry.get("platform", {}).items()), "")
    return call.storage.manifest(call.repository, one) if one else manifest


def push_manifest(call: Call, reference: str) -> Response:
    """PUT (end-7): by tag, or by digest with any number of `tag` parameters."""
    by_digest = ":" in reference
    if by_digest and not is_digest(reference):
        return refusal("DIGEST_INVALID", {"digest": reference})
    tags = list(dict.fromkeys(call.request.args.getlist("tag"))) if by_digest else [reference]
    if wrong := [tag for tag in tags if not is_tag(tag)]:
        return refusal("TAG_INVALID", {"tags": wrong})
    body = call.request.stream.read(call.settings.largest_manifest + 1)
    if len(body) > call.settings.largest_manifest:
        return refusal("SIZE_INVALID", {"largest": call.settings.largest_manifest}, status=413)
    digest = digest_of(body, reference.partition(":")[0] if by_digest else "sha256")
    if by_digest and digest != reference:
        return refusal("DIGEST_INVALID", {"expected": reference, "received": digest})
    try:
        reading = read(body, call.request.headers.get("Content-Type", ""))
    except ManifestReadingError as problem:
        return refusal("MANIFEST_INVALID", str(problem))
    if not call.settings.accept_sparse and (missing := _missing(call, reading)):
        return refusal("MANIFEST_BLOB_UNKNOWN", {"digests": missing})
    existed = store_manifest(call, reading, digest, body, tags)
    for tag in tags or [""]:
        call.tell(push_event(call.event, reading, digest, tag, len(body), existed=existed))
    return _pushed(call, reading, digest, tags if by_digest else [])


def _missing(call: Call, reading: Reading) -> list[str]:
    blobs = [digest for digest in reading.blobs if call.storage.blob_size(call.repository, digest) is None]
    children = [digest for digest in reading.children if call.storage.manifest(call.repository, digest) is None]
    return blobs + children


def store_manifest(call: Call, reading: Reading, digest: str, body: bytes, tags: list[str]) -> bool:
    """Write it and its tags, all at once; True if the repository had it before."""
    with call.storage.transaction():
        existed = call.storage.manifest(call.repository, digest) is not None
        descriptor = reading.descriptor(digest, len(body)) if reading.subject else ""
        manifest = StoredManifest(digest, len(body), reading.media_type, reading.subject, descriptor)
        call.storage.put_manifest(call.repository, manifest, body)
        for tag in tags:
            call.storage.tag(call.repository, tag, digest)
    return existed


def push_event(
    event: RegistryEvent, reading: Reading, digest: str, tag: str, size: int, *, existed: bool
) -> RegistryEvent:
    """The event of one pushed manifest under one tag, or under none."""
    return attrs.evolve(
        event,
        action=PUSH,
        digest=digest,
        tag=tag,
        media_type=reading.media_type,
        config_media_type=reading.config_media_type,
        config_digest=reading.config_digest,
        config_size=reading.config_size,
        artifact_type=reading.artifact_type,
        platforms=reading.platforms,
        size=size,
        existed=existed,
    )


def _pushed(call: Call, reading: Reading, digest: str, tags: list[str]) -> Response:
    location = f"/v2/{call.repository}/manifests/{digest}"
    answer = empty(201, {"Location": location, "Docker-Content-Digest": digest, "Content-Length": "0"})
    if reading.subject and call.settings.referrers:
        answer.headers["OCI-Subject"] = reading.subject
    for tag in tags:
        answer.headers.add("OCI-Tag", tag)
    return answer


def delete_manifest(call: Call, reference: str) -> Response:
    """DELETE (end-9): a digest goes with its tags; a tag goes alone."""
    if not call.settings.deletes or (":" not in reference and not call.settings.delete_tags):
        return refusal("UNSUPPORTED", {"reference": reference})
    stored = resolve(call, reference)
    event = attrs.evolve(call.event, action=DELETE, media_type=stored.media_type if stored else "")
    if ":" in reference:
        if call.storage.delete_manifest(call.repository, reference) is None:
            return refusal("MANIFEST_UNKNOWN", {"reference": reference})
        call.tell(attrs.evolve(event, digest=reference))
    else:
        digest = call.storage.untag(call.repository, reference)
        if digest is None:
            return refusal("MANIFEST_UNKNOWN", {"reference": reference})
        call.tell(attrs.evolve(event, kind="tag", tag=reference, digest=digest))
    return empty(202, {"Content-Length": "0"})


def list_tags(call: Call, _: str = "") -> Response:
    """GET (end-8a, 8b), with `n`, `last` and a Link to the next page."""
    if not call.storage.has_repository(call.repository):
        return refusal("NAME_UNKNOWN", {"name": call.repository})
    settings, storage = call.settings, call.storage
    last = call.request.args.get("last", "") if settings.paging else ""
    limit = _limit(call)
    if limit is None:
        return refusal("PAGINATION_NUMBER_INVALID", {"n": call.request.args["n"]})
    # One more than asked tells whether there is a next page.
    tags = storage.tags(call.repository, last=last, limit=limit + 1 if limit > 0 else limit, lexical=settings.lexical)
    return _page(
        f"/v2/{call.repository}/tags/list", {"name": call.repository}, "tags", tags, limit, null=settings.null_tags
    )


def list_repositories(call: Call, _: str = "") -> Response:
    """GET `_catalog`: distribution's, not in the specification."""
    limit = _limit(call)
    if not call.settings.catalog:
        return refusal("UNSUPPORTED")
    if limit is None:
        return refusal("PAGINATION_NUMBER_INVALID", {"n": call.request.args["n"]})
    names = call.storage.repositories(last=call.request.args.get("last", ""), limit=limit + 1 if limit > 0 else limit)
    return _page("/v2/_catalog", {}, "repositories", names, limit)


def _limit(call: Call) -> int | None:
    """Entries of a page: -1 for all, None where `n` is no number."""
    asked, cap = call.request.args.get("n"), call.settings.page_cap
    if not call.settings.paging:
        return -1
    if asked is None:
        return cap or -1
    if not _NUMBER.fullmatch(asked):
        return None
    return min(int(asked), cap) if cap else int(asked)


def _page(
    path: str, value: dict[str, Any], member: str, entries: list[str], limit: int, *, null: bool = False
) -> Response:
    headers = {}
    shown = entries if limit < 0 else entries[:limit]
    if shown and len(entries) > len(shown):
        query = urlencode({"last": shown[-1], "n": limit})
        headers["Link"] = f'<{path}?{query}>; rel="next"'
    nothing: list[str] | None = None if null else []
    return document({**value, member: shown or nothing}, headers=headers)


def list_referrers(call: Call, digest: str) -> Response:
    """GET (end-12a, 12b): an index of the manifests with this subject; empty, never 404, for an unknown one."""
    if not call.settings.referrers:
        return refusal("UNSUPPORTED", status=404)
    if not is_digest(digest):
        return refusal("DIGEST_INVALID", {"digest": digest})
    manifests = [json.loads(text) for text in call.storage.referrers(call.repository, digest)]
    headers = {}
    if artifact_type := call.request.args.get("artifactType", ""):
        manifests = [one for one in manifests if one.get("artifactType") == artifact_type]
        headers["OCI-Filters-Applied"] = "artifactType"
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    return document(index, content_type=OCI_INDEX, headers=headers)
