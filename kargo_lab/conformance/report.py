"""Reports: a validated JSON log of header, cases and footer, and what is made of it.

Everything that a target or a case could smuggle in goes through `Redactor` at the one place where an
exchange becomes a document. JUnit, badge, board and page are made from that document and never from
the live run, so that a report read again tomorrow says the same.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
from jsonschema import Draft202012Validator

from kargo_lab.conformance import flaws, verdicts
from kargo_lab.conformance.cases import Case
from kargo_lab.conformance.exchange import Exchange
from kargo_lab.conformance.requests import as_curl
from kargo_lab.conformance.verdicts import STATUSES, Result
from kargo_lab.errors import ManifestError, Misfit, UsageError
from kargo_lab.resources.yaml_lines import Document

SCHEMA = Path(__file__).parent / "schemas" / "report.schema.json"
FILES = ("report.json", "report.html", "junit.xml", "badge.json", "badge.svg")
FORMAT = "kargo-lab/report/v1"
_SECRET_HEADERS = (
    "authorization",
    "x-gitlab-token",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-gitea-signature",
    "x-jfrog-event-auth",
    "cookie",
    "set-cookie",
)
_SHOWN_BODY = 4000
NO_ADDRESS = "http://your-receiver:8080"  # in a curl line, where the target is in our own process and has none


@attrs.frozen
class Redactor:
    """Takes secrets out of texts: each known secret, and each path that is as good as one."""

    secrets: tuple[str, ...] = attrs.field(repr=False)

    def __call__(self, text: str) -> str:
        """`text` without secrets; each is shown as a piece of its hash, so that two can be told apart."""
        for secret in self.secrets:
            if secret and secret in text:
                text = text.replace(secret, f"[secret {hashlib.sha256(secret.encode()).hexdigest()[:8]}]")
        return text

    def header(self, name: str, value: str) -> str:
        """A header's value as a report may show it."""
        if name.lower() in _SECRET_HEADERS and value:
            scheme, sign, _ = value.partition("=")
            return f"{scheme}=[redacted]" if sign and len(scheme) < 10 else "[redacted]"
        return self(value)


def redactor(secrets: Iterable[bytes]) -> Redactor:
    """Longest first, so that a secret inside another does not leave its ends behind."""
    texts = {secret.decode("latin-1") for secret in secrets if len(secret) >= 6}
    return Redactor(tuple(sorted(texts, key=len, reverse=True)))


@attrs.frozen(kw_only=True)
class Header:
    """What a report says about the run as a whole."""

    target: str
    target_version: str
    profile: str
    seed: int
    command: str
    started: datetime
    strict: bool = False
    factor: float = 1.0  # by which the times of the target were multiplied


def document(
    header: Header,
    cases: Sequence[Mapping[str, Any]],
    redact: Redactor,
    *,
    seconds: float,
    stale: Sequence[str] = (),
) -> dict[str, Any]:
    """The report as JSON values; `cases` are made by `told` and `not_run`."""
    return {
        "format": FORMAT,
        "header": {
            "suite": metadata.version("kargo-lab"),
            "target": redact(header.target),
            "target_version": header.target_version,
            "profile": header.profile,
            "seed": header.seed,
            "command": redact(header.command),
            "started": header.started.isoformat(timespec="seconds"),
            "machine": f"{platform.system()} {platform.machine()}, Python {sys.version.split()[0]}",
            "cases": len(cases),
        },
        "cases": list(cases),
        "footer": {
            "outcome": verdicts.outcome(cases, strict=header.strict, stale=stale),
            "why": verdicts.why(cases, strict=header.strict, stale=stale),
            "stale": list(stale),
            "seconds": round(seconds, 3),
            "counts": {
                level: {status: number[status] for status in STATUSES}
                for level, number in verdicts.counts(cases).items()
            },
        },
    }


def not_run(case: Case, header: Header) -> dict[str, Any]:
    """A case that was chosen, and that a run did not come to."""
    return told(Result(case=case, status="disabled", sentence=verdicts.NOT_RUN), Redactor(()), header)


def told(result: Result, redact: Redactor, header: Header) -> dict[str, Any]:
    """What became of one case as JSON values, in which nothing is secret any more."""
    case = result.case
    return {
        "id": case.id,
        "says": case.says,
        "level": case.level,
        "since": case.since,
        "until": case.until,
        "source": case.source,
        "status": result.status,
        "sentence": redact(result.sentence),
        "note": redact(result.note),
        "seen_by": list(result.seen_by),
        "seconds": round(result.seconds, 4),
        "differences": [
            {"what": each.what, "expected": redact(each.expected), "seen": redact(each.seen)}
            for each in result.differences
        ],
        "exchanges": [_exchange(each, redact) for each in result.exchanges]
        if result.status in ("fail", "error")
        else [],
        "rerun": redact(
            f"kargo-lab conformance run --target {shlex.quote(header.target)} --profile {header.profile} "
            f"--seed {header.seed} {f'--factor {header.factor:g} ' if header.factor != 1 else ''}--select '{case.id}'"
        ),
    }


def _exchange(exchange: Exchange, redact: Redactor) -> dict[str, Any]:
    request = exchange.request
    kept = attrs.evolve(request, headers=tuple((name, redact.header(name, value)) for name, value in request.headers))
    return {
        "request": {
            "method": request.method,
            "target": redact(request.target),
            "headers": [[name, redact.header(name, value)] for name, value in request.headers],
            "body": redact(request.body[:_SHOWN_BODY].decode("utf-8", "replace")),
            "body_bytes": len(request.body),
            "framing": "chunked" if request.chunked else "length",
        },
        "answer": {
            "status": exchange.status,
            "headers": [[name, redact.header(name, value)] for name, value in exchange.headers],
            "body": redact(exchange.body[:_SHOWN_BODY].decode("utf-8", "replace")),
            "failure": redact(exchange.failure),
        },
        "curl": as_curl(kept, exchange.base_url if "://" in exchange.base_url else NO_ADDRESS, redact=redact),
    }


def validate(report: Any, name: str = "report.json") -> None:
    """Raise ManifestError if a report does not fit the published schema."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    if misfits := flaws.misfits(validator, Document(name, report, {})):
        raise ManifestError(misfits)


def read(path: Path) -> dict[str, Any]:
    """A report from its file. Raises ManifestError if it is none."""
    advice = "expected the report.json that `kargo-lab conformance run --report DIR` writes"
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError([Misfit(str(path), 0, "", f"cannot be read: {error.strerror}")]) from None
    except (ValueError, RecursionError):
        raise ManifestError([Misfit(str(path), 0, "", f"this is not JSON; {advice}")]) from None
    told = report.get("format") if isinstance(report, dict) else None
    if told != FORMAT:
        what = f"the format {told!r}" if isinstance(told, str) else "no `format`"
        raise ManifestError([Misfit(str(path), 0, "", f"this is no report of {FORMAT}: it has {what}; {advice}")])
    validate(report, str(path))
    return report


def check(folder: Path) -> None:
    """Make the folder. Raises UsageError if it cannot take a report: better now than when the run is over."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"nothing can be written into {folder}: {error.strerror or error}") from None
    for name in FILES:
        if (folder / name).is_dir():
            raise UsageError(f"{folder / name} is a folder, and would have to be a file of the report")


def write(folder: Path, report: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write the files of a report (`FILES`) into `folder`, and nothing anywhere else."""
    from kargo_lab.conformance.exports import badge, badge_image, junit
    from kargo_lab.conformance.page import render

    validate(report)
    folder.mkdir(parents=True, exist_ok=True)
    contents: dict[str, bytes] = {
        "report.json": (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"),
        "report.html": render(report).encode("utf-8", "replace"),
        "junit.xml": junit(report),
        "badge.json": (json.dumps(badge(report)) + "\n").encode(),
        "badge.svg": badge_image(report).encode(),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return tuple(folder / name for name in contents)


def matrix(reports: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """A table of many reports: a row for each group and level, a column for each report, `passed/all` in a cell."""
    counted: dict[tuple[str, str], dict[str, list[int]]] = {}
    for name, report in reports.items():
        for case in report["cases"]:
            row = counted.setdefault((case["id"].partition("/")[0], case["level"]), {})
            cell = row.setdefault(name, [0, 0])
            cell[0] += case["status"] == "pass"
            cell[1] += 1
    rows = [
        [f"{group} {level}", *("{}/{}".format(*cells[name]) if name in cells else "-" for name in reports)]
        for (group, level), cells in sorted(counted.items())
    ]
    rows.append(["outcome", *(report["footer"]["outcome"] for report in reports.values())])
    return ["", *reports], rows


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(case, status before, status after) where they differ; `absent` where a report lacks the case."""
    old = {case["id"]: case["status"] for case in before["cases"]}
    new = {case["id"]: case["status"] for case in after["cases"]}
    return [
        (name, old.get(name, "absent"), new.get(name, "absent"))
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]
