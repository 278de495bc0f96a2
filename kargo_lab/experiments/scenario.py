"""A fleet on paper: Warehouses, what they watch, how they hear of it, and what limits them.

Values only; `scenario_reading` makes them out of YAML and `timeline` draws what happens. All models
take the same value, which is why their tables can be compared.
"""

from __future__ import annotations

import attrs

from kargo_lab.experiments.chance import Span
from kargo_lab.experiments.ticks import ticks

ONE_SECOND = Span(1.0)
PROCESSES = ("poisson", "even", "bursts", "office-hours", "trace")


@attrs.frozen(kw_only=True)
class Events:
    """When a repository is pushed to; every repository for itself, but a `trace` holds for all.

    `per_day` counts single pushes: on average, of an `even` process exactly, of `office-hours` on a working day (the
    scenario begins on a Monday at midnight). A burst has `burst_size` pushes on average, spread over
    `burst_seconds`. `trace_seconds` are moments since the beginning.
    """

    process: str = "poisson"
    per_day: float = 1.0
    burst_size: float = 5.0
    burst_seconds: float = 600.0
    opens_hour: float = 9.0
    closes_hour: float = 17.0
    trace_seconds: tuple[float, ...] = ()


@attrs.frozen(kw_only=True)
class Webhook:
    """How a push is told. One delivery a push; all Warehouses of its repository hear of it at once, or none.

    An attempt is lost with chance `loss`, and for certain if it arrives in one of the `outages` (seconds since the
    beginning); after each lost attempt the sender waits the next of `retries_seconds`. `duplicates` is the chance that
    an attempt arrives twice. With `filtered`, only Warehouses that want the event discover (Kargo since v1.7).
    """

    latency: Span = ONE_SECOND
    loss: float = 0.0
    retries_seconds: tuple[float, ...] = ()
    duplicates: float = 0.0
    outages_seconds: tuple[tuple[float, float], ...] = ()
    filtered: bool = True


@attrs.frozen(kw_only=True)
class Quota:
    """So many requests in each window of so many seconds; windows begin with the scenario."""

    requests: int
    per_seconds: float


@attrs.frozen(kw_only=True)
class Source:
    """A registry or Git host. `requests_per_second` is the client's own limit, which spaces requests."""

    quota: Quota | None = None
    requests_per_second: float | None = None


@attrs.frozen(kw_only=True)
class Fleet:
    """Warehouses that are alike. Warehouse number n watches repository n modulo `repositories`.

    `passes` is the share of events that a Warehouse's filters let through, drawn for each Warehouse and event.
    A discovery makes `requests`, of which the source's quota counts `counted`, and `new_requests` more where it
    finds something that no cache holds (those are added up but not held against the quota).
    """

    source: str
    warehouses: int
    interval_seconds: float
    repositories: int = 0  # 0: one each
    events: Events = Events()
    passes: float = 1.0
    webhook: Webhook | None = None
    discovery: Span = ONE_SECOND
    requests: int = 2
    counted: int = 2
    new_requests: int = 0

    @property
    def watched(self) -> int:
        """How many repositories there are."""
        return self.repositories or self.warehouses

    @property
    def wanted_rate(self) -> float:
        """Events a second that one Warehouse wants, for the processes that have a mean."""
        return self.events.per_day / 86400 * self.passes


@attrs.frozen(kw_only=True)
class Controller:
    """The one controller that serves all fleets. `workers` None is as many as are needed.

    `jitter` makes each wait longer by up to this share. A discovery that the quota refuses finds nothing and is tried
    again after `retry_seconds`, which stands for the upper end of Kargo's back-off.
    """

    workers: int | None = None
    minimum_interval_seconds: float = 0.0
    jitter: float = 0.0
    retry_seconds: float = 1000.0


@attrs.frozen(kw_only=True)
class Scenario:
    """Everything that a simulation needs. The same value gives the same table, on any machine.

    Warehouses begin at a random moment of their first interval, or all at once with `cold_start`.
    """

    name: str
    length_seconds: float
    sources: dict[str, Source] = attrs.field(hash=False)
    fleets: dict[str, Fleet] = attrs.field(hash=False)
    controller: Controller = Controller()
    seed: int = 7
    cold_start: bool = False

    @property
    def length(self) -> int:
        """In ticks."""
        return ticks(self.length_seconds)

    @property
    def warehouses(self) -> int:
        """In all fleets."""
        return sum(fleet.warehouses for fleet in self.fleets.values())

    def polls(self) -> float:
        """About how many discoveries polling alone would make."""
        periods = (
            fleet.warehouses / (fleet.interval_seconds + fleet.discovery.mean_seconds) for fleet in self.fleets.values()
        )
        return self.length_seconds * sum(periods)
