r"""Regular expressions as Go's regexp reads them, and the selectors of paths and names that Kargo builds on them.

Go and google-re2 are two writings of one engine: linear time, no look-around, no back references. The
package answers like Go but for a few patterns, which are refused or respelled here: `\C`, group names
beyond ASCII, repeat counts of nine digits (text to RE2, an error to Go) and the names of Unicode classes,
which Go reads without regard to case, blanks and underscores since release 1.25.

A selector is a plain text, `glob:` and a glob, or `regex:` (`regexp:`) and a regular expression. The prefix
decides first and case counts. A plain path means itself and all below it, a plain name only itself.

Source: discovery.md 4.6, 8.8 and appendix C; Kargo's pkg/pattern; Go's regexp/syntax.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs
import re2

from kargo_lab.errors import PatternError
from kargo_lab.rules import globs, pattern_size

_MEMORY = 64 << 20
"""Bytes RE2 may use for one pattern. With its own 8 MB it refuses sizes that Go still takes, as `\\pL{1000}`."""

_OUTSIDE = re.compile(
    r"(?P<quoted>\\Q(?:(?!\\E).)*+(?:\\E)?+)|\\(?P<sign>[pP])(?:\{(?P<name>[^}]*)\}|(?P<letter>[A-Za-z]))"
    r"|(?P<escape>\\.)|(?P<opening>\[\^?+\]?+)|\(\?P?<(?P<group>[^>]*)>"
    r"|\{(?P<least>0|[1-9][0-9]*+)(?:,(?P<most>0|[1-9][0-9]*+)?+)?+\}",
    re.DOTALL,
)
_INSIDE = re.compile(
    r"\\(?P<sign>[pP])(?:\{(?P<name>[^}]*)\}|(?P<letter>[A-Za-z]))|(?P<escape>\\.)|\[:[^]]*:\]|(?P<closing>\])",
    re.DOTALL,
)
_LARGEST_COUNT_DIGITS = 8

_CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "Letter": "L", "Casedletter": "Lc", "Uppercaseletter": "Lu", "Lowercaseletter": "Ll", "Titlecaseletter": "Lt",
        "Modifierletter": "Lm", "Otherletter": "Lo",
        "Mark": "M", "Combiningmark": "M", "Nonspacingmark": "Mn", "Spacingmark": "Mc", "Enclosingmark": "Me",
        "Number": "N", "Decimalnumber": "Nd", "Digit": "Nd", "Letternumber": "Nl", "Othernumber": "No",
        "Punctuation": "P", "Punct": "P", "Connectorpunctuation": "Pc", "Dashpunctuation": "Pd",
        "Openpunctuation": "Ps", "Closepunctuation": "Pe", "Initialpunctuation": "Pi", "Finalpunctuation": "Pf",
        "Otherpunctuation": "Po",
        "Symbol": "S", "Mathsymbol": "Sm", "Currencysymbol": "Sc", "Modifiersymbol": "Sk", "Othersymbol": "So",
        "Separator": "Z", "Spaceseparator": "Zs", "Lineseparator": "Zl", "Paragraphseparator": "Zp",
        "Other": "C", "Control": "Cc", "Cntrl": "Cc", "Format": "Cf", "Surrogate": "Cs", "Privateuse": "Co",
        "Unassigned": "Cn",
    }
)  # fmt: skip
"""Unicode's long names of the general categories, as Go compares them."""

_UNIONS: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "Ascii": (r"\x00-\x7F", True),
        "Lc": (r"\p{Lu}\p{Ll}\p{Lt}", True),
        "Assigned": (r"\pC\pL\pM\pN\pP\pS\pZ", True),
        "Cn": (r"\pC\pL\pM\pN\pP\pS\pZ", False),
    }
)
"""Classes that RE2 has no name for: members to write in a class, and whether they are it or its opposite."""


@attrs.frozen
class Regex:
    """A compiled regular expression. `text` is what it was compiled from."""

    text: str
    _program: re2._Regexp = attrs.field(repr=False, eq=False)

    def search(self, text: str) -> bool:
        """True if the expression matches anywhere in `text`."""
        return _first(self._program, _bytes(text)) is not None

    def find(self, text: str) -> str | None:
        """The leftmost match, as Go's FindString has it; None if there is none."""
        encoded = _bytes(text)
        span = _first(self._program, encoded)
        return None if span is None else encoded[slice(*span)].decode()


def regex(text: str) -> Regex:
    """Read a regular expression as Go 1.25 and later do. Raises PatternError, which points at the character."""
    if (fault := pattern_size.problem(text)) is not None:
        raise PatternError(fault, text)
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MEMORY
    try:
        program = re2.compile(_bytes(_respelled(text)), options)
    except re2.error as error:
        raise _refusal(error, text) from None
    return Regex(text, program)


def _bytes(text: str) -> bytes:
    """UTF-8, with U+FFFD for halves of surrogate pairs: what Go reads where bytes are no UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text).encode()


def _first(program: re2._Regexp, text: bytes) -> tuple[int, int] | None:
    r"""The leftmost match. RE2 finds `\B` between the bytes of one character, where Go does not look."""
    position = 0
    while (found := program.search(text, position)) is not None:
        start, end = found.span()
        if start != end or start == len(text) or text[start] & 0xC0 != 0x80:
            return start, end
        position = start + 1
    return None


def _refusal(error: Exception, text: str) -> PatternError:
    """RE2 says what is wrong and repeats the piece; the last place where that piece stands is pointed at."""
    kind, _, piece = error.args[0].decode(errors="replace").partition(": ")
    return PatternError(kind, text, text.rfind(piece) if piece else -1)


def _respelled(text: str) -> str:
    """The pattern with names of Unicode classes as RE2 knows them. Refuses what only RE2 would take."""
    pieces: list[str] = []
    done = 0
    pattern = _OUTSIDE
    while (found := pattern.search(text, done)) is not None:
        pieces.append(text[done : found.start()])
        done = found.end()
        token = found.groupdict()
        pieces.append(_unicode_class(found, text) if token["sign"] else found[0])
        if pattern is _INSIDE:
            pattern = _OUTSIDE if token["closing"] else _INSIDE
            continue
        if token["opening"]:
            pattern = _INSIDE
        _refuse(found, text)
    pieces.append(text[done:])
    return "".join(pieces)


def _refuse(found: re.Match[str], text: str) -> None:
    """Raise PatternError for a piece that RE2 takes and Go does not."""
    if found["escape"] == r"\C":
        raise PatternError("invalid escape sequence", text, found.start())
    if found["group"] and not found["group"].isascii():
        raise PatternError("invalid named capture group", text, found.start("group"))
    if any(len(count) > _LARGEST_COUNT_DIGITS for count in (found["least"], found["most"]) if count):
        raise PatternError("invalid repetition size", text, found.start())


def _unicode_class(found: re.Match[str], text: str) -> str:
    r"""`\p{...}` as RE2 spells it; Go ignores case, blanks, hyphens and underscores in the name."""
    written = found["letter"] or found["name"]
    positive = found["sign"] == "p"
    if written.startswith("^"):
        positive, written = not positive, written[1:]
    name = re.sub("[ _-]", "", written).capitalize()
    name = _CATEGORIES.get(name, name)
    if name not in _UNIONS:
        return rf"\{'p' if positive else 'P'}{{{name}}}"
    members, same = _UNIONS[name]
    positive = positive == same
    if found.re is _OUTSIDE:
        return f"[{members}]" if positive else f"[^{members}]"
    if not positive:
        raise PatternError(f"the opposite of {found['name']} cannot be a member of a class here", text, found.start())
    return members


BELOW = "path and all below it"


@attrs.frozen
class Selector:
    """A compiled selector. `text` is what it was compiled from, `kind` says how it was read."""

    text: str
    kind: str
    matches: Callable[[str], bool] = attrs.field(repr=False, eq=False)

    def explain(self, text: str) -> str:
        """A sentence that says whether a path or name is taken, and how the selector was read."""
        if self.matches(text):
            return f"{text} is taken by {self.text} ({self.kind})"
        dots = "; below it, a path with two dots in a row is never taken" if self.kind == BELOW and ".." in text else ""
        return f"{text} is not taken by {self.text} ({self.kind}{dots})"


def path_selector(text: str) -> Selector:
    """Read a selector of paths. Raises PatternError, which points at the character."""
    return _with_prefix(text) or Selector(text, BELOW, _below(text))


def name_selector(text: str) -> Selector:
    """Read a selector of names. Raises PatternError, which points at the character."""
    return _with_prefix(text) or Selector(text, "exact name", text.__eq__)


def _with_prefix(text: str) -> Selector | None:
    kind, colon, rest = text.partition(":")
    read = _PREFIXES.get(kind) if colon else None
    if read is None:
        return None
    try:
        return read(text, rest)
    except PatternError as error:
        position = error.position if error.position < 0 else error.position + len(kind) + 1
        raise PatternError(error.message, text, position) from None


_PREFIXES: Mapping[str, Callable[[str, str], Selector]] = MappingProxyType(
    {
        "glob": lambda text, rest: Selector(text, "glob", globs.compile(rest).matches),
        "regex": lambda text, rest: Selector(text, "regular expression", regex(rest).search),
        "regexp": lambda text, rest: Selector(text, "regular expression", regex(rest).search),
    }
)


def _below(base: str) -> Callable[[str], bool]:
    """Membership in a directory by Go's filepath.Rel: what is relative to it must not hold two dots in a row.

    That is why `apps` does not take `apps/v1..2/x`.
    """
    base = _cleaned(base)
    inside = {".": "", "/": "/"}.get(base, base + "/")
    rooted = base.startswith("/")

    def matches(path: str) -> bool:
        path = _cleaned(path)
        if path == base:
            return True
        return path.startswith(inside) and path.startswith("/") == rooted and ".." not in path[len(inside) :]

    return matches


def _cleaned(path: str) -> str:
    """`path` as Go's filepath.Clean leaves it; os.path.normpath keeps a double slash at the start."""
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != ".." or (not rooted and (not parts or parts[-1] == "..")):
            parts.append(part)
        elif parts:
            parts.pop()
    return "/" * rooted + "/".join(parts) or "."
