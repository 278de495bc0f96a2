"""What happened at a registry, in one value that every persona's hook can be made from."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

PUSH, PULL, DELETE, MOUNT = "push", "pull", "delete", "mount"

BLOB = "application/octet-stream"  # the media type registry:2 gives to every blob in its notifications


@attrs.frozen(kw_only=True)
class RegistryEvent:
    """One push, pull, deletion or mount of one manifest, tag or blob.

    `tag` is empty where the reference was a digest; `digest` is empty only where a tag was deleted
    that pointed nowhere. `kind` is `manifest`, `tag` (only for deletions) or `blob`. `size` is that of the manifest or
    blob itself. `method` tells a HEAD from a GET. `host` is the registry as the client spelled it.
    `existed` is true for a push of a manifest that the repository already had. `platforms` are the
    (operating system, architecture) pairs of an index. `actor` is the user, empty for nobody known.
    """

    action: str
    repository: str
    digest: str = ""
    tag: str = ""
    kind: str = "manifest"
    media_type: str = ""
    config_media_type: str = ""
    config_digest: str = ""
    config_size: int = 0
    artifact_type: str = ""
    size: int = 0
    platforms: tuple[tuple[str, str], ...] = ()
    existed: bool = False
    from_repository: str = ""
    method: str = ""
    host: str = ""
    address: str = ""
    actor: str = ""
    user_agent: str = ""
    id: str = ""
    time: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    @property
    def is_index(self) -> bool:
        """True for an OCI index and a Docker manifest list."""
        return self.media_type.endswith(("image.index.v1+json", "manifest.list.v2+json"))
