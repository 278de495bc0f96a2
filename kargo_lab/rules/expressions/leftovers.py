"""A fault of expr-lang that results depend on: what `findLast` and `findLastIndex` leave behind.

Their loop runs backwards, and upstream's machine forgets to take the answers of its end test off the
stack. They lie below the result, so an operation that takes several operands finds one of them where
its left operand should be: `xs[findLastIndex(xs, # > 1)]` and `1 + findLast(xs, true)` fail, and
`"a" == findLast(xs, true)` compares with a boolean. `last(filter(..))` and `filter(..)[-1]` run on the
same loop. What is left behind: a true for each element looked at, and a false if none was the one.

Followed here through operators, members, single arguments, argument lists, list and map literals, and out
of the predicate of a `map`. What a call behind `?.` leaves behind, its arguments where nothing is called, is
not: `nil != nothing?.of(1)` is true upstream and false here. Source: executed on expr-lang 1.17.5 and 1.17.8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kargo_lab.rules.expressions import nodes
from kargo_lab.rules.expressions.frame import Frame
from kargo_lab.rules.expressions.values import Value

Run = Callable[[Frame], Value]
_BACKWARDS = frozenset({"findLast", "findLastIndex"})


def leaves(node: nodes.Node) -> bool:
    """True if the evaluation of `node` leaves answers below its value."""
    while True:
        if isinstance(node, nodes.Builtin):
            if node.name in _BACKWARDS:
                return True
            if len(node.arguments) != 1:
                return False
            node = node.arguments[0]
        elif isinstance(node, nodes.Unary):
            node = node.operand
        elif isinstance(node, nodes.Member | nodes.Slice):
            node = node.owner
        elif isinstance(node, nodes.Chain):
            node = node.inside
        elif isinstance(node, nodes.Predicate):
            node = node.body
        elif isinstance(node, nodes.Binary):
            node = node.left
        else:
            return False


def left_behind(frame: Frame) -> list[Value]:
    """The answers of the backward loop that has just run."""
    return [True] * frame.answers + ([] if frame.hit else [False])


def operands(parts: Sequence[nodes.Node], runs: Sequence[Run]) -> Callable[[Frame], list[Value]]:
    """Evaluates the parts in order and gives as many values as there are, from the top of the stack."""
    if not any(leaves(part) for part in parts[1:]):
        return lambda frame: [run(frame) for run in runs]
    leaving = [leaves(part) for part in parts]

    def taken(frame: Frame) -> list[Value]:
        stack: list[Value] = []
        for run, left in zip(runs, leaving, strict=True):
            value = run(frame)
            if left:
                stack += left_behind(frame)
            stack.append(value)
        return stack[-len(runs) :]

    return taken
