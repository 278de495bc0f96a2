"""Requests: the exact bytes, and every way of signing them rightly and wrongly."""

import hashlib
import hmac

import pytest

from kargo_lab.conformance import requests
from kargo_lab.conformance.cases import load

SIGNED = ("github", "gitea", "bitbucket", "artifactory", "gitlab", "harbor")


@pytest.mark.parametrize("receiver", SIGNED)
def test_no_wrong_word_proves_the_same_as_the_right_one(receiver: str) -> None:
    body, secret = b'{"a":1}', b"s3cr3t"
    right = requests.signature("right", receiver, body, secret)
    others = requests.words(receiver) - {"right"}
    assert [word for word in others if requests.signature(word, receiver, body, secret) == right] == []


def test_the_right_signature_is_the_published_formula() -> None:
    request = requests.build({"event": "push", "body": {"a": 1}}, receiver="github", path="/p", secret=b"k")
    expected = "sha256=" + hmac.new(b"k", b'{"a":1}', hashlib.sha256).hexdigest()
    assert dict(request.headers)["X-Hub-Signature-256"] == expected


def test_padding_is_signed_too() -> None:
    request = requests.build({"body": {}, "pad-to": 10}, receiver="artifactory", path="/p", secret=b"k")
    assert len(request.body) == 10
    assert dict(request.headers)["X-JFrog-Event-Auth"] == hmac.new(b"k", request.body, hashlib.sha256).hexdigest()


def test_a_header_can_be_taken_away_and_added() -> None:
    send = {"event": "push", "headers": {"x-github-event": None, "X-New": "1"}}
    headers = dict(requests.build(send, receiver="github", path="/p", secret=b"k").headers)
    assert "X-GitHub-Event" not in headers
    assert headers["X-New"] == "1"


def test_every_case_signs_in_a_way_its_receiver_knows() -> None:
    wrong = [
        case.id
        for case in load()
        for step in case.steps
        if step.do == "send"
        and step.detail.get("sign", "right") not in requests.words((case.receiver or {}).get("type", ""))
    ]
    assert wrong == []


def test_a_curl_line_quotes_what_a_shell_would_eat() -> None:
    request = requests.Request(method="POST", target="/a?b=1", headers=(("X", "it's"),), body=b"{}")
    assert requests.as_curl(request, "http://127.0.0.1:1").endswith(
        "-H 'X: it'\\''s' --data-binary '{}' 'http://127.0.0.1:1/a?b=1'"
    )
