"""What a Git host knows beside Git: accounts, tokens, repositories, pull requests, hooks.

The records are frozen values in tables; a change puts a new value in the old one's place, so what an
answer or a payload was written from cannot change under it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from kargo_lab.errors import UsageError
from kargo_lab.platforms.git.program import Git
from kargo_lab.platforms.git.repository import GitRepository
from kargo_lab.platforms.git.scene import Account, PullRequest, Repository
from kargo_lab.platforms.hooks import Hook


class UnknownError(UsageError):
    """Something that is not there."""


class TakenError(UsageError):
    """A name that is in use."""


class InvalidCredentialsError(UsageError):
    """Credentials that nobody has."""


@attrs.frozen(kw_only=True)
class Token:
    """An access token. `text` is shown once by the API."""

    id: int
    name: str
    text: str = attrs.field(repr=False)
    account: int
    scopes: tuple[str, ...] = ("all",)
    created_at: datetime


class Forge:
    """The tables, safe for threads. `now` gives the time that records are stamped with."""

    def __init__(self, git: Git, directory: Path, now: Callable[[], datetime]) -> None:
        self._git, self._directory, self.now = git, directory, now
        self.lock = threading.RLock()
        self._ids = 0
        self._passwords: dict[int, str] = {}
        self._locks: dict[int, threading.RLock] = {}
        self.accounts: dict[str, Account] = {}
        self.members: dict[str, set[int]] = {}
        self.tokens: dict[int, Token] = {}
        self.repositories: dict[str, Repository] = {}
        self.pulls: dict[int, list[PullRequest]] = {}
        self.hooks: dict[int, Hook] = {}

    def next_id(self) -> int:
        """A number that was not given out before."""
        with self.lock:
            self._ids += 1
            return self._ids

    # -- accounts ----------------------------------------------------------------------------

    def add_account(self, login: str, *, password: str = "", organization: bool = False, **facts: Any) -> Account:
        """A new user or organisation; raises `TakenError`."""
        with self.lock:
            if login.lower() in self.accounts:
                raise TakenError(f"the name {login} is taken")
            facts.setdefault("email", "" if organization else f"{login}@example.com".lower())
            account = Account(id=self.next_id(), login=login, organization=organization, created_at=self.now(), **facts)
            self.accounts[login.lower()] = account
            if password:
                self._passwords[account.id] = password
            return account

    def account(self, login: str) -> Account:
        """The account of that name; raises `UnknownError`."""
        found = self.accounts.get(login.lower())
        if found is None:
            raise UnknownError(f"there is no account {login}")
        return found

    def logins(self) -> Mapping[str, str]:
        """E-mail address -> login, for naming the authors of commits."""
        with self.lock:
            return {account.email.lower(): account.login for account in self.accounts.values() if account.email}

    def add_token(self, account: Account, name: str, scopes: tuple[str, ...] = ("all",)) -> Token:
        """A new token with a name of its own; raises `TakenError`."""
        with self.lock:
            if any(token.account == account.id and token.name == name for token in self.tokens.values()):
                raise TakenError("access token name has been used already")
            text = hashlib.sha1(secrets.token_bytes(32), usedforsecurity=False).hexdigest()
            token = Token(
                id=self.next_id(), name=name, text=text, account=account.id, scopes=scopes, created_at=self.now()
            )
            self.tokens[token.id] = token
            return token

    def identify(self, authorization: str) -> Account | None:
        """Who sends this `Authorization`; None for nobody; raises `InvalidCredentialsError`.

        A token may stand for the password or for the name in Basic credentials, as on all platforms.
        """
        scheme, _, rest = authorization.strip().partition(" ")
        if not scheme:
            return None
        if scheme.lower() in {"token", "bearer"}:
            return self._by_token(rest.strip())
        if scheme.lower() != "basic":
            raise InvalidCredentialsError("the kind of authorization is not known")
        try:
            name, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as error:
            raise InvalidCredentialsError("the Basic credentials cannot be read") from error
        account = self.accounts.get(name.lower())
        known = self._passwords.get(account.id, "") if account else ""
        if account and known and _same(known, password):
            return account
        for word in (password, name):
            try:
                return self._by_token(word)
            except InvalidCredentialsError:
                continue
        raise InvalidCredentialsError("user name or password is wrong")

    def _by_token(self, text: str) -> Account:
        with self.lock:
            for token in self.tokens.values():
                if _same(token.text, text):
                    return next(account for account in self.accounts.values() if account.id == token.account)
        raise InvalidCredentialsError("the token is not known")

    # -- repositories ------------------------------------------------------------------------

    def add_repository(self, owner: Account, name: str, **facts: Any) -> Repository:
        """A new, empty repository, also on disk; raises `TakenError`."""
        with self.lock:
            key = f"{owner.login}/{name}".lower()
            if key in self.repositories:
                raise TakenError(f"the repository {owner.login}/{name} exists already")
            now = self.now()
            made = Repository(id=self.next_id(), owner=owner, name=name, created_at=now, updated_at=now, **facts)
            self.store(made).initialise(made.default_branch)
            self.repositories[key] = made
            self.pulls[made.id] = []
            self._locks[made.id] = threading.RLock()
            return made

    def repository(self, full_name: str) -> Repository:
        """The repository `owner/name`; raises `UnknownError`."""
        found = self.repositories.get(full_name.lower())
        if found is None:
            raise UnknownError(f"there is no repository {full_name}")
        return found

    def keep_repository(self, changed: Repository) -> Repository:
        """Put a changed record in the old one's place."""
        with self.lock:
            self.repositories[changed.full_name.lower()] = changed
            return changed

    def remove_repository(self, repository: Repository) -> None:
        """Forget a repository, its pull requests and its hooks; the files stay until the host ends."""
        with self.lock:
            del self.repositories[repository.full_name.lower()]
            del self.pulls[repository.id]
            for hook in list(self.hooks.values()):
                if hook.level == "repository" and hook.target.lower() == repository.full_name.lower():
                    del self.hooks[hook.id]

    def store(self, repository: Repository) -> GitRepository:
        """Where its objects lie."""
        return GitRepository(self._git, self._directory / f"{repository.id}.git", repository.object_format)

    def writing(self, repository: Repository) -> threading.RLock:
        """Held by whoever changes the repository's refs, so that each change is told once and in order."""
        return self._locks[repository.id]

    def may_read(self, account: Account | None, repository: Repository) -> bool:
        """True for everybody where it is public."""
        return not repository.private or self.may_write(account, repository)

    def may_write(self, account: Account | None, repository: Repository) -> bool:
        """True for administrators, the owner, and members of the organisation that owns it."""
        if account is None:
            return False
        members = self.members.get(repository.owner.login.lower(), set())
        return account.admin or account.id == repository.owner.id or account.id in members

    # -- pull requests -----------------------------------------------------------------------

    def pull(self, repository: Repository, number: int) -> PullRequest:
        """One pull request by its number; raises `UnknownError`."""
        found = next((pull for pull in self.pulls[repository.id] if pull.number == number), None)
        if found is None:
            raise UnknownError(f"there is no pull request {number} in {repository.full_name}")
        return found

    def keep_pull(self, repository: Repository, changed: PullRequest) -> PullRequest:
        """Add a pull request, or put a changed one in the old one's place."""
        with self.lock:
            pulls = self.pulls[repository.id]
            self.pulls[repository.id] = [*(pull for pull in pulls if pull.number != changed.number), changed]
            self.pulls[repository.id].sort(key=lambda pull: pull.number)
            return changed

    # -- hooks -------------------------------------------------------------------------------

    def add_hook(self, **facts: Any) -> Hook:
        """A new hook with the next ID."""
        with self.lock:
            now = self.now()
            hook = Hook(id=self.next_id(), created_at=now, updated_at=now, **facts)
            self.hooks[hook.id] = hook
            return hook

    def keep_hook(self, changed: Hook) -> Hook:
        """Put a changed hook in the old one's place."""
        with self.lock:
            self.hooks[changed.id] = attrs.evolve(changed, updated_at=self.now())
            return self.hooks[changed.id]

    def hook(self, hook_id: int, *, level: str, target: str = "") -> Hook:
        """The hook of that number at that place; raises `UnknownError`."""
        found = self.hooks.get(hook_id)
        if found is None or (found.level, found.target.lower()) != (level, target.lower()):
            raise UnknownError(f"there is no hook {hook_id} here")
        return found

    def hooks_at(self, level: str, target: str = "") -> list[Hook]:
        """The hooks registered at one place, in order of their numbers."""
        with self.lock:
            found = [
                hook for hook in self.hooks.values() if (hook.level, hook.target.lower()) == (level, target.lower())
            ]
            return sorted(found, key=lambda hook: hook.id)

    def hooks_of(self, repository: Repository) -> list[Hook]:
        """All hooks that hear of a repository: its own, its owner's, the host's."""
        return [
            *self.hooks_at("repository", repository.full_name),
            *self.hooks_at("owner", repository.owner.login),
            *self.hooks_at("system"),
        ]


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
