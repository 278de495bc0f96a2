"""One spelling for each repository: the keys under which deliveries find subscriptions.

A payload names a repository in the platform's words, a subscription in its author's; Kargo compares
both after the rules here, and every refusal to normalise gives the text back as it came. None of these
functions fails. Source: receivers.md 6.0 to 6.3.
"""

from __future__ import annotations

import re

import attrs

from kargo_lab.profiles import LATEST, Profile
from kargo_lab.rules import gourl
from kargo_lab.rules.gourl import URLError
from kargo_lab.rules.references import RegistryReferenceError, parse_image

_SURROGATE = re.compile("[\ud800-\udfff]")
# Unicode's White_Space, which is what Go trims; Python's `strip` also takes four control characters.
_BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_SCP = re.compile(r"((?:[A-Za-z0-9_-]+@)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?::([^\n]*))?")


def lower(text: str) -> str:
    """`text` in lower case, code point by code point: no special cases for the ends of words or for `İ`."""
    if text.isascii():
        return text.lower()
    return "".join("i" if letter == "\u0130" else letter.lower() for letter in text)


def clean(text: str) -> str:
    """`text` without what cannot be seen: non-printing characters anywhere, blanks at the ends."""
    return "".join(letter for letter in text if letter.isprintable()).strip(" ")


def _tidied(text: str) -> str:
    """Lone surrogates, which Go's strings do not have, as U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def normalize_git(text: str, *, profile: Profile = LATEST) -> str:
    """A Git URL in lower case, without user information (HTTP), trailing slash and `.git`; scp forms become ssh://."""
    original = _tidied(text)
    repo = lower(original)
    if profile.url_cleanup:
        repo = clean(repo)
    try:
        if repo.startswith(("http://", "https://")):
            return _repository_url(repo, profile, keep_user=False) or original
        if repo.startswith("ssh://"):
            return _repository_url(repo, profile, keep_user=True) or original
        if scp := _SCP.fullmatch(repo):
            return _scp_url(scp[1], scp[2] or "")
    except URLError:
        pass
    return original


def _repository_url(repo: str, profile: Profile, *, keep_user: bool) -> str:
    """Empty for a URL with query parameters, which is left alone."""
    url = gourl.parse(repo, strict_colons=profile.url_strict_colons)
    if url.has_query():
        return ""
    return _text(attrs.evolve(url, path=_trimmed(url.path), user=url.user if keep_user else None))


def _scp_url(user_and_host: str, path: str) -> str:
    url = gourl.parse(path)
    url = attrs.evolve(url, path=_trimmed(url.path))
    # What reads as `scheme:rest` has no path; it gets lost here, in Kargo too.
    return f"ssh://{user_and_host}/{_text(url)}" if url.path else f"ssh://{user_and_host}"


def _trimmed(path: bytes) -> bytes:
    return path.removesuffix(b"/").removesuffix(b".git")


def _text(url: gourl.URL) -> str:
    return bytes(url).decode()


def normalize_image(text: str, *, profile: Profile = LATEST) -> str:
    """An image repository in lower case without tag and digest; Docker Hub's without registry and `library/`."""
    original = _tidied(text)
    try:
        text = clean(lower(original)) if profile.url_cleanup else original
        return parse_image(text, localhost=profile.localhost_is_registry).short
    except RegistryReferenceError:
        return original


def normalize_chart(text: str, *, profile: Profile = LATEST) -> str:
    """A chart repository in lower case; one in a registry without `oci://`, then as an image.

    The chart name of a classic repository is no part of it.
    """
    original = _tidied(text)
    repo = clean(original) if profile.url_cleanup else original.strip(_BLANKS)
    if profile.url_cleanup:
        try:
            gourl.parse(repo, strict_colons=profile.url_strict_colons)
        except URLError:
            return original
    return normalize_image(lower(repo).removeprefix("oci://"), profile=profile)
