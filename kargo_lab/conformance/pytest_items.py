"""The suite under pytest: every case is an item, and pytest's own options choose, order, repeat and report them.

A target is configured once and waited for once, whatever the number of cases. So the chosen cases are judged together,
as `kargo-lab conformance run` judges them, after collection and before the first item; an item then says what its
case came to. With pytest-xdist the first worker judges for all: two sessions on one target would take away what
the other has set up. Between processes only the redacted report goes.
"""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
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
from kargo_lab.conformance.telling import told
from kargo_lab.errors import LabError

ROOT = "kargo"
EXIT_UNUSABLE = 4  # pytest's own for wrong usage


class CaseFailedError(Exception):
    """The target is wrong: the case's part of the report."""


class CaseBrokenError(Exception):
    """The case could not be judged: the case's part of the report."""


class CaseItem(pytest.Item):
    """One case. What it came to is known before it runs."""

    def __init__(self, *, case: Case, play: Suite, **rest: Any) -> None:
        super().__init__(**rest)
        self.case, self.play = case, play

    def setup(self) -> None:
        """What is not the target's fault shows as pytest's `error`."""
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
        self.target, self.strict = option("--kargo-target"), option("--kargo-strict")
        self.at: Path | None = None  # where processes meet, if there are several
        self.document: Mapping[str, Any] | None = None
        self.broken = ""
        self._found: dict[str, Mapping[str, Any]] = {}
        given = [str(each) for each in config.args]
        # A node id of ours is no path, which pytest would look for.
        self.ids = [each.partition("::")[2] for each in given if each.startswith(f"{ROOT}/") and "::" in each]
        paths = [each for each in given if not (each.startswith(f"{ROOT}/") and "::" in each)]
        config.args[:] = paths if config.args_source is pytest.Config.ArgsSource.ARGS else []
        if (shared := self._workerinput()) is not None:
            self.at, self.ids = Path(shared["kargo_folder"]), list(shared["kargo_ids"])

    def _workerinput(self) -> Mapping[str, Any] | None:
        return cast("Mapping[str, Any] | None", getattr(self.config, "workerinput", None))

    @property
    def words(self) -> str:
        """The options that make the same run."""
        option = self.config.getoption
        words = ["--kargo-target", self.target, "--kargo-profile", self.profile]
        words += ["--kargo-seed", str(option("--kargo-seed"))] if option("--kargo-seed") != 7 else []
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
            if folder := option("--kargo-report"):
                report.check(Path(folder))
            if not option("collectonly"):
                targets.reach(self.target)
        except LabError as error:
            raise pytest.UsageError(str(error)) from None
        if self.config.pluginmanager.hasplugin("dsession"):
            self.at = Path(tempfile.mkdtemp(prefix="kargo-lab-"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where to meet the others."""
        node.workerinput |= {"kargo_folder": str(self.at), "kargo_ids": self.ids}

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

    # Judging

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Judge all that was left to run, once, whatever the number of processes."""
        picked = {item.case.id for item in getattr(session, "items", ()) if isinstance(item, CaseItem)}
        failed = session.testsfailed and not session.config.option.continue_on_collection_errors
        if not picked or failed or session.config.option.collectonly:
            return
        chosen = [case for case in self.chosen if case.id in picked]
        if self.at is None:
            self._take(self._judge(chosen))
            if self.broken:
                pytest.exit(self.broken, returncode=EXIT_UNUSABLE)
            return
        with _alone(self.at / "lock"):
            place = self.at / "outcome.json"
            if not place.exists():
                place.write_text(json.dumps(self._judge(chosen)), encoding="utf-8")
            self._take(json.loads(place.read_text(encoding="utf-8")))

    def _judge(self, chosen: list[Case]) -> dict[str, Any]:
        option = self.config.getoption
        header = suite.header(
            self.target,
            profile=self.profile,
            seed=option("--kargo-seed"),
            command=f"pytest {self.words}",
            strict=self.strict,
        )
        try:
            document = suite.judge(chosen, header, jobs=option("--kargo-jobs"), reruns=option("--kargo-rerun"))
            if folder := option("--kargo-report"):
                report.write(Path(folder), document)
        except LabError as error:
            return {"broken": str(error)}
        return {"document": document}

    def _take(self, outcome: Mapping[str, Any]) -> None:
        self.broken, self.document = outcome.get("broken", ""), outcome.get("document")
        self._found = {each["id"]: each for each in self.document["cases"]} if self.document else {}

    def found(self, case: Case) -> Mapping[str, Any]:
        """What a case came to."""
        if self.broken:
            pytest.fail(f"kargo-lab: {self.broken}", pytrace=False)
        return self._found[case.id]

    # Telling

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The time that the case took, not that of looking it up; and its own place for a skip."""
        made = yield
        if isinstance(item, CaseItem) and call.when == "call" and self.document:
            made.duration = self.found(item.case)["seconds"]
            if isinstance(made.longrepr, tuple):
                made.longrepr = (f"{ROOT}/{item.case.group}", 0, made.longrepr[2])
        return made

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A target that could not be set up ends a run of several processes; it is the same for all cases."""
        said = str(report.longrepr)
        if self._workerinput() is None and report.failed and said.startswith("kargo-lab: nothing was judged"):
            pytest.exit(said.removeprefix("kargo-lab: "), returncode=EXIT_UNUSABLE)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What the run is worth: to pytest a skip is no failure, but it is no pass either."""
        if self.at is not None and (place := self.at / "outcome.json").exists():
            self._take(json.loads(place.read_text(encoding="utf-8")))
        if self.document:
            terminalreporter.write_sep("-", "kargo-lab")
            terminalreporter.write_line(closing_line(self.document).plain)

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        if self.at is not None and self._workerinput() is None:
            shutil.rmtree(self.at, ignore_errors=True)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One process at a time; the system opens the lock again if a process dies."""
    import fcntl

    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
