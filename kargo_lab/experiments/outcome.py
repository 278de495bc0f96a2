"""What every model answers: the fate of each event that was wanted, and how often each fleet discovered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from kargo_lab.experiments.scenario import Fleet, Scenario
from kargo_lab.experiments.ticks import TICKS

if TYPE_CHECKING:
    import pandas as pd

NEVER = -1
COLUMNS = (
    "fleet",
    "warehouses",
    "events",
    "found",
    "mean_delay_seconds",
    "p50_delay_seconds",
    "p95_delay_seconds",
    "max_delay_seconds",
    "discoveries",
    "by_poll",
    "by_webhook",
    "refused",
    "wasted",
    "requests",
    "counted_requests",
    "requests_per_hour",
    "quota_use",
    "polling_requests",
    "saved",
)


@attrs.frozen(kw_only=True, eq=False)
class Found:
    """Each wanted event of a fleet, in order of Warehouse and moment, all in ticks.

    `looked` is when the discovery that saw it began, `found` when that ended; both NEVER if none did in time.
    """

    warehouse: NDArray[np.int64]
    push: NDArray[np.int64]
    pushed: NDArray[np.int64]
    looked: NDArray[np.int64]
    found: NDArray[np.int64]

    def delays_seconds(self) -> NDArray[np.float64]:
        """Push to Freight of all that were found."""
        seen = self.found != NEVER
        return np.asarray((self.found[seen] - self.pushed[seen]) / TICKS)

    def productive(self) -> int:
        """How many discoveries found something."""
        seen = self.looked != NEVER
        warehouse, looked = self.warehouse[seen], self.looked[seen]
        if not len(looked):
            return 0
        return 1 + int(((np.diff(warehouse) != 0) | (np.diff(looked) != 0)).sum())


@attrs.frozen(kw_only=True)
class Count:
    """Discoveries of a fleet by what caused them; `refused` are those of both that the quota turned away."""

    by_poll: int
    by_webhook: int
    refused: int = 0


@attrs.frozen(kw_only=True, eq=False)
class Outcome:
    """By fleet."""

    scenario: Scenario
    found: dict[str, Found]
    counts: dict[str, Count]

    def table(self) -> pd.DataFrame:
        """One row a fleet, columns `COLUMNS`.

        `wasted` is the share of discoveries that found nothing. `polling_requests` is what polling alone at the same
        intervals would take, `saved` the share of it that was not needed: negative where webhooks cost more, and
        NaN where the quota refused some, as less is then no saving.
        `quota_use` is the mean use of the source's quota by the whole scenario.
        """
        import pandas as pd

        rows = [self._row(name, fleet) for name, fleet in self.scenario.fleets.items()]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        source = [fleet.source for fleet in self.scenario.fleets.values()]
        together = frame.groupby(source)["counted_requests"].transform("sum")
        frame["quota_use"] = [self._use(name, total) for name, total in zip(source, together.to_numpy(), strict=True)]
        return frame

    def _use(self, source: str, counted: float) -> float:
        quota = self.scenario.sources[source].quota
        if quota is None:
            return float("nan")
        return counted / (quota.requests * self.scenario.length_seconds / quota.per_seconds)

    def _row(self, name: str, fleet: Fleet) -> dict[str, object]:
        found, count = self.found[name], self.counts[name]
        delays = found.delays_seconds()
        nothing = float("nan")
        discoveries = count.by_poll + count.by_webhook
        productive = found.productive()
        requests = discoveries * fleet.requests + productive * fleet.new_requests
        period = fleet.interval_seconds * (1 + self.scenario.controller.jitter / 2) + fleet.discovery.mean_seconds
        polls = fleet.warehouses * self.scenario.length_seconds / period
        polling = polls * fleet.requests + productive * fleet.new_requests
        return {
            "fleet": name,
            "warehouses": fleet.warehouses,
            "events": len(found.push),
            "found": len(delays),
            "mean_delay_seconds": float(delays.mean()) if len(delays) else nothing,
            "p50_delay_seconds": float(np.quantile(delays, 0.5)) if len(delays) else nothing,
            "p95_delay_seconds": float(np.quantile(delays, 0.95)) if len(delays) else nothing,
            "max_delay_seconds": float(delays.max()) if len(delays) else nothing,
            "discoveries": discoveries,
            "by_poll": count.by_poll,
            "by_webhook": count.by_webhook,
            "refused": count.refused,
            "wasted": 1 - productive / discoveries if discoveries else nothing,
            "requests": requests,
            "counted_requests": (discoveries - count.refused) * fleet.counted + productive * fleet.new_requests,
            "requests_per_hour": requests / self.scenario.length_seconds * 3600,
            "polling_requests": round(polling),
            "saved": 1 - requests / polling if polling and not count.refused else nothing,
        }
