"""Whether a reference that a registry names is looked up as an image, as a chart, or as both.

With today's URL rules both spellings of a well-formed reference are equal, so the media type has
no visible effect; only names that do not parse differ. Source: receivers.md 6.4.
"""

from __future__ import annotations

from kargo_lab.profiles import Profile
from kargo_lab.rules import urls

_CHART_PREFIX = "application/vnd.cncf.helm"
_IMAGES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)


def artifact_urls(reference: str, profile: Profile, media_type: str = "") -> tuple[str, ...]:
    """The normalised URLs under which Warehouses may subscribe to what was pushed."""
    if media_type.startswith(_CHART_PREFIX):
        return (urls.normalize_chart(reference, profile=profile),)
    image = urls.normalize_image(reference, profile=profile)
    if media_type in _IMAGES:
        return (image,)
    return (image, urls.normalize_chart(reference, profile=profile))
