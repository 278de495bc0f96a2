"""Turns a checked tree into one Python function, once; running it is calling that function.

Each node becomes a closure over those of its children, so nothing about the tree is looked up
while an expression runs. A chain of operators is one loop over its steps, whatever its length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kargo_lab.errors import ExpressionError, PatternError
from kargo_lab.rules.expressions import builtins, leftovers, loops, nodes, operators
from kargo_lab.rules.expressions.dates import ZERO_TIME, Duration, Time
from kargo_lab.rules.expressions.frame import BUILTIN_STEPS, CALL_STEPS, Frame, element
from kargo_lab.rules.expressions.gotypes import LOCATION
from kargo_lab.rules.expressions.natures import INT, STRING
from kargo_lab.rules.expressions.operators import boolean
from kargo_lab.rules.expressions.values import (
    Byte,
    Failure,
    Function,
    Int64,
    NilStrings,
    Strings,
    Value,
    is_nil,
    type_name,
)

Run = Callable[[Frame], Value]
Step = Callable[[Value, Frame], Value]


class _Ended(Exception):  # noqa: N818  (no error: `?.` met a nil and its chain is over)
    """Leaves the innermost chain."""


_ENDED = _Ended()


def build(tree: nodes.Node, text: str, declared: frozenset[str]) -> tuple[Run, int]:
    """The function that evaluates `tree`, and how many slots for variables its frame needs."""
    compiler = _Compiler(text, declared)
    return compiler.build(tree), compiler.slots


class _Compiler:
    """Builds the closures; knows which slot each `let` name has."""

    def __init__(self, text: str, declared: frozenset[str]) -> None:
        self.text, self.declared = text, declared
        self.names: list[tuple[str, int]] = []
        self.slots = 0

    def build(self, node: nodes.Node) -> Run:
        """The closure of `node`."""
        return _BUILDERS[type(node)](self, node)

    def operands(self, parts: list[nodes.Node]) -> Callable[[Frame], list[Value]]:
        return leftovers.operands(parts, [self.build(part) for part in parts])

    def literal(self, node: nodes.Literal) -> Run:
        value = node.value
        return lambda _: value

    def nil(self, node: nodes.Nil) -> Run:  # noqa: ARG002  (one shape for all nodes)
        return lambda _: None

    def name(self, node: nodes.Name) -> Run:
        name, position = node.name, node.position
        for known, slot in reversed(self.names):
            if known == name:
                return lambda frame: frame.slots[slot]
        if name == "$env":
            return lambda frame: frame.environment

        def load(frame: Frame) -> Value:
            if frame.environment is None:
                raise Failure(f"cannot fetch {name} from <nil>", position)
            return frame.environment.get(name)

        return load

    def unary(self, node: nodes.Unary) -> Run:
        operand, position = self.build(node.operand), node.position
        if node.operator == "+":
            return operand
        apply: Callable[[Value], Value] = operators.negated if node.operator == "-" else _opposite

        def run(frame: Frame) -> Value:
            value = operand(frame)
            try:
                return apply(value)
            except Failure as failure:
                raise failure.at(position) from None

        return run

    def binary(self, node: nodes.Binary) -> Run:
        chain = [node]
        while isinstance(chain[-1].left, nodes.Binary):
            chain.append(chain[-1].left)
        first = self.build(chain[-1].left)
        steps = [self.step(link) for link in reversed(chain)]
        if len(steps) == 1:
            only = steps[0]
            return lambda frame: only(first(frame), frame)

        def run(frame: Frame) -> Value:
            value = first(frame)
            for step in steps:
                value = step(value, frame)
            return value

        return run

    def step(self, node: nodes.Binary) -> Step:
        """What an operator does with the value of its left side."""
        operator, position = node.operator, node.position
        if operator == "in" and isinstance(node.right, nodes.Table):
            return _table(node.right, position)
        if operator == "matches" and isinstance(node.right, nodes.Literal) and type(node.right.value) is str:
            return _matching(self.text, node.right)
        right = self.build(node.right)
        leaves = leftovers.leaves(node.right)
        if operator == "??":
            return lambda value, frame: right(frame) if is_nil(value) else value
        if operator in _DECIDED:
            return _logical(_DECIDED[operator], right, position)
        operation = operators.BINARY[operator]
        if operator in {"==", "!="}:
            # Upstream compares two known ints or texts without looking: a nil among them fails.
            kinds = {node.left.nature.type, node.right.nature.type}
            if kinds == {INT} or kinds == {STRING}:
                operation = _exact(int if kinds == {INT} else str, operator)

        def run(value: Value, frame: Frame) -> Value:
            other = right(frame)
            try:
                return operation(frame.hit if leaves else value, other, frame)
            except Failure as failure:
                raise failure.at(position) from None

        return run

    def chain(self, node: nodes.Chain) -> Run:
        inside = self.build(node.inside)

        def run(frame: Frame) -> Value:
            try:
                value = inside(frame)
            except _Ended:
                return None
            return None if is_nil(value) else value

        return run

    def member(self, node: nodes.Member) -> Run:
        owner, position, optional = self.build(node.owner), node.position, node.optional
        key = self.build(node.property)
        leaves = leftovers.leaves(node.property)

        def run(frame: Frame) -> Value:
            value = owner(frame)
            if optional and is_nil(value):
                raise _ENDED
            wanted = key(frame)
            try:
                if type(value) is str:
                    frame.read(value)
                return operators.fetch(frame.hit if leaves else value, wanted)
            except Failure as failure:
                raise failure.at(position) from None

        return run

    def slice(self, node: nodes.Slice) -> Run:
        owner, position = self.build(node.owner), node.position
        start = self.build(node.start) if node.start else lambda _: 0
        end = self.build(node.end) if node.end else None

        def run(frame: Frame) -> Value:
            value = owner(frame)
            last = end(frame) if end else None
            if end and last is None:
                raise Failure("invalid operation: int(<nil>)", position)
            first = start(frame)
            try:
                operators.account(value, frame)
                return operators.sliced(value, first, last)
            except Failure as failure:
                raise failure.at(position) from None

        return run

    def call(self, node: nodes.Call) -> Run:
        arguments, position = self.operands(node.arguments), node.position
        callee: Run
        if isinstance(node.callee, nodes.Name) and node.callee.name in self.declared:
            name = node.callee.name
            callee = lambda frame: _declared(frame, name)  # noqa: E731  (one line among its kin)
        else:
            callee = self.build(node.callee)

        def run(frame: Frame) -> Value:
            given = arguments(frame)
            function = callee(frame)
            try:
                frame.call(CALL_STEPS, given)
                return called(function, given)
            except Failure as failure:
                raise failure.at(position) from None

        return run

    def builtin(self, node: nodes.Builtin) -> Run:
        if node.name in loops.LOOPS:
            return loops.build(node, self.build)
        arguments, position = [self.build(argument) for argument in node.arguments], node.position
        taken = leftovers.operands(node.arguments, arguments)
        least, most = builtins.ARITIES[node.name]
        if not least <= len(arguments) <= most:
            # The checker does not look into the arguments of a call that it knows nothing about.
            if not arguments and node.name in builtins.OF_NOTHING:
                return lambda _: builtins.OF_NOTHING[node.name]
            kept = builtins.TAKEN.get(node.name)
            if kept is None or len(arguments) < least:
                return _failing(f"invalid number of arguments to call {node.name}", position)
            every, taken = taken, lambda frame: every(frame)[kept]
        function = _function(node)
        if len(arguments) == 1:
            single = arguments[0]

            def run_one(frame: Frame) -> Value:
                value = single(frame)
                try:
                    frame.work(BUILTIN_STEPS)
                    return function(frame, value)
                except Failure as failure:
                    raise failure.at(position) from None

            return run_one

        def run(frame: Frame) -> Value:
            given = taken(frame)
            try:
                frame.work(BUILTIN_STEPS)
                return function(frame, *given)
            except Failure as failure:
                raise failure.at(position) from None

        return run

    def predicate(self, node: nodes.Predicate) -> Run:
        return self.build(node.body)

    def pointer(self, node: nodes.Pointer) -> Run:
        if node.name == "index":
            return lambda frame: frame.index
        if node.name == "acc":
            return lambda frame: frame.accumulated
        if node.name:
            raise ExpressionError(f"unknown pointer #{node.name}", self.text, node.position)
        return element

    def let(self, node: nodes.Let) -> Run:
        before = len(self.names)
        bound: list[tuple[int, Run]] = []
        for binding in node.bindings:
            value = self.build(binding.value)  # first: a `let` inside it takes slots of its own
            bound.append((self.slots, value))
            self.names.append((binding.name, self.slots))
            self.slots += 1
        body = self.build(node.body)
        del self.names[before:]

        def run(frame: Frame) -> Value:
            for slot, evaluate in bound:
                frame.slots[slot] = evaluate(frame)
            return body(frame)

        return run

    def sequence(self, node: nodes.Sequence) -> Run:
        *dropped, last = [self.build(item) for item in node.items]

        def run(frame: Frame) -> Value:
            for item in dropped:
                item(frame)
            return last(frame)

        return run

    def conditional(self, node: nodes.Conditional) -> Run:
        arms = []
        rest: nodes.Node = node
        while isinstance(rest, nodes.Conditional):
            arms.append((self.build(rest.test), self.build(rest.then), rest.position))
            rest = rest.other
        other = self.build(rest)

        def run(frame: Frame) -> Value:
            for test, then, position in arms:
                value = test(frame)
                if type(value) is not bool:
                    raise Failure(f"interface conversion: interface {{}} is {type_name(value)}, not bool", position)
                if value:
                    return then(frame)
            return other(frame)

        return run

    def list(self, node: nodes.List) -> Run:
        items, position = self.operands(node.items), node.position

        def run(frame: Frame) -> Value:
            found = items(frame)
            try:
                frame.allocate(len(found))
            except Failure as failure:
                raise failure.at(position) from None
            return found

        return run

    def map(self, node: nodes.Map) -> Run:
        items = self.operands([part for pair in node.pairs for part in (pair.key, pair.value)])
        size, position = len(node.pairs), node.position

        def run(frame: Frame) -> Value:
            found = items(frame)
            try:
                frame.allocate(size)
            except Failure as failure:
                raise failure.at(position) from None
            made: dict[str, Value] = {}
            for key, value in reversed(list(zip(found[::2], found[1::2], strict=True))):  # of equal keys the first wins
                if type(key) is not str:
                    raise Failure(f"a map key must be a string, not {type_name(key)}", position)
                made[key] = value
            return made

        return run

    def sum(self, node: nodes.Sum) -> Run:
        items = [self.build(item) for item in node.items]
        places = [node.position] + [0] * (len(items) - 2)  # upstream's inner sums have no place of their own

        def run(frame: Frame) -> Value:
            *rest, total = [item(frame) for item in items]
            for value, position in zip(reversed(rest), reversed(places), strict=True):
                try:
                    total = operators.add(value, total, frame)
                except Failure as failure:
                    raise failure.at(position) from None
            return total

        return run


_DECIDED: Mapping[str, bool] = {"and": False, "&&": False, "or": True, "||": True}


def _function(node: nodes.Builtin) -> Callable[..., Value]:
    if node.name == "date" and node.arguments and node.arguments[0].nature.type is not LOCATION:
        return builtins.moments.date_of_texts
    return builtins.BUILTINS[node.name]


def _failing(message: str, position: int) -> Run:
    def run(_: Frame) -> Value:
        raise Failure(message, position)

    return run


def _opposite(value: Value) -> bool:
    return not boolean(value)


def _logical(deciding: bool, right: Run, position: int) -> Step:
    """`and`, `or`: the left side must be a boolean, the right side is returned as it is."""

    def run(value: Value, frame: Frame) -> Value:
        if value is deciding:
            return value
        if type(value) is not bool:
            raise Failure(f"interface conversion: interface {{}} is {type_name(value)}, not bool", position)
        return right(frame)

    return run


def _exact(kind: type, operator: str) -> operators.Operation:
    def compare(left: Value, right: Value, frame: Frame) -> bool:  # noqa: ARG001  (operators have one shape)
        for value in (left, right):
            if type(value) is not kind:
                raise Failure(f"interface conversion: interface {{}} is {type_name(value)}, not {type_name(kind())}")
        return bool((left == right) is (operator == "=="))

    return compare


def _matching(text: str, literal: nodes.Literal) -> Step:
    """A search for a known pattern; one that only folding made known is judged here."""
    position = literal.position
    try:
        regex = operators.pattern(literal.value)
    except PatternError as error:
        raise ExpressionError(error.message, text, position) from None

    def run(value: Value, frame: Frame) -> Value:
        try:
            return operators.search(regex, value, frame)
        except Failure as failure:
            raise failure.at(position) from None

    return run


def _table(table: nodes.Table, position: int) -> Step:
    """Membership in known texts or ints. A nil reads as the empty text or as 0, as Go's map has it."""
    members = table.members
    kind = type(next(iter(members)))
    zero = kind()

    def run(value: Value, frame: Frame) -> Value:  # noqa: ARG001  (steps have one shape)
        if value is None:
            return zero in members
        if type(value) is not kind:
            raise Failure(f"value of type {type_name(value)} cannot be a key of type {type_name(zero)}", position)
        return value in members

    return run


def _declared(frame: Frame, name: str) -> Value:
    """A declared function; its implementation comes with the values of the run."""
    functions = frame.functions
    if name not in functions:
        raise Failure(f"{name} was not given to the evaluation")
    return functions[name]


_ZEROS: Mapping[object, Callable[[], Value]] = {
    str: str,
    int: int,
    float: float,
    bool: bool,
    Byte: Byte,
    Int64: Int64,
    Strings: NilStrings,
    Time: lambda: ZERO_TIME,
    Duration: lambda: Duration(0),
}


def called(function: Value, arguments: list[Value]) -> Value:
    """A call as Go's reflection does it: exact types, and a nil becomes the zero value."""
    if type(function) is not Function:
        what = "nil" if function is None else f"non-function of type {type_name(function)}"
        raise Failure(f"invalid operation: cannot call {what}")
    wanted = len(function.parameters)
    if len(arguments) != wanted and not (function.variadic and len(arguments) >= wanted - 1):
        raise Failure(f"invalid number of arguments: expected {wanted}, got {len(arguments)}")
    given = []
    for index, value in enumerate(arguments):
        parameter = function.parameters[min(index, wanted - 1)]
        if parameter is not object and value is None:
            value = _ZEROS[parameter]() if parameter in _ZEROS else None
        elif parameter is not object and type(value) is not parameter:
            raise Failure(f"cannot use {type_name(value)} as argument to call {function.name}")
        given.append(value)
    return function.call(*given)


_BUILDERS: Mapping[type[nodes.Node], Callable[..., Run]] = {
    nodes.Literal: _Compiler.literal,
    nodes.Nil: _Compiler.nil,
    nodes.Name: _Compiler.name,
    nodes.Unary: _Compiler.unary,
    nodes.Binary: _Compiler.binary,
    nodes.Chain: _Compiler.chain,
    nodes.Member: _Compiler.member,
    nodes.Slice: _Compiler.slice,
    nodes.Call: _Compiler.call,
    nodes.Builtin: _Compiler.builtin,
    nodes.Predicate: _Compiler.predicate,
    nodes.Pointer: _Compiler.pointer,
    nodes.Let: _Compiler.let,
    nodes.Sequence: _Compiler.sequence,
    nodes.Conditional: _Compiler.conditional,
    nodes.List: _Compiler.list,
    nodes.Map: _Compiler.map,
    nodes.Sum: _Compiler.sum,
}
