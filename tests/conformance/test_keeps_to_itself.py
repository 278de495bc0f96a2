"""The whole suite, watched by Python's own audit events: where it writes, and whom it talks to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# `open` and `os.*` name what is written, `socket.connect` who is talked to. Temporary folders of the lab's own sources
# (repositories of the embedded Git host) go with the run.
WATCH = """
import json, os, sys
seen = {"written": set(), "talked": set()}
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        mode, flags = arguments[1] or "", arguments[2]
        if any(letter in mode for letter in "wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            seen["written"].add(os.path.realpath(os.fsdecode(arguments[0])))
    elif event in ("os.mkdir", "os.rename", "shutil.copyfile"):
        seen["written"].add(os.path.realpath(os.fsdecode(arguments[1] if event == "os.rename" else arguments[0])))
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        seen["talked"].add(arguments[1][0])
sys.addaudithook(hook)
from kargo_lab.cli import main
try:
    main(sys.argv[2:])
finally:
    with open(sys.argv[1], "w") as out:
        json.dump({name: sorted(values) for name, values in seen.items()}, out)
"""


@pytest.mark.timeout(120)
def test_the_suite_writes_into_its_report_folder_and_talks_to_this_machine_only(tmp_path: Path) -> None:
    report, notes, own = tmp_path / "report", tmp_path / "notes.json", tmp_path / "temporary"
    own.mkdir()
    words = ["conformance", "run", "--target", "reference", "--report", str(report)]
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCH, str(notes), *words],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "TMPDIR": str(own), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(notes.read_text())
    allowed = (str(report.resolve()), str(own.resolve()), str(notes.resolve()), "/dev/null")
    assert [path for path in seen["written"] if not path.startswith(allowed)] == []
    assert [host for host in seen["talked"] if not host.startswith("127.")] == []
    assert seen["talked"], "over sockets it talks to its own sources"
    assert list(own.iterdir()) == [], "and nothing of it is left"
