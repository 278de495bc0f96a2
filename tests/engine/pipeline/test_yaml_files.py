"""`yaml-update` to the byte: what Kargo's own function made of files, and how its commit message reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kargo_lab.engine.clock import WallClock
from kargo_lab.engine.pipeline.steps import yaml_files
from kargo_lab.engine.pipeline.steps.work import Work
from kargo_lab.errors import PipelineError
from kargo_lab.resources.pipeline import Promotion
from kargo_lab.sources.ledger import Ledger
from kargo_lab.sources.shared import Shared

FILE = Path(__file__).parents[2] / "data" / "yaml-updates.json"
VECTORS = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    promotion = Promotion(namespace="p", name="dev.1.f", stage="dev", freight="f")
    return Work(promotion=promotion, alias="s", directory=tmp_path, shared=Shared(ledger=Ledger()), clock=WallClock())


def updated(work: Work, data: bytes, updates: list[tuple[str, Any]]) -> str:
    """The message of the step; what it made of the file stays in it."""
    (work.files / "a.yaml").write_bytes(data)
    changes = [{"key": key, "value": value} for key, value in updates]
    output = yaml_files.update({"path": "a.yaml", "updates": changes}, work).output
    assert output is not None
    return str(output.get("commitMessage", ""))


@pytest.mark.parametrize(
    "record", VECTORS["updates"], ids=lambda record: ascii(record["file"])[:30] + ascii(record["updates"])[:30]
)
def test_a_file_is_updated_as_kargo_does_it(work: Work, record: dict[str, Any]) -> None:
    try:
        updated(work, record["file"].encode(), record["updates"])
        found = (work.files / "a.yaml").read_bytes()
    except PipelineError:
        assert "error" in record
    else:
        assert found == record["bytes"].encode("utf-8", "surrogateescape")


def test_the_message_says_what_was_written(work: Work) -> None:
    message = updated(work, b"a: 1\nb: 2\nc: 3\n", [("a", "v1"), ("b", "1.10"), ("c", 2)])
    assert message == 'Updated a.yaml\n\n- a: v1\n- b: "1.10"\n- c: 2'


def test_without_updates_the_file_stays(work: Work) -> None:
    assert updated(work, b"a: [", []) == ""


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        pytest.param(b"a: [", "a", "a.yaml cannot be updated: it is no YAML: ", id="no YAML"),
        pytest.param(b"a: \xff", "a", "a.yaml cannot be updated: it is no YAML: ", id="no UTF-8"),
        pytest.param(b"[" * 5000, "0", "a.yaml cannot be updated: it is no YAML: ", id="too deep"),
        pytest.param(b"a: 1", "b", "a.yaml cannot be updated: it has no key 'b'", id="no such key"),
        pytest.param(b"a: [1]", "a", "a.yaml cannot be updated: 'a' is no scalar", id="no scalar"),
        pytest.param(b"a: 1\nb: " + b"x" * 2**20, "a", "a.yaml cannot be updated: line 2 is longer", id="a long line"),
        pytest.param(b"#\rx:\r          a: 1\n", "x.a", None, id="a line that only the parser sees is left"),
        pytest.param(
            b"x:\r          a: 1\ny:\n", "x.a", "a.yaml cannot be updated: line 2 has no column 14", id="columns"
        ),
        pytest.param(b"#" * (4 * 2**20 + 1), "a", "a.yaml is larger than 4194304 bytes", id="a large file"),
    ],
)
def test_what_cannot_be_updated_is_told(work: Work, data: bytes, key: str, message: str | None) -> None:
    if message is None:
        updated(work, data, [(key, "v")])
        assert (work.files / "a.yaml").read_bytes() == data
        return
    with pytest.raises(PipelineError) as caught:
        updated(work, data, [(key, "v")])
    assert f"Promotion p/dev.1.f, step s: {message}" in str(caught.value)


def test_a_file_that_is_not_there_is_told(work: Work) -> None:
    with pytest.raises(PipelineError, match=r"b\.yaml cannot be read"):
        yaml_files.update({"path": "b.yaml", "updates": []}, work)


PLACES = st.lists(st.sampled_from(["a", "b", "0", "1", "é"]), min_size=1, max_size=3).map(".".join)
TEXTS = st.text(alphabet="ab01é:- []{}&*!#'\"\n\r\t\u2028,?|>", max_size=30)


@given(TEXTS, PLACES, st.text(max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_file_gives_whole_lines_or_the_error(text: str, key: str, value: str) -> None:
    try:
        made = yaml_files.replaced(text.encode(), [(key, value)])
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert made.endswith(b"\n")
