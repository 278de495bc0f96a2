"""Why something was taken or left: the answer of every rule in this room.

A boolean says too little to somebody whose webhook did nothing. A `Reason` is true or false like one, and
names the rule that decided, for programs, with a sentence, for people.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs


@attrs.frozen
class Reason:
    """True if accepted. `rule` is a stable slug, `text` a sentence."""

    accepted: bool
    rule: str
    text: str

    def __bool__(self) -> bool:
        return self.accepted


def accept(rule: str, text: str) -> Reason:
    """A yes."""
    return Reason(accepted=True, rule=rule, text=text)


def refuse(rule: str, text: str) -> Reason:
    """A no."""
    return Reason(accepted=False, rule=rule, text=text)


MOST_QUOTED = 3


def first_accepted(reasons: Iterable[Reason], otherwise: Reason) -> Reason:
    """The first yes, looking no further; else the only no, else `otherwise` with what the first few of them said."""
    quoted: list[Reason] = []
    count = 0
    for reason in reasons:
        if reason:
            return reason
        count += 1
        if count <= MOST_QUOTED:
            quoted.append(reason)
    if count <= 1:
        return quoted[0] if quoted else otherwise
    said = "; ".join(dict.fromkeys(reason.text for reason in quoted))
    tail = f"; and {count - MOST_QUOTED} more" if count > MOST_QUOTED else ""
    return Reason(otherwise.accepted, otherwise.rule, f"{otherwise.text}: {said}{tail}")
