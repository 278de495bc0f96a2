"""Cases: what a case says, read from files that any language may consume, and multiplied visibly.

One file is one behaviour. It holds defaults and a list of cases; a case with rows under `with` is one
case a row. The id is the file's place, the case's `id` and the row's `as`, joined by slashes: it reads
as a path and never changes. Everything is checked against the published JSON Schema first, so that an
unknown key is an error that says where.
"""

from __future__ import annotations

import copy
import difflib
import fnmatch
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import yaml
from jsonschema import Draft202012Validator

from kargo_lab import profiles, shipped
from kargo_lab.conformance import flaws
from kargo_lab.errors import ManifestError, Misfit, UsageError
from kargo_lab.resources.yaml_lines import Document, documents, spelled

LEVELS = ("core", "extended", "strict")
SCHEMA = Path(__file__).parent / "schemas" / "case.schema.json"
# In the order of release; `since` and `until` name minors, `latest` is beyond the last of them.
MINORS = ("v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "latest")
_DEFAULTS = ("receiver", "level", "since", "until", "source", "setup", "features", "quirk")
_PLACEHOLDER = re.compile(r"<([a-z][a-z0-9-]*)>")


@attrs.frozen(kw_only=True)
class Step:
    """One thing that happens, and what must be seen of it. `do` names the kind; `detail` is the YAML below it."""

    do: str
    detail: Mapping[str, Any]
    expect: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Case:
    """One case, with its parameters already put in. Names in angle brackets that belong to a run stay."""

    id: str
    says: str
    level: str
    source: str
    since: str
    until: str | None
    receiver: Mapping[str, Any] | None = attrs.field(repr=False)  # may hold a secret
    setup: Mapping[str, Any]
    steps: tuple[Step, ...]
    features: frozenset[str]
    quirk: bool
    file: str
    line: int

    @property
    def group(self) -> str:
        """The first part of the id: the platform, or the topic."""
        return self.id.partition("/")[0]

    @property
    def slug(self) -> str:
        """Twelve characters that stand for the id in names of objects and repositories."""
        return "c" + hashlib.sha256(self.id.encode()).hexdigest()[:11]

    @property
    def needs(self) -> frozenset[str]:
        """The ways of seeing without which nothing of this case could be judged."""
        wanted: set[str] = set()
        for step in self.steps:
            for key in step.expect:
                wanted.add(_SEEN_BY.get(key, "answer"))
        return frozenset(wanted)

    def holds_for(self, profile: str) -> bool:
        """Whether the case speaks about this profile; `recommended` leaves the quirks out and adds the strict ones."""
        if profile == "recommended":
            return not self.quirk and self.until in (None, "latest")
        if self.level == "strict":
            return False
        at = MINORS.index(profile)
        return MINORS.index(self.since) <= at and (self.until is None or at <= MINORS.index(self.until))


# What an expectation is read from. "effect" is satisfied by calls at the lab's sources or by state.
_SEEN_BY = {
    "refreshed": "effect",
    "promotions": "state",
    "discovered": "state",
    "freight": "state",
    "receiver": "state",
    "condition": "state",
    "requests": "calls",
}


# libyaml's where PyYAML was built with it: reading a thousand cases in pure Python takes seconds.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]  # one of two classes of the same interface
    """A safe loader that refuses duplicate keys and leaves dates as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value!r} stands twice", key_node.start_mark
                )
            seen.add(key_node.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _construct_text(loader: Any, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _construct_text)  # a date in a payload is text


@cache
def _validator() -> Draft202012Validator:
    """For a file as written, where a whole value may be a parameter."""
    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@cache
def _filled_validator() -> Draft202012Validator:
    """For one case after its row was put in: no parameter may be left where a list or number belongs."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema["$defs"]["parameter"] = False
    return Draft202012Validator({"$ref": "#/$defs/case", "$defs": schema["$defs"]})


def load(folder: Path | None = None) -> tuple[Case, ...]:
    """All cases below `folder` (default: those that ship with the lab), in the order of their ids' files.

    Raises ManifestError with every misfit of every file.
    """
    return _all_below(folder) if folder else _shipped()


@cache
def _shipped() -> tuple[Case, ...]:
    return _all_below(shipped.folder("conformance") / "cases")


def _all_below(root: Path) -> tuple[Case, ...]:
    files = sorted(root.rglob("*.yaml"))
    misfits: list[Misfit] = []
    cases: list[Case] = []
    if not files:
        misfits.append(Misfit(str(root), 0, "", "there is no case file here; expected *.yaml"))
    for file in files:
        try:
            cases += _read(file, file.relative_to(root).with_suffix("").as_posix())
        except ManifestError as error:
            misfits += error.misfits
    counts: dict[str, Case] = {}
    for case in cases:
        if (other := counts.setdefault(case.id, case)) is not case:
            misfits.append(Misfit(case.file, case.line, "", f"the id {case.id} is taken by {other.file}:{other.line}"))
    if misfits:
        raise ManifestError(misfits)
    return tuple(cases)


def _read(file: Path, place: str) -> list[Case]:
    name = str(file)
    try:
        text = file.read_bytes().decode()
        loader = _Loader(text)
        root = loader.get_single_node()
        document: Any = loader.construct_document(root) if root is not None else None
        lines = _case_lines(root)
    except OSError as error:
        raise ManifestError([Misfit(name, 0, "", f"this file cannot be read: {error.strerror}")]) from None
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise ManifestError(_unreadable(file, error)) from None
    if not _validator().is_valid(document):
        read = _traced(file)
        found = flaws.misfits(_validator(), Document(name, document, read.lines))
        raise ManifestError([*found, Misfit(name, 0, "", _ADVICE)])
    cases: list[Case] = []
    for index, entry in enumerate(document["cases"]):
        merged = {key: copy.deepcopy(document[key]) for key in _DEFAULTS if key in document}
        setup = {**merged.pop("setup", {}), **entry.get("setup", {})}
        merged |= {key: value for key, value in entry.items() if key != "setup"}
        for number, row in enumerate(entry.get("with", [{}])):
            filled = fill(dict(merged), {key: value for key, value in row.items() if key != "as"})
            filled = {key: value for key, value in filled.items() if key != "with"}
            if not _filled_validator().is_valid(filled):
                raise ManifestError(_misfits_of_a_row(file, index, number, merged, filled))
            cases.append(_case(filled, setup, row, place, name, lines[index]))
    return cases


_ADVICE = "`kargo-lab conformance schema case` prints all that may stand in a file of cases"


def _traced(file: Path) -> Document:
    """The file read again, slowly, by the reader that knows the line of every value. Raises ManifestError."""
    found = documents(file.read_bytes(), str(file))
    if len(found) > 1:
        raise ManifestError([Misfit(str(file), 0, "", f"expected one YAML document, found {len(found)}")])
    return found[0] if found else Document(str(file), None, {})


def _unreadable(file: Path, error: Exception) -> list[Misfit]:
    """What keeps a file from being read at all, as the other YAML files of the project have it said."""
    try:
        problems = _traced(file).problems
    except ManifestError as told:
        problems = told.misfits
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", None) or error)
    return list(problems) or [Misfit(str(file), mark.line + 1 if mark else 0, "", f"not YAML: {said}")]


def _misfits_of_a_row(
    file: Path, index: int, number: int, merged: Mapping[str, Any], filled: Mapping[str, Any]
) -> list[Misfit]:
    """What does not fit once a row is put in, at the row's own place where the value is a parameter."""
    read = _traced(file)
    row = merged["with"][number] if "with" in merged else {}
    found: list[Misfit] = []
    for path, sentence in flaws.sentences(_filled_validator(), filled):
        parameter = _parameter_at(merged, path)
        inherited = bool(path) and path[0] not in read.value["cases"][index]
        blamed = ("cases", index, "with", number, parameter) if parameter else () if inherited else ("cases", index)
        whole = blamed if parameter else (*blamed, *path)
        about = f"{'/'.join(part for part in (filled['id'], row.get('as', '')) if part)}: {spelled(path)}: {sentence}"
        found.append(Misfit(str(file), read.line(whole), spelled(whole), about))
    return [*found, Misfit(str(file), 0, "", _ADVICE)]


def _parameter_at(entry: Any, path: Sequence[str | int]) -> str:
    """The parameter that stands for what lies at a path of the entry as written; empty if there is none."""
    for step in path:
        if isinstance(entry, str):
            break
        try:
            entry = entry[step]
        except (LookupError, TypeError):
            return ""
    whole = _PLACEHOLDER.fullmatch(entry) if isinstance(entry, str) else None
    return whole[1] if whole else ""


def _case_lines(root: yaml.Node | None) -> list[int]:
    """The line of each element of `cases`, from the composed nodes."""
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "cases" and isinstance(value, yaml.SequenceNode):
                return [item.start_mark.line + 1 for item in value.value]
    return []


def _case(
    entry: Mapping[str, Any], setup: Mapping[str, Any], row: Mapping[str, Any], place: str, file: str, line: int
) -> Case:
    values = {key: value for key, value in row.items() if key != "as"}
    receiver = entry.get("receiver")
    steps = entry.get("steps") or [{key: entry[key] for key in ("send", "expect") if key in entry}]
    return Case(
        id="/".join(part for part in (place, entry["id"], row.get("as", "")) if part),
        says=entry["says"],
        level=str(values.get("level", entry.get("level", "core"))),
        source=entry.get("source", ""),
        since=str(values.get("since", entry.get("since", "v1.6"))),
        until=values.get("until", entry.get("until")),
        receiver={"type": receiver} if isinstance(receiver, str) else receiver,
        setup=fill(dict(setup), values),
        steps=tuple(_step(step) for step in steps),
        features=frozenset(entry.get("features", ())),
        quirk=bool(values.get("quirk", entry.get("quirk", False))),
        file=file,
        line=line,
    )


def _step(step: Mapping[str, Any]) -> Step:
    do = next((key for key in step if key != "expect"), "look")
    return Step(do=do, detail=step.get(do) or {}, expect=step.get("expect", {}))


def fill(value: Any, names: Mapping[str, Any]) -> Any:
    """`value` with `<name>` replaced, all the way down; a text that is nothing but `<name>` becomes the value itself.

    Names that are not known stay as they are: a second filling, at run time, knows the addresses.
    """
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole and whole[1] in names:
            return names[whole[1]]
        return _PLACEHOLDER.sub(lambda hit: str(names[hit[1]]) if hit[1] in names else hit[0], value)
    if isinstance(value, dict):
        return {fill(key, names): fill(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, names) for item in value]
    return value


def placeholders(value: Any) -> Iterator[str]:
    """Every `<name>` that is left in `value`."""
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from placeholders(key)
            yield from placeholders(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from placeholders(item)


def select(cases: Iterable[Case], patterns: Sequence[str]) -> tuple[Case, ...]:
    """The cases that a pattern names: an id with `*` and `?`, or the beginning of one up to a slash.

    A pattern that starts with `!` takes cases out again. A pattern that names none is a UsageError.
    """
    every = tuple(cases)
    if not patterns:
        return every
    wanted: set[str] = set()
    if all(pattern.startswith("!") for pattern in patterns):
        wanted = {case.id for case in every}
    for pattern in patterns:
        out = pattern.startswith("!")
        found = {case.id for case in every if _names(pattern.lstrip("!"), case.id)}
        if not found:
            raise UsageError(
                f"the pattern {pattern!r} selects no case; {_near(pattern.lstrip('!'), every)}; "
                "`kargo-lab conformance list` shows all"
            )
        wanted = wanted - found if out else wanted | found
    return tuple(case for case in every if case.id in wanted)


def _ends(case_id: str) -> list[int]:
    return [place for place, character in enumerate(case_id) if character == "/"]


def _near(pattern: str, every: Sequence[Case]) -> str:
    """Ids, or beginnings of them, that were perhaps meant; the groups where nothing is like the pattern."""
    places = {
        "/".join(parts[: end + 1]) for case in every for parts in [case.id.split("/")] for end in range(len(parts))
    }
    if close := difflib.get_close_matches(pattern.strip("/*"), sorted(places), n=3, cutoff=0.6):
        return f"did you mean {' or '.join(close)}?"
    return f"ids begin with {', '.join(dict.fromkeys(case.group for case in every))}"


def _names(pattern: str, case_id: str) -> bool:
    return case_id == pattern or case_id.startswith(pattern.rstrip("/") + "/") or fnmatch.fnmatchcase(case_id, pattern)


def for_profile(cases: Iterable[Case], profile: str) -> tuple[Case, ...]:
    """The cases that hold for one profile; an unknown one is a UsageError."""
    profiles.get(profile)
    return tuple(case for case in cases if case.holds_for(profile))
