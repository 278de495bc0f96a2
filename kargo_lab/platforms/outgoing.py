"""One request that a platform sends, and how it is put on the wire.

Only the headers that a platform names go out: a sender is recognised by what it does not send, too.
"""

from __future__ import annotations

import time
import uuid

import attrs
import requests
import urllib3

# Headers whose value is a secret, or opens a door: never in a log.
SECRET_HEADERS = frozenset({"authorization", "x-gitlab-token", "x-jfrog-event-auth"})
LARGEST_RESPONSE = 1 << 20  # bytes kept of an answer
MASK = "******"


def _new_guid() -> str:
    return str(uuid.uuid4())


@attrs.frozen(kw_only=True)
class Outgoing:
    """A request on its way to a hook. `about` names what it tells about, usually a repository."""

    url: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    event: str = ""
    action: str = ""
    about: str = ""
    method: str = "POST"
    guid: str = attrs.field(factory=_new_guid)
    verify_tls: bool = True

    def with_header(self, name: str, value: str) -> Outgoing:
        """The same with one header set, in place of one of that name."""
        others = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return attrs.evolve(self, headers=(*others, (name, value)))


@attrs.frozen(kw_only=True)
class Response:
    """What came back. Without an answer, `outcome` says why: `timed out`, `unreachable`, `lost`, `withheld`."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    outcome: str = ""


NO_RESPONSE = Response(outcome="unreachable")


def masked(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Headers as they may be shown."""
    return tuple((name, MASK if name.lower() in SECRET_HEADERS and value else value) for name, value in headers)


def post(outgoing: Outgoing, timeout_seconds: float, follow_redirects: bool) -> Response:
    """Send with `requests`; the timeout covers the whole exchange, not only its silences."""
    end = time.monotonic() + timeout_seconds
    with requests.Session() as session:
        session.trust_env = False  # a proxy or a .netrc of the machine is not the platform's
        session.headers.clear()
        if not outgoing.verify_tls:
            session.verify = False
            # Whoever switched verification off on a hook need not be told at every delivery.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        try:
            with session.request(
                outgoing.method,
                outgoing.url,
                data=outgoing.body,
                headers=dict(outgoing.headers),
                timeout=timeout_seconds,
                allow_redirects=follow_redirects,
                stream=True,
            ) as answer:
                return _read(answer, end)
        except requests.Timeout:
            return Response(outcome="timed out")
        except (requests.RequestException, ValueError, OSError) as error:
            # A body that stops coming is told as a broken connection, with the timeout inside.
            cause = error.args[0] if error.args else None
            outcome = "timed out" if isinstance(cause, urllib3.exceptions.ReadTimeoutError) else "unreachable"
            return Response(outcome=outcome, body=str(error).encode(errors="replace"))


def _read(answer: requests.Response, end: float) -> Response:
    body = b""
    for chunk in answer.iter_content(1 << 14):
        if time.monotonic() > end:
            return Response(outcome="timed out")
        if len(body) < LARGEST_RESPONSE:
            body += chunk
    return Response(status=answer.status_code, headers=tuple(answer.headers.items()), body=body[:LARGEST_RESPONSE])
