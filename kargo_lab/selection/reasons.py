"""Why something was taken or left: the answer of every rule in this room.

A boolean says too little to somebody whose webhook did nothing. A `Reason` is true or false like one, and
names the rule that decided, for programs, with a sentence, for people.
"""

from __future__ import annotations

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


def first_accepted(reasons: list[Reason], otherwise: Reason) -> Reason:
    """The first yes, else the only no, else `otherwise` with what each of them said."""
    for reason in reasons:
        if reason:
            return reason
    if len(reasons) == 1:
        return reasons[0]
    said = "; ".join(dict.fromkeys(reason.text for reason in reasons))
    return Reason(otherwise.accepted, otherwise.rule, f"{otherwise.text}: {said}" if said else otherwise.text)
