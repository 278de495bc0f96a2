"""Registering a hook through each platform's own API: the call that an operator would make by hand.

One function builds the call, as data, so that it can be shown, tested and sent elsewhere; another sends it.
Sources: platforms.md 2.11, 3.6, 4.4, 5.5, 7, 9.1, 9.2, 10.5, 11.3 and 14.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import attrs
import requests

from kargo_lab.errors import UpstreamError, UsageError

SECONDS = 30


@attrs.frozen(kw_only=True)
class Wanted:
    """The hook to register: for which repository (or project, or registry), whereto, and the shared secret.

    `ids` are what a platform wants to know beside names: Azure DevOps' `repository`, Harbor's `project`.
    """

    repository: str
    url: str
    secret: str = attrs.field(default="", repr=False)
    pull_requests: bool = True
    ids: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def owner(self) -> str:
        """What is before the slash."""
        return self.repository.partition("/")[0]

    @property
    def name(self) -> str:
        """What is behind the first slash."""
        return self.repository.partition("/")[2]


@attrs.frozen
class ApiCall:
    """One request to an API, without the credentials; `path` begins with a slash."""

    method: str
    path: str
    body: Mapping[str, Any] = attrs.field(repr=False)


def _gitea(wanted: Wanted) -> ApiCall:
    # `active` has to be said: without it, the API makes a hook that is asleep.
    events = ["push", *(["pull_request"] if wanted.pull_requests else [])]
    config = {"url": wanted.url, "content_type": "json", "secret": wanted.secret}
    body = {"type": "gitea", "active": True, "events": events, "config": config}
    return ApiCall("POST", f"/api/v1/repos/{wanted.repository}/hooks", body)


def _github(wanted: Wanted) -> ApiCall:
    # `content_type` has to be said: without it, the hook sends forms.
    events = ["push", "package", *(["pull_request"] if wanted.pull_requests else [])]
    config = {"url": wanted.url, "content_type": "json", "secret": wanted.secret, "insecure_ssl": "0"}
    body = {"name": "web", "active": True, "events": events, "config": config}
    return ApiCall("POST", f"/repos/{wanted.repository}/hooks", body)


def _gitlab(wanted: Wanted) -> ApiCall:
    body = {
        "url": wanted.url,
        "token": wanted.secret,
        "push_events": True,
        "tag_push_events": True,
        "merge_requests_events": wanted.pull_requests,
        "enable_ssl_verification": True,
    }
    return ApiCall("POST", f"/api/v4/projects/{quote(wanted.repository, safe='')}/hooks", body)


def _bitbucket(wanted: Wanted) -> ApiCall:
    pulls = ["pullrequest:fulfilled", "pullrequest:rejected"] if wanted.pull_requests else []
    body = {
        "description": "Kargo",
        "url": wanted.url,
        "active": True,
        "events": ["repo:push", *pulls],
        "secret": wanted.secret,
    }
    return ApiCall("POST", f"/2.0/repositories/{wanted.repository}/hooks", body)


def _bitbucket_data_center(wanted: Wanted) -> ApiCall:
    pulls = ["pr:merged", "pr:declined"] if wanted.pull_requests else []
    body = {
        "name": "Kargo",
        "url": wanted.url,
        "active": True,
        "events": ["repo:refs_changed", *pulls],
        "configuration": {"secret": wanted.secret},
        "sslVerificationRequired": True,
    }
    return ApiCall("POST", f"/rest/api/1.0/projects/{wanted.owner}/repos/{wanted.name}/webhooks", body)


def _azure_devops(wanted: Wanted) -> ApiCall:
    body = {
        "publisherId": "tfs",
        "eventType": "git.push",
        "resourceVersion": "1.0",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "publisherInputs": dict(wanted.ids),
        "consumerInputs": {"url": wanted.url},
    }
    return ApiCall("POST", "/_apis/hooks/subscriptions?api-version=7.1", body)


def _harbor(wanted: Wanted) -> ApiCall:
    target = {
        "type": "http",
        "address": wanted.url,
        "auth_header": wanted.secret,
        "skip_cert_verify": False,
        "payload_format": "Default",
    }
    body = {"name": "kargo", "enabled": True, "event_types": ["PUSH_ARTIFACT"], "targets": [target]}
    return ApiCall("POST", f"/api/v2.0/projects/{wanted.owner}/webhook/policies", body)


def _quay(wanted: Wanted) -> ApiCall:
    body = {
        "event": "repo_push",
        "method": "webhook",
        "config": {"url": wanted.url},
        "eventConfig": {},
        "title": "Kargo",
    }
    return ApiCall("POST", f"/api/v1/repository/{wanted.repository}/notification/", body)


def _artifactory(wanted: Wanted) -> ApiCall:
    # Signing has to be asked for: without it, the secret itself travels in the header.
    criteria = {"anyLocal": False, "anyRemote": False, "anyFederated": False, "repoKeys": [wanted.owner]}
    handler = {
        "handler_type": "webhook",
        "url": wanted.url,
        "secret": wanted.secret,
        "use_secret_for_signing": True,
    }
    body = {
        "key": f"kargo-{wanted.owner}",
        "description": "Kargo",
        "enabled": True,
        "event_filter": {"domain": "docker", "event_types": ["pushed"], "criteria": criteria},
        "handlers": [handler],
    }
    return ApiCall("POST", "/event/api/v1/subscriptions", body)


CALLS: Mapping[str, Callable[[Wanted], ApiCall]] = MappingProxyType(
    {
        "artifactory": _artifactory,
        "azure-devops": _azure_devops,
        "bitbucket": _bitbucket,
        "bitbucket-data-center": _bitbucket_data_center,
        "forgejo": _gitea,
        "gitea": _gitea,
        "github": _github,
        "gitlab": _gitlab,
        "harbor": _harbor,
        "quay": _quay,
    }
)


def registration(platform: str, wanted: Wanted) -> ApiCall:
    """The call that registers this hook; raises `UsageError` where a platform has no API for it."""
    if platform not in CALLS:
        raise UsageError(f"{platform} offers no API for its hooks; there is one for {', '.join(sorted(CALLS))}")
    return CALLS[platform](wanted)


def install(platform: str, url: str, wanted: Wanted, *, headers: Mapping[str, str]) -> Any:
    """Register the hook at the platform under `url`; answers what the platform said, as JSON.

    `headers` carry the credentials, as the platform wants them. Raises `UpstreamError` for a refusal.
    """
    call = registration(platform, wanted)
    try:
        answer = requests.request(
            call.method, url.rstrip("/") + call.path, json=call.body, headers=dict(headers), timeout=SECONDS
        )
    except requests.RequestException as error:
        raise UpstreamError(f"{platform} at {url} does not answer: {error}") from error
    if not answer.ok:
        raise UpstreamError(f"{platform} refused the hook: {answer.text[:300]}", status=answer.status_code)
    return answer.json() if answer.content else None
