"""What a step is given to work with, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from kargo_lab.engine.clock import Clock
from kargo_lab.errors import PipelineError
from kargo_lab.resources.configuration import Secret
from kargo_lab.resources.pipeline import Promotion
from kargo_lab.sources.credentials import Credentials, find
from kargo_lab.sources.shared import Context, Shared

SUCCEEDED, FAILED, ERRORED, RUNNING, SKIPPED = "Succeeded", "Failed", "Errored", "Running", "Skipped"


@attrs.frozen(kw_only=True)
class Result:
    """How a step ended, or (`Running`) that it has to be asked again; `output` is kept under its alias."""

    status: str = SUCCEEDED
    message: str = ""
    output: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class Work:
    """One step of one Promotion at work: where its files are, and how it reaches the world.

    `directory` is the Promotion's own and outlives the step; `output` is what this very step answered
    when it was asked before.
    """

    promotion: Promotion
    alias: str
    directory: Path
    shared: Shared
    clock: Clock
    secrets: Sequence[Secret] = ()
    output: Mapping[str, Any] = attrs.field(factory=dict)
    seconds: float = 60.0

    @property
    def named(self) -> str:
        """How messages call it."""
        return f"Promotion {self.promotion.key}, step {self.alias}"

    @property
    def files(self) -> Path:
        """Where paths of the configuration begin."""
        place = self.directory / "files"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def path(self, config: Mapping[str, Any], key: str = "path") -> Path:
        """A path of the configuration; one that leads out of the Promotion's directory is refused."""
        inside = self.files.resolve()
        found = (inside / self.text(config, key).lstrip("/")).resolve()
        if found != inside and inside not in found.parents:
            raise PipelineError(self.named, f"{key} leads out of the working directory")
        return found

    def text(self, config: Mapping[str, Any], key: str, default: str | None = None) -> str:
        """A text of the configuration. Raises PipelineError where it is missing or something else."""
        value = config.get(key, default)
        if isinstance(value, str) and (value or default is not None):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{value:g}" if isinstance(value, float) else str(value)
        raise PipelineError(self.named, f"`{key}` must be a text; found {value!r}")

    def items(self, config: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
        """A list of mappings of the configuration; empty where it is absent."""
        value = config.get(key) or []
        if isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
            return value
        raise PipelineError(self.named, f"`{key}` must be a list of mappings")

    def credentials(self, repo_url: str) -> Credentials:
        """What the Project's Secrets have for a Git repository."""
        return find(
            self.secrets,
            kind="git",
            repo_url=repo_url,
            namespace=self.promotion.namespace,
            shared_namespace=self.shared.settings.shared_namespace,
            allow_over_http=self.shared.settings.allow_credentials_over_http,
            profile=self.shared.profile,
        )

    def context(self, repo_url: str) -> Context:
        """As discovery has it; the ledger says which Promotion asked."""
        return Context(
            shared=self.shared,
            clock=self.clock,
            warehouse=f"{self.promotion.namespace}/Promotion/{self.promotion.name}",
            credentials=self.credentials(repo_url),
        )
