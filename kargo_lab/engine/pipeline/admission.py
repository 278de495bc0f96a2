"""What was applied, and what may be made of it: Promotions, approvals and Freight, with the checks of admission.

Source: discovery.md 7.6, 8.7, 8.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

import attrs

from kargo_lab.engine import freight as pieces
from kargo_lab.engine.clock import Clock
from kargo_lab.engine.pipeline import availability, candidates, passes, plan, promotions, soak, tasks
from kargo_lab.engine.pipeline.keeping import Keeping
from kargo_lab.engine.pipeline.passes import View
from kargo_lab.engine.status import timestamp
from kargo_lab.engine.store import Store
from kargo_lab.errors import PipelineError, StoreError
from kargo_lab.profiles import Profile
from kargo_lab.resources.configuration import PromotionPolicy
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.pipeline import Freight, Promotion, PromotionTask, Stage

_MILLISECOND = timedelta(milliseconds=1)


@attrs.frozen(kw_only=True)
class _Applied:
    """One state of the resources, replaced as a whole."""

    stages: Mapping[str, Stage] = attrs.field(factory=dict)
    tasks: Mapping[tuple[str, str], PromotionTask] = attrs.field(factory=dict)
    policies: Mapping[str, tuple[PromotionPolicy, ...]] = attrs.field(factory=dict)
    warehouses: frozenset[tuple[str, str]] = frozenset()
    problems: tuple[PipelineError, ...] = ()


class Admission:
    """The API server's part. Not locked; the controller does that."""

    def __init__(
        self, *, keeping: Keeping, profile: Profile, clock: Clock, random: Random, steps: Iterable[str]
    ) -> None:
        self._steps = frozenset(steps)
        self._keeping, self._profile, self._clock, self._random = keeping, profile, clock, random
        self._now = _Applied()
        self._last: tuple[datetime | None, int] = (None, 0)

    def apply(self, resources: Resources) -> None:
        """Take over what Promotions are made of."""
        warehouses = frozenset((each.namespace, each.name) for each in resources.warehouses)
        by_name = {(each.namespace, each.name): each for each in resources.promotion_tasks}
        before = self._now.stages
        stages = {}
        for stage in resources.stages:
            known = before.get(stage.key)
            same = known is not None and attrs.evolve(stage, generation=known.generation) == known
            generation = stage.generation if known is None else known.generation + (not same)
            stages[stage.key] = attrs.evolve(stage, generation=generation)
        self._now = _Applied(
            stages=stages,
            tasks=by_name,
            policies={each.namespace: each.promotion_policies for each in resources.project_configs},
            warehouses=warehouses,
            problems=(
                *plan.problems(resources.stages, warehouses, by_name, steps=self._steps),
                *plan.unrun(resources.promotions),
            ),
        )

    @property
    def stages(self) -> Mapping[str, Stage]:
        """The Stages, by key."""
        return self._now.stages

    @property
    def problems(self) -> tuple[PipelineError, ...]:
        """What is wrong with them, and which Promotions are declared in vain."""
        return self._now.problems

    def stage(self, key: str) -> Stage:
        """A Stage; PipelineError names one that is not there."""
        found = self._now.stages.get(key)
        if found is None:
            raise PipelineError(f"Stage {key}", "there is no such Stage")
        return found

    def policies(self, namespace: str) -> Sequence[PromotionPolicy]:
        """The promotion policies of a Project."""
        return self._now.policies.get(namespace, ())

    def warehouses(self, namespace: str) -> frozenset[str]:
        """The names of a Project's Warehouses."""
        return frozenset(name for where, name in self._now.warehouses if where == namespace)

    def unique(self) -> str:
        """A ULID that is greater than every one before it, within a millisecond too."""
        now, (moment, randomness) = self._clock.now(), self._last
        if moment is not None and now - moment < _MILLISECOND:
            self._last = (moment, randomness + 1)
        else:
            # One bit is left free, so that what follows within the millisecond can count up.
            start = now.replace(microsecond=now.microsecond // 1000 * 1000)
            self._last = (start, self._random.getrandbits(promotions.RANDOM_BITS - 1))
        moment, randomness = self._last
        return promotions.ulid(moment or now, randomness)

    # Promotions

    def automatic(self, stage: Stage, piece: Freight) -> Promotion:
        """What auto-promotion creates."""
        return self._promotion(stage, piece, {candidates.ACTOR: "controller"})

    def by_user(self, stage: Stage, freight: str, view: View, actor: str) -> Promotion:
        """What a user creates, with the hold or resume that it stands for."""
        if stage.control_flow:
            raise PipelineError(f"Stage {stage.key}", "is a control flow Stage; nothing is promoted into it")
        listed = availability.listed(stage, tuple(view.freight.values()), view.at, warehouses=view.warehouses)
        chosen = candidates.candidates(stage, listed, profile=self._profile)
        piece = chosen.get(freight) if self._is_origin(stage, freight) else self.freight(stage.namespace, freight)
        if piece is None:
            raise PipelineError(f"Stage {stage.key}", f"has no candidate of {freight}")
        if refused := availability.refusal(piece, stage, view.at):
            raise PipelineError(f"Freight {piece.key}", f"is not available to Stage {stage.name}: {refused}")
        annotations = candidates.intent(
            piece, chosen.get(piece.origin.key), enabled=passes.is_enabled(view), profile=self._profile
        )
        return self._promotion(stage, piece, {**annotations, candidates.ACTOR: actor or "user"})

    def _is_origin(self, stage: Stage, text: str) -> bool:
        # A Promotion may name an origin since v1.11, as holds exist since then.
        return self._profile.holds and text in {request.origin.key for request in stage.requested_freight}

    def _promotion(self, stage: Stage, piece: Freight, annotations: Mapping[str, str]) -> Promotion:
        name = promotions.name(stage.name, self.unique(), piece.name, profile=self._profile)
        try:
            steps = tasks.unfolded(stage.steps, self._now.tasks, stage.namespace)
        except PipelineError as error:
            raise PipelineError(f"Stage {stage.key}", f"no Promotion can be made: {error}") from None
        return Promotion(
            namespace=stage.namespace,
            name=name,
            stage=stage.name,
            freight=piece.name,
            steps=steps,
            created_at=timestamp(self._clock.now()) or "",
            annotations=dict(annotations),
        )

    # Freight

    def freight(self, namespace: str, text: str) -> Freight:
        """Freight by its name or alias; PipelineError names what is not there."""
        known = self._keeping.freight(namespace)
        found = known.get(text) or next((each for each in known.values() if text and each.alias == text), None)
        if found is None:
            raise PipelineError(f"Freight {namespace}/{text}", "there is no Freight of this name or alias")
        return found

    def renamed(self, namespace: str, freight: str, alias: str) -> Freight:
        """Freight with another alias, which is also its label."""
        piece = self.freight(namespace, freight)
        taken = any(
            each.alias == alias and each.name != piece.name for each in self._keeping.freight(namespace).values()
        )
        if taken or not alias:
            reason = f"the alias {alias!r} is taken" if taken else "an alias must not be empty"
            raise PipelineError(f"Freight {piece.key}", reason)
        return attrs.evolve(piece, alias=alias, labels={**piece.labels, pieces.ALIAS_LABEL: alias})

    def approved(self, stage: Stage, freight: str, now: datetime) -> Freight:
        """Freight with the approval for a Stage."""
        piece = self.freight(stage.namespace, freight)
        if self._profile.approval_needs_origin and all(
            request.origin != piece.origin for request in stage.requested_freight
        ):
            raise PipelineError(
                f"Freight {piece.key}", f"is of {piece.origin.key}, which Stage {stage.name} does not request"
            )
        return attrs.evolve(piece, status=soak.approved(piece.status, stage.name, now))

    def declare(self, piece: Freight, store: Store) -> Freight | None:
        """Freight that somebody wrote, created or given its new alias; None if nothing about it is new.

        It has been through `engine.admission`.
        """
        before = self._keeping.freight(piece.namespace).get(piece.name)
        if before is not None:
            return (
                self.renamed(piece.namespace, piece.name, piece.alias)
                if piece.alias not in ("", before.alias)
                else None
            )
        try:
            return store.create_freight(piece, now=self._clock.now(), profile=self._profile)
        except StoreError as error:
            raise PipelineError(f"Freight {piece.key}", str(error)) from None
