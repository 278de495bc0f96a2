"""Proof that the suite catches faults: the kill matrix over receivers that are wrong on purpose.

A fault is run against the cases that can notice it, as its `touches` say; one that survives those is run
against all others before it is called a survivor, and a core case that has noticed nothing is run with all
other faults before it is called idle. So the shortcut saves time and changes no verdict; with `whole` there
is none. Only a case that passes with the reference as it is and fails with the fault counts as a kill; an error of
ours does not. Each fault runs in a process of its own, since it may replace functions.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import repeat

import attrs

from kargo_lab.conformance import cases as case_files
from kargo_lab.conformance import runner
from kargo_lab.conformance.cases import Case
from kargo_lab.conformance.faults import FAULTS, Fault
from kargo_lab.conformance.targets import make
from kargo_lab.conformance.targets.reference import Reference
from kargo_lab.conformance.world import World
from kargo_lab.errors import UsageError

NONE = "none"
ABSURD = ("always-200", "always-401")
Progress = Callable[["Trial", int, int], None]


@attrs.frozen(kw_only=True)
class Trial:
    """What became of one fault. `killers` are the cases that noticed it, in the order of the cases."""

    fault: str
    killers: tuple[str, ...]
    errors: tuple[str, ...]
    judged: frozenset[str] = attrs.field(repr=False)  # the cases that it was run against
    seconds: float
    processor_seconds: float  # of its process and all that this one started

    @property
    def groups(self) -> dict[str, int]:
        """How many cases of each group noticed the fault."""
        return dict(Counter(case.partition("/")[0] for case in self.killers))

    def joined(self, later: Trial) -> Trial:
        """Both trials of the same fault as one."""
        return Trial(
            fault=self.fault,
            killers=(*self.killers, *later.killers),
            errors=(*self.errors, *later.errors),
            judged=self.judged | later.judged,
            seconds=self.seconds + later.seconds,
            processor_seconds=self.processor_seconds + later.processor_seconds,
        )


@attrs.frozen(kw_only=True)
class Proof:
    """The kill matrix, and what does not belong into a good one."""

    trials: tuple[Trial, ...]
    cases: tuple[Case, ...]
    complete: bool  # whether all faults were tried
    seed: int = 7

    @property
    def survivors(self) -> tuple[str, ...]:
        """Faults that no case noticed."""
        return tuple(trial.fault for trial in self.trials if not trial.killers)

    @property
    def idle(self) -> tuple[str, ...]:
        """Core cases that noticed no fault; only a complete proof can tell."""
        if not self.complete:
            return ()
        busy = {case for trial in self.trials if trial.fault not in ABSURD for case in trial.killers}
        return tuple(case.id for case in self.cases if case.level == "core" and case.id not in busy)

    @property
    def blind(self) -> tuple[str, ...]:
        """Groups with a receiver in which an absurd target passes everything, as `target: group`."""
        if not self.complete:
            return ()
        groups = sorted({case.group for case in self.cases if case.receiver is not None})
        return tuple(
            f"{trial.fault}: {group}"
            for trial in self.trials
            if trial.fault in ABSURD
            for group in groups
            if not any(killer.startswith(f"{group}/") for killer in trial.killers)
        )

    @staticmethod
    def says(fault: str) -> str:
        """What is wrong with a receiver of this name."""
        return FAULTS[fault].says if fault in FAULTS else "Answers every request alike"

    @property
    def processor_seconds(self) -> float:
        """What all trials cost together, the reference's own not counted."""
        return sum(trial.processor_seconds for trial in self.trials)

    @property
    def good(self) -> bool:
        """Whether the suite is proved."""
        return not (self.survivors or self.idle or self.blind)


def names(patterns: Sequence[str]) -> tuple[str, ...]:
    """The faults that the patterns name, `*` and `?` being wild; UsageError for one that names none."""
    import fnmatch

    if not patterns:
        return (*ABSURD, *FAULTS)
    found: list[str] = []
    for pattern in patterns:
        hits = [name for name in (*ABSURD, *FAULTS) if fnmatch.fnmatchcase(name, pattern)]
        if not hits:
            raise UsageError(f"no fault is called {pattern!r}; `kargo-lab conformance prove --list` shows all")
        found += [name for name in hits if name not in found]
    return tuple(found)


def prove(
    patterns: Sequence[str] = (),
    *,
    processes: int = 2,
    seed: int = 7,
    whole: bool = False,
    progress: Progress | None = None,
) -> Proof:
    """Try the faults that the patterns name, in so many processes at a time.

    `whole` runs each against every case. Raises UsageError if the reference itself does not pass: then
    nothing can be proved.
    """
    chosen, complete = names(patterns), not patterns
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"{__package__}.preloaded"])
    with ProcessPoolExecutor(processes, mp_context=context, max_tasks_per_child=1) as pool:
        profiles = sorted({fault.profile for fault in FAULTS.values() if fault.name in chosen} | {"latest"})
        right = list(pool.map(judge, repeat(NONE), profiles, repeat(seed)))
        if wrong := [case for trial in right for case in (*trial.killers, *trial.errors)]:
            raise UsageError(f"the reference itself fails {', '.join(wrong[:5])}; nothing can be proved with it")
        trials: dict[str, Trial] = {}
        for trial in pool.map(judge, chosen, repeat("latest"), repeat(seed), repeat(whole)):
            trials[trial.fault] = trial
            if progress is not None:
                progress(trial, len(trials), len(chosen))
        proof = Proof(trials=tuple(trials.values()), cases=holding("latest"), complete=complete, seed=seed)
        for trial in _second_chances(pool, proof, seed, processes):
            trials[trial.fault] = trials[trial.fault].joined(trial)
    return Proof(trials=tuple(trials.values()), cases=holding("latest"), complete=complete, seed=seed)


def _second_chances(pool: ProcessPoolExecutor, proof: Proof, seed: int, at_once: int) -> Iterator[Trial]:
    """Core cases that have noticed nothing, with the faults that they were not run with; until none is left."""
    idle = set(proof.idle)
    untried = [trial for trial in proof.trials if trial.fault not in ABSURD and idle - trial.judged]
    while idle and untried:
        now, untried = untried[:at_once], untried[at_once:]
        wanted = [tuple(sorted(idle - trial.judged)) for trial in now]
        for trial in pool.map(judge_only, [trial.fault for trial in now], wanted, repeat(seed)):
            idle -= set(trial.killers)
            yield trial


@cache
def holding(profile: str) -> tuple[Case, ...]:
    """The cases of a profile, read once a process."""
    return case_files.for_profile(case_files.load(), profile)


def judge(name: str, profile: str, seed: int, whole: bool = False) -> Trial:
    """One fault against the cases that can notice it, then against the others if nobody has, or if all are wanted."""
    fault = FAULTS.get(name)
    every = holding(fault.profile if fault else profile)
    likely = case_files.select(every, fault.touches) if fault and fault.touches and not whole else every
    trial = _trial(name, fault, likely, profile, seed)
    if not trial.killers and len(likely) < len(every):
        rest = tuple(case for case in every if case.id not in trial.judged)
        return trial.joined(_trial(name, fault, rest, profile, seed))
    return trial


def judge_only(name: str, ids: Sequence[str], seed: int) -> Trial:
    """One fault against these cases and no others."""
    fault = FAULTS[name]
    cases = tuple(case for case in holding(fault.profile) if case.id in ids)
    return _trial(name, fault, cases, fault.profile, seed)


def _trial(name: str, fault: Fault | None, cases: Sequence[Case], profile: str, seed: int) -> Trial:
    began, used = time.monotonic(), _processor_seconds()
    killers, errors = _noticed(name, fault, cases, profile, seed)
    return Trial(
        fault=name,
        killers=killers,
        errors=errors,
        judged=frozenset(case.id for case in cases),
        seconds=round(time.monotonic() - began, 2),
        processor_seconds=round(_processor_seconds() - used, 2),
    )


def _processor_seconds() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def _noticed(
    name: str, fault: Fault | None, cases: Sequence[Case], profile: str, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As `_failed`; a fault that breaks the target altogether has been noticed by nobody, and is ours to repair."""
    try:
        return _failed(name, fault, cases, profile, seed)
    except Exception as error:  # noqa: BLE001 - whatever a change breaks, the other faults are still tried
        return (), (f"{type(error).__name__}: {error}",)


def _failed(
    name: str, fault: Fault | None, cases: Sequence[Case], profile: str, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the cases that failed, and of those in which we failed."""
    with World() as world:
        if fault is not None:
            with fault.target() as target:
                results = runner.run(cases, target, world, seed=seed, jobs=1)
        else:
            target = Reference(profile) if name == NONE else make(name, profile)  # type: ignore[assignment] # a Target
            try:
                results = runner.run(cases, target, world, seed=seed, jobs=1)
            finally:
                target.close()
    return (
        tuple(each.case.id for each in results if each.status == "fail"),
        tuple(each.case.id for each in results if each.status == "error"),
    )
