"""Where a receiver listens: a path that only those can compute who know its secret.

Kargo hashes project, name and secret without any separator, joins the digest to the base path, and
escapes what it prints once more than what it routes by. Both are kept: URLs may be registered at
platforms already. Source: receivers.md 2.
"""

from __future__ import annotations

import hashlib

import attrs

from kargo_lab.rules import gourl


def receiver_hash(project: str, name: str, secret: bytes) -> str:
    """64 lower-case hex digits; `project` is empty for a cluster receiver."""
    text = (project + name).encode(errors="surrogatepass")
    return hashlib.sha256(text + secret).hexdigest()


def receiver_path(base_url: str, receiver_type: str, digest: str) -> str:
    """What the router compares the decoded request path with. Raises URLError if the base URL does not parse."""
    return _join(_text(gourl.parse(base_url).path) or "/", receiver_type, digest)


def receiver_url(base_url: str, receiver_type: str, digest: str) -> str:
    """What Kargo prints into the status for people to register. Raises URLError as `receiver_path`."""
    path = receiver_path(base_url, receiver_type, digest)
    return _text(bytes(attrs.evolve(gourl.parse(base_url), path=path.encode(errors="surrogateescape"))))


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _join(first: str, *elements: str) -> str:
    """As Go's JoinPath: the first element is itself read as a URL reference, and dot segments are resolved."""
    reference = gourl.parse(first)
    escaped = _text(bytes(gourl.URL(path=reference.path, raw_path=reference.raw_path)))
    rooted = escaped.startswith("/")
    segments: list[str] = []
    for segment in "/".join((escaped, *elements)).split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    # Read with a slash in front, lest a colon in the first segment be taken for a scheme.
    joined = gourl.parse("/" + "/".join(segments))
    cut = 0 if rooted else 1
    return _text(bytes(attrs.evolve(reference, path=joined.path[cut:], raw_path=joined.raw_path[cut:])))
