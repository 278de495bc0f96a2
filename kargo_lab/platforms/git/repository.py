"""One bare repository on disk: reading it, and writing commits, tags and merges into it without a work tree.

Everything that is written can be written again to the same IDs: dates and names are arguments.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git import objects as git_objects
from kargo_lab.platforms.git.objects import Commit, Person, Tag, spelled
from kargo_lab.platforms.git.program import Git, GitError

Content = str | bytes | None  # None deletes the path
_PACKED_HEADER = "# pack-refs with: peeled fully-peeled sorted \n"
ZEROS = {"sha1": "0" * 40, "sha256": "0" * 64}


class MergeConflictError(UsageError):
    """Two histories change the same lines."""


@attrs.frozen
class Entry:
    """One entry of a tree: `kind` is `blob`, `tree` or `commit`; `size` is of blobs only."""

    path: str
    kind: str
    id: str
    mode: str
    size: int


@attrs.frozen
class GitRepository:
    """A bare repository at `path`."""

    git: Git
    path: Path
    object_format: str = "sha1"

    @property
    def zeros(self) -> str:
        """The ID that stands for "no such ref"."""
        return ZEROS[self.object_format]

    def initialise(self, default_branch: str) -> None:
        """Create it on disk."""
        self.path.mkdir(parents=True, exist_ok=True)
        words = ("init", "--quiet", "--bare", f"--object-format={self.object_format}", "--template=")
        self.git.run(self.path, *words, f"--initial-branch={default_branch}")

    def run(self, *arguments: str, feed: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        """What one git command prints here, as text."""
        return self.git.run(self.path, *arguments, feed=feed, environment=environment).decode(errors="replace")

    # -- reading -----------------------------------------------------------------------------

    def refs(self) -> dict[str, str]:
        """Full ref -> ID of what it points at (a tag object, where the tag is annotated)."""
        output = self.run("for-each-ref", "--format=%(objectname) %(refname)")
        return {ref: object_id for object_id, _, ref in (line.partition(" ") for line in output.splitlines())}

    def resolve(self, name: str) -> str:
        """The ID of the commit that a branch, tag or ID means; empty if there is none."""
        if not name or name.startswith("-"):
            return ""
        try:
            return self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
        except GitError:
            return ""

    def is_ancestor(self, old: str, new: str) -> bool:
        """True if `new` contains `old`."""
        try:
            self.run("merge-base", "--is-ancestor", old, new)
        except GitError:
            return False
        return True

    def reachable(self, wanted: Iterable[str], *, without: Iterable[str] = (), limit: int = 0) -> list[str]:
        """IDs of commits reachable from `wanted` and from none of `without`, newest first."""
        lines = [*wanted, *(f"^{object_id}" for object_id in without)]
        words = ["rev-list", "--stdin", "--ignore-missing", *([f"--max-count={limit}"] if limit else [])]
        return self.run(*words, feed="\n".join([*lines, ""]).encode()).split()

    def commits(self, ids: Sequence[str]) -> tuple[Commit, ...]:
        """Whole commits with their paths, in the order of `ids`."""
        if not ids:
            return ()
        feed = "\n".join([*ids, ""]).encode()
        raw = self.git.run(self.path, "cat-file", "--batch", feed=feed)
        found = {
            name: git_objects.commit(name, text) for name, kind, text in git_objects.batch(raw) if kind == "commit"
        }
        # Against the first parent and without renames, which is what the platforms list.
        words = ("diff-tree", "--stdin", "--root", "-r", "-z", "--name-status", "--no-renames")
        paths = git_objects.touched(self.git.run(self.path, *words, "--diff-merges=first-parent", feed=feed))
        return tuple(_with_paths(found[name], paths.get(name, {})) for name in ids if name in found)

    def counted(self, old: str, new: str) -> dict[str, Any]:
        """How many lines and files differ: `additions`, `deletions`, `changed_files`."""
        lines = self.run("diff", "--numstat", old, new).splitlines() if old else []
        pairs = [line.split("\t")[:2] for line in lines]
        added, deleted = ([int(pair[side]) for pair in pairs if pair[side].isdigit()] for side in (0, 1))
        return {"additions": sum(added), "deletions": sum(deleted), "changed_files": len(lines)}

    def peel(self, object_id: str) -> tuple[Tag | None, str]:
        """The annotated tag at this ID, if it is one, and the ID of the commit behind it (empty: none)."""
        output = self.git.run(self.path, "cat-file", "--batch", feed=f"{object_id}\n".encode())
        outermost: Tag | None = None
        for _ in range(8):  # tags may point at tags
            found = next(iter(git_objects.batch(output)), None)
            if found is None or found[1] not in {"tag", "commit"}:
                return outermost, ""
            if found[1] == "commit":
                return outermost, found[0]
            tag = git_objects.tag(found[0], found[2])
            outermost = outermost or tag
            output = self.git.run(self.path, "cat-file", "--batch", feed=f"{tag.target}\n".encode())
        return outermost, ""

    def entries(self, revision: str, path: str = "", *, recursive: bool = False) -> list[Entry]:
        """What lies at `path` (a file: itself; a directory: its content) at a commit."""
        where = [f"{path.rstrip('/')}"] if path else []
        words = ["ls-tree", "-z", "--long", *(["-r"] if recursive else []), revision]
        found = _entries(self.run(*words, "--", *where))
        if path and len(found) == 1 and found[0].kind == "tree" and found[0].path == where[0]:
            found = _entries(self.run(*words, "--", f"{where[0]}/"))
        return found

    def blob(self, object_id: str) -> bytes:
        """The content of a file."""
        return self.git.run(self.path, "cat-file", "blob", object_id)

    # -- writing -----------------------------------------------------------------------------

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        branch: str,
        message: str,
        author: Person,
        committer: Person | None = None,
        parent: str = "",
    ) -> str:
        """Commit onto `parent` (empty: a root commit) and let `branch` point there, wherever it was."""
        lines = [
            b"feature done",
            f"commit refs/heads/{branch}".encode(),
            b"mark :1",
            f"author {spelled(author)}".encode(),
            f"committer {spelled(committer or author)}".encode(),
            _data(_ended(message).encode()),
            *([f"from {parent}".encode()] if parent else []),
        ]
        for path, content in files.items():
            if content is None:
                lines.append(b"D " + _quoted(path))
            else:
                text = content.encode() if isinstance(content, str) else content
                lines += [b"M 100644 inline " + _quoted(path), _data(text)]
        lines += [b"", b"get-mark :1", b"done", b""]
        feed = b"\n".join(lines)
        return self.run("fast-import", "--quiet", "--force", "--date-format=raw", feed=feed).strip()

    def set_ref(self, ref: str, new: str) -> None:
        """Let a ref point at an object, creating or moving it."""
        self.run("update-ref", ref, new)

    def set_refs(self, refs: Mapping[str, str]) -> None:
        """Many at once, each to a commit; nobody else may write here meanwhile.

        Written into git's own file of packed refs: a hundred thousand loose ones are as many files, and slow for ever.
        """
        self.run("pack-refs", "--all", "--prune")
        packed = self.path / "packed-refs"
        known = _packed(packed.read_text()) if packed.exists() else {}
        known |= {ref: f"{new} {ref}\n" for ref, new in refs.items()}
        lines = [_PACKED_HEADER, *(known[ref] for ref in sorted(known, key=str.encode))]
        written = self.path / "packed-refs.written"
        written.write_text("".join(lines))
        written.replace(packed)

    def delete_ref(self, ref: str) -> None:
        """Delete a ref; it must exist."""
        self.run("update-ref", "-d", ref)

    def annotate(self, name: str, target: str, message: str, tagger: Person) -> str:
        """Write a tag object (not the ref); answers its ID."""
        text = f"object {target}\ntype commit\ntag {name}\ntagger {spelled(tagger)}\n\n{_ended(message)}"
        return self.run("mktag", feed=text.encode()).strip()

    def merged_tree(self, ours: str, theirs: str) -> str:
        """The tree of a three-way merge; raises `MergeConflictError`."""
        try:
            return self.run("merge-tree", "--write-tree", ours, theirs).splitlines()[0]
        except GitError as failure:
            if failure.code == 1:
                raise MergeConflictError("the branches change the same lines") from failure
            raise

    def commit_tree(self, tree: str, parents: Sequence[str], message: str, author: Person, committer: Person) -> str:
        """Write a commit object (no ref); answers its ID."""
        words = [word for parent in parents for word in ("-p", parent)]
        environment = _as_environment(author, committer)
        return self.run("commit-tree", tree, *words, feed=_ended(message).encode(), environment=environment).strip()

    def rebase(self, head: str, onto: str, committer: Person) -> str:
        """The commits of `head` on top of `onto`, written anew; answers the last one's ID."""
        with tempfile.TemporaryDirectory(prefix="kargo-lab-rebase-") as scratch:
            tree = Path(scratch) / "tree"
            self.run("worktree", "add", "--quiet", "--detach", str(tree), onto)
            try:
                picked = self.reachable([head], without=[onto])[::-1]
                for name in picked:
                    environment = _as_environment(None, committer)
                    self.git.run(tree, "cherry-pick", "--allow-empty", name, environment=environment)
                return self.git.run(tree, "rev-parse", "HEAD").decode().strip()
            except GitError as failure:
                raise MergeConflictError("a commit does not apply on top of the base") from failure
            finally:
                self.run("worktree", "remove", "--force", str(tree))


def _packed(text: str) -> dict[str, str]:
    """Ref -> its lines in the file: its own, and for an annotated tag the one with the commit behind it."""
    found: dict[str, str] = {}
    ref = ""
    for line in text.splitlines(keepends=True):
        if line.startswith("^"):
            found[ref] += line
        elif not line.startswith("#"):
            ref = line.rstrip("\n").partition(" ")[2]
            found[ref] = line
    return found


def _with_paths(commit: Commit, paths: Mapping[str, list[str]]) -> Commit:
    # T is a change of type (a file that became a link): a modification to everybody.
    changed = tuple(sorted([*paths.get("M", ()), *paths.get("T", ())]))
    return attrs.evolve(commit, added=tuple(paths.get("A", ())), modified=changed, removed=tuple(paths.get("D", ())))


def _entries(output: str) -> list[Entry]:
    found = []
    for line in filter(None, output.split("\0")):
        facts, _, path = line.partition("\t")
        mode, kind, object_id, size = facts.split()
        found.append(Entry(path, kind, object_id, mode, int(size) if size.isdigit() else 0))
    return found


def _data(content: bytes) -> bytes:
    return b"data %d\n%b" % (len(content), content)


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode()


def _ended(message: str) -> str:
    return message if message.endswith("\n") or not message else f"{message}\n"


def _as_environment(author: Person | None, committer: Person) -> dict[str, str]:
    roles = {"COMMITTER": committer} | ({} if author is None else {"AUTHOR": author})
    return {
        f"GIT_{role}_{field}": value
        for role, who in roles.items()
        for field, value in (
            ("NAME", who.name),
            ("EMAIL", who.email),
            ("DATE", f"@{int(who.when.timestamp())} {who.when.strftime('%z')}"),
        )
    }
