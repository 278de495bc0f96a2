"""The shape of a Warehouse: discovery.md 1.1 to 1.5, with the checks of Kargo's admission webhook."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import attrs

from kargo_lab.errors import ConstraintError, DurationError
from kargo_lab.profiles import Profile
from kargo_lab.resources.metadata_shapes import LABEL_NAME, envelope, metadata
from kargo_lab.resources.shapes import (
    WRONG,
    Anything,
    Field,
    Flag,
    ListOf,
    MapOf,
    Number,
    Place,
    Record,
    Text,
    found,
    nearest,
)
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GenericSubscription,
    GitSubscription,
    ImageSubscription,
    Warehouse,
    WarehouseSpec,
)
from kargo_lab.rules import constraints, durations, urls

# CRD patterns. `\w` and `\d` are ASCII in RE2; the second Git form is open at its end.
_GIT_URL = re.compile(
    r"(?:ssh|https?)://(?:[\w-]+(?::.+)?@)?[\w-]+(?:\.[\w-]+)*(?::\d{1,5})?/.*"
    r"|[\w-]+@[\w+]+(?:\.[\w-]+)*:(?s:.*)",
    re.ASCII,
)
_IMAGE_URL = re.compile(r"(?:\w+(?:[.-]\w+)*(?::\d+)?/)?\w+(?:[.-]\w+)*(?:/\w+(?:[.-]\w+)*)*", re.ASCII)
_CHART_URL = re.compile(r"(?:https?|oci)://[\w.-]+(?::\d+)?(?:/.*)*", re.ASCII)
_BRANCH = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9._/-]*[a-zA-Z0-9_-])?)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)

TEXT = Text()
_TEXTS = ListOf(shape=TEXT)
_LIMIT = Field("discoveryLimit", "discovery_limit", Number(lowest=1, highest=100), zero_is_absent=True)
_INSECURE = Field("insecureSkipTLSVerify", "insecure_skip_tls_verify", Flag())


@attrs.frozen
class _Duration:
    """A duration's text: of Kargo's pattern at admission, of any that Go reads once it is stored."""

    def read(self, place: Place) -> Any:
        text = TEXT.read(place)
        if text is WRONG:
            return text
        try:
            (durations.parse_interval if place.report.admitted else durations.parse)(text)
        except DurationError:
            return place.wrong(f"expected a duration such as 5m0s (units s, m and h), found {text[:60]!r}")
        return text

    def write(self, value: Any) -> Any:
        return value


DURATION = _Duration()


def time_problem(text: str, _profile: object = None) -> str:
    """What is wrong with a time, empty if nothing."""
    try:
        if _TIME.fullmatch(text):
            datetime.fromisoformat(text)
            return ""
    except ValueError:
        pass
    return f"expected a time such as 2026-01-31T09:00:00Z, found {text[:60]!r}"


def _constraint_problem(text: str, profile: Profile) -> str:
    try:
        constraints.compile(text, library=profile.semver_library) if text else None
    except ConstraintError as error:
        return f"expected a semver constraint: {error.message}"
    return ""


def _strategies(*names: str) -> Text:
    return Text(choices=names, meaning="a strategy")


def _tag_filters() -> tuple[Field, ...]:
    return (
        Field("strictSemvers", "strict_semvers", Flag()),
        Field("allowTags", "allow_tags", TEXT),
        Field("ignoreTags", "ignore_tags", _TEXTS),
        Field("allowTagsRegexes", "allow_tags_regexes", _TEXTS),
        Field("ignoreTagsRegexes", "ignore_tags_regexes", _TEXTS),
    )


_CONSTRAINT = Field("semverConstraint", "semver_constraint", Text(check=_constraint_problem))

GIT = Record(
    kind=GitSubscription,
    stored={"strict_semvers": None},
    fields=(
        Field(
            "repoURL",
            "repo_url",
            Text(pattern=_GIT_URL, meaning="an http(s), ssh or user@host:path Git URL"),
            required=True,
        ),
        Field(
            "commitSelectionStrategy",
            "commit_selection_strategy",
            _strategies("NewestFromBranch", "SemVer", "Lexical", "NewestTag"),
            zero_is_absent=True,
        ),
        Field("branch", "branch", Text(pattern=_BRANCH, meaning="a branch name", longest=255)),
        _CONSTRAINT,
        *_tag_filters(),
        Field("includePaths", "include_paths", _TEXTS),
        Field("excludePaths", "exclude_paths", _TEXTS),
        Field("expressionFilter", "expression_filter", TEXT),
        Field("since", "since", Text(check=time_problem)),
        Field("blobless", "blobless", Flag()),
        _LIMIT,
        _INSECURE,
    ),
)


def _check_image(place: Place) -> None:
    constraint, profile = place.text("constraint"), place.report.profile
    match place.text("imageSelectionStrategy") or "SemVer":
        case "SemVer" if problem := _constraint_problem(constraint, profile):
            place.at("constraint").wrong(problem)
        # Until 1.8 the tag of a Digest subscription could stand in the field's old name.
        case "Digest" if not constraint and (
            profile.image_constraint_field == "constraint" or not place.text("semverConstraint")
        ):
            place.at("constraint").wrong("missing, and required: with strategy Digest it is the tag to watch")


IMAGE = Record(
    kind=ImageSubscription,
    stored={"strict_semvers": None},
    check=_check_image,
    fields=(
        Field(
            "repoURL",
            "repo_url",
            Text(pattern=_IMAGE_URL, meaning="an image repository without scheme and tag"),
            required=True,
        ),
        Field(
            "imageSelectionStrategy",
            "image_selection_strategy",
            _strategies("SemVer", "Lexical", "Digest", "NewestBuild"),
            zero_is_absent=True,
        ),
        Field("constraint", "constraint", TEXT),
        Field("semverConstraint", "semver_constraint", TEXT),
        *_tag_filters(),
        Field(
            "platform",
            "platform",
            Text(pattern=re.compile(r"|[^/]*/(?s:.*)"), meaning="a platform such as linux/amd64"),
        ),
        _LIMIT,
        Field("cacheByTag", "cache_by_tag", Flag()),
        _INSECURE,
    ),
)


def _check_chart(place: Place) -> None:
    url, name = place.text("repoURL"), place.text("name")
    if url.startswith("oci://") and name:
        place.at("name").wrong("must be absent: an oci:// URL names the chart itself")
    elif url.startswith("http") and not name:
        place.at("name").wrong("missing, and required: a classic chart repository holds many charts")


CHART = Record(
    kind=ChartSubscription,
    check=_check_chart,
    fields=(
        Field(
            "repoURL", "repo_url", Text(pattern=_CHART_URL, meaning="an http(s):// or oci:// chart URL"), required=True
        ),
        Field("name", "chart_name", TEXT),
        _CONSTRAINT,
        _LIMIT,
        _INSECURE,
    ),
)

GENERIC = Record(fields=(Field("config", "config", MapOf(shape=Anything())), _LIMIT))
BUILT_IN: Mapping[str, Record] = {"git": GIT, "image": IMAGE, "chart": CHART}
_NAME = Text(pattern=LABEL_NAME, meaning="a name of lower-case letters, digits and `-`", shortest=1, longest=63)


@attrs.frozen
class SubscriptionShape:
    """The envelope of a subscription: one key names its type, `name` may stand beside it."""

    def read(self, place: Place) -> Any:
        """Types that no open-source subscriber serves are refused at admission (discovery.md 1.2 row 5)."""
        if not isinstance(place.value, Mapping):
            return place.wrong(f"expected a mapping with one of git, image, chart; found {found(place.value)}")
        kinds = [key for key in place.value if key != "name"]
        if len(kinds) != 1:
            what = ", ".join(f"`{kind[:60]}`" for kind in kinds[:5]) or "none"
            return place.wrong(f"expected exactly one of git, image, chart; found {what}")
        if "name" in place.value and place.report.admitted and not place.report.profile.subscription_names:
            # Up to v1.11 the type is the only key: warehouse_types_test.go, TestWarehouseSpecUnmarshalValidation.
            return place.at("name").wrong("a subscription has no name before the releases after v1.11")
        name = _NAME.read(place.at("name")) if place.value.get("name") is not None else ""
        kind = kinds[0]
        if kind in BUILT_IN:
            value = BUILT_IN[kind].read(place.at(kind))
            return WRONG if WRONG in (name, value) else attrs.evolve(value, name=name)
        if place.report.admitted:
            return place.at(kind).wrong(f"no subscription type is called `{kind[:60]}`{nearest(kind[:60], BUILT_IN)}")
        value = GENERIC.read(place.at(kind))
        return WRONG if WRONG in (name, value) else GenericSubscription(kind=kind, name=name, **value)

    def write(self, value: Any) -> Any:
        """The envelope around what the type's record writes."""
        name = {"name": value.name} if value.name else {}
        if isinstance(value, GenericSubscription):
            return {value.kind: GENERIC.write(value), **name}
        return {value.TYPE: BUILT_IN[value.TYPE].write(value), **name}


def _repository(place: Place) -> tuple[str, ...]:
    """What makes two subscriptions of one Warehouse the same: discovery.md 1.2 row 4."""
    profile = place.report.profile
    if url := place.text("git", "repoURL"):
        return ("git", urls.normalize_git(url, profile=profile))
    if url := place.text("image", "repoURL"):
        return ("image", urls.normalize_image(url, profile=profile))
    if url := place.text("chart", "repoURL"):
        return ("chart", urls.normalize_chart(url, profile=profile), place.text("chart", "name"))
    return ()


def no_twins(place: Place, key: Callable[[Place], Any], message: str, *below: str) -> None:
    """Report each element of a list whose key an earlier one has; an empty key is none."""
    first: dict[Any, Place] = {}
    for item in place.items():
        if not (value := key(item)):
            continue
        if value in first:
            line = item.report.document.line(first[value].path)
            item.at(*below).wrong(f"{message} in line {line}")
        else:
            first[value] = item


def _check_subscriptions(place: Place) -> None:
    if not place.report.profile.twin_subscriptions:
        no_twins(place, _repository, "the same repository as the subscription")
    no_twins(place, lambda item: item.text("name"), "the same name as the subscription", "name")


def _spec(**values: Any) -> WarehouseSpec:
    spec = WarehouseSpec(**values)
    return attrs.evolve(spec, interval_seconds=durations.seconds(spec.interval))


_CRITERIA = Record(fields=(Field("expression", "freight_creation_criteria", TEXT),))

SPEC = Record(
    kind=WarehouseSpec,
    build=_spec,
    fields=(
        Field("shard", "shard", TEXT),
        Field("interval", "interval", DURATION),
        Field("freightCreationPolicy", "freight_creation_policy", Text(choices=("Automatic", "Manual"))),
        Field("freightCreationCriteria", "freight_creation_criteria", _CRITERIA, spread=True),
        Field(
            "subscriptions",
            "subscriptions",
            ListOf(shape=SubscriptionShape(), least=1, check=_check_subscriptions),
            required=True,
        ),
    ),
)

WAREHOUSE = Record(
    kind=Warehouse,
    fields=envelope(
        metadata("labels", "annotations", "generation"),
        Field("spec", "spec", SPEC, required=True),
        Field("status", "status", Anything(), skipped=True),
    ),
)
