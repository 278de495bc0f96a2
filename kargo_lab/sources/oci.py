"""An OCI client that makes exactly the requests of the library that Kargo links.

go-containerregistry opens a session for every call: it pings the registry, meets the challenge, then
asks what it came for (discovery.md 3.10). There are no HEAD requests, no conditional ones, and
nothing is kept from one call to the next; that is what makes the counts of 3.11 what they are.
Where `Sessions` are handed in, as lean mode does, a session is opened once and used until it fails.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

import attrs

from kargo_lab.errors import UpstreamError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.rules import json as gojson
from kargo_lab.sources import oci_auth
from kargo_lab.sources.manifests import read
from kargo_lab.sources.oci_auth import ANONYMOUS, UNAUTHORIZED, Challenge, Login
from kargo_lab.sources.outgoing import NO_RETRIES, Outgoing, Reply, Retries, SlowConnection, joined

OK, NOT_MODIFIED, NOT_FOUND = 200, 304, 404
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
_ACCEPT = {"Accept": ",".join(MANIFEST_TYPES)}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_RETRIED = frozenset({408, 500, 502, 503, 504, 499, 522})
_TAGS = gojson.Struct({"name": gojson.TEXT, "tags": gojson.ListOf(gojson.TEXT)})
# Google's registries tell with each page of tags what they point at (go-containerregistry, pkg/v1/google/list.go).
_POINTED = gojson.Struct(
    {"manifest": gojson.MapOf(gojson.Struct({"mediaType": gojson.TEXT, "tag": gojson.ListOf(gojson.TEXT)}))}
)


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
    etag: str = ""


@attrs.frozen(kw_only=True)
class Listing:
    """All tags, and of those of which the registry told it: digest and media type."""

    tags: tuple[str, ...]
    pointing: Mapping[str, tuple[str, str]]


@attrs.frozen(kw_only=True)
class Opened:
    """What opening a session found out: how the registry wants to be talked to."""

    scheme: str
    challenge: Challenge
    bearer: str = attrs.field(repr=False)
    scopes: tuple[str, ...]
    good_until: float = float("inf")  # the token, as the clock of requests counts; as far as its service said


class Sessions(Protocol):
    """Where what was found out is kept for the next session with the same repository."""

    def load(self) -> Opened | None:
        """What is known; None for nothing."""
        ...

    def store(self, opened: Opened | None) -> None:
        """Keep it; None forgets."""
        ...


class Session:
    """One opened session: the scheme that worked, and the credentials in the form that was asked for."""

    def __init__(self, outgoing: Outgoing, registry: str, repository: str, login: Login) -> None:
        self._out, self._registry, self._repository, self._login = outgoing, registry, repository, login
        self._scheme, self._challenge, self._bearer = "https", Challenge(scheme="anonymous"), ""
        self._scopes: tuple[str, ...] = (f"repository:{repository}:pull",)
        self._good_until = float("inf")

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
        asked_at = self._out.monotonic()
        reply = self._out.follow(url, kind="token", redirected="token", headers=headers)
        self._bearer, seconds = oci_auth.token(reply), oci_auth.lifetime(reply)
        self._good_until = float("inf") if seconds is None else asked_at + seconds

    @property
    def opened(self) -> Opened:
        """What the session knows by now."""
        return Opened(
            scheme=self._scheme,
            challenge=self._challenge,
            bearer=self._bearer,
            scopes=self._scopes,
            good_until=self._good_until,
        )

    def adopt(self, opened: Opened) -> None:
        """Go on where another session with the same repository is."""
        self._scheme, self._challenge = opened.scheme, opened.challenge
        self._bearer, self._scopes, self._good_until = opened.bearer, opened.scopes, opened.good_until

    def get(
        self,
        url: str,
        *,
        kind: str,
        redirected: str = "redirected",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        cache: str = "",
    ) -> Reply:
        """A GET within the session; a 401 with a challenge is met once with a new token."""
        ask = partial(self._send, url, headers or {}, kind=kind, redirected=redirected, method=method, cache=cache)
        reply = ask()
        if self._challenge.scheme == "bearer" and reply.status == UNAUTHORIZED:
            challenges = oci_auth.challenges(reply.header("www-authenticate"))
            if challenges:
                wanted = [each.parameters["scope"] for each in challenges if "scope" in each.parameters]
                fresh = tuple(scope for scope in wanted if scope not in self._scopes)
                self._scopes = fresh + self._scopes
                self._refresh()
                reply = ask()
        return reply

    def _send(
        self, url: str, given: Mapping[str, str], *, kind: str, redirected: str, method: str, cache: str
    ) -> Reply:
        headers = dict(given)
        if self._challenge.scheme == "bearer":
            headers["Authorization"] = f"Bearer {self._bearer}"
        elif self._challenge.scheme == "basic" and self._login:
            headers["Authorization"] = self._login.basic
        return self._out.follow(url, kind=kind, redirected=redirected, method=method, headers=headers, cache=cache)

    def url(self, *path: str) -> str:
        """The URL of something in the repository."""
        return f"{self._scheme}://{self._registry}/v2/{self._repository}/{'/'.join(path)}"

    def blob(self, digest: str) -> bytes:
        """A blob, checked against its digest."""
        readable(digest)
        reply = checked(self.get(self.url("blobs", digest), kind="blob", redirected="redirected-blob"))
        verify(reply.body, digest)
        return reply.body


class KeptSession(Session):
    """A session that goes on where the last one was, and starts anew where that is not good enough."""

    def __init__(self, outgoing: Outgoing, registry: str, repository: str, login: Login, sessions: Sessions) -> None:
        super().__init__(outgoing, registry, repository, login)
        self._sessions, self._resumed = sessions, False

    def open(self) -> Session:
        """Take what is known, else find out."""
        if (known := self._sessions.load()) is not None:
            self.adopt(known)
            self._resumed = True
            if self._out.monotonic() >= self._good_until:  # a request less than to be told so
                try:
                    self._refresh()
                except UpstreamError:
                    self._sessions.store(None)
                    raise
                self._sessions.store(self.opened)
            return self
        super().open()
        self._sessions.store(self.opened)
        return self

    def get(
        self,
        url: str,
        *,
        kind: str,
        redirected: str = "redirected",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        cache: str = "",
    ) -> Reply:
        """As that of any session; one that was resumed in vain is opened again, once."""
        try:
            ask = partial(
                super().get, url, kind=kind, redirected=redirected, method=method, headers=headers, cache=cache
            )
            reply = ask()
            if reply.status == UNAUTHORIZED and self._resumed:
                self._resumed = False
                super().open()
                reply = ask()
        except UpstreamError:
            self._sessions.store(None)
            raise
        self._sessions.store(self.opened if reply.status != UNAUTHORIZED else None)
        return reply


class Repository:
    """One repository of one registry, with the settings under which it is asked."""

    def __init__(
        self,
        outgoing: Outgoing,
        registry: str,
        repository: str,
        login: Login = ANONYMOUS,
        *,
        sessions: Sessions | None = None,
    ) -> None:
        self._out, self.registry, self.repository, self._login = outgoing, registry, repository, login
        self._sessions = sessions

    def session(self) -> Session:
        """A session, opened: a fresh one, or the one that is kept."""
        if self._sessions is not None:
            return KeptSession(self._out, self.registry, self.repository, self._login, self._sessions).open()
        return Session(self._out, self.registry, self.repository, self._login).open()

    def tags(self) -> tuple[str, ...]:
        """All tags, page after page."""
        return self.listing().tags

    def listing(self) -> Listing:
        """All tags, page after page, with what else the pages say of them."""
        session, found, pointing = self.session(), list[str](), dict[str, tuple[str, str]]()
        url = session.url("tags", f"list?n={PAGE_SIZE}")
        for _ in range(MOST_PAGES):
            reply = checked(session.get(url, kind="tags"))
            found += read(reply.body, _TAGS, "tag list")["tags"]
            pointing.update(_pointing(reply.body))
            following = next_page(reply)
            if following is None:
                return Listing(tags=tuple(found), pointing=pointing)
            if following == url:
                break
            url = following
        raise UpstreamError(f"{self.registry}/{self.repository}: the tag list never ends")

    def digest(self, tag: str) -> Manifest | None:
        """What a tag points at, by a HEAD and so without its body; None if the registry does not say."""
        session = self.session()
        reply = session.get(session.url("manifests", tag), kind="digest", method="HEAD", headers=_ACCEPT)
        if reply.status == NOT_FOUND:
            checked(reply)
        digest = reply.header("docker-content-digest")
        if reply.status != OK or not _DIGEST.fullmatch(digest):
            return None
        return Manifest(media_type=reply.header("content-type"), digest=digest, body=b"")

    def manifest(self, reference: str, *, cache: str = "") -> tuple[Manifest, Session]:
        """What a tag or digest points at, with the session that may fetch its config."""
        if ":" in reference:
            readable(reference)
        session = self.session()
        return _manifest(checked(self._manifest(session, reference, cache)), reference), session

    def manifest_unless(self, tag: str, etag: str) -> tuple[Manifest | None, Session]:
        """As `manifest`, with None for a tag that the registry says is still what had that ETag."""
        session = self.session()
        reply = self._manifest(session, tag, "", unless=etag)
        return None if reply.status == NOT_MODIFIED else _manifest(checked(reply), tag), session

    @staticmethod
    def _manifest(session: Session, reference: str, cache: str, *, unless: str = "") -> Reply:
        return session.get(
            session.url("manifests", reference),
            kind="manifest-by-digest" if ":" in reference else "manifest-by-tag",
            headers={**_ACCEPT, "If-None-Match": unless} if unless else _ACCEPT,
            cache=cache,
        )


def _pointing(page: bytes) -> Mapping[str, tuple[str, str]]:
    """Where the tags of a page point, if it says; nobody who does not know of this would mind whatever is there."""
    if b'"manifest"' not in page:
        return {}
    try:
        manifests = gojson.decode(page, _POINTED)["manifest"]
    except gojson.JSONError:
        return {}
    return {
        tag: (digest, told["mediaType"])
        for digest, told in manifests.items()
        if _DIGEST.fullmatch(digest) and told["mediaType"]
        for tag in told["tag"]
    }


def _manifest(reply: Reply, reference: str) -> Manifest:
    if ":" in reference:
        verify(reply.body, reference)
    return Manifest(
        media_type=reply.header("content-type"),
        digest="sha256:" + hashlib.sha256(reply.body).hexdigest(),
        body=reply.body,
        etag=reply.header("etag"),
    )


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
