import shlex

import pytest
from pytest_httpserver import HTTPServer

from kargo_lab import payloads
from kargo_lab.errors import UpstreamError, UsageError
from kargo_lab.payloads import Request, as_curl, send


def test_the_very_bytes_arrive_and_the_answer_comes_back(httpserver: HTTPServer) -> None:
    request = payloads.sign(payloads.render("github", "push"), "github", "s3cr3t")
    httpserver.expect_oneshot_request(
        "/github/x", method="POST", headers={"X-GitHub-Event": "push"}, data=request.body
    ).respond_with_json({"msg": "refreshed 1 warehouse(s)"}, status=200)
    outcome = send(request, httpserver.url_for("/github/x"))
    assert (outcome.status, "refreshed 1" in outcome.body) == (200, True)


def test_the_query_of_a_delivery_is_added_to_that_of_the_url(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request("/x", query_string="a=1&tag=v1").respond_with_data("")
    assert send(Request(target="/?tag=v1"), httpserver.url_for("/x?a=1")).status == 200


def test_a_redirect_is_reported_not_followed(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request("/x").respond_with_data("", status=307, headers={"Location": "/y"})
    assert send(Request(), httpserver.url_for("/x")).status == 307


def test_nobody_at_home_is_an_error_of_ours() -> None:
    with pytest.raises(UpstreamError):
        send(Request(), "http://127.0.0.1:9/x", timeout_seconds=1)


@pytest.mark.parametrize("url", ["", "localhost:8080/x", "ftp://h/x"])
def test_what_is_no_http_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError):
        send(Request(), url)


def test_as_curl_quotes_so_that_a_shell_gives_the_same_bytes() -> None:
    body = '{"a": "it\'s $HOME `x` \\\\ ä"}\n'.encode()
    request = Request(headers=(("X-A", "b'c"), ("X-Empty", "")), body=body, target="/?q=1")
    words = shlex.split(as_curl(request, "http://h/p"))
    assert words == [
        *["curl", "-sS", "-i", "-X", "POST", "-H", "X-A: b'c", "-H", "X-Empty;"],
        *["--data-binary", body.decode(), "http://h/p?q=1"],
    ]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"x" * 10000, b"a\r\nb"], ids=["no text", "long", "carriage returns"])
def test_as_curl_pipes_in_what_cannot_be_pasted(body: bytes) -> None:
    line = as_curl(Request(body=body), "http://h/p")
    assert line.startswith("base64 -d <<'END' | curl")
