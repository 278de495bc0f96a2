"""An implementation that offers the lab API: configured by it, judged by answers, calls and what it says of itself.

The contract is the part of `service/openapi.yaml` that is tagged `conformance` (`kargo-lab conformance openapi`). Every
answer is held to it before anything is read from it, so a target that answers badly gets a sentence and never a
traceback. One that does not answer at all is given up after a few calls: a run must end.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
import yaml
from jsonschema import Draft202012Validator

from kargo_lab.conformance.exchange import Exchange
from kargo_lab.conformance.plans import CLUSTER_SECRETS, OTHER_PROJECT, PROJECT, Plan, configurations, receiver_path
from kargo_lab.conformance.requests import Request
from kargo_lab.conformance.targets.kubernetes import REFRESH, quiet, references
from kargo_lab.conformance.targets.url import ApiSettings, TargetFile, Url
from kargo_lab.errors import LabError, UnofferedError, UsageError
from kargo_lab.service import document

if TYPE_CHECKING:
    from kargo_lab.conformance.world import World

log = logging.getLogger(__name__)

SILENT_AFTER = 3  # calls in a row without an answer, after which the API is asked no more
MOST_BYTES = 64 * 1024**2  # of an answer
_CHUNK = 65536
_FEW = 12  # Warehouses that are asked for one by one; all are listed only when so many of them are done
_LOOK_SECONDS = 0.05
_VIRTUAL_SETTLE_SECONDS = 30.0  # far below the day that is the interval of the cases' Warehouses


class LabApiError(LabError):
    """The lab API refused, answered what its description does not know, or did not answer."""


class Client:
    """The operations of the lab API, each by its operationId. Safe to use from any thread."""

    def __init__(self, settings: ApiSettings, *, verify_tls: bool = True) -> None:
        self._settings, self._verify = settings, verify_tls
        self._local = threading.local()
        self._lock = threading.Lock()
        self._silent = 0
        self._sessions: list[requests.Session] = []
        self._validators: dict[tuple[str, int], Draft202012Validator | None] = {}

    def call(self, operation: str, *names: str, seconds: float | None = None, **sent: Any) -> Any:
        """The document of an answer, None where it has none. `names` fill the path's places, `seconds` is the limit.

        Raises UnofferedError where an operation that need not be offered is refused, and LabApiError for every other
        answer but a success that fits the description.
        """
        if self._silent >= SILENT_AFTER:
            raise LabApiError(f"the lab API was given up: it left {SILENT_AFTER} calls in a row unanswered")
        method, template = _place(operation)
        path = template
        for place, name in zip(_places(template), names, strict=True):
            path = path.replace(place, quote(name, safe=""))
        title = f"{method} {path}"
        limit = seconds or self._settings.timeout_seconds
        try:
            status, body = self._send(method, path, limit, sent)
        except (requests.RequestException, OSError, ValueError) as error:
            with self._lock:
                self._silent += 1
            raise LabApiError(
                f"{title}: the lab API gave no answer: {_reason(error, limit)}; is `url` of `lab-api` right?"
            ) from None
        with self._lock:
            self._silent = 0
        return self._read(operation, title, status, body)

    def _send(self, method: str, path: str, seconds: float, sent: Mapping[str, Any]) -> tuple[int, bytes]:
        until = time.monotonic() + seconds
        with self._session().request(
            method,
            self._settings.url + path,
            timeout=seconds,
            stream=True,
            allow_redirects=False,
            verify=self._verify,
            **sent,
        ) as answer:
            parts: list[bytes] = []
            size = 0
            for piece in answer.iter_content(_CHUNK):
                size += len(piece)
                if size > MOST_BYTES:
                    raise ValueError(f"more than {MOST_BYTES} bytes")
                if time.monotonic() > until:
                    raise requests.Timeout
                parts.append(piece)
            return answer.status_code, b"".join(parts)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False  # neither a proxy nor credentials that nobody gave us
            session.headers.update({**self._settings.headers, "Accept": "application/json"})
            with self._lock:
                self._sessions.append(session)
        return session

    def _read(self, operation: str, title: str, status: int, body: bytes) -> Any:
        if not 200 <= status < 300:
            feature = _OPTIONAL.get(operation)
            if feature is not None and status in _REFUSED:
                told = f"{title} was answered {status}{self._told(body)}"
                raise UnofferedError(f"the target file lists {feature}, but the target does not offer it: {told}")
            raise LabApiError(f"{title}: the lab API answered {status}{_ADVICE.get(status, '')}{self._told(body)}")
        validator = self._validator(operation, status)
        if validator is None:
            return None
        try:
            answer = json.loads(body)
            flaw = next(validator.iter_errors(answer), None)
        except (ValueError, RecursionError):
            raise LabApiError(f"{title}: the lab API answered {status} with something that is not JSON") from None
        if flaw is not None:
            where = flaw.json_path.removeprefix("$").lstrip(".") or "the answer"
            # Not the flaw's own message, which may quote half of the answer.
            raise LabApiError(
                f"{title}: the answer does not fit the description of the lab API: {where} must have "
                f"{flaw.validator} {json.dumps(flaw.validator_value)[:200]}"
            )
        return answer

    def _validator(self, operation: str, status: int) -> Draft202012Validator | None:
        key = (operation, status)
        if key not in self._validators:
            schema = document.schema(operation, status)
            self._validators[key] = None if schema is None else Draft202012Validator(schema)
        return self._validators[key]

    def _told(self, body: bytes) -> str:
        """What the error says, without anything that we sent to be let in."""
        try:
            text = str(json.loads(body)["error"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        values = self._settings.headers.values()
        secrets = {*values, *(value.removeprefix("Bearer ") for value in values)} - {""}
        for secret in sorted(secrets, key=len, reverse=True):  # the longest first: another may be a part of it
            text = text.replace(secret, "***")
        return f": {text[:500]}"

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            for session in self._sessions:
                session.close()


# What an implementation need not offer, by the feature that stands for it, and how one says that it does not.
_OPTIONAL: Mapping[str, str] = {
    "objects": "promotions",
    "putSecret": "secrets-change",
    "deleteSecret": "secrets-change",
    "resync": "secrets-change",
    "step": "time",
}
_REFUSED = frozenset({403, 404, 405, 409, 501})
_ADVICE: Mapping[int, str] = {
    401: " (the token or headers of `lab-api` in the target file are not accepted)",
    403: " (the token or headers of `lab-api` in the target file are not accepted)",
    404: " (there is no such thing, or the operation is not offered: see `kargo-lab conformance openapi`)",
}


def _reason(error: Exception, seconds: float) -> str:
    """In words of ours: the library's own would quote the URL, and differ from one version to the next."""
    if isinstance(error, requests.Timeout):
        return f"none within {seconds:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.ConnectionError):
        return "the connection could not be made, or broke"
    return type(error).__name__


@cache
def _place(operation: str) -> tuple[str, str]:
    for path, item in document.part()["paths"].items():
        for method, each in item.items():
            if isinstance(each, Mapping) and each.get("operationId") == operation:
                return method.upper(), path
    raise KeyError(operation)


def _places(template: str) -> list[str]:
    return [part for part in template.split("/") if part.startswith("{")]


class LabApi:
    """The target of a file with `kind: lab-api`."""

    offers = frozenset({"answer", "calls", "state"})

    def __init__(self, file: TargetFile, profile: str) -> None:
        if file.api is None:
            raise UsageError("a target of the kind lab-api needs a section `lab-api:` with its `url:`")
        self.file, self.profile, self.name, self.settings = file, profile, file.name, file.api
        self.offers = frozenset(
            name for name, offered in (("answer", file.answers), ("calls", file.calls), ("state", True)) if offered
        )
        self.features = file.features
        self.settle_seconds = file.settle_seconds
        self._url, self._client = Url(file, profile), Client(file.api, verify_tls=file.verify_tls)
        self._entries: dict[tuple[str, str], dict[str, str]] = {}
        self._virtual = self._applied = False
        self._lock = threading.Lock()

    def looks_at(self, plan: Plan) -> bool:
        """All repositories, if it asks the lab at all: implementations discover whatever Warehouses subscribe to."""
        del plan
        return self.file.calls

    # Setting up

    def open(self, plans: Sequence[Plan], world: World) -> None:
        """Apply every plan's objects at once; return when they are in force and first discoveries are over."""
        del world  # its addresses are in the plans already
        self._virtual = self._client.call("about")["clock"] == "virtual"
        self._look_around(plans)
        self._applied = True
        self._apply([*configurations(plans), *(each for plan in plans for each in plan.documents)], fresh=True)
        self._await_receivers(plans)
        self._settle(plans, self.settings.setup_seconds)

    def _look_around(self, plans: Sequence[Plan]) -> None:
        """Refuse to replace what somebody has there: applying is as a whole, so it would be gone."""
        ours = {PROJECT, OTHER_PROJECT} | {each.namespace for each in plans}
        for each in self._client.call("warehouses")["items"]:
            if each["namespace"] not in ours and not each["namespace"].startswith(f"{PROJECT}-"):
                raise UsageError(
                    f"the target holds a Warehouse {each['namespace']}/{each['name']}, which is not the suite's; "
                    "everything that it holds would be replaced, so give the suite an instance of its own"
                )

    def _apply(self, documents: Sequence[Mapping[str, Any]], *, fresh: bool) -> None:
        # Through JSON, so that no two objects share a part of a case, which YAML would write as an alias.
        plain = json.loads(json.dumps(documents))
        text = yaml.dump_all(plain, Dumper=_DUMPER, sort_keys=False, allow_unicode=True) if plain else "---\n"
        self._client.call(
            "apply",
            seconds=self.settings.setup_seconds,
            params={"fresh": "true"} if fresh else {},
            data=text.encode(),
            headers={"Content-Type": "application/yaml"},
        )

    def _await_receivers(self, plans: Sequence[Plan]) -> None:
        """Until every configuration that holds a receiver was synced, well or badly."""
        until = time.monotonic() + self.settings.setup_seconds
        wanted = {_home(each) for each in plans if each.receiver is not None}
        while True:
            self._note(self._client.call("receivers"))
            missing = wanted - self._synced
            if not missing:
                return
            if time.monotonic() > until:
                names = ", ".join(sorted(name or "the ClusterConfig" for name in missing))
                raise LabApiError(
                    f"GET /receivers: no condition Ready within {self.settings.setup_seconds:g} s: {names}"
                )
            time.sleep(_LOOK_SECONDS)

    def _note(self, told: Mapping[str, Any]) -> None:
        entries: dict[tuple[str, str], dict[str, str]] = {}
        self._synced = set()
        for item in told["items"]:
            home = "" if item["kind"] == "ClusterConfig" else item["namespace"]
            if any(each["type"] == "Ready" and each["status"] in ("True", "False") for each in item["conditions"]):
                self._synced.add(home)
            for entry in item["webhookReceivers"]:
                entries[(home, entry["name"])] = {"path": entry["path"], "url": entry["url"]}
        self._entries = entries

    # Seeing

    def path(self, plan: Plan) -> str:
        """As the target says, below the URL's own path; the formula's where it publishes none."""
        entry = self._entry(plan)
        return self._url.below(entry["path"]) if entry else receiver_path(plan, self._url.below(""))

    def _entry(self, plan: Plan) -> dict[str, str] | None:
        return self._entries.get((_home(plan), plan.receiver_name))

    def exchange(self, request: Request) -> Exchange:
        """One delivery, on a connection of its own."""
        return self._url.exchange(request)

    def state(self, plan: Plan) -> Mapping[str, Any]:
        """What the target says of the case's Warehouses, Promotions and Freight."""
        found: dict[str, Any] = {"refresh": {}, "discovered": {}, "freight": {}, "conditions": {}, "promotions": {}}
        for short, key in plan.warehouses.items():
            told = self._client.call("warehouse", *key.split("/"))
            status = told["status"]
            found["refresh"][short] = told["refresh"] or ""
            found["discovered"][short] = references(status.get("discoveredArtifacts") or {})
            found["conditions"][short] = {
                each["type"]: [each["status"], each["reason"]] for each in status.get("conditions") or ()
            }
        if any("freight" in step.expect for step in plan.case.steps):
            found["freight"] = self._freight(plan)
        if promotions := plan.case.setup.get("promotions", {}):
            tokens = self._tokens()
            found["promotions"] = {
                short: tokens.get(f"{_project(plan, each)}/{plan.case.slug}-{short}", "")
                for short, each in promotions.items()
            }
        found["receiver"] = self._entry(plan)
        return found

    def _freight(self, plan: Plan) -> dict[str, int]:
        found = {}
        for short, key in plan.warehouses.items():
            namespace, name = key.split("/")
            items = self._client.call("freight", params={"namespace": namespace, "warehouse": name})["items"]
            # Counted all the same, for a target that leaves the parameters alone.
            homes = [(each["metadata"]["namespace"], each["origin"]["name"]) for each in items]
            found[short] = homes.count((namespace, name))
        return found

    def _tokens(self) -> dict[str, str]:
        tokens = {}
        for each in self._client.call("objects", params={"kind": "Promotion"})["items"]:
            metadata = each["metadata"]
            tokens[f"{metadata['namespace']}/{metadata['name']}"] = (metadata.get("annotations") or {}).get(REFRESH, "")
        return tokens

    # Doing

    def change(self, plan: Plan, detail: Mapping[str, Any]) -> None:
        """Rotate or remove the case's Secret, let the status follow, or let time pass."""
        for what, value in detail.items():
            if what in ("secret", "secret-data"):
                self._change_secret(plan, what, value)
            elif what == "resync":
                self._note(self._client.call("resync"))
            elif what == "poll":
                if not self._virtual:
                    raise UnofferedError("the target file lists time, but the target lives by the wall clock")
                self._step(float(value["seconds"]))
            else:
                raise LabError(f"a lab-api target cannot change {what!r}; it knows secret, secret-data, resync, poll")

    def _change_secret(self, plan: Plan, what: str, value: Any) -> None:
        for space in CLUSTER_SECRETS if plan.scope == "cluster" else (plan.namespace,):
            if value is None:
                self._client.call("deleteSecret", space, plan.case.slug)
                continue
            given = {"secret": value} if what == "secret" else {key: str(text) for key, text in value.items()}
            self._client.call("putSecret", space, plan.case.slug, json={"stringData": given})

    def _step(self, seconds: float) -> None:
        with self._lock:
            self._client.call("step", seconds=self.settings.setup_seconds, json={"seconds": seconds})

    def pause(self) -> None:
        """Until the target's second has changed, so that the next token differs."""
        if self._virtual:
            self._step(2.0)
        else:
            self._url.pause()

    def settle(self, plans: Sequence[Plan]) -> None:
        """Until every Warehouse of these cases has handled its last refresh and is not at work."""
        self._settle(plans, self.settle_seconds)

    def _settle(self, plans: Sequence[Plan], seconds: float) -> None:
        if self._virtual:
            self._step(_VIRTUAL_SETTLE_SECONDS)
        until = time.monotonic() + seconds
        waiting = {key for each in plans for key in each.warehouses.values()}
        while waiting and time.monotonic() < until:
            few = sorted(waiting)[:_FEW]  # by their names, which are hashes: so they are no worse than the others
            for key in few:
                self._await(key, until)
            waiting.difference_update(few)
            if waiting:  # a long list is dear to whoever answers it, and to us who check it
                waiting -= _quiet(self._client.call("warehouses")["items"])

    def _await(self, key: str, until: float) -> None:
        while not _quiet([self._client.call("warehouse", *key.split("/"))]) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)

    # Cleaning up

    def close(self) -> None:
        """Take away what was applied; what cannot be taken away is said in the log."""
        try:
            if self._applied:
                self._applied = False
                self._apply([], fresh=True)
        except LabError as error:
            log.warning("left behind in %s: %s", self.name, error)
        finally:
            self._client.close()


_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def _home(plan: Plan) -> str:
    """The namespace of what holds the case's receiver, empty for the ClusterConfig."""
    return "" if plan.scope == "cluster" else plan.namespace


def _project(plan: Plan, promotion: Mapping[str, Any]) -> str:
    return OTHER_PROJECT if promotion.get("project") == "other" else plan.namespace


def _quiet(told: Sequence[Mapping[str, Any]]) -> set[str]:
    """Those of the Warehouses that are done, seen as Kubernetes would show them: a refresh token is an annotation."""
    return {
        f"{each['namespace']}/{each['name']}"
        for each in told
        if quiet({"metadata": {"annotations": {REFRESH: each["refresh"] or ""}}, "status": each["status"]})
    }
