"""What discovery is given beside the subscription, and what all discoveries of a process share."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import attrs

from kargo_lab.engine.clock import Clock
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.artifacts import CommitDiscovery
from kargo_lab.selection.images import CACHE_POLICIES, ImageFacts, ImageSelector
from kargo_lab.selection.reasons import Reason
from kargo_lab.sources.connections import Connections
from kargo_lab.sources.credentials import NO_CREDENTIALS, Credentials
from kargo_lab.sources.lean import Lean
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.limits import CACHE_ENTRIES, DOCKER_HUB, Cache, Limiters

MOST_SELECTORS = 50_000
Selector = TypeVar("Selector")
Witness = Callable[[str, Reason], None]
BEYOND_LIMIT = Reason(accepted=False, rule="limit", text="as many as discoveryLimit allows come before it")
TAKEN = Reason(accepted=True, rule="taken", text="taken")
_LIFE_SECONDS = 30 * 60.0  # of the image caches up to v1.8


@attrs.frozen(kw_only=True)
class OperatorSettings:
    """What an operator of Kargo sets in the controller's environment (discovery.md 1.7).

    Defaults are the code's. The chart that installs Kargo sets `minimum_interval_seconds` to 300.
    `registry_aliases` is the lab's own: a registry's name to the address where a stand-in for it answers, as
    `{"docker.io": "127.0.0.1:5000"}`. Docker Hub's payloads name no host, so without an alias nobody could try them
    without Docker Hub. So is `lean`, which no Kargo has: see `sources.lean`.
    """

    minimum_interval_seconds: float = 0.0
    concurrent_reconciles: int = 4
    shard: str = ""
    default_controller: bool = True
    cache_by_tag_policy: str = attrs.field(default="Allow", validator=attrs.validators.in_(CACHE_POLICIES))
    image_cache_entries: int = CACHE_ENTRIES
    registry_rate_limit: float | None = None  # requests a second; None takes the profile's
    allow_credentials_over_http: bool = False
    shared_namespace: str = ""
    registry_aliases: Mapping[str, str] = attrs.field(factory=dict)
    lean: bool = False
    lean_window_seconds: float = 30.0

    def registry_address(self, registry: str) -> str:
        """Where a registry answers: at its own name, or at that of its stand-in."""
        names = DOCKER_HUB if registry in DOCKER_HUB else (registry,)
        return next((self.registry_aliases[name] for name in names if name in self.registry_aliases), registry)


class Shared:
    """Limiters, the image cache and the ledger: one object a process, as Kargo's package variables are.

    `environment` is what git is given beside its own few variables: PATH, and proxies.
    `workers` is how many tags NewestBuild looks at at once; `image_life_seconds` follows the profile.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        profile: Profile = LATEST,
        settings: OperatorSettings | None = None,
        environment: Mapping[str, str] | None = None,
        workers: int = 8,
    ) -> None:
        self.ledger, self.profile, self.settings = ledger, profile, settings or OperatorSettings()
        self.environment, self.workers = dict(environment or {}), workers
        self.lean = Lean(window_seconds=self.settings.lean_window_seconds) if self.settings.lean else None
        self.limiters = Limiters(profile, per_second=self.settings.registry_rate_limit)
        self._lock = threading.Lock()
        self._selectors: dict[Hashable, Any] = {}
        self._shortlists: dict[int, tuple[ImageSelector, tuple[str, ...], tuple[str, ...]]] = {}
        self._caches: dict[str, Cache[ImageFacts]] = {}

    def selector(self, subscription: Hashable, build: Callable[[Any, Profile], Selector]) -> Selector:
        """The selector of a subscription, built once: it follows from the subscription and the profile alone.

        Kargo builds one in each pass; that costs nothing outside the process, so nobody can tell.
        """
        held = self._selectors.get(subscription)
        if held is None:
            held = build(subscription, self.profile)
            if len(self._selectors) >= MOST_SELECTORS:
                self._selectors.clear()
            self._selectors[subscription] = held
        return held

    def shortlist(self, selector: ImageSelector, listed: tuple[str, ...]) -> tuple[str, ...]:
        """What the selector makes of a listing; worked out once for as long as the listing is the same."""
        held = self._shortlists.get(id(selector))
        if held is None or held[0] is not selector or held[1] != listed:
            if len(self._shortlists) >= MOST_SELECTORS:
                self._shortlists.clear()
            held = self._shortlists[id(selector)] = (selector, listed, selector.shortlist(listed))
        return held[2]

    def image_cache(self, registry: str) -> Cache[ImageFacts]:
        """The cache of image facts: one for the process since v1.9, one a registry before."""
        one = self.profile.image_cache == "process-lru"
        with self._lock:
            return self._caches.setdefault(
                "" if one else registry,
                Cache(self.settings.image_cache_entries, life_seconds=0.0 if one else _LIFE_SECONDS),
            )

    @property
    def connections(self) -> Connections | None:
        """Connections to use again; None where each request has its own, as in Kargo."""
        return None if self.lean is None else self.lean.connections

    @property
    def proxies(self) -> dict[str, str]:
        """Proxies by URL scheme, from the environment that was handed in."""
        found = ((name, self.environment.get(f"{name}_proxy", "")) for name in ("http", "https"))
        return {name: value for name, value in found if value}

    def proxies_for(self, host: str) -> dict[str, str]:
        """The proxies for a host, none where `no_proxy` names it."""
        bare = re.sub(r":\d+$", "", host)
        for entry in self.environment.get("no_proxy", "").split(","):
            name = entry.strip().lstrip(".")
            if name and (name == "*" or bare == name or bare.endswith(f".{name}")):
                return {}
        return {} if bare in ("localhost", "127.0.0.1", "[::1]") else self.proxies


@attrs.frozen(kw_only=True)
class Context:
    """One discovery of one subscription: for whom, by which clock, with which credentials.

    `previous` is the last result for this very git subscription, None if it may not be reused.
    A `witness` is told of every tag, commit or version that was looked at, and why it was taken or left.
    """

    shared: Shared
    clock: Clock
    warehouse: str = ""
    subscription: int = -1
    credentials: Credentials = NO_CREDENTIALS
    previous: CommitDiscovery | None = None
    witness: Witness | None = None

    @property
    def profile(self) -> Profile:
        """The profile that the process runs as."""
        return self.shared.profile

    @property
    def ledger(self) -> Ledger:
        """Where requests are written down."""
        return self.shared.ledger
