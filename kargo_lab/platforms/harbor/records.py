"""What Harbor remembers beside the content of its registry: projects, robots, and when what was pushed and pulled."""

from __future__ import annotations

import itertools
import re
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from kargo_lab.platforms.oci.events import DELETE, PULL, PUSH, RegistryEvent

NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
LONGEST_NAME = 255
NEVER = "0001-01-01T00:00:00.000Z"  # Go's zero time, as Harbor writes it
READING, WRITING = frozenset({"pull"}), frozenset({"pull", "push", "delete"})


@attrs.frozen(kw_only=True)
class Project:
    """A project; `metadata` has texts as values, `public` among them."""

    id: int
    name: str
    owner: str
    created: datetime
    updated: datetime
    metadata: Mapping[str, str]

    @property
    def public(self) -> bool:
        """True if anybody may pull."""
        return self.metadata.get("public") == "true"


@attrs.frozen(kw_only=True)
class Robot:
    """A robot account; `permissions` as they were asked for."""

    id: int
    name: str
    level: str
    permissions: tuple[Mapping[str, Any], ...]
    created: datetime
    expires_at: int
    description: str = ""

    def actions(self, project: str) -> frozenset[str]:
        """What it may do with a project's repositories."""
        return frozenset(
            access.get("action", "")
            for permission in self.permissions
            if permission.get("namespace") in (project, "*")
            for access in permission.get("access", ())
            if access.get("resource") in ("repository", "artifact", "*") and access.get("effect", "allow") == "allow"
        )


@attrs.define
class RepositoryRecord:
    """One repository's history; keys of `pushed` and `pulled` are digests and tags."""

    id: int
    created: datetime
    updated: datetime
    pulls: int = 0
    description: str = ""
    ids: dict[str, int] = attrs.field(factory=dict)
    pushed: dict[str, datetime] = attrs.field(factory=dict)
    pulled: dict[str, datetime] = attrs.field(factory=dict)


class Records:
    """The books of one Harbor. Users and robots are in `accounts`, name -> password."""

    def __init__(self, accounts: dict[str, str], now: datetime) -> None:
        self.accounts = accounts
        self.projects: dict[str, Project] = {}
        self.robots: dict[str, Robot] = {}
        self.repositories: dict[str, RepositoryRecord] = {}
        self._lock = threading.RLock()
        self._ids: dict[str, itertools.count[int]] = {}
        self.add_project("library", owner="admin", now=now)

    def next_id(self, kind: str) -> int:
        """Numbers from 1, for each kind of thing."""
        with self._lock:
            return next(self._ids.setdefault(kind, itertools.count(1)))

    def add_project(
        self, name: str, *, owner: str, now: datetime, metadata: Mapping[str, str] | None = None
    ) -> Project:
        """A new project, public unless its metadata say something else."""
        with self._lock:
            number = self.next_id("project")
            known = dict(metadata if metadata is not None else {"public": "true"})
            project = Project(id=number, name=name, owner=owner, created=now, updated=now, metadata=known)
            self.projects[name] = project
            return project

    def project_of(self, repository: str) -> Project | None:
        """The project that a repository is in."""
        return self.projects.get(repository.partition("/")[0])

    def actions(self, account: str, repository: str) -> frozenset[str]:
        """What somebody may do with a repository: administrators and owners all, robots what they were given."""
        project = self.project_of(repository)
        if account == "admin" or (project is not None and account == project.owner):
            return WRITING
        granted = READING if project is not None and project.public else frozenset[str]()
        robot = self.robots.get(account)
        if robot is not None:
            granted |= robot.actions(project.name if project else "")
        return granted

    def repository(self, name: str, now: datetime) -> RepositoryRecord:
        """The history of a repository, begun if there is none."""
        with self._lock:
            if name not in self.repositories:
                number = self.next_id("repository")
                self.repositories[name] = RepositoryRecord(id=number, created=now, updated=now)
            return self.repositories[name]

    def number(self, record: RepositoryRecord, key: str) -> int:
        """The ID of an artifact (by digest) or of a tag (by name)."""
        with self._lock:
            if key not in record.ids:
                record.ids[key] = self.next_id("artifact" if ":" in key else "tag")
            return record.ids[key]

    def note(self, event: RegistryEvent) -> None:
        """Write down what happened at the registry."""
        if event.kind == "blob":
            return
        record = self.repository(event.repository, event.time)
        with self._lock:
            keys = [key for key in (event.digest, event.tag) if key]
            if event.action == PUSH:
                record.updated = event.time
                for key in keys:
                    record.pushed.setdefault(key, event.time)
            elif event.action == PULL and event.method == "GET":
                record.pulls += 1
                record.pulled.update(dict.fromkeys(keys, event.time))
            elif event.action == DELETE:
                record.updated = event.time
                for key in keys if event.kind == "manifest" else [event.tag]:
                    record.pushed.pop(key, None)
                    record.pulled.pop(key, None)
                    record.ids.pop(key, None)

    def counts(self) -> Counter[str]:
        """How many repositories each project has."""
        return Counter(name.partition("/")[0] for name in self.repositories)


def stamp(moment: datetime | None) -> str:
    """A time as Harbor's API writes it."""
    return NEVER if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
