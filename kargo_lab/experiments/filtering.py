"""The filters' scorecard: which deliveries made a Warehouse discover, and which of those were needed.

Every push is real, into the embedded platforms, and their own hook tells the reference over a socket.
*Triggered* is what the record of the delivery says was refreshed. *Needed* is whether discovery, asked directly
before and after the push, would now take something else. So a Warehouse that was triggered in vain is waste, and
one that was needed and not triggered waits for its interval.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import attrs
import pandas as pd

from kargo_lab import profiles
from kargo_lab.engine import rehearsal
from kargo_lab.experiments import record
from kargo_lab.experiments.place import Place
from kargo_lab.profiles import Profile
from kargo_lab.resources.loading import Resources
from kargo_lab.testbed import PROJECT, Testbed

ROW_COLUMNS = ("profile", "platform", "push", "strategy", "triggered", "needed")
CARD_COLUMNS = (
    "profile",
    "platform",
    "strategy",
    "pushes",
    "triggered_needed",
    "wasted",
    "missed",
    "left_alone",
    "precision",
    "recall",
)
PLATFORMS = (("quay", "github"), ("ghcr", "gitlab"))
IMAGES, CONFIG = "team/app", "team/config"
DELIVERY_SECONDS, LOOK_SECONDS = 3.0, 0.004
# How long nothing has to come for everything to have come: some senders tell about one push in several deliveries.
QUIET_SECONDS: Mapping[str, float] = MappingProxyType({"embedded": 0.04, "process": 0.2, "container": 0.2})
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

Push = Callable[[Testbed, datetime], Any]
IMAGE_PUSHES: Mapping[str, Push] = {
    f"image {tag}": lambda bed, when, tag=tag: bed.registry.push_image(IMAGES, tag, created=when)  # type: ignore[misc]
    for tag in ("1.1.0", "2.0.0", "build-7", "nightly-2", "latest", "0.9.0", "dev-1")
}
GIT_PUSHES: Mapping[str, Push] = {
    "main, README": lambda bed, when: bed.git.commit(CONFIG, {"README.md": str(when)}, when=when),
    "main, apps/web": lambda bed, when: bed.git.commit(CONFIG, {"apps/web/a.yaml": str(when)}, when=when),
    "branch dev": lambda bed, when: bed.git.commit(CONFIG, {"x": str(when)}, branch="dev", when=when),
    "tag v1.1.0": lambda bed, when: bed.git.tag(CONFIG, "v1.1.0", when=when),
    "tag v2.0.0": lambda bed, when: bed.git.tag(CONFIG, "v2.0.0", when=when),
    "tag snapshot": lambda bed, when: bed.git.tag(CONFIG, "snapshot", when=when),
}


def image_strategies(profile: Profile) -> dict[str, dict[str, Any]]:
    """Subscriptions by name, in the words of that version."""
    constraint = "semverConstraint" if profile.image_constraint_field == "semverConstraint" else "constraint"
    return {
        "image SemVer": {"imageSelectionStrategy": "SemVer", constraint: "^1.0.0"},
        "image NewestBuild": {"imageSelectionStrategy": "NewestBuild", **_tags("^build-", profile)},
        "image Lexical": {"imageSelectionStrategy": "Lexical", **_tags("^nightly-", profile)},
        "image Digest": {"imageSelectionStrategy": "Digest", constraint: "latest"},
    }


def git_strategies(profile: Profile) -> dict[str, dict[str, Any]]:
    """As `image_strategies`, for repositories of Git."""
    return {
        "git branch": {"commitSelectionStrategy": "NewestFromBranch", "branch": "main"},
        "git branch, paths": {
            "commitSelectionStrategy": "NewestFromBranch",
            "branch": "main",
            "includePaths": ["apps/web"],
        },
        "git SemVer": {"commitSelectionStrategy": "SemVer", "semverConstraint": "^1.0.0"},
        "git NewestTag": {"commitSelectionStrategy": "NewestTag", **_tags("^v", profile)},
    }


def _tags(pattern: str, profile: Profile) -> dict[str, Any]:
    return {"allowTagsRegexes": [pattern]} if profile.tag_regex_lists else {"allowTags": pattern}


@attrs.frozen(kw_only=True)
class Filtering:
    """`rows` has one row a push, strategy, platform and profile (`ROW_COLUMNS`); `made` says how to make it again."""

    rows: pd.DataFrame
    made: dict[str, str]

    def scorecard(self) -> pd.DataFrame:
        """The confusion table of each profile, platform and strategy, columns `CARD_COLUMNS`.

        Precision is the share of triggered discoveries that were needed, recall the share of needed ones that
        were triggered; NaN where there were none.
        """
        cards = []
        for keys, rows in self.rows.groupby(["profile", "platform", "strategy"], sort=False):
            triggered, needed = rows["triggered"], rows["needed"]
            both, wasted = int((triggered & needed).sum()), int((triggered & ~needed).sum())
            missed, left = int((~triggered & needed).sum()), int((~triggered & ~needed).sum())
            precision = both / (both + wasted) if both + wasted else float("nan")
            recall = both / (both + missed) if both + missed else float("nan")
            cards.append((*keys, len(rows), both, wasted, missed, left, precision, recall))
        return pd.DataFrame(cards, columns=list(CARD_COLUMNS))

    def by_profile(self) -> pd.DataFrame:
        """The same, added up for each profile."""
        card = self.scorecard()
        return card.groupby("profile", sort=False)[
            ["pushes", "triggered_needed", "wasted", "missed", "left_alone"]
        ].sum()


def measure(
    *,
    profile_names: Sequence[str] = ("v1.6", "v1.7", "latest"),
    platforms: Sequence[tuple[str, str]] = PLATFORMS,
    backend: str = "embedded",
    seed: int = 7,
) -> Filtering:
    """Push the same things under each profile to each pair of registry and Git host.

    `backend` is that of the registry; one that is not embedded has a persona of its own.
    """
    rows: list[tuple[object, ...]] = []
    needed: dict[tuple[str, str], bool] = {}
    for registry, git in platforms:
        # What is needed follows from the push and the subscription, so it is asked once: by the newest profile.
        for name in dict.fromkeys((profile_names[-1], *profile_names)):
            place = Place(registry=registry, git=git, backend=backend)
            with place.testbed(profile=name, interval="24h", seed=seed) as bed:
                found = _card(bed, profiles.get(name), needed)
                names = bed.personas
            rows += [(name, names["registry" if str(row[1]).startswith("image") else "git"], *row) for row in found]
    frame = pd.DataFrame(rows, columns=list(ROW_COLUMNS))
    order = {name: place for place, name in enumerate(profile_names)}
    frame = frame.sort_values("profile", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    asked = f"profile_names={tuple(profile_names)}, platforms={tuple(platforms)}, backend={backend!r}, seed={seed}"
    command = f"kargo_lab.experiments.filtering.measure({asked})"
    return Filtering(rows=frame, made=record.made(command, seed))


def _card(bed: Testbed, profile: Profile, needed: dict[tuple[str, str], bool]) -> list[tuple[object, ...]]:
    """Push, strategy, triggered and needed, for every push and every strategy of its kind."""
    _begin(bed, profile)
    found: list[tuple[object, ...]] = []
    for pushes, strategies in ((IMAGE_PUSHES, image_strategies(profile)), (GIT_PUSHES, git_strategies(profile))):
        names = {_warehouse(strategy): strategy for strategy in strategies}
        ask = not all((push, strategy) in needed for push in pushes for strategy in strategies)
        before = _best(bed, profile, names) if ask else {}
        for number, (push, act) in enumerate(pushes.items(), 1):
            refreshed = _told(bed, lambda act=act, number=number: act(bed, BEGAN + timedelta(hours=number)))  # type: ignore[misc]
            if ask:
                after = _best(bed, profile, names)
                needed.update({(push, strategy): before[name] != after[name] for name, strategy in names.items()})
                before = after
            found += [
                (push, strategy, f"{PROJECT}/{name}" in refreshed, needed[push, strategy])
                for name, strategy in names.items()
            ]
    return found


def _begin(bed: Testbed, profile: Profile) -> None:
    for tag in ("1.0.0", "build-1", "nightly-1", "latest"):
        bed.registry.push_image(IMAGES, tag, created=BEGAN, content=f"the first {tag}")
    bed.git.create_repository(CONFIG)
    bed.git.commit(CONFIG, {"README.md": "first", "apps/web/a.yaml": "first"}, when=BEGAN)
    bed.git.tag(CONFIG, "v1.0.0", when=BEGAN)
    for strategy, settings in image_strategies(profile).items():
        bed.watch(_warehouse(strategy), bed.image(IMAGES, **settings))
    for strategy, settings in git_strategies(profile).items():
        bed.watch(_warehouse(strategy), bed.commits(CONFIG, **settings))
    bed.install_hooks()
    _until_quiet(bed)


def _warehouse(strategy: str) -> str:
    return strategy.lower().replace(",", "").replace(" ", "-")


def _told(bed: Testbed, act: Callable[[], Any]) -> set[str]:
    """What the deliveries of one push refreshed."""
    before = len(bed.lab.store.deliveries())
    act()
    began = time.monotonic()
    while len(bed.lab.store.deliveries()) == before and time.monotonic() - began < DELIVERY_SECONDS:
        time.sleep(LOOK_SECONDS)
    _until_quiet(bed)
    return {key for record in bed.lab.store.deliveries()[before:] for key in record.refreshed}


def _until_quiet(bed: Testbed) -> None:
    """Return when no delivery has come for a while."""
    known, since = len(bed.lab.store.deliveries()), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS[bed.backend]:
        time.sleep(LOOK_SECONDS)
        if (many := len(bed.lab.store.deliveries())) != known:
            known, since = many, time.monotonic()


def _best(bed: Testbed, profile: Profile, names: Mapping[str, str]) -> dict[str, str]:
    """What each Warehouse would put into Freight now."""
    warehouses = tuple(each for each in bed.lab.objects.warehouses() if each.name in names)
    asked = rehearsal.rehearse(Resources(warehouses=warehouses), profile=profile, environment=dict(os.environ))
    return {each.warehouse.rpartition("/")[2]: (each.found[0] if each.found else "") for each in asked.subscriptions}
