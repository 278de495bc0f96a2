"""Quotas as the platforms enforce them: what counts, for whom, how much, and how the refusal is spelled.

A policy is a pure account of one consumer; a `Quota` keeps one for each and stands in front of any embedded
platform (`layers=[quota.wrap]`). The numbers are those of platforms.md 13.4; all of them are arguments,
because pages of one vendor disagree.
"""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Protocol, Self

import attrs

from kargo_lab.platforms.access import Application, Environ, StartResponse, user_of, utc_now

FLAVOURS = ("seconds", "date", "ratelimit", "epoch", "nothing")


@attrs.frozen
class Standing:
    """How one consumer stands: `remaining` whole requests, of `limit`, and the seconds until there is one more."""

    limit: int
    remaining: int
    wait_seconds: float
    window_seconds: int = 0


class Account(Protocol):
    """What one consumer has used. `now` are seconds that never go back."""

    def standing(self, now: float) -> Standing:
        """Without using anything."""
        ...

    def spend(self, now: float) -> bool:
        """Use one; False where none is left, and then nothing is used."""
        ...

    def refund(self) -> None:
        """Give one back: it turned out not to count."""
        ...


class Policy(Protocol):
    """Opens accounts."""

    def account(self) -> Account:
        """A fresh one."""
        ...


@attrs.define
class _WindowAccount:
    limit: int
    window_seconds: int
    used: int = 0
    began: float = -math.inf

    def _roll(self, now: float) -> None:
        if now - self.began >= self.window_seconds:
            self.used, self.began = 0, now

    def standing(self, now: float) -> Standing:
        fresh = now - self.began >= self.window_seconds
        used = 0 if fresh else self.used
        wait = 0.0 if used < self.limit else self.began + self.window_seconds - now
        return Standing(self.limit, self.limit - used, wait, self.window_seconds)

    def spend(self, now: float) -> bool:
        self._roll(now)
        if self.used >= self.limit:
            return False
        self.used += 1
        return True

    def refund(self) -> None:
        self.used = max(0, self.used - 1)


@attrs.frozen
class Window:
    """So many in a window that begins with the first request, as Docker Hub and GitHub count."""

    limit: int
    window_seconds: int

    def account(self) -> Account:
        """A fresh one."""
        return _WindowAccount(self.limit, self.window_seconds)


@attrs.define
class _BucketAccount:
    per_second: float
    burst: int
    level: float
    seen: float = -math.inf

    def _fill(self, now: float) -> float:
        if self.seen == -math.inf:
            return self.level
        return min(float(self.burst), self.level + (now - self.seen) * self.per_second)

    def standing(self, now: float) -> Standing:
        level = self._fill(now)
        # A hair under one is one: the sum of many small fillings is not exact.
        whole = math.floor(level + 1e-9)
        return Standing(self.burst, whole, 0.0 if whole else (1 - level) / self.per_second)

    def spend(self, now: float) -> bool:
        self.level, self.seen = self._fill(now), now
        if self.level + 1e-9 < 1:
            return False
        self.level -= 1
        return True

    def refund(self) -> None:
        self.level = min(float(self.burst), self.level + 1)


@attrs.frozen
class TokenBucket:
    """`burst` at once, refilled with `per_second`: ACR, Quay, and most proxies."""

    per_second: float
    burst: int

    def account(self) -> Account:
        """A fresh one."""
        return _BucketAccount(self.per_second, self.burst, float(self.burst))


def everything(_method: str, _path: str) -> bool:
    """Every request counts."""
    return True


def manifest_pulls(method: str, path: str) -> bool:
    """Docker Hub's rule: a GET of a manifest is a pull, a HEAD and a blob are not."""
    return method == "GET" and "/manifests/" in path


def reads(method: str, _path: str) -> bool:
    """ACR's rule: what only reads."""
    return method in ("GET", "HEAD")


def by_address(environ: Environ) -> str:
    """Each address is a consumer."""
    return str(environ.get("REMOTE_ADDR", ""))


def by_user_or_address(environ: Environ) -> str:
    """Whoever signs in is a consumer of their own."""
    return user_of(environ.get("HTTP_AUTHORIZATION", "")) or by_address(environ)


class Quota:
    """One quota in front of an application.

    `counts` says which requests are charged; those answered with one of `free_statuses` are given back, as GitHub
    does with 304. `flavour` is how a refusal says when to come again, one of `FLAVOURS`. `announced` puts the
    standing into the headers of every answer that is charged or (HEAD) would be.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        counts: Callable[[str, str], bool] = everything,
        consumer: Callable[[Environ], str] = by_user_or_address,
        flavour: str = "seconds",
        announced: bool = False,
        status: int = 429,
        free_statuses: Iterable[int] = (),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if flavour not in FLAVOURS:
            message = f"no refusal is called {flavour!r}; there are {', '.join(FLAVOURS)}"
            raise ValueError(message)
        self._policy, self._counts, self._consumer = policy, counts, consumer
        self._flavour, self._announced, self._status = flavour, announced, status
        self._free, self._now = frozenset(free_statuses), now
        self._lock = threading.Lock()
        self._accounts: dict[str, Account] = {}
        self.spent: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    @classmethod
    def docker_hub(cls, limit: int = 100, window_seconds: int = 21_600, **options: Any) -> Self:
        """Pulls of Docker Hub: 100 in six hours for an address; 200 for a personal account."""
        options = {"counts": manifest_pulls, "flavour": "ratelimit", "announced": True, **options}
        return cls(Window(limit, window_seconds), **options)

    @classmethod
    def github_rest(cls, limit: int = 5_000, **options: Any) -> Self:
        """GitHub's REST API by the hour; an answer of 304 costs nothing; refusals are 403 or 429."""
        options = {"flavour": "epoch", "announced": True, "status": 403, "free_statuses": (304,), **options}
        return cls(Window(limit, 3_600), **options)

    @classmethod
    def acr(cls, reads_per_minute: int = 10_000, **options: Any) -> Self:
        """Reads of a Basic or Standard registry of Azure."""
        return cls(TokenBucket(reads_per_minute / 60, reads_per_minute), **{"counts": reads, **options})

    def standing(self, consumer: str) -> Standing:
        """How a consumer stands now."""
        with self._lock:
            return self._account(consumer).standing(self._now().timestamp())

    def wrap(self, application: Application) -> Application:
        """The application behind the quota."""

        def limited(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            charged = self._counts(method, path)
            shown = charged or (method == "HEAD" and self._counts("GET", path))
            consumer = self._consumer(environ)
            with self._lock:
                account, now = self._account(consumer), self._now()
                taken = charged and account.spend(now.timestamp())
                standing = account.standing(now.timestamp())
                if charged:
                    (self.spent if taken else self.refused)[consumer] += 1
            if charged and not taken:
                return self._refuse(standing, now, consumer, start_response)

            def begin(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                if taken and int(line[:3]) in self._free:
                    self._give_back(consumer)
                told = self._headers(standing, now, consumer) if shown and self._announced else {}
                return start_response(line, [*headers, *told.items()], *([exc_info] if exc_info else []))

            return application(environ, begin)

        return limited

    def _account(self, consumer: str) -> Account:
        if consumer not in self._accounts:
            self._accounts[consumer] = self._policy.account()
        return self._accounts[consumer]

    def _give_back(self, consumer: str) -> None:
        with self._lock:
            self._accounts[consumer].refund()
            self.spent[consumer] -= 1

    def _headers(self, standing: Standing, now: datetime, consumer: str) -> Mapping[str, str]:
        if self._flavour == "epoch":
            reset = math.ceil(now.timestamp() + standing.wait_seconds)
            return {
                "X-RateLimit-Limit": str(standing.limit),
                "X-RateLimit-Remaining": str(standing.remaining),
                "X-RateLimit-Used": str(standing.limit - standing.remaining),
                "X-RateLimit-Reset": str(reset),
            }
        window = f";w={standing.window_seconds}" if standing.window_seconds else ""
        return {
            "RateLimit-Limit": f"{standing.limit}{window}",
            "RateLimit-Remaining": f"{standing.remaining}{window}",
            "Docker-RateLimit-Source": consumer,
        }

    def _refuse(
        self, standing: Standing, now: datetime, consumer: str, start_response: StartResponse
    ) -> Iterable[bytes]:
        seconds = math.ceil(standing.wait_seconds)
        moment = (now + timedelta(seconds=seconds)).astimezone(UTC)
        flavours: Mapping[str, Mapping[str, str]] = {
            "seconds": {"Retry-After": str(seconds)},
            "date": {"Retry-After": format_datetime(moment, usegmt=True)},
            "ratelimit": self._headers(standing, now, consumer),
            "epoch": self._headers(standing, now, consumer),
            "nothing": {},
        }
        error = {"code": "TOOMANYREQUESTS", "message": f"the quota of {standing.limit} requests is used up"}
        body = json.dumps({"errors": [error]}).encode() + b"\n"
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **flavours[self._flavour]}
        start_response(f"{self._status} {_REASONS.get(self._status, 'Refused')}", list(headers.items()))
        return [body]


_REASONS = {429: "Too Many Requests", 403: "Forbidden", 503: "Service Unavailable"}
