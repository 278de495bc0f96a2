"""The REST API that each persona of the Git host answers with beside Git itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, jsonify

if TYPE_CHECKING:
    from kargo_lab.platforms.githost import GitHost


def application(host: GitHost) -> Any:
    """The WSGI application of the host's persona; those without one answer 404."""
    from kargo_lab.platforms import gitea, github_api, gitlab_api

    builders = {
        "gitea": gitea.create_app,
        "forgejo": gitea.create_app,
        "github": github_api.create_app,
        "gitlab": gitlab_api.create_app,
    }
    return builders.get(host.persona.name, _nothing)(host)


def _nothing(_host: GitHost) -> Flask:
    app = Flask(__name__)

    @app.errorhandler(404)
    def unknown(_error: Exception) -> Any:
        return jsonify(message="not found"), 404

    return app
