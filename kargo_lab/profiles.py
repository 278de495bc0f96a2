"""What each Kargo minor version does differently, as data.

A profile is a frozen row of switches; code asks `profile.<switch>`, never for a version. The
rows are written out so that a difference between two releases is one line to look at.
`recommended` is not a Kargo version: it is the better behaviour where Kargo's would hurt somebody.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs


@attrs.frozen(kw_only=True)
class Profile:
    """The switches. Every default is the behaviour of `latest`; the rows below say where others differ."""

    name: str


LATEST = Profile(name="latest")

PROFILES: Mapping[str, Profile] = MappingProxyType({"latest": LATEST})
