"""Freight: what a piece is made of, what it is called, and which of several is the newest.

The name is the identity: two pieces of the same Warehouse with the same artifacts have one name, and
that collision is all that keeps Kargo from creating the second (discovery.md 7.2, 7.3). Pure; the
store draws aliases and keeps the pieces.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable
from random import Random

from kargo_lab.errors import LabError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.artifacts import DiscoveredArtifacts
from kargo_lab.resources.pipeline import (
    Freight,
    FreightArtifact,
    FreightChart,
    FreightCommit,
    FreightImage,
    Origin,
)
from kargo_lab.rules import urls


class FreightBuildError(LabError):
    """A result without entries stood where automatic Freight needs one."""


ALIAS_LABEL = "kargo.akuity.io/alias"
NO_ORIGIN = Origin(kind="", name="")


def build(found: DiscoveredArtifacts, *, profile: Profile = LATEST) -> Freight:
    """Freight of the best of each result; no name, no origin yet. An empty result raises FreightBuildError."""
    named = profile.subscription_names
    for kind, results in (("commits", found.git), ("images", found.images), ("versions", found.charts)):
        for each in results:
            if not getattr(each, {"images": "references"}.get(kind, kind)):
                raise FreightBuildError(f"no {kind} discovered for repository {each.repo_url!r}")
    for generic in found.results:
        if not generic.references:
            raise FreightBuildError(f"no artifacts discovered for subscription {generic.name!r}")
    return Freight(
        namespace="",
        name="",
        origin=NO_ORIGIN,
        commits=tuple(
            FreightCommit(
                repo_url=each.repo_url,
                id=each.commits[0].id,
                branch=each.commits[0].branch,
                tag=each.commits[0].tag,
                message=each.commits[0].subject,
                author=each.commits[0].author,
                committer=each.commits[0].committer,
                subscription_name=each.subscription_name if named else "",
            )
            for each in found.git
        ),
        images=tuple(
            FreightImage(
                repo_url=each.repo_url,
                tag=each.references[0].tag,
                digest=each.references[0].digest,
                annotations=each.references[0].annotations,
                subscription_name=each.subscription_name if named else "",
            )
            for each in found.images
        ),
        charts=tuple(
            FreightChart(
                repo_url=each.repo_url,
                name=each.name,
                version=each.versions[0],
                subscription_name=each.subscription_name if named else "",
            )
            for each in found.charts
        ),
        artifacts=tuple(
            FreightArtifact(
                artifact_type=each.references[0].artifact_type,
                subscription_name=each.references[0].subscription_name,
                version=each.references[0].version,
                metadata=dict(each.references[0].metadata) or None,
            )
            for each in found.results
        ),
    )


def hashed_text(freight: Freight, *, profile: Profile = LATEST) -> str:
    """The text whose SHA-1 is the name (AF:20-108). Without an origin it begins with `/:`."""
    parts = [
        *(f"{_git_source(each, profile)}:{each.id}" + _suffix(each, profile) for each in freight.commits),
        *(f"{each.repo_url}:{each.tag}@{each.digest}" + _suffix(each, profile) for each in freight.images),
        *(
            f"{chart_path(each.repo_url, each.name, profile=profile)}:{each.version}" + _suffix(each, profile)
            for each in freight.charts
        ),
        *(f"{each.artifact_type}:{each.subscription_name}:{each.version}" for each in freight.artifacts),
    ]
    parts.sort(key=lambda part: part.encode(errors="surrogatepass"))
    return f"{freight.origin.key}:{'|'.join(parts)}"


def freight_name(freight: Freight, *, profile: Profile = LATEST) -> str:
    """The name that the artifacts and the origin give: lower-case hex SHA-1."""
    return _sha1(hashed_text(freight, profile=profile))


def collection_id(names: Iterable[str]) -> str:
    """The ID of several Freight together: SHA-1 over the names, sorted and joined by commas (ST:638-651)."""
    return _sha1(",".join(sorted(names)))


def newest(freight: Iterable[Freight], *, profile: Profile = LATEST) -> Freight | None:
    """The newest by discovery (before v1.11: by creation), ties by name; None of none."""
    return max(freight, key=lambda each: order_key(each, profile=profile), default=None)


def order_key(freight: Freight, *, profile: Profile = LATEST) -> tuple[str, str]:
    """Sorts Freight from old to new: times are texts in whole seconds of UTC, which sort as they read."""
    found = freight.discovered_at if profile.freight_discovered_at else ""
    return found or freight.created_at, freight.name


_ADJECTIVE_WORDS = (
    "amber bold brisk calm clear coral crisp dapper eager early fair fleet fond gentle glad golden happy hardy "
    "humble jolly keen kind lively lucky mellow merry mild neat nimble noble patient plucky polite proud quick "
    "quiet rapid ready rosy silent silver sleek smooth snug solid spry steady sunny swift tidy trusty vivid warm "
    "witty zesty"
)
_NOUN_WORDS = (
    "anchor badger barge beacon bear bison buoy canal clipper cog compass condor crane crate dock dolphin dory "
    "eagle falcon ferry finch frigate galleon gannet harbor heron ibis island jetty kayak keel lagoon lantern "
    "lark lynx marlin mast osprey otter pelican petrel pier plover puffin quay raven reef rudder sail schooner "
    "seal skiff sloop stork swan tern tide tug walrus wharf whale"
)
_ADJECTIVES, _NOUNS = _ADJECTIVE_WORDS.split(), _NOUN_WORDS.split()


def alias(random: Random) -> str:
    """Two words joined by a hyphen; whoever stores it draws again until it is free (WHA:12-33)."""
    return f"{random.choice(_ADJECTIVES)}-{random.choice(_NOUNS)}"


def crowded_alias(random: Random) -> str:
    """A longer alias, for a store that holds so many pieces that two words hardly suffice."""
    return f"{alias(random)}-{random.randrange(1_000_000)}"


def _git_source(commit: FreightCommit, profile: Profile) -> str:
    url = git_url(commit.repo_url, profile=profile)
    return f"{url}:{commit.tag}" if commit.tag else url


def _suffix(each: FreightCommit | FreightImage | FreightChart, profile: Profile) -> str:
    return f":{each.subscription_name}" if profile.subscription_names and each.subscription_name else ""


def git_url(repo_url: str, *, profile: Profile = LATEST) -> str:
    """A repository's URL as Freight hashes and compares it."""
    return _normal(urls.normalize_git, repo_url, profile)


def chart_path(repo_url: str, name: str, *, profile: Profile = LATEST) -> str:
    """A chart's URL and name as Freight hashes and compares them.

    Go's path.Join: what is empty takes no part, the rest is cleaned, so `https://` loses a slash.
    """
    joined = "/".join(part for part in (_normal(urls.normalize_chart, repo_url, profile), name) if part)
    if not joined:
        return ""
    cleaned = posixpath.normpath(joined)
    return cleaned[1:] if cleaned.startswith("//") else cleaned  # POSIX keeps two leading slashes, Go does not


_normalised: dict[tuple[str, str, str], str] = {}
_MOST_NORMALISED = 10_000


def _normal(normalise: Callable[..., str], text: str, profile: Profile) -> str:
    """A URL in normal form, remembered: each pass over each Warehouse names its Freight anew."""
    key = (normalise.__name__, text, profile.name)
    if key not in _normalised:
        if len(_normalised) >= _MOST_NORMALISED:
            _normalised.clear()
        _normalised[key] = normalise(text, profile=profile)
    return _normalised[key]


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
