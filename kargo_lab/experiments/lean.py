"""What lean mode saves: requests of a pass that finds nothing new, counted where they arrive.

For each strategy, kind and login a repository is filled, discovered once, and counted the second time: for one
Warehouse as Kargo asks and as lean mode asks, then for fleets of Warehouses that subscribe to the same repository. In
a fleet Kargo's Warehouses share nothing that would save a request in a warm pass, so theirs is a product; a test
measures it once. The numbers of tags are those of discovery.md 3.11; tokens are good for 300 s, as Docker Hub's.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import attrs
from werkzeug.test import Client
from werkzeug.wrappers import Response

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.discovery import NETWORK
from kargo_lab.platforms.access import AccessLog, Application, Environ, StartResponse
from kargo_lab.platforms.charts import ChartHost
from kargo_lab.platforms.githost import GitHost
from kargo_lab.platforms.oci.auth import Authority, BasicAuthority, BearerAuthority
from kargo_lab.platforms.oci.images import Child, make_image, make_index
from kargo_lab.platforms.registry import Registry
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.artifacts import CommitDiscovery, SubscriptionResult
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription, Subscription
from kargo_lab.sources.credentials import NO_CREDENTIALS, Credentials
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.oci import MANIFEST_TYPES
from kargo_lab.sources.shared import Context, OperatorSettings, Shared

TAGS, LIMIT, PLATFORMS = 50, 20, ("linux/amd64", "linux/arm64")
SIZES = (1, 2, 5, 10, 20, 100)
INTERVAL_SECONDS = 300.0
SMALL_SHARE = 0.1
ROBOT = Credentials(username="robot", password="s3cr3t")  # noqa: S106 - of embedded platforms
LOGINS = {"none": NO_CREDENTIALS, "Basic": ROBOT, "Bearer": ROBOT}
KINDS = {"single": "single images", "index": "indexes of two platforms"}
GOOGLE = "single images, registry of Google"


@attrs.frozen(kw_only=True)
class Saving:
    """Requests of a warm, unchanged pass: Kargo's of one Warehouse, lean mode's of fleets by their size.

    `spread` are those of the largest fleet where its polls are spread over an interval; else all poll together. `pulls`
    are those that Docker Hub would count.
    """

    strategy: str
    login: str
    faithful: int
    lean: dict[int, int]
    spread: int
    pulls: int
    lean_pulls: int

    def share(self, size: int) -> float:
        """What is left of a fleet's requests, 0 to 1."""
        return self.lean[size] / (size * self.faithful)

    @property
    def spread_share(self) -> float:
        """What is left of those of the largest fleet, spread over an interval."""
        return self.spread / (max(SIZES) * self.faithful)

    @property
    def enough(self) -> int:
        """How many Warehouses it takes until at most a tenth is left."""
        return math.ceil(self.lean[1] / (SMALL_SHARE * self.faithful) - 1e-9)


@attrs.frozen
class Subject:
    """What is discovered, with which login, and the log of the platform that is asked."""

    strategy: str
    login: str
    subscription: Subscription
    log: AccessLog


class Asking:
    """One process that discovers, lean or not; it knows what each Warehouse found before."""

    def __init__(self, *, lean: bool, clock: VirtualClock | None = None, profile: Profile = LATEST) -> None:
        self.clock, self.ledger = clock or VirtualClock(), Ledger()
        settings = OperatorSettings(lean=lean, registry_rate_limit=1e6)
        self.shared = Shared(ledger=self.ledger, profile=profile, settings=settings, workers=1)
        self._previous: dict[tuple[str, Subscription], SubscriptionResult] = {}

    def find(
        self, subscription: Subscription, *, warehouse: str = "p/a", credentials: Credentials = NO_CREDENTIALS
    ) -> Any:
        """One discovery of one subscription for one Warehouse."""
        before = self._previous.get((warehouse, subscription))
        context = Context(
            shared=self.shared,
            clock=self.clock,
            warehouse=warehouse,
            subscription=0,
            credentials=credentials,
            previous=before if isinstance(before, CommitDiscovery) else None,
        )
        found = NETWORK[subscription.TYPE](subscription, context)
        self._previous[warehouse, subscription] = found
        return found

    def close(self) -> None:
        """Let go of connections."""
        if self.shared.connections is not None:
            self.shared.connections.close()


def telling(application: Application) -> Application:
    """A registry that tells with its tags what they point at, as Google's do (go-containerregistry, google/list.go)."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].endswith("/tags/list"):
            return application(environ, start_response)
        inside, path = Client(application), environ["PATH_INFO"]
        page, manifests = json.loads(inside.get(path).data), dict[str, dict[str, object]]()
        for tag in page["tags"]:
            head = inside.head(
                path.replace("tags/list", f"manifests/{tag}"), headers={"Accept": ",".join(MANIFEST_TYPES)}
            )
            told = manifests.setdefault(head.headers["Docker-Content-Digest"], {"mediaType": head.mimetype, "tag": []})
            told["tag"] = [*told["tag"], tag]  # type: ignore[misc]  # a list, as made above
        body = json.dumps({**page, "child": [], "manifest": manifests})
        return Response(body, content_type="application/json")(environ, start_response)

    return answer


def subjects(stack: ExitStack, clock: VirtualClock) -> Iterator[Subject]:
    """Filled platforms, which live as long as the stack."""
    users = {ROBOT.username: ROBOT.password}
    authorities: dict[str, Authority | None] = {
        "none": None,
        "Basic": BasicAuthority(users),
        "Bearer": BearerAuthority(users, now=clock.now),
    }
    registries = {
        login: _filled(stack.enter_context(Registry(authority=authority))) for login, authority in authorities.items()
    }
    for kind, words in KINDS.items():
        for strategy in ("SemVer", "Lexical", "NewestBuild", "Digest"):
            for login, registry in registries.items():
                yield _image(f"image {strategy}, {words}", login, registry, kind, strategy)
    google = _filled(stack.enter_context(Registry(layers=[telling])))
    for strategy in ("SemVer", "Lexical", "NewestBuild"):
        yield _image(f"image {strategy}, {GOOGLE}", "none", google, "single", strategy)
    yield from _commits(stack)
    yield from _charts(stack, registries)


def _filled(registry: Registry) -> Registry:
    for number in range(TAGS):
        version = f"1.{number}.0"
        registry.push("acme/single", make_image(version, created="2026-01-01T00:00:00Z"), version)
        children = [Child(make_image(f"{version} {each}", platform=each), each) for each in PLATFORMS]
        registry.push("acme/index", make_index(children), version)
    return registry


def _image(title: str, login: str, registry: Registry, kind: str, strategy: str) -> Subject:
    image = ImageSubscription(
        repo_url=f"{registry.host}/acme/{kind}",
        image_selection_strategy=strategy,
        constraint=f"1.{TAGS - 1}.0" if strategy == "Digest" else "",
        discovery_limit=LIMIT,
    )
    return Subject(title, login, image, registry.access_log)


def _commits(stack: ExitStack) -> Iterator[Subject]:
    githost = stack.enter_context(GitHost())
    githost.forge.add_account(ROBOT.username, password=ROBOT.password, admin=True)
    for login, name in (("none", "acme/open"), ("Basic", "acme/closed")):
        githost.create_repository(name, private=login == "Basic")
        githost.commit(name, files={"README.md": "hello"}, message="first")
        githost.tags(name, [f"1.{number}.0" for number in range(TAGS)])
    for strategy in ("NewestFromBranch", "SemVer", "Lexical", "NewestTag"):
        for login, name in (("none", "acme/open"), ("Basic", "acme/closed")):
            url = f"{githost.url}/{name}.git"
            commits = GitSubscription(repo_url=url, commit_selection_strategy=strategy)
            yield Subject(f"git {strategy}", login, commits, githost.access_log)


def _charts(stack: ExitStack, registries: dict[str, Registry]) -> Iterator[Subject]:
    for login, users in (("none", None), ("Basic", {ROBOT.username: ROBOT.password})):
        charts = stack.enter_context(ChartHost(users=users))
        for number in range(TAGS):
            charts.push_chart("web", f"1.{number}.0")
        classic = ChartSubscription(repo_url=charts.url, chart_name="web")
        yield Subject("chart, classic", login, classic, charts.access_log)
    for login, registry in registries.items():
        chart = ChartSubscription(repo_url=f"oci://{registry.host}/acme/single")
        yield Subject("chart, OCI", login, chart, registry.access_log)


def measure(*, wanted: Callable[[Subject], bool] = lambda _subject: True) -> tuple[Saving, ...]:
    """Every strategy, or those that are wanted, on embedded platforms."""
    clock = VirtualClock()
    with ExitStack() as stack:
        return tuple(_saving(each, clock, stack) for each in subjects(stack, clock) if wanted(each))


def _saving(subject: Subject, clock: VirtualClock, stack: ExitStack) -> Saving:
    faithful, lean = Asking(lean=False, clock=clock), Asking(lean=True, clock=clock)
    stack.callback(lean.close)

    def look(asking: Asking, number: int) -> None:
        asking.find(subject.subscription, warehouse=f"p/{number}", credentials=LOGINS[subject.login])

    def counted(asking: Asking, warehouses: int, apart_seconds: float = 0.0) -> tuple[int, int]:
        clock.advance(INTERVAL_SECONDS)
        asking.ledger.clear()
        subject.log.clear()
        for number in range(warehouses):
            look(asking, number)
            clock.advance(apart_seconds)
        pulls = sum(row.kind.startswith("manifest") for row in asking.ledger.requests)
        return len(subject.log.rows), pulls

    look(faithful, 0)
    for number in range(max(SIZES)):
        look(lean, number)
    (one, pulls), by_size = counted(faithful, 1), {size: counted(lean, size) for size in SIZES}
    return Saving(
        strategy=subject.strategy,
        login=subject.login,
        faithful=one,
        lean={size: requests for size, (requests, _) in by_size.items()},
        spread=counted(lean, max(SIZES), INTERVAL_SECONDS / max(SIZES))[0],
        pulls=pulls,
        lean_pulls=by_size[max(SIZES)][1],
    )


HEADINGS = (
    "",
    "login",
    "Kargo",
    "lean",
    *(f"{size}" for size in SIZES),
    "at most 10 % from",
    f"{max(SIZES)}, spread",
)


def as_markdown(savings: tuple[Saving, ...]) -> str:
    """The table of docs/lean.md; logins that cost the same share a line."""
    logins: dict[tuple[str, ...], list[str]] = {}
    for each in savings:
        left = [f"{100 * each.share(size):.1f} %" for size in SIZES]
        numbers = (f"{each.faithful}", f"{each.lean[1]}", *left, f"{each.enough}", f"{100 * each.spread_share:.1f} %")
        logins.setdefault((each.strategy, *numbers), []).append(each.login)
    lines = [HEADINGS, ("---", "---", *["---:"] * (len(HEADINGS) - 2))]
    lines += [(strategy, ", ".join(known), *numbers) for (strategy, *numbers), known in logins.items()]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(as_markdown(measure()))
