"""The embedded chart host: classic Helm repositories, an `index.yaml` and archives over HTTP.

The index is written as `helm repo index` writes it, so that `helm` would accept it; any file may be
replaced by a text of one's own, for indexes that are broken on purpose.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import attrs
import yaml
from flask import Request, Response

from kargo_lab.errors import VersionError
from kargo_lab.platforms.access import AccessLog, Application, Environ, StartResponse, utc_now
from kargo_lab.platforms.hooks import DeliveryRow
from kargo_lab.platforms.oci.auth import known_user
from kargo_lab.platforms.oci.chart_packages import ChartPackage, package_chart
from kargo_lab.platforms.oci.images import created_text
from kargo_lab.platforms.serving import Server
from kargo_lab.rules import versions

INDEX = "index.yaml"


@attrs.frozen
class ChartEvent:
    """`action` is `push` or `delete`; `repository` the path of the repository, empty for the only one."""

    action: str
    repository: str
    name: str
    version: str
    digest: str
    size: int
    time: datetime


@attrs.frozen
class _Stored:
    package: ChartPackage
    created: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.package.archive).hexdigest()

    def entry(self, url: str) -> dict[str, Any]:
        return {
            **self.package.metadata, "created": self.created, "digest": self.digest,
            "urls": [f"{url}/{self.package.file_name}" if url else self.package.file_name],
        }  # fmt: skip


def write_index(entries: Mapping[str, Sequence[Mapping[str, Any]]], generated: str) -> str:
    """The text of an `index.yaml`."""
    document = {
        "apiVersion": "v1",
        "entries": {name: [dict(one) for one in entries[name]] for name in sorted(entries)},
        "generated": generated,
    }
    # libyaml where it is there: indexes of thousands of versions are common.
    text: str = yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)
    return text


def _newest_first(stored: Iterable[_Stored]) -> list[_Stored]:
    """As Helm sorts: by version, and what is no version last."""

    def rank(one: _Stored) -> tuple[bool, Any]:
        try:
            return True, versions.parse(str(one.package.metadata["version"])).key
        except VersionError:
            return False, ()

    readable = sorted((one for one in stored if rank(one)[0]), key=lambda one: rank(one)[1], reverse=True)
    return readable + [one for one in stored if not rank(one)[0]]


class ChartHost:
    """Any number of classic repositories between `start()` and `stop()`, or as a context manager.

    `users` (name to password) makes every file need Basic credentials. Not `relative_urls` writes
    whole addresses into the index. `layers` are as in `Registry`.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, str] | None = None,
        relative_urls: bool = True,
        layers: Sequence[Callable[[Application], Application]] = (),
        on_event: Callable[[ChartEvent], None] | None = None,
        port: int = 0,
        address: str = "127.0.0.1",
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.access_log = AccessLog(now)
        self._users, self._relative, self._now = dict(users or {}), relative_urls, now
        self._listeners = [on_event] if on_event else []
        self._lock = threading.RLock()
        self._stored: dict[str, dict[tuple[str, str], _Stored]] = {"": {}}
        self._indexes: dict[str, str] = {}
        self._replaced: dict[str, tuple[int, bytes]] = {}
        application: Application = self._application
        for layer in reversed(layers):
            application = layer(application)
        self._server = Server(self.access_log.wrap(application), port=port, address=address)

    def start(self) -> Self:
        """Serve; the port answers when this returns."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving; the charts stay. A second call does nothing."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the repository without a path; `repository_url` has the others."""
        return self._server.url

    @property
    def host(self) -> str:
        """`127.0.0.1:4711`."""
        return self._server.host

    @property
    def deliveries(self) -> tuple[DeliveryRow, ...]:
        """None: classic chart repositories tell nobody."""
        return ()

    def repository_url(self, repository: str = "") -> str:
        """What a subscription names as `repoURL`."""
        return f"{self.url}/{repository}" if repository else self.url

    def subscribe(self, listener: Callable[[ChartEvent], None]) -> None:
        """Tell `listener` about every push and deletion from now on."""
        self._listeners.append(listener)

    def push_chart(
        self,
        name: str,
        version: str,
        *,
        repository: str = "",
        app_version: str = "",
        created: datetime | str | None = None,
        values: str = "",
    ) -> str:
        """Package a chart and put it into the index; its digest (hex). The same version again replaces it."""
        package = package_chart(name, version, app_version=app_version, values=values)
        stored = _Stored(package, created_text(created or self._now()))
        with self._lock:
            self._stored.setdefault(repository, {})[name, version] = stored
            self._indexes.pop(repository, None)
        self._tell("push", repository, stored)
        return stored.digest

    def delete_chart(self, name: str, version: str, *, repository: str = "") -> bool:
        """Take a version out of index and store; True if it was there."""
        with self._lock:
            stored = self._stored.get(repository, {}).pop((name, version), None)
            self._indexes.pop(repository, None)
        if stored is not None:
            self._tell("delete", repository, stored)
        return stored is not None

    def replace_file(self, path: str, content: str | bytes, *, status: int = 200) -> None:
        """Serve this at `path` (`index.yaml`, `team/index.yaml`) instead of what belongs there."""
        self._replaced[path] = (status, content.encode() if isinstance(content, str) else content)

    def _tell(self, action: str, repository: str, stored: _Stored) -> None:
        metadata = stored.package.metadata
        event = ChartEvent(
            action, repository, str(metadata["name"]), str(metadata["version"]),
            stored.digest, len(stored.package.archive), self._now(),
        )  # fmt: skip
        for listener in tuple(self._listeners):
            listener(event)

    def index(self, repository: str = "") -> str:
        """The text of a repository's `index.yaml`, which is the same until a chart comes or goes."""
        with self._lock:
            if repository not in self._indexes:
                self._indexes[repository] = self._made_index(repository)
            return self._indexes[repository]

    def _made_index(self, repository: str) -> str:
        stored = list(self._stored[repository].values())
        url = "" if self._relative else self.repository_url(repository)
        entries: dict[str, list[dict[str, Any]]] = {}
        for one in _newest_first(stored):
            entries.setdefault(str(one.package.metadata["name"]), []).append(one.entry(url))
        return write_index(entries, created_text(self._now()))

    def _application(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if self._users and not known_user(request.headers.get("Authorization", ""), self._users):
            return Response("unauthorized\n", 401, headers={"WWW-Authenticate": 'Basic realm="charts"'})
        if request.method not in ("GET", "HEAD"):
            return Response("method not allowed\n", 405, headers={"Allow": "GET, HEAD"})
        path = request.path.lstrip("/")
        if path in self._replaced:
            status, content = self._replaced[path]
            return Response(content, status, content_type="text/yaml")
        found = self._file(path)
        if found is None:
            return Response("404 page not found\n", 404, content_type="text/plain")
        content, content_type = found
        answer = Response(content, content_type=content_type)
        answer.add_etag()
        answer.make_conditional(request)
        return answer

    def _file(self, path: str) -> tuple[bytes, str] | None:
        repository, _, name = path.rpartition("/")
        if repository not in self._stored:
            return None
        if name == INDEX:
            return self.index(repository).encode(), "text/yaml"
        with self._lock:
            packages = [one.package for one in self._stored[repository].values()]
        archives = (package.archive for package in packages if package.file_name == name)
        content = next(archives, None)
        return None if content is None else (content, "application/gzip")
