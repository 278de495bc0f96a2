"""The suite as one call: cases and a target's name in, a report document out."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import yaml

from kargo_lab.conformance import peers, report, requests, runner, targets, verdicts
from kargo_lab.conformance.cases import Case, for_profile, load, select
from kargo_lab.conformance.plans import (
    USUAL_ADDRESSES,
    Addresses,
    Plan,
    configurations,
    plan,
    private,
    receiver_path,
)
from kargo_lab.conformance.report import Header, Redactor
from kargo_lab.conformance.targets import Target
from kargo_lab.conformance.world import World
from kargo_lab.errors import TargetError


def header(
    target: str,
    *,
    profile: str = "latest",
    seed: int = 7,
    command: str = "",
    started: datetime | None = None,
    strict: bool = False,
    factor: float = 1.0,
) -> Header:
    """What a report says about a run before it has begun."""
    return Header(
        target=target,
        target_version=targets.version(target),
        profile=profile,
        seed=seed,
        command=command,
        started=started or datetime.now(UTC),
        strict=strict,
        factor=factor,
    )


def _sources(target: str) -> World:
    """The world as the target was told of it: a Warehouse matches by its address, even where nothing is asked there."""
    described = targets.file(target)
    asks = described.calls if described else not target.startswith(("http://", "https://"))
    if described is not None and (asks or described.sources):
        return World(described.sources, listen=described.listen)
    return World() if asks else World(USUAL_ADDRESSES, own_ports=True)


@contextmanager
def session(target: str, profile: str, factor: float = 1.0) -> Iterator[tuple[Target, World]]:
    """A target and the lab's sources, both up; both are gone afterwards, whatever happened."""
    with _sources(target) as world:
        opened = targets.make(target, profile, factor)
        try:
            targets.reach(target, factor)
            yield opened, world
        finally:
            opened.close()


def redactor(cases: Iterable[Case], seed: int) -> Redactor:
    """Knows the secrets of the cases; they, and the paths made of them, are the same at every address."""
    return report.redactor(text for case in cases for text in private(case, seed))


@attrs.frozen
class Sitting:
    """A target that is set up for some cases, which it is judged by one by one or all at once."""

    head: Header
    sitting: runner.Sitting
    redact: Redactor

    def holds(self, case: Case) -> bool:
        """Whether the case is among those that the target was set up for."""
        return case.id in self.sitting.trials or case.id in self.sitting.refused

    @property
    def alone(self) -> bool:
        """Whether a case costs the same alone as together with others: nothing has to be waited for, or it is told."""
        offers = self.sitting.target.offers
        return "calls" not in offers or "state" in offers

    def judge(
        self, cases: Sequence[Case], *, jobs: int = 4, progress: runner.Progress | None = None
    ) -> list[dict[str, Any]]:
        """What became of the cases, as a report has it; each only once."""
        results = self.sitting.judge(cases, jobs=jobs, progress=progress)
        if (described := targets.file(self.head.target)) is not None:
            results = verdicts.noted(results, failing=described.known_failing, flaky=described.known_flaky)
        return [report.told(each, self.redact, self.head) for each in results]


@contextmanager
def sitting(cases: Sequence[Case], head: Header) -> Iterator[Sitting]:
    """A target and the lab's sources, set up for these cases. Raises TargetError if that cannot be done."""
    # Cases and plans stay to the end, and are more than Python's collector should look through again and again.
    gc.freeze()
    try:
        with session(head.target, head.profile, head.factor) as (target, world):
            opened = runner.set_up(cases, target, world, seed=head.seed)
            gc.freeze()
            yield Sitting(head, opened, redactor(cases, head.seed))
    finally:
        gc.unfreeze()


def judge(
    cases: Sequence[Case],
    head: Header,
    *,
    jobs: int = 4,
    reruns: int = 0,
    progress: runner.Progress | None = None,
) -> dict[str, Any]:
    """Run the cases against the target that the header names; the report document, validated when it is written.

    What fails is run again, up to `reruns` times, each time with the target and the sources set up anew. A
    case that passes then counts as passed, and its note says that it did not at first.
    """
    began = time.monotonic()
    with sitting(cases, head) as opened:
        told = opened.judge(cases, jobs=jobs, progress=progress)
    for attempt in range(1, reruns + 1):
        told = again(cases, told, head, attempt=attempt, jobs=jobs)
    return document(cases, told, head, seconds=time.monotonic() - began)


def document(
    cases: Sequence[Case], told: Iterable[Mapping[str, Any]], head: Header, *, seconds: float
) -> dict[str, Any]:
    """The report of a run that was to judge `cases`; those that are not `told` of were not run."""
    by_id = {each["id"]: each for each in told}
    every = [by_id.get(case.id) or report.not_run(case, head) for case in cases]
    stale: tuple[str, ...] = ()
    described = targets.file(head.target)
    if described is not None and (described.known_failing or described.known_flaky):
        stale = verdicts.stale(
            every,
            failing=described.known_failing,
            flaky=described.known_flaky,
            every={case.id for case in load()},
        )
    return report.document(head, every, redactor(cases, head.seed), seconds=seconds, stale=stale)


def again(
    cases: Sequence[Case], told: Sequence[dict[str, Any]], head: Header, *, attempt: int, jobs: int = 4
) -> list[dict[str, Any]]:
    """What was told of the cases, with what was bad replaced by what another run says."""
    bad = {each["id"] for each in told if each["status"] in ("fail", "error")}
    if not bad:
        return list(told)
    left = [case for case in cases if case.id in bad]
    try:
        with sitting(left, head) as opened:
            news = {each["id"]: each for each in opened.judge(left, jobs=jobs)}
    except TargetError as error:
        note = redactor(cases, head.seed)(f"could not be run again ({attempt}): {error}")
        return [{**each, "note": note} if each["id"] in bad else each for each in told]
    note = f"passed when run again ({attempt}), failed before"
    for each in news.values():
        each["note"] = note if each["status"] == "pass" else each["note"]
    return [news.get(each["id"], each) for each in told]


def check(
    target: str = "reference-in-process", *, profile: str = "latest", select_: Sequence[str] = (), seed: int = 7
) -> dict[str, Any]:
    """The library call for a notebook cell: everything that holds for a profile, or what the patterns select."""
    chosen = for_profile(select(load(), select_), profile)
    return judge(
        chosen, header(target, profile=profile, seed=seed, command=f"suite.check({target!r}, profile={profile!r})")
    )


# Addresses that nobody listens on: for showing a case without running it.
NOWHERE = Addresses(git="http://git.example:3000", registry="registry.example:5000", charts="http://charts.example")


def describe(case: Case, *, seed: int = 7) -> str:
    """One case for a person: the sentence, the objects, the requests byte by byte, the expectation, the source."""
    each = plan(case, NOWHERE, seed)
    until = f" until {case.until}" if case.until else ""
    parts = [
        f"# {case.id}",
        f"{case.says}.",
        "",
        f"level {case.level}, since {case.since}{until}; source: {case.source}",
        f"from {case.file}:{case.line}",
        "",
    ]
    if documents := [*configurations([each]), *each.documents]:
        parts += ["## What exists", yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True).rstrip(), ""]
    for number, step in enumerate(case.steps, 1):
        parts.append(f"## Step {number}: {step.do}")
        if step.do == "send":
            parts.append(_request(each, step.detail))
        elif step.detail:
            parts.append(yaml.safe_dump(dict(step.detail), sort_keys=False).rstrip())
        parts += [
            "",
            "must be seen:",
            yaml.safe_dump(
                each.send(step.expect, receiver_path(each) if each.receiver else "/"),
                sort_keys=False,
                allow_unicode=True,
            ).rstrip(),
            "",
        ]
    return "\n".join(parts)


def _request(each: Plan, detail: Any) -> str:
    path = receiver_path(each) if each.receiver else "/"
    request = requests.build(each.send(detail, path), receiver=each.receiver_type, path=path, secret=each.secret)
    lines = [f"{request.method} {request.target}", *(f"{name}: {value}" for name, value in request.headers), ""]
    text = request.body[:2000].decode("utf-8", "replace")
    lines.append(
        text
        if len(request.body) <= 2000
        else f"{text[:200]}... [{len(request.body)} bytes{', chunked' if request.chunked else ''}]"
    )
    return "\n".join(lines)


def manifests(
    cases: Sequence[Case], addresses: Addresses, seed: int, *, objects: str = "kargo", one_secret: bool = False
) -> str:
    """The YAML that an operator applies, so that an implementation the lab cannot configure can be judged."""
    plans = [plan(case, addresses, seed, one_secret=one_secret) for case in cases]
    documents = peers.OBJECTS[objects](plans)
    return yaml.safe_dump_all(json.loads(json.dumps(documents)), sort_keys=False, allow_unicode=True)
