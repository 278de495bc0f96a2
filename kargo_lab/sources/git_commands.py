"""The git executable as Kargo runs it: which commands, in which environment, and what they cost.

Kargo has no Git library; it starts `git` with a throw-away home directory, so that nothing of the
controller's user reaches it (discovery.md 4.3; GBR, GRP, GWT, GLS). The same is done here, with two
additions that change no behaviour: curl's trace goes to a file in that home, from which the HTTP
requests are read into the ledger, and no question is ever asked on a terminal.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import attrs

from kargo_lab.errors import UpstreamError
from kargo_lab.selection.commits import CommitFacts, TagFacts
from kargo_lab.sources.connections import LOOK_SECONDS
from kargo_lab.sources.ledger import GIT, LedgerRow
from kargo_lab.sources.outgoing import quota_counts
from kargo_lab.sources.shared import Context

LINE_LIMIT = 64 * 1024  # bytes; Go's scanner takes no longer line
LOW_SPEED_BYTES, LOW_SPEED_SECONDS = 1024, 30
HOPELESS_SECONDS = 3600  # a bound where Kargo has none, far beyond any real clone
TAG_SEPARATOR = "|*|"
_COMMIT_FORMAT = "%H%x09%ci%x09%an <%ae>%x09%cn <%ce>%x09%s"
_ANNOTATED = (
    "%(refname:short)|*|%(*objectname)|*|%(*contents:subject)|*|%(*authorname) %(*authoremail)|*|"
    "%(*committername) %(*committeremail)|*|%(creatordate:iso8601)|*|%(taggername) %(taggeremail)|*|%(contents:subject)"
)
_LIGHTWEIGHT = (
    "%(refname:short)|*|%(objectname)|*|%(contents:subject)|*|%(authorname) %(authoremail)|*|"
    "%(committername) %(committeremail)|*|%(creatordate:iso8601)"
)
_TAG_FORMAT = f"%(if)%(*objectname)%(then){_ANNOTATED}%(else){_LIGHTWEIGHT}%(end)"
_SSH_CONFIG = "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile=/dev/null\n  IdentityFile {key}\n"
_SENT = re.compile(r"=> Send header: ([A-Z]+) (\S+) HTTP/")
_HOST = re.compile(r"=> Send header: [Hh]ost: (\S+)")
_RECEIVED = re.compile(r"<= Recv header: HTTP/[\d.]+ (\d{3})")
_LENGTH = re.compile(r"<= Recv header: [Cc]ontent-[Ll]ength: (\d+)")


def lines(output: bytes, *, strict: bool = False) -> Iterator[str]:
    """The lines of git's output. One that is too long ends them; with `strict` it is an error (discovery.md 4.8)."""
    for line in output.removesuffix(b"\n").split(b"\n") if output else ():
        if len(line) >= LINE_LIMIT:
            if strict:
                raise UpstreamError(f"a line of git's output has {LINE_LIMIT} bytes or more")
            return
        yield line.removesuffix(b"\r").decode(errors="replace")


def tag_of(line: str) -> TagFacts:
    """Read one line of the tag listing; a separator inside a lightweight tag's subject shifts the fields."""
    parts = line.split(TAG_SEPARATOR)
    if len(parts) < 6 or len(parts) == 7:
        raise UpstreamError(f"unexpected number of fields: {line!r}")
    return TagFacts(
        name=parts[0],
        id=parts[1],
        subject=parts[2],
        author=parts[3],
        committer=parts[4],
        date=_date(parts[5]),
        tagger=parts[6] if len(parts) > 6 else "",
        annotation=TAG_SEPARATOR.join(parts[7:]),
    )


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        raise UpstreamError(f"git: {text!r} is no date") from None


@contextmanager
def home(context: Context, url: str, *, verify_tls: bool) -> Iterator[Git]:
    """A throw-away home directory in which git runs; it is gone afterwards, clones included."""
    place = Path(tempfile.mkdtemp(prefix="repo-")).resolve()
    try:
        yield Git(context, url, place, verify_tls=verify_tls)
    finally:
        shutil.rmtree(place, ignore_errors=True)


class Git:
    """Commands against one repository, run in one home directory."""

    patience_seconds: float = HOPELESS_SECONDS

    def __init__(self, context: Context, url: str, place: Path, *, verify_tls: bool) -> None:
        self._context, self._url, self._home, self._repo = context, url, place, place / "repo"
        self._credentials = context.credentials
        self._access_url = _with_user(url, self._credentials.username) if self._credentials.password else url
        config = "[init]\n\tdefaultBranch = main\n[user]\n\tname = Kargo\n\temail = no-reply@kargo.io\n"
        if not verify_tls:
            config += "[http]\n\tsslVerify = false\n"
        (place / ".gitconfig").write_text(config)
        self._environment = self._small_environment()

    def _small_environment(self) -> dict[str, str]:
        outer = self._context.shared.environment
        taken = ("PATH", "http_proxy", "https_proxy", "no_proxy")
        environment = {name: outer[name] for name in taken if outer.get(name)}
        environment |= {
            "HOME": str(self._home),
            "GIT_SSH_COMMAND": f"ssh -F {self._home}/.ssh/config",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        if self._context.profile.header_timeout_seconds:
            environment["GIT_HTTP_LOW_SPEED_LIMIT"] = str(LOW_SPEED_BYTES)
            environment["GIT_HTTP_LOW_SPEED_TIME"] = str(LOW_SPEED_SECONDS)
        if self._credentials.ssh_private_key:
            self._write_ssh_key(self._credentials.ssh_private_key)
        elif self._credentials.password:
            environment["GIT_ASKPASS"] = str(self._write_askpass())
            environment["GIT_PASSWORD"] = self._credentials.password
        return environment

    def _write_ssh_key(self, key: str) -> None:
        folder = self._home / ".ssh"
        folder.mkdir(mode=0o700)
        for name, text in (("id_rsa", key), ("config", _SSH_CONFIG.format(key=folder / "id_rsa"))):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(text)

    def _write_askpass(self) -> Path:
        script = self._home / "askpass"
        script.touch(mode=0o700)
        script.write_text('#!/bin/sh\nprintf "%s\\n" "$GIT_PASSWORD"\n')
        return script

    # Over the network.

    def ls_remote(self, pattern: str) -> tuple[tuple[str, str], ...]:
        """(ref, object ID) of the matching refs; peeled entries of annotated tags are left out."""
        output = self._network("ls-remote", "ls-remote", "--", self._access_url, pattern)
        pairs = (line.partition("\t") for line in lines(output, strict=True))
        return tuple((ref, commit) for commit, tab, ref in pairs if tab and not ref.endswith("^{}"))

    def every_ref(self) -> tuple[tuple[str, str], ...]:
        """As `ls_remote` without a pattern, in protocol 0: a longer answer, and one request instead of two."""
        extra = self._settings({"protocol.version": "0", **self._told_at_once()})
        output = self._network("ls-remote", "ls-remote", "--", self._access_url, extra=extra)
        pairs = (line.partition("\t") for line in lines(output, strict=True))
        return tuple((ref, commit) for commit, tab, ref in pairs if tab and not ref.endswith("^{}"))

    def clone(self, *, branch: str = "", blobless: bool = False) -> None:
        """Clone the whole history of one branch, the default one if none is named."""
        chosen = ("--branch", branch) if branch else ()
        filtered = ("--filter", "blob:none") if blobless else ()
        # What follows the two dashes cannot be taken for an option, whatever the subscription says.
        place = ("--", self._access_url, str(self._repo))
        self._network("clone", "clone", "--no-tags", *chosen, "--single-branch", *filtered, *place)

    def tags(self) -> tuple[TagFacts, ...]:
        """Fetch all tags and list them, newest creator date first, equal dates by name."""
        self._network("fetch tags", "fetch", "origin", "--tags", inside=True)
        output = self._run("for-each-ref", "--sort=-creatordate", f"--format={_TAG_FORMAT}", "refs/tags", inside=True)
        return tuple(tag_of(line) for line in lines(output))

    # In the clone.

    def log(self, *, count: int, skip: int, since: str = "") -> tuple[CommitFacts, ...]:
        """A batch of commits in git's own order, from the tip of the cloned branch."""
        arguments = ["--first-parent"] if self._context.profile.first_parent_only else []
        arguments.append(f"--pretty=format:{_COMMIT_FORMAT}")
        arguments += [f"--max-count={count}"] if count else []
        arguments += [f"--skip={skip}"] if skip else []
        arguments += [f"--since={since}"] if since else []
        found = []
        for line in lines(self._run("log", *arguments, inside=True), strict=True):
            parts = line.split("\t", 4)
            if len(parts) != 5:
                raise UpstreamError(f"unexpected number of fields: {line!r}")
            commit, date, author, committer, subject = parts
            found.append(CommitFacts(id=commit, date=_date(date), author=author, committer=committer, subject=subject))
        return tuple(found)

    def changed_paths(self, commit: str) -> tuple[str, ...]:
        """The paths that a commit changed, quoted as git quotes them."""
        if self._context.profile.merge_paths == "first-parent":
            shape = ["--name-status", "--no-renames", "--first-parent"]
        else:
            shape = ["--name-only"]
        output = self._run("show", "--pretty=", *shape, commit, inside=True)
        return tuple(line.rpartition("\t")[2] for line in lines(output) if line)

    # How a command runs.

    def _told_at_once(self) -> Mapping[str, str]:
        """How git sends credentials with its first request, else a host refuses it; curl tells them no other host."""
        basic = self._credentials.login.basic
        if not basic or urlsplit(self._url).scheme.lower() not in ("http", "https"):
            return {}
        return {"http.extraHeader": f"Authorization: {basic}"}

    @staticmethod
    def _settings(values: Mapping[str, str]) -> Mapping[str, str]:
        """The environment in which git has these settings; on a command line everybody could read them."""
        pairs = [(f"GIT_CONFIG_KEY_{place}", name) for place, name in enumerate(values)]
        pairs += [(f"GIT_CONFIG_VALUE_{place}", value) for place, value in enumerate(values.values())]
        return {"GIT_CONFIG_COUNT": str(len(values)), **dict(pairs)}

    def _network(
        self, kind: str, *arguments: str, inside: bool = False, extra: Mapping[str, str] | None = None
    ) -> bytes:
        began = self._context.clock.now()
        trace = self._home / "trace"
        trace.unlink(missing_ok=True)
        extra = {"GIT_TRACE_CURL": str(trace), "GIT_TRACE_CURL_NO_DATA": "1", **(extra or {})}
        status = 0
        try:
            return self._run(*arguments, inside=inside, extra=extra)
        except UpstreamError as error:
            status = error.status
            raise UpstreamError(str(error)) from None
        finally:
            if trace.exists():
                for row in http_rows(trace.read_text(errors="replace"), began):
                    self._record(row)
            self._record(self._operation(kind, began, status))

    def _operation(self, kind: str, began: datetime, status: int) -> LedgerRow:
        parts = urlsplit(self._url)
        host = parts.netloc.rpartition("@")[2] if parts.netloc else self._url.partition(":")[0].rpartition("@")[2]
        path = parts.path if parts.netloc else self._url.partition(":")[2]
        return LedgerRow(time=began, source=host, method=GIT, path=path, status=status, counted=False, kind=kind)

    def _record(self, row: LedgerRow) -> None:
        self._context.ledger.record(
            attrs.evolve(row, warehouse=self._context.warehouse, subscription=self._context.subscription)
        )

    def _run(self, *arguments: str, inside: bool = False, extra: Mapping[str, str] | None = None) -> bytes:
        """The output of a command; its failure is an UpstreamError whose status is git's exit status."""
        try:
            child = subprocess.Popen(  # noqa: S603 - the arguments are ours, the URL was checked at admission
                ["git", *arguments],  # noqa: S607 - from the PATH, as Kargo does
                cwd=self._repo if inside else self._home,
                env={**self._environment, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # with its own children, so that none is left when it has to end
            )
        except OSError as error:
            raise UpstreamError(f"git cannot be run: {error.strerror}") from None
        output, said = self._output(child, arguments[0])
        if child.returncode:
            told = said.decode(errors="replace").strip().splitlines()
            # Where it clones to is another folder each time, and nobody's business.
            shown = self._redacted("\n".join(line for line in told if not line.startswith("Cloning into ")))
            raise UpstreamError(f"git {arguments[0]} of {self._shown()}: {shown}", status=child.returncode)
        return output

    def _output(self, child: subprocess.Popen[bytes], command: str) -> tuple[bytes, bytes]:
        """What a command wrote, once it ended; it ends early where patience does."""
        until = time.monotonic() + self.patience_seconds
        with child:
            try:
                while True:
                    try:
                        return child.communicate(timeout=max(0.0, min(LOOK_SECONDS, until - time.monotonic())))
                    except subprocess.TimeoutExpired:
                        self._context.clock.check()
                        if time.monotonic() >= until:
                            raise UpstreamError(f"git {command} of {self._shown()}: gave up") from None
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                raise

    def _shown(self) -> str:
        parts = urlsplit(self._url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.netloc else self._url

    def _redacted(self, text: str) -> str:
        for secret in (self._access_url, self._url):
            text = text.replace(secret, self._shown())
        return text.replace(self._credentials.password, "***") if self._credentials.password else text


def http_rows(trace: str, began: datetime) -> list[LedgerRow]:
    """The HTTP requests in a trace of curl's, in order. What git retried after a 401 are two requests."""
    found: list[LedgerRow] = []
    for line in trace.splitlines():
        if (sent := _SENT.search(line)) is not None:
            path = sent[2].partition("?")[0]
            found.append(LedgerRow(time=began, source="", method=sent[1], path=path, status=0, kind="git-http"))
        elif not found:
            continue
        elif (host := _HOST.search(line)) is not None:
            found[-1] = attrs.evolve(found[-1], source=host[1])
        elif (answered := _RECEIVED.search(line)) is not None:
            status = int(answered[1])
            if status >= 200:  # a 1xx says that the answer is still to come
                counted = quota_counts(found[-1].source, "git-http", status)
                found[-1] = attrs.evolve(found[-1], status=status, counted=counted)
        elif (length := _LENGTH.search(line)) is not None:
            found[-1] = attrs.evolve(found[-1], bytes=int(length[1]))
    return found


def _with_user(url: str, user: str) -> str:
    """The URL with just the user name in it: git asks the helper for the password."""
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https"):
        return url
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}@{parts.netloc.rpartition('@')[2]}"))
