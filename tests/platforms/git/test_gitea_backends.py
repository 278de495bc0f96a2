"""The same tests against the embedded Gitea, a real one as a process, and one in a container.

Each row of the table of hook requests (platforms.md 10.2) is acted out through Gitea's own API and real git.
Nothing is missing and nothing is more than it should be: the last branch that is made ends the collecting.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import queue
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
import pytest

from kargo_lab.platforms.containers import why_no_container
from kargo_lab.platforms.git.apis.gitea import Gitea
from kargo_lab.platforms.gitea_container import IMAGE, ContainerGitea
from kargo_lab.platforms.gitea_process import ProcessGitea, why_no_gitea

BACKENDS = {
    "embedded": (Gitea, lambda: None),
    "process": (ProcessGitea, why_no_gitea),
    "container": (ContainerGitea, lambda: why_no_container(IMAGE)),
}
SECRET = "s3cr3t"
ZEROS = "0" * 40
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=[
    "embedded", "process", pytest.param("container", marks=pytest.mark.containers)
])  # fmt: skip
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    make, why_not = BACKENDS[request.param]
    if reason := why_not():
        if request.param == "container" and request.config.getoption("--require-containers", default=False):
            pytest.fail(reason)
        pytest.skip(reason)
    with make() as running:
        yield running


@attrs.frozen
class Arrival:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> str:
        return self.headers["x-gitea-event"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def receiver(backend: Any) -> Iterator[tuple[int, dict[str, queue.Queue[Arrival]]]]:
    """A server that sorts what arrives by its path."""
    arrived: dict[str, queue.Queue[Arrival]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            arrived[self.path].put(Arrival(self.path, headers, body))

        def log_message(self, *_: Any) -> None:
            pass

    # A container reaches us from outside; everybody else need not.
    address = "0.0.0.0" if isinstance(backend, ContainerGitea) else "127.0.0.1"
    server = ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], arrived
    server.shutdown()
    server.server_close()
    thread.join()


class Repository:
    """One repository of the backend with a hook for everything, and a clone of it."""

    def __init__(
        self, backend: Any, port: int, arrived: dict[str, queue.Queue[Arrival]], git: Callable[..., str]
    ) -> None:
        self.backend, self.git = backend, git
        self.name = f"app-{next(_NUMBERS)}"
        self.full_name = f"{backend.username}/{self.name}"
        self._arrived = arrived.setdefault(f"/{self.name}", queue.Queue())
        self._url = f"{backend.reach(port)}/{self.name}"

    def create(self, *, auto_init: bool = True, content_type: str = "json") -> None:
        body = {"name": self.name, "auto_init": auto_init, "default_branch": "main"}
        self.call("POST", "/user/repos", body, status=201)
        config = {"url": self._url, "content_type": content_type, "secret": SECRET}
        events = ["push", "create", "delete", "pull_request"]
        hook = {"type": "gitea", "active": True, "events": events, "config": config}
        self.hook = self.call("POST", f"/repos/{self.full_name}/hooks", hook, status=201)["id"]

    def clone(self) -> None:
        self.git("clone", "-q", self.backend.push_url(self.full_name), "work")
        self.git("checkout", "-q", "-B", "main", at="work")

    def commit(self, count: int = 1) -> None:
        for _ in range(count):
            self.git("commit", "-q", "--allow-empty", "-m", "empty", at="work")

    def push(self, *refs: str) -> None:
        self.git("push", "-q", "--force", "origin", *refs, at="work")

    def call(self, method: str, path: str, body: Any = None, *, status: int) -> Any:
        answer = self.backend.call(method, path, body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def api(self, method: str, path: str, body: Any = None, *, status: int) -> Any:
        return self.call(method, f"/repos/{self.full_name}{path}", body, status=status)

    def told(self, count: int) -> list[Arrival]:
        """The `count` requests that must come, and whatever else does; sorted, as workers run side by side.

        A branch that is pushed last, and both of its requests, end the collecting.
        """
        arrivals = [self._arrived.get(timeout=15) for _ in range(count)]
        self.backend.settle()
        last = f"end-{next(_NUMBERS)}"
        self.api("POST", "/branches", {"new_branch_name": last, "old_ref_name": "main"}, status=201)
        ends = 0
        while ends < 2:
            arrival = self._arrived.get(timeout=15)
            if last in arrival.json["ref"]:
                ends += 1
            else:
                arrivals.append(arrival)
        return sorted(arrivals, key=lambda one: (one.event, str(one.json.get("ref"))))

    def events(self, count: int) -> list[str]:
        return [arrival.event for arrival in self.told(count)]


@pytest.fixture
def repository(backend: Any, receiver: Any, git: Callable[..., str]) -> Repository:
    return Repository(backend, *receiver, git)


@pytest.fixture
def app(repository: Repository) -> Repository:
    """A repository with one commit, cloned."""
    repository.create()
    repository.clone()
    return repository


def test_it_is_a_gitea(backend: Any) -> None:
    assert backend.call("GET", "/version").json()["version"].startswith("1.")


def test_the_first_push_to_an_empty_repository(repository: Repository) -> None:
    repository.create(auto_init=False)
    repository.clone()
    repository.commit()
    repository.push("main")
    create, push = repository.told(2)
    assert (create.event, create.json["ref"], create.json["ref_type"]) == ("create", "main", "branch")
    assert (push.event, push.json["before"], push.json["total_commits"]) == ("push", ZEROS, 1)
    assert push.json["compare_url"] == f"{repository.backend.public_url}/"


def test_a_new_branch_with_twelve_commits(app: Repository) -> None:
    app.commit(12)
    app.push("HEAD:refs/heads/long")
    create, push = app.told(2)
    assert (create.json["ref"], create.json["sha"]) == ("long", push.json["after"])
    assert (push.json["before"], push.json["total_commits"], len(push.json["commits"])) == (ZEROS, 10, 5)


def test_a_push_of_seven_commits(app: Repository) -> None:
    app.commit(7)
    app.push("main")
    (push,) = app.told(1)
    assert (push.event, push.json["total_commits"], len(push.json["commits"])) == ("push", 7, 5)
    assert push.json["commits"][0]["id"] == push.json["head_commit"]["id"] == push.json["after"]


def test_a_force_push(app: Repository) -> None:
    app.git("commit", "-q", "--amend", "-m", "other", at="work")
    app.push("main")
    (push,) = app.told(1)
    assert (push.event, push.json["total_commits"]) == ("push", 1)


def test_a_reset_backwards(app: Repository) -> None:
    app.commit()
    app.push("main")
    app.told(1)
    app.push("HEAD~1:main")
    (push,) = app.told(1)
    assert (push.json["total_commits"], push.json["commits"]) == (0, [])


@pytest.mark.parametrize("words", [("v1",), ("-a", "-m", "one", "v1")], ids=["lightweight", "annotated"])
def test_a_new_tag(app: Repository, words: tuple[str, ...]) -> None:
    app.git("tag", *words, at="work")
    app.push("v1")
    create, push = app.told(2)
    assert (create.event, create.json["ref"], create.json["ref_type"]) == ("create", "v1", "tag")
    assert (push.event, push.json["ref"], push.json["before"]) == ("push", "refs/tags/v1", ZEROS)
    assert (push.json["commits"], push.json["total_commits"]) == ([], 0)
    assert create.json["sha"] == push.json["after"] == app.git("rev-parse", "v1", at="work").strip()
    assert push.json["head_commit"]["id"] == app.git("rev-parse", "HEAD", at="work").strip()


def test_a_moved_tag(app: Repository) -> None:
    app.git("tag", "v1", at="work")
    app.push("v1")
    app.told(2)
    app.commit()
    app.git("tag", "-f", "v1", at="work")
    app.push("v1")
    create, push = app.told(2)
    assert (create.event, push.json["before"]) == ("create", ZEROS)


def test_a_deleted_tag(app: Repository) -> None:
    app.git("tag", "v1", at="work")
    app.push("v1")
    app.told(2)
    app.push(":v1")
    delete, push = app.told(2)
    assert (delete.event, delete.json["ref"], delete.json["ref_type"]) == ("delete", "v1", "tag")
    assert (push.json["after"], push.json["commits"], push.json["head_commit"]) == (ZEROS, [], None)


def test_a_deleted_branch(app: Repository) -> None:
    app.push("HEAD:refs/heads/gone")
    app.told(2)
    app.push(":gone")
    (delete,) = app.told(1)
    assert (delete.event, delete.json["ref"], delete.json["pusher_type"]) == ("delete", "gone", "user")


def test_several_refs_in_one_push(app: Repository) -> None:
    app.commit()
    app.git("tag", "v1", at="work")
    app.push("main", "HEAD:refs/heads/other", "v1")
    assert app.events(5) == ["create", "create", "push", "push", "push"]


def content(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_file_created_by_the_api(app: Repository) -> None:
    made = app.api("POST", "/contents/a/b.txt", {"content": content("1"), "message": "one"}, status=201)
    (push,) = app.told(1)
    assert (push.event, push.json["after"]) == ("push", made["commit"]["sha"])
    assert push.json["commits"][0]["added"] == ["a/b.txt"]


def test_a_file_updated_and_deleted_by_the_api(app: Repository) -> None:
    sha = app.api("GET", "/contents/README.md", status=200)["sha"]
    made = app.api("PUT", "/contents/README.md", {"content": content("2"), "sha": sha}, status=200)
    (updated,) = app.told(1)
    app.api("DELETE", "/contents/README.md", {"sha": made["content"]["sha"]}, status=200)
    (deleted,) = app.told(1)
    assert updated.json["commits"][0]["modified"] == deleted.json["commits"][0]["removed"] == ["README.md"]


def test_a_branch_created_and_deleted_by_the_api(app: Repository) -> None:
    app.api("POST", "/branches", {"new_branch_name": "topic", "old_ref_name": "main"}, status=201)
    assert app.events(2) == ["create", "push"]
    app.api("DELETE", "/branches/topic", status=204)
    assert app.events(1) == ["delete"]


def test_a_tag_created_and_deleted_by_the_api(app: Repository) -> None:
    app.api("POST", "/tags", {"tag_name": "v1", "target": "main", "message": "one"}, status=201)
    create, push = app.told(2)
    app.api("DELETE", "/tags/v1", status=204)
    assert app.events(2) == ["delete", "push"]
    # Made by the API, even an annotated tag is told with the ID of its commit.
    assert create.json["sha"] == push.json["after"] == push.json["head_commit"]["id"]


def open_pull(app: Repository) -> int:
    body = {"content": content("1"), "message": "one", "new_branch": "topic"}
    app.api("POST", "/contents/topic.txt", body, status=201)
    number = app.api("POST", "/pulls", {"title": "Topic", "head": "topic", "base": "main"}, status=201)["number"]
    opened = next(arrival for arrival in app.told(3) if arrival.event == "pull_request")
    assert opened.json["action"] == "opened"
    return int(number)


def merge(app: Repository, number: int) -> None:
    """As the real one answers 405 while it still looks whether the merge is possible."""
    for _ in range(50):
        answer = app.backend.call("POST", f"/repos/{app.full_name}/pulls/{number}/merge", {"Do": "merge"})
        if answer.status_code == 200:
            return
        assert answer.status_code == 405, answer.text
        threading.Event().wait(0.1)


def test_a_merged_pull_request(app: Repository) -> None:
    number = open_pull(app)
    merge(app, number)
    closed, push = app.told(2)
    assert (closed.event, closed.json["action"], closed.json["number"]) == ("pull_request", "closed", number)
    assert closed.json["pull_request"]["merged"] is True
    assert closed.json["pull_request"]["merge_commit_sha"] == push.json["after"]
    assert (push.event, push.json["ref"], push.json["total_commits"]) == ("push", "refs/heads/main", 2)


def test_a_closed_pull_request(app: Repository) -> None:
    number = open_pull(app)
    app.api("PATCH", f"/pulls/{number}", {"state": "closed"}, status=201)
    (closed,) = app.told(1)
    assert (closed.json["action"], closed.json["pull_request"]["merged"]) == ("closed", False)


def test_a_deleted_head_closes_its_pull_request(app: Repository) -> None:
    open_pull(app)
    app.push(":topic")
    delete, closed = app.told(2)
    assert (delete.event, closed.event, closed.json["action"]) == ("delete", "pull_request", "closed")


def test_a_moved_head_synchronizes_its_pull_request(app: Repository) -> None:
    open_pull(app)
    app.git("fetch", "-q", at="work")
    app.git("checkout", "-q", "topic", at="work")
    app.commit()
    app.push("topic")
    synchronized, push = app.told(2)
    assert synchronized.headers["x-gitea-event-type"] == "pull_request_sync"
    assert (synchronized.event, synchronized.json["action"]) == ("pull_request", "synchronized")
    assert push.json["ref"] == "refs/heads/topic"


def test_signatures_cover_the_json(app: Repository) -> None:
    app.commit()
    app.push("main")
    (push,) = app.told(1)
    true = hmac.new(SECRET.encode(), push.body, hashlib.sha256).hexdigest()
    old = hmac.new(SECRET.encode(), push.body, hashlib.sha1).hexdigest()
    assert {push.headers["x-gitea-signature"], push.headers["x-gogs-signature"]} == {true}
    assert (push.headers["x-hub-signature-256"], push.headers["x-hub-signature"]) == (f"sha256={true}", f"sha1={old}")


def test_the_headers_of_a_delivery(app: Repository) -> None:
    app.commit()
    app.push("main")
    (push,) = app.told(1)
    names = {name for name in push.headers if name.startswith("x-")}
    families = {
        f"x-{family}-{what}" for family in ("gitea", "gogs", "github") for what in ("delivery", "event", "event-type")
    }
    signatures = {"x-gitea-signature", "x-gogs-signature", "x-hub-signature", "x-hub-signature-256"}
    targets = {"x-gitea-hook-installation-target-type", "x-github-hook-installation-target-type"}
    assert names == families | signatures | targets
    assert push.headers["content-type"] == "application/json"
    assert push.headers["user-agent"] == "Go-http-client/1.1"


def test_the_bytes_of_a_delivery_are_indented(app: Repository) -> None:
    app.commit()
    app.push("main")
    (push,) = app.told(1)
    assert push.body.startswith(b'{\n  "ref": "refs/heads/main",\n  "before": "')
    assert list(push.json) == [
        "ref",
        "before",
        "after",
        "compare_url",
        "commits",
        "total_commits",
        "head_commit",
        "repository",
        "pusher",
        "sender",
    ]


def test_the_addresses_in_a_delivery(app: Repository) -> None:
    app.commit()
    app.push("main")
    repository = app.told(1)[0].json["repository"]
    assert repository["clone_url"] == app.backend.clone_url(app.full_name)
    assert repository["full_name"] == app.full_name
