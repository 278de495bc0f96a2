"""One module per sender, all of one shape: a delivery, a setup and a profile go in, a verdict comes out.

Each module has `TYPE`, `SECRET_KEY` (of the Secret that authenticates or at least seeds the URL), `CHECKS` in Kargo's
order, and `receive`. Which types a Kargo version has is said by its profile: `types`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from kargo_lab.profiles import Profile
from kargo_lab.receivers import (
    artifactory,
    azure,
    bitbucket,
    dockerhub,
    generic,
    gitea,
    github,
    gitlab,
    harbor,
    quay,
)
from kargo_lab.wire import Delivery, Setup, Verdict

Receive = Callable[[Delivery, Setup, Profile], Verdict]

MODULES = (artifactory, azure, bitbucket, dockerhub, generic, gitea, github, gitlab, harbor, quay)

RECEIVERS: Mapping[str, Receive] = MappingProxyType({module.TYPE: module.receive for module in MODULES})

SECRET_KEYS: Mapping[str, str] = MappingProxyType({module.TYPE: module.SECRET_KEY for module in MODULES})


def types(profile: Profile) -> tuple[str, ...]:
    """The receiver types of this version, in the order in which Kargo asks for them."""
    return tuple(name for name in sorted(RECEIVERS) if name in profile.receiver_events)
