"""Harbor in one process: its registry, its API and its webhooks, as far as a receiver and a discovery client see them.

The real one is nine containers, so this is what tests run against. The registry is the embedded one in
Harbor's persona; a webhook policy of the API is a hook of that registry, an execution a delivery in its log.
Source: platforms.md 8 and 14.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from kargo_lab.platforms.access import Application, Environ, StartResponse
from kargo_lab.platforms.harbor import accounts as harbor_accounts
from kargo_lab.platforms.harbor import artifacts as harbor_artifacts
from kargo_lab.platforms.harbor import projects as harbor_projects
from kargo_lab.platforms.harbor import webhooks as harbor_webhooks
from kargo_lab.platforms.harbor.calls import PREFIX, CallError, refused
from kargo_lab.platforms.harbor.records import Project, Records
from kargo_lab.platforms.harbor.webhooks import Execution, Policy
from kargo_lab.platforms.hooks import Hook
from kargo_lab.platforms.oci.auth import (
    Allowed,
    BearerAuthority,
    Challenge,
    Need,
    OpenAuthority,
    TokenAnswer,
    basic_credentials,
    known_user,
)
from kargo_lab.platforms.oci.events import RegistryEvent
from kargo_lab.platforms.oci.personas import HookCall
from kargo_lab.platforms.outgoing import Outgoing
from kargo_lab.platforms.registry_platform import PlatformRegistry

ADMIN, PASSWORD = "admin", "Harbor12345"  # Harbor's own default
VERSION = "v2.16.0-kargo-lab"
TOKEN_SECONDS = 1800
EXECUTIONS_KEPT = 50  # per policy: WEBHOOK_EXECUTION_RETENTION_COUNT


class HarborAuthority(BearerAuthority):
    """Tokens that cover what Harbor's accounts may do in its projects."""

    def __init__(self, records: Records, **options: Any) -> None:
        super().__init__(
            records.accounts,
            service="harbor-registry",
            token_path="/service/token",  # noqa: S106 -- a path
            seconds=TOKEN_SECONDS,
            **options,
        )
        self._records = records

    def decide(self, authorization: str, need: Need | None, host: str) -> Allowed | Challenge:
        """As with tokens; who comes with Basic credentials is taken by them, and answered with that challenge."""
        if basic_credentials(authorization) is None:
            return super().decide(authorization, need, host)
        user = known_user(authorization, self._records.accounts)
        if user and (need is None or set(need.actions) <= self._records.actions(user, need.name)):
            return Allowed(user)
        return Challenge('Basic realm="harbor"')

    def answer(self, authorization: str, scopes: Iterable[str], *, service: str = "") -> TokenAnswer:
        """Only for the one service it knows; `access_token` is there, and empty."""
        if service != self.service:
            message = f"the service {service!r} is not known"
            return TokenAnswer(400, {"errors": [{"code": "BAD_REQUEST", "message": message}]})
        answer = super().answer(authorization, scopes, service=service)
        return attrs.evolve(answer, body={**answer.body, "access_token": ""}) if answer.status == 200 else answer

    def _access(self, user: str, scope: str) -> dict[str, Any] | None:
        access = super()._access(user, scope)
        if access is None or access["type"] != "repository":
            return access
        granted = [action for action in access["actions"] if action in self._records.actions(user, access["name"])]
        return {**access, "actions": granted} if granted else None


class Harbor(PlatformRegistry):
    """The mock between `start()` and `stop()`, or as a context manager.

    `users` are name -> password; `admin` is the administrator. `open_push`: everybody may push, without a login.
    A project springs up with the first push unless `strict_projects`, which refuses that as Harbor does.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, str] | None = None,
        open_push: bool = False,
        strict_projects: bool = False,
        layers: Sequence[Any] = (),
        **options: Any,
    ) -> None:
        self._app = create_app(self)
        self._strict_projects = strict_projects
        self._accounts = {ADMIN: PASSWORD, **(users or {})}
        super().__init__("harbor", layers=(*layers, self._in_front), **options)
        self.records = Records(self._accounts, self.clock.now())
        self.authority = OpenAuthority() if open_push else HarborAuthority(self.records, now=self.clock.now)
        self.policies: dict[int, Policy] = {}
        self.executions: list[Execution] = []

    @property
    def api_url(self) -> str:
        """Where the API begins, without a slash at the end."""
        return f"{self.url}{PREFIX}"

    def actor(self, account: str, repository: str) -> RegistryEvent:
        """The beginning of an event that a call of the API makes."""
        return attrs.evolve(self._event(repository), actor=account)

    def tell(self, event: RegistryEvent) -> None:
        """Something happened by the API."""
        self._tell(event)

    # -- between the server and the registry -----------------------------------------------------

    def _in_front(self, registry: Application) -> Application:
        def routed(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            path = environ["PATH_INFO"]
            if path.startswith(f"{PREFIX}/"):
                answer: Iterable[bytes] = self._app(environ, start_response)
                return answer
            project = path.removeprefix("/v2/").partition("/")[0]
            writes = environ["REQUEST_METHOD"] in ("POST", "PUT", "PATCH") and path.startswith("/v2/")
            if writes and self._strict_projects and project not in self.records.projects:
                refusal = {"errors": [{"code": "UNAUTHORIZED", "message": f"project {project} not found"}]}
                return Response(json.dumps(refusal), 401, content_type="application/json")(environ, start_response)
            return registry(environ, start_response)

        return routed

    # -- what happens ----------------------------------------------------------------------------

    def _happened(self, event: RegistryEvent) -> None:
        if self.records.project_of(event.repository) is None:
            self.records.add_project(event.repository.partition("/")[0], owner=ADMIN, now=event.time)
        self.records.note(event)
        super()._happened(event)

    def _completed(self, hook: Hook, call: HookCall, event: RegistryEvent) -> HookCall:
        """Whether the project is public, since when the repository is there, and which policy it was."""
        project = self.records.project_of(event.repository)
        assert project is not None  # noqa: S101 -- made when the event happened
        record = self.records.repository(event.repository, event.time)
        member = "data" if hook.kind == "CloudEvents" else "event_data"
        facts = {
            f"{member}.repository.repo_type": "public" if project.public else "private",
            f"{member}.repository.date_created": int(record.created.timestamp()),
        }
        if hook.kind == "CloudEvents":
            facts["source"] = f"/projects/{project.id}/webhook/policies/{hook.settings.get('policy', 0)}"
        return attrs.evolve(call, facts={**call.facts, **facts})

    def _send(self, hook: Hook, outgoing: Outgoing) -> None:
        """Every delivery of a policy is an execution; the last fifty of each are kept."""
        policy = hook.settings.get("policy")
        if policy is not None:
            number = self.records.next_id("execution")
            self.executions.append(
                Execution(
                    id=number,
                    policy=policy,
                    event=outgoing.event,
                    guid=outgoing.guid,
                    payload=outgoing.body.decode(),
                    started=self.clock.now(),
                )
            )
            old = [one for one in self.executions if one.policy == policy][:-EXECUTIONS_KEPT]
            for one in old:
                self.executions.remove(one)
        super()._send(hook, outgoing)

    def remove_project(self, project: Project) -> None:
        """With its policies, whose hooks would otherwise wait for a project of the same name."""
        for policy in [one for one in self.policies.values() if one.project == project.id]:
            for hook in policy.hooks:
                self.remove_hook(hook)
            del self.policies[policy.id]
        del self.records.projects[project.name]

    def project(self, name_or_id: str) -> Project:
        """By name, or by number unless the call says that it is a name. Raises CallError."""
        named = request.headers.get("X-Is-Resource-Name", "").lower() in ("true", "1")
        if name_or_id.isdecimal() and not named:
            found = next((one for one in self.records.projects.values() if one.id == int(name_or_id)), None)
        else:
            found = self.records.projects.get(name_or_id)
        if found is None:
            raise CallError(404, f"project {name_or_id} not found")
        return found


def create_app(harbor: Harbor) -> Flask:
    """The API of one Harbor as a WSGI application."""
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider

    @app.before_request
    def identify() -> Response | None:
        g.harbor, g.account = harbor, None
        writes = request.method not in ("GET", "HEAD", "OPTIONS")
        if writes and request.headers.get("Cookie") and not request.headers.get("X-Harbor-CSRF-Token"):
            return refused(CallError(403, "CSRF token not found in request"))
        authorization = request.headers.get("Authorization", "")
        if authorization:
            g.account = known_user(authorization, harbor.records.accounts)
            if g.account is None:
                return refused(CallError(401, "unauthorized"))
        return None

    @app.after_request
    def mark(answer: Response) -> Response:
        answer.headers["X-Request-Id"] = request.headers.get("X-Request-Id") or str(uuid.uuid4())
        return answer

    @app.errorhandler(CallError)
    def refuse(error: CallError) -> Response:
        return refused(error)

    @app.errorhandler(HTTPException)
    def unknown(error: HTTPException) -> Response:
        return refused(CallError(error.code or 500, str(error.description)))

    for module in (harbor_accounts, harbor_projects, harbor_artifacts, harbor_webhooks):
        for method, rule, function in module.ROUTES:
            app.add_url_rule(f"{PREFIX}{rule}", f"{method} {rule}", partial(function, harbor), methods=[method])
    return app
