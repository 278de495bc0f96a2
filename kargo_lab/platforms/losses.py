"""What can happen to a delivery on its way: lost, late, twice, damaged, answered by somebody else.

A decision is a function of the seed, the number of the delivery and the number of the attempt, never of
the order in which threads ran, so that a run can be repeated and a single delivery looked at again.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Fate:
    """What happens to one attempt.

    `answer` is the status with which something in between answers instead of the receiver. `corrupt` flips
    one byte of the body after it was signed. `copies` counts how often it arrives.
    """

    drop: bool = False
    delay_seconds: float = 0.0
    copies: int = 1
    corrupt: bool = False
    answer: int = 0


SAFE = Fate()


@attrs.frozen(kw_only=True)
class Losses:
    """Probabilities of each misfortune, outage windows, and a script for single deliveries.

    `delay_seconds` is the longest delay; a delayed delivery waits a uniform share of it, which also
    reorders. `outages` are (start, end) in seconds of the sender's clock since it was made; what is
    sent in one is lost. `script` gives the fate of the n-th delivery (from 1), first attempt, whatever
    the dice say.
    """

    seed: int = 0
    drop: float = 0.0
    delay: float = 0.0
    delay_seconds: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    answer: float = 0.0
    answers: tuple[int, ...] = (502, 503)
    outages: tuple[tuple[float, float], ...] = ()
    script: Mapping[int, Fate] = attrs.field(factory=dict)

    def fate(self, number: int, attempt: int, elapsed_seconds: float) -> Fate:
        """Decide about one attempt of one delivery."""
        if attempt == 1 and number in self.script:
            return self.script[number]
        if any(start <= elapsed_seconds < end for start, end in self.outages):
            return Fate(drop=True)
        if not (self.drop or self.delay or self.duplicate or self.corrupt or self.answer):
            return SAFE
        dice = random.Random(f"{self.seed}/{number}/{attempt}")  # noqa: S311 - an experiment, not a secret
        # Each die is thrown in every case, so that one probability does not shift the others.
        drop, late, share, twice, damaged, other = (dice.random() for _ in range(6))
        return Fate(
            drop=drop < self.drop,
            delay_seconds=self.delay_seconds * share if late < self.delay else 0.0,
            copies=2 if twice < self.duplicate else 1,
            corrupt=damaged < self.corrupt,
            answer=dice.choice(self.answers) if other < self.answer else 0,
        )


NO_LOSSES = Losses()


def damaged(body: bytes, seed: int) -> bytes:
    """`body` with one bit flipped; an empty body stays empty."""
    if not body:
        return body
    place = random.Random(seed).randrange(len(body))  # noqa: S311 - an experiment, not a secret
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
