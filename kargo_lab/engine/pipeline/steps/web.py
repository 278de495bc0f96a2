"""`http`: one request, judged by expressions over its response.

Source: Kargo's documentation of the step. Without expressions, a status of 2xx is success and every other failure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from kargo_lab.engine.pipeline.steps.work import FAILED, RUNNING, Result, Work
from kargo_lab.errors import ExpressionError, PipelineError, RuleError, UpstreamError
from kargo_lab.rules import durations, expressions
from kargo_lab.rules import json as gojson
from kargo_lab.sources.outgoing import Outgoing, Reply

DEFAULT_SECONDS = 10.0
MOST_SECONDS = 600.0
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def http(config: Mapping[str, Any], work: Work) -> Result:
    """Send, judge, and keep what `outputs` name."""
    try:
        reply = _send(config, work)
    except UpstreamError as error:
        return Result(status=FAILED, message=f"no usable answer: {error}")
    response = {"status": reply.status, "headers": dict(reply.headers), "body": _body(reply)}
    judged = _judge(config, response, work)
    if judged != "success":
        message = f"the answer had status {reply.status}"
        return Result(status=FAILED if judged == "failure" else RUNNING, message=message)
    output = {}
    for each in work.items(config, "outputs"):
        value = _evaluated(work.text(each, "fromExpression"), response, work)
        output[work.text(each, "name")] = expressions.plain_of(value)
    return Result(output=output)


def _send(config: Mapping[str, Any], work: Work) -> Reply:
    url, method = work.text(config, "url"), work.text(config, "method", "GET").upper()
    if urlsplit(url).scheme not in ("http", "https"):
        raise PipelineError(work.named, f"{url!r} is no HTTP URL")
    if method not in METHODS:
        raise PipelineError(work.named, f"there is no method {method}")
    query = urlencode(
        [(work.text(each, "name"), work.text(each, "value", "")) for each in work.items(config, "queryParams")]
    )
    if query:
        url += ("&" if "?" in url else "?") + query
    headers = {work.text(each, "name"): work.text(each, "value", "") for each in work.items(config, "headers")}
    body = config.get("body", "")
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    seconds = _seconds(config, work)
    outgoing = Outgoing(
        ledger=work.shared.ledger,
        clock=work.clock,
        warehouse=f"{work.promotion.namespace}/Promotion/{work.promotion.name}",
        verify_tls=not config.get("insecureSkipTLSVerify"),
        header_timeout_seconds=seconds,
        answer_seconds=seconds,  # as Go's client counts it
        proxies=work.shared.proxies_for(urlsplit(url).netloc),
    )
    return outgoing.send(url, kind="promotion-step", method=method, headers=headers, body=data or None)


def _seconds(config: Mapping[str, Any], work: Work) -> float:
    try:
        given = config.get("timeout")
        return min(durations.seconds(work.text(config, "timeout")), MOST_SECONDS) if given else DEFAULT_SECONDS
    except RuleError as error:
        raise PipelineError(work.named, f"`timeout`: {error}") from None


def _body(reply: Reply) -> Any:
    try:
        return gojson.loads(reply.body)
    except RuleError:
        return {}


def _judge(config: Mapping[str, Any], response: Mapping[str, Any], work: Work) -> str:
    success, failure = config.get("successExpression"), config.get("failureExpression")
    if not success and not failure:
        return "success" if 200 <= response["status"] < 300 else "failure"
    if failure and _holds(failure, response, work):
        return "failure"
    if success and _holds(success, response, work):
        return "success"
    # One expression decides alone; of two, neither holding means that it is too early to say.
    return "success" if not success else "failure" if not failure else "running"


def _holds(expression: object, response: Mapping[str, Any], work: Work) -> bool:
    try:
        return expressions.accepted(_evaluated(str(expression), response, work))
    except ExpressionError as error:
        raise PipelineError(work.named, f"{expression!r}: {error}") from None


def _evaluated(expression: str, response: Mapping[str, Any], work: Work) -> Any:
    try:
        program = expressions.compile(expression, version=work.shared.profile.expr_version)
        return program.run({"response": response}, now=work.clock.now())
    except ExpressionError as error:
        raise PipelineError(work.named, f"{expression!r}: {error}") from None
