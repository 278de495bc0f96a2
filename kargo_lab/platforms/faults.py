"""Faults between a client and an embedded platform: scripted, seeded, on any clock.

A rule says which requests are hit and what happens to them; `Faults` stands in front of any embedded
platform (`layers=[faults.wrap]`) and applies the first rule that hits. What a rule decides depends
on the seed and on how many requests it has seen, never on threads.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType

import attrs

from kargo_lab.platforms.access import Application, Environ, StartResponse
from kargo_lab.platforms.losses import damaged
from kargo_lab.platforms.serving import STOPPING, drop_connection, reset_connection


@attrs.frozen(kw_only=True)
class Fault:
    """What happens to one request; several may be combined.

    `delay_seconds` comes first. `drop` and `reset` end the connection without an answer. `status` answers
    instead of the platform, with `headers` and `body`. `corrupt` flips one bit of the answer's body, `truncate`
    breaks the connection after so many of its bytes, `slow` sends it in pieces of (bytes, seconds between them).
    """

    delay_seconds: float = 0.0
    drop: bool = False
    reset: bool = False
    status: int = 0
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    corrupt: bool = False
    truncate: int | None = None
    slow: tuple[int, float] | None = None


@attrs.frozen(kw_only=True)
class FaultRule:
    """Which requests a fault hits. Everything that is not said holds for all.

    `path` is a regular expression that may match anywhere in the path. `after` requests are let through
    first, then `times` are hit. `probability` throws a die for each. `between` are seconds since the
    beginning: an outage.
    """

    fault: Fault
    method: str = ""
    path: str = ""
    after: int = 0
    times: int | None = None
    probability: float = 1.0
    between: tuple[float, float] | None = None

    def concerns(self, method: str, path: str, elapsed_seconds: float) -> bool:
        """True if the rule is about such a request at such a time."""
        timely = self.between is None or self.between[0] <= elapsed_seconds < self.between[1]
        return timely and self.method in ("", method) and re.search(self.path, path) is not None

    def hits(self, number: int, dice: random.Random) -> bool:
        """Decide about the n-th request (from 1) that the rule is about."""
        numbered = number > self.after and (self.times is None or number <= self.after + self.times)
        return numbered and dice.random() < self.probability


class Faults:
    """The rules with their counts. `wait` None waits on the wall clock, and no longer than the server runs."""

    def __init__(
        self,
        *rules: FaultRule,
        seed: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._rules, self._seed, self._monotonic, self._wait = list(rules), seed, monotonic, wait
        self._lock, self._born = threading.Lock(), monotonic()
        self._seen = [0] * len(rules)
        self.hits = [0] * len(rules)

    def add(self, rule: FaultRule) -> None:
        """One more rule, behind the others."""
        with self._lock:
            self._rules.append(rule)
            self._seen.append(0)
            self.hits.append(0)

    def clear(self) -> None:
        """No faults any more."""
        with self._lock:
            self._rules, self._seen, self.hits = [], [], []

    def fault(self, method: str, path: str) -> Fault | None:
        """Decide about one request, and count it."""
        with self._lock:
            elapsed = self._monotonic() - self._born
            for index, rule in enumerate(self._rules):
                if not rule.concerns(method, path, elapsed):
                    continue
                self._seen[index] += 1
                dice = random.Random(f"{self._seed}/{index}/{self._seen[index]}")  # noqa: S311 -- an experiment
                if rule.hits(self._seen[index], dice):
                    self.hits[index] += 1
                    return rule.fault
        return None

    def wrap(self, application: Application) -> Application:
        """The application behind the faults."""

        def faulty(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            fault = self.fault(environ["REQUEST_METHOD"], environ["PATH_INFO"])
            if fault is None:
                return application(environ, start_response)
            self._pause(environ, fault.delay_seconds)
            if fault.drop:
                drop_connection(environ)
            if fault.reset:
                reset_connection(environ)
            if fault.status:
                headers = {"Content-Length": str(len(fault.body)), "Content-Type": "text/plain", **fault.headers}
                start_response(_line(fault.status), list(headers.items()))
                return [] if environ["REQUEST_METHOD"] == "HEAD" else [fault.body]
            return self._spoiled(application(environ, start_response), fault, environ)

        return faulty

    def _pause(self, environ: Environ, seconds: float) -> None:
        if seconds <= 0:
            return
        if self._wait is not None:
            self._wait(seconds)
        else:
            environ.get(STOPPING, threading.Event()).wait(seconds)

    def _spoiled(self, body: Iterable[bytes], fault: Fault, environ: Environ) -> Iterator[bytes]:
        sent, corrupt = 0, fault.corrupt
        try:
            for chunk in body:
                if corrupt and chunk:
                    chunk, corrupt = damaged(chunk, self._seed), False
                for piece in self._pieces(chunk, fault, environ, first=sent == 0):
                    if fault.truncate is not None and sent + len(piece) >= fault.truncate:
                        yield piece[: fault.truncate - sent]
                        drop_connection(environ)
                    sent += len(piece)
                    yield piece
        finally:
            if hasattr(body, "close"):
                body.close()

    def _pieces(self, chunk: bytes, fault: Fault, environ: Environ, *, first: bool) -> Iterator[bytes]:
        if fault.slow is None:
            yield chunk
            return
        size, seconds = fault.slow
        for at in range(0, len(chunk), size):
            if at or not first:
                self._pause(environ, seconds)
            yield chunk[at : at + size]


def _line(status: int) -> str:
    known = status in {one.value for one in HTTPStatus}
    return f"{status} {HTTPStatus(status).phrase if known else 'Fault'}"
