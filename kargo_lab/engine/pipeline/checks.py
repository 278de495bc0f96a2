"""Where measurements come from: an HTTP probe, a command, or a script of results."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from kargo_lab.engine.clock import Clock
from kargo_lab.engine.pipeline.analysis import ERROR, FAILED, SUCCESSFUL, Check, Measurement, Metric
from kargo_lab.errors import PipelineError, RuleError
from kargo_lab.rules import json as gojson
from kargo_lab.sources.outgoing import Outgoing
from kargo_lab.sources.shared import Shared

DEFAULT_SECONDS = 10.0
MOST_SECONDS = 300.0


def scripted(*phases: str) -> Check:
    """Answers these phases in turn, and the last one from then on."""
    left = list(phases)

    def check(_metric: Metric, _args: Mapping[str, str]) -> Measurement:
        phase = left.pop(0) if len(left) > 1 else left[0]
        return Measurement(phase=phase, message=f"scripted as {phase}")

    return check


def command(arguments: Sequence[str], *, seconds: float = 60.0, environment: Mapping[str, str] | None = None) -> Check:
    """Successful if the command ends with 0. It runs without a shell and sees just `environment` and the arguments."""

    def check(_metric: Metric, args: Mapping[str, str]) -> Measurement:
        given = {f"ARG_{name.upper().replace('-', '_')}": value for name, value in args.items()}
        try:
            done = subprocess.run(  # noqa: S603 - the lab's user names the command
                list(arguments),
                env={**(environment or {}), **given},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Measurement(phase=ERROR, message=f"{arguments[0]} did not end within {seconds:g} seconds")
        except OSError as error:
            return Measurement(phase=ERROR, message=f"{arguments[0]} cannot be run: {error.strerror}")
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()[:200]
            return Measurement(phase=FAILED, message=f"{arguments[0]} ended with {done.returncode}: {said}")
        return Measurement(phase=SUCCESSFUL)

    return check


def probe(shared: Shared, clock: Clock) -> Check:
    """The provider `web`: GET or POST a URL; the value is the JSON answer, or the part that `jsonPath` names."""

    def check(metric: Metric, args: Mapping[str, str]) -> Measurement:
        web = metric.provider.get("web")
        if not isinstance(web, Mapping):
            kinds = ", ".join(metric.provider) or "none"
            return Measurement(
                phase=ERROR,
                message=f"provider {kinds} cannot be asked by this lab; give it a check of this name, or use `web`",
            )
        url = _filled(str(web.get("url", "")), args)
        if urlsplit(url).scheme not in ("http", "https"):
            return Measurement(phase=ERROR, message=f"{url!r} is no HTTP URL")
        seconds = min(float(web.get("timeoutSeconds") or DEFAULT_SECONDS), MOST_SECONDS)
        outgoing = Outgoing(
            ledger=shared.ledger,
            clock=clock,
            warehouse=f"AnalysisTemplate/{metric.template}",
            verify_tls=not web.get("insecure"),
            header_timeout_seconds=seconds,
            answer_seconds=seconds,  # as Go's client counts it
            proxies=shared.proxies_for(urlsplit(url).netloc),
        )
        headers = {str(each["key"]): _filled(str(each.get("value", "")), args) for each in _pairs(web.get("headers"))}
        body = _filled(str(web.get("body") or ""), args).encode() or None
        reply = outgoing.send(
            url, kind="verification", method=str(web.get("method") or "GET"), headers=headers, body=body
        )
        if not 200 <= reply.status < 300:
            return Measurement(phase=ERROR, message=f"{url} answered {reply.status}")
        try:
            value = gojson.loads(reply.body)
        except RuleError:
            value = reply.body.decode(errors="replace")
        return Measurement(value=_at(value, str(web.get("jsonPath") or "")))

    return check


def _pairs(given: object) -> Iterable[Mapping[str, Any]]:
    return [each for each in given if isinstance(each, Mapping) and "key" in each] if isinstance(given, list) else []


def _filled(text: str, args: Mapping[str, str]) -> str:
    for name, value in args.items():
        for form in (f"{{{{args.{name}}}}}", f"{{{{ args.{name} }}}}"):
            text = text.replace(form, value)
    return text


def _at(value: Any, path: str) -> Any:
    """The part of a value that `{$.a.b[0].c}` names: keys and indices, the subset that probes need."""
    inside = path.strip().strip("{}").removeprefix("$").strip(".")
    for part in inside.replace("[", ".").replace("]", "").split(".") if inside else ():
        name = part.strip("'\"")
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            raise PipelineError(f"jsonPath {path}", f"the answer has no {name!r}")
    return value
