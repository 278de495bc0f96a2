"""The lab API: what a cluster's API would tell about the reference, and the few things to ask of it.

For the suite's `lab-api` target, for notebooks and for people with curl. It shows secrets' keys but
never their values, and belongs on an address that strangers do not reach: receivers' URLs are in it.
`openapi.yaml` beside this file describes every path; a test holds the two together.
"""

from __future__ import annotations

from importlib import resources as package_files
from typing import Any
from urllib.parse import urlsplit

import attrs
from flask import Blueprint, Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import BadRequest, Conflict, Forbidden, HTTPException, NotFound

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.status import timestamp, to_json
from kargo_lab.errors import LabError, ManifestError
from kargo_lab.resources import loading
from kargo_lab.resources.configuration import ProjectConfig, Secret
from kargo_lab.resources.warehouse import Warehouse
from kargo_lab.service import pipeline_api

PREFIX = "/lab/v1"
MOST_ROWS = 10_000
MOST_BYTES = 4 * 1024**2  # of a body
_LAB = "KARGO_LAB"

blueprint = Blueprint("lab", __name__, url_prefix=PREFIX)


def create_app(lab: Lab) -> Flask:
    """The API of one lab."""
    app = Flask(__name__)
    app.config[_LAB] = lab
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    app.register_blueprint(blueprint)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(LabError, _lab_error)
    pipeline_api.refuse(app)
    return app


def _lab() -> Lab:
    lab: Lab = current_app.config[_LAB]
    return lab


def _http_error(error: HTTPException) -> tuple[Response, int, dict[str, str]]:
    allowed = {name: value for name, value in error.get_headers() if name == "Allow"}
    return jsonify(error=error.description), error.code or 500, allowed


def _lab_error(error: LabError) -> tuple[Response, int]:
    if isinstance(error, ManifestError):
        return jsonify(error=str(error), misfits=[attrs.asdict(misfit) for misfit in error.misfits]), 422
    return jsonify(error=str(error)), 400


@blueprint.before_request
def refuse_other_sites() -> None:
    """A page in a browser on this machine must not be able to reconfigure the lab."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Forbidden("requests from other sites are not answered")


def _count(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_ROWS):
        raise BadRequest(f"{name} must be a whole number from 1 to {MOST_ROWS}")
    return int(text)


# Looking ----------------------------------------------------------------------------------------------


@blueprint.get("/openapi.yaml")
def description() -> Response:
    """This API's description."""
    text = package_files.files("kargo_lab.service").joinpath("openapi.yaml").read_text()
    return Response(text, mimetype="application/yaml")


@blueprint.get("/")
def about() -> Response:
    """Which lab this is."""
    lab = _lab()
    virtual = isinstance(lab.clock, VirtualClock)
    return jsonify(
        profile=lab.profile.name,
        baseURL=lab.base_url,
        time=lab.clock.now().isoformat(),
        clock="virtual" if virtual else "wall",
    )


@blueprint.get("/objects")
def objects() -> Response:
    """Every object as it was applied; the values of Secrets are left out."""
    lab, kind = _lab(), request.args.get("kind")
    held: list[Any] = [*lab.objects.secrets, *lab.objects.configs, *lab.objects.warehouses(), *lab.objects.promotions()]
    items = [_plain(each) for each in held]
    return jsonify(items=[item for item in items if kind in (None, item["kind"])])


def _plain(each: Any) -> dict[str, Any]:
    plain = loading.plain(each)
    if isinstance(each, Secret):
        plain["data"] = dict.fromkeys(each.data, "")
    return plain


@blueprint.get("/receivers")
def receivers() -> Response:
    """What the status of each configuration says."""
    lab = _lab()
    items = []
    for config in lab.objects.configs:
        status = lab.objects.receiver_status(config)
        items.append(
            {
                "kind": type(config).__name__,
                "namespace": config.namespace if isinstance(config, ProjectConfig) else "",
                "name": config.name,
                "webhookReceivers": [attrs.asdict(entry) for entry in status.entries] if status else [],
                "conditions": [attrs.asdict(condition) for condition in status.conditions] if status else [],
                "observedGeneration": status.observed_generation if status else 0,
                "lastHandledRefresh": status.last_handled_refresh if status else "",
            }
        )
    return jsonify(items=items)


@blueprint.get("/deliveries")
def deliveries() -> Response:
    """The newest deliveries, oldest of them first."""
    records = _lab().store.deliveries(limit=_count("limit", 1000))
    return jsonify(items=[{**attrs.asdict(record), "time": record.time.isoformat()} for record in records])


@blueprint.get("/freight")
def freight() -> Response:
    """Freight in the order of its creation."""
    pieces = _lab().freight(request.args.get("namespace"), origin=request.args.get("warehouse"))
    return jsonify(items=[loading.plain(piece) for piece in pieces])


@blueprint.get("/warehouses")
def warehouses() -> Response:
    """Every Warehouse with its refresh token and status."""
    return jsonify(items=[_warehouse(each) for each in _lab().objects.warehouses()])


@blueprint.get("/warehouses/<namespace>/<name>")
def warehouse(namespace: str, name: str) -> Response:
    """One Warehouse with its refresh token and status."""
    return jsonify(_warehouse(_known(namespace, name)))


def _known(namespace: str, name: str) -> Warehouse:
    found = _lab().warehouse(f"{namespace}/{name}")
    if found is None:
        raise NotFound(f"there is no Warehouse {namespace}/{name}")
    return found


def _warehouse(each: Warehouse) -> dict[str, Any]:
    record = _lab().store.warehouse(each.key)
    return {
        "namespace": each.namespace,
        "name": each.name,
        "generation": record.generation if record else each.generation,
        "refresh": record.refresh if record else None,
        "status": to_json(record.status) if record else {},
    }


@blueprint.get("/ledger")
def ledger() -> Response:
    """The newest outgoing requests, oldest of them first."""
    rows = _lab().ledger.rows[-_count("limit", 1000) :]
    return jsonify(items=[{**attrs.asdict(row), "time": timestamp(row.time)} for row in rows])


@blueprint.get("/ledger/totals")
def totals() -> Response:
    """Outgoing requests by source and kind."""
    return jsonify(items=_lab().ledger.totals().to_dict(orient="records"))


# Asking -----------------------------------------------------------------------------------------------


@blueprint.delete("/ledger")
def forget() -> tuple[str, int]:
    """Measure from here."""
    _lab().ledger.clear()
    return "", 204


@blueprint.post("/resources")
def apply() -> Response:
    """Take over the YAML in the body as a whole; what is not in it is gone."""
    namespace = request.args.get("namespace", "default")
    lab, body = _lab(), request.get_data()
    if not body.strip():
        raise BadRequest("the body is empty; an empty document would remove everything, so say it with `---`")
    given = loading.loads(body, name="<body>", profile=lab.profile, namespace=namespace)
    lab.apply(given)
    counts: dict[str, int] = {}
    for each in given.all():
        counts[type(each).__name__] = counts.get(type(each).__name__, 0) + 1
    return jsonify(applied=counts, ignored=[attrs.asdict(other) for other in given.others])


@blueprint.post("/receivers/resync")
def resync() -> Response:
    """Let the controllers of configurations pass once: receivers' paths are built anew."""
    _lab().resync()
    return receivers()


@blueprint.post("/warehouses/<namespace>/<name>/refresh")
def refresh(namespace: str, name: str) -> Response:
    """Ask one Warehouse to refresh."""
    return jsonify(token=_lab().refresh(_known(namespace, name).key))


@blueprint.post("/clock/step")
def step() -> Response:
    """Move a virtual clock on by so many seconds and run what falls due."""
    lab = _lab()
    if not isinstance(lab.clock, VirtualClock):
        raise Conflict("the clock is the wall's; only a virtual one can be moved")
    seconds = (request.get_json() or {}).get("seconds") if isinstance(request.get_json(), dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 10**9:
        raise BadRequest('expected {"seconds": n} with n from 0 to 1000000000')
    passes = lab.run_until(lab.clock.monotonic() + seconds)
    return jsonify(time=lab.clock.now().isoformat(), passes=passes)


pipeline_api.register(blueprint, _lab, _count)
