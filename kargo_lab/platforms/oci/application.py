"""The registry as a WSGI application: which path and method is which endpoint, and who may call it.

Nothing here knows about servers, threads or folders, so the same application answers in tests
without a socket.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

import attrs
from flask import Request, Response

from kargo_lab.platforms.access import Environ, StartResponse, utc_now
from kargo_lab.platforms.oci import blobs, content
from kargo_lab.platforms.oci.answers import VERSION_HEADER, document, refusal
from kargo_lab.platforms.oci.auth import (
    DELETE,
    PULL,
    PUSH,
    Authority,
    BearerAuthority,
    Challenge,
    Need,
    OpenAuthority,
)
from kargo_lab.platforms.oci.call import Call, RegistrySettings
from kargo_lab.platforms.oci.events import RegistryEvent
from kargo_lab.platforms.oci.storage import Storage, is_digest
from kargo_lab.platforms.oci.uploads import Uploads

Endpoint = Callable[[Call, str], Response]


@attrs.frozen
class Route:
    """One path and what its methods do, with the actions they need on the repository."""

    path: re.Pattern[str]
    methods: Mapping[str, tuple[Endpoint, tuple[str, ...]]]


def _route(path: str, **methods: tuple[Endpoint, tuple[str, ...]]) -> Route:
    return Route(re.compile(path), MappingProxyType(methods))


_READ, _WRITE, _REMOVE = (PULL,), (PULL, PUSH), (DELETE,)

ROUTES = (
    _route(r"(?P<name>.+)/tags/list", GET=(content.list_tags, _READ), HEAD=(content.list_tags, _READ)),
    _route(
        r"(?P<name>.+)/manifests/(?P<last>[^/]+)",
        GET=(content.pull_manifest, _READ),
        HEAD=(content.pull_manifest, _READ),
        PUT=(content.push_manifest, _WRITE),
        DELETE=(content.delete_manifest, _REMOVE),
    ),
    _route(r"(?P<name>.+)/blobs/uploads/?", POST=(blobs.begin_upload, _WRITE)),
    _route(
        r"(?P<name>.+)/blobs/uploads/(?P<last>[^/]+)",
        GET=(blobs.upload_status, _READ),
        HEAD=(blobs.upload_status, _READ),
        PATCH=(blobs.append_to_upload, _WRITE),
        PUT=(blobs.finish_upload, _WRITE),
        DELETE=(blobs.cancel_upload, _WRITE),
    ),
    _route(
        r"(?P<name>.+)/blobs/(?P<last>[^/]+)",
        GET=(blobs.pull_blob, _READ),
        HEAD=(blobs.pull_blob, _READ),
        DELETE=(blobs.delete_blob, _REMOVE),
    ),
    _route(r"(?P<name>.+)/referrers/(?P<last>[^/]+)", GET=(content.list_referrers, _READ)),
)


class RegistryApplication:
    """Answers requests from `storage`; `tell` is called once for every event, after it happened."""

    def __init__(
        self,
        storage: Storage,
        *,
        settings: RegistrySettings | None = None,
        authority: Authority | None = None,
        tell: Callable[[RegistryEvent], None] = lambda _event: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.storage, self.settings = storage, settings or RegistrySettings()
        self.authority: Authority = authority or OpenAuthority()
        self.uploads = Uploads(storage.incoming)
        self._tell, self._now = tell, now

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        return self.answer(Request(environ))(environ, start_response)

    def answer(self, request: Request) -> Response:
        """One request, by path."""
        path = request.path
        if isinstance(self.authority, BearerAuthority) and path == self.authority.token_path:
            return self._token(self.authority, request)
        if path.startswith(blobs.STORAGE_PATH):
            return self._redirected(request, path.removeprefix(blobs.STORAGE_PATH))
        if path in ("/v2/", "/v2"):
            return self._challenged(request, None) or document({})
        if path == "/v2/_catalog":
            return self._catalogue(request)
        if path.startswith("/v2/"):
            return self._routed(request, path.removeprefix("/v2/"))
        return Response("404 page not found\n", 404, content_type="text/plain; charset=utf-8")

    def _routed(self, request: Request, path: str) -> Response:
        route, found = next(((route, found) for route in ROUTES if (found := route.path.fullmatch(path))), (None, None))
        if route is None or found is None:
            return Response("404 page not found\n", 404, content_type="text/plain; charset=utf-8")
        name, last = found["name"], found.groupdict().get("last") or ""
        if not content.is_name(name):
            return refusal("NAME_INVALID", {"name": name})
        if request.method not in route.methods:
            return refusal("UNSUPPORTED", headers={"Allow": ", ".join(sorted(route.methods))})
        endpoint, actions = route.methods[request.method]
        if (challenge := self._challenged(request, Need("repository", name, actions))) is not None:
            return challenge
        try:
            return endpoint(self._call(request, name), last)
        except FileNotFoundError:
            # Deleted by another request between the look and the reading.
            return refusal("BLOB_UNKNOWN", {"reference": last})

    def _call(self, request: Request, name: str) -> Call:
        decision = self.authority.decide(request.headers.get("Authorization", ""), None, request.host)
        return Call(
            request=request,
            repository=name,
            storage=self.storage,
            uploads=self.uploads,
            settings=self.settings,
            event=RegistryEvent(
                action="",
                repository=name,
                method=request.method,
                host=request.host,
                address=f"{request.remote_addr}:{request.environ.get('REMOTE_PORT', '')}",
                actor="" if isinstance(decision, Challenge) else decision.actor,
                user_agent=request.headers.get("User-Agent", ""),
                id=secrets.token_hex(16),
                time=self._now(),
            ),
            tell=self._tell,
        )

    def _challenged(self, request: Request, need: Need | None) -> Response | None:
        decision = self.authority.decide(request.headers.get("Authorization", ""), need, request.host)
        if not isinstance(decision, Challenge):
            return None
        detail = None if need is None else [
            {"Type": need.kind, "Name": need.name, "Action": action} for action in need.actions
        ]  # fmt: skip
        return refusal("UNAUTHORIZED", detail or decision.message, headers={"WWW-Authenticate": decision.header})

    def _catalogue(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return refusal("UNSUPPORTED", headers={"Allow": "GET, HEAD"})
        challenge = self._challenged(request, Need("registry", "catalog", ("*",)))
        return challenge or content.list_repositories(self._call(request, ""))

    def _redirected(self, request: Request, digest: str) -> Response:
        """What a redirected client fetches: as at cloud storage, credentials that followed are an error."""
        if "Authorization" in request.headers:
            return Response("only one authentication mechanism is allowed\n", 400, content_type="text/plain")
        if not is_digest(digest) or not self.storage.path(digest).exists():
            return Response("no such object\n", 404, content_type="text/plain")
        size = self.storage.path(digest).stat().st_size
        return blobs.serve_content(self._call(request, ""), digest, size)

    def _token(self, authority: BearerAuthority, request: Request) -> Response:
        if request.method == "POST":
            answer = authority.answer_form(request.form, scopes=request.form.getlist("scope"))
        else:
            answer = authority.answer(
                request.headers.get("Authorization", ""),
                request.args.getlist("scope"),
                service=request.args.get("service", ""),
            )
        response = Response(json.dumps(answer.body), answer.status, content_type="application/json")
        response.headers.update(VERSION_HEADER)
        return response
