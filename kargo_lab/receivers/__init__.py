"""One module per sender, all of one shape: a delivery, a setup and a profile go in, a verdict comes out.

Each module has `TYPE`, `SECRET_KEY` (of the Secret that authenticates or at least seeds the URL), `CHECKS` in
Kargo's order, `begin`, which prepares what they look at, and `receive`. Which types a Kargo version has is said by
its profile: `types`. Who wants to know which check decided asks `trace`.
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
from kargo_lab.receivers.examination import Step
from kargo_lab.receivers.examination import trace as trace_checks
from kargo_lab.wire import Delivery, Setup, Verdict

Receive = Callable[[Delivery, Setup, Profile], Verdict]

MODULES = (artifactory, azure, bitbucket, dockerhub, generic, gitea, github, gitlab, harbor, quay)

RECEIVERS: Mapping[str, Receive] = MappingProxyType({module.TYPE: module.receive for module in MODULES})

_BY_TYPE = {module.TYPE: module for module in MODULES}

SECRET_KEYS: Mapping[str, str] = MappingProxyType({module.TYPE: module.SECRET_KEY for module in MODULES})


def types(profile: Profile) -> tuple[str, ...]:
    """The receiver types of this version, in the order in which Kargo asks for them."""
    return tuple(name for name in sorted(RECEIVERS) if name in profile.receiver_events)


def trace(receiver_type: str, delivery: Delivery, setup: Setup, profile: Profile) -> tuple[Step, ...]:
    """The checks that a delivery went through, the last of which decided."""
    module = _BY_TYPE[receiver_type]
    return trace_checks(module.CHECKS, module.begin(delivery, setup, profile))
