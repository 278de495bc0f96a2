"""A Git host that real `git` clones from and pushes to, and that tells its hooks as a named platform would.

Whatever changes a ref, a push over HTTP, the API, a merge or a call from Python, ends in the same comparison of
refs and so in the same hook requests.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from kargo_lab.errors import UsageError
from kargo_lab.platforms.access import AccessLog, Application, Environ, StartResponse
from kargo_lab.platforms.git import changes as git_changes
from kargo_lab.platforms.git import smart_http as git_http
from kargo_lab.platforms.git.bodies import WRITERS
from kargo_lab.platforms.git.forge import Forge, InvalidCredentialsError, UnknownError
from kargo_lab.platforms.git.objects import Person
from kargo_lab.platforms.git.personas import PERSONAS, HookRequest, wants
from kargo_lab.platforms.git.program import Git
from kargo_lab.platforms.git.pulls import PullRequests
from kargo_lab.platforms.git.repository import Content
from kargo_lab.platforms.git.scene import Account, PullRequest, RefChange, Repository, Scene
from kargo_lab.platforms.habits import HABITS, Habit
from kargo_lab.platforms.hooks import Clock, DeliveryRow, Hook, Sender, SystemClock
from kargo_lab.platforms.losses import NO_LOSSES, Losses
from kargo_lab.platforms.lossy_wire import Transport
from kargo_lab.platforms.outgoing import post
from kargo_lab.platforms.serving import Server

Layer = Callable[[Application], Application]


class GitHost(PullRequests):
    """An embedded Git host; a context manager. `persona` is a key of `PERSONAS`.

    `directory` keeps the repositories; without one they end with the host. `public_url` is what payloads say
    instead of the host's own address. While `open_push` is set, who comes without credentials may push to public
    repositories, as their owner. `layers` stand in front, the first one outermost: faults, quotas. Not
    `asynchronous`, deliveries wait for `sender.step()`: for a virtual clock.
    """

    def __init__(
        self,
        *,
        persona: str = "gitea",
        directory: Path | None = None,
        public_url: str = "",
        open_push: bool = True,
        port: int = 0,
        address: str = "127.0.0.1",
        layers: Sequence[Layer] = (),
        clock: Clock | None = None,
        habit: Habit | None = None,
        losses: Losses = NO_LOSSES,
        transport: Transport = post,
        asynchronous: bool = True,
    ) -> None:
        if persona not in PERSONAS:
            raise UsageError(f"there is no Git host {persona}; known are {', '.join(sorted(PERSONAS))}")
        self.persona, self._writer = PERSONAS[persona], WRITERS[persona]
        self.clock: Clock = clock or SystemClock()
        self.sender = Sender(habit or HABITS[self.persona.habit], clock=self.clock, losses=losses, transport=transport)
        self._open_push, self._public_url, self._asynchronous = open_push, public_url.rstrip("/"), asynchronous
        self._given, self._directory = directory, Path()
        self._pushes: dict[int, list[str]] = {}  # options by repository, of those that nobody was told of yet
        self.access_log = AccessLog(self.clock.now)
        application: Application = self
        for layer in reversed(layers):
            application = layer(application)
        self._server = Server(self.access_log.wrap(application), port=port, address=address)
        self._rest: Any = None
        self._open_directory()

    def _open_directory(self) -> None:
        self._directory = self._given or Path(tempfile.mkdtemp(prefix="kargo-lab-git-"))
        if self._given is None:  # also for a host that is made and never started
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        self._git = Git(self._directory / "home")
        self.forge = Forge(self._git, self._directory, self.clock.now)
        self.admin = self.forge.add_account("lab", password="lab-password", admin=True)  # noqa: S106 - embedded only
        self.token = self.forge.add_token(self.admin, "lab").text

    # -- life --------------------------------------------------------------------------------

    def start(self) -> Self:
        """Serve on a free port, or the one that was asked for."""
        if not self._directory.exists():
            self._open_directory()
        self._server.start()
        if self._asynchronous:
            self.sender.start()
        return self

    def stop(self) -> None:
        """Close the port, end all threads, delete what was not asked to be kept."""
        self._server.stop()
        self.sender.stop()
        if self._given is None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return self._server.url

    @property
    def host(self) -> str:
        """Address and port."""
        return self._server.host

    @property
    def stopping(self) -> threading.Event:
        """Set when the end begins; a fault that delays an answer waits on it."""
        return self._server.stopping

    @property
    def public_url(self) -> str:
        """What payloads call this host."""
        return self._public_url or self.url

    @property
    def deliveries(self) -> tuple[DeliveryRow, ...]:
        """Every attempt to deliver a hook."""
        return self.sender.rows

    def clone_url(self, repository: str) -> str:
        """Where `git clone` finds a repository, spelled as the persona spells it in payloads."""
        owner, _, name = repository.partition("/")
        return self.public_url + self.persona.clone_path.format(owner=owner, name=name)

    # -- what one does from Python -----------------------------------------------------------

    def create_repository(self, full_name: str, *, default_branch: str = "main", **facts: Any) -> Repository:
        """A new, empty repository `owner/name`; an owner that is not there becomes a user.

        `facts` are `description`, `private` and `object_format` (`sha1` or `sha256`).
        """
        owner, slash, name = full_name.partition("/")
        if not slash or not owner or not name or "/" in name:
            raise UsageError(f"a repository is called owner/name, not {full_name}")
        with self.forge.lock:
            account = self.forge.accounts.get(owner.lower()) or self.forge.add_account(owner)
            made = self.forge.add_repository(account, name, default_branch=default_branch, **facts)
            for hook in self.forge.hooks_at("default"):  # a default hook is a template for new repositories
                self.forge.add_hook(**_copy(hook, level="repository", target=made.full_name))
            return made

    def commit(
        self,
        repository: str,
        files: Mapping[str, Content],
        *,
        branch: str = "main",
        message: str = "Change files",
        when: datetime | None = None,
        author: Person | None = None,
        start: str = "",
        by: str = "",
    ) -> str:
        """Commit files (None deletes one) onto a branch and tell the hooks; answers the commit's ID.

        A branch that is not there begins at the default branch. `start` (branch, tag or ID) says where the commit goes
        instead, which rewrites an existing branch. `author` has the date of `when` unless it is None.
        """
        record = self.forge.repository(repository)
        store = self.forge.store(record)
        who = self._person(author, when, by)
        git_changes.check_ref_name(f"refs/heads/{branch}")
        with self.pushing(record, self._actor(record, by)):
            parent = store.resolve(start or f"refs/heads/{branch}")
            if start and not parent:
                raise UnknownError(f"there is no commit {start} in {repository}")
            if not parent and branch != record.default_branch:
                parent = store.resolve(f"refs/heads/{record.default_branch}")
            return store.commit(files, branch=branch, message=message, author=who, parent=parent)

    def tag(
        self,
        repository: str,
        name: str,
        *,
        target: str = "main",
        message: str | None = None,
        when: datetime | None = None,
        author: Person | None = None,
        by: str = "",
        by_api: bool = False,
    ) -> str:
        """Create or move a tag, annotated if there is a message; answers the ID of what the ref points at.

        `by_api` lets the hooks tell it as the platform's API does, where that differs from a push.
        """
        record = self.forge.repository(repository)
        store = self.forge.store(record)
        git_changes.check_ref_name(f"refs/tags/{name}")
        with self.pushing(record, self._actor(record, by), by_api=by_api):
            commit = store.resolve(target)
            if not commit:
                raise UnknownError(f"there is no commit {target} in {repository}")
            made = commit
            if message is not None:
                made = store.annotate(name, commit, message, self._person(author, when, by))
            store.set_ref(f"refs/tags/{name}", made)
            return made

    @contextmanager
    def one_push(self, repository: str, *, by: str = "") -> Iterator[None]:
        """The commits, tags and branches made inside are told to the hooks at its end, as the one push they come in."""
        record = self.forge.repository(repository)
        with self.pushing(record, self._actor(record, by)):
            yield

    def tags(self, repository: str, names: Iterable[str], *, target: str = "main", by: str = "") -> None:
        """Create or move many lightweight tags at once; for the hooks it is one push."""
        record = self.forge.repository(repository)
        store = self.forge.store(record)
        with self.pushing(record, self._actor(record, by)):
            commit = store.resolve(target)
            if not commit:
                raise UnknownError(f"there is no commit {target} in {repository}")
            wanted = {f"refs/tags/{name}": commit for name in names}
            for ref in wanted:
                git_changes.check_ref_name(ref)
            store.set_refs(wanted)

    def branch(self, repository: str, name: str, *, target: str = "main", by: str = "") -> str:
        """Create a branch at a commit, or move it there by force; answers the commit's ID."""
        record = self.forge.repository(repository)
        store = self.forge.store(record)
        with self.pushing(record, self._actor(record, by)):
            commit = store.resolve(target)
            if not commit:
                raise UnknownError(f"there is no commit {target} in {repository}")
            store.set_ref(f"refs/heads/{name}", commit)
            return commit

    def delete_ref(self, repository: str, ref: str, *, by: str = "") -> None:
        """Delete a full ref."""
        record = self.forge.repository(repository)
        store = self.forge.store(record)
        with self.pushing(record, self._actor(record, by)):
            if ref not in store.refs():
                raise UnknownError(f"there is no {ref} in {repository}")
            store.delete_ref(ref)

    def refs(self, repository: str) -> dict[str, str]:
        """Full ref -> ID."""
        return self.forge.store(self.forge.repository(repository)).refs()

    def add_hook(
        self,
        target: str = "",
        *,
        url: str,
        secret: str = "",
        events: Iterable[str] = (),
        level: str = "",
        **facts: Any,
    ) -> Hook:
        """Register a hook at `owner/name`, at an owner, or (no target) for the whole host.

        `events` are the platform's names, or the common ones `push`, `create`, `delete`, `tag`, `pull_request`; without
        any, those of the platform. `facts` are the other fields of `Hook`: `content_type`, `branch_filter`,
        `authorization`, `verify_tls`, `active`, `kind`, `settings`.
        """
        if "/" in target:
            self.forge.repository(target)
        level = level or ("repository" if "/" in target else "owner" if target else "system")
        wanted = self.persona.subscribed(events) or self.persona.default_events
        return self.forge.add_hook(target=target, url=url, secret=secret, events=wanted, level=level, **facts)

    def test_hook(self, hook: Hook, repository: str = "", *, ref: str = "") -> str:
        """Press the platform's test button; answers the delivery's GUID, empty if nothing can be sent."""
        record = self.forge.repository(repository or hook.target)
        store = self.forge.store(record)
        name = ref or f"refs/heads/{record.default_branch}"
        head = store.resolve(name)
        if not head:
            return ""
        change = RefChange(ref=name, before=head, after=head, head=store.commits([head])[0])
        scene = self._scene(record, self.admin, changes=(change,))
        return self.sender.send(hook, self._writer.sample(hook, scene))

    def ping_hook(self, hook: Hook) -> str:
        """What GitHub sends to a new hook; answers the delivery's GUID."""
        from kargo_lab.platforms.git.bodies import github

        record = self.forge.repositories.get(hook.target.lower())
        if record is not None:
            return self.sender.send(hook, github.ping(hook, self._scene(record, self.admin)))
        return self.sender.send(
            hook, github.ping_organization(hook, self.forge.account(hook.target), self.admin, self.public_url)
        )

    # -- telling -----------------------------------------------------------------------------

    @contextmanager
    def pushing(self, repository: Repository, sender: Account, *, by_api: bool = False) -> Iterator[list[str]]:
        """Whatever happens to the refs inside is told to the hooks at the end, as one push.

        Push options may be put into the list that is given. What is pushed within another push is part of that one.
        """
        with self.forge.writing(repository):
            if repository.id in self._pushes:
                yield self._pushes[repository.id]
                return
            options = self._pushes[repository.id] = []
            store = self.forge.store(repository)
            before = store.refs()
            try:
                yield options
            finally:
                del self._pushes[repository.id]
            after = store.refs()
            moved = git_changes.changed(before, after, store.zeros)
            if not moved:
                return
            record = self._refreshed(repository, after)
            if self.forge.hooks_of(record):
                limit = self.persona.commit_limit
                changes = git_changes.describe(store, before, after, commit_limit=limit)
                scene = self._scene(record, sender, changes=changes, push_options=tuple(options), by_api=by_api)
                for request in self.persona.requests(changes):
                    self._tell(request, scene)
            self._follow(record, moved, sender)

    def tell_pull(
        self,
        happened: str,
        action: str,
        repository: Repository,
        pull: PullRequest,
        by: Account,
        *,
        previous: str = "",
    ) -> None:
        """Tell the hooks what became of a pull request. `action` is the word that payloads use."""
        scene = self._scene(repository, by, pull=pull, action=action, previous=previous)
        for request in self.persona.pull_requests(happened):
            self._tell(request, scene)

    def _tell(self, request: HookRequest, scene: Scene) -> None:
        for hook in self.forge.hooks_of(scene.repository):
            if wants(hook, request.event, request.changes):
                self.sender.send(hook, self._writer.write(hook, request, scene))

    def _scene(self, repository: Repository, sender: Account, **facts: Any) -> Scene:
        pulls = self.forge.pulls[repository.id]
        branches = sum(ref.startswith("refs/heads/") for ref in self.forge.store(repository).refs())
        return Scene(
            url=self.public_url,
            repository=repository,
            sender=sender,
            now=self.clock.now(),
            notice=self.forge.next_id(),
            logins=self.forge.logins(),
            counts={"branches": branches, "pulls": sum(pull.state == "open" for pull in pulls)},
            **facts,
        )

    def _refreshed(self, repository: Repository, after: Mapping[str, str]) -> Repository:
        """The record after a push: no longer empty, and with a default branch that exists."""
        record = self.forge.repository(repository.full_name)
        branches = [ref.removeprefix("refs/heads/") for ref in after if ref.startswith("refs/heads/")]
        default = record.default_branch
        if record.empty and branches and default not in branches:
            default = branches[0]
            self.forge.store(record).run("symbolic-ref", "HEAD", f"refs/heads/{default}")
        return self.forge.keep_repository(
            attrs.evolve(record, empty=not branches, default_branch=default, updated_at=self.clock.now())
        )

    def _actor(self, repository: Repository, by: str) -> Account:
        if by:
            return self.forge.account(by)
        return self.admin if repository.owner.organization else repository.owner

    def _person(self, given: Person | None, when: datetime | None, by: str) -> Person:
        moment = when or self.clock.now()
        if given is not None:
            return given if when is None else attrs.evolve(given, when=moment)
        account = self.forge.account(by) if by else self.admin
        return Person(account.full_name or account.login, account.email, moment)

    # -- serving -----------------------------------------------------------------------------

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Git's protocol first; what is left is the platform's API."""
        request = git_http.read_request(environ)
        if request is None:
            return self._api(environ, start_response)
        answer = self._git_answer(request, environ)
        start_response(answer.status, answer.headers)
        body: Iterable[bytes] = answer.body
        return body

    def _api(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self._rest is None:
            from kargo_lab.platforms.git.apis.all import application

            self._rest = application(self)
        answer: Iterable[bytes] = self._rest(environ, start_response)
        return answer

    def _git_answer(self, request: git_http.GitRequest, environ: Environ) -> git_http.GitAnswer:
        ask = ("WWW-Authenticate", f'Basic realm="{self.persona.realm}"')
        try:
            account = self.forge.identify(environ.get("HTTP_AUTHORIZATION", ""))
        except InvalidCredentialsError:
            return git_http.plain("401 Unauthorized", "Unauthorized", ask)
        record = self.forge.repositories.get(_repository_name(request.repository).lower())
        open_push = self._open_push and record is not None and not record.private
        allowed = self.forge.may_write if request.writes else self.forge.may_read
        if account is None and not (open_push if request.writes else record is not None and not record.private):
            # Whether a private repository exists is nobody's business: all platforms ask for a name first.
            return git_http.plain("401 Unauthorized", "Unauthorized", ask)
        if record is None or not (self.forge.may_read(account, record) or open_push):
            return git_http.plain("404 Not Found", "Repository not found")
        if account is not None and not allowed(account, record):
            return git_http.plain("403 Forbidden", "You have no permission to push here")
        if not request.service:
            return git_http.plain("403 Forbidden", "Only the smart protocol is spoken here; use a newer git")
        directory = self.forge.store(record).path
        if request.advertise:
            return git_http.advertise(self._git, directory, request.service, environ)
        if not request.writes:
            return git_http.exchange(self._git, directory, request.service, environ)
        with self.pushing(record, account or self._actor(record, "")) as options:
            return git_http.exchange(self._git, directory, request.service, environ, options=options)


def _repository_name(path: str) -> str:
    """`owner/name` in the spellings of all platforms: `scm/owner/name`, `owner/_git/name`, `org/owner/_git/name`."""
    parts = path.strip("/").split("/")
    if "_git" in parts[1:-1]:
        place = parts.index("_git", 1)
        parts = [parts[place - 1], *parts[place + 1 :]]
    elif len(parts) == 3 and parts[0] == "scm":
        parts = parts[1:]
    return "/".join(parts)


def _copy(hook: Hook, **changes: Any) -> dict[str, Any]:
    facts = {field.name: getattr(hook, field.name) for field in attrs.fields(Hook)}
    for name in ("id", "created_at", "updated_at"):
        del facts[name]
    return facts | changes
