"""A receiver that is wrong on purpose: the reference with one small change, and how the change is made.

There are four places to change something: the switches of a profile, the receiver of a type, the
endpoint in front, and a function of a lower room. The last is replaced by its dotted name and put back
afterwards; so one process runs one fault at a time, and a fresh process each.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any
from unittest import mock

import attrs

from kargo_lab import profiles
from kargo_lab.conformance.targets.reference import Reference
from kargo_lab.engine.lab import Lab
from kargo_lab.receivers import RECEIVERS

Change = Callable[[Any], Any]
"""Takes what is right and gives what is wrong."""


@attrs.frozen(kw_only=True)
class Fault:
    """One named fault. `touches` are patterns of the cases that can notice it; none means any.

    `receivers` changes the receive function of a type (`*`: of all); `replaced` changes what is found
    at `module:attribute`.
    """

    name: str
    says: str
    source: str
    touches: tuple[str, ...] = ()
    profile: str = "latest"
    switches: Mapping[str, Any] = attrs.field(factory=dict)
    receivers: Mapping[str, Change] = attrs.field(factory=dict)
    endpoint: Change | None = None
    replaced: Mapping[str, Change] = attrs.field(factory=dict)

    @contextmanager
    def target(self) -> Iterator[Reference]:
        """The reference with this fault, in process; everything is right again afterwards."""
        with ExitStack() as stack:
            for place, change in self.replaced.items():
                owner, name = _found(place)
                stack.enter_context(mock.patch.object(owner, name, change(getattr(owner, name))))
            row = attrs.evolve(profiles.get(self.profile), **self.switches)
            target = Reference(
                self.profile,
                row=row,
                application=self.endpoint or (lambda webhook: webhook),
                lab=partial(Lab, receivers=self._receivers()),
            )
            stack.callback(target.close)
            yield target

    def _receivers(self) -> Mapping[str, Any]:
        for_all = self.receivers.get("*", lambda receive: receive)
        return MappingProxyType(
            {kind: self.receivers.get(kind, for_all)(receive) for kind, receive in RECEIVERS.items()}
        )


def _found(place: str) -> tuple[Any, str]:
    """`package.module:Class.attribute` -> the owner and the last name."""
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    return owner, name
