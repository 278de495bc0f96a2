"""One pass over a Warehouse, as a sequence of pure steps around one effect: discovery.md 2.3 to 2.7.

`begin` says whether this pass discovers; the caller then discovers, or not; `fail` and `conclude`
say what the status is afterwards and when to look again. Creating Freight is the one effect inside,
and is an argument. Messages of conditions begin as Kargo's do, since people and tools search a status for them;
the text of an error inside them is ours (WC:235-551).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs

from kargo_lab.engine import conditions as table
from kargo_lab.engine import freight as pieces
from kargo_lab.engine import timers
from kargo_lab.engine.status import Status
from kargo_lab.errors import LabError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.artifacts import DiscoveredArtifacts
from kargo_lab.resources.pipeline import Freight, Origin
from kargo_lab.resources.warehouse import Warehouse


class CriteriaError(LabError):
    """The Freight creation criteria do not compile, do not evaluate, or give no boolean."""


Create = Callable[[Freight], Freight | None]
"""Stores a piece and gives it back as stored; None if one of that name exists; raises LabError."""

Build = Callable[..., Freight]
"""`freight.build`, or what a test puts in its place."""

Criteria = Callable[[str, DiscoveredArtifacts], bool]
"""Evaluates an expression over what was discovered; raises CriteriaError."""


@attrs.frozen(kw_only=True)
class Conclusion:
    """How a pass ended.

    `status` is what to store. `error` is the text of the error that asks for a retry with back-off,
    empty after success; then `wait_seconds` says when the next pass is due. `created` is the new
    Freight, if any.
    """

    status: Status
    error: str = ""
    wait_seconds: float = 0.0
    created: Freight | None = None


def schedule(
    warehouse: Warehouse, status: Status, *, refresh: str | None, now: datetime, operator_minimum_seconds: float
) -> timers.Schedule:
    """What the timers look at."""
    found = status.discovered.discovered_at if status.discovered is not None else None
    return timers.Schedule(
        now=timers.instant(now),
        interval=timers.nanoseconds(warehouse.spec.interval_seconds),
        operator_minimum=timers.nanoseconds(operator_minimum_seconds),
        discovered_at=None if found is None else timers.instant(found),
        generation=warehouse.generation,
        observed_generation=status.observed_generation,
        last_handled_refresh=status.last_handled_refresh,
        refresh=refresh,
    )


def begin(warehouse: Warehouse, status: Status, now: datetime) -> Status:
    """The status while discovery runs.

    The refresh token is not part of it: a controller that dies now finds the token unhandled after
    its restart (KP:24-63).
    """
    messages = {
        table.RECONCILING: f"Discovering artifacts for {len(warehouse.spec.subscriptions)} subscriptions",
        table.READY: "Waiting for discovery to complete",
        table.HEALTHY: "Health status cannot be determined until artifact discovery is finished",
    }
    return attrs.evolve(
        status,
        conditions=table.apply(
            status.conditions,
            table.DISCOVERY_STARTED,
            generation=warehouse.generation,
            now=timers.stored(now),
            messages=messages,
        ),
    )


def fail(
    warehouse: Warehouse,
    status: Status,
    error: str,
    *,
    refresh: str | None,
    now: datetime,
    profile: Profile = LATEST,
) -> Conclusion:
    """The end of a pass whose discovery failed.

    As Kargo has it, the refresh counts as handled although nothing was discovered, so that the retry
    may find no reason to discover: the lost refresh of discovery.md 2.7.
    """
    conditions = table.apply(
        status.conditions,
        table.DISCOVERY_FAILED,
        generation=warehouse.generation,
        now=timers.stored(now),
        messages={
            table.READY: f"Artifact discovery failed: {error}",
            table.HEALTHY: f"Unable to discover artifacts: {error}",
        },
    )
    handled = refresh if refresh is not None and profile.lost_refresh else status.last_handled_refresh
    return Conclusion(
        status=attrs.evolve(status, conditions=conditions, last_handled_refresh=handled),
        error=f"error discovering artifacts: {error}",
    )


def discovered(status: Status, found: DiscoveredArtifacts, *, refresh: str | None, now: datetime) -> Status:
    """The status with a fresh result in it; its time is that of the end of discovery, in whole seconds."""
    return attrs.evolve(
        status,
        discovered=attrs.evolve(found, discovered_at=timers.stored(now)),
        last_handled_refresh=status.last_handled_refresh if refresh is None else refresh,
    )


def conclude(
    warehouse: Warehouse,
    status: Status,
    *,
    refresh: str | None,
    now: datetime,
    create: Create,
    criteria: Criteria,
    build: Build = pieces.build,
    operator_minimum_seconds: float = 0.0,
    profile: Profile = LATEST,
) -> Conclusion:
    """Validate, create Freight, set the conditions and the timer: steps 4 to 8 of discovery.md 2.3.

    `status.discovered` is what this pass found, or what is stored from an earlier one.
    """
    ending = _Ending(warehouse, status, timers.stored(now))
    error = ending.run(create, criteria, build, profile)
    ended = ending.status
    due = schedule(warehouse, ended, refresh=refresh, now=now, operator_minimum_seconds=operator_minimum_seconds)
    return Conclusion(
        status=ended,
        error=error,
        wait_seconds=0.0 if error else timers.wait(due) / timers.SECOND,
        created=ending.created,
    )


class _Ending:
    """The status on its way through the last steps of a pass."""

    def __init__(self, warehouse: Warehouse, status: Status, now: datetime) -> None:
        self.warehouse, self.now, self._before = warehouse, now, status
        self.conditions, self.last_freight_id = status.conditions, status.last_freight_id
        self.created: Freight | None = None

    @property
    def status(self) -> Status:
        """The status as it is to be stored."""
        return attrs.evolve(
            self._before,
            observed_generation=self.warehouse.generation,
            conditions=self.conditions,
            last_freight_id=self.last_freight_id,
        )

    def note(self, situation: table.Situation, **messages: str) -> None:
        self.conditions = table.apply(
            self.conditions,
            situation,
            generation=self.warehouse.generation,
            now=self.now,
            messages=messages,
        )

    def run(self, create: Create, criteria: Criteria, build: Build, profile: Profile) -> str:
        """The text of the error that ends the pass; empty for a good end."""
        found = self._before.discovered
        if (fault := table.invalid(found)) is not None:
            self.note(fault[0], Ready=fault[1], Healthy=fault[1])
            return ""
        assert found is not None  # noqa: S101 - nothing at all is a fault
        if self.warehouse.spec.freight_creation_policy != "Manual":
            try:
                satisfied = self._satisfied(found, criteria, profile)
            except CriteriaError as error:
                text = f"Evaluation of Freight creation criteria failed: {error}"
                self.note(table.CRITERIA_FAILED, Ready=text, Healthy=text)
                return ""
            if satisfied and (fault_text := self._create(found, create, build, profile)):
                return fault_text
        count = len(self.warehouse.spec.subscriptions)  # configured, not discovered (WC:528-531)
        self.note(table.SUCCEEDED, Ready=f"Successfully discovered artifacts from {count} subscriptions")
        return ""

    def _satisfied(self, found: DiscoveredArtifacts, criteria: Criteria, profile: Profile) -> bool:
        if not profile.freight_criteria:
            return True
        expression = self.warehouse.spec.freight_creation_criteria.strip()
        only_generic = found.count == len(found.results)  # then the expression is not looked at (WC:870-873)
        if expression and not only_generic and not criteria(expression, found):
            self.note(table.CRITERIA_REFUSED, **{table.CRITERIA: "Freight creation criteria were not satisfied"})
            return False
        self.note(table.CRITERIA_SATISFIED, **{table.CRITERIA: "Freight creation criteria satisfied"})
        return True

    def _create(self, found: DiscoveredArtifacts, create: Create, build: Build, profile: Profile) -> str:
        self.note(
            table.CREATION_STARTED,
            Reconciling="Creating Freight from latest artifacts",
            Ready="Freight creation from latest artifacts is in progress",
            Healthy="Health status cannot be determined until Freight creation is finished",
        )
        try:
            built = build(found, profile=profile)
        except pieces.FreightBuildError as error:
            text = f"Error building Freight from latest artifacts: {error}"
            self.note(table.BUILD_FAILED, Ready=text, Healthy=text)
            return text
        nameless = pieces.freight_name(built, profile=profile)
        try:
            created = create(
                attrs.evolve(built, namespace=self.warehouse.namespace, origin=Origin(name=self.warehouse.name))
            )
        except LabError as error:
            text = f'Error creating Freight "{nameless}" in namespace "{self.warehouse.namespace}": {error}'
            self.note(table.CREATE_FAILED, Ready=text, Healthy=text)
            return text
        if created is None:
            # The name of an object without origin, which no Freight has: upstream's slip (WC:416-523).
            self.last_freight_id = nameless
            if profile.freight_criteria:
                self.note(
                    table.FREIGHT_EXISTS, FreightCreated="Freight composed of the newest artifacts already exists"
                )
            return ""
        self.created = created
        self.last_freight_id = created.name
        if profile.freight_criteria:
            self.note(table.FREIGHT_NEW, FreightCreated="No Freight composed of the newest artifacts already existed")
        return ""
