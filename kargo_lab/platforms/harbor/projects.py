"""Harbor's API about projects and repositories, and who may see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import attrs
from flask import Response, g, jsonify, request

from kargo_lab.platforms.harbor.calls import CallError, Item, Route, caller, created, given, listed
from kargo_lab.platforms.harbor.records import LONGEST_NAME, NAME, Project, RepositoryRecord, stamp

if TYPE_CHECKING:
    from kargo_lab.platforms.harbor import Harbor

ADMINISTRATOR = 1  # the number of the role


def readable(harbor: Harbor, name_or_id: str) -> Project:
    """A project that the caller may see; strangers are asked to log in for a private one."""
    project = harbor.project(name_or_id)
    account = g.get("account") or ""
    if not harbor.records.actions(account, f"{project.name}/any"):
        raise CallError(403 if account else 401, "forbidden" if account else "unauthorized")
    return project


def owned(harbor: Harbor, name_or_id: str) -> Project:
    """A project that the caller administers."""
    project, name = harbor.project(name_or_id), caller()
    if name not in ("admin", project.owner):
        raise CallError(403, "forbidden")
    return project


def _show(harbor: Harbor, project: Project) -> Item:
    account = g.get("account") or ""
    roles = [ADMINISTRATOR] if account in ("admin", project.owner) else []
    return {
        "project_id": project.id,
        "owner_id": 1,
        "owner_name": project.owner,
        "name": project.name,
        "registry_id": None,
        "creation_time": stamp(project.created),
        "update_time": stamp(project.updated),
        "deleted": False,
        "repo_count": harbor.records.counts()[project.name],
        "metadata": dict(project.metadata),
        "cve_allowlist": {"id": project.id, "project_id": project.id, "items": [], "creation_time": stamp(None)},
        "current_user_role_id": roles[0] if roles else 0,
        "current_user_role_ids": roles,
    }


def _head(harbor: Harbor) -> Response:
    caller()
    known = request.args.get("project_name", "") in harbor.records.projects
    return Response("", 200 if known else 404)


def _list(harbor: Harbor) -> Response:
    account = g.get("account") or ""
    wanted_name, wanted_public = request.args.get("name", ""), request.args.get("public")
    seen = [
        _show(harbor, project)
        for project in harbor.records.projects.values()
        if harbor.records.actions(account, f"{project.name}/any")
        and wanted_name in project.name
        and (wanted_public is None or project.public == (wanted_public.lower() == "true"))
    ]
    return listed(seen, sort="name")


def _create(harbor: Harbor) -> Response:
    name, body = caller(), given()
    project = body.get("project_name")
    if not isinstance(project, str) or len(project) > LONGEST_NAME or not NAME.fullmatch(project):
        raise CallError(400, f"project name {project!r} is not legal")
    if project in harbor.records.projects:
        raise CallError(409, f"The project named {project} already exists")
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise CallError(400, "metadata is no JSON object")
    known = {"public": str(body.get("public", False)).lower(), **{key: str(value) for key, value in metadata.items()}}
    made = harbor.records.add_project(project, owner=name, now=harbor.clock.now(), metadata=known)
    return created(f"/projects/{made.id}")


def _read(harbor: Harbor, project: str) -> Any:
    return jsonify(_show(harbor, readable(harbor, project)))


def _change(harbor: Harbor, project: str) -> Response:
    old = owned(harbor, project)
    metadata = given().get("metadata") or {}
    if not isinstance(metadata, dict):
        raise CallError(400, "metadata is no JSON object")
    merged = {**old.metadata, **{key: str(value) for key, value in metadata.items()}}
    harbor.records.projects[old.name] = attrs.evolve(old, metadata=merged, updated=harbor.clock.now())
    return Response("", 200)


def _remove(harbor: Harbor, project: str) -> Response:
    old = owned(harbor, project)
    if harbor.records.counts()[old.name]:
        raise CallError(412, f"the project {old.name} contains repositories, can not be deleted")
    harbor.remove_project(old)
    return Response("", 200)


# -- repositories ---------------------------------------------------------------------------------


def repository(harbor: Harbor, project: str, name: str) -> tuple[Project, str, RepositoryRecord]:
    """The project, the repository's full name and its history. The name arrives encoded twice, the server undid one."""
    found = readable(harbor, project)
    full = f"{found.name}/{unquote(name)}"
    record = harbor.records.repositories.get(full)
    if record is None:
        raise CallError(404, f"repository {full} not found")
    return found, full, record


def _show_repository(harbor: Harbor, project: Project, full: str, record: RepositoryRecord) -> Item:
    from kargo_lab.platforms.harbor.artifacts import shown_digests

    return {
        "id": record.id,
        "project_id": project.id,
        "name": full,
        "description": record.description,
        "artifact_count": len(shown_digests(harbor, full)),
        "pull_count": record.pulls,
        "creation_time": stamp(record.created),
        "update_time": stamp(record.updated),
    }


def _repositories_of(harbor: Harbor, project: Project) -> list[Item]:
    return [
        _show_repository(harbor, project, full, record)
        for full, record in harbor.records.repositories.items()
        if full.partition("/")[0] == project.name
    ]


def _list_repositories(harbor: Harbor, project: str) -> Response:
    return listed(_repositories_of(harbor, readable(harbor, project)), sort="name")


def _list_all_repositories(harbor: Harbor) -> Response:
    account = g.get("account") or ""
    projects = [one for one in harbor.records.projects.values() if harbor.records.actions(account, f"{one.name}/any")]
    return listed([item for project in projects for item in _repositories_of(harbor, project)], sort="name")


def _read_repository(harbor: Harbor, project: str, name: str) -> Any:
    return jsonify(_show_repository(harbor, *repository(harbor, project, name)))


def _change_repository(harbor: Harbor, project: str, name: str) -> Response:
    owned(harbor, project)
    _, _, record = repository(harbor, project, name)
    record.description = str(given().get("description", ""))
    return Response("", 200)


def _remove_repository(harbor: Harbor, project: str, name: str) -> Response:
    owned(harbor, project)
    _, full, _ = repository(harbor, project, name)
    for stored in harbor.storage.manifests(full):
        harbor.delete_manifest(full, stored.digest)
    del harbor.records.repositories[full]
    return Response("", 200)


_ONE = "/projects/<project>/repositories/<name>"
ROUTES: tuple[Route, ...] = (
    ("HEAD", "/projects", _head),
    ("GET", "/projects", _list),
    ("POST", "/projects", _create),
    ("GET", "/projects/<project>", _read),
    ("PUT", "/projects/<project>", _change),
    ("DELETE", "/projects/<project>", _remove),
    ("GET", "/repositories", _list_all_repositories),
    ("GET", "/projects/<project>/repositories", _list_repositories),
    ("GET", _ONE, _read_repository),
    ("PUT", _ONE, _change_repository),
    ("DELETE", _ONE, _remove_repository),
)
