"""The lab API behind the Freight: Stages, Promotions, traces and events, and what people ask of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.exceptions import BadRequest, NotFound

from kargo_lab.engine.lab import Lab
from kargo_lab.engine.pipeline import showing, values
from kargo_lab.errors import PipelineError
from kargo_lab.resources import loading

MOST_ROWS = 10_000
MOST_TEXT = 1000  # characters of a name that somebody gives


def register(blueprint: Blueprint, lab: Callable[[], Lab], count: Callable[[str, int], int]) -> None:
    """Put the routes onto the API's blueprint."""
    Routes(lab, count).register(blueprint)


def refuse(app: Flask) -> None:
    """Answer 409 where the state of the objects does not allow what was asked."""

    def refused(error: PipelineError) -> tuple[Response, int]:
        return jsonify(error=str(error)), 409

    app.register_error_handler(PipelineError, refused)


class Routes:
    """The views, over whichever lab the application has."""

    def __init__(self, lab: Callable[[], Lab], count: Callable[[str, int], int]) -> None:
        self._lab, self._count = lab, count

    def register(self, blueprint: Blueprint) -> None:
        """All routes, written out."""
        stage, promotion = "/stages/<namespace>/<name>", "/promotions/<namespace>/<name>"
        for method, rule, view in (
            ("GET", "/stages", self.stages),
            ("GET", stage, self.stage),
            ("POST", f"{stage}/promote", self.promote),
            ("POST", f"{stage}/approve", self.approve),
            ("POST", f"{stage}/refresh", self.refresh),
            ("POST", f"{stage}/reverify", self.reverify),
            ("POST", f"{stage}/abort-verification", self.abort_verification),
            ("GET", "/promotions", self.promotions),
            ("GET", promotion, self.promotion),
            ("POST", f"{promotion}/abort", self.abort),
            ("GET", "/traces", self.traces),
            ("GET", "/events", self.events),
        ):
            blueprint.add_url_rule(rule, f"behind_{view.__name__}", view, methods=[method])

    def stages(self) -> Response:
        """Every Stage with its status, and what is wrong with them."""
        shown = showing.of_lab(self._lab())
        return jsonify(items=list(shown.stages), problems=list(shown.problems))

    def stage(self, namespace: str, name: str) -> Response:
        """One Stage with its status."""
        return jsonify(self._document(f"{namespace}/{name}"))

    def _document(self, key: str) -> dict[str, Any]:
        found = self._lab().pipeline.stages.get(key)
        if found is None:
            raise NotFound(f"there is no Stage {key}")
        return {**loading.plain(found), "status": values.to_json(self._lab().stage_status(key))}

    def promotions(self) -> Response:
        """Every Promotion that was made here."""
        namespace, stage = request.args.get("namespace"), request.args.get("stage")
        found = [
            each
            for each in self._lab().promotions()
            if namespace in (None, each.namespace) and stage in (None, each.stage)
        ]
        return jsonify(items=[loading.plain(each) for each in found])

    def promotion(self, namespace: str, name: str) -> Response:
        """One Promotion."""
        found = self._lab().pipeline.keeping.promotions.get(f"{namespace}/{name}")
        if found is None:
            raise NotFound(f"there is no Promotion {namespace}/{name}")
        return jsonify(loading.plain(found))

    def promote(self, namespace: str, name: str) -> tuple[Response, int]:
        """Promote Freight (name, alias, or an origin) into a Stage."""
        self._document(f"{namespace}/{name}")
        made = self._lab().pipeline.promote(f"{namespace}/{name}", _text("freight"), actor=_text("actor", ""))
        return jsonify(loading.plain(made)), 201

    def approve(self, namespace: str, name: str) -> Response:
        """Approve Freight for a Stage."""
        self._document(f"{namespace}/{name}")
        piece = self._lab().pipeline.approve(f"{namespace}/{name}", _text("freight"), actor=_text("actor", ""))
        return jsonify(loading.plain(piece))

    def refresh(self, namespace: str, name: str) -> tuple[str, int]:
        """Look at a Stage now."""
        self._document(f"{namespace}/{name}")
        self._lab().pipeline.refresh(f"{namespace}/{name}")
        return "", 204

    def reverify(self, namespace: str, name: str) -> tuple[str, int]:
        """Verify what is in the Stage once more."""
        self._document(f"{namespace}/{name}")
        self._lab().pipeline.reverify(f"{namespace}/{name}")
        return "", 204

    def abort_verification(self, namespace: str, name: str) -> tuple[str, int]:
        """End the verification that runs in a Stage."""
        self._document(f"{namespace}/{name}")
        self._lab().pipeline.abort_verification(f"{namespace}/{name}")
        return "", 204

    def abort(self, namespace: str, name: str) -> tuple[str, int]:
        """Abort a Promotion."""
        self.promotion(namespace, name)
        self._lab().pipeline.abort(f"{namespace}/{name}")
        return "", 204

    def traces(self) -> Response:
        """The newest marks of traces, or all of one `correlation`, oldest of them first."""
        marks = self._lab().trace.marks(request.args.get("correlation", ""))[-self._count("limit", 1000) :]
        return jsonify(items=[{**attrs.asdict(mark), "time": mark.time.isoformat()} for mark in marks])

    def events(self) -> Response:
        """The newest events, oldest of them first."""
        records = self._lab().store.events(limit=self._count("limit", 1000))
        return jsonify(items=[{**attrs.asdict(record), "time": record.time.isoformat()} for record in records])


def _text(key: str, default: str | None = None) -> str:
    body = request.get_json(silent=True)
    value = body.get(key, default) if isinstance(body, dict) else default
    if not isinstance(value, str) or len(value) > MOST_TEXT or (not value and default is None):
        raise BadRequest(f"expected a JSON object with a text `{key}`")
    return value
