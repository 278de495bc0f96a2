"""What each Git platform puts into a hook's request, written from values with real data in them.

All modules have one shape: `write(hook, request, scene)` makes the request for what happened, and
`sample(hook, scene)` the one that the platform's test button sends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from kargo_lab.platforms.git.bodies import azure_devops, bitbucket, bitbucket_data_center, gitea, github, gitlab
from kargo_lab.platforms.git.personas import HookRequest
from kargo_lab.platforms.git.scene import Scene
from kargo_lab.platforms.hooks import Hook
from kargo_lab.platforms.outgoing import Outgoing


@attrs.frozen
class Writer:
    """One platform's two functions."""

    write: Callable[[Hook, HookRequest, Scene], Outgoing]
    sample: Callable[[Hook, Scene], Outgoing]


WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "azure-devops": Writer(azure_devops.write, azure_devops.sample),
        "bitbucket": Writer(bitbucket.write, bitbucket.sample),
        "bitbucket-data-center": Writer(bitbucket_data_center.write, bitbucket_data_center.sample),
        "forgejo": Writer(gitea.write_forgejo, gitea.sample_forgejo),
        "gitea": Writer(gitea.write, gitea.sample),
        "github": Writer(github.write, github.sample),
        "gitlab": Writer(gitlab.write, gitlab.sample),
    }
)
