"""The few shapes that a change has: of a verdict, of a delivery, of a body before it is decoded, of an answer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import attrs

from kargo_lab.conformance.faults.fault import Change
from kargo_lab.wire import Delivery, Push, Refusal, Verdict

DECODE = "kargo_lab.rules.json:decode"
MATCH = "kargo_lab.matching:SubscribedURLs.match"


def always(value: Any) -> Change:
    """A function that answers the same, whatever it is asked."""
    return lambda _right: lambda *_arguments, **_options: value


def instead(value: Any) -> Change:
    """Another value."""
    return lambda _right: value


def verdict(change: Callable[[Verdict], Verdict]) -> Change:
    """A receiver whose conclusion is changed."""
    return lambda receive: lambda delivery, setup, profile: change(receive(delivery, setup, profile))


def push(change: Callable[[Push], Verdict]) -> Change:
    """A receiver whose pushes are changed; all else stays."""
    return verdict(lambda seen: change(seen) if isinstance(seen, Push) else seen)


def delivery(change: Callable[[Delivery], Delivery]) -> Change:
    """A receiver that sees another delivery than the one that came."""
    return lambda receive: lambda seen, setup, profile: receive(change(seen), setup, profile)


def unsigned(receive: Any) -> Any:
    """A receiver that lets every refused signature pass: 401 becomes whatever the rest says to a right one."""

    def wrong(seen: Delivery, setup: Any, profile: Any) -> Verdict:
        found: Verdict = receive(seen, setup, profile)
        return Push(repo_urls=()) if isinstance(found, Refusal) and found.status == 401 else found

    return wrong


def refusals(change: Mapping[int, int]) -> Change:
    """A receiver with other statuses for its refusals."""
    return verdict(
        lambda seen: (
            attrs.evolve(seen, status=change.get(seen.status, seen.status)) if isinstance(seen, Refusal) else seen
        )
    )


def header(name: str, change: Callable[[str], str | None]) -> Change:
    """A receiver that sees another value of a header; None takes it away."""

    def changed(seen: Delivery) -> Delivery:
        value = change(seen.header(name))
        others = tuple(pair for pair in seen.headers if pair[0] != name.lower())
        return attrs.evolve(seen, headers=others if value is None else (*others, (name, value)))

    return delivery(changed)


def raw(change: Callable[[bytes], bytes]) -> Mapping[str, Change]:
    """Every typed body is decoded after a change of its bytes; signatures have been checked by then."""
    return {DECODE: lambda decode: lambda body, shape: decode(change(body), shape)}


def edited(change: Callable[[Any], Any]) -> Mapping[str, Change]:
    """Every typed body is decoded after a change of the document; what is no JSON stays as it is.

    `change` may work in place and give nothing back.
    """

    def changed(body: bytes) -> bytes:
        try:
            document = json.loads(body)
        except ValueError:
            return body
        try:
            result = change(document)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            return body  # another kind of delivery
        return json.dumps(document if result is None else result).encode("utf-8", "surrogatepass")

    return raw(changed)


def answered(change: Callable[[int, list[tuple[str, str]], bytes], tuple[int, list[tuple[str, str]], bytes]]) -> Change:
    """An endpoint whose answers are changed."""

    def wrap(application: Any) -> Any:
        def wrong(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            seen: dict[str, Any] = {}

            def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
                del exc_info
                seen["status"], seen["headers"] = int(status.split(maxsplit=1)[0]), list(headers)
                return lambda _data: None

            body = b"".join(application(environ, started))
            status, headers, body = change(seen["status"], seen["headers"], body)
            start_response(f"{status} Changed", headers)
            return [body]

        return wrong

    return wrap


def asked(change: Callable[[dict[str, Any]], None]) -> Change:
    """An endpoint that sees another request; `change` works on the environ."""

    def wrap(application: Any) -> Any:
        def wrong(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            changed = dict(environ)
            change(changed)
            answer: Iterable[bytes] = application(changed, start_response)
            return answer

        return wrong

    return wrap


def refused_if(condition: Callable[[Mapping[str, Any]], bool], status: int) -> Change:
    """An endpoint that refuses some requests outright."""

    def wrap(application: Any) -> Any:
        def wrong(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if condition(environ):
                start_response(f"{status} Refused", [("Content-Type", "application/json")])
                return [b"{}\n"]
            answer: Iterable[bytes] = application(environ, start_response)
            return answer

        return wrong

    return wrap


def refreshed(change: Callable[[Any, Any, Any, Any], tuple[Any, ...]]) -> Mapping[str, Change]:
    """Another selection of Warehouses: `change(index, push, namespace, matching)` gives those to refresh.

    In process all cases share one second of virtual time, and a second refresh within it sets the token that
    is there already. So each delivery gets a second of its own, or only the first case would see it.
    """
    seconds = itertools.count()

    def later(token: Any) -> Any:
        return lambda now, *given, **options: token(now + timedelta(seconds=next(seconds)), *given, **options)

    def wrap(match: Any) -> Any:
        def wrong(index: Any, pushed: Any, namespace: Any = None) -> Any:
            found = match(index, pushed, namespace)
            return attrs.evolve(found, refresh=tuple(change(index, pushed, namespace, found)))

        return wrong

    return {MATCH: wrap, "kargo_lab.engine.intake:token": later}
