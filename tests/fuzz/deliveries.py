"""Throw mutated deliveries of the corpus, mostly rightly signed, at every receiver on every version.

    python tests/fuzz/deliveries.py --count 1000000 [--seed 7]

Documents are changed where receivers look (members replaced, removed, spelled otherwise), bodies byte by byte, and
headers now and then. A receiver must give a verdict; anything else ends the run with the seed and the number of the
delivery. The last line counts the verdicts by kind.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import click

from kargo_lab import payloads
from kargo_lab.profiles import PROFILES
from kargo_lab.receivers import RECEIVERS
from kargo_lab.resources.configuration import GenericAction, TargetCriteria
from kargo_lab.wire import Acknowledged, Actions, NoAnswer, PullRequestClosed, Push, Refusal, Setup, Verdict

VERDICTS = Acknowledged | Actions | NoAnswer | PullRequestClosed | Push | Refusal
SECRET = b"k"
# What takes the place of a member: each JSON type, and texts that mean something to somebody.
TEXTS = (
    "",
    "x",
    "refs/tags/v1",
    "0" * 40,
    "https://x/y?z",
    "git@h:a",
    "://",
    "http://[::1",
    "a/b",
    "\x00",
    "\ud83d",
    "${{ 1 }}",
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**63, 1e300, [], {}, [None], [{}], {"name": "x"}, [["a"]], {"config": []}),
    *TEXTS,
)
ODD_HEADERS = ("", "push", "Push Hook", "repo:push", "é", "x" * 500)
TARGET = TargetCriteria(kind="Warehouse", name="${{ request.body.tag }}-${{ request.header('x-event-type') }}")
SETUP = Setup(
    secret=SECRET,
    actions=(
        GenericAction(when_expression="request.body.repository.name != nil", targets=(TARGET,)),
        GenericAction(when_expression="len(request.body) > 0"),
    ),
)


def corpus() -> list[tuple[payloads.Entry, payloads.Request, Any]]:
    """Each delivery with its document, None where the body is no JSON; the giants would only cost time."""
    found = []
    for entry in payloads.entries():
        request = payloads.render(entry.platform, entry.event, entry.variant)
        if len(request.body) < 50_000 and not entry.variant.endswith("deep"):
            try:
                found.append((entry, request, json.loads(request.body)))
            except ValueError:
                found.append((entry, request, None))
    return found


def mutated(document: Any, rng: random.Random) -> bytes:
    """The document with up to four changes somewhere in it."""
    changed = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 4))):
        node = changed
        while isinstance(node, dict | list) and node:
            place = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
            if isinstance(node[place], dict | list) and rng.random() < 0.6:
                node = node[place]
                continue
            change = rng.random()
            if change < 0.6 or isinstance(node, list):
                node[place] = copy.deepcopy(rng.choice(VALUES))
            elif change < 0.8:
                del node[place]
            else:
                node[place.upper()] = node.pop(place)
            break
    return json.dumps(changed).encode()


def damaged(body: bytes, rng: random.Random) -> bytes:
    """The bytes with up to five of them changed, removed or doubled."""
    out = bytearray(body)
    for _ in range(rng.randrange(1, 6)):
        if out:
            at, change = rng.randrange(len(out)), rng.random()
            if change < 0.4:
                out[at] = rng.randrange(256)
            elif change < 0.7:
                del out[at : at + rng.randrange(1, 20)]
            else:
                out[at:at] = out[at : at + rng.randrange(1, 20)]
    return bytes(out)


def verdict(sources: list[tuple[payloads.Entry, payloads.Request, Any]], rng: random.Random) -> Verdict:
    """What one mutated delivery means to the receiver of its platform, on any version."""
    entry, request, document = sources[rng.randrange(len(sources))]
    usable = document is not None and rng.random() < 0.75
    body = mutated(document, rng) if usable else damaged(request.body, rng)
    headers = list(request.headers)
    if headers and rng.random() < 0.1:
        at = rng.randrange(len(headers))
        headers[at] = (headers[at][0], rng.choice(ODD_HEADERS))
    changed = payloads.Request(headers=tuple(headers), body=body, target=request.target)
    signed = payloads.sign(changed, entry.platform, SECRET) if rng.random() < 0.95 else changed
    return RECEIVERS[entry.receiver](signed.delivery(), SETUP, rng.choice(tuple(PROFILES.values())))


def run(count: int, seed: int) -> Counter[str]:
    """How many verdicts there were of each kind."""
    sources, rng, kinds = corpus(), random.Random(seed), Counter[str]()
    for number in range(count):
        try:
            found = verdict(sources, rng)
        except Exception as error:
            error.add_note(f"seed {seed}, delivery {number}")
            raise
        assert isinstance(found, VERDICTS), f"seed {seed}, delivery {number}: {found!r}"
        kinds[f"{type(found).__name__} {getattr(found, 'status', '')}".strip()] += 1
    return kinds


@click.command()
@click.option("--count", default=100_000, show_default=True, help="How many deliveries.")
@click.option("--seed", default=7, show_default=True, help="The same seed sends the same deliveries.")
def main(count: int, seed: int) -> None:
    """Run, and print what came of it."""
    started = time.monotonic()
    kinds = run(count, seed)
    text = ", ".join(f"{name}: {number}" for name, number in kinds.most_common())
    sys.stdout.write(f"{count} deliveries of seed {seed} in {time.monotonic() - started:.0f} s: {text}\n")


if __name__ == "__main__":
    main()
