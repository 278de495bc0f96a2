"""Which event at a registry makes which hook delivery, for every platform: a table, and how to read it.

Pure: an event goes in, a `HookCall` comes out, which names a file of the corpus, its parameters, and the facts
that only the push itself knew (media types, sizes, platforms). Sources: platforms.md 2.9, 6, 7, 8.4, 9.1,
11 and 13.2 to 13.3; what no vendor says is marked in the rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from kargo_lab.platforms.oci.call import RegistrySettings
from kargo_lab.platforms.oci.events import DELETE, MOUNT, PULL, PUSH, RegistryEvent

ABSENT = object()  # as a fact: the member is taken out
HELM = "application/vnd.cncf.helm.config.v1+json"


@attrs.frozen(kw_only=True)
class HookCall:
    """One delivery to every hook that asked for `event`.

    `payload` and `variant` name the file in the corpus of `corpus`; `parameters` are set in it, `facts` are put
    into its JSON afterwards, by dotted path. `indent` is how the platform writes JSON; None is compactly.
    """

    event: str
    corpus: str
    payload: str
    variant: str = "default"
    parameters: Mapping[str, str] = MappingProxyType({})
    facts: Mapping[str, Any] = MappingProxyType({})
    indent: int | None = None


@attrs.frozen
class Rule:
    """Events like this make one delivery. `tagged` None: with a tag or without. `methods` empty: by any method."""

    action: str
    event: str
    payload: str
    kinds: tuple[str, ...] = ("manifest",)
    tagged: bool | None = None
    methods: tuple[str, ...] = ()

    def covers(self, event: RegistryEvent) -> bool:
        """True if the rule is about this event."""
        return (
            event.action == self.action
            and event.kind in self.kinds
            and self.tagged in (None, bool(event.tag))
            and (not self.methods or event.method in self.methods)
        )


Fill = Callable[[RegistryEvent, Rule, str], HookCall]


@attrs.frozen(kw_only=True)
class RegistryPersona:
    """How one registry tells what happened, and how it answers.

    `receiver` is the type of Kargo receiver that takes its hooks. `token_path` and `service` are those of its
    challenge; without a path it knows no tokens. `aliases` are common words for its events.
    """

    name: str
    habit: str
    receiver: str
    rules: tuple[Rule, ...]
    default_events: tuple[str, ...]
    fill: Fill
    aliases: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    settings: RegistrySettings = attrs.field(factory=RegistrySettings)
    token_path: str = ""
    service: str = ""

    def calls(self, event: RegistryEvent, kind: str = "") -> tuple[HookCall, ...]:
        """The deliveries of one event, whoever subscribed. `kind` is the hook's format (Harbor: `CloudEvents`)."""
        return tuple(self.fill(event, rule, kind) for rule in self.rules if rule.covers(event))

    def subscribed(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The platform's own names for the events a hook was registered with."""
        own = dict.fromkeys(event for word in words for event in self.aliases.get(word, (word,)))
        return tuple(own) or self.default_events


# -- what the payloads say --------------------------------------------------------------------


def _parameters(event: RegistryEvent, **more: str) -> dict[str, str]:
    """What nearly all files of the corpus can be told; empty values are left to the corpus."""
    known = {
        "repository": event.repository,
        "digest": event.digest,
        "tag": event.tag,
        "host": event.host,
        "user": event.actor,
        "time": event.time.isoformat().replace("+00:00", "Z"),
        **more,
    }
    return {name: value for name, value in known.items() if value}


def _docker_hub(event: RegistryEvent, rule: Rule, _kind: str) -> HookCall:
    """Official images live under `library/`. The media type is that of a chart's config, else of the manifest."""
    repository = event.repository if "/" in event.repository else f"library/{event.repository}"
    media_type = HELM if event.config_media_type == HELM else event.media_type
    facts = {"push_data.media_type": media_type, "repository.is_official": "/" not in event.repository}
    return HookCall(
        event=rule.event, corpus="dockerhub", payload=rule.payload, variant="media-type-manifest",
        parameters=_parameters(event, repository=repository), facts=facts,
    )  # fmt: skip


def _quay(event: RegistryEvent, rule: Rule, _kind: str) -> HookCall:
    return HookCall(event=rule.event, corpus="quay", payload=rule.payload, parameters=_parameters(event))


_HARBOR_CLOUD_EVENTS = {
    "PUSH_ARTIFACT": "harbor.artifact.pushed",
    "PULL_ARTIFACT": "harbor.artifact.pulled",
    "DELETE_ARTIFACT": "harbor.artifact.deleted",
}


def _harbor(event: RegistryEvent, rule: Rule, kind: str) -> HookCall:
    """By digest, the field for the tag holds the digest, and the address has an `@` (platforms.md 8.2)."""
    reference = event.tag or event.digest
    project, _, name = event.repository.partition("/")
    address = f"{event.host}/{event.repository}{':' if event.tag else '@'}{reference}"
    told = {
        "resources.0.tag": reference,
        "resources.0.resource_url": address,
        "repository.name": name or project,
        "repository.namespace": project,
    }
    cloud = kind == "CloudEvents"
    member = "data" if cloud else "event_data"
    facts: dict[str, Any] = {f"{member}.{path}": value for path, value in told.items()}
    facts["operator"] = event.actor
    if cloud:
        facts["type"] = _HARBOR_CLOUD_EVENTS[rule.event]
    return HookCall(
        event=rule.event, corpus="harbor",
        payload="cloudevents" if cloud else rule.payload, variant="artifact-pushed" if cloud else "default",
        parameters=_parameters(event, tag=reference), facts=facts,
    )  # fmt: skip


def _acr(event: RegistryEvent, rule: Rule, _kind: str) -> HookCall:
    facts: dict[str, Any] = {
        "target.repository": event.repository,
        "target.mediaType": event.media_type or ABSENT,
        "request.id": event.id,
        "request.method": event.method,
        "request.useragent": event.user_agent,
    }
    if event.action == PUSH:
        facts |= {"target.size": event.size, "target.length": event.size}
    variant = "default" if event.tag or event.action != PUSH else "digest-only"
    return HookCall(
        event=rule.event, corpus="azure", payload=rule.payload, variant=variant,
        parameters=_parameters(event), facts=facts,
    )  # fmt: skip


def _artifactory(event: RegistryEvent, rule: Rule, _kind: str) -> HookCall:
    """The first part of the path is the repository key; the name of the file tells an index from an image."""
    key, _, image = event.repository.partition("/")
    file = "list.manifest.json" if event.is_index else "manifest.json"
    facts: dict[str, Any] = {
        "data.path": f"{image}/{event.tag}/{file}".lstrip("/"),
        "data.name": file,
        "data.image_name": image.rpartition("/")[2],
    }
    if event.action == PUSH:
        facts |= {
            "data.size": event.size,
            "data.platforms": [{"architecture": arch, "os": system} for system, arch in event.platforms],
            "data.image_type": "docker" if "docker" in event.media_type else "oci",
        }
    return HookCall(
        event=rule.event, corpus="artifactory", payload=rule.payload,
        parameters=_parameters(event, repo_key=key, image=image), facts=facts,
    )  # fmt: skip


def _ghcr(event: RegistryEvent, rule: Rule, _kind: str) -> HookCall:
    """An untagged manifest's address ends in a colon, and an index has no config (platforms.md 1.13, 2.9)."""
    owner, _, name = event.repository.partition("/")
    linked = f"{owner}/{name.partition('/')[0]}"
    root = "registry_package" if rule.event == "registry_package" else "package"
    address = f"{event.host}/{event.repository.lower()}:{event.tag}"
    manifest = f"{root}.package_version.container_metadata.manifest"
    facts: dict[str, Any] = {
        # Which action goes with a known manifest under a new tag is not documented (platforms.md 18.15).
        "action": "updated" if event.existed else "published",
        f"{root}.name": name,
        f"{root}.package_version.package_url": address,
        f"{root}.package_version.installation_command": f"docker pull {address}",
        f"{root}.package_version.container_metadata.tag.name": event.tag,
        f"{manifest}.media_type": event.media_type,
        f"{manifest}.size": event.size,
        f"{manifest}.uri": f"repositories/{event.repository}/manifests/{event.digest}",
        f"{manifest}.config": ABSENT if event.is_index else {
            "digest": event.config_digest, "media_type": event.config_media_type, "size": event.config_size,
        },
    }  # fmt: skip
    parameters = _parameters(event, repository=linked)
    if not event.tag:
        parameters.pop("tag", None)
    return HookCall(
        event=rule.event, corpus="github", payload=rule.payload,
        variant="default" if event.tag else "untagged", parameters=parameters, facts=facts,
    )  # fmt: skip


def _registry(event: RegistryEvent, rule: Rule, _kind: str) -> HookCall:
    """The program distribution's own notifications: everything, blobs and HEAD too, indented by three.

    Compared, event for event, with Debian's docker-registry 2.8.2 (platforms.md 13.3).
    """
    told: dict[str, Any] = {
        "request.id": event.id,
        "request.addr": event.address,
        "request.host": event.host,
        "request.method": event.method,
        "request.useragent": event.user_agent,
        "actor": {"name": event.actor} if event.actor else {},
        "source.addr": event.host,
    }
    variant = "tag" if event.action == DELETE and event.kind == "tag" else "default"
    if event.action != DELETE:
        place = "blobs" if event.kind == "blob" else "manifests"
        told |= {
            "target.mediaType": event.media_type,
            "target.size": event.size,
            "target.length": event.size,
            "target.url": f"http://{event.host}/v2/{event.repository}/{place}/{event.digest}",
            "target.fromRepository": event.from_repository or ABSENT,
            "target.tag": event.tag or ABSENT,
        }
    return HookCall(
        event=rule.event, corpus="registry", payload=rule.payload, variant=variant, parameters=_parameters(event),
        facts={f"events.0.{path}": value for path, value in told.items()}, indent=3,
    )  # fmt: skip


# -- the table --------------------------------------------------------------------------------

_ALL = ("manifest", "blob")

_ROWS = (
    RegistryPersona(
        name="docker-hub",
        habit="docker-hub",
        receiver="dockerhub",
        # The number of hooks for an index is not documented; one a tag is the plainest reading (platforms.md 6).
        rules=(Rule(PUSH, "push", "push", tagged=True),),
        default_events=("push",),
        fill=_docker_hub,
        settings=RegistrySettings(catalog=False),
        token_path="/token",  # noqa: S106 -- a path
        service="registry.docker.io",
    ),
    RegistryPersona(
        name="quay",
        habit="quay",
        receiver="quay",
        rules=(Rule(PUSH, "repo_push", "push", tagged=True),),
        default_events=("repo_push",),
        fill=_quay,
        aliases=MappingProxyType({"push": ("repo_push",)}),
        settings=RegistrySettings(page_cap=100),
        token_path="/v2/auth",  # noqa: S106 -- a path
        service="quay.io",
    ),
    RegistryPersona(
        name="harbor",
        habit="harbor",
        receiver="harbor",
        # Every manifest PUT, new or not, children by digest too; GET of a manifest, not HEAD.
        rules=(
            Rule(PUSH, "PUSH_ARTIFACT", "push-artifact"),
            Rule(PULL, "PULL_ARTIFACT", "pull-artifact", methods=("GET",)),
            Rule(DELETE, "DELETE_ARTIFACT", "delete-artifact"),
        ),
        default_events=("PUSH_ARTIFACT",),
        fill=_harbor,
        aliases=MappingProxyType(
            {"push": ("PUSH_ARTIFACT",), "pull": ("PULL_ARTIFACT",), "delete": ("DELETE_ARTIFACT",)}
        ),
        settings=RegistrySettings(delete_tags=False),
        token_path="/service/token",  # noqa: S106 -- a path
        service="harbor-registry",
    ),
    RegistryPersona(
        name="acr",
        habit="acr",
        receiver="azure",
        # A tag that is deleted is not told; a manifest is, without its tags.
        rules=(Rule(PUSH, "push", "push"), Rule(DELETE, "delete", "delete")),
        default_events=("push",),
        fill=_acr,
        token_path="/oauth2/token",  # noqa: S106 -- a path
        service="acr",
    ),
    RegistryPersona(
        name="artifactory",
        habit="artifactory",
        receiver="artifactory",
        # What an untagged child makes is not documented: nothing here.
        rules=(
            Rule(PUSH, "docker/pushed", "docker-pushed", tagged=True),
            Rule(DELETE, "docker/deleted", "docker-deleted", kinds=("tag",)),
        ),
        default_events=("docker/pushed",),
        fill=_artifactory,
        aliases=MappingProxyType({"push": ("docker/pushed",), "delete": ("docker/deleted",)}),
        token_path="/v2/token",  # noqa: S106 -- a path
        service="artifactory",
    ),
    RegistryPersona(
        name="ghcr",
        habit="github",
        receiver="github",
        # A hook that asked for both gets both for one push.
        rules=(Rule(PUSH, "package", "package"), Rule(PUSH, "registry_package", "registry-package")),
        default_events=("package",),
        fill=_ghcr,
        aliases=MappingProxyType({"push": ("package",)}),
        settings=RegistrySettings(page_cap=100, lexical=False, catalog=False),
        token_path="/token",  # noqa: S106 -- a path
        service="ghcr.io",
    ),
    RegistryPersona(
        name="registry",
        habit="registry",
        receiver="generic",
        rules=(
            Rule(PUSH, "push", "push", kinds=_ALL),
            Rule(PULL, "pull", "pull", kinds=_ALL),
            Rule(MOUNT, "mount", "mount", kinds=_ALL),
            Rule(DELETE, "delete", "delete", kinds=(*_ALL, "tag")),
        ),
        default_events=("push", "pull", "mount", "delete"),
        fill=_registry,
        # registry:2 as it is: no paging, no referrers, nothing deleted by tag (platforms.md 13.2), and what
        # tests against Debian's 2.8.2 showed besides.
        settings=RegistrySettings(
            paging=False, referrers=False, delete_tags=False, accept_matters=True, null_tags=True
        ),
    ),
)

PERSONAS: Mapping[str, RegistryPersona] = MappingProxyType({row.name: row for row in _ROWS})


def with_facts(body: bytes, facts: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """The JSON of a payload with values put in by dotted path; a number in a path is a place in a list.

    A path whose parent is not there is passed over.
    """
    document = json.loads(body)
    for path, value in facts.items():
        *parents, last = path.split(".")
        place: Any = document
        for part in parents:
            place = _inside(place, part)
        if isinstance(place, dict):
            if value is ABSENT:
                place.pop(last, None)
            else:
                place[last] = value
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(document, indent=indent, separators=separators, ensure_ascii=False).encode()


def _inside(place: Any, part: str) -> Any:
    if isinstance(place, dict):
        return place.get(part)
    if isinstance(place, list) and part.isdecimal() and int(part) < len(place):
        return place[int(part)]
    return None
