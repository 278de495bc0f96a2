"""The lab's own sources that a target discovers from: a registry, a Git host, a chart repository.

They are the second way of seeing: whoever discovers must ask here, so a target that knows nothing of the
lab is judged by the requests that arrive. Repositories are made only when a target will look at
them: an answer can be judged without.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from kargo_lab.conformance.plans import Addresses, Plan
from kargo_lab.platforms.access import AccessLog
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.git.objects import Person
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.registry import Registry

# Contents without a time of their own get one a minute apart, so that "newest" has one answer.
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2].partition("/")[0])


class World:
    """Three embedded platforms between `start()` and `stop()`, filled as the plans say."""

    def __init__(
        self, addresses: Addresses | None = None, *, listen: str = "127.0.0.1", own_ports: bool = False
    ) -> None:
        self._published = addresses  # how a target elsewhere reaches them
        # The ports of published addresses are served here, on whatever address `listen` says; unless nobody will ask.
        served = None if own_ports else addresses
        port = {name: _port(getattr(served, name)) for name in ("git", "registry", "charts")} if served else {}
        self.registry = Registry(port=port.get("registry", 0), address=listen)
        self.git = GitHost(port=port.get("git", 0), address=listen)
        self.charts = ChartHost(port=port.get("charts", 0), address=listen)
        self._made: set[tuple[str, str]] = set()
        self._clock = FIRST

    def __enter__(self) -> Self:
        self._started: list[Any] = []
        for platform in (self.registry, self.git, self.charts):
            try:
                platform.start()
            except BaseException:
                self.stop()
                raise
            self._started.append(platform)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop what was started, last first."""
        while self._started:
            self._started.pop().stop()

    @property
    def addresses(self) -> Addresses:
        """Where a target finds the sources."""
        return self._published or Addresses(git=self.git.url, registry=self.registry.host, charts=self.charts.url)

    def prepare(self, plans: Sequence[Plan]) -> None:
        """Make the contents of all plans."""
        for each in plans:
            for kind, path, contents in each.contents:
                self._make(kind, path, contents)

    def _make(self, kind: str, path: str, contents: Any) -> None:
        if (kind, path) in self._made:
            return
        self._made.add((kind, path))
        if kind == "registry":
            for tag in contents:
                self._image(path, {"tag": tag} if isinstance(tag, str) else tag)
        elif kind == "git":
            self.git.create_repository(path)
            with self.git.one_push(path):
                for change in contents:
                    self._git(path, change)
        else:
            for chart, versions in contents.items():
                for version in versions:
                    self.charts.push_chart(chart, version, repository=path, created=self._tick())

    def _tick(self) -> datetime:
        self._clock += timedelta(minutes=1)
        return self._clock

    def _image(self, path: str, image: Mapping[str, Any]) -> None:
        created = datetime.fromisoformat(image["created"]) if image.get("created") else self._tick()
        tag = str(image["tag"])
        shared: dict[str, Any] = {"created": created}
        if "annotations" in image:
            shared["annotations"] = image["annotations"]
        if image.get("kind") == "chart":
            self.registry.push_chart(path, tag)
        elif "platforms" in image:
            self.registry.push_index(
                path, tag, platforms=image["platforms"], attestations=bool(image.get("attestations")), **shared
            )
        else:
            if "labels" in image:
                shared["labels"] = image["labels"]
            self.registry.push_image(path, tag, content=image.get("content"), **shared)

    def _git(self, path: str, change: Mapping[str, Any]) -> None:
        when = datetime.fromisoformat(change["when"]) if change.get("when") else self._tick()
        if "tag" in change:
            self.git.tag(
                path, change["tag"], target=change.get("target", "main"), message=change.get("message"), when=when
            )
        elif "merge" in change:
            self.git.merge(path, change["merge"], message=change.get("message", "a merge"), when=when)
        elif "delete" in change:
            self.git.delete_ref(path, change["delete"])
        else:
            self.git.commit(
                path,
                change.get("files", {}),
                branch=change.get("branch", "main"),
                message=change.get("message", "a change"),
                when=when,
                author=Person(change["author"], "somebody@git.example", when) if "author" in change else None,
            )

    def push(self, each: Plan, detail: Mapping[str, Any]) -> None:
        """Something arrives in one of the case's repositories, without a hook."""
        slug = each.case.slug
        if "image" in detail:
            self._image(f"{slug}/{detail['image']}", detail)
        elif "chart" in detail:
            self.charts.push_chart(
                detail["chart"], detail["version"], repository=f"{slug}/{detail.get('at', 'charts')}"
            )
        else:
            change = {key: value for key, value in detail.items() if key != "commit"}
            self._git(f"{slug}/{detail['commit']}", change)

    # What arrived

    def marks(self, each: Plan) -> Mapping[str, int]:
        """`kind:path` -> how many requests have arrived so far, for each repository of the case."""
        wanted = {pair for repositories in each.repositories.values() for pair in repositories}
        return {f"{kind}:{path}": sum(1 for _ in self._requests(each, kind, path)) for kind, path in wanted}

    def _log(self, kind: str) -> AccessLog:
        logs = {"registry": self.registry.access_log, "git": self.git.access_log, "charts": self.charts.access_log}
        return logs[kind]

    def arrivals(self) -> int:
        """How many requests have arrived at all."""
        return sum(len(self._log(kind).rows) for kind in ("registry", "git", "charts"))

    def asked(self) -> set[str]:
        """The slugs of the cases one of whose repositories was asked for at least once."""
        rows = [row for kind in ("registry", "git", "charts") for row in list(self._log(kind).rows)]
        return {slug for row in rows for slug in _SLUG.findall(row.path)}

    def _requests(self, each: Plan, kind: str, path: str) -> Iterable[tuple[str, str]]:
        """Those for this repository, and none for another of the case whose path goes on from this one's."""
        paths = {other for pairs in each.repositories.values() for known, other in pairs if known == kind}
        longer = sorted(other.removeprefix(path) for other in paths if other.startswith(f"{path}/"))
        others = "".join(rf"(?!{re.escape(rest)}(?:\.git)?(?:/|$))" for rest in longer)
        place = re.compile(rf"/{re.escape(path)}{others}(?:\.git)?(?:/|$)")
        return ((row.method, row.path) for row in self._log(kind).rows if place.search(row.path))

    def kinds(self, each: Plan, marks: Mapping[str, int]) -> dict[str, dict[str, int]]:
        """Warehouse -> kind of request -> how many arrived after the marks."""
        found: dict[str, dict[str, int]] = {}
        for name, repositories in each.repositories.items():
            counts: Counter[str] = Counter()
            for kind, path in repositories:
                for _, requested in list(self._requests(each, kind, path))[marks.get(f"{kind}:{path}", 0) :]:
                    counts[_kind(requested)] += 1
            found[name] = dict(counts)
        return found


_SLUG = re.compile(r"/(c[0-9a-f]{11})/")
_KINDS = (
    ("/tags/list", "tags"),
    ("/manifests/sha256:", "manifest-by-digest"),
    ("/manifests/", "manifest-by-tag"),
    ("/blobs/", "blob"),
    ("/info/refs", "refs"),
    ("/git-upload-pack", "pack"),
    ("/index.yaml", "index"),
)


def _kind(path: str) -> str:
    return next((kind for text, kind in _KINDS if text in path), "other")
