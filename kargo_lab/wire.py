"""What a request is, and what a receiver may conclude from it, free of any web framework.

Receivers are pure: a `Delivery` and a `Setup` go in, a `Verdict` comes out. The service turns a
verdict into Warehouses (by `matching`) and into an HTTP answer; nothing else looks at the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs


def _lowered(pairs: Iterable[tuple[str, str]] | Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    # Go's server trims optional white space around values; so does every receiver behind it.
    return tuple((name.lower(), value.strip(" \t")) for name, value in items)


@attrs.frozen(kw_only=True)
class Delivery:
    """One inbound request, after routing.

    `headers` are pairs in the order of arrival, names lower-case; a mapping is taken too.
    `body` is raw: signatures cover these bytes, not the parsed JSON. `query` is the raw query
    string without `?`.
    """

    headers: tuple[tuple[str, str], ...] = attrs.field(converter=_lowered, default=())
    body: bytes = b""
    query: str = ""
    method: str = "POST"

    def header(self, name: str) -> str:
        """The first value of a header, empty if absent: what every receiver but generic looks at."""
        return next((value for key, value in self.headers if key == name.lower()), "")

    def header_values(self, name: str) -> tuple[str, ...]:
        """All values of a header, in order."""
        return tuple(value for key, value in self.headers if key == name.lower())


@attrs.frozen(kw_only=True)
class Setup:
    """What a receiver knows beside the delivery: its secret and its own settings.

    `actions` are the generic receiver's; `virtual_repo_name` is Artifactory's.
    """

    secret: bytes = attrs.field(repr=False)
    virtual_repo_name: str = ""
    actions: tuple[Any, ...] = ()


@attrs.frozen(kw_only=True)
class Push:
    """Something was pushed: refresh the Warehouses subscribed to one of these repositories.

    `repo_urls` are normalised, in the order of the payload. `qualifiers` are the tags, full Git
    refs or chart versions that changed; without any, Kargo refreshes every subscriber.
    `changed_files` are paths; empty means that nothing is known about files.
    """

    repo_urls: tuple[str, ...]
    qualifiers: tuple[str, ...] = ()
    changed_files: tuple[str, ...] = ()


@attrs.frozen
class PullRequestClosed:
    """A pull request ended: refresh the running Promotions that wait for this very URL."""

    url: str


@attrs.frozen
class Acknowledged:
    """Accepted, and nothing to do: 200 with `{"msg": ...}`, with `{}`, or (`empty`) with no body at all."""

    message: str = ""
    empty: bool = False


@attrs.frozen
class Refusal:
    """The delivery is turned away; `status` is the HTTP code. An empty reason answers `{}`."""

    status: int
    reason: str = ""


@attrs.frozen
class NoAnswer:
    """The connection is closed without an answer: where Kargo's handler panics. `reason` is ours."""

    reason: str


@attrs.frozen
class Target:
    """One evaluated entry of `targetSelectionCriteria`: templates are already text.

    `labels` are requirements (key, operator, values). `index` is (key, operator, value) or None; of
    several `matchIndices` only the last has effect, as in Kargo, unless the profile says otherwise.
    """

    kind: str
    name: str | None = None
    labels: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    index: tuple[tuple[str, str, str], ...] = ()


@attrs.frozen(kw_only=True)
class ActionPlan:
    """What one generic action concluded before any Warehouse was looked at.

    `echo` is the configuration as Kargo answers it, unevaluated. `outcome` is `matched`,
    `not-applicable` or `error`; with `error`, `summary` is Kargo's text and `detail` ours.
    """

    echo: Mapping[str, Any]
    outcome: str
    matched_when: bool
    targets: tuple[Target, ...] = ()
    summary: str = ""
    detail: str = ""


@attrs.frozen
class Actions:
    """The generic receiver's conclusion: one plan an action, in order."""

    plans: tuple[ActionPlan, ...]


Verdict = Push | PullRequestClosed | Acknowledged | Refusal | NoAnswer | Actions


@attrs.frozen(kw_only=True)
class Answer:
    """An HTTP answer. A `body` of None is no body and no content type; else it is written as JSON."""

    status: int
    body: Mapping[str, Any] | None = attrs.field(factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
