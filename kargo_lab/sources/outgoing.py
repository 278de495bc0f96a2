"""HTTP that is counted: every request to a registry or chart repository leaves through here.

As in Kargo each request has a connection of its own (keep-alive is off), waits for its turn at a
client-side limiter, and is retried as its library retries. What never reached the wire is no
request and gets no row; it fails as an UpstreamError that says why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

import attrs
import requests
import urllib3

from kargo_lab.engine.clock import Clock
from kargo_lab.errors import UpstreamError
from kargo_lab.sources.connections import DRIPPED, Adapter, Connections, patience
from kargo_lab.sources.ledger import Ledger, LedgerRow
from kargo_lab.sources.limits import DOCKER_HUB, RateLimiter

REDIRECTS = frozenset({301, 302, 303, 307, 308})
TOO_MANY = 429
USER_AGENT = "kargo-lab"
MOST_REDIRECTS = 10  # as Go's client
BODY_LIMIT = 100 * 1024**2  # bytes; go-containerregistry's for manifests and configs
UNHEADED_SECONDS = 300.0  # what stands in for "no timeout" of older releases: nobody wants a lab that hangs
ANSWER_SECONDS = 300.0  # for a whole answer; Kargo reads on for as long as bytes drip in, and so can be held for ever
_PIECE = 64 * 1024
_SPOKE_PLAIN = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "wrong version number")


class NotSent(UpstreamError):  # noqa: N818 - a state, beside its parent which ends in Error
    """The request never reached the wire. `spoke_plain` is true where the other end answered TLS with plain HTTP."""

    def __init__(self, message: str, *, spoke_plain: bool = False) -> None:
        super().__init__(message)
        self.spoke_plain = spoke_plain


class SlowConnection(NotSent):
    """No connection, or no TLS, in the time that was given; the one such failure that libraries try again."""


@attrs.frozen(kw_only=True)
class Reply:
    """One answer. `url` is where it came from; header names are looked up without regard to case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)

    def header(self, name: str) -> str:
        """The value of a header, empty if absent."""
        return self.headers.get(name, "")


@attrs.frozen(kw_only=True)
class Retries:
    """How often and after which waits a library tries again; no waits means one try.

    A limit above 0 means that a 429's Retry-After is heeded, up to so many seconds.
    """

    statuses: frozenset[int] = frozenset()
    waits_seconds: tuple[float, ...] = ()
    retry_after_limit_seconds: float = 0.0

    def wait_after(self, reply: Reply, wait: float) -> float:
        """How long to wait after an answer, `wait` being next in turn."""
        asked = reply.header("retry-after")
        if self.retry_after_limit_seconds and reply.status == TOO_MANY and asked.isascii() and asked.isdecimal():
            return min(max(float(asked), 0.2), self.retry_after_limit_seconds)
        return wait


NO_RETRIES = Retries()


class BrokenConnection(UpstreamError):  # noqa: N818 - as above
    """The request left, and the connection ended before the answer did."""


class Outgoing:
    """Sends requests on behalf of one subscription of one Warehouse.

    With `connections` these are used again; without, each request has its own, as in Kargo.
    Three bounds are on the wall clock: silence, all headers of an answer, and the answer as a whole.
    `names` says for whom a host stands in: its requests count towards the quota of the one that is meant.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        warehouse: str = "",
        subscription: int = -1,
        verify_tls: bool = True,
        limiter: RateLimiter | None = None,
        retries: Retries = NO_RETRIES,
        header_timeout_seconds: float = 30.0,
        answer_seconds: float = ANSWER_SECONDS,
        proxies: Mapping[str, str] | None = None,
        names: Mapping[str, str] | None = None,
        connections: Connections | None = None,
    ) -> None:
        self._ledger, self._clock, self._connections = ledger, clock, connections
        self._warehouse, self._subscription = warehouse, subscription
        self._verify, self._limiter, self._retries = verify_tls, limiter, retries
        self._timeout, self._answer_seconds = header_timeout_seconds or UNHEADED_SECONDS, answer_seconds
        self._proxies, self._names = dict(proxies or {}), dict(names or {})

    def monotonic(self) -> float:
        """The count of the clock on which requests wait."""
        return self._clock.monotonic()

    def send(
        self,
        url: str,
        *,
        kind: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        cache: str = "",
        retries: Retries | None = None,
        connect_seconds: float | None = None,
    ) -> Reply:
        """One request and its automatic retries; redirects are the caller's. Raises UpstreamError."""
        plan = self._retries if retries is None else retries
        prepared = _prepared(method, url, self._headers(headers), body)
        for wait in (*plan.waits_seconds, None):
            if self._limiter is not None:
                self._limiter.take(self._clock)
            try:
                reply = self._attempt(prepared, kind=kind, cache=cache, connect_seconds=connect_seconds)
            except UpstreamError as error:
                if wait is None or (isinstance(error, NotSent) and not isinstance(error, SlowConnection)):
                    raise
                self._clock.wait(wait)
            else:
                if wait is None or reply.status not in plan.statuses:
                    return reply
                self._clock.wait(plan.wait_after(reply, wait))
        raise AssertionError  # the last try returns or raises

    def follow(
        self,
        url: str,
        *,
        kind: str,
        redirected: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        cache: str = "",
        retries: Retries | None = None,
        connect_seconds: float | None = None,
    ) -> Reply:
        """A GET (or HEAD) that follows redirects. Credentials stay with the host that they were given for."""
        first, target = urlsplit(url).netloc, url
        for hop in range(MOST_REDIRECTS + 1):
            kept = {
                name: value
                for name, value in (headers or {}).items()
                if name.lower() != "authorization" or urlsplit(target).netloc == first
            }
            reply = self.send(
                target,
                kind=redirected if hop else kind,
                method=method,
                headers=kept,
                cache="" if hop else cache,
                retries=retries,
                connect_seconds=connect_seconds,
            )
            if reply.status not in REDIRECTS or not reply.header("location"):
                return reply
            target = joined(target, reply.header("location"))
        raise UpstreamError(f"{url}: stopped after {MOST_REDIRECTS} redirects")

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        closing = {} if self._connections is not None else {"Connection": "close"}
        return {"User-Agent": USER_AGENT, **closing, **(headers or {})}

    def _attempt(
        self, prepared: requests.PreparedRequest, *, kind: str, cache: str, connect_seconds: float | None
    ) -> Reply:
        try:
            return self._exchange(prepared, kind=kind, cache=cache, connect_seconds=connect_seconds)
        except BrokenConnection:
            if self._connections is None:
                raise
        # The other end may have ended a connection that was kept, at the very moment it was used again.
        return self._exchange(prepared, kind=kind, cache=cache, connect_seconds=connect_seconds)

    def _exchange(
        self, prepared: requests.PreparedRequest, *, kind: str, cache: str, connect_seconds: float | None
    ) -> Reply:
        url = prepared.url or ""
        sent_at, began = self._clock.now(), time.monotonic()
        if self._connections is not None:
            adapter = self._connections.adapter(verify=self._verify)
        else:
            # One adapter a request: its pool is the connection, and requests may run in several threads.
            adapter = Adapter(verify=self._verify)
        deadline = began + self._answer_seconds
        try:
            with patience(deadline, self._clock.check):
                response = adapter.send(
                    prepared,
                    stream=True,
                    timeout=(connect_seconds or self._timeout, self._timeout),
                    verify=self._verify,
                    proxies=self._proxies,
                )
            try:
                body = _read(response, deadline)
            finally:
                response.close()
        except requests.RequestException as error:
            failure = _explain(error, url)
            if not isinstance(failure, NotSent):
                self._record(prepared, sent_at, status=0, length=0, kind=kind, cache=cache)
            raise failure from None
        finally:
            if self._connections is None:
                adapter.close()
        status = response.status_code
        self._record(prepared, sent_at, status=status, length=len(body), kind=kind, cache=cache)
        if len(body) > BODY_LIMIT:
            raise UpstreamError(f"{_shown(url)}: the body exceeds {BODY_LIMIT} bytes", status=status)
        return Reply(url=url, status=status, headers=response.headers, body=body)

    def _record(
        self, prepared: requests.PreparedRequest, sent_at: Any, *, status: int, length: int, kind: str, cache: str
    ) -> None:
        parts = urlsplit(prepared.url or "")
        host = parts.netloc.rpartition("@")[2]
        self._ledger.record(
            LedgerRow(
                time=sent_at,
                warehouse=self._warehouse,
                subscription=self._subscription,
                source=host,
                method=prepared.method or "",
                path=parts.path,
                status=status,
                bytes=length,
                cache="not-modified" if status == 304 else cache,
                counted=quota_counts(self._names.get(host, host), kind, status),
                kind=kind,
            )
        )


def _prepared(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> requests.PreparedRequest:
    """The request, or NotSent: URLs come from strangers as well, in redirects, challenges and links."""
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            raise NotSent(f"{url[:200]!r} is no URL of HTTP")
        return requests.Request(method, url, headers=dict(headers), data=body).prepare()
    except (requests.RequestException, ValueError) as error:
        raise NotSent(f"{url[:200]!r} cannot be asked for: {error}") from None


def joined(base: str, reference: str) -> str:
    """A reference resolved against the URL it was found at; UpstreamError if it is none."""
    try:
        return urljoin(base, reference)
    except ValueError as error:
        raise UpstreamError(f"{_shown(base)} points at {reference[:200]!r}: {error}") from None


@lru_cache(maxsize=4096)
def quota_counts(host: str, kind: str, status: int) -> bool:
    """Whether the source's own quota counts a request: Docker Hub counts manifests only, others all.

    An answer that says "not modified" is free at the hosts that have quotas on requests.
    """
    if status == 304:
        return False
    if host in DOCKER_HUB or host.endswith(".docker.io"):
        return kind.startswith("manifest")
    return True


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body, and one byte more than allowed if there is more; redirects' bodies matter to nobody.

    Read in pieces as they come: a body that drips would fill no larger piece before the deadline is looked at.
    """
    pieces, length = [], 0
    try:
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            length += len(piece)
            if length > BODY_LIMIT:
                break
            if time.monotonic() > deadline:
                raise requests.Timeout(DRIPPED)
    except urllib3.exceptions.SSLError as error:
        raise requests.exceptions.SSLError(error) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from error
    except urllib3.exceptions.HTTPError as error:
        # Of a timeout the reader says which it was.
        raise (requests.Timeout if time.monotonic() >= deadline else requests.ConnectionError)(error) from error
    return b"".join(pieces)[: BODY_LIMIT + 1]


def _shown(url: str) -> str:
    """The URL without query and user information: both may hold what nobody should read in a log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _root(error: BaseException, url: str) -> str:
    """What was at the bottom of it, without what `_shown` hides."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    text, parts = str(error) or type(error).__name__, urlsplit(url)
    for hidden, instead in ((url, _shown(url)), (f"?{parts.query}", ""), (parts.netloc.rpartition("@")[0], "")):
        text = text.replace(hidden, instead) if hidden.strip("?") else text
    return text


def _explain(error: requests.RequestException, url: str) -> UpstreamError:
    """Tell what happened, and whether the request can have left before it did."""
    shown, text = _shown(url), str(error)
    if isinstance(error, requests.exceptions.SSLError):
        if "timed out" in text:
            return SlowConnection(f"{shown}: no TLS connection in time")
        plain = any(mark in text for mark in _SPOKE_PLAIN)
        return NotSent(f"{shown}: no TLS connection: {_root(error, url)}", spoke_plain=plain)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return SlowConnection(f"{shown}: no connection in time")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return UpstreamError(f"{shown}: no answer in time")
    if isinstance(error, requests.exceptions.ConnectionError):
        if "NewConnectionError" in text or "NameResolutionError" in text or "ProxyError" in text:
            return NotSent(f"{shown}: no connection: {_root(error, url)}")
        return BrokenConnection(f"{shown}: the connection broke: {_root(error, url)}")
    return UpstreamError(f"{shown}: {_root(error, url)}")
