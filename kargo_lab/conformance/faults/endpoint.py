"""Faults in front of the receivers: paths, sizes, methods, answers, Secrets."""

from __future__ import annotations

import json
from typing import Any

import attrs

from kargo_lab.conformance.faults.changes import always, answered, asked, instead, refused_if
from kargo_lab.conformance.faults.fault import Fault
from kargo_lab.wire import Answer

_ROUTER = "receivers.md 3.2"
_MUX = "receivers.md 3.1"
_WEBHOOK = "kargo_lab.service.webhook"
_INTAKE = "kargo_lab.engine.intake"


def _not_found(status: int, body: bytes, kind: str = "application/json") -> Any:
    def change(seen: int, headers: list[tuple[str, str]], answer: bytes) -> Any:
        return (status, [("Content-Type", kind)], body) if seen == 404 else (seen, headers, answer)

    return change


def _content_type(seen: int, headers: list[tuple[str, str]], body: bytes) -> Any:
    return seen, [(name, "text/plain" if name.lower() == "content-type" else value) for name, value in headers], body


def _in_words(seen: int, headers: list[tuple[str, str]], body: bytes) -> Any:
    """`message` instead of `msg`."""
    kept = [pair for pair in headers if pair[0].lower() != "content-length"]
    return seen, kept, body.replace(b'"msg":', b'"message":')


def _accepted(seen: int, headers: list[tuple[str, str]], body: bytes) -> Any:
    return (202 if seen == 200 else seen), headers, body


def _path(change: Any) -> Any:
    def edit(environ: dict[str, Any]) -> None:
        target = environ["RAW_URI"]
        path, mark, query = target.partition("?")
        environ["RAW_URI"] = environ["REQUEST_URI"] = change(path) + mark + query

    return asked(edit)


def _lower_hash(path: str) -> str:
    return path.lower()


def _routed(change: Any) -> dict[str, Any]:
    """Another way to the receiver: `change(right, path, objects, options)`."""
    return {
        f"{_INTAKE}:route": lambda right: lambda path, objects, **options: change(right, path, objects, options),
    }


def _any_of_type(right: Any, path: str, objects: Any, options: Any) -> Any:
    """The hash does not matter: the first receiver of the type answers."""
    kind = path.strip("/").partition("/")[0]
    for config in objects.configs:
        for entry in objects.receiver_entries(config):
            if entry.path.startswith(f"/{kind}/") and isinstance(right(path, objects, **options), Answer):
                return right(entry.path, objects, **options)
    return right(path, objects, **options)


def _remembering(right: Any) -> Any:
    """Secrets are read once for each receiver, and never again."""
    known: dict[Any, Any] = {}

    def wrong(config: Any, spec: Any, secret_of: Any, **options: Any) -> Any:
        key = (getattr(config, "namespace", ""), spec.name)
        if key not in known:
            known[key] = right(config, spec, secret_of, **options)
        return known[key]

    return wrong


def _resync_once(right: Any) -> Any:
    """Paths are built when resources are applied, and stay."""

    def wrong(self: Any, previous: Any = None) -> None:
        if previous is not None or not self.configs:
            right(self, previous)

    return wrong


def _trimmed(right: Any) -> Any:
    def wrong(project: str, name: str, secret: bytes) -> Any:
        return right(project, name, secret.strip())

    return wrong


def _trimmed_for_signatures(receive: Any) -> Any:
    return lambda delivery, setup, profile: receive(delivery, attrs.evolve(setup, secret=setup.secret.strip()), profile)


def _large(environ: Any) -> bool:
    return int(environ.get("CONTENT_LENGTH") or 0) > 2 * 1024**2


def _deep(receive: Any) -> Any:
    """A body that is nested too deeply crashes the parser."""

    def wrong(delivery: Any, setup: Any, profile: Any) -> Any:
        if delivery.body.count(b"[") > 500:
            raise RecursionError
        return receive(delivery, setup, profile)

    return wrong


def _surrogates(receive: Any) -> Any:
    def wrong(delivery: Any, setup: Any, profile: Any) -> Any:
        delivery.body.decode("utf-8")
        json.dumps(delivery.body.decode()).encode("utf-8")
        return receive(delivery, setup, profile)

    return wrong


class _Empty:
    """A Secret in which every key holds nothing."""

    class _Data(dict[str, bytes]):
        def __contains__(self, _key: object) -> bool:
            return True

        def __missing__(self, _key: str) -> bytes:
            return b""

    data = _Data()


def _fault(
    name: str, says: str, source: str = _ROUTER, touches: tuple[str, ...] = ("routing",), **change: Any
) -> Fault:
    return Fault(name=name, says=says, source=source, touches=touches, **change)


FAULTS = (
    _fault("unknown-paths-are-fine", "An unknown path answers 200", endpoint=answered(_not_found(200, b"{}\n"))),
    _fault("unknown-paths-are-forbidden", "An unknown path answers 403", endpoint=answered(_not_found(403, b"{}\n"))),
    _fault(
        "unknown-paths-in-html",
        "The answer to an unknown path is a page",
        endpoint=answered(_not_found(404, b"<html>not found</html>", "text/html")),
    ),
    _fault(
        "unknown-paths-with-words",
        "The answer to an unknown path has an error text",
        endpoint=answered(_not_found(404, b'{"error":"not found"}\n')),
    ),
    _fault("hash-not-compared", "Any hash below a type's path leads to some receiver", replaced=_routed(_any_of_type)),
    _fault("hash-in-any-case", "The hash in upper case is accepted", endpoint=_path(_lower_hash)),
    _fault(
        "trailing-slash-accepted",
        "A path with a slash at the end leads to the receiver",
        endpoint=_path(lambda path: path.rstrip("/") or "/"),
    ),
    _fault(
        "prefix-suffices",
        "What stands behind the path is ignored",
        endpoint=_path(lambda path: "/".join(path.split("/")[:3])),
    ),
    _fault(
        "escapes-not-decoded",
        "Percent escapes in the path are not decoded",
        replaced={"kargo_lab.service.request_paths:decoded": lambda _right: lambda path: path},
    ),
    _fault(
        "query-belongs-to-the-path",
        "A query makes the path another",
        endpoint=asked(
            lambda environ: environ.update(
                RAW_URI=environ["RAW_URI"].replace("?", "%3F"), REQUEST_URI=environ["RAW_URI"].replace("?", "%3F")
            )
        ),
    ),
    _fault(
        "paths-not-cleaned", "// in a path is an unknown path, as up to 1.7", _MUX, switches={"mux_redirect_status": 0}
    ),
    _fault("slashes-merged", "// in a path is forgiven", _MUX, endpoint=_path(lambda path: path.replace("//", "/"))),
    _fault(
        "moved-permanently",
        "Cleaning redirects with 301, which turns POST into GET, as up to 1.9",
        "receivers.md 7.2",
        switches={"mux_redirect_status": 301},
    ),
    _fault("no-health-endpoint", "/healthz is unknown, as up to 1.7", _MUX, switches={"healthz": False}),
    _fault(
        "health-with-words",
        "/healthz answers a text",
        _MUX,
        replaced={f"{_WEBHOOK}:request_paths.is_health": always(False)},
        endpoint=answered(
            lambda status, headers, body: (200, headers, body) if status == 404 else (status, headers, body)
        ),
    ),
    _fault(
        "only-post",
        "Other methods than POST answer 405",
        "receivers.md 3.3",
        ("routing", "dockerhub", "github", "generic"),
        endpoint=refused_if(lambda environ: environ["REQUEST_METHOD"] != "POST", 405),
    ),
    _fault(
        "head-does-nothing",
        "HEAD is answered without looking",
        "receivers.md 3.3",
        endpoint=refused_if(lambda environ: environ["REQUEST_METHOD"] == "HEAD", 204),
    ),
    _fault(
        "json-only",
        "Another content type answers 415",
        "receivers.md 3.3",
        ("routing", "github", "security"),
        endpoint=refused_if(lambda environ: "json" not in environ.get("CONTENT_TYPE", "json"), 415),
    ),
    _fault("limit-one-byte-low", "Exactly 2 MiB is too much", replaced={f"{_WEBHOOK}:LIMIT": instead(2 * 1024**2 - 1)}),
    _fault(
        "limit-one-byte-high",
        "One byte more than 2 MiB is accepted",
        replaced={f"{_WEBHOOK}:LIMIT": instead(2 * 1024**2 + 1)},
    ),
    _fault("limit-of-one-mebibyte", "1 MiB is too much", replaced={f"{_WEBHOOK}:LIMIT": instead(1024**2)}),
    _fault("no-limit", "Bodies of any size are read", replaced={f"{_WEBHOOK}:LIMIT": instead(1 << 40)}),
    _fault(
        "size-before-path",
        "A body that is too large is refused before the path is looked up",
        endpoint=refused_if(_large, 413),
    ),
    _fault(
        "chunked-too-large-is-413",
        "A chunked body that is too large answers 413, where Kargo answers 500",
        "receivers.md 8.1 B3",
        switches={"chunked_oversize_status": 413},
    ),
    _fault(
        "chunks-refused",
        "Bodies without Content-Length are refused",
        endpoint=refused_if(lambda environ: bool(environ.get("HTTP_TRANSFER_ENCODING")), 411),
    ),
    _fault(
        "too-large-without-words",
        "The refusal does not name the limit",
        replaced={f"{_WEBHOOK}:TOO_LARGE": instead(Answer(status=413))},
    ),
    _fault(
        "answers-in-plain-text",
        "Answers are not declared as JSON",
        "receivers.md 3.4",
        ("routing", "github"),
        endpoint=answered(_content_type),
    ),
    _fault(
        "answers-in-other-words",
        "The member is called message instead of msg",
        "receivers.md 3.4",
        ("routing", "github", "dockerhub", "gitea", "azure", "promotions"),
        endpoint=answered(_in_words),
    ),
    _fault(
        "accepted-instead-of-ok",
        "Deliveries are answered with 202",
        "receivers.md 3.4",
        (),
        endpoint=answered(_accepted),
    ),
    _fault(
        "secrets-read-once",
        "A rotated Secret is not noticed",
        "receivers.md 1.4",
        ("secrets",),
        replaced={f"{_INTAKE}:build": _remembering},
    ),
    _fault(
        "old-paths-live-on",
        "The path of a rotated Secret stays valid",
        "receivers.md 8.3 S7",
        ("secrets",),
        replaced={"kargo_lab.engine.objects:Objects.resync": _resync_once},
    ),
    _fault(
        "secrets-trimmed-in-the-path",
        "White space around a Secret is no part of the path",
        "receivers.md 9 CF-17",
        ("secrets",),
        replaced={"kargo_lab.receivers.paths:receiver_hash": _trimmed},
    ),
    _fault(
        "secrets-trimmed-in-signatures",
        "White space around a Secret is no part of the key",
        "receivers.md 9 CF-17",
        ("secrets",),
        receivers={"*": _trimmed_for_signatures},
    ),
    _fault(
        "path-without-the-project",
        "The project is no part of the path",
        "receivers.md 2.1",
        ("routing", "secrets", "scopes"),
        replaced={
            "kargo_lab.receivers.paths:receiver_hash": lambda right: (
                lambda _project, name, secret: right("", name, secret)
            )
        },
    ),
    _fault(
        "path-without-the-secret",
        "The Secret is no part of the path: rotation keeps it",
        "receivers.md 2.1",
        ("routing", "secrets"),
        replaced={
            "kargo_lab.receivers.paths:receiver_hash": lambda right: (
                lambda project, name, _secret: right(project, name, b"")
            )
        },
    ),
    _fault(
        "missing-secrets-are-empty",
        "Where the Secret is gone an empty one is used",
        "receivers.md 3.2 step 7",
        ("secrets",),
        replaced={
            f"{_INTAKE}:build": lambda right: (
                lambda config, spec, secret_of, **options: right(
                    config, spec, lambda *given: secret_of(*given) or _Empty(), **options
                )
            )
        },
    ),
    _fault(
        "broken-receivers-are-unknown",
        "A receiver that cannot be built answers 404",
        "receivers.md 3.2 step 7",
        ("secrets",),
        replaced={f"{_INTAKE}:INTERNAL_ERROR": instead(Answer(status=404))},
    ),
    _fault(
        "deep-bodies-crash",
        "A deeply nested body ends in a crash",
        "receivers.md 3.3",
        ("security",),
        receivers={"*": _deep},
    ),
    _fault(
        "invalid-utf8-crashes",
        "A body that is no UTF-8 ends in a crash",
        "receivers.md 3.3",
        ("security",),
        receivers={"*": _surrogates},
    ),
    _fault(
        "replays-forgotten",
        "A delivery id that came before is acknowledged without effect",
        "receivers.md 8.3 S6",
        ("github", "refreshing", "security"),
        switches={"duplicate_deliveries": "acknowledged"},
    ),
)
