"""`git-clone`, `git-clear`, `git-commit`, `git-push`: the git executable in the Promotion's own directory.

As in Kargo, a repository is cloned bare and every checkout is a working tree of that clone; git runs with the
small environment of `sources.git_commands`, without a shell.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kargo_lab.engine.pipeline.steps.work import SKIPPED, Result, Work
from kargo_lab.errors import PipelineError, UpstreamError
from kargo_lab.sources.git_commands import Git

MOST_ATTEMPTS = 50  # Kargo's default for a push that others overtook
_REF = re.compile(r"[A-Za-z0-9][\w./+@-]*", re.ASCII)
_pushing: dict[str, threading.Lock] = {}


class Repository(Git):
    """A bare clone and its working trees, in a home directory of their own that outlives a step."""

    def __init__(self, work: Work, url: str, *, verify_tls: bool = True) -> None:
        home = work.directory / "repositories" / hashlib.sha256(url.encode()).hexdigest()[:16]
        home.mkdir(parents=True, exist_ok=True)
        super().__init__(work.context(url), url, home, verify_tls=verify_tls)
        self.patience_seconds, self.url, self.bare = work.seconds, url, home / "repo"
        (home / "url").write_text(url)
        (home / "verify").write_text("yes" if verify_tls else "")

    @classmethod
    def of(cls, tree: Path, work: Work) -> Repository:
        """The repository that a working tree belongs to."""
        marker = tree / ".git"
        try:
            link = Path(marker.read_text().partition("gitdir:")[2].strip())
            home = link.parents[2]
            url, verified = (home / "url").read_text(), (home / "verify").read_text()
        except (OSError, IndexError):
            raise PipelineError(work.named, f"{tree.name} is no working tree that `git-clone` made") from None
        if work.directory.resolve() not in home.resolve().parents:
            raise PipelineError(work.named, f"{tree.name} belongs to a repository elsewhere")
        return cls(work, url, verify_tls=bool(verified))

    def fetch_all(self) -> None:
        """The bare clone, made on first use."""
        if not self.bare.exists():
            self._network("clone", "clone", "--bare", self._access_url, str(self.bare))

    def inside(self, place: Path, *arguments: str) -> str:
        """The output of a command in a working tree, or in the bare clone."""
        self._repo = place
        return self._run(*arguments, inside=True).decode(errors="replace").strip()

    def push(self, tree: Path, branch: str, *, force: bool) -> None:
        """Push what a working tree has onto a branch of the origin."""
        self._repo = tree
        forced = ("--force",) if force else ()
        self._network("push", "push", *forced, self._access_url, f"HEAD:refs/heads/{branch}", inside=True)

    def rebase(self, tree: Path, branch: str) -> None:
        """Put the commits of a working tree on top of what the origin's branch has now."""
        self._repo = tree
        self._network("fetch", "fetch", self._access_url, f"refs/heads/{branch}", inside=True)
        self._run("rebase", "FETCH_HEAD", inside=True)


def _ref(text: str, work: Work, key: str) -> str:
    if not _REF.fullmatch(text) or ".." in text:
        raise PipelineError(work.named, f"`{key}`: {text!r} is no name of a branch, tag or commit")
    return text


def clone(config: Mapping[str, Any], work: Work) -> Result:
    """Clone, and check out each element of `checkout` (branch, tag or commit) at its path."""
    checkouts = work.items(config, "checkout")
    if not checkouts:
        raise PipelineError(work.named, "`checkout` names nothing to check out")
    repository = Repository(work, work.text(config, "repoURL"), verify_tls=not config.get("insecureSkipTLSVerify"))
    repository.fetch_all()
    commits = {}
    for checkout in checkouts:
        path = work.path(checkout)
        shutil.rmtree(path, ignore_errors=True)
        repository.inside(repository.bare, "worktree", "prune")
        _check_out(repository, checkout, path, work)
        commits[work.text(checkout, "path")] = _head(repository, path)
    return Result(output={"commits": commits})


def _check_out(repository: Repository, checkout: Mapping[str, Any], path: Path, work: Work) -> None:
    named = next((key for key in ("commit", "tag", "branch") if checkout.get(key)), "")
    if not named:
        repository.inside(repository.bare, "worktree", "add", "--detach", str(path), "HEAD")
        return
    ref = _ref(work.text(checkout, named), work, named)
    full = {"branch": f"refs/heads/{ref}", "tag": f"refs/tags/{ref}", "commit": ref}[named]
    try:
        repository.inside(repository.bare, "worktree", "add", "--force", "--detach", str(path), full)
    except UpstreamError:
        if named != "branch" or not checkout.get("create"):
            raise PipelineError(work.named, f"{repository.url} has no {named} {ref!r}") from None
        repository.inside(repository.bare, "worktree", "add", "--detach", "--no-checkout", str(path), "HEAD")
        repository.inside(path, "checkout", "--orphan", ref)
        repository.inside(path, "rm", "-rf", "--cached", "--ignore-unmatch", ".")
        return
    if named == "branch":
        (path.parent / f".{path.name}.branch").write_text(ref)


def _head(repository: Repository, path: Path) -> str:
    try:
        return repository.inside(path, "rev-parse", "HEAD")
    except UpstreamError:
        return ""  # a new branch without commits


def clear(config: Mapping[str, Any], work: Work) -> Result:
    """Delete everything in a working tree but git's own."""
    path = work.path(config)
    Repository.of(path, work)
    for each in path.iterdir():
        if each.name == ".git":
            continue
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
    return Result()


def commit(config: Mapping[str, Any], work: Work) -> Result:
    """Commit all changes of a working tree; without any, the step is skipped and answers the commit there is."""
    path, message = work.path(config), work.text(config, "message")
    repository = Repository.of(path, work)
    repository.inside(path, "add", "-A", ".")
    if not repository.inside(path, "status", "--porcelain"):
        return Result(status=SKIPPED, message="nothing changed", output={"commit": _head(repository, path)})
    author = config.get("author")
    as_author: list[str] = []
    if isinstance(author, Mapping) and (author.get("name") or author.get("email")):
        as_author = [
            f"--author={work.text(author, 'name', 'Kargo')} <{work.text(author, 'email', 'no-reply@kargo.io')}>"
        ]
    repository.inside(path, "commit", "--quiet", *as_author, "-m", message)
    return Result(output={"commit": _head(repository, path)})


def push(config: Mapping[str, Any], work: Work) -> Result:
    """Push a working tree to the branch it was checked out from, another one, or one made for the Promotion."""
    path = work.path(config)
    repository = Repository.of(path, work)
    branch, force = _target(config, path, work), bool(config.get("force"))
    attempts = config.get("maxAttempts") or MOST_ATTEMPTS
    lock = _pushing.setdefault(repository.url, threading.Lock())
    with lock:
        for attempt in range(1, min(int(attempts), MOST_ATTEMPTS) + 1):
            try:
                repository.push(path, branch, force=force)
                break
            except UpstreamError as error:
                overtaken = any(word in str(error) for word in ("non-fast-forward", "fetch first", "[rejected]"))
                if not overtaken or attempt >= int(attempts):
                    raise
                repository.rebase(path, branch)
    return Result(output={"branch": branch, "commit": _head(repository, path)})


def _target(config: Mapping[str, Any], path: Path, work: Work) -> str:
    if config.get("generateTargetBranch"):
        return f"kargo/promotion/{work.promotion.name}"
    if config.get("targetBranch"):
        return _ref(work.text(config, "targetBranch"), work, "targetBranch")
    known = path.parent / f".{path.name}.branch"
    if known.exists():
        return known.read_text()
    raise PipelineError(work.named, "names no `targetBranch`, and the working tree was not checked out from a branch")
