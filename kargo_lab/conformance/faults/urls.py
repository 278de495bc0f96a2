"""Faults in which URLs are the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kargo_lab.conformance.faults.changes import instead
from kargo_lab.conformance.faults.fault import Change, Fault
from kargo_lab.conformance.faults.matching import PUSHES

_URLS = "kargo_lab.rules.urls"
_NORMAL = "receivers.md 6.1"


def _normal(change: Any, *kinds: str) -> Mapping[str, Change]:
    """Another normal form, on both sides."""

    def wrap(right: Any) -> Any:
        return lambda text, **options: change(right(text, **options), text)

    return {
        place: wrap
        for kind in kinds
        for place in (f"{_URLS}:normalize_{kind}", f"kargo_lab.selection:normalize_{kind}")
    }


def _without_port(found: str, _text: str) -> str:
    return re.sub(r"^(https?://[^/]+?):\d+(?=/|$)", r"\1", found)


def _fault(name: str, says: str, source: str, touches: tuple[str, ...] = PUSHES, **change: Any) -> Fault:
    return Fault(name=name, says=says, source=source, touches=touches, **change)


FAULTS = (
    _fault(
        "git-urls-as-written",
        "Git URLs are compared as they are written",
        _NORMAL,
        (*PUSHES, "urls"),
        replaced=_normal(lambda _found, text: text, "git"),
    ),
    _fault(
        "git-suffix-kept",
        ".git is not removed",
        _NORMAL,
        (*PUSHES, "urls"),
        replaced={f"{_URLS}:_trimmed": lambda _right: lambda path: path.removesuffix(b"/")},
    ),
    _fault(
        "trailing-slash-kept",
        "A slash at the end is not removed",
        _NORMAL,
        ("urls", "github"),
        replaced={f"{_URLS}:_trimmed": lambda _right: lambda path: path.removesuffix(b".git")},
    ),
    _fault(
        "all-slashes-removed",
        "All slashes at the end are removed",
        _NORMAL,
        ("urls",),
        replaced={f"{_URLS}:_trimmed": lambda _right: lambda path: path.rstrip(b"/").removesuffix(b".git")},
    ),
    _fault(
        "all-suffixes-removed",
        ".git.git loses both",
        _NORMAL,
        ("urls", "github"),
        replaced={f"{_URLS}:_trimmed": lambda right: lambda path: right(right(path))},
    ),
    _fault(
        "letter-case-kept",
        "URLs are compared with regard to case",
        _NORMAL,
        ("urls", "github"),
        replaced={f"{_URLS}:lower": lambda _right: lambda text: text},
    ),
    _fault(
        "users-kept",
        "User information in HTTP URLs counts",
        _NORMAL,
        ("urls", "github", "azure"),
        replaced={
            f"{_URLS}:_repository_url": lambda right: (
                lambda repo, profile, **_options: right(repo, profile, keep_user=True)
            )
        },
    ),
    _fault(
        "users-dropped-from-ssh",
        "User information in SSH URLs does not count",
        _NORMAL,
        ("urls",),
        replaced={
            f"{_URLS}:_repository_url": lambda right: (
                lambda repo, profile, **_options: right(repo, profile, keep_user=False)
            )
        },
    ),
    _fault("ports-dropped", "Ports do not count", _NORMAL, ("urls",), replaced=_normal(_without_port, "git")),
    _fault(
        "schemes-alike",
        "http and https are the same",
        _NORMAL,
        ("urls", "github"),
        replaced=_normal(lambda found, _text: found.replace("http://", "https://"), "git"),
    ),
    _fault(
        "ssh-and-https-alike",
        "SSH and HTTPS URLs are the same",
        _NORMAL,
        ("urls",),
        replaced=_normal(lambda found, _text: re.sub(r"^ssh://(?:[^@/]*@)?", "https://", found), "git"),
    ),
    _fault(
        "scp-form-unknown",
        "git@host:path is not understood",
        _NORMAL,
        ("urls", "github", "gitlab"),
        replaced={f"{_URLS}:_SCP": instead(re.compile(r"(?!)()()"))},
    ),
    _fault(
        "queries-dropped",
        "A query string does not count",
        _NORMAL,
        ("urls", "github"),
        replaced=_normal(lambda found, _text: found.partition("?")[0].removesuffix(".git"), "git"),
    ),
    _fault(
        "invisible-characters-count",
        "Characters that cannot be seen are kept, as before 1.9.3",
        "receivers.md 6.0",
        ("urls",),
        replaced={f"{_URLS}:clean": lambda _right: lambda text: text},
    ),
    _fault(
        "image-tags-kept",
        "The tag of an image reference is kept",
        "receivers.md 6.2",
        ("urls", "github", "harbor"),
        replaced=_normal(lambda _found, text: text.lower(), "image", "chart"),
    ),
    _fault(
        "docker-hub-spelled-out",
        "docker.io/library/nginx is not nginx",
        "receivers.md 6.2",
        ("urls", "dockerhub"),
        replaced=_normal(lambda found, text: text.lower() if "docker.io" in text else found, "image", "chart"),
    ),
    _fault(
        "library-kept",
        "library/nginx is not nginx",
        "receivers.md 6.2",
        ("urls", "dockerhub"),
        replaced=_normal(lambda found, text: text if text.startswith("library/") else found, "image", "chart"),
    ),
    _fault(
        "registry-dropped",
        "The registry does not count",
        "receivers.md 6.2",
        ("urls", "matching"),
        replaced=_normal(lambda found, _text: found.partition("/")[2] or found, "image", "chart"),
    ),
    _fault(
        "oci-scheme-kept",
        "oci:// stays in front of a chart's URL",
        "receivers.md 6.3",
        ("urls", "matching", "harbor"),
        replaced={
            "kargo_lab.selection:normalize_chart": lambda right: (
                lambda text, **options: ("oci://" if text.lower().startswith("oci://") else "") + right(text, **options)
            )
        },
    ),
)
