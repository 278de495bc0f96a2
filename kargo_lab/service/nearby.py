"""Discovery that asks sources on this machine and leaves the rest of the world alone.

For judging a server whose Warehouses name repositories of strangers, and for rooms without a network: what is
elsewhere has nothing in it, at no cost, where a request would at best find nothing after a timeout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from kargo_lab.engine.discovery import NETWORK, Discover
from kargo_lab.resources.artifacts import ChartDiscovery, CommitDiscovery, ImageDiscovery

_NEAR = re.compile(r"(?:[a-z+]+://)?(?:[^/@]*@)?(?:127(?:\.\d+){3}|localhost|\[::1\])(?::\d+)?(?:/|$)", re.IGNORECASE)
_NOTHING: Mapping[str, Callable[[str], Any]] = {
    "git": lambda url: CommitDiscovery(repo_url=url),
    "image": lambda url: ImageDiscovery(repo_url=url),
    "chart": lambda url: ChartDiscovery(repo_url=url),
}


def is_near(repo_url: str) -> bool:
    """Whether a repository's address, in any of its forms, is on this machine."""
    return _NEAR.match(repo_url.strip()) is not None


def _near(kind: str) -> Discover:
    def discover(subscription: Any, context: Any) -> Any:
        if is_near(subscription.repo_url):
            return NETWORK[kind](subscription, context)
        return _NOTHING[kind](subscription.repo_url)

    return discover


LOOPBACK: Mapping[str, Discover] = MappingProxyType({kind: _near(kind) for kind in NETWORK})
