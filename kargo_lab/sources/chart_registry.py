"""Charts in OCI registries, asked for as oras-go asks: discovery.md 5.3.

The library meets challenges when it runs into them, keeps tokens by scope, and does so anew in each
selection. Kargo adds a probe for the scheme before the listing, and before the login that
credentials bring with them (HRG:96-163).
"""

from __future__ import annotations

import attrs

from kargo_lab.errors import UpstreamError
from kargo_lab.rules import json as gojson
from kargo_lab.sources import oci_auth
from kargo_lab.sources.manifests import read
from kargo_lab.sources.oci import MOST_PAGES, checked, next_page
from kargo_lab.sources.oci_auth import UNAUTHORIZED, Challenge, Login
from kargo_lab.sources.outgoing import NO_RETRIES, NotSent, Outgoing, Reply, Retries

LISTING_LIMIT = 4 * 1024**2  # bytes of one page
RETRIES = Retries(
    statuses=frozenset({408, 429, *range(500, 600)}),
    waits_seconds=(0.25, 0.5, 1.0, 2.0, 3.0),
    retry_after_limit_seconds=3.0,
)
_TAGS = gojson.Struct({"tags": gojson.ListOf(gojson.TEXT)})


@attrs.define
class KnownHost:
    """What a selection finds out about a host. Kargo forgets it afterwards; lean mode hands it to the next one."""

    transport: str = ""  # http or https, once a listing came over it
    scheme: str = ""  # of the challenge that the host is known to make
    tokens: dict[str, str] = attrs.field(factory=dict, repr=False)
    # How each token came, and until when it is good by the clock of requests, as far as its service said.
    challenges: dict[str, tuple[Challenge, tuple[str, ...], float]] = attrs.field(factory=dict)


class ChartRegistry:
    """One repository, for one selection."""

    def __init__(
        self, outgoing: Outgoing, host: str, repository: str, login: Login, known: KnownHost | None = None
    ) -> None:
        self._out, self._host, self._repository, self._login = outgoing, host, repository, login
        self._host_facts = known or KnownHost()

    def versions(self, *, probe: bool) -> tuple[str, ...]:
        """The tags; `probe` says whether the scheme is found out first, or by trying."""
        if transport := self._host_facts.transport:
            self._host_facts.transport = ""
            return self._list(transport)
        if not probe:
            try:
                return self._login_and_list("https")
            except NotSent as error:
                if not error.spoke_plain:
                    raise
            return self._login_and_list("http")
        if self._login:
            self._log_in("http" if self._speaks_plain() else "https")
        return self._list("http" if self._speaks_plain() else "https")

    def _login_and_list(self, scheme: str) -> tuple[str, ...]:
        if self._login:
            self._log_in(scheme)
        return self._list(scheme)

    def _speaks_plain(self) -> bool:
        """Only positive evidence counts; whatever else goes wrong will show at the real request."""
        try:
            self._out.follow(f"https://{self._host}/v2/", kind="ping", redirected="redirected", retries=NO_RETRIES)
        except NotSent as error:
            return error.spoke_plain
        except UpstreamError:
            return False
        return False

    def _log_in(self, scheme: str) -> None:
        checked(self._do(f"{scheme}://{self._host}/v2/", kind="ping", scopes=()))

    def _list(self, scheme: str) -> tuple[str, ...]:
        found: list[str] = []
        url = f"{scheme}://{self._host}/v2/{self._repository}/tags/list"
        for _ in range(MOST_PAGES):
            reply = checked(self._do(url, kind="tags", scopes=(f"repository:{self._repository}:pull",)))
            if len(reply.body) > LISTING_LIMIT:
                raise UpstreamError(f"{url}: a page of the listing exceeds {LISTING_LIMIT} bytes")
            found += read(reply.body, _TAGS, "tag list")["tags"]
            following = next_page(reply)
            if following is None:
                self._host_facts.transport = scheme
                return tuple(found)
            if following == url:
                break
            url = following
        raise UpstreamError(f"{self._host}/{self._repository}: the tag list never ends")

    def _do(self, url: str, *, kind: str, scopes: tuple[str, ...]) -> Reply:
        """A GET with what is known of the host; a challenge is met once."""
        key = " ".join(scopes)
        self._renew(key)
        reply = self._get(url, kind, self._known(key))
        if reply.status != UNAUTHORIZED:
            return reply
        challenge = oci_auth.pick(reply)
        if challenge is None:
            return reply
        if challenge.scheme == "basic":
            if not self._login:
                raise UpstreamError(f"{self._host}: wants credentials, and there are none", status=UNAUTHORIZED)
            self._host_facts.scheme = "basic"
            return self._get(url, kind, self._login.basic)
        if challenge.scheme != "bearer":
            return reply
        self._host_facts.scheme, tokens = "bearer", self._host_facts.tokens
        wanted = tuple(dict.fromkeys((*scopes, *challenge.parameters.get("scope", "").split())))
        wanted_key = " ".join(sorted(wanted))
        if wanted_key != key and wanted_key in tokens:
            reply = self._get(url, kind, f"Bearer {tokens[wanted_key]}")
            if reply.status != UNAUTHORIZED:
                return reply
        self._fetch_token(wanted_key, challenge, wanted)
        return self._get(url, kind, f"Bearer {tokens[wanted_key]}")

    def _known(self, key: str) -> str:
        """The Authorization header to begin with; empty for none."""
        known = self._host_facts
        if known.scheme == "basic":
            return self._login.basic
        if known.scheme == "bearer" and key in known.tokens:
            return f"Bearer {known.tokens[key]}"
        return ""

    def _renew(self, key: str) -> None:
        """A token that ran out is replaced before a host can refuse it; within one selection none runs out."""
        challenge, scopes, good_until = self._host_facts.challenges.get(key, (None, (), 0.0))
        if challenge is not None and self._out.monotonic() >= good_until:
            self._fetch_token(key, challenge, scopes)

    def _fetch_token(self, key: str, challenge: Challenge, scopes: tuple[str, ...]) -> None:
        asked_at, known = self._out.monotonic(), self._host_facts
        url = oci_auth.realm_url(challenge, service=challenge.parameters.get("service", ""), scopes=scopes)
        reply = self._get(url, "token", self._login.basic if self._login else "")
        known.tokens[key], seconds = oci_auth.token(reply), oci_auth.lifetime(reply)
        known.challenges[key] = (challenge, scopes, float("inf") if seconds is None else asked_at + seconds)

    def _get(self, url: str, kind: str, authorization: str) -> Reply:
        headers = {"Authorization": authorization} if authorization else {}
        return self._out.follow(url, kind=kind, redirected="redirected", headers=headers, retries=RETRIES)
