"""Kargo's YAML documents to frozen values and back; every misfit is reported, each with its place.

Reading applies what Kargo's admission does (patterns, ranges, uniqueness, defaults), because a lab
without a cluster has nobody else to do it. Objects that come out of a cluster were admitted there,
perhaps by another version: `stored` and `subscription(..., admitted=False)` read them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from kargo_lab.errors import ManifestError, Misfit, UsageError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.configuration import ClusterConfig, ProjectConfig, Secret
from kargo_lab.resources.configuration_shapes import CLUSTER_CONFIG, PROJECT_CONFIG, SECRET
from kargo_lab.resources.pipeline import Freight, Project, Promotion, PromotionTask, Stage
from kargo_lab.resources.pipeline_shapes import SHAPES as PIPELINE_SHAPES
from kargo_lab.resources.shapes import WRONG, Place, Record, Report, found, nearest
from kargo_lab.resources.warehouse import Subscription, Warehouse
from kargo_lab.resources.warehouse_shapes import WAREHOUSE, SubscriptionShape
from kargo_lab.resources.yaml_lines import MAX_FILE_BYTES, Document, documents, written

KARGO_GROUP = "kargo.akuity.io"
KARGO_VERSION = f"{KARGO_GROUP}/v1alpha1"
MAX_FILES = 10_000
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})

KINDS: Mapping[str, Record] = {
    "Secret": SECRET,
    "ProjectConfig": PROJECT_CONFIG,
    "ClusterConfig": CLUSTER_CONFIG,
    "Warehouse": WAREHOUSE,
    **PIPELINE_SHAPES,
}
_API_VERSIONS = {kind: "v1" if kind == "Secret" else KARGO_VERSION for kind in KINDS}

Resource = Secret | ProjectConfig | ClusterConfig | Warehouse | Project | Stage | PromotionTask | Freight | Promotion


@attrs.frozen(kw_only=True)
class Other:
    """A document of a kind the lab does not read: where it is, so that nobody has to wonder."""

    file: str
    line: int
    api_version: str
    kind: str
    name: str


@attrs.frozen(kw_only=True)
class Resources:
    """What the files hold, each kind in the order of the files."""

    secrets: tuple[Secret, ...] = ()
    project_configs: tuple[ProjectConfig, ...] = ()
    cluster_config: ClusterConfig | None = None
    warehouses: tuple[Warehouse, ...] = ()
    projects: tuple[Project, ...] = ()
    stages: tuple[Stage, ...] = ()
    promotion_tasks: tuple[PromotionTask, ...] = ()
    freight: tuple[Freight, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    others: tuple[Other, ...] = ()
    analysis_templates: tuple[Mapping[str, Any], ...] = ()  # as they are written; `others` has them too

    def all(self) -> tuple[Resource, ...]:
        """Every object the lab reads, configuration first."""
        cluster = (self.cluster_config,) if self.cluster_config else ()
        return (
            *self.projects,
            *self.secrets,
            *cluster,
            *self.project_configs,
            *self.warehouses,
            *self.promotion_tasks,
            *self.stages,
            *self.freight,
            *self.promotions,
        )


def load(
    paths: str | Path | Iterable[str | Path], *, profile: Profile = LATEST, namespace: str = "default"
) -> Resources:
    """Read files, and every `.yaml`, `.yml` and `.json` file below folders.

    `namespace` is that of objects that name none. Raises ManifestError with all misfits of all files.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    misfits: list[Misfit] = []
    read: list[Document] = []
    for path in _files([Path(path) for path in given], misfits):
        try:
            with path.open("rb") as file:  # not read whole: it may be a device, or anything
                read.extend(documents(file.read(MAX_FILE_BYTES + 1), str(path)))
        except OSError as error:
            misfits.append(Misfit(str(path), 0, "", f"cannot be read: {error.strerror or error}"))
        except ManifestError as error:
            misfits.extend(error.misfits)
    return _resources(read, misfits, profile=profile, namespace=namespace)


def loads(
    text: str | bytes, *, name: str = "<text>", profile: Profile = LATEST, namespace: str = "default"
) -> Resources:
    """Read documents out of a text; `name` stands for the file in messages."""
    return _resources(documents(text, name), [], profile=profile, namespace=namespace)


def loads_plain(
    objects: Iterable[object], *, name: str = "<objects>", profile: Profile = LATEST, namespace: str = "default"
) -> Resources:
    """As `loads`, from plain data: for objects that were made and never written. `name` stands for the file."""
    return _resources([Document(name, each, {}) for each in objects], [], profile=profile, namespace=namespace)


def subscription(data: object, *, admitted: bool = True, profile: Profile = LATEST) -> Subscription:
    """One element of `spec.subscriptions`, from plain data.

    `admitted=False` reads it as stored: no checks, and an absent `strictSemvers` stays absent.
    """
    report = Report(Document("<subscription>", data, {}), profile, admitted=admitted)
    value: Subscription = _or_raise(SubscriptionShape().read(Place(data, (), report)), report)
    return value


def stored(data: object, *, profile: Profile = LATEST, namespace: str = "default") -> Resource:
    """One object from plain data as a cluster stores it: nothing is checked but its shape."""
    report = Report(Document("<object>", data, {}), profile, namespace, admitted=False)
    place = Place(data, (), report)
    shape = KINDS.get(place.text("kind"))
    if shape is None:
        raise ManifestError([Misfit("<object>", 0, "kind", f"expected one of {', '.join(KINDS)}")])
    value: Resource = _or_raise(shape.read(place), report)
    return value


def dump(resource: Resource) -> str:
    """The resource as one YAML document that `loads` reads back to an equal value."""
    return written(plain(resource))


def plain(resource: Resource) -> dict[str, Any]:
    """The resource as plain data, defaults left out."""
    kind = type(resource).__name__
    if isinstance(resource, PromotionTask) and not resource.namespace:
        kind = "ClusterPromotionTask"
    return {"apiVersion": _API_VERSIONS[kind], "kind": kind, **KINDS[kind].write(resource)}


def _or_raise(value: Any, report: Report) -> Any:
    if value is WRONG:
        raise ManifestError(report.misfits)
    return value


def _files(paths: list[Path], misfits: list[Misfit]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.suffix in _SUFFIXES and item.is_file())
            if not inside:
                misfits.append(Misfit(str(path), 0, "", "no .yaml, .yml or .json file in this folder"))
            files.extend(inside)
        elif path.exists():
            files.append(path)
        else:
            misfits.append(Misfit(str(path), 0, "", "no such file or folder"))
    if len(files) > MAX_FILES:
        raise UsageError(f"more than {MAX_FILES} files; name a smaller folder")
    return files


# One document -----------------------------------------------------------------------------------------


@attrs.define
class _Collection:
    """The objects read so far, and where each stood."""

    values: dict[str, list[Any]] = attrs.field(factory=dict)
    seen: dict[tuple[str, str, str], str] = attrs.field(factory=dict)

    def add(self, kind: str, value: Any, place: Place) -> None:
        key = (kind, getattr(value, "namespace", ""), value.name)
        here = f"{place.report.document.file}:{place.report.document.line(place.path)}"
        if key in self.seen:
            place.at("metadata", "name").wrong(f"the same {kind} is already in {self.seen[key]}")
            return
        self.seen[key] = here
        self.values.setdefault(kind, []).append(value)


def _resources(read: list[Document], misfits: list[Misfit], *, profile: Profile, namespace: str) -> Resources:
    collection = _Collection()
    for document in read:
        misfits.extend(document.problems)
        report = Report(document, profile, namespace)
        for place in _objects(Place(document.value, (), report)):
            _read_object(place, collection)
        misfits.extend(sorted(report.misfits, key=lambda misfit: misfit.line))
    if misfits:
        raise ManifestError(misfits)
    values = collection.values
    return Resources(
        secrets=tuple(values.get("Secret", ())),
        project_configs=tuple(values.get("ProjectConfig", ())),
        cluster_config=next(iter(values.get("ClusterConfig", ())), None),
        warehouses=tuple(values.get("Warehouse", ())),
        projects=tuple(values.get("Project", ())),
        stages=tuple(values.get("Stage", ())),
        promotion_tasks=(*values.get("PromotionTask", ()), *values.get("ClusterPromotionTask", ())),
        freight=tuple(values.get("Freight", ())),
        promotions=tuple(values.get("Promotion", ())),
        others=tuple(values.get("", ())),
        analysis_templates=tuple(values.get("AnalysisTemplate", ())),
    )


def _objects(place: Place) -> list[Place]:
    """The object, or those in it: `kubectl get -o yaml` writes a List."""
    if isinstance(place.value, Mapping) and place.text("kind") == "List" and place.text("apiVersion") == "v1":
        return place.at("items").items()
    return [place]


def _read_object(place: Place, collection: _Collection) -> None:
    if not isinstance(place.value, Mapping):
        place.wrong(f"expected a Kubernetes object, which is a mapping; found {found(place.value)}")
        return
    version, kind = place.text("apiVersion"), place.text("kind")
    if not version or not kind:
        for key, example in (("apiVersion", KARGO_VERSION), ("kind", "Warehouse")):
            if not place.text(key):
                place.at(key).wrong(f"missing, and required: text such as `{example}`")
        return
    if kind in KINDS and version == _API_VERSIONS[kind]:
        value = KINDS[kind].read(place)
        if value is not WRONG:
            collection.add(kind, value, place)
        return
    if problem := _strange(version, kind):
        key, message = problem
        place.at(key).wrong(message)
        return
    if version.startswith("argoproj.io/") and kind in ("AnalysisTemplate", "ClusterAnalysisTemplate"):
        metadata = {"namespace": place.report.namespace, **(place.at("metadata").value or {})}
        collection.values.setdefault("AnalysisTemplate", []).append({**place.value, "metadata": metadata})
    document = place.report.document
    name = place.text("metadata", "name")
    collection.values.setdefault("", []).append(
        Other(file=document.file, line=document.line(place.path), api_version=version, kind=kind, name=name)
    )


def _strange(version: str, kind: str) -> tuple[str, str] | None:
    """The member at fault and why, for a type that looks like a slip of the pen rather than somebody else's."""
    version, kind = version[:80], kind[:80]
    if version == KARGO_VERSION:
        return ("kind", f"Kargo has no kind `{kind}` that the lab reads{nearest(kind, KINDS)}")
    if version.startswith(f"{KARGO_GROUP}/") or kind in ("Secret", "Warehouse", "ProjectConfig", "ClusterConfig"):
        wanted = _API_VERSIONS.get(kind, KARGO_VERSION)
        return ("apiVersion", f"expected {wanted} for a {kind}, found {version!r}")
    # Not as generously as elsewhere: a Service is not a misspelt Secret.
    if version == "v1" and (close := nearest(kind, ["Secret"], likeness=0.8)):
        return ("kind", f"`{kind}` is no kind of v1{close}")
    return None
