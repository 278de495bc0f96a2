"""Real git against the embedded host: every way of fetching and pushing that a discovery client may use."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.forge import TakenError, UnknownError
from kargo_lab.platforms.git.objects import Person
from kargo_lab.platforms.git.repository import MergeConflictError
from kargo_lab.platforms.githost import GitHost

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROTOCOLS = [pytest.param(version, id=f"protocol version {version}") for version in ("0", "1", "2")]


@pytest.fixture
def host():
    with GitHost() as running:
        running.create_repository("acme/app")
        yield running


def fill(host: GitHost, commits: int = 3) -> list[str]:
    return [host.commit("acme/app", {f"file-{n}": "x" * n}, when=WHEN) for n in range(commits)]


@pytest.mark.parametrize("version", PROTOCOLS)
def test_what_is_pushed_can_be_cloned(host: GitHost, git, work, version: str, tmp_path: Path) -> None:
    work(host)
    pushed = work("a/b.txt", "text")
    git("-c", f"protocol.version={version}", "push", "-q", "origin", "main", at="work")
    git("-c", f"protocol.version={version}", "clone", "-q", f"{host.url}/acme/app.git", "again")
    assert git("rev-parse", "HEAD", at="again").strip() == pushed
    assert (tmp_path / "again/a/b.txt").read_text() == "text"


@pytest.mark.parametrize("version", PROTOCOLS)
def test_ls_remote_shows_all_refs(host: GitHost, git, version: str) -> None:
    head = fill(host)[-1]
    tag = host.tag("acme/app", "v1.0.0", message="one", when=WHEN)
    shown = git("-c", f"protocol.version={version}", "ls-remote", f"{host.url}/acme/app.git").split()
    assert set(shown) >= {"HEAD", "refs/heads/main", "refs/tags/v1.0.0", "refs/tags/v1.0.0^{}", head, tag}


@pytest.mark.parametrize(
    "path",
    ["acme/app.git", "acme/app", "scm/acme/app.git", "acme/_git/app", "organization/acme/_git/app", "Acme/APP.git"],
)
def test_a_repository_answers_under_the_addresses_of_all_platforms(host: GitHost, git, path: str) -> None:
    head = fill(host)[-1]
    assert head in git("ls-remote", f"{host.url}/{path}")


@pytest.mark.parametrize("version", PROTOCOLS)
def test_a_shallow_clone_has_one_commit(host: GitHost, git, version: str) -> None:
    fill(host)
    git("-c", f"protocol.version={version}", "clone", "-q", "--depth=1", f"{host.url}/acme/app.git", "shallow")
    assert git("rev-list", "--count", "HEAD", at="shallow").strip() == "1"


def test_a_shallow_clone_can_be_deepened(host: GitHost, git) -> None:
    fill(host)
    git("clone", "-q", "--depth=1", f"{host.url}/acme/app.git", "shallow")
    git("fetch", "-q", "--unshallow", at="shallow")
    assert git("rev-list", "--count", "HEAD", at="shallow").strip() == "3"


@pytest.mark.parametrize("version", PROTOCOLS)
def test_a_blobless_clone_has_no_file_contents(host: GitHost, git, version: str) -> None:
    fill(host)
    url = f"{host.url}/acme/app.git"
    git("-c", f"protocol.version={version}", "clone", "-q", "--filter=blob:none", "--no-checkout", url, "blobless")
    missing = git("rev-list", "--objects", "--all", "--missing=print", at="blobless").splitlines()
    assert sum(line.startswith("?") for line in missing) == 3


def test_a_blobless_clone_fetches_contents_when_they_are_needed(host: GitHost, git, tmp_path: Path) -> None:
    fill(host)
    git("clone", "-q", "--filter=blob:none", "--no-checkout", f"{host.url}/acme/app.git", "blobless")
    git("checkout", "-q", "main", at="blobless")
    assert (tmp_path / "blobless/file-2").read_text() == "xx"


def test_a_commit_can_be_fetched_by_its_id(host: GitHost, git) -> None:
    first = fill(host)[0]
    git("init", "-q", "bare")
    git("fetch", "-q", f"{host.url}/acme/app.git", first, at="bare")
    assert git("rev-parse", "FETCH_HEAD", at="bare").strip() == first


def test_a_force_push_rewrites_a_branch(host: GitHost, git, work) -> None:
    fill(host)
    work(host)
    git("reset", "-q", "--hard", "HEAD~2", at="work")
    other = work("other", "history")
    git("push", "-q", "--force", "origin", "main", at="work")
    assert host.refs("acme/app")["refs/heads/main"] == other


def test_tags_are_pushed_and_deleted(host: GitHost, git, work) -> None:
    fill(host)
    work(host)
    git("tag", "v1", at="work")
    git("tag", "-a", "-m", "two", "v2", at="work")
    git("push", "-q", "origin", "v1", "v2", at="work")
    git("push", "-q", "--delete", "origin", "v1", at="work")
    assert [ref for ref in host.refs("acme/app") if "tags" in ref] == ["refs/tags/v2"]


def test_a_push_sent_in_chunks_arrives_whole(host: GitHost, git, work, tmp_path: Path) -> None:
    work(host)
    (tmp_path / "work" / "big").write_bytes(bytes(range(256)) * 8192)
    git("-c", "core.compression=0", "add", "big", at="work")
    git("commit", "-qm", "big", at="work")
    git("-c", "http.postBuffer=1024", "-c", "core.compression=0", "push", "-q", "origin", "main", at="work")
    store = host.forge.store(host.forge.repository("acme/app"))
    assert store.entries("main", "big")[0].size == 256 * 8192


def test_a_request_may_be_compressed(host: GitHost) -> None:
    head = fill(host)[-1]
    want = f"0032want {head}\n00000009done\n".encode()
    answer = requests.post(
        f"{host.url}/acme/app.git/git-upload-pack",
        data=gzip.compress(want),
        headers={"Content-Encoding": "gzip", "Content-Type": "application/x-git-upload-pack-request"},
        timeout=10,
    )
    assert answer.content.startswith(b"0008NAK\nPACK")


@pytest.mark.parametrize(
    ("body", "encoding", "kind", "status"),
    [
        pytest.param(b"0000", "", "text/plain", 415, id="of another type"),
        pytest.param(b"no gzip", "gzip", "application/x-git-upload-pack-request", 400, id="not compressed as it says"),
        pytest.param(gzip.compress(b"0000")[:-9], "gzip", "application/x-git-upload-pack-request", 400, id="cut off"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(
    host: GitHost, body: bytes, encoding: str, kind: str, status: int
) -> None:
    headers = {"Content-Encoding": encoding, "Content-Type": kind}
    answer = requests.post(f"{host.url}/acme/app.git/git-upload-pack", data=body, headers=headers, timeout=10)
    assert answer.status_code == status


def test_version_2_is_advertised_without_a_service_line(host: GitHost) -> None:
    url = f"{host.url}/acme/app.git/info/refs?service=git-upload-pack"
    assert requests.get(url, headers={"Git-Protocol": "version=2"}, timeout=10).text.startswith("000eversion 2\n")


def test_the_dumb_protocol_is_refused_with_a_sentence(host: GitHost) -> None:
    answer = requests.get(f"{host.url}/acme/app.git/info/refs", timeout=10)
    assert (answer.status_code, "smart protocol" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("repository", "service", "credentials", "status"),
    [
        pytest.param("acme/app", "git-upload-pack", None, 200, id="anybody reads what is public"),
        pytest.param("acme/app", "git-upload-pack", ("lab", "wrong"), 401, id="wrong credentials are refused"),
        pytest.param("acme/app", "git-receive-pack", None, 401, id="nobody pushes without a name"),
        pytest.param("acme/app", "git-receive-pack", ("lab", "lab-password"), 200, id="an administrator pushes"),
        pytest.param("acme/app", "git-receive-pack", ("acme", "pw"), 200, id="the owner pushes"),
        pytest.param("acme/app", "git-receive-pack", ("eve", "pw"), 403, id="another user does not push"),
        pytest.param("acme/secret", "git-upload-pack", None, 401, id="a private repository asks for a name"),
        pytest.param("acme/secret", "git-upload-pack", ("acme", "pw"), 200, id="the owner reads it"),
        pytest.param("acme/secret", "git-upload-pack", ("eve", "pw"), 404, id="others do not learn that it exists"),
        pytest.param("acme/none", "git-upload-pack", None, 401, id="a missing repository asks for a name"),
        pytest.param("acme/none", "git-upload-pack", ("acme", "pw"), 404, id="a missing repository is not found"),
    ],
)
def test_who_may_do_what(repository: str, service: str, credentials: tuple[str, str] | None, status: int) -> None:
    with GitHost(open_push=False) as host:
        host.forge.add_account("acme", password="pw")
        host.forge.add_account("eve", password="pw")
        host.create_repository("acme/app")
        host.create_repository("acme/secret", private=True)
        url = f"{host.url}/{repository}.git/info/refs?service={service}"
        assert requests.get(url, auth=credentials, timeout=10).status_code == status


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param("lab:{token}", id="as the password"),
        pytest.param("{token}:", id="as the name"),
        pytest.param("x-access-token:{token}", id="beside any name"),
    ],
)
def test_a_token_opens_a_push(git, work, credentials: str) -> None:
    with GitHost(open_push=False) as host:
        host.create_repository("acme/app")
        work(host)
        head = work("a", "1")
        url = f"http://{credentials.format(token=host.token)}@{host.host}/acme/app.git"
        git("push", "-q", url, "main", at="work")
        assert host.refs("acme/app")["refs/heads/main"] == head


def test_commits_are_reproducible() -> None:
    with GitHost() as one, GitHost() as two:
        for host in (one, two):
            host.create_repository("acme/app")
            fill(host)
            host.tag("acme/app", "v1", message="one", when=WHEN, author=Person("Ann", "ann@example.com", WHEN))
        assert one.refs("acme/app") == two.refs("acme/app")


def test_a_new_branch_begins_at_the_default_branch(host: GitHost) -> None:
    head = fill(host)[-1]
    new = host.commit("acme/app", {"n": "1"}, branch="feature/x", when=WHEN)
    store = host.forge.store(host.forge.repository("acme/app"))
    assert store.commits([new])[0].parents == (head,)


def test_a_start_rewrites_a_branch(host: GitHost) -> None:
    first = fill(host)[0]
    new = host.commit("acme/app", {"n": "1"}, start=first, when=WHEN)
    assert host.forge.store(host.forge.repository("acme/app")).commits([new])[0].parents == (first,)


def test_a_file_is_deleted_with_none(host: GitHost) -> None:
    fill(host)
    host.commit("acme/app", {"file-0": None}, when=WHEN)
    store = host.forge.store(host.forge.repository("acme/app"))
    assert [entry.path for entry in store.entries("main")] == ["file-1", "file-2"]


@pytest.mark.parametrize("style", ["merge", "squash", "rebase", "rebase-merge"])
def test_branches_are_merged(host: GitHost, style: str) -> None:
    fill(host)
    host.commit("acme/app", {"theirs": "1"}, branch="other", when=WHEN)
    host.commit("acme/app", {"ours": "1"}, when=WHEN)
    host.merge("acme/app", "other", style=style, when=WHEN)
    store = host.forge.store(host.forge.repository("acme/app"))
    assert {"ours", "theirs"} <= {entry.path for entry in store.entries("main")}


def test_a_conflict_is_an_error(host: GitHost) -> None:
    fill(host)
    host.commit("acme/app", {"same": "1"}, branch="other", when=WHEN)
    host.commit("acme/app", {"same": "2"}, when=WHEN)
    with pytest.raises(MergeConflictError):
        host.merge("acme/app", "other", when=WHEN)


@pytest.mark.parametrize(
    ("act", "error"),
    [
        pytest.param(lambda host: host.create_repository("acme/app"), TakenError, id="a name twice"),
        pytest.param(lambda host: host.create_repository("acme"), UsageError, id="a name without owner"),
        pytest.param(lambda host: host.commit("acme/none", {"a": "1"}), UnknownError, id="an unknown repository"),
        pytest.param(lambda host: host.tag("acme/app", "v1", target="none"), UnknownError, id="an unknown target"),
        pytest.param(lambda host: host.delete_ref("acme/app", "refs/tags/none"), UnknownError, id="an unknown ref"),
        pytest.param(lambda host: host.commit("acme/app", {}, branch="a\nb"), UsageError, id="a branch of two lines"),
        pytest.param(lambda host: host.add_hook("acme/none", url="http://x/"), UnknownError, id="a hook at nothing"),
        pytest.param(lambda host: GitHost(persona="sourceforge"), UsageError, id="an unknown persona"),
    ],
)
def test_mistakes_are_told(host: GitHost, act, error: type[Exception]) -> None:
    with pytest.raises(error):
        act(host)


def test_a_repository_of_sha256_is_served(git) -> None:
    with GitHost() as host:
        host.create_repository("acme/app", object_format="sha256")
        head = host.commit("acme/app", {"a": "1"}, when=WHEN)
        assert len(head) == 64
        assert head in git("ls-remote", f"{host.url}/acme/app.git")


def test_the_access_log_has_every_request_of_a_clone(host: GitHost, git) -> None:
    fill(host)
    host.access_log.clear()
    git("-c", "protocol.version=2", "clone", "-q", f"{host.url}/acme/app.git", "again")
    rows = [(row.method, row.path, row.status) for row in host.access_log.rows]
    ask = ("POST", "/acme/app.git/git-upload-pack", 200)
    assert rows == [("GET", "/acme/app.git/info/refs", 200), ask, ask]


def test_repositories_in_a_given_directory_stay(tmp_path: Path) -> None:
    with GitHost(directory=tmp_path / "git") as host:
        made = host.create_repository("acme/app")
    assert (tmp_path / "git" / f"{made.id}.git" / "HEAD").exists()


def test_ten_hosts_leave_nothing_behind() -> None:
    threads, ports, folders = threading.active_count(), [], []
    for _ in range(10):
        with GitHost() as host:
            host.create_repository("acme/app")
            host.add_hook("acme/app", url="http://127.0.0.1:9/")
            host.commit("acme/app", {"a": "1"})
            ports.append(int(host.host.rpartition(":")[2]))
            folders.append(host._directory)
    assert threading.active_count() == threads
    assert not any(folder.exists() for folder in folders)
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_host_can_be_started_again() -> None:
    host = GitHost()
    for _ in range(2):
        with host:
            host.create_repository("acme/app")
            assert requests.get(f"{host.url}/api/healthz", timeout=10).ok


def test_many_tags_are_made_at_once_beside_those_that_were_there(host: GitHost, git) -> None:
    head = fill(host)[-1]
    host.tag("acme/app", "annotated", message="one", when=WHEN)
    host.tags("acme/app", (f"v{number}" for number in range(2000)))
    shown = git("ls-remote", "--tags", f"{host.url}/acme/app.git").splitlines()
    assert len(shown) == 2002
    assert f"{head}\trefs/tags/annotated^{{}}" in shown
    assert f"{head}\trefs/tags/v1999" in shown


@pytest.mark.parametrize("name", ["a b", "a..b", "a~", "x.lock", "a//b", "a.", "@{", "", ".a"])
def test_names_that_git_refuses_are_refused(host: GitHost, name: str) -> None:
    fill(host, 1)
    with pytest.raises(UsageError):
        host.tags("acme/app", [name])


def test_layers_stand_in_front() -> None:
    def closed(_application):
        def answer(_environ, start_response):
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]

        return answer

    with GitHost(layers=[closed]) as host:
        assert requests.get(f"{host.url}/a/b.git/info/refs?service=git-upload-pack", timeout=10).status_code == 503
        assert host.access_log.rows[0].status == 503


def test_an_author_cannot_break_out_of_the_name(host: GitHost) -> None:
    who = Person("Eve\ncommitter <x>", "eve@example.com>\n", WHEN)
    made = host.commit("acme/app", {"a": "1"}, author=who)
    commit = host.forge.store(host.forge.repository("acme/app")).commits([made])[0]
    assert (commit.author.name, commit.author.email) == ("Evecommitter x", "eve@example.com")


def test_what_is_done_in_one_push_is_told_once(host: GitHost) -> None:
    fill(host, 1)
    host.add_hook("acme/app", url="http://127.0.0.1:9/", events=("push",))
    with host.one_push("acme/app"):
        for number in range(3):
            host.commit("acme/app", {"a": str(number)})
    assert host.sender.settle()
    (delivery,) = host.deliveries
    assert len(json.loads(delivery.request_body)["commits"]) == 3
