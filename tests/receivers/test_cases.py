"""Every record of the cases that a verdict decides, on every version it speaks of; the service runs them in full."""

import gzip
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from kargo_lab import profiles
from kargo_lab.profiles import Profile
from kargo_lab.receivers import RECEIVERS
from kargo_lab.wire import Acknowledged, Delivery, NoAnswer, PullRequestClosed, Push, Refusal, Setup, Verdict

CASES = json.loads((Path(__file__).parents[1] / "data" / "receiver-cases.json").read_text())["cases"]
NEWEST = {"v1.6": "1.6.4", "v1.7": "1.7.10", "v1.8": "1.8.14", "v1.9": "1.9.10", "v1.10": "1.10.10", "v1.11": "1.11.2"}


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def profiles_of(record: dict[str, Any]) -> list[Profile]:
    """The Kargo versions for which a record holds; a record without an end holds for `latest` too."""
    first = version(record["since"])
    last = version(record["until"]) if record["until"] else None
    found = [
        profiles.get(name)
        for name, newest in NEWEST.items()
        if first <= version(newest) and (last is None or version(newest) <= last)
    ]
    return found if last else [*found, profiles.LATEST]


def delivery_of(record: dict[str, Any]) -> Delivery:
    request = record["request"]
    body = request["body"].encode()
    if repeat := request.get("repeat"):
        document = json.loads(body)
        document[repeat["member"]] = [repeat["item"]] * repeat["count"]
        body = json.dumps(document).encode()
    if request.get("gzip"):
        body = gzip.compress(body)
    body = body.ljust(request.get("padTo", 0))
    headers = [tuple(pair) for pair in request["headers"]]
    if signature := request["signature"]:
        digest = hmac.new(signature["key"].encode(), body, getattr(hashlib, signature["algorithm"])).hexdigest()
        if signature["upperCaseHex"]:
            digest = digest.upper()
        headers.append((signature["header"], signature["prefix"] + digest))
    _, _, query = request["path"].partition("?")
    return Delivery(headers=headers, body=body, query=query, method=request["method"])


def receiver_of(record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    spec = record["setup"]["receiver"]
    return next((key, value) for key, value in spec.items() if key != "name")


def setup_of(record: dict[str, Any], **more: Any) -> Setup:
    secret = next(iter(record["setup"]["secret"].values()))
    _, settings = receiver_of(record)
    return Setup(secret=secret.encode(), virtual_repo_name=settings.get("virtualRepoName", ""), **more)


# Decided before or behind the receivers: routes, sizes, life cycles.
_ELSEWHERE = ("CF-", "URL-", "RT-", "GE-")


def _judged(record: dict[str, Any]) -> bool:
    request = record["request"]
    if request is None or record["id"].startswith(_ELSEWHERE) or record["id"] in ("BD-02", "BD-03", "BD-05", "BD-06"):
        return False
    return bool(request["path"].startswith("{path}"))


PAIRS = [
    pytest.param(record, profile, id=f"{record['id']}{record['variant'] or ''} on {profile.name}")
    for record in CASES
    if _judged(record)
    for profile in profiles_of(record)
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
    delivery: Delivery = delivery_of(record)
    kind, _ = receiver_of(record)
    verdict = RECEIVERS[kind](delivery, setup_of(record), profile)
    expect = record["expect"]
    status, body = _answer(verdict)
    if body == "refreshed":
        assert "refresh" in str(expect["body"]) or expect["body"] == {}
        assert bool(getattr(verdict, "repo_urls", getattr(verdict, "url", ""))) or not expect["refreshed"]
    else:
        assert (status, body) == (expect["status"], expect["body"])
        assert not expect["refreshed"]
