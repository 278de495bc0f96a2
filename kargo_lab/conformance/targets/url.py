"""Any implementation with a webhook URL, configured by hand: judged by answers and by what it asks the lab's sources.

Nothing of ours runs in the target. Discovery is seen by the requests that arrive, after one settle time for
all cases together; a target that does not discover from the lab's sources says so in its file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from jsonschema import Draft202012Validator

from kargo_lab.conformance import flaws
from kargo_lab.conformance.cases import fill
from kargo_lab.conformance.exchange import Exchange, over_http
from kargo_lab.conformance.plans import Addresses, Plan, receiver_path
from kargo_lab.conformance.reach import place
from kargo_lab.conformance.requests import Request
from kargo_lab.errors import LabError, ManifestError, Misfit, UsageError
from kargo_lab.resources.yaml_lines import documents

if TYPE_CHECKING:
    from kargo_lab.conformance.world import World

log = logging.getLogger(__name__)

SCHEMA = Path(__file__).parents[1] / "schemas" / "target.schema.json"
_LOOK_SECONDS = 0.05


@attrs.frozen(kw_only=True)
class ClusterSettings:
    """Where a real Kargo is configured, and what the suite may do there; the section `kubernetes` of a target file."""

    context: str
    kubeconfig: str = ""  # $KUBECONFIG, or the user's own
    secrets_namespace: str = "kargo-system-resources"
    borrow_cluster_config: bool = False
    timeout_seconds: float = 10.0
    setup_seconds: float = 600.0


@attrs.frozen(kw_only=True)
class ApiSettings:
    """Where a target offers the lab API; the section `lab-api` of a target file. Times are already scaled."""

    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    timeout_seconds: float = 10.0
    setup_seconds: float = 120.0


@attrs.frozen(kw_only=True)
class TargetFile:
    """What a target file says; times are already scaled."""

    name: str
    url: str
    version: str = ""
    profile: str = ""  # as of --profile, which goes before
    features: frozenset[str] = frozenset()
    calls: bool = True
    sources: Addresses | None = None
    listen: str = "127.0.0.1"
    timeout_seconds: float = 10.0
    settle_seconds: float = 5.0
    wait_seconds: float = 0.0
    verify_tls: bool = True
    known_failing: tuple[str, ...] = ()
    known_flaky: tuple[str, ...] = ()
    answers: bool = True
    cases: tuple[str, ...] = ()
    path: str = ""
    digest: tuple[str, ...] = ()
    objects: str = "kargo"
    cluster: ClusterSettings | None = None
    api: ApiSettings | None = None


def read(path: Path, factor: float = 1.0) -> TargetFile:
    """A target file, its times multiplied by `factor` on top of its own `scale`.

    Raises ManifestError with everything that does not fit, each with its line.
    """
    name = str(path)
    try:
        found = documents(path.read_bytes(), name)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ManifestError([Misfit(name, 0, "", f"this target file cannot be read: {reason}")]) from None
    if len(found) != 1:
        what = f"{len(found)} YAML documents" if found else "nothing"
        raise ManifestError([Misfit(name, 0, "", f"expected one mapping with `name:` and `url:`, found {what}")])
    (document,) = found
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    misfits = [*document.problems, *flaws.misfits(validator, document)]
    if not misfits:
        try:
            place(document.value["url"])
        except UsageError as error:
            misfits.append(Misfit(name, document.line(("url",)), "url", str(error)))
    if misfits:
        misfits.append(Misfit(name, 0, "", "`kargo-lab conformance schema target` prints all that may stand here"))
        raise ManifestError(misfits)
    return _target_file(document.value, factor)


def _target_file(document: Mapping[str, Any], factor: float) -> TargetFile:
    scale = factor * float(document.get("scale", 1.0))
    sources = document.get("sources")
    return TargetFile(
        name=document["name"],
        url=document["url"].rstrip("/"),
        version=document.get("version", ""),
        profile=document.get("profile", ""),
        features=frozenset(document.get("features", ())),
        calls=document.get("calls", True),
        sources=Addresses(git=sources["git"], registry=sources["registry"], charts=sources["charts"])
        if sources
        else None,
        listen=(sources or {}).get("listen", "127.0.0.1"),
        timeout_seconds=scale * float(document.get("timeout-seconds", 10.0)),
        settle_seconds=scale * float(document.get("settle-seconds", 5.0)),
        wait_seconds=scale * float(document.get("wait-seconds", 0.0)),
        verify_tls=document.get("verify-tls", True),
        known_failing=tuple(document.get("known-failing", ())),
        known_flaky=tuple(document.get("known-flaky", ())),
        answers=document.get("answers", True),
        cases=tuple(document.get("cases", ())),
        path=document.get("path", ""),
        digest=tuple(document.get("digest", ())),
        objects=document.get("objects", "kargo"),
        cluster=_cluster(document["kubernetes"], scale) if "kubernetes" in document else None,
        api=_api(document["lab-api"], scale) if "lab-api" in document else None,
    )


def _api(section: Mapping[str, Any], scale: float) -> ApiSettings:
    headers = dict(section.get("headers", {}))
    token = section.get("token", "")
    if (name := section.get("token-env")) is not None and not (token := os.environ.get(name, "")):
        raise UsageError(f"the target file takes the token from {name}, but that is not set in the environment")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return ApiSettings(
        url=section["url"].rstrip("/"),
        headers=headers,
        timeout_seconds=scale * float(section.get("timeout-seconds", 10.0)),
        setup_seconds=scale * float(section.get("setup-seconds", 120.0)),
    )


def _cluster(section: Mapping[str, Any], scale: float) -> ClusterSettings:
    return ClusterSettings(
        context=section["context"],
        kubeconfig=section.get("kubeconfig", ""),
        secrets_namespace=section.get("secrets-namespace", "kargo-system-resources"),
        borrow_cluster_config=section.get("cluster-config") == "borrow",
        timeout_seconds=scale * float(section.get("timeout-seconds", 10.0)),
        setup_seconds=scale * float(section.get("setup-seconds", 600.0)),
    )


class Url:
    """A target that the lab cannot configure."""

    def __init__(self, file: TargetFile, profile: str) -> None:
        self.file, self.profile, self.name = file, profile, file.name
        self.offers = frozenset(name for name, offered in (("answer", file.answers), ("calls", file.calls)) if offered)
        self.features = file.features
        self.settle_seconds = file.settle_seconds
        scheme, _, rest = file.url.partition("://")
        host, slash, path = rest.partition("/")
        self._origin, self._base_path = f"{scheme}://{host}", slash + path
        self._world: World | None = None

    def looks_at(self, plan: Plan) -> bool:
        """All repositories, if it asks the lab at all."""
        del plan
        return self.file.calls

    def open(self, plans: Sequence[Plan], world: World) -> None:
        """Wait while somebody applies the manifests, and until the first discoveries that they cause have come to rest.

        A target that was configured before the sources were there has failed by now and tries again when it
        likes, which could not be told from a refresh: so it is better configured while this waits.
        """
        self._world = world
        if not self.file.calls:
            return
        waited = {each.case.slug for each in plans if any(each.repositories.values())}
        until = time.monotonic() + self.file.wait_seconds
        if self.file.wait_seconds:
            log.warning("the sources are up: apply the manifests within %.0f seconds", self.file.wait_seconds)
        while time.monotonic() < until and not waited <= world.asked():
            time.sleep(10 * _LOOK_SECONDS)
        self.settle(plans)

    def path(self, plan: Plan) -> str:
        """By the file's formula or Kargo's: the status of this target cannot be read."""
        if not self.file.path:
            return receiver_path(plan, self._base_path)
        parts = {"secret": plan.secret, "name": plan.receiver_name.encode(), "namespace": plan.namespace.encode()}
        digest = hashlib.sha256(b"".join(parts[name] for name in self.file.digest)).hexdigest()
        names = {"digest": digest, "type": plan.receiver_type, "name": plan.receiver_name, "namespace": plan.namespace}
        return self.below(str(fill(self.file.path, names)))

    def below(self, path: str) -> str:
        """A path that the target publishes, below the path that its URL already has."""
        return self._base_path + path

    def exchange(self, request: Request) -> Exchange:
        """One delivery, on a connection of its own."""
        return over_http(
            self._origin, request, timeout_seconds=self.file.timeout_seconds, verify_tls=self.file.verify_tls
        )

    def state(self, plan: Plan) -> Mapping[str, Any]:
        """Nothing: that is what makes this way of seeing honest."""
        del plan
        return {}

    def change(self, plan: Plan, detail: Mapping[str, Any]) -> None:
        """Cannot be done from here."""
        raise LabError(f"this target is configured by hand, so {plan.case.id} cannot change {', '.join(detail)}")

    def pause(self) -> None:
        """Until the second has changed: implementations may tell refreshes apart by whole seconds."""
        began = int(time.time())
        while int(time.time()) == began:
            time.sleep(_LOOK_SECONDS)

    def settle(self, plans: Sequence[Plan]) -> None:
        """Until the sources have been quiet for the settle time; three times that at the most."""
        del plans
        if self._world is None or not self.file.calls:
            return
        quiet_since, last = time.monotonic(), self._world.arrivals()
        end = quiet_since + 3 * self.settle_seconds
        while time.monotonic() < min(end, quiet_since + self.settle_seconds):
            time.sleep(_LOOK_SECONDS)
            if (seen := self._world.arrivals()) != last:
                quiet_since, last = time.monotonic(), seen

    def close(self) -> None:
        """Nothing was made."""
