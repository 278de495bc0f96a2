"""How far an expression may go before it is stopped: upstream's two limits, and ours.

expr-lang bounds the number of syntax nodes and an evaluation's memory, not its time, its depth
or the size of a text, so that a hostile expression can hang or exhaust a process. The further
bounds stand far above what an honest expression reaches; hitting one is an `ExpressionError`.
"""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Limits:
    """The bounds of one expression. `nodes` and `memory` are expr-lang's own, the others are ours.

    memory: elements and bytes that one evaluation may allocate in sum.
    characters: length of the source text. nesting: brackets, operands and arguments inside one
    another. depth: levels of the syntax tree, where chains of operators and of `let` count once.
    steps: nodes that predicates may evaluate, and elements that comparisons and built-ins may look
    at, in one evaluation, where a call of a method counts a hundred; eight million take less than a second.
    text: characters in one text that an evaluation makes.
    """

    nodes: int = 10_000
    memory: int = 1_000_000
    characters: int = 1_000_000
    nesting: int = 100
    depth: int = 200
    steps: int = 8_000_000
    text: int = 4 * 1024**2


LIMITS = Limits()
