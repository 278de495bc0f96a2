"""What Kargo's admission webhooks refuse although each file is right: other objects or the operator stand against it.

The loader refuses what is wrong in itself; here a manifest meets what is applied with it and what is stored.
Each misfit names its object where one of the loader's names a file. Sources: discovery.md 3.8, 7.6 (WHF:163-289,
WHF:394-568, SI:187-201).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from kargo_lab.engine import freight as pieces
from kargo_lab.errors import Misfit
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.pipeline import Freight
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription, Warehouse

Source = tuple[str, str]
"""The member of Freight that holds a kind of artifacts, and the URL by which they are told apart."""


def misfits(
    resources: Resources,
    stored: Callable[[str], Mapping[str, Freight]],
    *,
    cache_by_tag_policy: str = "Allow",
    profile: Profile = LATEST,
) -> list[Misfit]:
    """All that admission refuses, in the order of the objects; `stored` gives a namespace's Freight by name."""
    policy = cache_by_tag_policy if profile.cache_by_tag else "Allow"
    refused = [each for warehouse in resources.warehouses for each in _uncached(warehouse, policy)]
    warehouses = {(each.namespace, each.name): each for each in resources.warehouses}
    aliases: dict[tuple[str, str], str] = {}
    for piece in resources.freight:
        known, name = stored(piece.namespace), pieces.freight_name(piece, profile=profile)
        if piece.name in known:
            name, found = piece.name, list(_edits(known[piece.name], piece))
        elif name in known:
            continue  # applied before, under whichever name it was written
        else:
            found = list(_creation(piece, warehouses.get((piece.namespace, piece.origin.name)), profile))
        owner = aliases.setdefault((piece.namespace, piece.alias), name)
        taken = any(each.alias == piece.alias and each.name != name for each in known.values())
        if piece.alias and (taken or owner != name):
            found.append(("alias", f"{piece.alias!r} is taken by other Freight of the namespace"))
        refused += (Misfit(f"Freight {piece.key}", 0, member, text) for member, text in found)
    return refused


def _uncached(warehouse: Warehouse, policy: str) -> Iterator[Misfit]:
    """Under Require every image subscription opts in, but for Digest, which then fails its discoveries (3.8)."""
    for index, each in enumerate(warehouse.spec.subscriptions):
        if (
            policy == "Require"
            and isinstance(each, ImageSubscription)
            and each.image_selection_strategy != "Digest"
            and not each.cache_by_tag
        ):
            path = f"spec.subscriptions[{index}].image.cacheByTag"
            text = "must be true where the operator's cache policy is Require"
            yield Misfit(f"Warehouse {warehouse.key}", 0, path, text)


def _creation(piece: Freight, warehouse: Warehouse | None, profile: Profile) -> Iterator[tuple[str, str]]:
    """Some artifact, a Warehouse, and exactly one artifact for each thing that it subscribes to."""
    if not (piece.commits or piece.images or piece.charts or piece.artifacts):
        yield "", "has no artifact"
    if warehouse is None:
        yield "origin", f"{piece.origin.key} does not exist"
        return
    wanted = dict.fromkeys(_subscribed(warehouse, profile))  # twins count once
    given = Counter(_artifacts(piece, profile))
    for member, url in (source for source in given if source not in wanted):
        yield member, f"Warehouse {warehouse.name} does not subscribe to {url}"
    for member, url in wanted:
        if given[member, url] != 1:
            count = given[member, url] or "none"
            yield member, f"expected one of {url}, to which Warehouse {warehouse.name} subscribes; found {count}"


def _subscribed(warehouse: Warehouse, profile: Profile) -> Iterator[Source]:
    for each in warehouse.spec.subscriptions:
        if isinstance(each, GitSubscription):
            yield "commits", pieces.git_url(each.repo_url, profile=profile)
        elif isinstance(each, ImageSubscription):
            yield "images", each.repo_url  # images go by their exact text
        elif isinstance(each, ChartSubscription):  # what generic subscriptions find is not checked
            yield "charts", pieces.chart_path(each.repo_url, each.chart_name, profile=profile)


def _artifacts(piece: Freight, profile: Profile) -> Iterator[Source]:
    yield from (("commits", pieces.git_url(each.repo_url, profile=profile)) for each in piece.commits)
    yield from (("images", each.repo_url) for each in piece.images)
    yield from (("charts", pieces.chart_path(each.repo_url, each.name, profile=profile)) for each in piece.charts)


def _edits(before: Freight, after: Freight) -> Iterator[tuple[str, str]]:
    """Freight keeps its origin and its artifacts, those that its name does not hash included."""
    for member in ("origin", "commits", "images", "charts", "artifacts"):
        if getattr(before, member) != getattr(after, member):
            yield member, "Freight is immutable; under another name it is another piece"
