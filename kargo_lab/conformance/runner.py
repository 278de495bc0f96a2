"""Running cases against a target, so that the run always ends and always says why.

One run configures everything, waits once, sends every case's deliveries, waits once more for their effects,
and judges. There is no sleep of fixed length anywhere: a target says itself when it has settled, and
where it cannot, one settle time (scaled by one factor) is waited for all cases together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from kargo_lab.conformance import judging, requests
from kargo_lab.conformance.cases import Case, Step
from kargo_lab.conformance.exchange import Exchange
from kargo_lab.conformance.plans import Plan, plan
from kargo_lab.conformance.targets import Target
from kargo_lab.conformance.verdicts import Difference, Result
from kargo_lab.errors import LabError, TargetError, UnfitError, UnofferedError

if TYPE_CHECKING:
    from kargo_lab.conformance.world import World

SILENT_AFTER = 8  # deliveries in a row without any answer, after which a target counts as dead
_EFFECTS = ("refreshed", "promotions", "discovered", "freight", "requests", "condition", "receiver")
# What these features do, they do to everybody: time passes, and a pass syncs all receivers.
APART = frozenset({"time", "secrets-change"})
Progress = Callable[[Result, int, int], None]


@attrs.define
class _Trial:
    """One case on its way through a run."""

    plan: Plan
    differences: list[Difference] = attrs.field(factory=list)
    exchanges: list[Exchange] = attrs.field(factory=list)
    seen_by: set[str] = attrs.field(factory=set)
    unseen: set[str] = attrs.field(factory=set)
    pending: list[Callable[[], None]] = attrs.field(factory=list)
    error: str = ""
    unfit: str = ""
    unoffered: str = ""
    dead: bool = False
    seconds: float = 0.0


@attrs.define
class _Pulse:
    """Whether the target still answers; shared by all workers of a run."""

    silent: int = 0
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def note(self, exchange: Exchange) -> None:
        with self.lock:
            self.silent = 0 if exchange.status or exchange.closed else self.silent + 1

    @property
    def dead(self) -> bool:
        return self.silent >= SILENT_AFTER


@attrs.define
class Sitting:
    """A target that is set up for some cases. Each of them is judged once, alone or together with others."""

    target: Target
    world: World
    trials: dict[str, _Trial]
    refused: dict[str, Result]  # what the target cannot show
    pulse: _Pulse = attrs.field(factory=_Pulse)

    def judge(self, cases: Sequence[Case], *, jobs: int = 2, progress: Progress | None = None) -> list[Result]:
        """The results, in the cases' order. Nothing that the target does raises.

        A fault of the suite itself is an `error` of that case.
        """
        trials = [self.trials[case.id] for case in cases if case.id in self.trials]
        together = [trial for trial in trials if not APART & trial.plan.case.features]
        with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="case") as pool:
            list(pool.map(lambda trial: _steps(trial, self.target, self.world, self.pulse), together))
        _look(together, self.target)
        for trial in trials:
            if APART & trial.plan.case.features:  # last and alone
                _steps(trial, self.target, self.world, self.pulse)
                _look([trial], self.target)
        results = {case.id: self.refused[case.id] for case in cases if case.id in self.refused}
        for trial in trials:
            result = results[trial.plan.case.id] = _result(trial)
            if progress is not None:
                progress(result, len(results), len(cases))
        return [results[case.id] for case in cases]


def set_up(cases: Sequence[Case], target: Target, world: World, *, seed: int = 7) -> Sitting:
    """Configure everything that the cases need, and wait until it is in force.

    What the target cannot show is said in the result and never guessed. A target that cannot even be set up is a
    TargetError.
    """
    refused: dict[str, Result] = {}
    trials: dict[str, _Trial] = {}
    for case in cases:
        if (sentence := _why_not(case, target)) is None:
            one_secret = "one-secret" in target.features
            trials[case.id] = _Trial(plan=plan(case, world.addresses, seed, one_secret=one_secret))
        else:
            refused[case.id] = Result(
                case=case, status="unsupported" if case.features - target.features else "skip", sentence=sentence
            )
    for trial in trials.values():
        if target.looks_at(trial.plan):
            _guarded(trial, partial(world.prepare, [trial.plan]))
    try:
        target.open([trial.plan for trial in trials.values()], world)
    except (LabError, OSError) as error:
        raise TargetError(
            f"nothing was judged, because the target {target.name} could not be set up: {error}"
        ) from error
    return Sitting(target, world, trials, refused)


def run(
    cases: Sequence[Case],
    target: Target,
    world: World,
    *,
    seed: int = 7,
    jobs: int = 2,
    progress: Progress | None = None,
) -> list[Result]:
    """Judge every case against one target; the results are in the cases' order."""
    return set_up(cases, target, world, seed=seed).judge(cases, jobs=jobs, progress=progress)


def _look(trials: Sequence[_Trial], target: Target) -> None:
    """Wait once for the effects of all these cases, then judge them."""
    waiting = [trial for trial in trials if trial.pending]
    try:
        if waiting:
            target.settle([trial.plan for trial in waiting])
    except LabError as error:
        for trial in waiting:
            trial.error = trial.error or f"nobody could see the effects: {error}"
    for trial in waiting:
        for check in () if trial.error else trial.pending:
            _guarded(trial, check)


def _why_not(case: Case, target: Target) -> str | None:
    if missing := case.features - target.features:
        return f"the target does not offer {', '.join(sorted(missing))}"
    if "answer" not in target.offers and case.needs <= {"answer"}:
        return "only the answer would show it, and this target's answers are not judged"
    for need in case.needs - {"answer", "effect"}:
        if need not in target.offers:
            return f"only {need} would show it, and this target offers {', '.join(sorted(target.offers))}"
    return None


def _guarded(trial: _Trial, act: Callable[[], None]) -> None:
    try:
        act()
    except UnfitError as error:
        trial.unfit = str(error)
    except UnofferedError as error:
        trial.unoffered = str(error)
    except LabError as error:
        trial.error = str(error)
    except Exception as error:  # noqa: BLE001 - one broken case must not take the run with it
        trial.error = f"the suite failed here: {type(error).__name__}: {error}"


def _steps(trial: _Trial, target: Target, world: World, pulse: _Pulse) -> None:
    began = time.monotonic()
    for index, step in enumerate(trial.plan.case.steps):
        trial.dead = trial.dead or pulse.dead
        if trial.error or trial.unfit or trial.unoffered or trial.dead:
            break
        last = index == len(trial.plan.case.steps) - 1
        _guarded(trial, partial(_step, trial, step, last, target, world, pulse))
    trial.seconds = time.monotonic() - began


def _step(trial: _Trial, step: Step, last: bool, target: Target, world: World, pulse: _Pulse) -> None:
    effects = [key for key in step.expect if key in _EFFECTS]
    before = target.state(trial.plan) if effects and "state" in target.offers else {}
    marks = world.marks(trial.plan) if effects else {}
    if step.do == "send":
        for _ in range(int(step.detail.get("times", 1))):
            if pulse.dead:
                trial.dead = True
                return
            _send(trial, step, target, pulse)
    elif step.do == "push":
        world.push(trial.plan, step.detail)
    elif step.do == "change":
        target.change(trial.plan, step.detail)
    elif step.do == "poll":
        target.change(trial.plan, {"poll": step.detail or True})
    if not effects:
        return

    def look() -> None:
        _judge_effects(trial, step, target, world, before, marks)

    # Tokens are written before the answer; everything else takes the time it takes, once for all cases.
    if set(effects) <= {"refreshed", "promotions"} and "state" in target.offers:
        look()
        if not last and not step.detail.get("at-once"):
            target.pause()
    elif last:
        trial.pending.append(look)
    else:
        target.settle([trial.plan])
        look()


def _send(trial: _Trial, step: Step, target: Target, pulse: _Pulse) -> None:
    each = trial.plan
    request = requests.build(
        each.send(step.detail, target.path(each)),
        receiver=each.receiver_type,
        path=target.path(each),
        secret=each.secret,
    )
    exchange = target.exchange(request)
    pulse.note(exchange)
    trial.exchanges.append(exchange)
    if "answer" in target.offers:
        trial.seen_by.add("answer")
        expect = each.send(step.expect, target.path(each))
        trial.differences += judging.judge_answer(expect, exchange)


def _judge_effects(
    trial: _Trial, step: Step, target: Target, world: World, before: Mapping[str, Any], marks: Mapping[str, int]
) -> None:
    expect = trial.plan.send(step.expect, target.path(trial.plan))
    after = target.state(trial.plan) if "state" in target.offers else {}
    for what in ("refreshed", "promotions"):
        if what not in expect:
            continue
        if "state" in target.offers:
            section = "refresh" if what == "refreshed" else "promotions"
            changed = {
                name
                for name, token in after.get(section, {}).items()
                if token and token != before.get(section, {}).get(name)
            }
            trial.seen_by.add("state")
            trial.differences += judging.judge_set(what, set(expect[what]), changed)
        elif "calls" in target.offers and what == "refreshed" and all(trial.plan.repositories.values()):
            trial.seen_by.add("calls")
            trial.differences += _judge_calls(trial.plan, set(expect[what]), marks, world.marks(trial.plan))
        else:
            trial.unseen.add(what)
    for what in ("discovered", "freight", "condition"):
        if what in expect:
            trial.seen_by.add("state")
            seen = after.get("conditions" if what == "condition" else what, {})
            if what == "condition":  # of an object's conditions only the named types are compared
                seen = {
                    name: {type_: seen.get(name, {}).get(type_) for type_ in expect[what][name]}
                    for name in seen
                    if name in expect[what]
                }
            trial.differences += judging.judge_lists(what, expect[what], seen)
    if "receiver" in expect:
        trial.seen_by.add("state")
        trial.differences += _judge_receiver(expect["receiver"], after.get("receiver"))
    if "requests" in expect:
        trial.seen_by.add("calls")
        seen = world.kinds(trial.plan, marks)
        trial.differences += judging.judge_lists("requests", expect["requests"], seen)


def _judge_calls(
    each: Plan, expected: set[str], before: Mapping[str, int], after: Mapping[str, int]
) -> list[Difference]:
    """A Warehouse was refreshed if one of its repositories was asked for; those that share one go together."""
    found: list[Difference] = []
    for name, repositories in each.repositories.items():
        called = any(after.get(f"{kind}:{path}", 0) > before.get(f"{kind}:{path}", 0) for kind, path in repositories)
        sharers = {other for other, theirs in each.repositories.items() if set(theirs) & set(repositories)}
        wanted = bool(sharers & expected)
        if called != wanted:
            found.append(
                Difference(
                    what=f"discovery calls of {name}",
                    expected="some" if wanted else "none",
                    seen="some" if called else "none within the settle time",
                )
            )
    return found


def _judge_receiver(expected: Mapping[str, Any], seen: Mapping[str, Any] | None) -> list[Difference]:
    if "present" in expected and bool(seen) != expected["present"]:
        return [
            Difference(
                what="receiver in status",
                expected="an entry" if expected["present"] else "no entry",
                seen="an entry" if seen else "none",
            )
        ]
    wanted = {key: value for key, value in expected.items() if key != "present"}
    return judging.judge_lists("receiver", wanted, seen or {})


def _result(trial: _Trial) -> Result:
    case = trial.plan.case
    status, sentence = "pass", ""
    if trial.error:
        status, sentence = "error", trial.error
    elif trial.unfit:
        status, sentence = "skip", trial.unfit
    elif trial.unoffered:
        status, sentence = "unsupported", trial.unoffered
    elif trial.dead:
        status, sentence = "error", f"not judged: the target had left {SILENT_AFTER} deliveries in a row unanswered"
    elif trial.differences:
        status, sentence = "fail", str(trial.differences[0])
    elif trial.unseen:
        what = ", ".join(sorted(trial.unseen))
        status = "skip"
        sentence = f"the answer fits, but this target shows neither calls nor state, so nobody saw what was {what}"
    return Result(
        case=case,
        status=status,
        sentence=sentence,
        differences=tuple(trial.differences),
        exchanges=tuple(trial.exchanges),
        seconds=trial.seconds,
        seen_by=tuple(sorted(trial.seen_by)),
    )
