"""One request to the registry, with all that an endpoint may use to answer it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from flask import Request

from kargo_lab.platforms.oci.events import RegistryEvent
from kargo_lab.platforms.oci.storage import Storage
from kargo_lab.platforms.oci.uploads import Uploads


@attrs.frozen(kw_only=True)
class RegistrySettings:
    """How registries differ from one another (platforms.md 13.2); the defaults follow the specification.

    `page_cap` is the most tags in one page (0: no cap); without `paging`, `n` and `last` are ignored, as
    registry:2 does. Not `lexical` lists tags in the order of pushing, as GHCR may. Without `referrers`
    that API is a 404, as in registry:2 and 3. `redirect_blobs` answers 307 to a storage address on
    another host name, where credentials must not follow. Without `delete_tags` only digests can be
    deleted, as in Harbor. `accept_sparse` takes manifests whose blobs are missing. Without
    `digest_on_head` the digest header is left out of answers to HEAD, as some registries do.
    `catalog` is `_catalog`, which hubs switch off. Where `accept_matters`, a client gets no OCI manifest that it
    did not ask for, and one platform in place of a Docker list that it did not ask for, as distribution 2 does.
    `null_tags` answers `null` for a list without tags, as it does too.
    """

    page_cap: int = 0
    paging: bool = True
    lexical: bool = True
    referrers: bool = True
    redirect_blobs: bool = False
    deletes: bool = True
    delete_tags: bool = True
    accept_sparse: bool = False
    digest_on_head: bool = True
    catalog: bool = True
    accept_matters: bool = False
    null_tags: bool = False
    largest_manifest: int = 4 << 20  # bytes; the least a registry should take, and distribution's limit


@attrs.frozen(kw_only=True)
class Call:
    """`event` carries what every event of this request has in common; `tell` passes events on."""

    request: Request
    repository: str
    storage: Storage
    uploads: Uploads
    settings: RegistrySettings
    event: RegistryEvent
    tell: Callable[[RegistryEvent], None]

    @property
    def is_head(self) -> bool:
        """True where an answer has no body."""
        return self.request.method == "HEAD"
