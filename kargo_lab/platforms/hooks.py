"""Hooks and their delivery, shared by all platforms: who is told, how often it is tried, what was answered.

A platform says what a hook is sent; this module sends it as that platform would (`habits`), through whatever
misfortune an experiment orders (`losses`), and writes one row an attempt. Worker threads serve the wall
clock; on a virtual clock nothing is started and `step()` sends all that is due.
"""

from __future__ import annotations

import heapq
import math
import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import attrs

from kargo_lab.errors import UsageError
from kargo_lab.platforms import lossy_wire
from kargo_lab.platforms.habits import Habit, Pause
from kargo_lab.platforms.losses import NO_LOSSES, Fate, Losses, damaged
from kargo_lab.platforms.lossy_wire import Transport
from kargo_lab.platforms.outgoing import NO_RESPONSE, Outgoing, Response, masked, post

if TYPE_CHECKING:
    import pandas as pd

STOP_SECONDS = 5.0


class Clock(Protocol):
    """The part of the engine's clock that a sender needs."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class SystemClock:
    """The machine's own."""

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """`time.monotonic`."""
        return time.monotonic()


@attrs.frozen(kw_only=True)
class Hook:
    """One registered webhook.

    `level` is `repository`, `owner` (a user's, an organisation's, a project's) or `system`; `target` is then
    `owner/name`, `owner` or empty. `kind` is the wire format among those a platform offers (Gitea: `gitea`,
    `gogs`, `forgejo`). `settings` holds what only one platform knows.
    """

    id: int
    url: str
    secret: str = attrs.field(default="", repr=False)
    events: tuple[str, ...] = ("push",)
    content_type: str = "json"
    active: bool = True
    level: str = "repository"
    target: str = ""
    kind: str = ""
    name: str = ""
    branch_filter: str = ""
    authorization: str = attrs.field(default="", repr=False)
    verify_tls: bool = True
    created_at: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    updated_at: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    settings: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class DeliveryRow:
    """One attempt to deliver, uniform over platforms.

    `outcome` is `delivered`, `refused` (an answer that is no success), `timed out`, `unreachable`, `lost` (by
    order) or `withheld` (the hook rests or is off). `request_headers` have secrets masked. `number` counts
    deliveries, `attempt` the tries of one; `id` counts rows.
    """

    id: int
    number: int
    guid: str
    hook: int
    time: datetime
    event: str
    action: str
    about: str
    url: str
    attempt: int
    redelivery: bool
    outcome: str
    status: int
    seconds: float
    request_headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    request_body: bytes = attrs.field(repr=False)
    response_headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    response_body: bytes = attrs.field(default=b"", repr=False)


@attrs.define
class HookHealth:
    """What failures have done to one hook so far. `disabled` is the reason, empty while it is on."""

    failures: int = 0
    disabled: str = ""
    rests_until: float = 0.0
    rest_seconds: float = 0.0


@attrs.define(order=False, eq=False)
class _Errand:
    hook: Hook
    outgoing: Outgoing
    number: int
    attempt: int = 1
    failures: tuple[int, ...] = ()
    redelivery: bool = False
    fate: Fate | None = None  # of this attempt, once it is decided
    behind: int = 0  # how many later deliveries have to pass it first


class Sender:
    """Delivers for one platform, asynchronously between `start()` and `stop()`.

    `transport` sends one request (outgoing, timeout, follow redirects) and must not raise.
    """

    def __init__(
        self,
        habit: Habit,
        *,
        clock: Clock | None = None,
        losses: Losses = NO_LOSSES,
        transport: Transport = post,
        workers: int = 4,
        seed: int = 0,
    ) -> None:
        self.habit, self.losses = habit, losses
        self.clock: Clock = clock or SystemClock()
        self._transport, self._workers, self._seed = transport, workers, seed
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, _Errand]] = []
        self._waiting: dict[int, deque[_Errand]] = {}  # by hook, where order is kept
        self._rows: list[DeliveryRow] = []
        self._sent: dict[str, tuple[Hook, Outgoing]] = {}
        self._health: dict[int, HookHealth] = {}
        self._threads: list[threading.Thread] = []
        self._running = self._numbers = self._pushes = self._row_ids = 0
        self._stopping = False
        self._born = self.clock.monotonic()

    # -- what platforms and people ask for ---------------------------------------------------

    def elapsed(self) -> float:
        """Seconds since this sender was made: the time that outages of `losses` are told in."""
        return self.clock.monotonic() - self._born

    def send(self, hook: Hook, outgoing: Outgoing) -> str:
        """Queue a delivery; answers its GUID."""
        with self._changed:
            self._numbers += 1
            self._sent[outgoing.guid] = (hook, outgoing)
            errand = _Errand(hook, outgoing, self._numbers)
            if self._health_of(hook.id).disabled or self._rests(hook.id):
                self._record(errand, Response(outcome="withheld"), 0.0)
            elif self.habit.in_order:
                line = self._waiting.setdefault(hook.id, deque())
                line.append(errand)
                if len(line) == 1:
                    self._push(errand, 0.0)
            else:
                self._push(errand, 0.0)
        return outgoing.guid

    def redeliver(self, guid: str) -> None:
        """Send a past delivery once more, same bytes and same GUID, also to a hook that rests."""
        with self._changed:
            if guid not in self._sent:
                raise UsageError(f"no delivery {guid} is in the log")
            self._numbers += 1
            hook, outgoing = self._sent[guid]
            self._push(_Errand(hook, outgoing, self._numbers, redelivery=True), 0.0)

    def health(self, hook_id: int) -> HookHealth:
        """A copy of what is known about a hook."""
        with self._changed:
            return attrs.evolve(self._health_of(hook_id))

    def enable(self, hook_id: int) -> None:
        """Forget a hook's failures, as its owner does with the platform's button."""
        with self._changed:
            self._health[hook_id] = HookHealth()

    @property
    def rows(self) -> tuple[DeliveryRow, ...]:
        """All attempts that the platform would still show, oldest first."""
        with self._changed:
            self._expire()
            return tuple(self._rows)

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas table whose columns are the fields of `DeliveryRow`."""
        import pandas as pd

        columns = [field.name for field in attrs.fields(DeliveryRow)]
        return pd.DataFrame([attrs.asdict(row) for row in self.rows], columns=columns)

    # -- running -----------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the workers; for the wall clock only."""
        self._stopping = False
        for index in range(self._workers):
            thread = threading.Thread(target=self._work, name=f"hooks-{self.habit.platform}-{index}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def stop(self) -> None:
        """End the workers; what waits is dropped, what is on the wire is waited for, within its timeout."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(self.habit.timeout_seconds + STOP_SECONDS)
        self._threads.clear()

    def step(self) -> int:
        """Send, in order and in the caller's thread, all that is due now; answers how many attempts that were."""
        done = 0
        while (errand := self._take()) is not None:
            self._carry(errand)
            done += 1
        return done

    def next_due_seconds(self) -> float | None:
        """Seconds from now until the next attempt, 0 if one is due; None if none is planned."""
        with self._changed:
            return max(0.0, self._due[0][0] - self.clock.monotonic()) if self._due else None

    def settle(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until nothing is on the wire or due; retries planned for later do not count. False: it took too long."""
        end = time.monotonic() + timeout_seconds
        with self._changed:
            while self._running or self._ready():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # -- inside ------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and not self._ready():
                    self._changed.wait(self._due[0][0] - self.clock.monotonic() if self._due else None)
                if self._stopping:
                    return
                errand = self._pop()
            self._carry(errand)

    def _ready(self) -> bool:
        return bool(self._due) and self._due[0][0] <= self.clock.monotonic()

    def _pop(self) -> _Errand:
        self._running += 1
        return heapq.heappop(self._due)[2]

    def _take(self) -> _Errand | None:
        with self._changed:
            return self._pop() if self._ready() else None

    def _push(self, errand: _Errand, wait_seconds: float) -> None:
        self._pushes += 1
        heapq.heappush(self._due, (self.clock.monotonic() + wait_seconds, self._pushes, errand))
        self._changed.notify_all()

    def _carry(self, errand: _Errand) -> None:
        """Make one attempt and draw the consequences."""
        started = self.clock.monotonic()
        outgoing, fate = errand.outgoing, errand.fate
        if fate is None:
            elapsed = started - self._born
            fate = self.losses.fate(errand.number, errand.attempt, elapsed, outgoing.event, outgoing.url)
            if self._holds(errand, fate):
                return
        if self.habit.attempt_header:
            outgoing = outgoing.with_header(self.habit.attempt_header, str(errand.attempt))
        if fate.corrupt:
            outgoing = attrs.evolve(outgoing, body=damaged(outgoing.body, errand.number))
        if fate.drop:
            response = Response(outcome="lost")
        elif fate.answer:
            response = Response(status=fate.answer, headers=fate.headers, body=fate.body)
        else:
            response, patience = NO_RESPONSE, self.habit.timeout_seconds
            for _ in range(fate.copies):
                response = lossy_wire.send(self._transport, outgoing, fate, patience, self.habit.follows_redirects)
        with self._changed:
            self._record(errand, response, self.clock.monotonic() - started)
            self._conclude(errand, response)
            self._pass(errand)
            self._end()

    def _holds(self, errand: _Errand, fate: Fate) -> bool:
        """Put an attempt back if it is to be late; True if so."""
        behind = 0 if self.habit.in_order else fate.behind
        wait = fate.waits_seconds if behind else fate.delay_seconds
        if not wait:
            return False
        with self._changed:
            errand.fate, errand.behind = fate, behind
            self._push(errand, wait)
            self._end()
        return True

    def _pass(self, passing: _Errand) -> None:
        """Let go what waited to be overtaken by this delivery."""
        for _, _, errand in tuple(self._due):
            if errand.behind and errand.hook.id == passing.hook.id and errand.number < passing.number:
                errand.behind -= 1
                if not errand.behind:
                    others = [entry for entry in self._due if entry[2] is not errand]
                    self._due = [(-math.inf, errand.number, errand), *others]  # before whatever else is due
                    heapq.heapify(self._due)

    def _end(self) -> None:
        self._running -= 1
        self._changed.notify_all()

    def _record(self, errand: _Errand, response: Response, seconds: float) -> None:
        outgoing = errand.outgoing
        self._row_ids += 1
        self._rows.append(
            DeliveryRow(
                id=self._row_ids,
                number=errand.number,
                guid=outgoing.guid,
                hook=errand.hook.id,
                time=self.clock.now(),
                event=outgoing.event,
                action=outgoing.action,
                about=outgoing.about,
                url=outgoing.url,
                attempt=errand.attempt,
                redelivery=errand.redelivery,
                outcome=response.outcome or ("delivered" if response.status in self.habit.success else "refused"),
                status=response.status,
                seconds=seconds,
                request_headers=masked(outgoing.headers),
                request_body=outgoing.body,
                response_headers=response.headers,
                response_body=response.body,
            )
        )

    def _conclude(self, errand: _Errand, response: Response) -> None:
        health = self._health_of(errand.hook.id)
        if response.status in self.habit.success:
            self._health[errand.hook.id] = HookHealth()
            self._next_in_line(errand)
            return
        retries, pause = self._next_attempt(errand, response.status)
        if self.habit.counts_attempts or pause is None:
            self._count_failure(health)
        if response.status in self.habit.disabling_statuses:
            health.disabled = f"the receiver answered {response.status}"
        elif retries is not None and retries.probation and pause is None:
            health.disabled = "every attempt of the probation failed"
        if pause is not None and not health.disabled and not errand.redelivery:
            errand.attempt += 1
            errand.failures += (response.status,)
            errand.fate, errand.behind = None, 0
            self._push(errand, self._drawn(pause, errand))
        else:
            self._next_in_line(errand)

    def _next_attempt(self, errand: _Errand, status: int) -> tuple[Any, Pause | None]:
        """The rule that covers this failure, and the wait until the next attempt."""
        for rule in self.habit.retries:
            if rule.covers(status):
                return rule, rule.pause(1 + sum(rule.covers(past) for past in errand.failures))
        return None, None

    def _count_failure(self, health: HookHealth) -> None:
        health.failures += 1
        if self.habit.disable_after and health.failures >= self.habit.disable_after:
            health.disabled = f"{health.failures} failures in a row"
        rule = self.habit.back_off
        if rule is not None and health.failures >= rule.after:
            longer = health.rest_seconds * rule.factor if health.rest_seconds else rule.first_seconds
            health.rest_seconds = min(longer, rule.most_seconds)
            health.rests_until = self.clock.monotonic() + health.rest_seconds

    def _drawn(self, pause: Pause, errand: _Errand) -> float:
        if not pause.steps:
            return pause.seconds
        dice = random.Random(f"{self._seed}/{errand.number}/{errand.attempt}")  # noqa: S311 - jitter, not a secret
        return pause.seconds + pause.step_seconds * dice.randint(0, pause.steps)

    def _next_in_line(self, errand: _Errand) -> None:
        line = self._waiting.get(errand.hook.id)
        if not line or line[0] is not errand:
            return
        line.popleft()
        if line:
            self._push(line[0], 0.0)

    def _health_of(self, hook_id: int) -> HookHealth:
        return self._health.setdefault(hook_id, HookHealth())

    def _rests(self, hook_id: int) -> bool:
        return self._health_of(hook_id).rests_until > self.clock.monotonic()

    def _expire(self) -> None:
        if self.habit.log_seconds:
            now = self.clock.now()
            self._rows = [row for row in self._rows if (now - row.time).total_seconds() < self.habit.log_seconds]
        if self.habit.keeps:
            kept: dict[int, int] = {}
            newest: list[DeliveryRow] = []
            for row in reversed(self._rows):
                kept[row.hook] = kept.get(row.hook, 0) + 1
                if kept[row.hook] <= self.habit.keeps:
                    newest.append(row)
            self._rows = newest[::-1]
