"""Filling a real Gitea in one line, through its API: what the embedded Git host offers in process.

Only what a testbed needs: repositories, commits, and a hook for all of them.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import requests

from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.gitea_container import ContainerGitea
from kargo_lab.platforms.gitea_process import ProcessGitea
from kargo_lab.platforms.gitea_remote import GiteaAddress


class GiteaFilling(GiteaAddress):
    """Mixed into every Gitea that is reached by its API."""

    def create_repository(self, full_name: str, *, default_branch: str = "main") -> None:
        """A new, empty repository `owner/name`; an owner that is not there becomes an organisation."""
        owner, _, name = full_name.partition("/")
        if self.call("GET", f"/users/{owner}").status_code == 404:
            self._done(self.call("POST", "/orgs", {"username": owner}))
        self._done(self.call("POST", f"/orgs/{owner}/repos", {"name": name, "default_branch": default_branch}))

    def commit(
        self, repository: str, files: Mapping[str, str], *, branch: str = "main", message: str = "Change files"
    ) -> str:
        """Commit texts onto a branch; the commit's ID."""
        changes = [self._change(repository, branch, path, content) for path, content in files.items()]
        body = {"branch": branch, "message": message, "files": changes}
        made = self._done(self.call("POST", f"/repos/{repository}/contents", body))
        return str(made["commit"]["sha"])

    def _change(self, repository: str, branch: str, path: str, content: str) -> dict[str, str]:
        encoded = base64.b64encode(content.encode()).decode()
        known = self.call("GET", f"/repos/{repository}/contents/{path}", params={"ref": branch})
        if known.status_code != 200:
            return {"operation": "create", "path": path, "content": encoded}
        return {"operation": "update", "path": path, "content": encoded, "sha": known.json()["sha"]}

    def add_hook(self, *, url: str, secret: str = "", events: Iterable[str] = ("push",), level: str = "system") -> Any:
        """Register a hook for the whole Gitea; what its API answers. `level` says so, as at the embedded host."""
        config = {"url": url, "content_type": "json", "secret": secret, "is_system_webhook": str(level == "system")}
        body = {"type": "gitea", "active": True, "events": list(events), "config": config}
        return self._done(self.call("POST", "/admin/hooks", body))

    @property
    def repositories(self) -> list[str]:
        """The full names of all repositories."""
        found: list[str] = []
        for page in itertools.count(1):
            answer = self._done(self.call("GET", "/repos/search", params={"page": page, "limit": 50}))
            found += [item["full_name"] for item in answer["data"]]
            if len(answer["data"]) < 50:
                break
        return found

    @staticmethod
    def _done(answer: requests.Response) -> Any:
        if not answer.ok:
            raise UpstreamError(f"Gitea refused: {answer.status_code} {answer.text[:300]}", status=answer.status_code)
        return answer.json()


class FilledProcessGitea(GiteaFilling, ProcessGitea):
    """A Gitea as a process, to be filled in one line."""


class FilledContainerGitea(GiteaFilling, ContainerGitea):
    """A Gitea in a container, to be filled in one line."""
