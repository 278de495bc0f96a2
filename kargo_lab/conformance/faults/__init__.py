"""Receivers that are wrong on purpose: what the suite is proved with.

Each fault is a name, a sentence, a source and a small change to the reference. A suite that does not
notice one of them says nothing about receivers that have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kargo_lab.conformance.faults import (
    authenticity,
    discovery,
    endpoint,
    events,
    generic,
    matching,
    names,
    payloads,
    urls,
)
from kargo_lab.conformance.faults.fault import Fault

__all__ = ["FAULTS", "Fault"]

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        fault.name: fault
        for room in (authenticity, events, payloads, matching, names, urls, endpoint, generic, discovery)
        for fault in room.FAULTS
    }
)
"""By name, in the order of the rooms."""
