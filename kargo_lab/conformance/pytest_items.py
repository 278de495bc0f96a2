"""The suite under pytest: every case is an item, and pytest's own options choose, order, repeat and report them.

An item judges its own case when its turn comes, so `-x` and Ctrl-C stop there and then. A target is set up before the
first item, once for all that was left to run; the lab's own, which costs nothing, for a group of cases at a time.
Where nothing but the calls at our sources tells of effects, a settle time has to be waited for: there the cases of
a group share one, and the first of them judges the group.

With pytest-xdist each worker has a target of its own, or one that remembers nothing; what can hold one
configuration only is refused. What became of a case travels with pytest's own report of the item, redacted.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr
from _pytest._io import TerminalWriter

from kargo_lab.conformance import cases as case_files
from kargo_lab.conformance import report, suite, targets
from kargo_lab.conformance.board import closing_line
from kargo_lab.conformance.cases import Case
from kargo_lab.conformance.runner import APART
from kargo_lab.conformance.telling import told
from kargo_lab.errors import LabError

ROOT = "kargo"
EXIT_UNUSABLE = 4  # pytest's own for wrong usage
UNUSABLE = "kargo-lab: "  # how the reason begins that ends a run


class CaseFailedError(Exception):
    """The target is wrong: the case's part of the report."""


class CaseBrokenError(Exception):
    """The case could not be judged: the case's part of the report."""


class CaseItem(pytest.Item):
    """One case, judged when its turn comes."""

    def __init__(self, *, case: Case, play: Suite, **rest: Any) -> None:
        super().__init__(**rest)
        self.case, self.play = case, play

    def setup(self) -> None:
        """Judge; what is not the target's fault shows as pytest's `error`."""
        found = self.play.found(self.case)
        if found["status"] == "error":
            raise CaseBrokenError(found)

    def runtest(self) -> None:
        """Say what the case came to."""
        found = self.play.found(self.case)
        if found["status"] == "fail":
            raise CaseFailedError(found)
        if found["status"] != "pass":
            pytest.skip(f"{found['status']}: {found['sentence']}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any) -> Any:
        """As the report tells it; a traceback only where we are wrong."""
        if isinstance(excinfo.value, CaseFailedError | CaseBrokenError):
            again = f"pytest {self.play.words} '{self.nodeid}'"
            return Told(excinfo.value.args[0], self.case, again)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where pytest's summary says it is."""
        return self.config.rootpath / ROOT / self.case.group, None, self.case.id


class Told(TerminalRepr):
    """A failure in words; the first difference is also what the short summary shows."""

    def __init__(self, found: Mapping[str, Any], case: Case, again: str) -> None:
        self.text = f"{told(found)}\n\nfrom {case.file}:{case.line}\nagain, with pytest: {again}"
        self.reprcrash = ReprFileLocation(case.file, case.line, found["sentence"].partition("\n")[0])

    def toterminal(self, tw: TerminalWriter) -> None:
        """Print it."""
        tw.line(self.text)


class Group(pytest.Collector):
    """The cases of one platform or topic."""

    def __init__(self, *, cases: Iterable[Case], play: Suite, **rest: Any) -> None:
        super().__init__(**rest)
        self.cases, self.play = cases, play

    def collect(self) -> Iterator[CaseItem]:
        """One item a case; what the target's owner knows to fail is expected to."""
        described = targets.file(self.play.target)
        for case in self.cases:
            item = CaseItem.from_parent(
                self, name=case.id, nodeid=f"{self.nodeid}::{case.id}", case=case, play=self.play
            )
            if described is not None and case.id in described.known_failing:
                item.add_marker(pytest.mark.xfail(reason="known to fail", strict=True, raises=CaseFailedError))
            elif described is not None and case.id in described.known_flaky:
                item.add_marker(pytest.mark.xfail(reason="known to be flaky", strict=False, raises=CaseFailedError))
            elif case.level == "strict" and not self.play.strict:
                reason = "strict cases do not count without --kargo-strict"
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False, raises=CaseFailedError))
            yield item


class Suite:
    """The plugin while a target is named; one in each process."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        option = config.getoption
        self.target, self.strict, self.factor = (option(f"--kargo-{name}") for name in ("target", "strict", "factor"))
        self.document: Mapping[str, Any] | None = None
        self.broken = ""
        self._began = time.monotonic()
        self._picked: Sequence[str] = ()  # ids, in the order of the items
        self._judged: dict[str, Mapping[str, Any]] = {}  # what became of the cases, in this process or a worker
        self._sitting: suite.Sitting | None = None
        self._open = ExitStack()
        given = [str(each) for each in config.args]
        # A node id of ours is no path, which pytest would look for.
        self.ids = [_case_id(each) for each in given if _case_id(each)]
        paths = [each for each in given if not _case_id(each)]
        config.args[:] = paths if config.args_source is pytest.Config.ArgsSource.ARGS else []
        if (shared := self._workerinput()) is not None:
            self.ids = list(shared["kargo_ids"])

    def _workerinput(self) -> Mapping[str, Any] | None:
        return cast("Mapping[str, Any] | None", getattr(self.config, "workerinput", None))

    @property
    def words(self) -> str:
        """The options that make the same run."""
        option = self.config.getoption
        words = ["--kargo-target", self.target, "--kargo-profile", self.profile]
        words += ["--kargo-seed", str(option("--kargo-seed"))] if option("--kargo-seed") != 7 else []
        words += ["--kargo-factor", f"{self.factor:g}"] if self.factor != 1 else []
        return shlex.join([*words, *(["--kargo-strict"] if self.strict else [])])

    # Choosing

    @property
    def profile(self) -> str:
        """As asked for, or as the target file has it."""
        described = targets.file(self.target)
        return self.config.getoption("--kargo-profile") or (described.profile if described else "") or "latest"

    @cached_property
    def chosen(self) -> tuple[Case, ...]:
        """The cases that the options select. Raises LabError where something does not fit."""
        option = self.config.getoption
        left = targets.chosen(
            self.profile, [*option("--kargo-select"), *self.ids], option("--kargo-level"), self.target
        )
        described = targets.file(self.target)
        known = (*described.known_failing, *described.known_flaky) if described else ()
        every = {case.id for case in case_files.load()} if known else set()
        if gone := [name for name in known if name not in every]:
            raise LabError(f"{self.target}: there is no such case as {', '.join(gone)}, which is said to fail")
        return left

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Find out what does not fit, and whether the target is there, before anything is collected or started."""
        if self._workerinput() is not None:
            return
        option = self.config.getoption
        try:
            _ = self.chosen
            targets.make(self.target, self.profile)
            if len(option("tx", default=None) or ()) > 1:
                self._check_shared()
            if folder := option("--kargo-report"):
                report.check(Path(folder))
            if not option("collectonly"):
                targets.reach(self.target, self.factor)
        except LabError as error:
            raise pytest.UsageError(str(error)) from None

    def _check_shared(self) -> None:
        described = targets.file(self.target)
        if described is not None and (described.cluster or described.api or (described.calls and described.sources)):
            raise LabError(
                f"{self.target} has room for one configuration: several processes would take away what the others "
                "have set up; say -n 0"
            )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker what was asked for."""
        node.workerinput["kargo_ids"] = self.ids

    def pytest_report_header(self) -> str:
        """One line of the header."""
        return f"kargo-lab: target {self.target}, profile {self.profile}"

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Put our groups beside what the session collects."""
        found = yield
        if isinstance(collector, pytest.Session) and found.passed:
            groups: dict[str, list[Case]] = {}
            for case in self.chosen:
                groups.setdefault(case.group, []).append(case)
            found.result = [
                *found.result,
                *(
                    Group.from_parent(collector, name=name, nodeid=f"{ROOT}/{name}", cases=members, play=self)
                    for name, members in groups.items()
                ),
            ]
        return found

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Last come the cases that do something to all others: they let time pass, or sync all receivers."""
        items.sort(key=lambda item: isinstance(item, CaseItem) and bool(APART & item.case.features))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What is left to run, if it is this process that runs it."""
        self._picked = [item.case.id for item in session.items if isinstance(item, CaseItem)]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """The same, as a worker tells it."""
        self._picked = [_case_id(each) for each in ids if _case_id(each)]

    # Judging

    @cached_property
    def _header(self) -> report.Header:
        return suite.header(
            self.target,
            profile=self.profile,
            seed=self.config.getoption("--kargo-seed"),
            command=f"pytest {self.words}",
            strict=self.strict,
            factor=self.factor,
        )

    def _together(self, case: Case) -> list[Case]:
        """The cases that a target is set up for at once: all, since that may take its time; a group, if it is ours."""
        ours = self.target.startswith(("reference", "always-")) and targets.file(self.target) is None
        return [each for each in self._left() if not ours or each.group == case.group]

    def _left(self) -> list[Case]:
        picked = set(self._picked)
        return [case for case in self.chosen if case.id in picked and case.id not in self._judged]

    def found(self, case: Case) -> Mapping[str, Any]:
        """What a case came to."""
        if case.id not in self._judged and not self.broken:
            try:
                self._judge(case)
            except LabError as error:
                self.broken = str(error)
        if self.broken:
            pytest.fail(UNUSABLE + self.broken, pytrace=False)
        return self._judged[case.id]

    def _judge(self, case: Case) -> None:
        jobs = self.config.getoption("--kargo-jobs")
        if self._sitting is None or not self._sitting.holds(case):
            self._close()
            self._sitting = self._open.enter_context(suite.sitting(self._together(case), self._header))
        batch = [case]
        if not self._sitting.alone and not APART & case.features:
            batch = [each for each in self._left() if each.group == case.group and not APART & each.features]
        news = self._sitting.judge(batch, jobs=jobs)
        for attempt in range(1, self.config.getoption("--kargo-rerun") + 1):
            if any(each["status"] in ("fail", "error") for each in news):
                self._close()  # a target may hold one configuration only
                news = suite.again(batch, news, self._header, attempt=attempt, jobs=jobs)
        self._judged |= {each["id"]: each for each in news}

    def _close(self) -> None:
        self._sitting = None
        self._open.close()

    # Telling

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The time that the case took, not that of setting up; its own place for a skip; and what became of it."""
        made = yield
        if isinstance(item, CaseItem) and (found := self._judged.get(item.case.id)):
            if call.when == "call":
                made.duration = found["seconds"]
                if isinstance(made.longrepr, tuple):
                    made.longrepr = (f"{ROOT}/{item.case.group}", 0, made.longrepr[2])
            if call.when == "call" or made.failed:
                vars(made)["kargo"] = json.dumps(found)  # as text, which every way between processes takes
        return made

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what became of a case. A target that could not be set up ends the run; it is the same for all cases."""
        if (text := vars(report).get("kargo")) is not None:
            found = json.loads(text)
            self._judged[found["id"]] = found
        said = str(report.longrepr)
        if self._workerinput() is None and report.failed and said.startswith(UNUSABLE):
            pytest.exit(said.removeprefix(UNUSABLE), returncode=EXIT_UNUSABLE)

    def pytest_sessionfinish(self) -> None:
        """Take away what was set up, and write the report, however the run has ended."""
        self._close()
        if self._workerinput() is not None or not self._judged:
            return
        picked = set(self._picked)
        cases = [case for case in self.chosen if case.id in picked or case.id in self._judged]
        self.document = suite.document(
            cases, self._judged.values(), self._header, seconds=time.monotonic() - self._began
        )
        if folder := self.config.getoption("--kargo-report"):
            report.write(Path(folder), self.document)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What the run is worth: to pytest a skip is no failure, but it is no pass either."""
        if self.document:
            terminalreporter.write_sep("-", "kargo-lab")
            terminalreporter.write_line(closing_line(self.document).plain)


def _case_id(nodeid: str) -> str:
    """The case behind a node id of ours; empty for others."""
    return nodeid.partition("::")[2] if nodeid.startswith(f"{ROOT}/") else ""
