"""pytest's door to the suite, in projects of strangers: each test is a pytest of its own, most in this process."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kargo_lab.conformance import report

pytest_plugins = ["pytester"]
# What a pytest within a test imports, it forgets; what is there already it need not import again.
for _name in ("pytest_items", "page", "exports", "targets.lab_api", "targets.reference", "targets.url"):
    import_module(f"kargo_lab.conformance.{_name}")

PLAIN = ("-p", "kargo_lab.pytest_plugin")
IN_PROCESS = ("--kargo-target", "reference-in-process")
ABSURD = ("--kargo-target", "always-401")
TEXT = ("--kargo-select", "github/authenticity/text")  # two cases, both of which an absurd target fails
CANARY = "the-secret-of-this-receiver"  # of the case security/near-misses/foreign-secret
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others take most of the time to start, and import much
    return lambda *arguments: pytester.runpytest_inprocess(*PLAIN, *map(str, arguments), no_reraise_ctrlc=True)


def ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.stdout.lines if line.startswith("kargo/")]


def written(pytester: pytest.Pytester) -> dict:
    return json.loads((pytester.path / "report" / "report.json").read_text())


def statuses(document: dict) -> list[str]:
    return [case["status"] for case in document["cases"]]


# Items --------------------------------------------------------------------------------------------


def test_every_case_is_an_item_that_is_named_by_its_id(run: Run) -> None:
    found = ids(run(*IN_PROCESS, *TEXT, "--collect-only", "-q"))
    assert found == [
        "kargo/github::github/authenticity/text/missing",
        "kargo/github::github/authenticity/text/wrong",
    ]


def test_the_reference_passes_and_the_run_says_what_it_is_worth(run: Run) -> None:
    result = run(*IN_PROCESS, *TEXT)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*target reference-in-process, profile latest", "passed: 2 pass in *"])


def test_a_failure_is_told_as_in_the_report_without_a_traceback_and_is_one_in_junit(
    run: Run, pytester: pytest.Pytester
) -> None:
    result = run(*ABSURD, *TEXT, "--junit-xml", "junit.xml")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*_ github/authenticity/text/missing _*",
            'body: expected {"error": "missing signature"}, saw {}',
            "--- sent",
            "POST /github/[[]secret *",
            "--- answered",
            "401",
            "curl -sS *",
            "source: GitHub documentation*",
            "again: kargo-lab conformance run --target always-401 * 'github/authenticity/text/missing'",
            "again, with pytest: pytest --kargo-target always-401 * 'kargo/github::github/authenticity/text/missing'",
            "FAILED kargo/github::github/authenticity/text/missing - body: *",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert ".py:" not in result.stdout.str()
    found = [
        (case.get("classname"), case.get("name"), case.find("failure") is not None)
        for case in ET.parse(pytester.path / "junit.xml").iter("testcase")
    ]
    assert ("kargo.github", "github/authenticity/text/missing", True) in found


def test_the_node_id_of_a_failure_can_be_pasted_behind_the_command(run: Run) -> None:
    run(*ABSURD, "kargo/github::github/authenticity/text/missing").assert_outcomes(failed=1)


def test_k_selects_as_usual(run: Run) -> None:
    result = run(*IN_PROCESS, "--kargo-select", "github", "-k", "authenticity and text and missing")
    assert result.parseoutcomes()["passed"] == 1


def test_lf_repeats_what_failed_and_nothing_else(run: Run) -> None:
    chosen = (*ABSURD, "--kargo-select", "github/authenticity")
    first, again = run(*chosen).parseoutcomes(), run(*chosen, "--lf").parseoutcomes()
    assert first["passed"] > 0
    assert (again["failed"], again.get("passed", 0)) == (first["failed"], 0)


# Ends before the end ------------------------------------------------------------------------------


def test_x_judges_nothing_after_the_first_failure_and_the_report_says_so(run: Run, pytester: pytest.Pytester) -> None:
    run(*ABSURD, *TEXT, "-x", "--kargo-report", "report").assert_outcomes(failed=1)
    document = written(pytester)
    assert statuses(document) == ["fail", "disabled"]
    assert "1 of 2 cases was not run: the run was stopped" in document["footer"]["why"]
    assert sorted(path.name for path in (pytester.path / "report").iterdir()) == sorted(report.FILES)


def test_ctrl_c_leaves_a_report_of_what_was_judged_and_is_no_pass(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        def pytest_runtest_logreport(report):
            if report.when == "call":
                raise KeyboardInterrupt
        """
    )
    result = run(*IN_PROCESS, *TEXT, "--kargo-report", "report")
    document = written(pytester)
    assert (result.ret, statuses(document), document["footer"]["outcome"]) == (2, ["pass", "disabled"], "partial")
    result.stdout.fnmatch_lines(["partial: 1 pass, 1 disabled *the run was stopped*this is not a pass"])


# Several processes --------------------------------------------------------------------------------


@pytest.mark.timeout(180)  # two processes import everything, on a machine that may be busy
def test_each_of_several_processes_judges_its_own_items_and_one_report_has_all(
    run: Run, pytester: pytest.Pytester
) -> None:
    chosen = ("--kargo-select", "security/near-misses", "--kargo-report", "report", "--junit-xml", "junit.xml")
    result = run("--kargo-target", "always-200", *chosen, "-p", "xdist.plugin", "-n", 2, "-vv", "-rA", "--showlocals")
    document = written(pytester)
    workers = {line.partition("]")[0] for line in result.stdout.lines if line.startswith("[gw")}
    everything = "".join(path.read_text(errors="replace") for path in pytester.path.rglob("*") if path.is_file())
    assert result.ret == 1
    assert workers == {"[gw0", "[gw1"}
    assert set(statuses(document)) == {"pass", "fail"}
    assert statuses(document).count("fail") == result.parseoutcomes()["failed"]
    result.stdout.fnmatch_lines(["status: expected *", "curl -sS *", "failed: *"])
    assert CANARY not in result.stdout.str() + result.stderr.str() + everything


def test_no_secret_is_shown(run: Run, pytester: pytest.Pytester) -> None:
    chosen = ("--kargo-select", "security/near-misses", "--kargo-report", "report", "--junit-xml", "junit.xml")
    result = run("--kargo-target", "always-200", *chosen, "-vv", "-rA", "--showlocals")
    everything = "".join(path.read_text(errors="replace") for path in pytester.path.rglob("*") if path.is_file())
    assert result.parseoutcomes()["failed"] > 0
    assert CANARY not in result.stdout.str() + result.stderr.str() + everything


@pytest.mark.parametrize(
    "more",
    [
        "kind: lab-api\nlab-api: {url: 'http://127.0.0.1:9'}\ncalls: true\n",
        "calls: true\nsources: {git: 'http://127.0.0.1:3000', registry: '127.0.0.1:5000', charts: 'http://127.0.0.1:8879'}\n",
    ],
    ids=["lab API", "sources at one address"],
)
def test_a_target_with_room_for_one_configuration_is_refused_to_several(
    run: Run, pytester: pytest.Pytester, more: str
) -> None:
    (pytester.path / "my-target.yaml").write_text(f"name: t\nurl: http://127.0.0.1:9\n{more}")
    result = run("--kargo-target", "my-target.yaml", "-p", "xdist.plugin", "-n", 2)
    assert (result.ret, "say -n 0" in result.stderr.str()) == (4, True)


# Targets by URL -----------------------------------------------------------------------------------


@contextmanager
def refusing() -> Iterator[str]:
    """Answers 401 to everything, as no receiver would."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                if connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def target_file(folder: Path, url: str, more: str, *, calls: bool = False) -> Path:
    path = folder / "my-target.yaml"
    path.write_text(f"name: t\nurl: {url}\ncalls: {str(calls).lower()}\n{more}")
    return path


def test_a_url_is_judged_by_its_answers(run: Run) -> None:
    with refusing() as url:
        result = run("--kargo-target", url, "--kargo-select", "github/authenticity")
    outcomes = result.parseoutcomes()
    assert min(outcomes["passed"], outcomes["failed"], outcomes["skipped"]) > 0


def test_what_nobody_could_see_is_skipped_with_the_reason_and_the_run_is_no_pass(run: Run) -> None:
    with refusing() as url:
        result = run("--kargo-target", url, "--kargo-select", "github/authenticity/unsigned", "-rs")
    result.stdout.fnmatch_lines(
        ["partial: *this is not a pass", "SKIPPED * kargo/github*: skip: the answer fits, but this target shows *"]
    )


def test_what_is_known_to_fail_is_expected_to(run: Run, pytester: pytest.Pytester) -> None:
    with refusing() as url:
        target = target_file(pytester.path, url, "known-failing: [github/authenticity/text/missing]\n")
        result = run("--kargo-target", target, "--kargo-select", "github/authenticity/text/missing")
    result.assert_outcomes(xfailed=1)


def test_what_is_known_to_fail_and_passes_fails_the_run(run: Run, pytester: pytest.Pytester) -> None:
    case = "github/authenticity/ping-needs-a-signature"
    with refusing() as url:
        target = target_file(pytester.path, url, f"known-failing: [{case}]\n")
        result = run("--kargo-target", target, "--kargo-select", case)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*"])


def test_what_is_known_to_be_flaky_may_do_both(run: Run, pytester: pytest.Pytester) -> None:
    cases = ["github/authenticity/ping-needs-a-signature", "github/authenticity/text/missing"]
    with refusing() as url:
        target = target_file(pytester.path, url, f"known-flaky: [{', '.join(cases)}]\n")
        result = run("--kargo-target", target, *(word for case in cases for word in ("--kargo-select", case)))
    result.assert_outcomes(xpassed=1, xfailed=1)


def test_a_strict_case_counts_only_where_it_was_asked_for(run: Run) -> None:
    chosen = ("--kargo-target", "always-401", "--kargo-profile", "recommended", "--kargo-level", "strict", "-q")
    loose, strict = run(*chosen).parseoutcomes(), run(*chosen, "--kargo-strict").parseoutcomes()
    assert (loose.get("failed", 0), loose["xfailed"]) == (0, strict["failed"])


def test_where_a_settle_time_has_to_be_waited_for_the_first_of_a_group_judges_the_group(
    run: Run, pytester: pytest.Pytester
) -> None:
    with refusing() as url:
        target = target_file(pytester.path, url, "settle-seconds: 10\n", calls=True)
        chosen = ("--kargo-select", "github/authenticity/text", "--kargo-select", "gitlab/authenticity")
        run("--kargo-target", target, *chosen, "--kargo-factor", "0.001", "-x", "--kargo-report", "report")
    document = written(pytester)
    assert statuses(document)[:2] == ["fail", "fail"]
    assert set(statuses(document)[2:]) == {"disabled"}
    assert document["cases"][0]["rerun"].count("--factor 0.001") == 1
    assert document["footer"]["seconds"] < 8  # each settle time is of 10 ms, and not of 10 s


def test_what_fails_can_be_run_again(run: Run, pytester: pytest.Pytester) -> None:
    result = run(*ABSURD, *TEXT, "--kargo-rerun", "1", "--kargo-report", "report")
    result.assert_outcomes(failed=2)
    assert statuses(written(pytester)) == ["fail", "fail"]


# Wrong words --------------------------------------------------------------------------------------


def test_a_target_that_is_not_there_is_one_error_and_no_failure(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = run("--kargo-target", url)
    assert (result.ret, result.stderr.str().count("reached"), result.stdout.str().count("FAILED")) == (4, 1, 0)
    result.stderr.fnmatch_lines([f"ERROR: nothing was judged,*{url}: Connection refused*"])


def test_a_target_that_cannot_be_set_up_is_one_error_too(run: Run, pytester: pytest.Pytester) -> None:
    with refusing() as url:
        target = target_file(pytester.path, url, f"kind: lab-api\nlab-api: {{url: '{url}'}}\n")
        result = run("--kargo-target", target, "--kargo-select", "github/push")
    assert result.ret == 4
    everything = result.stdout.str() + result.stderr.str()
    assert everything.count("the lab API answered 401") == 1
    assert "FAILED" not in everything


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--kargo-select", "github/psh"), "did you mean github/push"),
        (("--kargo-profile", "v9"), "no profile is called 'v9'"),
        (("--kargo-level", "strict"), "has the level strict"),
        (("--kargo-jobs", "0"), "expected a whole number, 1 or more"),
        (("--kargo-factor", "0"), "expected a number above 0"),
        (("--kargo-report", "test_taken.py"), "nothing can be written into"),
        (("--kargo-target", "nonsense"), "there is no target 'nonsense'"),
        (("--kargo-target", "nonsense.yaml"), "this target file cannot be read"),
        (("kargo/github::github/no-such-case",), "selects no case"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(
    run: Run, pytester: pytest.Pytester, words: tuple[str, ...], says: str
) -> None:
    pytester.makepyfile(test_taken="")
    result = run(*IN_PROCESS, *words)
    assert (result.ret, says in result.stderr.str(), "Traceback" in result.stderr.str()) == (4, True, False)


def test_a_known_failure_that_is_no_case_is_said_before_anything_runs(run: Run, pytester: pytest.Pytester) -> None:
    target = target_file(pytester.path, "http://127.0.0.1:9", "known-failing: [github/no-such-case]\n")
    result = run("--kargo-target", target)
    assert (result.ret, "no such case as github/no-such-case" in result.stderr.str()) == (4, True)


# Strangers' projects ------------------------------------------------------------------------------


def test_without_a_target_nothing_of_the_suite_is_imported_or_collected(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_heavy():
            heavy = {"kargo_lab.conformance", "flask", "requests", "jinja2", "numpy", "rich.console", "click"}
            assert heavy & set(sys.modules) == set()
        """
    )
    strict = ("-W", "error", "--strict-config", "--strict-markers")
    result = pytester.runpytest_subprocess(*PLAIN, *strict, timeout=50)  # in a process that has imported nothing
    result.assert_outcomes(passed=1)
    assert "kargo" not in "".join(line for line in result.stdout.lines if not line.startswith("plugins:"))


def test_the_own_tests_of_a_project_run_only_where_they_are_named(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_own="def test_own(): pass")
    chosen = (*IN_PROCESS, *TEXT)
    run(*chosen).assert_outcomes(passed=2)
    run(*chosen, "test_own.py").assert_outcomes(passed=3)


def test_an_installed_lab_needs_no_option_to_be_there() -> None:
    from importlib.metadata import entry_points

    assert entry_points(group="pytest11")["kargo_lab.pytest_plugin"].value == "kargo_lab.pytest_plugin"
