"""How deep and how large a regular expression is, by the measures that make Go refuse one.

RE2 has other limits than Go: it takes nesting of any depth, and turns pages of repeats into a program for
seconds before it gives up. Go looks at the parse tree: more than 1000 nodes on top of one another, or more
than some three million instructions, are an error. So is what Unicode classes amount to when thousands
of them are written out. Only a long pattern can get there, so short ones are not looked at.

Left out: Go moves what the sides of an alternation begin with before the bar, and keeps literals apart whose
flags differ; both can make a tree a little higher.

Source: Go's regexp/syntax, the constants maxHeight, maxSize and maxRunes and what they are compared with.
"""

from __future__ import annotations

import re

import attrs

SHORTEST = 900
"""A pattern with fewer characters is within all limits: a node takes one, and repeats multiply by 1000 at most."""

_HIGHEST = 1000
_LARGEST = (128 << 20) // 40
_MOST_RUNES = (128 << 20) // 4
_RUNES_OF_A_CLASS = 1292
"""What one `\\pL` adds, by Go's own comment; other classes add less."""

_TOKEN = re.compile(
    r"(?P<quoted>\\Q(?:(?!\\E).)*+(?:\\E)?+)|(?P<set>\\[pP](?:\{[^}]*\}|.)|\\[dDsSwW]|\.)"
    r"|(?P<edge>\\[AzbB])|(?P<escape>\\x\{[^}]*\}|\\.)|(?P<flags>\(\?[imsU-]*+\))"
    r"|(?P<plain>\(\?[imsU-]*+:)|(?P<capture>\((?:\?P?<[^>]*>)?+)|(?P<close>\))|(?P<bar>\|)"
    r"|(?P<class>\[\^?+\]?+(?:\\.|\[:[^]]*:\]|[^]\\])*+\])"
    r"|(?P<repeat>[*+?]\??+|\{[0-9]++(?:,[0-9]*+)?+\}\??+)|(?P<other>.)",
    re.DOTALL,
)

LITERAL, CLASS, CONCAT, ALTERNATE, OTHER = "literal", "class", "concat", "alternate", "other"


@attrs.frozen
class Node:
    """Height, size and kind of a part of the tree."""

    height: int
    size: int
    kind: str = OTHER


@attrs.define
class Group:
    """What has been read since a parenthesis was opened: the nodes of this side, and the sides before."""

    captures: bool
    nodes: list[Node] = attrs.field(factory=list)
    sides: list[Node] = attrs.field(factory=list)

    def end_side(self) -> None:
        """Put the nodes under one; a side that is one character joins a neighbour that is one, into a class."""
        side = _over(_joined(self.nodes), CONCAT)
        if _is_character(side) and self.sides and _is_character(self.sides[-1]):
            self.sides[-1] = Node(1, 1, CLASS)
        else:
            self.sides.append(side)
        self.nodes = []

    def closed(self) -> Node:
        """The whole group as one node."""
        self.end_side()
        node = _over(self.sides, ALTERNATE)
        return Node(node.height + 1, node.size + 2) if self.captures else node


def _is_character(node: Node) -> bool:
    return node.kind == CLASS or (node.kind == LITERAL and node.size == 1)


def _joined(nodes: list[Node]) -> list[Node]:
    """Neighbouring literals are one node, unless one of them was repeated and is none any more."""
    joined: list[Node] = []
    for node in nodes:
        if node.kind == LITERAL and joined and joined[-1].kind == LITERAL:
            joined[-1] = Node(1, joined[-1].size + node.size, LITERAL)
        else:
            joined.append(node)
    return joined


def _over(nodes: list[Node], kind: str) -> Node:
    """The node over some. One stands for itself, none is the empty match, those of the same kind are taken apart."""
    if len(nodes) == 1:
        return nodes[0]
    height = 1 + max((node.height - (node.kind == kind) for node in nodes), default=0)
    extra = len(nodes) - 1 if kind == ALTERNATE else 0
    return Node(height, max(1, sum(node.size for node in nodes) + extra), kind if nodes else OTHER)


def problem(text: str) -> str | None:
    """What Go holds against the size of a pattern, in RE2's manner of speaking; None if nothing."""
    if len(text) < SHORTEST:
        return None
    if (text.count("\\p") + text.count("\\P")) * _RUNES_OF_A_CLASS > _MOST_RUNES:
        return "expression too large"
    whole = _measure(text)
    if whole.height > _HIGHEST:
        return "expression nests too deeply"
    return "expression too large" if whole.size > _LARGEST else None


def _measure(text: str) -> Node:
    """The tree of a pattern; where it has none, because the pattern is wrong, what there is of it."""
    groups = [Group(captures=False)]
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "flags":
                continue
            case "plain" | "capture":
                groups.append(Group(captures=token.lastgroup == "capture"))
            case "close" if len(groups) > 1:
                node = groups.pop().closed()
                groups[-1].nodes.append(node)
            case "bar":
                groups[-1].end_side()
            case "repeat" if groups[-1].nodes:
                groups[-1].nodes.append(_repeated(groups[-1].nodes.pop(), token))
            case "quoted":
                length = len(token[0].removesuffix("\\E")) - 2
                groups[-1].nodes.extend([Node(1, 1, LITERAL)] * length)
            case kind:
                groups[-1].nodes.append(Node(1, 1, _KINDS.get(kind or "", CLASS) if token[0] not in "^$" else OTHER))
    while len(groups) > 1:
        node = groups.pop().closed()
        groups[-1].nodes.append(node)
    return groups[0].closed()


_KINDS = {"escape": LITERAL, "edge": OTHER, "other": LITERAL}
"""How the rest of the tokens are taken; what is not here is a class."""


def _repeated(node: Node, token: re.Match[str]) -> Node:
    """A node under a star, a plus, a question mark or a count. Counts beyond 1000 are refused elsewhere."""
    if not token[0].startswith("{"):
        return Node(node.height + 1, node.size + (2 if token[0][0] == "*" else 1))
    first, comma, second = token[0].strip("{}?").partition(",")
    least = int(first[:5])
    if comma and not second:
        return Node(node.height + 1, node.size + 2 if least == 0 else 1 + least * node.size)
    most = int(second[:5]) if comma else least
    return Node(node.height + 1, max(1, most * node.size + most - least))
