"""The blob endpoints of the distribution specification: pull with ranges, the four ways to push, mount, delete.

Names in brackets are the specification's endpoint ids. Content-Range of an upload is `start-end`
without a unit, as the specification has it; the form with `bytes` is taken too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

import attrs
from flask import Response

from kargo_lab.platforms.oci.answers import VERSION_HEADER, empty, refusal
from kargo_lab.platforms.oci.call import Call
from kargo_lab.platforms.oci.events import BLOB, DELETE, MOUNT, PULL, PUSH
from kargo_lab.platforms.oci.storage import ALGORITHMS, PIECE, is_digest
from kargo_lab.platforms.oci.uploads import Upload

STORAGE_PATH = "/_storage/"

_CHUNK = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/\S*)?")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def pull_blob(call: Call, digest: str) -> Response:
    """GET and HEAD (end-2): the bytes, a part of them, or a redirect to storage."""
    if not is_digest(digest):
        return refusal("DIGEST_INVALID", {"digest": digest})
    size = call.storage.blob_size(call.repository, digest)
    if size is None:
        return refusal("BLOB_UNKNOWN", {"digest": digest})
    call.tell(attrs.evolve(call.event, action=PULL, kind="blob", media_type=BLOB, digest=digest, size=size))
    if call.settings.redirect_blobs:
        return empty(307, {"Location": storage_url(call, digest), "Docker-Content-Digest": digest})
    etag = f'"{digest}"'
    if etag in call.request.headers.get("If-None-Match", ""):
        return empty(304, {"ETag": etag, "Docker-Content-Digest": digest})
    return serve_content(call, digest, size)


def storage_url(call: Call, digest: str) -> str:
    """The same server under another host name, so that a client sees a redirect across hosts."""
    name, _, port = call.request.host.rpartition(":")
    other = "localhost" if name.startswith("127.") else "127.0.0.1"
    return f"http://{other}:{port}{STORAGE_PATH}{digest}"


def serve_content(call: Call, digest: str, size: int) -> Response:
    """200, 206 or 416; what is asked for is read from disk while it is sent."""
    range_header = call.request.headers.get("Range", "")
    first, last, status = _part(range_header, size)
    headers = {
        **VERSION_HEADER,
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "max-age=31536000",
    }
    if status == 416:
        return refusal("RANGE_INVALID", range_header, headers={"Content-Range": f"bytes */{size}"})
    if status == 206:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    length = last - first + 1
    answer = Response(status=status, headers=headers, content_type=BLOB)
    if not call.is_head:
        file = call.storage.open_blob(digest)
        file.seek(first)
        answer.response = _pieces(file, length)
        answer.call_on_close(file.close)
    answer.content_length = length
    return answer


def _part(header: str, size: int) -> tuple[int, int, int]:
    """First byte, last byte and status. Several ranges, or another unit, are answered with the whole."""
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return 0, size - 1, 200
    first = int(found[1]) if found[1] else max(size - int(found[2]), 0)
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    suffix_of_nothing = not found[1] and int(found[2]) == 0
    return first, last, 416 if first > last or suffix_of_nothing else 206


def _pieces(file: IO[bytes], length: int) -> Iterator[bytes]:
    while length > 0 and (piece := file.read(min(PIECE, length))):
        length -= len(piece)
        yield piece


def delete_blob(call: Call, digest: str) -> Response:
    """DELETE (end-10): the repository forgets the blob; manifests that name it are not asked."""
    if not call.settings.deletes:
        return refusal("UNSUPPORTED")
    if not is_digest(digest):
        return refusal("DIGEST_INVALID", {"digest": digest})
    if not call.storage.delete_blob(call.repository, digest):
        return refusal("BLOB_UNKNOWN", {"digest": digest})
    call.tell(attrs.evolve(call.event, action=DELETE, kind="blob", digest=digest))
    return empty(202, {"Content-Length": "0", "Docker-Content-Digest": digest})


def begin_upload(call: Call, _: str = "") -> Response:
    """POST (end-4a, 4b, 11): a session; the whole blob at once with `digest`; a mount with `mount`."""
    asked = call.request.args
    if mounted := asked.get("mount", ""):
        answer = _mount(call, mounted, asked.get("from", ""))
        if answer is not None:
            return answer
    algorithm = asked.get("digest-algorithm") or asked.get("digest", "").partition(":")[0] or "sha256"
    if algorithm not in ALGORITHMS or (asked.get("digest") and not is_digest(asked["digest"])):
        return refusal("DIGEST_INVALID", {"digest": asked.get("digest"), "digest-algorithm": algorithm})
    upload = call.uploads.begin(call.repository, algorithm)
    if "digest" not in asked:
        return _progress(upload, 202)
    upload.append(call.request.stream)
    return _finish(call, upload, asked["digest"])


def _mount(call: Call, digest: str, source: str) -> Response | None:
    """201 where the blob can be had; None to fall back to an ordinary session, as the specification wants.

    Without a source any repository will do: the specification calls this automatic content discovery.
    """
    if not is_digest(digest):
        return refusal("DIGEST_INVALID", {"mount": digest})
    with call.storage.transaction():
        size = call.storage.blob_size(source, digest) if source else None
        if not source and (found := call.storage.blob_anywhere(digest)):
            source, size = found
        if size is None:
            return None
        call.storage.link_blob(call.repository, digest, size)
    call.tell(
        attrs.evolve(
            call.event, action=MOUNT, kind="blob", media_type=BLOB, digest=digest, size=size, from_repository=source
        )
    )
    return _created(call, digest)


def _created(call: Call, digest: str) -> Response:
    location = f"/v2/{call.repository}/blobs/{digest}"
    return empty(201, {"Location": location, "Docker-Content-Digest": digest, "Content-Length": "0"})


def _progress(upload: Upload, status: int) -> Response:
    headers = {
        "Location": f"/v2/{upload.repository}/blobs/uploads/{upload.identity}",
        # Both ends are included, so nothing yet and one byte read the same; that is the protocol's flaw.
        "Range": f"0-{max(upload.size - 1, 0)}",
        "Docker-Upload-UUID": upload.identity,
    }
    if status != 204:
        headers["Content-Length"] = "0"
    return empty(status, headers)


def upload_status(call: Call, identity: str) -> Response:
    """GET and HEAD (end-13): how far it is."""
    upload = call.uploads.find(call.repository, identity)
    return _progress(upload, 204) if upload else refusal("BLOB_UPLOAD_UNKNOWN", {"upload": identity})


def cancel_upload(call: Call, identity: str) -> Response:
    """DELETE (end-14)."""
    upload = call.uploads.find(call.repository, identity)
    if upload is None:
        return refusal("BLOB_UPLOAD_UNKNOWN", {"upload": identity})
    call.uploads.end(upload)
    return empty(204, {})


def append_to_upload(call: Call, identity: str) -> Response:
    """PATCH (end-5): a chunk that must begin where the last one ended, or a stream of unknown length."""
    upload = call.uploads.find(call.repository, identity)
    if upload is None:
        return refusal("BLOB_UPLOAD_UNKNOWN", {"upload": identity})
    with upload.lock:
        return _append(call, upload) or _progress(upload, 202)


def _append(call: Call, upload: Upload) -> Response | None:
    """Take the body; an answer only where it does not fit."""
    header = call.request.headers.get("Content-Range", "")
    if header:
        chunk = _CHUNK.fullmatch(header)
        if chunk is None:
            return refusal("BLOB_UPLOAD_INVALID", {"Content-Range": header})
        first, last = int(chunk[1]), int(chunk[2])
        length = call.request.content_length
        if first != upload.size or last < first or (length is not None and length != last - first + 1):
            place = _progress(upload, 202).headers
            return refusal(
                "RANGE_INVALID",
                {"Content-Range": header, "received": upload.size},
                headers={"Location": place["Location"], "Range": place["Range"]},
            )
    upload.append(call.request.stream)
    return None


def finish_upload(call: Call, identity: str) -> Response:
    """PUT (end-6): the last chunk, or everything, or nothing more, and the digest of the whole."""
    upload = call.uploads.find(call.repository, identity)
    if upload is None:
        return refusal("BLOB_UPLOAD_UNKNOWN", {"upload": identity})
    digest = call.request.args.get("digest", "")
    if not is_digest(digest):
        return refusal("DIGEST_INVALID", {"digest": digest})
    with upload.lock:
        return _append(call, upload) or _finish(call, upload, digest)


def _finish(call: Call, upload: Upload, digest: str) -> Response:
    try:
        if not upload.matches(digest):
            return refusal("DIGEST_INVALID", {"digest": digest})
        size = call.storage.adopt_blob(call.repository, digest, upload.path)
    finally:
        call.uploads.end(upload)
    call.tell(attrs.evolve(call.event, action=PUSH, kind="blob", media_type=BLOB, digest=digest, size=size))
    return _created(call, digest)
