"""What a run is worth, and the sentence that says why."""

from __future__ import annotations

from typing import Any

import pytest

from kargo_lab.conformance import verdicts


def case(status: str, level: str = "core", sentence: str = "", note: str = "", name: str = "a/b") -> dict[str, Any]:
    return {"id": name, "status": status, "level": level, "sentence": sentence, "note": note}


PASS, KNOWN = case("pass"), case("fail", note=verdicts.KNOWN_FAILING)


@pytest.mark.parametrize(
    ("cases", "outcome", "why"),
    [
        pytest.param([PASS], "passed", "", id="all passed"),
        pytest.param([PASS, case("fail")], "failed", "1 of 2 cases failed", id="a failure"),
        pytest.param(
            [PASS, KNOWN], "passed", "of the failures, 1 is known to the target's owner and so not counted", id="known"
        ),
        pytest.param(
            [PASS, case("fail", "strict")], "passed", "of the failures, 1 is strict and so not counted", id="strict"
        ),
        pytest.param(
            [PASS, case("error", sentence="it hung"), case("error", sentence="it hung")],
            "broken",
            "2 of 3 cases could not be judged: it hung; nothing that was judged failed, but this is neither a pass nor "
            "a failure of the target",
            id="a target that was lost",
        ),
        pytest.param(
            [case("fail"), case("error", sentence="not judged: gone")],
            "failed",
            "1 of 2 cases failed; 1 of 2 cases could not be judged: gone",
            id="lost after a failure",
        ),
        pytest.param(
            [PASS, case("skip", sentence="nobody saw"), case("skip", sentence="nobody saw"), case("unsupported")],
            "partial",
            "3 core cases were not judged (of 2: nobody saw); nothing failed, but this is not a pass",
            id="core cases that were skipped",
        ),
        pytest.param([PASS, case("skip", "extended")], "passed", "", id="an extended case that was skipped"),
        pytest.param(
            [PASS, case("disabled", "extended", verdicts.NOT_RUN)],
            "partial",
            "1 of 2 cases was not run: the run was stopped; nothing failed, but this is not a pass",
            id="stopped",
        ),
        pytest.param(
            [case("skip", "extended")], "partial", "nothing failed, but this is not a pass", id="nothing seen"
        ),
    ],
)
def test_a_run_is_worth(cases: list[dict[str, Any]], outcome: str, why: str) -> None:
    assert (verdicts.outcome(cases), verdicts.why(cases)) == (outcome, why)


def test_a_stale_entry_fails_a_run_in_which_everything_passed() -> None:
    stale = verdicts.stale([PASS], failing=["a/b"], flaky=["gone"], every={"a/b"})
    assert len(stale) == 2
    assert verdicts.outcome([PASS], stale=stale) == "failed"
    assert verdicts.why([PASS], stale=stale).startswith("2 of the target file's known failures are stale")
