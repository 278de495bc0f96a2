"""Mutation testing of the rules, the selectors and matching: mutmut's mutants, each tried by the tests that run it.

mutmut itself starts the tests anew for every mutant, which for 14,000 of them takes days. Here they are collected
once. Each mutant is tried in a forked child, where the code of its one function is swapped, by the tests that run
its line, the quickest first: a kill costs some 50 ms. A mutant that survives in a function that did its work at
import, where a swap comes too late, is tried once more in a process of its own.

    python benchmarks/mutation.py --files kargo_lab/rules/globs.py --tests tests/rules
    python benchmarks/mutation.py --update        # everything; rewrites docs/mutation-survivors.tsv

Prints a table of scores and all survivors that the table in docs/ does not explain; status 1 if there are any. It
works in a copy of the project in a temporary folder. Needs `pip install mutmut==3.8.1` and the group `test`.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import coverage
import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parent.parent
FILES = ("kargo_lab/rules", "kargo_lab/selection", "kargo_lab/matching.py")
TESTS = ("tests/rules", "tests/selection", "tests/test_matching.py", "tests/test_matching_vectors.py")
COPIED = ("kargo_lab", "tests", "payloads", "conformance", "pyproject.toml")
SURVIVORS = ROOT / "docs" / "mutation-survivors.tsv"
OPTIONS = ("-q", "-x", *(f"-pno:{plugin}" for plugin in ("randomly", "cacheprovider", "benchmark", "warnings")))
OPEN = "OPEN: not looked at"

EXAMPLES = 15  # of a Hypothesis property, the same ones for every mutant
SLOWEST = 1.0  # processor seconds; a test that takes longer is left out
PATIENCE, FACTOR = 1.0, 15  # a test may take a second and 15 times its usual processor time
MEMORY = 3 << 30  # bytes of a child
SURVIVED, KILLED, LATE = 0, 1, 2  # what a child's exit status says
IMPORT = -1  # in place of a test's number


class Mutant(NamedTuple):
    """A mutant by its names, what it changes (lines counted from the one with `def`), and what it is then."""

    module: str
    name: str
    change: str
    lines: frozenset[int]
    size: int
    body: tuple[str, ...]

    @property
    def row(self) -> tuple[str, str, str, str]:
        """As it stands in the table in docs/."""
        function, _, number = self.name.rpartition("__mutmut_")
        function = function.removeprefix("x_").replace("xǁ", "").replace("ǁ", ".")
        return self.module.removeprefix("kargo_lab."), function, number, self.change


def mutate(folder: Path, files: Iterable[Path]) -> Iterator[Mutant]:
    """Copy the project to `folder`, with all mutants written into the chosen files by mutmut."""
    for name in COPIED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    (folder / "setup.cfg").write_text("[mutmut]\nsource_paths=kargo_lab\n")  # mutmut asks for it on import
    os.chdir(folder)
    from mutmut.mutation.file_mutation import mutate_file_contents

    for place in files:
        text = mutate_file_contents(str(place), (folder / place).read_text(), None, set()).code
        (folder / place).write_text(text)
        lines = text.split("\n")
        found = {
            node.name: [line.replace(node.name, "") for line in lines[node.lineno - 1 : node.end_lineno]]
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and "__mutmut_" in node.name
        }
        module = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
        for name, body in found.items():
            if not name.endswith("__mutmut_orig"):
                yield _compared(module, name, found[f"{name.rpartition('__mutmut_')[0]}__mutmut_orig"], body)


def _compared(module: str, name: str, original: list[str], body: list[str]) -> Mutant:
    gone, come, lines = list[str](), list[str](), set[int]()
    for kind, start, end, first, last in difflib.SequenceMatcher(None, original, body, autojunk=False).get_opcodes():
        if kind != "equal":
            gone += (line.strip() for line in original[start:end])
            come += (line.strip() for line in body[first:last])
            lines |= set(range(start, max(end, start + 1)))
    change = f"- {' '.join(gone)} / + {' '.join(come)}".replace("\t", "\\t")
    return Mutant(module, name, change, frozenset(lines), len(original), tuple(body))


class Trial:
    """One test. Without fixtures it is called as it is, which is ten times as quick as by pytest."""

    def __init__(self, item: Any) -> None:
        given = dict(item.callspec.params) if hasattr(item, "callspec") else {}
        marks = {mark.name for mark in item.iter_markers()} - {"parametrize", "hypothesis"}
        self.name, self._item, self._given = item.nodeid, item, given
        self._bare = set(item.fixturenames) <= set(given) and not marks
        if hasattr(item.obj, "hypothesis"):
            health, phases = list(HealthCheck), (Phase.explicit, Phase.generate)
            _plain(item.obj)._hypothesis_internal_use_settings = settings(  # noqa: SLF001 - there is no other way
                max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=health, phases=phases
            )
        began = time.process_time()
        self.usable = self.passes()
        self.seconds = time.process_time() - began
        self.usable &= self.seconds <= SLOWEST

    def passes(self) -> bool:
        """Run it."""
        try:
            if self._bare:
                self._item.obj(**self._given)
                return True
            return not any(each.failed for each in runtestprotocol(self._item, log=False, nextitem=None))
        except BaseException:  # noqa: BLE001 - whatever a test raises
            return False


class Session:
    """A plugin of pytest that tries mutants where pytest would run the tests."""

    def __init__(self, folder: Path, mutants: list[Mutant], jobs: int) -> None:
        self.mutants, self.jobs = mutants, jobs
        self.outcomes: dict[Mutant, str] = {}
        self._found: list[tuple[Any, dict[str, Any]]] = []
        self._lines: dict[str, dict[int, set[int]]] = {}
        self._kills: Counter[str] = Counter()
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=[f"{folder}/kargo_lab/*"])
        stage = types.ModuleType("mutmut.mutation.trampoline")  # not mutmut's own, which slows down every call
        vars(stage).update(wrap_in_trampoline=self._wrapped, MutantDict=dict)
        sys.modules[stage.__name__] = stage
        self._coverage.start()

    def _wrapped(self, table: dict[str, Any], **_kind: bool) -> Callable[[Any], Any]:
        def remembered(function: Any) -> Any:
            self._found.append((_plain(function), table))
            return function

        return remembered

    def pytest_runtestloop(self, session: Any) -> bool:
        """Time the tests, see which lines they run, and try every mutant."""
        self._coverage.stop()
        self._trials = [trial for trial in map(Trial, session.items) if trial.usable]
        print(f"{len(self._trials)} of {len(session.items)} tests, {sum(each.seconds for each in self._trials):.0f} s")
        self._cover()
        self._owners = {f"{f.__module__}.{name}": (f, table) for f, table in self._found for name in table}
        modules = [vars(module).values() for name, module in sys.modules.items() if name.startswith("kargo_lab")]
        self._caches = [each for values in modules for each in values if hasattr(each, "cache_clear")]
        gc.freeze()
        running: dict[int, tuple[Mutant, int]] = {}
        for mutant in self.mutants:
            while len(running) >= self.jobs:
                self._reap(running)
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                os._exit(self._tried(mutant, writing))
            os.close(writing)
            running[child] = mutant, reading
        while running:
            self._reap(running)
        return True

    def _cover(self) -> None:
        """Which tests run a line, by number; IMPORT is none. Only what passes twice may kill."""
        self._coverage.start()
        for number, trial in enumerate(self._trials):
            self._coverage.switch_context(str(number))
            trial.usable = trial.passes()
        self._coverage.stop()
        data = self._coverage.get_data()
        for file in data.measured_files():
            lines = data.contexts_by_lineno(file).items()
            self._lines[file] = {line: {int(each or IMPORT) for each in who} for line, who in lines}

    def _reap(self, running: dict[int, tuple[Mutant, int]]) -> None:
        child, status = os.wait()
        mutant, pipe = running.pop(child)
        self._kills[os.read(pipe, 4096).decode(errors="replace")] += 1
        os.close(pipe)
        told = {SURVIVED: "survived", LATE: "late", -signal.SIGPROF: "time"}
        self.outcomes[mutant] = told.get(os.waitstatus_to_exitcode(status), "killed")

    def _tried(self, mutant: Mutant, pipe: int) -> int:
        """In a child: the exit status that says what became of the mutant."""
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1), os.dup2(silence, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        warnings.simplefilter("error")
        function, table = self._owners[f"{mutant.module}.{mutant.name}"]
        numbers, late = self._concerned(mutant, function.__code__)
        chosen = [self._trials[number] for number in numbers if self._trials[number].usable]
        chosen.sort(key=lambda trial: trial.seconds / (1 + self._kills[trial.name]))
        swapped = _plain(table[mutant.name])
        try:
            function.__code__, function.__defaults__ = swapped.__code__, swapped.__defaults__
        except ValueError:  # the two have other variables from around them
            return LATE
        function.__kwdefaults__ = swapped.__kwdefaults__
        for cache in self._caches:
            cache.cache_clear()
        for trial in chosen:
            signal.setitimer(signal.ITIMER_PROF, PATIENCE + FACTOR * trial.seconds)
            if not trial.passes():
                os.write(pipe, trial.name.encode()[:2000])
                return KILLED
        return LATE if late or not chosen else SURVIVED

    def _concerned(self, mutant: Mutant, code: types.CodeType) -> tuple[set[int], bool]:
        """The tests that run a changed line, or the nearest ones that are run; whether the function ran at import."""
        top = code.co_firstlineno + 1  # behind the decorator
        run = self._lines.get(code.co_filename, {})
        here = [at for at in range(top + 1, top + mutant.size) if at in run]
        wanted = set()
        for line in mutant.lines:
            wanted |= {*[at for at in here if at <= top + line][-1:], *[at for at in here if at >= top + line][:1]}
        return set().union(*(run[at] for at in wanted)) - {IMPORT}, any(IMPORT in run[at] for at in here)


def _plain(function: Any) -> Any:
    return getattr(function, "__func__", function)


def try_late(outcomes: dict[Mutant, str], folder: Path, tests: Iterable[str]) -> None:
    """Try those again for which a swap came too late, each written into its file; its module's tests come first."""
    late = [mutant for mutant, outcome in outcomes.items() if outcome == "late"]
    shutil.copytree(ROOT / "kargo_lab", folder / "kargo_lab", dirs_exist_ok=True)

    def passes(*chosen: str) -> bool:
        command = [sys.executable, "-m", "pytest", *OPTIONS, *chosen]
        active = os.environ | {"PYTHONPATH": str(folder)}
        return subprocess.run(command, cwd=folder, env=active, capture_output=True, check=False).returncode == 0  # noqa: S603

    if late and not passes(*tests):
        print(
            f"The tests fail without a mutant: {len(late)} are not tried in processes of their own, and count as open."
        )
        return
    for mutant in late:
        stem = folder / mutant.module.replace(".", "/")
        file = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        own = Path("tests", *mutant.module.split(".")[1:-1], f"test_{stem.name}.py")
        text = file.read_text()
        file.write_text(written(text, mutant))
        survived = (not own.exists() or passes(str(own))) and passes(*tests)
        outcomes[mutant] = "survived" if survived else "killed"
        file.write_text(text)


def written(text: str, mutant: Mutant) -> str:
    """The text of a module with a mutant in the place of its function."""
    scope: Any = ast.parse(text)
    for name in mutant.row[1].split("."):
        scope = next(node for node in scope.body if getattr(node, "name", "") == name)
    lines = text.split("\n")
    lines[scope.lineno - 1 : scope.end_lineno] = [mutant.body[0].replace("def (", f"def {name}(", 1), *mutant.body[1:]]
    return "\n".join(lines)


def report(outcomes: dict[Mutant, str], update: bool) -> int:
    """Print the score of each module and what survived unexplained; the number of those."""
    head, *old = [line.split("\t") for line in SURVIVORS.read_text().splitlines()]
    reasons = {(module, function, change): why for module, function, _, change, why in old}
    scores: dict[str, Counter[str]] = {}
    rows = []
    for mutant, outcome in sorted(outcomes.items()):
        module, function, _, change = mutant.row
        if outcome in ("survived", "late"):
            rows.append([*mutant.row, reasons.get((module, function, change), OPEN)])
            outcome = "open" if rows[-1][4] == OPEN else "explained"
        for name in (module, "all"):
            scores.setdefault(name, Counter())[outcome] += 1
    print("| module | mutants | killed | by time | explained | open |\n|---|---|---|---|---|---|")
    for name, score in sorted(scores.items()):
        cells = [score.total(), *(score[outcome] for outcome in ("killed", "time", "explained", "open"))]
        print(f"| {name} | {' | '.join(map(str, cells))} |")
    print(*("\t".join(row) for row in rows if row[4] == OPEN), sep="\n")
    if update:
        rows = sorted([*(row for row in old if row[0] not in scores), *rows], key=lambda row: (*row[:2], int(row[2])))
        SURVIVORS.write_text("".join("\t".join(row) + "\n" for row in (head, *rows)))
    return scores["all"]["open"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", nargs="+", default=FILES, help="files or folders, as seen from the project's root")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="where to look for tests")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--update", action="store_true", help="rewrite the rows of these files in the table in docs/")
    chosen = parser.parse_args()
    files = sorted(
        file for name in chosen.files for file in [*(ROOT / name).rglob("*.py"), ROOT / name] if file.is_file()
    )
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name).resolve()
        mutants = list(mutate(folder, [file.relative_to(ROOT) for file in files]))
        print(f"{len(mutants)} mutants in {len(files)} files", flush=True)
        sys.path.insert(0, str(folder))
        session = Session(folder, mutants, chosen.jobs)
        pytest.main([*OPTIONS, "-s", "--no-header", *chosen.tests], plugins=[session])
        try_late(session.outcomes, folder, chosen.tests)
        os.chdir(ROOT)
    return 1 if report(session.outcomes, chosen.update) else 0


if __name__ == "__main__":
    sys.exit(main())
