"""References to what lies in a registry, as the two libraries that Kargo links read them.

Images are read by go-containerregistry in its weak mode: a missing registry means Docker Hub, a missing
tag nothing at all. Charts in registries are read by oras, which wants a registry and a lower-case
repository. Neither asks anybody: a reference that reads well may still name nothing.
Source: receivers.md 6.2 and 6.7, discovery.md 5.3; the OCI distribution specification.
"""

from __future__ import annotations

import re

import attrs

from kargo_lab.errors import RuleError
from kargo_lab.rules import gourl

DOCKER_HUB = "index.docker.io"
_DOCKER_HUB_NAMES = frozenset({DOCKER_HUB, "registry-1.docker.io"})
_IMPLICIT_NAMESPACE = "library/"


class RegistryReferenceError(RuleError):
    """A text that is no reference."""


@attrs.frozen(kw_only=True)
class Reference:
    """A registry, a repository in it, and a tag or digest where one was given.

    `repository` is the path that the registry knows: `library/nginx` for Docker Hub's `nginx`.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def on_docker_hub(self) -> bool:
        """True for the names under which Docker Hub's registry is reached."""
        return self.registry in _DOCKER_HUB_NAMES

    @property
    def host(self) -> str:
        """Host and port to speak to."""
        return "registry-1.docker.io" if self.registry == "docker.io" else self.registry

    @property
    def short(self) -> str:
        """The repository as Kargo writes it: Docker Hub's without registry and without one leading `library/`."""
        if self.on_docker_hub:
            return self.repository.removeprefix(_IMPLICIT_NAMESPACE)
        return f"{self.registry}/{self.repository}"


_TAG = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_REPOSITORY = re.compile(r"[a-z0-9_./-]{2,255}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def parse_image(text: str, *, localhost: bool = True) -> Reference:
    """An image reference: `[registry/]repository[:tag][@digest]`. Raises RegistryReferenceError.

    The first component is a registry if it holds a dot or a colon. Bare `localhost` is one since release
    0.21.7 of go-containerregistry; before, without `localhost`, such an image is on Docker Hub.
    """
    base, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:  # that colon stood before a port
        base, tag = text, ""
    elif not tag:
        base = ""
    if base and (not tag or _TAG.fullmatch(tag)) and (repository := _repository(base, localhost=localhost)) is not None:
        return attrs.evolve(repository, tag=tag)
    base, at, digest = text.partition("@")
    if at and _SHA256.fullmatch(digest):
        # A tag before the digest is dropped once it reads well; else the name is read as a whole.
        repository = _repository(_without_tag(base), localhost=localhost)
        if repository is not None:
            return attrs.evolve(repository, digest=digest)
    raise RegistryReferenceError(f"could not parse reference: {text}", text)


def _without_tag(name: str) -> str:
    base, colon, tag = name.rpartition(":")
    return base if colon and _TAG.fullmatch(tag) else name


def _repository(name: str, *, localhost: bool) -> Reference | None:
    registry, slash, repository = name.partition("/")
    if not slash or not ("." in registry or ":" in registry or (localhost and registry == "localhost")):
        registry, repository = "", name
    if not _REPOSITORY.fullmatch(repository) or not _is_authority(registry):
        return None
    registry = DOCKER_HUB if registry in ("", "docker.io") else registry
    if registry == DOCKER_HUB and "/" not in repository:
        repository = _IMPLICIT_NAMESPACE + repository
    return Reference(registry=registry, repository=repository)


def _is_authority(registry: str) -> bool:
    try:
        return gourl.parse("//" + registry).host == gourl.as_bytes(registry)
    except gourl.URLError:
        return False


# Possessive: the library's own pattern tries the same letters in many ways, which only Go's engine can afford.
_CHART_COMPONENT = r"[a-z0-9]++(?:(?:__|[._]|-++)[a-z0-9]++)*+"
_CHART_REPOSITORY = re.compile(rf"{_CHART_COMPONENT}(?:/{_CHART_COMPONENT})*+")
_CHART_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_CHART_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")


def parse_chart(text: str) -> Reference:
    """A chart's reference without its `oci://`: `registry/repository[:tag][@digest]`. Raises RegistryReferenceError."""
    registry, slash, path = text.partition("/")
    if not slash:
        raise RegistryReferenceError("missing registry or repository", text)
    named, at, digest = path.partition("@")
    repository, _, tag = named.partition(":")
    if at:
        tag = ""  # dropped unread beside a digest
    if not _is_request_authority(registry):
        raise RegistryReferenceError(f"invalid registry {registry!r}", text)
    if not _CHART_REPOSITORY.fullmatch(repository):
        raise RegistryReferenceError(f"invalid repository {repository!r}", text)
    if tag and not _CHART_TAG.fullmatch(tag):
        raise RegistryReferenceError(f"invalid tag {tag!r}", text)
    if digest and not _CHART_DIGEST.fullmatch(digest):
        raise RegistryReferenceError(f"invalid digest {digest!r}", text)
    return Reference(registry=registry, repository=repository, tag=tag, digest=digest)


def _is_request_authority(registry: str) -> bool:
    try:
        host = gourl.parse("dummy://" + registry).host
    except gourl.URLError:
        return False
    return bool(host) and host == gourl.as_bytes(registry)
