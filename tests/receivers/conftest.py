"""The records of `receiver-cases.json` as deliveries, and the profiles that each record speaks of."""

import gzip
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from kargo_lab import profiles
from kargo_lab.profiles import Profile
from kargo_lab.wire import Delivery, Setup

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
