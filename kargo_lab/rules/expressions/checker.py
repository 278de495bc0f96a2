"""Finds what cannot work before it runs (A.7): natures from the leaves upwards, the first misfit wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kargo_lab.errors import ExpressionError, PatternError
from kargo_lab.rules.expressions import nodes, signatures
from kargo_lab.rules.expressions.natures import (
    ANY,
    ARRAY,
    BOOL,
    BYTES,
    FLOAT,
    FUNC,
    FUNCTION,
    GROUPS,
    INT,
    INTERFACE,
    MAP,
    NATURE,
    NIL,
    POINTER,
    STRING,
    STRUCT,
    UNKNOWN,
    GoType,
    Nature,
    common,
    list_of,
)
from kargo_lab.rules.expressions.operands import branches, either, is_bool, is_string, joined
from kargo_lab.rules.expressions.operators import pattern
from kargo_lab.rules.expressions.parser import BUILTINS, PREDICATES

Functions = Mapping[str, tuple[GoType, ...]]
_BOOLEAN_PREDICATES = frozenset(
    {"all", "none", "any", "one", "filter", "count", "find", "findLast", "findIndex", "findLastIndex"}
)


def check(tree: nodes.Node, text: str, functions: Functions, version: tuple[int, ...]) -> None:
    """Write the nature of each node of `tree`, or raise the first misfit as an ExpressionError.

    `functions` are those that the environment declares, with their overloads.
    """
    _Checker(text, functions, version).visit(tree)


class _Checker:
    """The names and elements in scope during one walk."""

    def __init__(self, text: str, functions: Functions, version: tuple[int, ...]) -> None:
        self.text, self.functions, self.version = text, functions, version
        self.variables: list[tuple[str, Nature]] = []
        self.scopes: list[tuple[Nature, Mapping[str, Nature]]] = []

    def error(self, node: nodes.Node, message: str) -> ExpressionError:
        return ExpressionError(message, self.text, node.position)

    def visit(self, node: nodes.Node) -> Nature:
        nature = _VISITS[type(node)](self, node)
        node.nature = nature
        return nature

    def literal(self, node: nodes.Literal) -> Nature:
        return NATURE[_LITERALS[type(node.value)]]

    def nil(self, node: nodes.Nil) -> Nature:  # noqa: ARG002  (one shape for all nodes)
        return NIL

    def name(self, node: nodes.Name) -> Nature:
        for name, nature in reversed(self.variables):
            if name == node.name:
                return nature
        if node.name in self.functions or node.name in BUILTINS:
            return Nature(FUNCTION, builtin=node.name)
        return UNKNOWN

    def unary(self, node: nodes.Unary) -> Nature:
        nature = self.visit(node.operand).pointed()
        if node.operator in {"not", "!"}:
            if is_bool(nature) or nature.unknown:
                return NATURE[BOOL]
        elif nature.number or nature.unknown:
            return UNKNOWN if nature.unknown else nature
        raise self.error(node, f"invalid operation: {node.operator} (mismatched type {nature})")

    def binary(self, node: nodes.Binary) -> Nature:
        """A chain to the left is walked down first and judged on the way up."""
        chain = [node]
        while isinstance(chain[-1].left, nodes.Binary):
            chain.append(chain[-1].left)
        left = self.visit(chain[-1].left)
        for link in reversed(chain):
            left = self.operation(link, left.pointed(), self.visit(link.right).pointed())
            link.nature = left
        return left

    def operation(self, node: nodes.Binary, left: Nature, right: Nature) -> Nature:
        operator = node.operator
        if operator in {"==", "!="}:
            if left.comparable(right):
                return NATURE[BOOL]
        elif operator == "??":
            return either(left, right)
        elif operator == "in":
            return self.containment(node, left, right)
        else:
            if operator == "matches" and isinstance(node.right, nodes.Literal) and isinstance(node.right.value, str):
                try:
                    pattern(node.right.value)
                except PatternError as error:
                    raise self.error(node.right, error.message) from None
            result = joined(operator, left, right)
            if result is not None:
                return result
        raise self.error(node, f"invalid operation: {operator} (mismatched types {left} and {right})")

    def containment(self, node: nodes.Binary, left: Nature, right: Nature) -> Nature:
        if (is_string(left) or left.unknown) and right.kind == STRUCT:
            return NATURE[BOOL]
        if right.type is not None and right.type.key is not None:
            if not left.unknown and not left.assignable(Nature(right.type.key)):
                raise self.error(node, f"cannot use {left} as type {right.type.key.name} in map key")
            return NATURE[BOOL]
        if right.array:
            if not left.comparable(right.element()):
                raise self.error(node, f"cannot use {left} as type {right.element()} in array")
            return NATURE[BOOL]
        if right.unknown or (left.unknown and is_string(right)):
            return NATURE[BOOL]
        raise self.error(node, f"invalid operation: in (mismatched types {left} and {right})")

    def chain(self, node: nodes.Chain) -> Nature:
        return self.visit(node.inside)

    def member(self, node: nodes.Member) -> Nature:
        if isinstance(node.owner, nodes.Name) and node.owner.name == "$env":
            return UNKNOWN  # Upstream does not look at the property either.
        owner = self.visit(node.owner)
        key = self.visit(node.property)
        if owner.unknown:
            return UNKNOWN
        name = node.property.value if isinstance(node.property, nodes.Literal) else None
        if isinstance(name, str):
            if owner.is_nil:
                raise self.error(node, f"type nil has no field {name}")
            if owner.type and name in owner.type.methods:
                return Nature(owner.type.methods[name])
        owner, key = owner.pointed(), key.pointed()
        if owner.type is not None and owner.type.key is not None:
            if not (key.unknown or key.assignable(Nature(owner.type.key))):
                raise self.error(node.property, f"cannot use {key} to get an element from {owner}")
            return owner.element()
        if owner.array:
            if not (key.integer or key.unknown):
                raise self.error(node.property, f"array elements can only be selected using an integer (got {key})")
            return owner.element()
        if isinstance(name, str):
            if owner.type and name in owner.type.fields:
                return Nature(owner.type.fields[name])
            raise self.error(node, f"type {owner} has no {'method' if node.method else 'field'} {name}")
        raise self.error(node, f"type {owner}[{key}] is undefined")

    def slice(self, node: nodes.Slice) -> Nature:
        nature = self.visit(node.owner)
        if nature.unknown:
            return UNKNOWN  # Upstream does not look at the bounds then.
        if not (nature.array or is_string(nature)):
            raise self.error(node, f"cannot slice {nature}")
        for bound in (node.start, node.end):
            if bound is not None:
                found = self.visit(bound).pointed()
                if not (found.integer or found.unknown):
                    raise self.error(bound, f"non-integer slice index {found}")
        return nature

    def call(self, node: nodes.Call) -> Nature:
        if isinstance(node.callee, nodes.Name) and node.callee.name == "$env":
            raise self.error(node, "$env is not callable")
        callee = self.visit(node.callee)
        if callee.unknown:
            return UNKNOWN  # Upstream does not look at the arguments then.
        named = node.callee.property if isinstance(node.callee, nodes.Member) else node.callee
        name = str(getattr(named, "name", getattr(named, "value", "")))
        if callee.builtin:
            return self.function(callee.builtin, node, node.arguments)
        if callee.is_nil:
            raise self.error(node, f"{name} is nil; cannot call nil as function")
        if callee.type is None or callee.kind != FUNC:
            raise self.error(node, f"{callee} is not callable")
        natures = [self.visit(argument) for argument in node.arguments]
        return self.overloaded(name, (callee.type,), node, node.arguments, natures)

    def function(self, name: str, node: nodes.Node, arguments: Sequence[nodes.Node]) -> Nature:
        """A call of a built-in without predicate, or of a declared function."""
        natures = [self.visit(argument) for argument in arguments]
        if name in self.functions:
            return self.overloaded(name, self.functions[name], node, arguments, natures)
        if name in signatures.OVERLOADS:
            return self.overloaded(name, signatures.OVERLOADS[name], node, arguments, natures)
        if name in PREDICATES:
            # Only through a variable (`let f = map; f(xs)`): a predicate cannot be passed that way.
            raise self.error(node, f"{name} cannot be called through a variable")
        try:
            return signatures.RULES[name](name, natures)
        except ValueError as error:
            message, *blamed = error.args
            raise self.error(arguments[blamed[0]] if blamed else node, message) from None

    def overloaded(
        self,
        name: str,
        overloads: Sequence[GoType],
        node: nodes.Node,
        arguments: Sequence[nodes.Node],
        natures: Sequence[Nature],
    ) -> Nature:
        misfit = self.error(node, f"no matching overload for {name}")
        for overload in overloads:
            found = self.misfit(name, overload, node, arguments, natures)
            if found is None:
                return Nature(overload.result or ANY)
            misfit = found
        raise misfit

    def misfit(
        self,
        name: str,
        overload: GoType,
        node: nodes.Node,
        arguments: Sequence[nodes.Node],
        natures: Sequence[Nature],
    ) -> ExpressionError | None:
        """Why `overload` does not take the arguments; None if it does."""
        if overload.results > 2:
            return self.error(node, f"func {name} returns more then two values")
        wanted = len(overload.inputs)
        if len(natures) != wanted:
            amount = "too many" if len(natures) > wanted else "not enough"
            return self.error(node, f"{amount} arguments to call {name}")
        for argument, given, target in zip(arguments, natures, map(Nature, overload.inputs), strict=True):
            if given.is_nil and target.kind in {POINTER, INTERFACE}:
                continue
            fits = not given.is_nil and (
                given.unknown
                or given.assignable(target)
                or given.pointed().assignable(target)
                or (given.integer and target.integer)
            )
            if not fits:
                return self.error(argument, f"cannot use {given} as argument (type {target}) to call {name}")
        return None

    def builtin(self, node: nodes.Builtin) -> Nature:
        if node.name not in PREDICATES:
            return self.function(node.name, node, node.arguments)
        collection = self.visit(node.arguments[0]).pointed()
        if not (collection.array or collection.unknown):
            raise self.error(node.arguments[0], f"builtin {node.name} takes only array (got {collection})")
        result = NATURE[ANY]
        if len(node.arguments) > 1:
            extra: dict[str, Nature] = {}
            if node.name in {"map", "reduce"}:
                extra = {"index": NATURE[INT]} | ({"acc": UNKNOWN} if node.name == "reduce" else {})
            self.scopes.append((collection, extra))
            result = self.visit(node.arguments[1])
            self.scopes.pop()
            if result.is_nil:
                raise self.error(node.arguments[1], "predicate cannot be nil")
            if node.name in _BOOLEAN_PREDICATES and not (is_bool(result) or result.unknown):
                raise self.error(node.arguments[1], f"predicate should return boolean (got {result})")
        if len(node.arguments) > 2:
            order = self.visit(node.arguments[2])
            judged = node.name == "sortBy" and self.version >= (1, 17, 8)
            if judged and not (is_string(order) or order.unknown):
                raise self.error(node.arguments[2], f"sortBy order argument must be a string (got {order})")
        return self.of_predicate(node, collection, result)

    def of_predicate(self, node: nodes.Builtin, collection: Nature, result: Nature) -> Nature:
        """The nature of a built-in with a predicate that returns `result`."""
        name = node.name
        element = collection.element()
        if name in {"all", "none", "any", "one"}:
            return NATURE[BOOL]
        if name in {"count", "findIndex", "findLastIndex"}:
            return NATURE[INT]
        if name in {"find", "findLast"}:
            return element
        if name == "filter":
            return NATURE[ARRAY] if collection.unknown else list_of(element)
        if name == "map":
            return list_of(result)
        if name == "sum" and len(node.arguments) == 1:
            return element
        if name == "groupBy":
            return Nature(GROUPS)
        if name == "sortBy":
            return collection
        if name == "sum":
            return Nature(result.type or ANY)  # Upstream forgets here what a list would hold.
        return result  # reduce

    def predicate(self, node: nodes.Predicate) -> Nature:
        return self.visit(node.body)

    def pointer(self, node: nodes.Pointer) -> Nature:
        collection, extra = self.scopes[-1]  # the parser reads `#` nowhere but in a predicate
        if node.name == "":
            return collection.element()
        if node.name in extra:
            return extra[node.name]
        raise self.error(node, f"unknown pointer #{node.name}")

    def let(self, node: nodes.Let) -> Nature:
        before = len(self.variables)
        for binding in node.bindings:
            self.visit(binding)
        nature = self.visit(node.body)
        del self.variables[before:]
        return nature

    def binding(self, node: nodes.Binding) -> Nature:
        if node.name in self.functions or node.name in BUILTINS:
            raise self.error(node, f"cannot redeclare function {node.name}")
        if any(name == node.name for name, _ in self.variables):
            raise self.error(node, f"cannot redeclare variable {node.name}")
        nature = self.visit(node.value)
        self.variables.append((node.name, nature))
        return nature

    def sequence(self, node: nodes.Sequence) -> Nature:
        return [self.visit(item) for item in node.items][-1]

    def conditional(self, node: nodes.Conditional) -> Nature:
        arms = [node]
        while isinstance(arms[-1].other, nodes.Conditional):
            arms.append(arms[-1].other)
        natures = []
        for arm in arms:
            test = self.visit(arm.test).pointed()
            if not (is_bool(test) or test.unknown):
                raise self.error(arm.test, f"non-bool expression (type {test}) used as condition")
            natures.append(self.visit(arm.then))
        other = self.visit(arms[-1].other)
        for arm, then in zip(reversed(arms), reversed(natures), strict=True):
            other = arm.nature = branches(then, other)
        return other

    def list(self, node: nodes.List) -> Nature:
        return common([self.visit(item) for item in node.items])

    def map(self, node: nodes.Map) -> Nature:
        for pair in node.pairs:
            self.visit(pair)
        return NATURE[MAP]

    def pair(self, node: nodes.Pair) -> Nature:
        self.visit(node.key)
        self.visit(node.value)
        return NIL


_LITERALS: Mapping[type, GoType] = {bool: BOOL, int: INT, float: FLOAT, str: STRING, bytes: BYTES}
_VISITS: Mapping[type[nodes.Node], Callable[..., Nature]] = {
    nodes.Literal: _Checker.literal,
    nodes.Nil: _Checker.nil,
    nodes.Name: _Checker.name,
    nodes.Unary: _Checker.unary,
    nodes.Binary: _Checker.binary,
    nodes.Chain: _Checker.chain,
    nodes.Member: _Checker.member,
    nodes.Slice: _Checker.slice,
    nodes.Call: _Checker.call,
    nodes.Builtin: _Checker.builtin,
    nodes.Predicate: _Checker.predicate,
    nodes.Pointer: _Checker.pointer,
    nodes.Let: _Checker.let,
    nodes.Binding: _Checker.binding,
    nodes.Sequence: _Checker.sequence,
    nodes.Conditional: _Checker.conditional,
    nodes.List: _Checker.list,
    nodes.Map: _Checker.map,
    nodes.Pair: _Checker.pair,
}
