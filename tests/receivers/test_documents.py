"""What the vendors' Go clients take: mutated deliveries, each decoded once by go-github v76 or GitLab's client v1.46.0.

`go-decoding.json` holds our own mutations of our own corpus and whether Go accepted the result.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kargo_lab import payloads, profiles
from kargo_lab.receivers import RECEIVERS
from kargo_lab.receivers.examination import BAD_BODY
from kargo_lab.wire import Setup, Verdict

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "go-decoding.json").read_text())
DELIVERIES = sorted({record["delivery"] for record in RECORDS})


@cache
def _rendered(delivery: str) -> payloads.Request:
    return payloads.render(*delivery.split("/"))


def _verdict(delivery: str, body: bytes) -> Verdict:
    platform = delivery.partition("/")[0]
    request = _rendered(delivery)
    signed = payloads.sign(payloads.Request(headers=request.headers, body=body), platform, b"k")
    return RECEIVERS[platform](signed.delivery(), Setup(secret=b"k"), profiles.LATEST)


def _mutated(record: dict[str, Any]) -> bytes:
    document = json.loads(_rendered(record["delivery"]).body)
    *above, last = record["path"]
    place = document
    for key in above:
        place = place[key]
    place[last] = record["value"]
    return json.dumps(document).encode()


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_member_of_another_type_is_refused_exactly_where_go_refuses_it(delivery: str) -> None:
    records = [record for record in RECORDS if record["delivery"] == delivery]
    differing = [
        (record["path"], record["value"], record["accepted"])
        for record in records
        if not record["accepted"] and _verdict(delivery, _mutated(record)) != BAD_BODY
    ]
    assert not differing, f"of {len(records)} mutations of {delivery} these are accepted: {differing}"


# Accepted by the decoder and refused by what follows it: a package without what makes it one.
_NEEDED = (["package"], ["package", "package_version"], ["registry_package"], ["registry_package", "package_version"])


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_member_that_go_takes_is_taken(delivery: str) -> None:
    records = [record for record in RECORDS if record["delivery"] == delivery]
    differing = [
        (record["path"], record["value"])
        for record in records
        if record["accepted"] and record["path"] not in _NEEDED and _verdict(delivery, _mutated(record)) == BAD_BODY
    ]
    assert not differing, f"of {len(records)} mutations of {delivery} these are refused: {differing}"
