"""An OCI client that makes exactly the requests of the library that Kargo links.

go-containerregistry opens a session for every call: it pings the registry, meets the challenge, then
asks what it came for (discovery.md 3.10). There are no HEAD requests, no conditional ones, and
nothing is kept from one call to the next; that is what makes the counts of 3.11 what they are.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

import attrs

from kargo_lab.errors import UpstreamError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.rules import json as gojson
from kargo_lab.sources import oci_auth
from kargo_lab.sources.manifests import read
from kargo_lab.sources.oci_auth import ANONYMOUS, UNAUTHORIZED, Challenge, Login
from kargo_lab.sources.outgoing import NO_RETRIES, Outgoing, Reply, Retries, SlowConnection, joined

OK = 200
TLS_LEAD_SECONDS = 0.3
PAGE_SIZE = 1000  # what the library asks for; ECR refuses more
MOST_PAGES = 100_000  # a registry whose pages go round in a circle must not hold a Warehouse for ever
MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_RETRIED = frozenset({408, 500, 502, 503, 504, 499, 522})
_TAGS = gojson.Struct({"name": gojson.TEXT, "tags": gojson.ListOf(gojson.TEXT)})


def retries(profile: Profile = LATEST) -> Retries:
    """go-containerregistry's: three tries, about one and three seconds between them."""
    statuses = _RETRIED | {429} if profile.registry_retries_429 else _RETRIED
    return Retries(statuses=statuses, waits_seconds=(1.0, 3.0))


@attrs.frozen(kw_only=True)
class Manifest:
    """A manifest or index as it came; `digest` is that of its bytes."""

    media_type: str
    digest: str
    body: bytes = attrs.field(repr=False)


class Session:
    """One opened session: the scheme that worked, and the credentials in the form that was asked for."""

    def __init__(self, outgoing: Outgoing, registry: str, repository: str, login: Login) -> None:
        self._out, self._registry, self._repository, self._login = outgoing, registry, repository, login
        self._scheme, self._challenge, self._bearer = "https", Challenge(scheme="anonymous"), ""
        self._scopes: tuple[str, ...] = (f"repository:{repository}:pull",)

    def open(self) -> Session:
        """Ping, and fetch a token where the registry wants one."""
        self._scheme, self._challenge = self._ping()
        if self._challenge.scheme == "bearer":
            self._refresh()
        elif self._challenge.scheme not in ("anonymous", "basic"):
            raise UpstreamError(f"{self._registry}: unrecognized challenge {self._challenge.scheme!r}")
        return self

    def _ping(self) -> tuple[str, Challenge]:
        """The scheme that answers, and the challenge. Hosts that may speak plain HTTP are tried with TLS first."""
        if not oci_auth.plain_http_allowed(self._registry):
            return self._ping_with("https")
        # The library lets both race, with a lead of 300 ms for TLS. One after the other comes to the
        # same requests: plain HTTP gets its turn when TLS failed or was slow, and TLS once more after that.
        failures: list[UpstreamError] = []
        for scheme, lead in (("https", TLS_LEAD_SECONDS), ("http", None), ("https", None)):
            if lead is None and scheme == "https" and not isinstance(failures[0], SlowConnection):
                break
            try:
                return self._ping_with(scheme, lead=lead)
            except UpstreamError as error:
                failures.append(error)
        status = next((failure.status for failure in failures if failure.status), 0)
        raise UpstreamError("; ".join(str(failure) for failure in failures), status=status)

    def _ping_with(self, scheme: str, *, lead: float | None = None) -> tuple[str, Challenge]:
        reply = self._out.follow(
            f"{scheme}://{self._registry}/v2/",
            kind="ping",
            redirected="ping",
            retries=None if lead is None else NO_RETRIES,
            connect_seconds=lead,
        )
        answered = urlsplit(reply.url).scheme  # a redirect of the ping may have led to the other scheme
        if reply.status == OK:
            return answered, Challenge(scheme="anonymous")
        if reply.status == UNAUTHORIZED:
            return answered, oci_auth.pick(reply) or Challenge(scheme="")
        raise UpstreamError(f"ping of {self._registry}: status {reply.status}", status=reply.status)

    def _refresh(self) -> None:
        service = self._challenge.parameters.get("service", self._registry)
        url = oci_auth.realm_url(self._challenge, service=service, scopes=self._scopes)
        headers = {"Authorization": self._login.basic} if self._login else {}
        self._bearer = oci_auth.token(self._out.follow(url, kind="token", redirected="token", headers=headers))

    def get(self, url: str, *, kind: str, redirected: str = "redirected", accept: str = "", cache: str = "") -> Reply:
        """A GET within the session; a 401 with a challenge is met once with a new token."""
        reply = self._send(url, kind=kind, redirected=redirected, accept=accept, cache=cache)
        if self._challenge.scheme == "bearer" and reply.status == UNAUTHORIZED:
            asked = oci_auth.challenges(reply.header("www-authenticate"))
            if asked:
                wanted = [each.parameters["scope"] for each in asked if "scope" in each.parameters]
                fresh = tuple(scope for scope in wanted if scope not in self._scopes)
                self._scopes = fresh + self._scopes
                self._refresh()
                reply = self._send(url, kind=kind, redirected=redirected, accept=accept, cache=cache)
        return reply

    def _send(self, url: str, *, kind: str, redirected: str, accept: str, cache: str) -> Reply:
        headers: dict[str, str] = {"Accept": accept} if accept else {}
        if self._challenge.scheme == "bearer":
            headers["Authorization"] = f"Bearer {self._bearer}"
        elif self._challenge.scheme == "basic" and self._login:
            headers["Authorization"] = self._login.basic
        return self._out.follow(url, kind=kind, redirected=redirected, headers=headers, cache=cache)

    def url(self, *path: str) -> str:
        """The URL of something in the repository."""
        return f"{self._scheme}://{self._registry}/v2/{self._repository}/{'/'.join(path)}"

    def blob(self, digest: str) -> bytes:
        """A blob, checked against its digest."""
        readable(digest)
        reply = checked(self.get(self.url("blobs", digest), kind="blob", redirected="redirected-blob"))
        verify(reply.body, digest)
        return reply.body


class Repository:
    """One repository of one registry, with the settings under which it is asked."""

    def __init__(self, outgoing: Outgoing, registry: str, repository: str, login: Login = ANONYMOUS) -> None:
        self._out, self.registry, self.repository, self._login = outgoing, registry, repository, login

    def session(self) -> Session:
        """A fresh session, opened."""
        return Session(self._out, self.registry, self.repository, self._login).open()

    def tags(self) -> tuple[str, ...]:
        """All tags, page after page."""
        session, found = self.session(), list[str]()
        url = session.url("tags", f"list?n={PAGE_SIZE}")
        for _ in range(MOST_PAGES):
            reply = checked(session.get(url, kind="tags"))
            found += read(reply.body, _TAGS, "tag list")["tags"]
            following = next_page(reply)
            if following is None:
                return tuple(found)
            if following == url:
                break
            url = following
        raise UpstreamError(f"{self.registry}/{self.repository}: the tag list never ends")

    def manifest(self, reference: str, *, cache: str = "") -> tuple[Manifest, Session]:
        """What a tag or digest points at, with the session that may fetch its config."""
        by_digest = ":" in reference
        if by_digest:
            readable(reference)
        session = self.session()
        reply = checked(
            session.get(
                session.url("manifests", reference),
                kind="manifest-by-digest" if by_digest else "manifest-by-tag",
                accept=",".join(MANIFEST_TYPES),
                cache=cache,
            )
        )
        digest = "sha256:" + hashlib.sha256(reply.body).hexdigest()
        if by_digest:
            verify(reply.body, reference)
        return Manifest(media_type=reply.header("content-type"), digest=digest, body=reply.body), session


def checked(reply: Reply) -> Reply:
    """The reply if it is a 200; else an UpstreamError with its status."""
    if reply.status != OK:
        raise UpstreamError(f"{reply.url}: status {reply.status}", status=reply.status)
    return reply


def readable(digest: str) -> None:
    """Raise UpstreamError unless the text is a digest: it comes from a manifest and goes into a URL."""
    if not _DIGEST.fullmatch(digest):
        raise UpstreamError(f"{digest[:200]!r} is no digest")


def verify(body: bytes, digest: str) -> None:
    """Raise UpstreamError unless the digest is that of the bytes."""
    readable(digest)
    algorithm, _, wanted = digest.partition(":")
    if hashlib.new(algorithm, body).hexdigest() != wanted:
        raise UpstreamError(f"the content does not have the digest {digest}")


def next_page(reply: Reply) -> str | None:
    """The URL that a Link header leads to, whatever its relation, as both libraries read it."""
    link = reply.header("link")
    if not link:
        return None
    if not link.startswith("<") or ">" not in link:
        raise UpstreamError(f"malformed Link header {link!r}")
    return joined(reply.url, link[1 : link.index(">")])
