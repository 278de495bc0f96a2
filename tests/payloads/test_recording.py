import http.client
import json
from pathlib import Path

import pytest
import requests

from kargo_lab import payloads
from kargo_lab.payloads import parse, redaction
from kargo_lab.payloads.recording import Recorder


def _redacted(platform: str, event: str, variant: str = "", **settings: object) -> payloads.File:
    request = payloads.sign(payloads.render(platform, event, variant, **settings), platform, "s3cr3t")
    return redaction.redact(request)


def test_secrets_and_signatures_are_left_out() -> None:
    names = {name.lower() for name, _ in _redacted("gitea", "push", "authorization").headers}
    assert not names & redaction.SECRET_HEADERS


@pytest.mark.parametrize(
    ("platform", "event"),
    [("github", "push"), ("gitlab", "push"), ("gitea", "push"), ("bitbucket", "repo:push"), ("azure", "git.push")],
)
def test_persons_are_not_recognisable(platform: str, event: str) -> None:
    text = _redacted(platform, event).text.decode()
    assert [word for word in ("Mira", "Holm", "mira-holm", "mira@") if word in text] == []


@pytest.mark.parametrize(
    ("platform", "event"), [("github", "push"), ("gitlab", "push"), ("gitea", "push"), ("bitbucket", "repo:push")]
)
def test_what_a_receiver_reads_stays(platform: str, event: str) -> None:
    before = payloads.render(platform, event)
    after = _redacted(platform, event).request()
    kept = [
        json.loads(body)["repository"].get("full_name", "") or json.loads(body)["repository"]["name"]
        for body in (before.body, after.body)
    ]
    assert kept[0] == kept[1]


def test_the_hash_of_a_url_is_left_out() -> None:
    request = payloads.Request(target=f"/github/{'a' * 64}?x=1", body=b"{}")
    assert redaction.redact(request).target == "/github?x=1"


def test_addresses_of_machines_and_people_go_from_text_that_is_no_json() -> None:
    request = payloads.Request(body=b"pushed by a.b@corp.example from 10.1.2.3 to git@github.com:o/r")
    assert redaction.redact(request).request().body == (
        b"pushed by redacted@example.com from 192.0.2.1 to git@github.com:o/r"
    )


def test_a_form_stays_a_form() -> None:
    file = _redacted("github", "push", "form")
    assert (file.notes["body"], file.request().body[:8]) == ("form", b"payload=")


def test_a_recorded_delivery_is_a_file_that_reads_back(tmp_path: Path) -> None:
    request = payloads.sign(payloads.render("github", "push"), "github", "s3cr3t")
    with Recorder(tmp_path, status=202) as recorder:
        outcome = payloads.send(request, f"{recorder.url}/github/{'0' * 64}")
    (path,) = tmp_path.iterdir()
    assert (outcome.status, path.name, parse(path.read_bytes()).target) == (202, "0001-push.http", "/github")


def test_exact_recording_keeps_body_and_signature(tmp_path: Path) -> None:
    request = payloads.sign(payloads.render("gitea", "push"), "gitea", "s3cr3t")
    with Recorder(tmp_path, exact=True) as recorder:
        payloads.send(request, recorder.url)
    again = payloads.read(recorder.files[0])
    assert (again.body, again.header("x-gitea-signature")) == (request.body, request.header("x-gitea-signature"))


def test_a_chunked_delivery_is_put_together(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        requests.post(recorder.url, data=iter([b'{"a":', b"1}"]), timeout=5)
    assert payloads.read(recorder.files[0]).body == b'{"a":1}'


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        connection = http.client.HTTPConnection(recorder.url.removeprefix("http://"), timeout=5)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", str(10**9))
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
    assert (status, recorder.files) == (413, [])
