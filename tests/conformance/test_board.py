from kargo_lab.conformance import suite
from kargo_lab.conformance.board import board


def test_a_notebook_shows_the_board_as_it_is() -> None:
    shown = board(suite.check(select_=["github/push/branch"]))._repr_mimebundle_((), ())
    assert "1 pass" in shown["text/html"]
