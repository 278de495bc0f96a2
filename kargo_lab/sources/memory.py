"""A world without sockets: registries, Git hosts and chart repositories as values, at the same prices.

For the virtual clock: the selectors, the engine, the caches and the limiter are the real ones, and
each request that Kargo would make is a row in the ledger; only nobody answers over a network. A month
of a fleet's life then takes seconds (discovery.md 3.10, 3.11, 4.3, 5.2 give the prices).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from urllib.parse import urlsplit

import attrs

from kargo_lab.engine.clock import Clock
from kargo_lab.errors import UpstreamError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.artifacts import ChartDiscovery, CommitDiscovery, ImageDiscovery
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription
from kargo_lab.rules import urls
from kargo_lab.selection import charts as chart_selection
from kargo_lab.selection import commits as commit_selection
from kargo_lab.selection import images as image_selection
from kargo_lab.selection.commits import CommitFacts, TagFacts
from kargo_lab.selection.images import ImageFacts
from kargo_lab.sources import charts, git, images
from kargo_lab.sources.image_facts import Platform
from kargo_lab.sources.ledger import GIT, LedgerRow
from kargo_lab.sources.oci import PAGE_SIZE
from kargo_lab.sources.outgoing import quota_counts
from kargo_lab.sources.shared import Context

NOT_FOUND = 404
UNAVAILABLE = 503


@attrs.frozen(kw_only=True)
class MemoryImage:
    """What a tag points at; with `platforms` it is an index of so many children."""

    digest: str
    created: int | None = None
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    platforms: tuple[Platform, ...] = ()


@attrs.define
class _Repository:
    tags: dict[str, MemoryImage] = attrs.field(factory=dict)
    facts: dict[str, tuple[MemoryImage, ImageFacts]] = attrs.field(factory=dict)

    def facts_of(self, tag: str) -> ImageFacts | None:
        """What a tag's image amounts to; None if there is no such tag."""
        image, held = self.tags.get(tag), self.facts.get(tag)
        if image is None:
            return None
        if held is None or held[0] is not image:
            facts = ImageFacts(
                tag=tag,
                digest=image.digest,
                created=image.created,
                annotations=image.annotations,
                platforms=image.platforms,
            )
            held = self.facts[tag] = (image, facts)
        return held[1]


@attrs.define
class _GitRepository:
    """Branches as lists, newest first; tags in no order."""

    default_branch: str = "main"
    branches: dict[str, list[CommitFacts]] = attrs.field(factory=dict)
    tags: dict[str, TagFacts] = attrs.field(factory=dict)
    paths: dict[str, tuple[str, ...]] = attrs.field(factory=dict)


class World:
    """Everything that can be discovered. `request_seconds` is how long an answer takes on the clock of the pass.

    `bearer` are the registry hosts that want a token; `down` are hosts that do not answer.
    """

    def __init__(self, *, request_seconds: float = 0.0, bearer: Iterable[str] = (), profile: Profile = LATEST) -> None:
        self.request_seconds, self.bearer, self.down = request_seconds, frozenset(bearer), set[str]()
        self._profile = profile
        self._image_keys: dict[str, str] = {}  # normalising is most of what answering would cost
        self._git_keys: dict[str, str] = {}
        self._images: dict[str, _Repository] = {}
        self._git: dict[str, _GitRepository] = {}
        self._charts: dict[tuple[str, str], list[str]] = {}

    @property
    def sources(self) -> Mapping[str, Callable[..., ImageDiscovery | CommitDiscovery | ChartDiscovery]]:
        """What `Lab(sources=...)` takes."""
        return MappingProxyType(
            {"image": self.discover_images, "git": self.discover_commits, "chart": self.discover_charts}
        )

    # Filling it

    def push_image(
        self,
        repo_url: str,
        *tags: str,
        content: str = "",
        created: datetime | None = None,
        annotations: Mapping[str, str] | None = None,
        platforms: Iterable[str] = (),
    ) -> str:
        """Let tags point at an image; the digest follows from `content`, or from the tags. Platforms make an index."""
        seed = content or f"{repo_url}:{','.join(tags)}"
        parsed = [image_selection.parse_platform(text) for text in platforms]
        made = MemoryImage(
            digest="sha256:" + hashlib.sha256(seed.encode()).hexdigest(),
            created=None if created is None else int(created.timestamp() * 1e6) * 1000,
            annotations=dict(annotations or {}),
            platforms=tuple(Platform(os=each[0], arch=each[1], variant=each[2]) for each in parsed if each),
        )
        repository = self._images.setdefault(self.key_of(repo_url), _Repository())
        repository.tags.update(dict.fromkeys(tags, made))
        return made.digest

    def delete_tag(self, repo_url: str, tag: str) -> None:
        """Remove a tag of an image repository; one that is not there is no error."""
        self._images.setdefault(self.key_of(repo_url), _Repository()).tags.pop(tag, None)

    def commit(
        self,
        repo_url: str,
        *,
        when: datetime,
        branch: str = "main",
        subject: str = "change",
        author: str = "Ada <ada@x.example>",
        paths: Iterable[str] = ("README.md",),
    ) -> str:
        """Put a commit on a branch; its ID."""
        repository = self._repository(repo_url)
        line = repository.branches.setdefault(branch, [])
        parent = line[0].id if line else ""
        seed = f"{repo_url} {branch} {parent} {when.isoformat()} {subject} {len(line)}"
        made = CommitFacts(
            id=hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest(),
            date=when,
            author=author,
            committer=author,
            subject=subject,
        )
        line.insert(0, made)
        repository.paths[made.id] = tuple(paths)
        return made.id

    def tag(self, repo_url: str, name: str, *, when: datetime | None = None, branch: str = "main") -> None:
        """Let a lightweight tag point at the tip of a branch."""
        repository = self._repository(repo_url)
        tip = repository.branches[branch][0]
        repository.tags[name] = TagFacts(
            name=name,
            id=tip.id,
            date=when or tip.date,
            author=tip.author,
            committer=tip.committer,
            subject=tip.subject,
        )

    def push_chart(self, repo_url: str, version: str, *, name: str = "") -> None:
        """Add a version: to a classic repository with a chart's name, or a tag to an OCI repository without."""
        listed = self._charts.setdefault((repo_url.removesuffix("/"), name), [])
        if version not in listed:
            listed.append(version)

    def key_of(self, repo_url: str) -> str:
        """The normalised URL of an image repository."""
        if repo_url not in self._image_keys:
            self._image_keys[repo_url] = urls.normalize_image(repo_url, profile=self._profile)
        return self._image_keys[repo_url]

    def _repository(self, repo_url: str) -> _GitRepository:
        if repo_url not in self._git_keys:
            self._git_keys[repo_url] = urls.normalize_git(repo_url, profile=self._profile)
        return self._git.setdefault(self._git_keys[repo_url], _GitRepository())

    # Answering

    def discover_images(self, subscription: ImageSubscription, context: Context) -> ImageDiscovery:
        """As `sources.images.discover`."""
        selector = context.shared.selector(subscription, image_selection.build)
        by_tag = context.profile.cache_by_tag and image_selection.caches_by_tag(
            subscription, context.shared.settings.cache_by_tag_policy
        )
        asked = _Registry(self, selector, context, by_tag=by_tag and selector.needs_listing)
        return images.discovery(selector, images.found(selector, asked.tags, asked.by_tag, context))

    def images_of(self, key: str) -> _Repository:
        """An image repository, by its normalised URL; one that nobody pushed to is empty."""
        return self._images.get(key) or _Repository()

    def discover_commits(self, subscription: GitSubscription, context: Context) -> CommitDiscovery:
        """As `sources.git.discover`."""
        selector = context.shared.selector(subscription, commit_selection.build)
        repository, asked = self._repository(subscription.repo_url), _Asked(self, context)
        host, path = _place(subscription.repo_url)
        observed = None
        if context.profile.ls_remote_short_circuit:
            asked.operation(host, path, "ls-remote")
            observed = selector.observation(_refs(repository))
        if (unchanged := git.reusable(subscription, context.previous, observed)) is not None:
            return unchanged
        asked.operation(host, path, "clone")
        branch = "" if selector.by_tags and context.profile.tag_clone_branch == "default" else subscription.branch
        line = repository.branches.get(branch or repository.default_branch)
        if line is None:
            raise UpstreamError(f"git clone of {subscription.repo_url}: there is no such branch")
        if selector.by_tags:
            asked.operation(host, path, "fetch tags")
            listed = sorted(repository.tags.values(), key=lambda tag: (-tag.date.timestamp(), tag.name))
            found = git.from_tags(selector, listed, lambda commit: repository.paths.get(commit, ()), context.witness)
        else:
            tip = _since(line, subscription.since if context.profile.git_since else "")
            found = git.from_branch(
                selector,
                lambda count, skip: tuple(tip[skip : skip + count]),
                lambda commit: repository.paths.get(commit, ()),
                context.witness,
            )
        return CommitDiscovery(
            repo_url=subscription.repo_url,
            commits=found,
            subscription_name=subscription.name,
            observed=observed,
        )

    def discover_charts(self, subscription: ChartSubscription, context: Context) -> ChartDiscovery:
        """As `sources.charts.discover`, for registries that ask for nothing."""
        selector = context.shared.selector(subscription, chart_selection.build)
        asked, host = _Asked(self, context), _place(subscription.repo_url)[0]
        if selector.reference is not None:
            if context.profile.oci_probe:
                asked.request(host, "/v2/", "ping")
            asked.request(host, f"/v2/{selector.reference.repository}/tags/list", "tags")
        else:
            asked.request(host, urlsplit(selector.index_url).path, "index")
        listed = self._charts.get((subscription.repo_url.removesuffix("/"), subscription.chart_name), [])
        return charts.discovery(selector, listed, context.witness)


class _Asked:
    """Writes down what would have been asked, and lets it take its time."""

    def __init__(self, world: World, context: Context) -> None:
        self._world, self._context = world, context
        self._clock: Clock = context.clock

    def request(self, host: str, path: str, kind: str, *, cache: str = "") -> None:
        """One HTTP request; a host that is down costs it all the same."""
        status = UNAVAILABLE if host in self._world.down else 200
        self._record(host, path, kind, method="GET", status=status, cache=cache)
        if status == UNAVAILABLE:
            raise UpstreamError(f"{host} is down", status=status)

    def operation(self, host: str, path: str, kind: str) -> None:
        """One network operation of git, and the two requests of which it consists over HTTP."""
        failed = host in self._world.down
        for method, end in (("GET", "/info/refs"), ("POST", "/git-upload-pack")):
            self._record(host, path + end, "git-http", method=method, status=UNAVAILABLE if failed else 200)
            if failed:
                break
        self._record(host, path, kind, method=GIT, status=128 if failed else 0)
        if failed and kind != "ls-remote":
            raise UpstreamError(f"{host} is down")

    def _record(self, host: str, path: str, kind: str, *, method: str, status: int, cache: str = "") -> None:
        counted = method != GIT and quota_counts(host, kind, status)
        self._context.ledger.record(
            LedgerRow(
                time=self._clock.now(),
                warehouse=self._context.warehouse,
                subscription=self._context.subscription,
                source=host,
                method=method,
                path=path,
                status=status,
                cache=cache,
                counted=counted,
                kind=kind,
            )
        )
        if method != GIT and self._world.request_seconds:
            self._clock.wait(self._world.request_seconds)


class _Registry:
    """An image repository in memory, asked as go-containerregistry would ask it."""

    def __init__(
        self, world: World, selector: image_selection.ImageSelector, context: Context, *, by_tag: bool
    ) -> None:
        self._world, self._context, self._caches_tags = world, context, by_tag
        self._host, self._path = selector.reference.registry, f"/v2/{selector.reference.repository}"
        self._key = world.key_of(selector.subscription.repo_url)
        self._repository = world.images_of(self._key)
        self._limiter = context.shared.limiters.of(self._host)
        self._asked = _Asked(world, context)
        self._cache = context.shared.image_cache(self._host)
        one_child = context.profile.platform_index == "one-child"
        self._only = selector.platform if one_child else None

    def _request(self, path: str, kind: str, cache: str = "") -> None:
        self._limiter.take(self._context.clock)
        self._asked.request(self._host, path, kind, cache=cache)

    def _session(self) -> None:
        self._request("/v2/", "ping")
        if self._host in self._world.bearer:
            self._request("/token", "token")

    def tags(self) -> tuple[str, ...]:
        """All tags, and the price of listing them."""
        self._session()
        found = tuple(self._repository.tags)
        for _ in range(max(1, -(-len(found) // PAGE_SIZE))):
            self._request(f"{self._path}/tags/list", "tags")
        return found

    def by_tag(self, tag: str) -> ImageFacts:
        """The facts behind a tag, and the price of fetching them."""
        key = f"{self._key}:{tag}"
        if self._caches_tags and (held := self._cache.get(key, self._context.clock.monotonic())) is not None:
            self._context.ledger.record_hit(self._host, "manifest-by-tag")
            return held
        self._session()
        self._request(f"{self._path}/manifests/{tag}", "manifest-by-tag", "miss" if self._caches_tags else "")
        facts = self._repository.facts_of(tag)
        if facts is None:
            raise UpstreamError(f"{self._key}:{tag}: there is no such manifest", status=NOT_FOUND)
        if not facts.platforms:
            self._request(f"{self._path}/blobs/{facts.digest}", "blob")
        for number, platform in enumerate(facts.platforms):
            if self._only in (None, (platform.os, platform.arch, platform.variant)):
                self._child(f"{facts.digest}-{number}")
        if self._caches_tags:
            self._cache.put(key, facts, self._context.clock.monotonic())
        return facts

    def _child(self, digest: str) -> None:
        now = self._context.clock.monotonic()
        if self._cache.get(digest, now) is not None:
            self._context.ledger.record_hit(self._host, "manifest-by-digest")
            return
        self._session()
        self._request(f"{self._path}/manifests/{digest}", "manifest-by-digest", "miss")
        self._request(f"{self._path}/blobs/{digest}", "blob")
        if not self._caches_tags:
            self._cache.put(digest, ImageFacts(tag="", digest=digest), now)


def _refs(repository: _GitRepository) -> list[tuple[str, str]]:
    heads = [(f"refs/heads/{name}", line[0].id) for name, line in repository.branches.items() if line]
    default = repository.branches.get(repository.default_branch)
    head = [("HEAD", default[0].id)] if default else []
    return [*head, *heads, *((f"refs/tags/{name}", tag.id) for name, tag in repository.tags.items())]


def _since(line: list[CommitFacts], since: str) -> list[CommitFacts]:
    """Git's walk ends at the first commit that is older (discovery.md 4.4 rule 6)."""
    if not since:
        return line
    bound = datetime.fromisoformat(since).timestamp()
    end = next((place for place, commit in enumerate(line) if commit.date.timestamp() < bound), len(line))
    return line[:end]


def _place(url: str) -> tuple[str, str]:
    """Host and path of a repository's URL, without user information."""
    parts = urlsplit(url)
    return (parts.netloc.rpartition("@")[2], parts.path.removesuffix("/")) if parts.netloc else (url, "")
