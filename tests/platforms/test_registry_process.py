"""Debian's registry as a process: it begins, it ends, and it does not outlive whoever started it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from kargo_lab.errors import UpstreamError
from kargo_lab.platforms.registry_process import ProcessRegistry, why_no_process
from kargo_lab.platforms.registry_remote import read_access_log

needs_program = pytest.mark.skipif(why_no_process() is not None, reason=str(why_no_process()))


def test_without_the_program_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UpstreamError, match="docker-registry is not installed"):
        ProcessRegistry().start()


@needs_program
def test_what_the_program_dislikes_is_quoted() -> None:
    with pytest.raises(UpstreamError, match=r"did not start: (.|\n)*nonsense"):
        ProcessRegistry(settings={"storage": {"nonsense": {}}}).start()


@needs_program
def test_stopping_frees_the_port_and_the_folder_and_may_be_repeated() -> None:
    registry = ProcessRegistry().start()
    folder, port = registry._folder, int(registry.url.rpartition(":")[2])
    registry.stop()
    registry.stop()
    assert not folder.exists()
    with socket.create_server(("127.0.0.1", port)):
        pass


@needs_program
def test_it_ends_when_whoever_started_it_is_killed() -> None:
    script = (
        "import os, signal\n"
        "from kargo_lab.platforms.registry_process import ProcessRegistry\n"
        "print(ProcessRegistry().start().url, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    port = int(done.stdout.strip().rpartition(":")[2])
    deadline = time.monotonic() + 10
    answers = True
    while answers and time.monotonic() < deadline:
        with socket.socket() as client:
            answers = client.connect_ex(("127.0.0.1", port)) == 0
    assert not answers


def test_its_log_is_read_as_rows() -> None:
    text = (
        'time="2026-01-01T12:00:00Z" level=info msg="response completed"\n'
        '127.0.0.1 - me [01/Jan/2026:12:00:00 +0100] "GET /v2/a/tags/list?n=1 HTTP/1.1" 200 27 "" "go/1"\n'
    )
    (row,) = read_access_log(text)
    assert (row.method, row.path, row.query, row.status, row.sent_bytes) == ("GET", "/v2/a/tags/list", "n=1", 200, 27)
    assert (row.user, row.user_agent, row.time) == ("me", "go/1", datetime(2026, 1, 1, 11, tzinfo=UTC))
