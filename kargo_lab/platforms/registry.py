"""The embedded OCI registry: the distribution specification in Python, on a free port, in a temporary folder.

Real clients push to it and pull from it; tests and experiments fill it in process, where a
thousand images take a second. What is pushed either way is told to whoever subscribed, and that
is where hooks come from (`personas`).
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from kargo_lab.errors import UsageError
from kargo_lab.platforms.access import AccessLog, Application, Environ, StartResponse, utc_now
from kargo_lab.platforms.hooks import DeliveryRow
from kargo_lab.platforms.oci.application import RegistryApplication
from kargo_lab.platforms.oci.auth import Authority
from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.oci.content import is_name, is_tag, push_event
from kargo_lab.platforms.oci.events import BLOB, DELETE, PUSH, RegistryEvent
from kargo_lab.platforms.oci.filling import Filling
from kargo_lab.platforms.oci.images import Artifact
from kargo_lab.platforms.oci.manifests import read
from kargo_lab.platforms.oci.storage import Storage, StoredManifest
from kargo_lab.platforms.serving import Server

Listener = Callable[[RegistryEvent], None]
Layer = Callable[[Application], Application]


class Registry(Filling):
    """An OCI registry between `start()` and `stop()`, or as a context manager.

    `layers` are put between the server and the registry, the first outermost: quotas and faults.
    `folder` keeps the content after the end; without it everything is temporary. `on_event` is called in
    the thread of the request, after the fact, so it must not wait.
    """

    def __init__(
        self,
        *,
        settings: RegistrySettings | None = None,
        authority: Authority | None = None,
        layers: Sequence[Layer] = (),
        on_event: Listener | None = None,
        folder: Path | None = None,
        port: int = 0,
        address: str = "127.0.0.1",
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.settings, self.authority = settings or RegistrySettings(), authority
        self.access_log = AccessLog(now)
        self._layers, self._folder, self._now = tuple(layers), folder, now
        self._listeners: list[Listener] = [on_event] if on_event else []
        self._events: list[RegistryEvent] = []
        self._lock = threading.Lock()
        self._server = Server(self._answer, port=port, address=address)
        self._application: Application | None = None
        self._storage: Storage | None = None

    # Life

    def start(self) -> Self:
        """Open the storage and serve."""
        folder = self._folder or Path(tempfile.mkdtemp(prefix="kargo-lab-registry-"))
        if not self._folder:
            # Also at the end of the interpreter, where nobody called `stop`.
            self._removal = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._storage = Storage(folder)
        application: Application = RegistryApplication(
            self._storage, settings=self.settings, authority=self.authority, tell=self._tell, now=self._now
        )
        for layer in reversed(self._layers):
            application = layer(application)
        self._application = self.access_log.wrap(application)
        try:
            self._server.start()
        except OSError:
            self._close()
            raise
        return self

    def stop(self) -> None:
        """Stop serving, close the storage, remove what was temporary. A second call does nothing."""
        self._server.stop()
        self._close()

    def _close(self) -> None:
        if self._storage is None:
            return
        self._storage.close()
        self._storage = None
        if not self._folder:
            self._removal()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        assert self._application is not None  # noqa: S101 -- the server runs only between start and stop
        return self._application(environ, start_response)

    # Facts

    @property
    def url(self) -> str:
        """`http://127.0.0.1:4711`."""
        return self._server.url

    @property
    def host(self) -> str:
        """`127.0.0.1:4711`: what an image reference begins with."""
        return self._server.host

    @property
    def deliveries(self) -> tuple[DeliveryRow, ...]:
        """None: a plain registry tells nobody. `PlatformRegistry` has hooks."""
        return ()

    @property
    def stopping(self) -> threading.Event:
        """Set when the end begins; a fault that delays an answer waits on it."""
        return self._server.stopping

    @property
    def storage(self) -> Storage:
        """The content, for tests that look or tamper. Only while started."""
        if self._storage is None:
            message = "the registry is not started"
            raise RuntimeError(message)
        return self._storage

    @property
    def events(self) -> tuple[RegistryEvent, ...]:
        """Everything that happened, in order."""
        with self._lock:
            return tuple(self._events)

    def subscribe(self, listener: Listener) -> None:
        """Tell `listener` about every event from now on."""
        self._listeners.append(listener)

    def _tell(self, event: RegistryEvent) -> None:
        with self._lock:
            self._events.append(event)
        for listener in tuple(self._listeners):
            listener(event)

    # Filling it in process

    def push(self, repository: str, artifact: Artifact, *tags: str) -> str:
        """Store an artifact with all it refers to, under any number of tags; its digest.

        As a client would: blobs first, children before their index, and each manifest is an event.
        Unlike a client, an index may name children that do not exist. Raises UsageError for names that
        no client could push.
        """
        if wrong := [tag for tag in tags if not is_tag(tag)] or [name for name in [repository] if not is_name(name)]:
            raise UsageError(f"{wrong[0]!r} cannot be the name of a tag or repository")
        events: list[RegistryEvent] = []
        with self.storage.transaction():
            for child in artifact.children:
                events += self._put(repository, child, ())
            events += self._put(repository, artifact, tags)
        for event in events:
            self._tell(event)
        return artifact.digest

    def _put(self, repository: str, artifact: Artifact, tags: Sequence[str]) -> list[RegistryEvent]:
        events = []
        for digest, blob in artifact.blobs.items():
            if self.storage.blob_size(repository, digest) is None:
                self.storage.put_content(digest, blob)
                self.storage.link_blob(repository, digest, len(blob))
                event = self._event(repository)
                events.append(
                    attrs.evolve(event, action=PUSH, kind="blob", media_type=BLOB, digest=digest, size=len(blob))
                )
        reading = read(artifact.manifest, artifact.media_type)
        size = len(artifact.manifest)
        existed = self.storage.manifest(repository, artifact.digest) is not None
        if not existed:
            descriptor = reading.descriptor(artifact.digest, size) if reading.subject else ""
            stored = StoredManifest(artifact.digest, size, reading.media_type, reading.subject, descriptor)
            self.storage.put_manifest(repository, stored, artifact.manifest)
        for tag in tags or ("",):
            if tag:
                self.storage.tag(repository, tag, artifact.digest)
            event = self._event(repository)
            events.append(push_event(event, reading, artifact.digest, tag, size, existed=existed))
        return events

    def _event(self, repository: str) -> RegistryEvent:
        return RegistryEvent(
            action="",
            repository=repository,
            method="PUT",
            host=self.host,
            address="127.0.0.1",
            user_agent="kargo-lab",
            id=secrets.token_hex(16),
            time=self._now(),
        )

    # Looking and removing

    def tags(self, repository: str) -> list[str]:
        """All tags, in the order of their bytes."""
        return self.storage.tags(repository)

    def digest(self, repository: str, tag: str) -> str | None:
        """What a tag points to."""
        return self.storage.tagged(repository, tag)

    def retag(self, repository: str, source: str, *tags: str) -> str:
        """Give the manifest behind a tag or digest more tags, as `PUT` of the same bytes does; its digest."""
        digest = source if ":" in source else self.storage.tagged(repository, source)
        stored = self.storage.manifest(repository, digest) if digest else None
        if stored is None:
            message = f"{repository} has no {source}"
            raise LookupError(message)
        body = self.storage.read_manifest(stored.digest)
        return self.push(repository, Artifact(manifest=body, media_type=stored.media_type, digest=stored.digest), *tags)

    def delete_tag(self, repository: str, tag: str) -> bool:
        """Remove a tag and leave the manifest; True if there was one."""
        digest = self.storage.untag(repository, tag)
        if digest is not None:
            self._deleted(repository, self.storage.manifest(repository, digest), kind="tag", tag=tag, digest=digest)
        return digest is not None

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Remove a manifest with its tags; True if there was one."""
        stored = self.storage.manifest(repository, digest)
        gone = self.storage.delete_manifest(repository, digest) is not None
        if gone:
            self._deleted(repository, stored, kind="manifest", digest=digest)
        return gone

    def _deleted(self, repository: str, stored: StoredManifest | None, **facts: Any) -> None:
        media_type = stored.media_type if stored else ""
        self._tell(
            attrs.evolve(self._event(repository), action=DELETE, method="DELETE", media_type=media_type, **facts)
        )
