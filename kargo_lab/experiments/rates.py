"""How often something is pushed, out of what it left behind: a Git history, the dates of tags, or what a Warehouse
finds.

Only moments go in and a rate comes out, with an interval of confidence: rates from a handful of events are
guesses, and advice that rests on one should say so.
"""

from __future__ import annotations

import itertools
import math
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import attrs

from kargo_lab.engine import rehearsal
from kargo_lab.errors import UsageError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.loading import Resources

DAY = 86400.0
MOST_FOUND = 100  # the largest discoveryLimit that Kargo takes


@attrs.frozen(kw_only=True)
class Rate:
    """Events a day, with the bounds of about 95 % confidence, and how bursty they are.

    `burstiness` compares the spread of the distances with their mean: 0 for a clock, 1 for pure chance, more for
    bursts. The closed forms assume 1.
    """

    per_day: float
    low: float
    high: float
    events: int
    days: float
    burstiness: float


def from_moments(moments: Sequence[datetime]) -> Rate:
    """The rate over the time from the first to the last. Raises UsageError for fewer than three moments."""
    if len(moments) < 3:
        raise UsageError(f"a rate needs at least three events, there are {len(moments)}")
    seconds = sorted(moment.timestamp() for moment in moments)
    days = (seconds[-1] - seconds[0]) / DAY
    if days <= 0:
        raise UsageError("all events carry the same date, which says nothing about a rate")
    distances = [after - before for before, after in itertools.pairwise(seconds)]
    mean = sum(distances) / len(distances)
    spread = math.sqrt(sum((each - mean) ** 2 for each in distances) / len(distances))
    count = len(distances)
    # Poisson: the square root of a count has a standard deviation of about one half.
    low, high = max(0.0, math.sqrt(count) - 0.98) ** 2, (math.sqrt(count + 1) + 0.98) ** 2
    return Rate(
        per_day=count / days, low=low / days, high=high / days, events=len(moments), days=days, burstiness=spread / mean
    )


def together(rates: Sequence[Rate]) -> Rate:
    """Several rates of independent things as one: what happens to any of them."""
    per_day = sum(each.per_day for each in rates)
    down = math.sqrt(sum((each.per_day - each.low) ** 2 for each in rates))
    up = math.sqrt(sum((each.high - each.per_day) ** 2 for each in rates))
    return Rate(
        per_day=per_day,
        low=max(0.0, per_day - down),
        high=per_day + up,
        events=sum(each.events for each in rates),
        days=max(each.days for each in rates),
        burstiness=sum(each.burstiness * each.per_day for each in rates) / per_day,
    )


def from_warehouse(resources: Resources, name: str = "", *, profile: Profile = LATEST) -> Rate:
    """How often one Warehouse has something new, by the dates of what its own subscriptions find now.

    Discovers once, as `kargo-lab discover` does, with a discovery limit of MOST_FOUND: what would be left out is no
    event. `name` may be left out where there is one Warehouse. Raises UsageError where a subscription fails or
    finds fewer than three things with a date; charts have none.
    """
    if not name and len(resources.warehouses) != 1:
        known = ", ".join(each.name for each in resources.warehouses) or "none"
        raise UsageError(f"say which Warehouse to estimate for; there are: {known}")
    widened = tuple(
        attrs.evolve(
            each,
            spec=attrs.evolve(
                each.spec,
                subscriptions=tuple(attrs.evolve(one, discovery_limit=MOST_FOUND) for one in each.spec.subscriptions),
            ),
        )
        for each in resources.warehouses
    )
    asked = rehearsal.rehearse(
        attrs.evolve(resources, warehouses=widened), profile=profile, names=(name,) if name else ()
    )
    found = []
    for each in asked.subscriptions:
        where = f"{each.warehouse}, {each.kind} {each.repo_url}"
        if each.error:
            raise UsageError(f"{where}: {each.error}")
        try:
            found.append(from_moments(each.dates))
        except UsageError as error:
            raise UsageError(f"{where}: {error}; give --events-per-day instead") from None
    return together(found)


def git_moments(repository: str | Path, *, ref: str = "HEAD", tags: bool = False, most: int = 1000) -> list[datetime]:
    """Dates of the newest commits of a ref along first parents, or of all tags, of a local clone."""
    log = ["log", "--first-parent", f"--max-count={most}", "--format=%cI", "--end-of-options", ref]
    listing = [
        "for-each-ref",
        "--sort=-creatordate",
        f"--count={most}",
        "--format=%(creatordate:iso-strict)",
        "refs/tags",
    ]
    words = ["git", "-C", str(repository), *(listing if tags else log)]
    try:
        done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - a list, no shell
    except FileNotFoundError as error:
        raise UsageError("git is not installed here") from error
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", "") or str(error)).strip()
        raise UsageError(f"git cannot read the history of {repository}: {said}") from error
    return [datetime.fromisoformat(line) for line in done.stdout.split()]


def file_moments(path: str | Path) -> list[datetime]:
    """Dates from a file, one ISO 8601 date a line, as `crane` or `skopeo` with `jq` print them for tags."""
    try:
        lines = Path(path).read_text(encoding="utf-8").split()
        moments = [datetime.fromisoformat(line) for line in lines]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: one ISO 8601 date a line is expected: {error}") from error
    return [moment.astimezone() for moment in moments]
