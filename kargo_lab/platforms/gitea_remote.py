"""A Gitea that is reached over HTTP: what the embedded one, a process and a container have in common.

Tests and experiments speak Gitea's own API through `call`, so that they cannot tell one from the other.
"""

from __future__ import annotations

import secrets
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests

from kargo_lab.errors import UpstreamError

SECONDS = 30
USERNAME = "lab"


class GiteaAddress:
    """`url` without a slash at the end; `username`, `password` and `token` are an administrator's."""

    url: str
    username: str
    password: str
    token: str

    @property
    def api_url(self) -> str:
        """Where its API begins, without a slash at the end."""
        return f"{self.url}/api/v1"

    def push_url(self, repository: str) -> str:
        """Where `git push` may go, with the administrator's credentials inside."""
        return f"http://{self.username}:{self.token}@{urlsplit(self.url).netloc}/{repository}.git"

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        """One call below the API, as the administrator; whatever its status."""
        headers = {"Authorization": f"token {self.token}"} | options.pop("headers", {})
        return requests.request(method, f"{self.api_url}{path}", json=json, headers=headers, timeout=SECONDS, **options)

    def reach(self, port: int) -> str:
        """How this Gitea calls a port of our machine, without a slash at the end."""
        return f"http://127.0.0.1:{port}"

    def settle(self) -> None:
        """Return when its deliveries are made, as far as that can be seen from here."""


class RemoteGitea(GiteaAddress):
    """A Gitea that somebody runs; `start` waits for it and, without a token, makes one with the password."""

    def __init__(self, url: str = "", *, username: str = USERNAME, password: str = "", token: str = "") -> None:
        self.url, self.username, self.token = url.rstrip("/"), username, token
        self.password = password or secrets.token_urlsafe(12)

    @property
    def host(self) -> str:
        """Address and port."""
        return urlsplit(self.url).netloc

    @property
    def public_url(self) -> str:
        """What its payloads call it: its ROOT_URL, which the process and the container set to `url`."""
        return self.url

    def clone_url(self, repository: str) -> str:
        """Where `git clone` finds a repository."""
        return f"{self.url}/{repository}.git"

    def start(self) -> Self:
        """Wait until it is healthy, and have a token."""
        self.wait(SECONDS)
        if not self.token:
            self.token = self._new_token()
        return self

    def stop(self) -> None:
        """Nothing: it is not ours."""

    def wait(self, seconds: float) -> None:
        """Return when `/api/healthz` answers 200; raises `UpstreamError` when it takes too long."""
        end = time.monotonic() + seconds
        said = "no answer"
        while time.monotonic() < end:
            try:
                answer = requests.get(f"{self.url}/api/healthz", timeout=2)
            except requests.RequestException as error:
                said = str(error)
            else:
                if answer.ok:
                    return
                said = answer.text
            time.sleep(0.1)
        raise UpstreamError(f"Gitea at {self.url} did not become healthy in {seconds:.0f} s: {said[-300:]}")

    def _new_token(self) -> str:
        body = {"name": f"lab-{secrets.token_hex(4)}", "scopes": ["all"]}
        url = f"{self.api_url}/users/{self.username}/tokens"
        answer = requests.post(url, json=body, auth=(self.username, self.password), timeout=SECONDS)
        if answer.status_code != 201:
            raise UpstreamError(f"Gitea made no token: {answer.text[:300]}", status=answer.status_code)
        return str(answer.json()["sha1"])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
