"""The endpoint's own checks, in Kargo's order: receivers.md 3.1 to 3.4."""

from __future__ import annotations

import io
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab import profiles
from kargo_lab.engine.intake import Route
from kargo_lab.profiles import Profile
from kargo_lab.service import webhook
from kargo_lab.service.webhook import LIMIT, Reply, Request, Webhook, respond
from kargo_lab.wire import Answer, Delivery, NoAnswer, Setup

ROUTE = Route(path="/github/x", type="github", name="r", namespace="p1", setup=Setup(secret=b"s"))


@attrs.define
class FakeLab:
    """One receiver at one path, which answers what it is told to."""

    profile: Profile = profiles.LATEST
    answer: Answer | NoAnswer = attrs.field(
        factory=lambda: Answer(status=200, body={"msg": "refreshed 1 warehouse(s)"})
    )
    seen: list[Delivery] = attrs.field(factory=list)
    asked: list[str] = attrs.field(factory=list)
    error: Exception | None = None

    def route(self, path: str) -> Route | Answer:
        self.asked.append(path)
        return ROUTE if path == ROUTE.path else Answer(status=404)

    def deliver(self, _route: Route, delivery: Delivery) -> Answer | NoAnswer:
        if self.error:
            raise self.error
        self.seen.append(delivery)
        return self.answer


def request(target: str = ROUTE.path, body: bytes = b"{}", *, method: str = "POST", **changes: Any) -> Request:
    stream = io.BytesIO(body)
    given = {"method": method, "target": target, "content_length": len(body), "read": stream.read}
    return Request(**{**given, **changes})


def reply(lab: FakeLab, **changes: Any) -> Reply:
    answered = respond(request(**changes), lab)
    assert isinstance(answered, Reply)
    return answered


def told(answered: Reply) -> tuple[int, Any]:
    return answered.status, json.loads(answered.body)


def test_an_answer_is_json_that_ends_in_a_line_feed() -> None:
    answered = reply(FakeLab())
    assert answered.body == b'{"msg":"refreshed 1 warehouse(s)"}\n'
    assert dict(answered.headers) == {"Content-Type": "application/json", "Content-Length": "35"}


def test_json_is_escaped_as_go_escapes_it() -> None:
    lab = FakeLab(answer=Answer(status=400, body={"error": "event type <a&b> is not supported"}))
    assert reply(lab).body == b'{"error":"event type \\u003ca\\u0026b\\u003e is not supported"}\n'


def test_an_answer_without_a_body_has_no_content_type() -> None:
    answered = reply(FakeLab(answer=Answer(status=200, body=None)))
    assert (answered.body, answered.headers) == (b"", (("Content-Length", "0"),))


def test_an_unknown_path_is_404_and_its_body_is_not_read() -> None:
    def unread(_count: int) -> bytes:
        raise AssertionError

    assert told(reply(FakeLab(), target="/nope", read=unread, content_length=3 * 1024**2)) == (404, {})


@pytest.mark.parametrize(
    ("profile", "chunked", "expected"),
    [
        pytest.param("latest", False, (413, {"error": "content exceeds limit of 2097152 bytes"}), id="Content-Length"),
        pytest.param("latest", True, (500, {}), id="chunked"),
        pytest.param("v1.7", True, (500, {}), id="chunked, 1.7"),
        pytest.param("v1.6", True, (413, {"error": "content exceeds limit of 2097152 bytes"}), id="chunked, 1.6"),
        pytest.param("recommended", True, (413, {"error": "content exceeds limit of 2097152 bytes"}), id="recommended"),
    ],
)
def test_a_body_of_three_mebibytes_is_refused(profile: str, chunked: bool, expected: tuple[int, Any]) -> None:
    lab = FakeLab(profile=profiles.get(profile))
    length = None if chunked else 3 * 1024**2
    answered = reply(lab, body=b"x" * (3 * 1024**2), chunked=chunked, content_length=length)
    assert (told(answered), lab.seen) == (expected, [])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_exactly_the_limit_is_accepted(chunked: bool) -> None:
    lab = FakeLab()
    reply(lab, body=b"x" * LIMIT, chunked=chunked, content_length=None if chunked else LIMIT)
    assert len(lab.seen[0].body) == LIMIT


def test_a_body_in_pieces_is_put_together() -> None:
    pieces = [b"ab", b"c", b""]
    lab = FakeLab()
    reply(lab, chunked=True, content_length=None, read=lambda _count: pieces.pop(0))
    assert lab.seen[0].body == b"abc"


def test_a_body_that_ends_early_is_an_internal_error() -> None:
    assert told(reply(FakeLab(), body=b"{", content_length=2)) == (500, {})


def test_a_body_that_cannot_be_read_is_an_internal_error() -> None:
    def broken(_count: int) -> bytes:
        raise OSError

    assert told(reply(FakeLab(), read=broken)) == (500, {})


def test_a_request_without_length_and_framing_has_no_body() -> None:
    lab = FakeLab()
    reply(lab, content_length=None)
    assert lab.seen[0].body == b""


def test_head_is_processed_and_answered_without_a_body() -> None:
    lab = FakeLab()
    answered = reply(lab, method="HEAD")
    assert (answered.body, dict(answered.headers)["Content-Length"], len(lab.seen)) == (b"", "35", 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_every_method_is_processed(method: str) -> None:
    lab = FakeLab()
    reply(lab, method=method)
    assert lab.seen[0].method == method


@pytest.mark.parametrize("value", ["the-unexpected", "100-continues", "200-ok"])
def test_an_expectation_that_cannot_be_promised_is_417_before_any_path_is_looked_at(value: str) -> None:
    lab = FakeLab()
    answered = reply(lab, target="/nope", headers=(("Expect", value),))
    assert (answered.status, answered.body, lab.asked) == (417, b"", [])


@pytest.mark.parametrize("value", ["", "100-continue", "100-Continue", "x, 100-continue"])
def test_an_expectation_to_continue_is_met(value: str) -> None:
    lab = FakeLab()
    assert reply(lab, headers=(("Expect", value),)).status == 200


def test_options_of_everything_is_answered_by_the_server() -> None:
    lab = FakeLab()
    assert reply(lab, method="OPTIONS", target="*").status == 200
    assert lab.asked == []


@pytest.mark.parametrize("target", ["/a%zz", "nope", "*"])
def test_a_target_that_is_no_path_is_a_bad_request(target: str) -> None:
    answered = reply(FakeLab(), target=target)
    assert (answered.status, answered.body) == (400, b"400 Bad Request")


@pytest.mark.parametrize(
    ("profile", "status"),
    [("latest", 307), ("v1.10", 307), ("v1.9", 301), ("v1.8", 301), ("v1.7", 404), ("v1.6", 404)],
)
def test_an_unclean_path_is_redirected_since_there_is_a_mux(profile: str, status: int) -> None:
    assert reply(FakeLab(profile=profiles.get(profile)), target="//github/x").status == status


def test_connect_is_never_redirected() -> None:
    assert reply(FakeLab(), method="CONNECT", target="//github/x").status == 404


@pytest.mark.parametrize(("profile", "status"), [("latest", 200), ("v1.8", 200), ("v1.7", 404)])
def test_the_health_endpoint_is_there_since_1_8(profile: str, status: int) -> None:
    assert reply(FakeLab(profile=profiles.get(profile)), target="/healthz").status == status


def test_a_healthy_answer_has_neither_body_nor_content_type() -> None:
    answered = reply(FakeLab(), target="/healthz", method="GET")
    assert (answered.body, answered.headers) == (b"", (("Content-Length", "0"),))


def test_escapes_are_decoded_before_comparison_and_the_query_is_set_aside() -> None:
    lab = FakeLab()
    reply(lab, target="/githu%62%2Fx?q=%31&r")
    assert (lab.asked, lab.seen[0].query) == (["/github/x"], "q=%31&r")


def test_a_path_that_is_no_utf_8_is_unknown() -> None:
    assert reply(FakeLab(), target="/%ff").status == 404


def test_the_host_is_no_header_and_everything_else_is() -> None:
    lab = FakeLab()
    reply(lab, headers=(("Host", "h"), ("X-A", "1"), ("x-a", "2"), ("X_B", " 3 "), ("Content-Length", "2")))
    assert lab.seen[0].headers == (("x-a", "1"), ("x-a", "2"), ("x_b", "3"), ("content-length", "2"))


def test_no_answer_is_no_answer() -> None:
    nothing = NoAnswer("a handler panicked")
    assert respond(request(), FakeLab(answer=nothing)) is nothing


def test_a_defect_is_an_internal_error_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert told(reply(FakeLab(error=RuntimeError("defect")))) == (500, {})
    assert "the endpoint failed" in caplog.text


# The WSGI side ----------------------------------------------------------------------------------------


def called(lab: FakeLab, **environ: Any) -> tuple[str, dict[str, str], bytes]:
    started: list[Any] = []
    body = b"".join(
        Webhook(lab)(
            {"REQUEST_METHOD": "POST", "PATH_INFO": ROUTE.path, "wsgi.input": io.BytesIO(b"{}"), **environ},
            lambda status, headers: started.append((status, headers)),
        )
    )
    ((status, headers),) = started
    return status, dict(headers), body


def test_a_plain_environ_is_enough() -> None:
    lab = FakeLab()
    status, _, body = called(
        lab, CONTENT_LENGTH="2", HTTP_X_GITHUB_EVENT="push", CONTENT_TYPE="text/x", QUERY_STRING="a=b"
    )
    assert (status, body) == ("200 OK", b'{"msg":"refreshed 1 warehouse(s)"}\n')
    seen = lab.seen[0]
    assert (seen.header("X-GitHub-Event"), seen.header("content-type"), seen.query) == ("push", "text/x", "a=b")


def test_headers_of_an_environ_are_utf_8() -> None:
    lab = FakeLab()
    called(lab, HTTP_X_A="ä".encode().decode("latin-1"))
    assert lab.seen[0].header("x-a") == "ä"


def test_the_raw_target_is_used_where_the_server_tells_it() -> None:
    lab = FakeLab()
    called(lab, REQUEST_URI="/a%2Fb?x", PATH_INFO="/a/b")
    called(lab, RAW_URI="/a/%2e%2e/b", PATH_INFO="/a/../b")
    assert lab.asked == ["/a/b", "/a/../b"]


def test_a_decoded_path_is_taken_for_what_it_says() -> None:
    lab = FakeLab()
    called(lab, PATH_INFO="/ä?%".encode().decode("latin-1"))
    called(lab, PATH_INFO="/日本")
    assert lab.asked == ["/ä?%", "/日本"]


def test_a_transfer_encoding_without_length_is_a_chunked_body() -> None:
    lab = FakeLab()
    called(lab, HTTP_TRANSFER_ENCODING="chunked")
    assert lab.seen[0].body == b"{}"


def test_a_server_that_can_close_is_asked_to() -> None:
    closed: list[bool] = []
    with pytest.raises(webhook.ConnectionClosedError):
        called(FakeLab(answer=NoAnswer("x")), **{webhook.CLOSE: lambda: closed.append(True)})
    assert closed == [True]


def test_a_status_that_has_no_name_is_written_all_the_same() -> None:
    assert called(FakeLab(answer=Answer(status=299)))[0] == "299"


@given(
    target=st.text(st.characters(codec="utf-8"), max_size=12) | st.text("/.%2f?#", max_size=12),
    method=st.sampled_from(["GET", "HEAD", "POST", "CONNECT", "OPTIONS", ""]),
    body=st.binary(max_size=8),
    length=st.none() | st.integers(0, 10),
    chunked=st.booleans(),
    profile=st.sampled_from([*profiles.PROFILES]),
)
def test_whatever_comes_is_answered(
    target: str, method: str, body: bytes, length: int | None, chunked: bool, profile: str
) -> None:
    lab = FakeLab(profile=profiles.get(profile))
    answered = reply(lab, target=target, method=method, body=body, content_length=length, chunked=chunked)
    assert 200 <= answered.status < 600
