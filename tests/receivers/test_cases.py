"""Every record of the cases that a verdict decides, on every version that it speaks of; the service runs them in full."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.profiles import Profile
from kargo_lab.receivers import RECEIVERS
from kargo_lab.wire import Acknowledged, Delivery, NoAnswer, PullRequestClosed, Push, Refusal, Verdict

_spec = importlib.util.spec_from_file_location("receiver_cases", Path(__file__).parent / "conftest.py")
assert _spec and _spec.loader
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)

# Decided before or behind the receivers: routes, sizes, life cycles.
_ELSEWHERE = ("CF-", "URL-", "RT-", "GE-")


def _judged(record: dict[str, Any]) -> bool:
    request = record["request"]
    if request is None or record["id"].startswith(_ELSEWHERE) or record["id"] in ("BD-02", "BD-03", "BD-05", "BD-06"):
        return False
    return bool(request["path"].startswith("{path}"))


PAIRS = [
    pytest.param(record, profile, id=f"{record['id']}{record['variant'] or ''} on {profile.name}")
    for record in cases.CASES
    if _judged(record)
    for profile in cases.profiles_of(record)
]


def _answer(verdict: Verdict) -> tuple[int | None, object]:
    match verdict:
        case Refusal(status, reason):
            return status, {"error": reason} if reason else {}
        case Acknowledged(message, empty):
            return 200, None if empty else {"msg": message} if message else {}
        case NoAnswer():
            return None, None
        case Push():
            return 200, "refreshed"
        case PullRequestClosed():
            return 200, "refreshed"
    raise AssertionError(verdict)


@pytest.mark.parametrize(("record", "profile"), PAIRS)
def test_the_verdict_leads_to_the_answer_of_the_case(record: dict[str, Any], profile: Profile) -> None:
    delivery: Delivery = cases.delivery_of(record)
    kind, _ = cases.receiver_of(record)
    verdict = RECEIVERS[kind](delivery, cases.setup_of(record), profile)
    expect = record["expect"]
    status, body = _answer(verdict)
    if body == "refreshed":
        assert "refresh" in str(expect["body"]) or expect["body"] == {}
        assert bool(getattr(verdict, "repo_urls", getattr(verdict, "url", ""))) or not expect["refreshed"]
    else:
        assert (status, body) == (expect["status"], expect["body"])
        assert not expect["refreshed"]
