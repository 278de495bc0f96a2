"""The REST API that each persona of the Git host answers with beside Git itself."""

from __future__ import annotations

from typing import Any

from kargo_lab.platforms.git.apis import azure_devops as azure_devops_api
from kargo_lab.platforms.git.apis import bitbucket as bitbucket_api
from kargo_lab.platforms.git.apis import gitea
from kargo_lab.platforms.git.apis import github as github_api
from kargo_lab.platforms.git.apis import gitlab as gitlab_api
from kargo_lab.platforms.githost import GitHost

APPLICATIONS = {
    "azure-devops": azure_devops_api.create_app,
    "bitbucket": bitbucket_api.create_app,
    "bitbucket-data-center": bitbucket_api.create_app,
    "forgejo": gitea.create_app,
    "gitea": gitea.create_app,
    "github": github_api.create_app,
    "gitlab": gitlab_api.create_app,
}


def application(host: GitHost) -> Any:
    """The WSGI application of the host's persona."""
    return APPLICATIONS[host.persona.name](host)
