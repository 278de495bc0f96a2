"""Images of one subscription, found with the requests that Kargo makes: discovery.md 3.

Which tags, in which order and when to stop is the selector's business; here is what it costs to ask,
and what the caches of 3.6 and 3.8 save.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from kargo_lab.engine.clock import Clock
from kargo_lab.errors import UpstreamError
from kargo_lab.profiles import Profile
from kargo_lab.resources.artifacts import ImageDiscovery, ImageReference
from kargo_lab.resources.warehouse import ImageSubscription
from kargo_lab.rules.urls import normalize_image
from kargo_lab.selection import images as selection
from kargo_lab.selection.images import ImageFacts, ImageSelector
from kargo_lab.selection.reasons import Reason, refuse
from kargo_lab.sources import image_facts, manifests, oci
from kargo_lab.sources.lean import Lean, Question
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.limits import Cache
from kargo_lab.sources.outgoing import Outgoing
from kargo_lab.sources.shared import BEYOND_LIMIT, TAKEN, Context, Witness

NOT_FOUND = 404
Lookup = Callable[[str], ImageFacts]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def discover(subscription: ImageSubscription, context: Context) -> ImageDiscovery:
    """The images that the subscription takes, best first. Raises SelectionError or UpstreamError."""
    selector = context.shared.selector(subscription, selection.build)
    by_tag = context.profile.cache_by_tag and selection.caches_by_tag(
        subscription, context.shared.settings.cache_by_tag_policy
    )
    look = Images if context.shared.lean is None else LeanImages
    images = look(selector, context, by_tag=by_tag and selector.needs_listing)
    return discovery(selector, found(selector, images.tags, images.by_tag, context))


def found(
    selector: ImageSelector,
    tags: Callable[[], Iterable[str]],
    by_tag: Lookup,
    context: Context,
) -> tuple[ImageFacts, ...]:
    """Walk a repository as the strategy walks it, whoever answers."""
    witness, workers = context.witness, context.shared.workers
    tell = witness or _nobody
    if not selector.needs_listing:
        return selector.rank(_named(selector, by_tag, tell))
    listed = tuple(tags())
    shortlist = context.shared.shortlist(selector, listed)
    if witness is not None:
        for tag in listed:
            if not (reason := selector.judge(tag)):
                witness(tag, reason)
    if selector.needs_all_images:
        return _ranked(selector, _all(shortlist, by_tag, workers), tell)
    taken: list[ImageFacts] = []
    for place, tag in enumerate(shortlist):
        facts = by_tag(tag)
        reason = selector.platform_reason(facts)
        tell(tag, TAKEN if reason else reason)
        if reason:
            taken.append(facts)
        if len(taken) == selector.limit:
            for other in shortlist[place + 1 :]:
                tell(other, BEYOND_LIMIT)
            break
    return selector.rank(taken)


def _nobody(_name: str, _reason: Reason) -> None:
    """Nobody wants to know."""


def _ranked(selector: ImageSelector, images: Iterable[ImageFacts], tell: Witness) -> tuple[ImageFacts, ...]:
    """NewestBuild: everything was fetched, what fits the platform is ranked."""
    fitting = []
    for facts in images:
        if reason := selector.platform_reason(facts):
            fitting.append(facts)
        else:
            tell(facts.tag, reason)
    ranked = selector.rank(fitting)
    kept = {facts.tag for facts in ranked}
    for facts in fitting:
        tell(facts.tag, TAKEN if facts.tag in kept else BEYOND_LIMIT)
    return ranked


def _named(selector: ImageSelector, by_tag: Lookup, tell: Witness) -> list[ImageFacts]:
    """Digest's one tag: a 404 anywhere on the way means that there is no image, and is no error (IDG:72-80)."""
    try:
        facts = by_tag(selector.named_tag)
    except UpstreamError as error:
        if error.status == NOT_FOUND:
            tell(selector.named_tag, refuse("missing", f"the registry has no image {selector.named_tag!r}"))
            return []
        raise
    reason = selector.platform_reason(facts)
    tell(selector.named_tag, TAKEN if reason else reason)
    return [facts] if reason else []


def _all(tags: tuple[str, ...], by_tag: Lookup, workers: int) -> Iterable[ImageFacts]:
    """Every tag's facts, several at a time; the first error ends it."""
    if workers == 1 or len(tags) < 2:
        return [by_tag(tag) for tag in tags]
    with ThreadPoolExecutor(max_workers=min(workers, len(tags)), thread_name_prefix="images") as pool:
        asked = [pool.submit(by_tag, tag) for tag in tags]
        try:
            return [each.result() for each in asked]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def discovery(selector: ImageSelector, images: Iterable[ImageFacts]) -> ImageDiscovery:
    """The result as status records it: whole seconds, annotations of the chosen platform over the image's."""
    subscription = selector.subscription
    return ImageDiscovery(
        repo_url=subscription.repo_url,
        platform=subscription.platform,
        references=tuple(
            ImageReference(
                tag=image.tag,
                digest=image.digest,
                annotations=dict(selector.annotations(image)),
                created_at=None if image.created is None else _EPOCH + timedelta(seconds=image.created // 10**9),
            )
            for image in images
        ),
        subscription_name=subscription.name,
    )


def _config(descriptor: Mapping[str, Any], session: oci.Session) -> bytes:
    """An image's config: out of the manifest where that carries it, else asked for."""
    carried = manifests.inline(descriptor)
    if carried is None:
        return session.blob(descriptor["digest"])
    oci.verify(carried, descriptor["digest"])
    return carried


class Images:
    """One repository as one subscription sees it: its tags, and the facts behind each."""

    def __init__(self, selector: ImageSelector, context: Context, *, by_tag: bool) -> None:
        subscription, reference, shared = selector.subscription, selector.reference, context.shared
        address = shared.settings.registry_address(reference.registry)
        outgoing = Outgoing(
            ledger=context.ledger,
            clock=context.clock,
            warehouse=context.warehouse,
            subscription=context.subscription,
            verify_tls=not subscription.insecure_skip_tls_verify,
            limiter=shared.limiters.of(reference.registry),
            retries=oci.retries(context.profile),
            header_timeout_seconds=context.profile.header_timeout_seconds,
            proxies=shared.proxies_for(address),
            names={address: reference.registry},
            connections=shared.connections,
        )
        self._repository = oci.Repository(
            outgoing, address, reference.repository, context.credentials.login, sessions=self._sessions(context)
        )
        self._profile: Profile = context.profile
        self._clock: Clock = context.clock
        self._ledger: Ledger = context.ledger
        self._cache: Cache[ImageFacts] = shared.image_cache(reference.registry)
        self._caches_tags = by_tag
        self._name = normalize_image(subscription.repo_url, profile=context.profile)
        self._platform = selector.platform

    def _sessions(self, _context: Context) -> oci.Sessions | None:
        """Where sessions are kept; nowhere."""
        return None

    def tags(self) -> tuple[str, ...]:
        """All tags of the repository."""
        return self._repository.tags()

    def by_tag(self, tag: str) -> ImageFacts:
        """The facts behind a tag; from the cache where tags are cached (discovery.md 3.6)."""
        key = f"{self._name}:{tag}"
        if self._caches_tags and (held := self._cache.get(key, self._clock.monotonic())) is not None:
            self._ledger.record_hit(self._repository.registry, "manifest-by-tag")
            return held
        facts = attrs.evolve(self._behind(tag), tag=tag)
        if self._caches_tags:
            self._cache.put(key, facts, self._clock.monotonic())
        return facts

    def _behind(self, tag: str) -> ImageFacts:
        """The facts behind a tag as they are now."""
        return self._facts(*self._repository.manifest(tag, cache="miss" if self._caches_tags else ""))

    def _by_digest(self, digest: str) -> ImageFacts:
        """A child of an index. With tags cached, digests are looked up but not stored: the tag's entry has all."""
        if (held := self._cache.get(digest, self._clock.monotonic())) is not None:
            self._ledger.record_hit(self._repository.registry, "manifest-by-digest")
            return held
        manifest, session = self._repository.manifest(digest, cache="miss")
        facts = self._facts(manifest, session)
        if not self._caches_tags:
            self._cache.put(digest, facts, self._clock.monotonic())
        return facts

    def _facts(self, manifest: oci.Manifest, session: oci.Session) -> ImageFacts:
        if manifest.media_type in manifests.INDEX_TYPES:
            return self._index(manifest)
        if manifest.media_type in manifests.IMAGE_TYPES:
            return self._single(manifest, session)
        raise UpstreamError(f"unknown artifact type: {manifest.media_type}")

    def _single(self, manifest: oci.Manifest, session: oci.Session) -> ImageFacts:
        document = manifests.read(manifest.body, manifests.MANIFEST, "image manifest")
        config = manifests.read(_config(document["config"], session), manifests.CONFIG, "image config")
        # Up to v1.8 the platform in the config is compared; later no single image meets any platform.
        compared = self._profile.platform_single_manifest == "config"
        return ImageFacts(
            tag="",
            digest=manifest.digest,
            annotations=document["annotations"],
            created=image_facts.single_created(document["annotations"], config, profile=self._profile),
            platforms=(image_facts.platform(config),) if compared else (),
        )

    def _index(self, manifest: oci.Manifest) -> ImageFacts:
        document = manifests.read(manifest.body, manifests.INDEX, "image index")
        usable = image_facts.children(document)
        if not usable:
            raise UpstreamError("an image index without usable entries is not supported")
        # Up to v1.8 a platform restricts what is fetched; since then it only restricts what is taken.
        chosen = self._platform if self._profile.platform_index == "one-child" else None
        times = [
            image_facts.child_created(child, self._by_digest(child.digest).created, profile=self._profile)
            for child in usable
            if chosen in (None, child.platform.triple)
        ]
        return ImageFacts(
            tag="",
            digest=manifest.digest,
            annotations=document["annotations"],
            created=image_facts.index_created(document["annotations"], times, profile=self._profile),
            platforms=tuple(child.platform for child in usable),
        )


@attrs.frozen
class _Kept:
    """How one repository wants to be talked to, for one login."""

    lean: Lean
    question: Question
    context: Context

    def load(self) -> oci.Opened | None:
        opened: oci.Opened | None = self.lean.known(self.question, self.context)
        return opened

    def store(self, opened: oci.Opened | None) -> None:
        self.lean.keep(self.question, self.context, opened)


class LeanImages(Images):
    """One repository as all Warehouses see it: a tag costs a HEAD, and a manifest is read once (`sources.lean`).

    What a manifest points at is content-addressed, so it is not asked for again; that somebody removed it meanwhile
    goes unnoticed.
    """

    def __init__(self, selector: ImageSelector, context: Context, *, by_tag: bool) -> None:
        self._context = context
        self._whose = (selector.reference.repository, selector.subscription.insecure_skip_tls_verify)
        self._source = context.shared.settings.registry_address(selector.reference.registry)
        super().__init__(selector, context, by_tag=by_tag)
        # Up to v1.8 what an index amounts to depends on the platform that is looked for.
        self._chosen = selector.platform if self._profile.platform_index == "one-child" else None
        self._pointing: Mapping[str, tuple[str, str]] = {}

    @property
    def _lean(self) -> Lean:
        lean = self._context.shared.lean
        assert lean is not None  # noqa: S101 - else nobody would make one of these
        return lean

    def _question(self, kind: str, *rest: object) -> Question:
        return Question(kind=kind, source=self._source, rest=(*self._whose, self._context.credentials, *rest))

    def _sessions(self, context: Context) -> oci.Sessions | None:
        return _Kept(self._lean, self._question("session"), context)

    def tags(self) -> tuple[str, ...]:
        """All tags of the repository, as some Warehouse saw them lately."""
        listing = self._lean.seen(self._question("tags"), self._context, lambda _: self._repository.listing())
        self._pointing = listing.pointing
        return listing.tags

    def _behind(self, tag: str) -> ImageFacts:
        seen = self._lean.seen(
            self._question("manifest-by-tag", tag), self._context, lambda last: self._look(tag, last)
        )
        return self._lean.lasting(self._facts_of(seen), self._context, lambda: self._read(seen))

    def _look(self, tag: str, last: oci.Manifest | None) -> oci.Manifest:
        """What a tag points at; its body is read only if nobody read it before."""
        if last is None:
            return self._noted(*self._repository.manifest(tag))
        if self._pointing.get(tag) == (last.digest, last.media_type):
            self._ledger.record_hit(self._source, "manifest-by-tag")
            return last
        now = self._repository.digest(tag)
        if now is not None and (now.digest, now.media_type) == (last.digest, last.media_type):
            return last
        # It moved, or the registry does not say where to.
        manifest, session = self._repository.manifest_unless(tag, last.etag)
        return last if manifest is None else self._noted(manifest, session)

    def _noted(self, manifest: oci.Manifest, session: oci.Session) -> oci.Manifest:
        facts = self._facts(manifest, session)
        self._lean.keep(self._facts_of(manifest), self._context, facts)
        return attrs.evolve(manifest, body=b"")

    def _read(self, seen: oci.Manifest) -> ImageFacts:
        return self._facts(*self._repository.manifest(seen.digest))

    def _facts_of(self, manifest: oci.Manifest) -> Question:
        return self._question("manifest-by-digest", manifest.media_type, manifest.digest, self._chosen)
