"""`kargo-lab serve`, as a process, is judged by the lab API as anybody's server would be, and passes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kargo_lab.conformance import suite, targets

# A few of each way to see something, and what a server in front of the endpoint could spoil.
CHOSEN = (
    "discovery/images/semver",
    "github/push/answer",
    "promotions/pull-requests/gitea/merged",
    "routing",
    "security/hostile-bodies",
    "security/near-misses",
    "secrets/changes",
)
TIMED = "polling/intervals/git"
LISTENING = "127.0.0.1:0"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """The cases as a report has them, by their ids."""
    folder = tmp_path_factory.mktemp("our-server")
    (folder / "nothing.yaml").write_text("---\n")
    command = [sys.executable, "-m", "kargo_lab", "serve", "--resources", str(folder / "nothing.yaml")]
    options = ["--listen", LISTENING, "--api", LISTENING, "--loopback-only", "--registry-rate", "10000"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        api, webhooks = (re.search(r"http://\S+", process.stderr.readline()) for _ in range(2))
        assert api is not None
        assert webhooks is not None
        target = folder / "target.yaml"
        target.write_text(
            f"name: our server\nurl: {webhooks[0]}\nkind: lab-api\nlab-api: {{url: '{api[0]}'}}\n"
            "features: [outside-addresses, promotions, secrets-change, time]\nsettle-seconds: 60\n"
        )
        cases = targets.chosen("latest", [*CHOSEN, TIMED], (), str(target))
        found = suite.judge(cases, suite.header(str(target)), jobs=4)
        yield {case["id"]: case for case in found["cases"]}
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("pattern", CHOSEN)
def test_it_passes(pattern: str, judged: dict[str, dict[str, Any]]) -> None:
    ids = [case.id for case in targets.chosen("latest", [pattern])]
    assert {name: judged[name]["sentence"] for name in ids if judged[name]["status"] != "pass"} == {}


@pytest.mark.timeout(180)
def test_a_header_beyond_ascii_reaches_it(judged: dict[str, dict[str, Any]]) -> None:
    assert judged["security/near-misses/signature/beyond-ascii"]["status"] == "pass"


@pytest.mark.timeout(180)
def test_what_it_was_said_to_offer_and_refuses_is_unsupported(judged: dict[str, dict[str, Any]]) -> None:
    ids = [case.id for case in targets.chosen("latest", [TIMED])]
    assert {(judged[name]["status"], judged[name]["sentence"]) for name in ids} == {
        ("unsupported", "the target file lists time, but the target lives by the wall clock")
    }
