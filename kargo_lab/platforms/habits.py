"""How each platform delivers: its patience, its retries, and when it gives up. Data only.

The numbers are those of `platforms.md` 0.2 and of the section of each platform. Where a vendor does
not publish them, `remark` says so and the row holds the plainest reading, so that an experiment can
name what it assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

OK = range(200, 300)


@attrs.frozen
class Pause:
    """The wait after a failed attempt: `seconds`, and a random multiple (0 to `steps`) of `step_seconds` more."""

    seconds: float
    step_seconds: float = 0.0
    steps: int = 0


@attrs.frozen(kw_only=True)
class Retries:
    """Which failures are tried again, and after which pauses.

    `statuses` None means any status that is no success. `unanswered` says whether a timeout or a broken
    connection counts. After the last of `pauses` the delivery is given up, unless `forever` names
    the seconds between all further attempts. `probation` marks retries during which the hook is on trial:
    when they are used up, the hook is switched off.
    """

    pauses: tuple[Pause, ...]
    statuses: frozenset[int] | None = None
    unanswered: bool = True
    forever: float | None = None
    probation: bool = False

    def pause(self, failures: int) -> Pause | None:
        """The wait after the n-th failure, counted from 1; None when it was the last attempt."""
        if failures <= len(self.pauses):
            return self.pauses[failures - 1]
        return None if self.forever is None else Pause(self.forever)

    def covers(self, status: int) -> bool:
        """True if a failure with this status (0: no answer) is one of these."""
        if status == 0:
            return self.unanswered
        return self.statuses is None or status in self.statuses


@attrs.frozen(kw_only=True)
class BackOff:
    """After `after` failures in a row the hook rests `first_seconds`, then `factor` times as long, up to a limit."""

    after: int
    first_seconds: float
    factor: float
    most_seconds: float


@attrs.frozen(kw_only=True)
class Habit:
    """One platform's way of delivering.

    `disable_after` counts failures in a row: attempts where `counts_attempts`, else deliveries. `in_order`
    platforms send one event after the other per hook. `attempt_header` carries the number of the attempt.
    `keeps` rows per hook remain in the log (0: no limit), each for `log_seconds` (0: no limit).
    """

    platform: str
    timeout_seconds: float
    success: range = OK
    retries: tuple[Retries, ...] = ()
    disable_after: int = 0
    counts_attempts: bool = False
    disabling_statuses: frozenset[int] = frozenset()
    back_off: BackOff | None = None
    follows_redirects: bool = False
    in_order: bool = False
    attempt_header: str = ""
    log_seconds: float = 0.0
    keeps: int = 0
    remark: str = ""


DAY = 86_400.0
SERVER_ERRORS = frozenset(range(500, 600))

_AZURE_TRANSIENT = Retries(
    pauses=tuple(Pause(s) for s in (1, 2, 4, 8, 16, 32, 60, 60)),
    statuses=frozenset({408, 502, 503, 504}),
    unanswered=False,
)
_AZURE_PROBATION = Retries(
    pauses=tuple(Pause(60.0 * minutes) for minutes in (20, 40, 80, 160, 320, 640, 900)), probation=True
)

_ROWS = (
    Habit(platform="github", timeout_seconds=10, log_seconds=3 * DAY),
    Habit(platform="github-enterprise-server", timeout_seconds=30, log_seconds=3 * DAY),
    Habit(
        platform="gitlab",
        timeout_seconds=10,
        log_seconds=2 * DAY,
        remark="self-managed: switching off failing hooks is an option there, and off",
    ),
    Habit(
        platform="gitlab.com",
        timeout_seconds=10,
        log_seconds=2 * DAY,
        disable_after=40,
        back_off=BackOff(after=4, first_seconds=60, factor=2, most_seconds=DAY),
        remark="how the pause grows from a minute to a day is not published; doubled here",
    ),
    Habit(
        platform="bitbucket",
        timeout_seconds=10,
        retries=(Retries(pauses=(Pause(5), Pause(10)), statuses=SERVER_ERRORS),),
        attempt_header="X-Attempt-Number",
        remark="that it retries is proved by its header; how often and when is not published",
    ),
    Habit(
        platform="bitbucket-data-center",
        timeout_seconds=20,
        back_off=BackOff(after=5, first_seconds=10, factor=1.2, most_seconds=7200),
        remark="20 s to connect and 20 s to answer; numbers of the circuit breaker from memory",
    ),
    Habit(platform="docker-hub", timeout_seconds=10, remark="nothing is published about its delivery"),
    Habit(
        platform="quay",
        timeout_seconds=10,
        retries=(Retries(pauses=(Pause(30),) * 4),),
        disable_after=3,
        counts_attempts=True,
    ),
    Habit(
        platform="harbor",
        timeout_seconds=3,
        # n^4 + 15 + random(0..29) * (n + 1) seconds after the n-th failure.
        retries=(Retries(pauses=(Pause(16, 2, 29), Pause(31, 3, 29))),),
        keeps=50,
    ),
    Habit(platform="acr", timeout_seconds=10, remark="nothing is published about its delivery"),
    Habit(
        platform="azure-devops",
        timeout_seconds=30,
        retries=(_AZURE_TRANSIENT, _AZURE_PROBATION),
        disabling_statuses=frozenset({410}),
        log_seconds=7 * DAY,
        remark="the timeout is not published; history is 7 or 14 days, the pages disagree",
    ),
    Habit(platform="gitea", timeout_seconds=5, follows_redirects=True, log_seconds=7 * DAY),
    Habit(platform="forgejo", timeout_seconds=5, follows_redirects=True, log_seconds=7 * DAY),
    Habit(platform="gogs", timeout_seconds=15, follows_redirects=True),
    Habit(
        platform="artifactory",
        timeout_seconds=30,
        retries=(Retries(pauses=(Pause(10),) * 4, statuses=SERVER_ERRORS),),
    ),
    Habit(
        platform="registry",
        timeout_seconds=1,
        success=range(200, 400),
        retries=(Retries(pauses=(Pause(0),) * 9, forever=1),),
        in_order=True,
        remark="timeout, threshold and back-off are settings of the endpoint; these are its defaults",
    ),
)

HABITS: Mapping[str, Habit] = MappingProxyType({row.platform: row for row in _ROWS})
