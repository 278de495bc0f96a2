"""An embedded Gitea: the Git host in Gitea's clothes, with the part of its REST API that testing needs.

The same class shape as the real server in a container (`gitea_container`), so that one test drives both.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.apis import gitea_accounts, gitea_contents, gitea_hooks, gitea_pulls, gitea_repositories
from kargo_lab.platforms.git.apis.calls import MOST, PAGE, CallError, Calls, Route
from kargo_lab.platforms.git.forge import InvalidCredentialsError, TakenError, UnknownError
from kargo_lab.platforms.git.program import GitError
from kargo_lab.platforms.git.pulls import NotMergeableError
from kargo_lab.platforms.git.repository import MergeConflictError
from kargo_lab.platforms.gitea_remote import GiteaAddress
from kargo_lab.platforms.githost import GitHost

VERSION = "1.27.3"
# Our errors, where a call lets them through, and the status that Gitea gives them; the first that fits.
_STATUSES = (
    (UnknownError, 404),
    (TakenError, 409),
    (MergeConflictError, 409),
    (NotMergeableError, 405),
    (UsageError, 422),
    (GitError, 422),
)


class Gitea(GiteaAddress, GitHost):
    """A Gitea with one administrator; a push needs credentials, as at the real one.

    `api_url` is where its API begins; `username`, `password` and `token` are the administrator's.
    """

    def __init__(self, **settings: Any) -> None:
        defaults: dict[str, Any] = {"persona": "gitea", "open_push": False}
        super().__init__(**(defaults | settings))
        self.username, self.password = self.admin.login, "lab-password"

    def settle(self) -> None:
        """Return when nothing is on its way to a hook any more, or ten seconds have passed."""
        self.sender.settle()


def create_app(host: GitHost) -> Flask:
    """Gitea's API for a host."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined] # of Flask's own provider
    app.url_map.strict_slashes = False
    calls = Calls(app, host)

    @app.before_request
    def identify() -> Any:
        given = request.args.get("token") or request.args.get("access_token")
        authorization = request.headers.get("Authorization", "") or (f"token {given}" if given else "")
        try:
            g.account = host.forge.identify(authorization)
        except InvalidCredentialsError as error:
            return _error(host, 401, str(error))
        return None

    @app.after_request
    def name_charset(answer: Response) -> Response:
        if answer.mimetype == "application/json":
            answer.headers["Content-Type"] = "application/json;charset=utf-8"
        return answer

    @app.errorhandler(Exception)
    def refused(error: Exception) -> Any:
        if isinstance(error, CallError):
            return _error(host, error.status, error.message)
        for kind, status in _STATUSES:
            if isinstance(error, kind):
                return _error(host, status, str(error))
        if isinstance(error, HTTPException):
            return _error(host, error.code or 500, error.description or error.name)
        app.logger.error("the embedded Gitea failed", exc_info=error)
        return _error(host, 500, f"{type(error).__name__}: {error}")

    @app.get("/api/healthz")
    def health() -> Any:
        checks = {"database:ping": [{"status": "pass", "time": host.clock.now().isoformat()}]}
        return jsonify(status="pass", description="kargo-lab", checks=checks)

    for room in (gitea_accounts, gitea_repositories, gitea_contents, gitea_pulls, gitea_hooks):
        calls.register(room.ROUTES)
    calls.register(ROUTES)
    return app


def read_version(_calls: Calls) -> Any:
    """The version that clients look at first."""
    return jsonify(version=VERSION)


def read_settings(_calls: Calls) -> Any:
    """How long pages are."""
    return jsonify(max_response_items=MOST, default_paging_num=PAGE, default_git_trees_per_page=1000)


ROUTES: tuple[Route, ...] = (("GET", "/version", read_version), ("GET", "/settings/api", read_settings))


def _error(host: GitHost, status: int, message: str) -> Any:
    answer = jsonify(message=message, url=f"{host.public_url}/api/swagger")
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Basic"
    return answer, status
