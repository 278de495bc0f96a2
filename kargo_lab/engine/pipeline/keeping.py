"""What the pipeline remembers: in memory to be quick, and in the store to outlive the process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from kargo_lab.engine.pipeline import values
from kargo_lab.engine.pipeline.analysis import Analysis, Metric, Progress
from kargo_lab.engine.pipeline.values import Collection, StageStatus
from kargo_lab.engine.store import Store
from kargo_lab.resources import loading
from kargo_lab.resources.pipeline import Freight, Promotion, Stage

STAGE, PROMOTION, ANALYSIS = "Stage", "Promotion", "AnalysisRun"
_NO_STATUS = StageStatus()


class Keeping:
    """Freight, Stage statuses, Promotions and analyses. Not locked; the controller does that."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._freight: dict[str, dict[str, Freight]] = {}
        for piece in store.freight():
            self._freight.setdefault(piece.namespace, {})[piece.name] = piece
        self.stages = {key: values.from_json(document) for key, document in store.objects(STAGE).items()}
        self.promotions: dict[str, Promotion] = {}
        for key, document in store.objects(PROMOTION).items():
            promotion = loading.stored(document)
            if isinstance(promotion, Promotion):
                self.promotions[key] = promotion
        self.analyses = {key: _analysis(document) for key, document in store.objects(ANALYSIS).items()}

    def freight(self, namespace: str) -> dict[str, Freight]:
        """The Freight of a namespace, by name."""
        return self._freight.setdefault(namespace, {})

    def note(self, piece: Freight) -> None:
        """Freight that the store has just created."""
        self.freight(piece.namespace)[piece.name] = piece

    def forget(self, namespace: str, name: str) -> None:
        """Freight that the store no longer has."""
        self.freight(namespace).pop(name, None)

    def status(self, stage: str) -> StageStatus:
        """The status of a Stage, an empty one before its first pass."""
        return self.stages.get(stage, _NO_STATUS)

    def of_stage(self, namespace: str, stage: str) -> tuple[Promotion, ...]:
        """The Promotions of a Stage."""
        return tuple(each for each in self.promotions.values() if (each.namespace, each.stage) == (namespace, stage))

    def analysis_of(self, stage: Stage, collection: Collection | None) -> Analysis | None:
        """The newest analysis of a collection in a Stage; its name says of what it is."""
        if collection is None:
            return None
        first, last = f"{stage.name}.".lower(), f".{collection.id[:7]}"
        runs = [
            each
            for name, each in self.analyses.items()
            if each.stage == stage.key and name.startswith(first) and name.endswith(last)
        ]
        return max(runs, key=lambda each: each.name, default=None)

    def write(
        self,
        *,
        freight: Iterable[Freight] = (),
        stages: Iterable[tuple[str, StageStatus | None]] = (),
        promotions: Iterable[Promotion] = (),
        analyses: Iterable[Analysis] = (),
    ) -> None:
        """Write all of it, or nothing; what did not change costs nothing."""
        changed = [each for each in freight if self.freight(each.namespace).get(each.name) != each]
        new_stages = [(key, status) for key, status in stages if self.stages.get(key) != status]
        new_promotions, new_analyses = list(promotions), list(analyses)
        objects: list[tuple[str, str, Any]] = [
            (STAGE, key, None if status is None else values.to_json(status)) for key, status in new_stages
        ]
        objects += ((PROMOTION, each.key, loading.plain(each)) for each in new_promotions)
        objects += ((ANALYSIS, each.name, attrs.asdict(each)) for each in new_analyses)
        if not changed and not objects:
            return
        self._store.write(changed, objects)
        for piece in changed:
            self.note(piece)
        for key, status in new_stages:
            if status is None:
                self.stages.pop(key, None)
            else:
                self.stages[key] = status
        self.promotions.update((each.key, each) for each in new_promotions)
        self.analyses.update((each.name, each) for each in new_analyses)


def _analysis(document: dict[str, Any]) -> Analysis:
    return Analysis(
        **{
            **document,
            "metrics": tuple(Metric(**each) for each in document["metrics"]),
            "progress": {key: Progress(**each) for key, each in document["progress"].items()},
        }
    )
