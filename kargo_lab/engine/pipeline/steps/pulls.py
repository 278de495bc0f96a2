"""`git-open-pr` and `git-wait-for-pr`, through the REST API that Gitea and GitHub share in this.

While a step waits, its output says which pull request it waits for: that is how a webhook finds the Promotion
(receivers.md 6.8).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from kargo_lab.engine.pipeline.steps.work import FAILED, RUNNING, Result, Work
from kargo_lab.errors import PipelineError, RuleError, UpstreamError
from kargo_lab.rules import json as gojson
from kargo_lab.sources.outgoing import Outgoing

API_PREFIXES = {"gitea": "/api/v1", "github": "/api/v3"}


class _Host:
    """The API of the host of one repository."""

    def __init__(self, config: Mapping[str, Any], work: Work) -> None:
        self._work, self._url = work, work.text(config, "repoURL")
        parts = urlsplit(self._url)
        host = parts.netloc.rpartition("@")[2]
        provider = work.text(config, "provider", "github" if host == "github.com" else "gitea")
        if provider not in API_PREFIXES:
            known = ", ".join(API_PREFIXES)
            raise PipelineError(work.named, f"pull requests at {provider!r} are beyond this lab; it knows {known}")
        repository = parts.path.strip("/").removesuffix(".git")
        if repository.count("/") != 1 or parts.scheme not in ("http", "https"):
            raise PipelineError(work.named, f"{self._url} is no HTTP URL of a repository owner/name")
        root = "https://api.github.com" if host == "github.com" else f"{parts.scheme}://{host}{API_PREFIXES[provider]}"
        self._base = f"{root}/repos/{quote(repository)}/pulls"
        self._outgoing = Outgoing(
            ledger=work.shared.ledger,
            clock=work.clock,
            warehouse=f"{work.promotion.namespace}/Promotion/{work.promotion.name}",
            verify_tls=not config.get("insecureSkipTLSVerify"),
            header_timeout_seconds=work.seconds,
            proxies=work.shared.proxies_for(host),
        )

    def call(self, path: str = "", *, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
        """The decoded answer; anything but 2xx raises UpstreamError."""
        credentials = self._work.credentials(self._url)
        headers = {"Accept": "application/json"}
        if credentials.password:
            headers["Authorization"] = f"token {credentials.password}"
        data = None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        reply = self._outgoing.send(self._base + path, kind="pull-request", method=method, headers=headers, body=data)
        if not 200 <= reply.status < 300:
            raise UpstreamError(f"{method} {self._base}{path} answered {reply.status}", status=reply.status)
        try:
            return gojson.loads(reply.body)
        except RuleError:
            raise UpstreamError(f"{method} {self._base}{path} answered no JSON") from None


def _output(pull: Any, work: Work) -> dict[str, Any]:
    if not isinstance(pull, Mapping) or not isinstance(pull.get("number"), int | float):
        raise PipelineError(work.named, "the host's answer is no pull request")
    shown = {
        "id": int(pull["number"]),
        "url": str(pull.get("html_url", "")),
        "open": pull.get("state") == "open",
        "merged": bool(pull.get("merged")),
    }
    commit = pull.get("merge_commit_sha")
    return {"pr": shown, **({"commit": commit} if shown["merged"] and isinstance(commit, str) else {})}


def open_pull(config: Mapping[str, Any], work: Work) -> Result:
    """Open a pull request from `sourceBranch` into `targetBranch`, or take the one that is open already."""
    host = _Host(config, work)
    source, target = work.text(config, "sourceBranch"), work.text(config, "targetBranch")
    for pull in _listed(host.call("?state=open")):
        if (_branch(pull, "head"), _branch(pull, "base")) == (source, target):
            return Result(output=_output(pull, work))
    title = work.text(config, "title", f"Promote to {work.promotion.stage}")
    body = {"head": source, "base": target, "title": title, "body": work.text(config, "description", "")}
    return Result(output=_output(host.call(method="POST", body=body), work))


def _listed(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else []


def _branch(pull: Any, side: str) -> str:
    found = pull.get(side) if isinstance(pull, Mapping) else None
    return str(found.get("ref", "")) if isinstance(found, Mapping) else ""


def wait_for_pull(config: Mapping[str, Any], work: Work) -> Result:
    """Wait until a pull request is merged; one that is closed without that is a failure."""
    number = work.text(config, "prNumber")
    if not (number.isascii() and number.isdecimal()):
        raise PipelineError(work.named, f"`prNumber` must be a number; found {number!r}")
    output = _output(_Host(config, work).call(f"/{number}"), work)
    if output["pr"]["open"]:
        return Result(status=RUNNING, message=f"pull request {number} is open", output=output)
    if not output["pr"]["merged"]:
        return Result(status=FAILED, message=f"pull request {number} was closed without being merged", output=output)
    return Result(output=output)
