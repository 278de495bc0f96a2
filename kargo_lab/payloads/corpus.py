"""The corpus: deliveries as the platforms send them, one file each, with parameters so that one file serves any test.

Files lie at `<platform>/<event>/<variant>.http`; the defaults of parameters in `parameters.yaml`, for all
platforms and for each. What can be computed from a parameter (the owner from the repository, other
spellings of the time) is not a parameter of its own, though it may be set like one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import attrs
import yaml

from kargo_lab import shipped
from kargo_lab.errors import UsageError
from kargo_lab.payloads import format as format_
from kargo_lab.payloads.format import File, Request, fill

RECEIVERS: Mapping[str, str] = {"forgejo": "gitea", "gogs": "gitea", "registry": "generic"}
PLAIN = "default"  # the variant that is meant when none is named


@attrs.frozen
class Entry:
    """One delivery of the corpus. `says` is what it is, in words; `follows` the documented facts behind it."""

    platform: str
    event: str
    variant: str
    says: str
    follows: str
    path: Path

    @property
    def id(self) -> str:
        """`platform/event/variant`, as cases name it."""
        return f"{self.platform}/{self.event}/{self.variant}"

    @property
    def receiver(self) -> str:
        """The type of receiver that takes this platform's deliveries."""
        return RECEIVERS.get(self.platform, self.platform)


def slug(name: str) -> str:
    """An event's name as its folder is called: `repo:push` and `Push Hook` are `repo-push` and `push-hook`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def entries(platform: str = "", event: str = "") -> tuple[Entry, ...]:
    """All deliveries, or those of a platform or of an event, in the order of their ids."""
    found = []
    root = shipped.folder("payloads")
    for path in sorted(root.glob("*/*/*.http")):
        of_platform, of_event, variant = path.parent.parent.name, path.parent.name, path.stem
        if (platform and platform != of_platform) or (event and slug(event) != of_event):
            continue
        file = _read(path)
        found.append(Entry(of_platform, of_event, variant, file.says, file.notes.get("follows", ""), path))
    return tuple(found)


def load(platform: str, event: str, variant: str = "") -> File:
    """The file of one delivery, parameters still open. Raises UsageError that names what there is."""
    root = shipped.folder("payloads")
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    if platform not in folders:
        raise UsageError(f"the corpus has no platform {platform!r}; it has {', '.join(folders)}")
    events = sorted(path.name for path in (root / platform).iterdir() if path.is_dir())
    # GitLab's own names end in `Hook`; nobody types that.
    chosen = next((name for name in (slug(event), f"{slug(event)}-hook") if name in events), None)
    if chosen is None:
        raise UsageError(f"{platform} has no event {event!r} in the corpus; it has {', '.join(events)}")
    variants = sorted(path.stem for path in (root / platform / chosen).glob("*.http"))
    wanted = variant or (PLAIN if PLAIN in variants else variants[0])
    if wanted not in variants:
        raise UsageError(f"{platform} {chosen} has no variant {wanted!r} in the corpus; it has {', '.join(variants)}")
    return _read(root / platform / chosen / f"{wanted}.http")


def render(platform: str, event: str, variant: str = "", **parameters: object) -> Request:
    """One delivery with its parameters filled in, not signed yet.

    Raises UsageError for a parameter that the delivery does not have: setting it would change nothing.
    """
    file = load(platform, event, variant)
    given = {name: str(value) for name, value in parameters.items()}
    return file.request(values(file, platform, given))


def known_parameters(file: File, platform: str) -> frozenset[str]:
    """The parameters that may be set for a file: those it declares, and those they are made of."""
    root = shipped.folder("payloads")
    return frozenset(_closure(file.parameters, {**_defaults(root), **_defaults(root / platform), **file.settings}))


def values(file: File, platform: str, given: Mapping[str, str]) -> Mapping[str, str]:
    """The values of all parameters of a file: given ones before its own before the platform's before everybody's."""
    root = shipped.folder("payloads")
    chosen = {**_defaults(root), **_defaults(root / platform), **file.settings}
    known = known_parameters(file, platform)
    unknown = sorted(set(given) - known)
    if unknown:
        raise UsageError(f"{file.origin} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    merged = {**chosen, **given}
    merged = {**_derived(merged), **merged}
    return {name: _resolved(name, merged, ()) for name in file.parameters}


_SOURCES: Mapping[str, str] = {  # what each derived value comes from
    "owner": "repository",
    "name": "repository",
    "repository_lower": "repository",
    "digest_hex": "digest",
    "after_short": "after",
    **dict.fromkeys(("time_unix", "time_ms", "time_local", "time_space", "time_basic", "time_nanos", "day"), "time"),
}


def _closure(names: tuple[str, ...], chosen: Mapping[str, str]) -> set[str]:
    """The parameters that have a bearing on the named ones."""
    waiting, known = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in known:
            known.add(name)
            waiting += format_.placeholders(chosen.get(name, ""))
            waiting += [_SOURCES[name]] if name in _SOURCES else []
    return known


def _derived(chosen: Mapping[str, str]) -> dict[str, str]:
    """What the main parameters imply, in the spellings that platforms use."""
    repository = _resolved("repository", chosen, ()) if "repository" in chosen else ""
    owner, _, name = repository.rpartition("/")
    moment = _moment(chosen["time"])
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "owner": owner,
        "name": name,
        "repository_lower": repository.lower(),
        "digest_hex": chosen.get("digest", "").rpartition(":")[2],
        "after_short": chosen.get("after", "")[:7],
        "time_unix": str(int(moment.timestamp())),
        "time_ms": str(int(moment.timestamp() * 1000)),
        "time_local": f"{stamp}+00:00",
        "time_space": moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "time_basic": f"{stamp}+0000",
        "time_nanos": f"{stamp}.123456789Z",
        "day": moment.strftime("%Y-%m-%d"),
    }


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"the time {text!r} is not spelled like 2026-03-14T09:26:53Z") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _resolved(name: str, merged: Mapping[str, str], above: tuple[str, ...]) -> str:
    """A value with the parameters that it names itself filled in."""
    if name in above:
        raise UsageError(f"the parameters {', '.join((*above, name))} need one another")
    if name not in merged:
        raise UsageError(f"the parameter {name!r} has no value; set it")
    text = merged[name]
    inner = {other: _resolved(other, merged, (*above, name)) for other in format_.placeholders(text)}
    return fill(text, inner)


@cache
def _defaults(folder: Path) -> Mapping[str, str]:
    path = folder / "parameters.yaml"
    if not path.is_file():
        return {}
    # BaseLoader keeps every value as it is spelled: times and numbers are texts here.
    return dict(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader) or {})  # noqa: S506 - builds nothing but text


def _read(path: Path) -> File:
    return format_.parse(path.read_bytes(), str(path))
