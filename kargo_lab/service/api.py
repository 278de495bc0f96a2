"""The lab API: what a cluster's API would tell about the reference, and the few things to ask of it.

For the suite's `lab-api` target, for notebooks and for people with curl. It shows secrets' keys but
never their values, and belongs on an address that strangers do not reach: receivers' URLs are in it.
`openapi.yaml` beside this file describes every path; a test holds the two together.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs
from flask import Blueprint, Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import BadRequest, Conflict, Forbidden, HTTPException, NotFound, Unauthorized

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.engine.status import timestamp, to_json
from kargo_lab.errors import LabError, ManifestError
from kargo_lab.resources import loading
from kargo_lab.resources.configuration import ProjectConfig, Secret
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import Warehouse
from kargo_lab.service import document, pipeline_api

PREFIX = "/lab/v1"
REFRESH = "kargo.akuity.io/refresh"
MOST_ROWS = 10_000
MOST_BYTES = 4 * 1024**2  # of a body
MOST_SECONDS = 31 * 86400  # of one step: somebody waits until all that falls due is done
_LAB, _TOKEN = "KARGO_LAB", "KARGO_LAB_TOKEN"

blueprint = Blueprint("lab", __name__, url_prefix=PREFIX)


def create_app(lab: Lab, *, token: str = "") -> Flask:
    """The API of one lab; whoever asks must know the token, if there is one."""
    app = Flask(__name__)
    app.config[_LAB], app.config[_TOKEN] = lab, token
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


@blueprint.before_request
def ask_for_the_token() -> None:
    """Where one was set."""
    token: str = current_app.config[_TOKEN]
    claimed = request.headers.get("Authorization", "")
    # As bytes: compare_digest raises on non-ASCII text, and the sender chooses the text.
    if token and not hmac.compare_digest(claimed.encode(errors="replace"), f"Bearer {token}".encode()):
        raise Unauthorized("expected the header Authorization: Bearer, with the token of this lab API")


def _count(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_ROWS):
        raise BadRequest(f"{name} must be a whole number from 1 to {MOST_ROWS}")
    return int(text)


# Looking ----------------------------------------------------------------------------------------------


@blueprint.get("/openapi.yaml")
def description() -> Response:
    """This API's description."""
    return Response(document.text(), mimetype="application/yaml")


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
    items = [_plain(each) for each in held if kind in (None, type(each).__name__)]
    tokens = lab.objects.refreshed_promotions()
    return jsonify(items=[_with_refresh(item, tokens) for item in items])


def _plain(each: Any) -> dict[str, Any]:
    plain = loading.plain(each)
    if isinstance(each, Secret):
        plain["data"] = dict.fromkeys(each.data, "")
    return plain


def _with_refresh(item: dict[str, Any], tokens: Mapping[str, Any]) -> dict[str, Any]:
    """A Promotion with the annotation that a merged pull request sets."""
    metadata = item["metadata"]
    if item["kind"] != "Promotion" or (found := tokens.get(f"{metadata['namespace']}/{metadata['name']}")) is None:
        return item
    annotations = {**metadata.get("annotations", {}), REFRESH: found["token"]}
    return {**item, "metadata": {**metadata, "annotations": annotations}}


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
    match request.args.get("fresh", "false"):
        case "true":
            _forget_all(lab)
        case "false":
            pass
        case other:
            raise BadRequest(f"fresh is true or false, not {other!r}")
    lab.apply(given)
    counts: dict[str, int] = {}
    for each in given.all():
        counts[type(each).__name__] = counts.get(type(each).__name__, 0) + 1
    return jsonify(applied=counts, ignored=[attrs.asdict(other) for other in given.others])


def _forget_all(lab: Lab) -> None:
    lab.apply(Resources())
    with lab.pipeline.changed:
        for piece in lab.freight():
            lab.store.delete_freight(piece.namespace, piece.name)
            lab.pipeline.keeping.forget(piece.namespace, piece.name)


@blueprint.put("/secrets/<namespace>/<name>")
def put_secret(namespace: str, name: str) -> tuple[str, int]:
    """Make or replace one Secret; paths stay as they are until the next resync."""
    body = request.get_json(silent=True)
    given = body.get("stringData") if isinstance(body, dict) else None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise BadRequest('expected {"stringData": {key: text}}')
    data = {key: value.encode("utf-8", "surrogatepass") for key, value in given.items()}
    _lab().objects.set_secrets([*_other_secrets(namespace, name), Secret(namespace=namespace, name=name, data=data)])
    return "", 204


@blueprint.delete("/secrets/<namespace>/<name>")
def delete_secret(namespace: str, name: str) -> tuple[str, int]:
    """Take one Secret away, whether or not there is one."""
    _lab().objects.set_secrets(_other_secrets(namespace, name))
    return "", 204


def _other_secrets(namespace: str, name: str) -> list[Secret]:
    return [each for each in _lab().objects.secrets if (each.namespace, each.name) != (namespace, name)]


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
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MOST_SECONDS:
        raise BadRequest(f'expected {{"seconds": n}} with n from 0 to {MOST_SECONDS}')
    passes = lab.run_until(lab.clock.monotonic() + seconds)
    return jsonify(time=lab.clock.now().isoformat(), passes=passes)


pipeline_api.register(blueprint, _lab, _count)
