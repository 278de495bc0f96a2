"""What is guarded goes when its owner goes, and stays while the owner lives or has dismissed the guard."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from kargo_lab.platforms.guard import Guard

OWNER = """
import sys, time
from kargo_lab.platforms.guard import Guard
guard = Guard("rm", "-rf", "--", sys.argv[1])
{then}
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder; with $signs"
    folder.mkdir()
    return folder


def killed(guarded: Path, then: str) -> None:
    """Let somebody guard the folder and be killed."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(then=then), str(guarded)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    owner.stdout.readline()
    assert guarded.exists()
    owner.kill()
    owner.communicate()


def test_it_runs_when_its_owner_was_killed(guarded: Path) -> None:
    killed(guarded, "")
    end = time.monotonic() + 5
    while guarded.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not guarded.exists()


def test_it_does_nothing_once_it_was_dismissed(guarded: Path) -> None:
    killed(guarded, "guard.dismiss()")
    assert guarded.exists()


def test_it_can_be_dismissed_twice(guarded: Path) -> None:
    guard = Guard("rm", "-rf", "--", str(guarded))
    guard.dismiss()
    guard.dismiss()
    assert guarded.exists()


def test_a_program_that_is_not_there_guards_nothing(guarded: Path) -> None:
    Guard("no-such-program", str(guarded)).dismiss()
    assert guarded.exists()
