"""The three ways in which Kargo runs an expression (A.1), and what stands in each.

An environment says what the compiler knows: the functions that Kargo declares with their types,
and whether there are variables at all. The values come with each run; the functions here build
them. The URL normalisers are arguments, because which ones hold is the profile's matter.

Sources: discovery.md 4.7, 7.8 and A.1; receivers.md 5.5.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import attrs

from kargo_lab.rules.expressions.dates import Time
from kargo_lab.rules.expressions.gotypes import TIME
from kargo_lab.rules.expressions.moments import METHODS, method
from kargo_lab.rules.expressions.natures import (
    ANY,
    BOOL,
    MAP,
    STRING,
    STRING_MAP,
    STRUCT,
    GoType,
    function,
    pointer,
)
from kargo_lab.rules.expressions.values import (
    Function,
    NilStringMap,
    NilStrings,
    StringMap,
    Strings,
    Struct,
    Value,
    decoded,
    encoded,
)

Normalize = Callable[[str], str]
_Found = TypeVar("_Found")
_API = "github.com/akuity/kargo/api/v1alpha1."


@attrs.frozen(kw_only=True)
class Environment:
    """What an expression is compiled against.

    functions: those that Kargo declares, each with its overloads. variables: False where names
    are looked up in nothing at all, so that every one of them fails.
    """

    name: str
    functions: Mapping[str, tuple[GoType, ...]] = attrs.field(factory=dict)
    variables: bool = True


PLAIN = Environment(name="plain")
"""A git subscription's `expressionFilter`: variables, unknown names are nil."""

GENERIC = Environment(name="generic")
"""The generic receiver's `whenExpression`: as PLAIN, with the values of `request_variables`."""


@functools.lru_cache(maxsize=16)
def template_environment(functions: tuple[str, ...]) -> Environment:
    """The environment of a template: as GENERIC, with the named functions from any value to text."""
    return Environment(name="template", functions={name: (function(ANY, result=STRING),) for name in functions})


# The API's wrapper around a time: Time's methods, but these two take another wrapper.
_wrapper_methods: dict[str, GoType] = dict(TIME.methods)
_WRAPPER = GoType(name="v1.Time", kind=STRUCT, fields={"Time": TIME}, methods=_wrapper_methods)
_WRAPPED = pointer(_WRAPPER, _wrapper_methods)
_wrapper_methods |= dict.fromkeys(["Before", "Equal"], function(_WRAPPED, result=BOOL))


def _struct(name: str, fields: Mapping[str, GoType]) -> GoType:
    return GoType(name=name, kind=STRUCT, fields=fields)


_COMMIT = _struct(
    "v1alpha1.DiscoveredCommit",
    dict.fromkeys(["ID", "Branch", "Tag", "Subject", "Author", "Committer"], STRING) | {"CreatorDate": _WRAPPED},
)
_IMAGE = _struct(
    "v1alpha1.DiscoveredImageReference",
    {"Tag": STRING, "Digest": STRING, "Annotations": STRING_MAP, "CreatedAt": _WRAPPED},
)
_CHART = _struct("v1alpha1.Chart", dict.fromkeys(["RepoURL", "Name", "Version", "SubscriptionName"], STRING))
_ARTIFACT = _struct(
    "v1alpha1.ArtifactReference",
    dict.fromkeys(["ArtifactType", "SubscriptionName", "Version"], STRING) | {"Metadata": MAP},
)


def _returning(struct: GoType, *inputs: GoType) -> GoType:
    return function(*inputs, result=pointer(struct, {}))


CRITERIA = Environment(
    name="criteria",
    functions=MappingProxyType(
        {
            "commitFrom": (_returning(_COMMIT, STRING),),
            "imageFrom": (_returning(_IMAGE, STRING),),
            "chartFrom": (_returning(_CHART, STRING), _returning(_CHART, STRING, STRING)),
            "artifactFrom": (_returning(_ARTIFACT, STRING),),
        }
    ),
    variables=False,
)
"""Freight creation criteria: four typed functions, no variables. Runs on `criteria_functions`."""


def commit_variables(
    *, commit_id: str, commit_date: datetime | Time, author: str, committer: str, subject: str
) -> dict[str, Value]:
    """The variables of a filter on commits. The date keeps its zone."""
    return {
        "id": commit_id,
        "commitDate": _moment(commit_date),
        "author": author,
        "committer": committer,
        "subject": subject,
    }


def tag_variables(
    *,
    tag: str,
    commit_id: str,
    creator_date: datetime | Time,
    author: str,
    committer: str,
    subject: str,
    tagger: str = "",
    annotation: str = "",
) -> dict[str, Value]:
    """The variables of a filter on tags; tagger and annotation are empty for lightweight ones."""
    return {
        "tag": tag,
        "id": commit_id,
        "creatorDate": _moment(creator_date),
        "author": author,
        "committer": committer,
        "subject": subject,
        "tagger": tagger,
        "annotation": annotation,
    }


def _moment(value: datetime | Time) -> Time:
    return value if isinstance(value, Time) else Time.of(value)


def _wrapped(value: datetime | Time | None) -> Struct | None:
    """A time as the API holds it: absent, or a wrapper with the methods of the time inside."""
    if value is None:
        return None
    inside = _moment(value)
    methods = {name: found for name in METHODS[Time] if (found := method(inside, name))}
    for name in ("Before", "Equal"):
        methods[name] = _between_wrappers(methods[name])
    return Struct("k8s.io/apimachinery/pkg/apis/meta/v1.Time", {"Time": inside}, methods)


def _between_wrappers(own: Function) -> Function:
    return Function(own.name, lambda other: own.call(other.fields["Time"]), (Struct,))


@attrs.frozen(kw_only=True)
class Commit:
    """A discovered commit, as `commitFrom` returns it."""

    id: str = ""
    branch: str = ""
    tag: str = ""
    subject: str = ""
    author: str = ""
    committer: str = ""
    creator_date: datetime | Time | None = None


@attrs.frozen(kw_only=True)
class Image:
    """A discovered image, as `imageFrom` returns it."""

    tag: str = ""
    digest: str = ""
    annotations: Mapping[str, str] | None = None
    created_at: datetime | Time | None = None


@attrs.frozen(kw_only=True)
class Artifact:
    """The newest result of a generic subscription, as `artifactFrom` returns it."""

    artifact_type: str = ""
    subscription_name: str = ""
    version: str = ""
    metadata: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class Artifacts:
    """What a pass discovered, newest first: by repository URL as the subscription spells it.

    charts: repository URL, chart name, versions. artifacts: by the subscription's name.
    """

    commits: tuple[tuple[str, tuple[Commit, ...]], ...] = ()
    images: tuple[tuple[str, tuple[Image, ...]], ...] = ()
    charts: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    artifacts: tuple[tuple[str, tuple[Artifact, ...]], ...] = ()


def criteria_functions(
    discovered: Artifacts, *, normalize_git: Normalize, normalize_image: Normalize, normalize_chart: Normalize
) -> dict[str, Value]:
    """The functions of CRITERIA over what was discovered; nil where nothing matches."""

    def newest(found: Iterable[tuple[str, Sequence[_Found]]], name: str, normalize: Normalize) -> _Found | None:
        wanted = normalize(name)
        return next((results[0] for known, results in found if normalize(known) == wanted and results), None)

    def commit_from(url: str) -> Value:
        found = newest(discovered.commits, url, normalize_git)
        return _commit(found) if found else None

    def image_from(url: str) -> Value:
        found = newest(discovered.images, url, normalize_image)
        return _image(found) if found else None

    def chart_from(url: str, name: str = "") -> Value:
        named = [
            (known, [(chart, version) for version in versions[:1]])
            for known, chart, versions in discovered.charts
            if name in {"", chart}
        ]
        found = newest(named, url, normalize_chart)
        return _chart(normalize_chart(url), *found) if found else None

    def artifact_from(name: str) -> Value:
        found = newest(discovered.artifacts, name, str)
        return _artifact(found) if found else None

    return {
        "commitFrom": Function("commitFrom", commit_from, (str,)),
        "imageFrom": Function("imageFrom", image_from, (str,)),
        "chartFrom": Function("chartFrom", chart_from, (str, str), variadic=True),
        "artifactFrom": Function("artifactFrom", artifact_from, (str,)),
    }


def _chart(url: str, name: str, version: str) -> Struct:
    return Struct(f"{_API}Chart", {"RepoURL": url, "Name": name, "Version": version, "SubscriptionName": ""})


def _commit(commit: Commit) -> Struct:
    return Struct(
        f"{_API}DiscoveredCommit",
        {
            "ID": commit.id,
            "Branch": commit.branch,
            "Tag": commit.tag,
            "Subject": commit.subject,
            "Author": commit.author,
            "Committer": commit.committer,
            "CreatorDate": _wrapped(commit.creator_date),
        },
    )


def _image(image: Image) -> Struct:
    annotations = NilStringMap() if image.annotations is None else StringMap(image.annotations)
    fields = {"Tag": image.tag, "Digest": image.digest, "Annotations": annotations}
    return Struct(f"{_API}DiscoveredImageReference", {**fields, "CreatedAt": _wrapped(image.created_at)})


def _artifact(artifact: Artifact) -> Struct:
    fields = {
        "ArtifactType": artifact.artifact_type,
        "SubscriptionName": artifact.subscription_name,
        "Version": artifact.version,
    }
    return Struct(f"{_API}ArtifactReference", {**fields, "Metadata": dict(artifact.metadata or {})})


def request_variables(
    *,
    body: Value,
    headers: Iterable[tuple[str, str]],
    query: str,
    parameters: Mapping[str, str],
    normalize_git: Normalize,
    normalize_image: Normalize,
    normalize_chart: Normalize,
) -> dict[str, Value]:
    """The variables of the generic receiver. `body` is decoded JSON, nil for an empty one.

    The Host header is not among the headers; Go's server takes it out.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() != "host":
            values.setdefault(name.lower(), []).append(value)
    asked = query_values(query)

    def all_of(name: str) -> Value:
        found = values.get(name.lower())
        return Strings(found) if found else NilStrings()

    def first_of(name: str) -> str:
        return values.get(name.lower(), [""])[0]

    normalizers = (
        ("normalizeGit", normalize_git),
        ("normalizeImage", normalize_image),
        ("normalizeChart", normalize_chart),
    )
    return {
        "request": {
            "body": body,
            "header": Function("header", first_of, (str,)),
            "headers": Function("headers", all_of, (str,)),
            "params": Function("params", lambda name: asked.get(name, ""), (str,)),
        },
        "params": dict(parameters),
        **{name: Function(name, normalize, (str,)) for name, normalize in normalizers},
    }


def query_values(query: str) -> dict[str, str]:
    """The first value of each query parameter as Go's url.ParseQuery has it.

    A pair with `;` or a broken escape is dropped.
    """
    found: dict[str, str] = {}
    for pair in query.split("&"):
        if not pair or ";" in pair:
            continue
        name, _, value = pair.partition("=")
        try:
            found.setdefault(_unescaped(name), _unescaped(value))
        except ValueError:
            continue
    return found


def _unescaped(text: str) -> str:
    for piece in text.split("%")[1:]:
        if len(piece) < 2 or any(digit not in "0123456789abcdefABCDEF" for digit in piece[:2]):
            raise ValueError(text)
    return decoded(unquote_to_bytes(encoded(text.replace("+", " "))))
