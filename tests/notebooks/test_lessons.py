"""Each lesson runs top to bottom in a fresh kernel, is committed without outputs, and only calls the library."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def read(lesson: Path) -> nbformat.NotebookNode:
    return nbformat.read(lesson, as_version=4)


def test_there_are_lessons() -> None:
    assert LESSONS


@pytest.mark.timeout(180)
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
# The kernel's own client library warns about its event loop; nothing of ours runs in this process.
@pytest.mark.filterwarnings("ignore")
def test_a_lesson_runs_top_to_bottom(lesson: Path) -> None:
    NotebookClient(read(lesson), timeout=120, kernel_name="python3").execute()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_lesson_is_committed_without_outputs(lesson: Path) -> None:
    cells = [cell for cell in read(lesson).cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells if cell.outputs or cell.execution_count] == []


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_lesson_defines_and_computes_nothing_itself(lesson: Path) -> None:
    nodes = [
        node
        for cell in read(lesson).cells
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.For, ast.While))
    ]
    assert nodes == []
