import io

from rich.console import Console

from kargo_lab.conformance import suite
from kargo_lab.conformance.board import board, print_table


def test_a_notebook_shows_the_board_as_it_is() -> None:
    shown = board(suite.check(select_=["github/push/branch"]))._repr_mimebundle_((), ())
    assert "1 pass" in shown["text/html"]


def test_no_name_in_a_table_is_cut() -> None:
    names = ["a-target-with-a-long-name-one v1.11", "a-target-with-a-long-name-two v1.11"]
    console = Console(file=io.StringIO(), width=50)
    print_table(["", *names], [["github core", "1/2", "10/20"]], console)
    shown = "".join(console.file.getvalue().split())  # type: ignore[attr-defined]  # a StringIO
    assert "…" not in shown
    assert "githubcore1/210/20" in shown
