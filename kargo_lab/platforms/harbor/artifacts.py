"""Harbor's API about artifacts and tags: what the registry holds, as Harbor describes it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import attrs
from flask import Response, jsonify, request

from kargo_lab.platforms.harbor.calls import CallError, Item, Route, caller, created, flag, given, listed
from kargo_lab.platforms.harbor.projects import repository
from kargo_lab.platforms.harbor.records import RepositoryRecord, stamp
from kargo_lab.platforms.oci.chart_packages import CONFIG_MEDIA_TYPE
from kargo_lab.platforms.oci.content import is_name, is_tag, push_event
from kargo_lab.platforms.oci.events import DELETE
from kargo_lab.platforms.oci.manifests import DOCKER_MANIFEST, INDEXES, OCI_MANIFEST, read
from kargo_lab.platforms.oci.storage import StoredManifest

if TYPE_CHECKING:
    from kargo_lab.platforms.harbor import Harbor

IMAGE_CONFIGS = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
# What stands between `vnd.` and `.config` names the type, where the media type has that form.
_TYPE = re.compile(r"application/vnd\.([^/]+?)\.config(?:\.[^+]*)?\+\w+")
_IMAGE_FACTS = ("architecture", "author", "config", "created", "os")


def shown_digests(harbor: Harbor, full: str) -> list[str]:
    """The artifacts that a list shows: all but the untagged children of an index and what belongs to another."""
    stored = harbor.storage.manifests(full)
    children = {
        digest
        for one in stored
        if one.media_type in INDEXES
        for digest in read(harbor.storage.read_manifest(one.digest), one.media_type).children
    }
    hidden = children | {one.digest for one in stored if one.subject}
    return [one.digest for one in stored if one.digest not in hidden or harbor.storage.tags_of(full, one.digest)]


def _find(harbor: Harbor, full: str, reference: str) -> StoredManifest:
    digest = reference if ":" in reference else harbor.storage.tagged(full, reference)
    found = harbor.storage.manifest(full, digest) if digest else None
    if found is None:
        raise CallError(404, f"artifact {full}{'@' if ':' in reference else ':'}{reference} not found")
    return found


def _type(config_media_type: str, media_type: str) -> str:
    if media_type in INDEXES or config_media_type in IMAGE_CONFIGS:
        return "IMAGE"
    if config_media_type == CONFIG_MEDIA_TYPE:
        return "CHART"
    named = _TYPE.fullmatch(config_media_type)
    return named[1].rpartition(".")[2].upper() if named else "UNKNOWN"


def _config(harbor: Harbor, full: str, digest: str) -> Item:
    if not digest or harbor.storage.blob_size(full, digest) is None:
        return {}
    with harbor.storage.open_blob(digest) as blob:
        try:
            config = json.load(blob)
        except ValueError:
            return {}
    return config if isinstance(config, dict) else {}


def _show(harbor: Harbor, full: str, record: RepositoryRecord, stored: StoredManifest) -> Item:
    project = harbor.records.project_of(full)
    assert project is not None  # noqa: S101 -- the repository was found in it
    document = json.loads(harbor.storage.read_manifest(stored.digest))
    reading = read(harbor.storage.read_manifest(stored.digest), stored.media_type)
    kind = _type(reading.config_media_type, stored.media_type)
    number = harbor.records.number(record, stored.digest)
    tags = [_show_tag(harbor, full, record, name) for name in harbor.storage.tags_of(full, stored.digest)]
    config = _config(harbor, full, reading.config_digest) if kind in ("IMAGE", "CHART") else {}
    parts = [document.get("config") or {}, *document.get("layers", []), *document.get("manifests", [])]
    additions = {"IMAGE": ("build_history",), "CHART": ("values.yaml", "readme.md", "dependencies")}.get(kind, ())
    place = f"/api/v2.0/projects/{project.name}/repositories/{full.partition('/')[2].replace('/', '%252F')}"
    return {
        "id": number,
        "type": kind,
        "media_type": reading.config_media_type or stored.media_type,
        "manifest_media_type": stored.media_type,
        "artifact_type": reading.artifact_type or reading.config_media_type or stored.media_type,
        "project_id": project.id,
        "repository_id": record.id,
        "repository_name": full,
        "digest": stored.digest,
        "size": stored.size + sum(part.get("size", 0) for part in parts),
        "icon": "",
        "push_time": stamp(record.pushed.get(stored.digest)),
        "pull_time": stamp(record.pulled.get(stored.digest)),
        "extra_attrs": {key: config[key] for key in _IMAGE_FACTS if key in config} if kind == "IMAGE" else config,
        "annotations": dict(reading.annotations) or None,
        "references": [_reference(harbor, record, number, entry) for entry in document.get("manifests", [])] or None,
        "tags": (tags or None) if flag("with_tag", default=True) else None,
        "labels": [] if flag("with_label", default=False) else None,
        "addition_links": {
            name: {"absolute": False, "href": f"{place}/artifacts/{stored.digest}/additions/{name}"}
            for name in additions
        },
        "accessories": _accessories(harbor, full, record, stored) if flag("with_accessory", default=False) else None,
    }


def _reference(harbor: Harbor, record: RepositoryRecord, parent: int, entry: Item) -> Item:
    return {
        "parent_id": parent,
        "child_id": harbor.records.number(record, entry["digest"]),
        "child_digest": entry["digest"],
        "platform": entry.get("platform") or {"architecture": "", "os": ""},
        "annotations": entry.get("annotations"),
        "urls": entry.get("urls"),
    }


def _accessories(harbor: Harbor, full: str, record: RepositoryRecord, stored: StoredManifest) -> list[Item] | None:
    found = [json.loads(text) for text in harbor.storage.referrers(full, stored.digest)]
    return [
        {
            "id": harbor.records.number(record, each["digest"]),
            "artifact_id": harbor.records.number(record, each["digest"]),
            "subject_artifact_digest": stored.digest,
            "subject_artifact_repo": full,
            "digest": each["digest"],
            "size": each["size"],
            "type": each.get("artifactType", ""),
            "creation_time": stamp(record.pushed.get(each["digest"])),
        }
        for each in found
    ] or None


def _show_tag(harbor: Harbor, full: str, record: RepositoryRecord, name: str) -> Item:
    digest = harbor.storage.tagged(full, name) or ""
    return {
        "id": harbor.records.number(record, name),
        "repository_id": record.id,
        "artifact_id": harbor.records.number(record, digest),
        "name": name,
        "push_time": stamp(record.pushed.get(name)),
        "pull_time": stamp(record.pulled.get(name)),
        "immutable": False,
    }


def _may(harbor: Harbor, full: str, action: str) -> str:
    name = caller()
    if action not in harbor.records.actions(name, full):
        raise CallError(403, "forbidden")
    return name


def _list(harbor: Harbor, project: str, name: str) -> Response:
    _, full, record = repository(harbor, project, name)
    stored = [harbor.storage.manifest(full, digest) for digest in shown_digests(harbor, full)]
    return listed([_show(harbor, full, record, one) for one in stored if one is not None], sort="-push_time,-id")


def _read(harbor: Harbor, project: str, name: str, reference: str) -> Any:
    _, full, record = repository(harbor, project, name)
    return jsonify(_show(harbor, full, record, _find(harbor, full, reference)))


def _copy(harbor: Harbor, project: str, name: str) -> Response:
    """Copy from another repository, children and blobs too; Harbor tells it as a push."""
    source, separator, reference = request.args.get("from", "").partition("@")
    if not separator:
        source, separator, reference = source.rpartition(":")
    if not separator or "/" not in source:
        raise CallError(400, f"invalid artifact reference {request.args.get('from', '')!r}")
    target = f"{harbor.project(project).name}/{unquote(name)}"
    if not is_name(target):
        raise CallError(400, f"invalid repository name {target!r}")
    account = _may(harbor, target, "push")
    if "pull" not in harbor.records.actions(account, source):
        raise CallError(403, "forbidden")
    stored = _find(harbor, source, reference)
    tags = [reference] if ":" not in reference else []
    _copy_one(harbor, source, target, stored, tags, account)
    encoded = quote(quote(unquote(name), safe=""), safe="")
    return created(f"/projects/{project}/repositories/{encoded}/artifacts/{stored.digest}")


def _copy_one(harbor: Harbor, source: str, target: str, stored: StoredManifest, tags: list[str], account: str) -> None:
    body = harbor.storage.read_manifest(stored.digest)
    reading = read(body, stored.media_type)
    for child in reading.children:
        if (found := harbor.storage.manifest(source, child)) is not None:
            _copy_one(harbor, source, target, found, [], account)
    for digest in reading.blobs:
        if (size := harbor.storage.blob_size(source, digest)) is not None:
            harbor.storage.link_blob(target, digest, size)
    existed = harbor.storage.manifest(target, stored.digest) is not None
    harbor.storage.put_manifest(target, stored, body)
    for tag in tags:
        harbor.storage.tag(target, tag, stored.digest)
    if stored.media_type in (OCI_MANIFEST, DOCKER_MANIFEST) or stored.media_type in INDEXES:
        event = harbor.actor(account, target)
        harbor.tell(push_event(event, reading, stored.digest, tags[0] if tags else "", stored.size, existed=existed))


def _remove(harbor: Harbor, project: str, name: str, reference: str) -> Response:
    _, full, _ = repository(harbor, project, name)
    account = _may(harbor, full, "delete")
    stored = _find(harbor, full, reference)
    tags = harbor.storage.tags_of(full, stored.digest)
    harbor.storage.delete_manifest(full, stored.digest)
    event = harbor.actor(account, full)
    harbor.tell(
        attrs.evolve(
            event, action=DELETE, method="DELETE", digest=stored.digest, media_type=stored.media_type,
            tag=tags[0] if tags else "",
        )
    )  # fmt: skip
    return Response("", 200)


def _list_tags(harbor: Harbor, project: str, name: str, reference: str) -> Response:
    _, full, record = repository(harbor, project, name)
    stored = _find(harbor, full, reference)
    return listed([_show_tag(harbor, full, record, tag) for tag in harbor.storage.tags_of(full, stored.digest)])


def _add_tag(harbor: Harbor, project: str, name: str, reference: str) -> Response:
    """No webhook tells of it (platforms.md 8.4): nobody hears of such a tag before the next poll."""
    _, full, record = repository(harbor, project, name)
    _may(harbor, full, "push")
    stored, tag = _find(harbor, full, reference), given().get("name")
    if not isinstance(tag, str) or not is_tag(tag):
        raise CallError(400, f"invalid tag name {tag!r}")
    if harbor.storage.tagged(full, tag) is not None:
        raise CallError(409, f"tag {tag} already exists")
    harbor.storage.tag(full, tag, stored.digest)
    record.pushed[tag] = harbor.clock.now()
    return created(f"/projects/{project}/repositories/{name}/artifacts/{reference}/tags/{tag}")


def _remove_tag(harbor: Harbor, project: str, name: str, reference: str, tag: str) -> Response:
    _, full, record = repository(harbor, project, name)
    _may(harbor, full, "delete")
    stored = _find(harbor, full, reference)
    if tag not in harbor.storage.tags_of(full, stored.digest):
        raise CallError(404, f"tag {tag} attached to artifact {stored.digest} not found")
    harbor.storage.untag(full, tag)
    record.pushed.pop(tag, None)
    return Response("", 200)


_ALL = "/projects/<project>/repositories/<name>/artifacts"
_ONE = f"{_ALL}/<reference>"
ROUTES: tuple[Route, ...] = (
    ("GET", _ALL, _list),
    ("POST", _ALL, _copy),
    ("GET", _ONE, _read),
    ("DELETE", _ONE, _remove),
    ("GET", f"{_ONE}/tags", _list_tags),
    ("POST", f"{_ONE}/tags", _add_tag),
    ("DELETE", f"{_ONE}/tags/<tag>", _remove_tag),
)
