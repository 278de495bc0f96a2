"""A registry that is reached over HTTP: pushed to and looked at through nothing but the distribution API.

The process and the container are this with a life of their own; it also fills a registry that
somebody else runs.
"""

from __future__ import annotations

import re
from datetime import datetime
from http import HTTPStatus

import requests

from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.access import AccessRow
from kargo_lab.platforms.hooks import DeliveryRow
from kargo_lab.platforms.oci.filling import Filling
from kargo_lab.platforms.oci.images import Artifact
from kargo_lab.platforms.oci.manifests import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    OCI_INDEX,
    OCI_MANIFEST,
    read,
)

ACCEPT = f"{OCI_INDEX},{DOCKER_LIST},{OCI_MANIFEST},{DOCKER_MANIFEST},{DOCKER_SCHEMA1}"
SECONDS = 30

# The combined log format, which distribution writes to its standard output.
_LINE = re.compile(
    r'\S+ - (?P<user>\S+) \[(?P<time>[^]]+)\] "(?P<method>[A-Z]+) (?P<target>\S+) HTTP/[\d.]+" '
    r'(?P<status>\d{3}) (?P<sent>\d+) "[^"]*" "(?P<agent>[^"]*)"'
)


class RemoteRegistry(Filling):
    """`url` without a slash at the end; `credentials` are user and password for Basic authentication."""

    def __init__(self, url: str = "", *, credentials: tuple[str, str] | None = None) -> None:
        self.url, self._credentials = url, credentials

    @property
    def host(self) -> str:
        """`127.0.0.1:4711`: what an image reference begins with."""
        return self.url.partition("://")[2]

    @property
    def deliveries(self) -> tuple[DeliveryRow, ...]:
        """None that we know of: it delivers its notifications itself."""
        return ()

    def request(self, method: str, path: str, *, allowed: tuple[int, ...] = (), **options: object) -> requests.Response:
        """One call below `/v2/`. Raises UpstreamError for a status of 400 and more that is not `allowed`."""
        url = self.url + path if path.startswith("/") else f"{self.url}/v2/{path}"
        try:
            answer = requests.request(method, url, auth=self._credentials, timeout=SECONDS, **options)  # type: ignore[arg-type]  # options are those of requests
        except requests.RequestException as error:
            raise UpstreamError(f"{method} {url}: no answer ({error})") from error
        if answer.status_code >= HTTPStatus.BAD_REQUEST and answer.status_code not in allowed:
            raise UpstreamError(f"{method} {url}: {answer.status_code} {answer.text}", status=answer.status_code)
        return answer

    def push(self, repository: str, artifact: Artifact, *tags: str) -> str:
        """Blobs first, children before their index, then the manifest under each tag; its digest."""
        for child in artifact.children:
            self.push(repository, child)
        for digest, blob in artifact.blobs.items():
            self._push_blob(repository, digest, blob)
        for reference in tags or (artifact.digest,):
            self._put_manifest(repository, reference, artifact.manifest, artifact.media_type)
        return artifact.digest

    def _push_blob(self, repository: str, digest: str, blob: bytes) -> None:
        if self.request("HEAD", f"{repository}/blobs/{digest}", allowed=(404,)).ok:
            return
        begun = self.request("POST", f"{repository}/blobs/uploads/")
        where = requests.compat.urljoin(begun.url, begun.headers["Location"])
        path = where.removeprefix(self.url)
        self.request(
            "PUT", path, params={"digest": digest}, data=blob, headers={"Content-Type": "application/octet-stream"}
        )

    def _put_manifest(self, repository: str, reference: str, manifest: bytes, media_type: str) -> None:
        headers = {"Content-Type": media_type}
        self.request("PUT", f"{repository}/manifests/{reference}", data=manifest, headers=headers)

    def tags(self, repository: str) -> list[str]:
        """All tags over all pages, in the order of their bytes; none where the repository is unknown."""
        found: list[str] = []
        path = f"{repository}/tags/list"
        while path:
            answer = self.request("GET", path, allowed=(404,))
            if not answer.ok:
                break
            found += answer.json()["tags"] or []
            following = answer.links.get("next", {}).get("url", "")
            path = requests.compat.urljoin(answer.url, following).removeprefix(self.url) if following else ""
        return sorted(found)

    def digest(self, repository: str, tag: str) -> str | None:
        """What a tag points to."""
        answer = self.request("HEAD", f"{repository}/manifests/{tag}", allowed=(404,), headers={"Accept": ACCEPT})
        return answer.headers.get("Docker-Content-Digest") if answer.ok else None

    def retag(self, repository: str, source: str, *tags: str) -> str:
        """Give the manifest behind a tag or digest more tags; its digest."""
        answer = self.request("GET", f"{repository}/manifests/{source}", headers={"Accept": ACCEPT})
        reading = read(answer.content, answer.headers["Content-Type"])
        for tag in tags:
            self._put_manifest(repository, tag, answer.content, reading.media_type)
        return answer.headers["Docker-Content-Digest"]

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Remove a manifest with its tags; True if there was one."""
        return self.request("DELETE", f"{repository}/manifests/{digest}", allowed=(404,)).ok

    def delete_tag(self, repository: str, tag: str) -> bool:
        """Remove a tag. Raises UpstreamError (405) where the registry cannot, as distribution before 3.0."""
        return self.request("DELETE", f"{repository}/manifests/{tag}", allowed=(404,)).ok


def read_access_log(text: str) -> list[AccessRow]:
    """The requests in a log of the combined format; all other lines are somebody else's."""
    rows = []
    for found in _LINE.finditer(text):
        path, _, query = found["target"].partition("?")
        rows.append(
            AccessRow(
                time=datetime.strptime(found["time"], "%d/%b/%Y:%H:%M:%S %z"),
                method=found["method"],
                path=path,
                query=query,
                status=int(found["status"]),
                sent_bytes=int(found["sent"]),
                user=found["user"].removeprefix("-"),
                user_agent=found["agent"],
            )
        )
    return rows
