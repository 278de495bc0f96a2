"""Which Secret holds the credentials for a repository: discovery.md 3.1, 4.1; CRD:60-245.

Secrets of the right type are looked at in the Project's namespace, then in the shared one, in the
order of their names; the first whose URL is the same after normalisation, or whose regex matches,
counts. Passwords are never part of a repr.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import attrs

from kargo_lab.errors import PatternError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.configuration import Secret
from kargo_lab.rules import patterns, urls
from kargo_lab.sources.oci_auth import Login

log = logging.getLogger(__name__)
TYPE_LABEL = "kargo.akuity.io/cred-type"
URL, URL_IS_REGEX = "repoURL", "repoURLIsRegex"
_NORMAL = {"git": urls.normalize_git, "image": urls.normalize_image, "helm": urls.normalize_chart}


@attrs.frozen(kw_only=True)
class Credentials:
    """What is sent to a host; nothing of it shows in a repr."""

    username: str = attrs.field(default="", repr=False)
    password: str = attrs.field(default="", repr=False)
    ssh_private_key: str = attrs.field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.username or self.password or self.ssh_private_key)

    @property
    def login(self) -> Login:
        """User name and password for HTTP."""
        return Login(username=self.username, password=self.password)


NO_CREDENTIALS = Credentials()


def find(
    secrets: Iterable[Secret],
    *,
    kind: str,
    repo_url: str,
    namespace: str,
    shared_namespace: str = "",
    allow_over_http: bool = False,
    profile: Profile = LATEST,
) -> Credentials:
    """The credentials for a repository; `kind` is `git`, `image` or `helm`. NO_CREDENTIALS if there are none.

    A URL that begins with `http://` gets none unless that is allowed.
    """
    known = sorted((each for each in secrets if each.labels.get(TYPE_LABEL) == kind), key=lambda each: each.name)
    if repo_url.startswith("http://") and not allow_over_http:
        if any(each.namespace in (namespace, shared_namespace) for each in known):
            log.warning("no credentials are sent to %s: it is asked without TLS", repo_url.rpartition("@")[2])
        return NO_CREDENTIALS
    for place in dict.fromkeys(name for name in (namespace, shared_namespace) if name):
        for secret in known:
            if secret.namespace == place and _meant(secret, kind, repo_url, profile):
                return _read(secret.data)
    return NO_CREDENTIALS


def _meant(secret: Secret, kind: str, repo_url: str, profile: Profile) -> bool:
    written = secret.data.get(URL)
    if written is None:
        return False
    normal = _NORMAL[kind]
    text, wanted = written.decode(errors="replace"), normal(repo_url, profile=profile)
    if secret.data.get(URL_IS_REGEX) != b"true":
        return normal(text, profile=profile) == wanted
    try:
        pattern = patterns.regex(text)
    except PatternError:
        return False  # Kargo logs it and goes on
    return pattern.search(repo_url) or pattern.search(wanted)


def _read(data: Mapping[str, bytes]) -> Credentials:
    def text(name: str) -> str:
        return data.get(name, b"").decode(errors="replace")

    return Credentials(username=text("username"), password=text("password"), ssh_private_key=text("sshPrivateKey"))
