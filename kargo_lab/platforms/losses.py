"""What can happen to a delivery on its way: lost, late, twice, damaged, broken off, answered by somebody else.

A decision is a function of the seed, the number of the delivery, the number of the attempt and the time,
never of the order in which threads ran, so that a run can be repeated and a single delivery looked
at again. `Losses` is what a sender is given. It looks in this order: `script` (one delivery), `rules` (as
`faults.FaultRule`, for deliveries), `outages`, and then the dice.

    Losses(rules=(LossRule(event="push", times=1, attempts=1, fate=Fate(answer=502)),))

What becomes of a broken connection on a real socket is in `lossy_wire`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

import attrs
from attrs import validators

HELD_SECONDS = 10.0  # how long a delivery waits to be overtaken


@attrs.frozen(kw_only=True)
class Fate:
    """What happens to one attempt; several may be combined.

    `delay_seconds` and `behind` come first: it waits so long, or until so many later deliveries of its hook were
    tried, at most `delay_seconds` (or HELD_SECONDS). A platform that sends in order cannot be overtaken.
    `answer` is the status with which something in between answers, with `headers` and `body`, instead of
    the receiver. `corrupt` flips one bit of the body after it was signed. `copies` counts how often it arrives.
    `slow` sends the body in pieces of (bytes, seconds between them). `half_close` and `reset` end it after that
    `share` of the body: by shutting the write side, whereupon an answer is waited for, or by a reset.
    """

    drop: bool = False
    delay_seconds: float = 0.0
    behind: int = 0
    copies: int = 1
    corrupt: bool = False
    answer: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    slow: tuple[int, float] | None = attrs.field(default=None)
    half_close: bool = False
    reset: bool = False
    share: float = attrs.field(default=0.5, validator=[validators.ge(0.0), validators.le(1.0)])

    @slow.validator
    def _check_slow(self, _field: object, value: tuple[int, float] | None) -> None:
        if value is not None and (value[0] < 1 or value[1] < 0):
            raise ValueError(f"pieces of {value[0]} bytes with {value[1]} seconds between them cannot be sent")

    @property
    def waits_seconds(self) -> float:
        """The longest wait before it is sent."""
        return self.delay_seconds or (HELD_SECONDS if self.behind else 0.0)

    @property
    def is_rough(self) -> bool:
        """True if the connection itself is disturbed."""
        return self.slow is not None or self.half_close or self.reset


SAFE = Fate()
LOST = Fate(drop=True)


@attrs.frozen(kw_only=True)
class LossRule:
    """Which attempts a fate befalls. Everything that is not said holds for all.

    `event` and `url` are regular expressions that may match anywhere in the event's name and the hook's URL.
    The sender's first `after` deliveries are let through, then `times` are in danger, whatever they are about;
    of each only the first `attempts` are. `probability` throws a die for each. `between` are seconds since the
    sender was made: an outage.
    """

    fate: Fate
    event: str = ""
    url: str = ""
    after: int = 0
    times: int | None = None
    attempts: int | None = None
    probability: float = 1.0
    between: tuple[float, float] | None = None

    def concerns(self, number: int, attempt: int, elapsed_seconds: float, event: str, url: str) -> bool:
        """True if the rule is about such an attempt at such a time; the die is not thrown yet."""
        return (
            number > self.after
            and (self.times is None or number <= self.after + self.times)
            and (self.attempts is None or attempt <= self.attempts)
            and (self.between is None or self.between[0] <= elapsed_seconds < self.between[1])
            and re.search(self.event, event) is not None
            and re.search(self.url, url) is not None
        )


@attrs.frozen(kw_only=True)
class Losses:
    """Probabilities of each misfortune, rules, outage windows, and a script for single deliveries.

    `delay_seconds` is the longest delay; a delayed delivery waits a uniform share of it. `reorder` lets the
    hook's next delivery pass. `slow` sends in pieces as `trickle` says. `half_close` and `reset` end the connection
    at a uniform place of the body. `outages` are (start, end) in seconds of the sender's clock since it was made;
    what is sent in one is lost. Of `rules` the first that hits decides. `script` gives the fate of the n-th
    delivery (from 1), first attempt, whatever the dice say.
    """

    seed: int = 0
    drop: float = 0.0
    delay: float = 0.0
    delay_seconds: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    answer: float = 0.0
    answers: tuple[int, ...] = (502, 503)
    reorder: float = 0.0
    slow: float = 0.0
    trickle: tuple[int, float] = (64, 0.1)
    half_close: float = 0.0
    reset: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    rules: tuple[LossRule, ...] = ()
    script: Mapping[int, Fate] = attrs.field(factory=dict)

    def fate(self, number: int, attempt: int, elapsed_seconds: float, event: str = "", url: str = "") -> Fate:
        """Decide about one attempt of one delivery."""
        if attempt == 1 and number in self.script:
            return self.script[number]
        for index, rule in enumerate(self.rules):
            if rule.concerns(number, attempt, elapsed_seconds, event, url):
                die = self._dice(f"rule {index}", number, attempt).random()
                if die < rule.probability:
                    return rule.fate
        if any(start <= elapsed_seconds < end for start, end in self.outages):
            return LOST
        return self._thrown(number, attempt)

    def _thrown(self, number: int, attempt: int) -> Fate:
        chances = (self.drop, self.delay, self.duplicate, self.corrupt, self.answer)
        if not any((*chances, self.reorder, self.slow, self.half_close, self.reset)):
            return SAFE
        # Each die is thrown in every case, so that one probability does not shift the others.
        dice = self._dice("", number, attempt)
        drop, late, part, twice, damaged, other = (dice.random() for _ in range(6))
        wire = self._dice("wire", number, attempt)
        passed, slow, half, reset, share = (wire.random() for _ in range(5))
        return Fate(
            drop=drop < self.drop,
            delay_seconds=self.delay_seconds * part if late < self.delay else 0.0,
            copies=2 if twice < self.duplicate else 1,
            corrupt=damaged < self.corrupt,
            answer=dice.choice(self.answers) if other < self.answer else 0,
            behind=1 if passed < self.reorder else 0,
            slow=self.trickle if slow < self.slow else None,
            half_close=half < self.half_close,
            reset=reset < self.reset,
            share=share,
        )

    def _dice(self, purpose: str, number: int, attempt: int) -> random.Random:
        names = (self.seed, number, attempt, purpose) if purpose else (self.seed, number, attempt)
        return random.Random("/".join(map(str, names)))  # noqa: S311 - an experiment, not a secret


NO_LOSSES = Losses()


def damaged(body: bytes, seed: int) -> bytes:
    """`body` with one bit flipped; an empty body stays empty."""
    if not body:
        return body
    place = random.Random(seed).randrange(len(body))  # noqa: S311 - an experiment, not a secret
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
