"""kargo-lab: a testbed and conformance suite for webhook receivers that trigger artifact discovery.

The public names are those of `__all__`; what is not listed is private. They are imported when they are first
asked for: whoever wants one rule must not pay for a web framework.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kargo_lab.engine.clock import VirtualClock, WallClock
    from kargo_lab.engine.lab import Lab
    from kargo_lab.errors import LabError, ManifestError
    from kargo_lab.profiles import PROFILES, Profile
    from kargo_lab.receivers import RECEIVERS
    from kargo_lab.testbed import Testbed
    from kargo_lab.wire import Delivery, Setup, Verdict

__all__ = [
    "PROFILES",
    "RECEIVERS",
    "Delivery",
    "Lab",
    "LabError",
    "ManifestError",
    "Profile",
    "Setup",
    "Testbed",
    "Verdict",
    "VirtualClock",
    "WallClock",
]

_ROOMS = {
    "PROFILES": "profiles",
    "RECEIVERS": "receivers",
    "Delivery": "wire",
    "Lab": "engine.lab",
    "LabError": "errors",
    "ManifestError": "errors",
    "Profile": "profiles",
    "Setup": "wire",
    "Testbed": "testbed",
    "Verdict": "wire",
    "VirtualClock": "engine.clock",
    "WallClock": "engine.clock",
}


# A library logs and lets its user decide; without this, Python would print warnings to the terminal.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"kargo_lab has no public name {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"kargo_lab.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
