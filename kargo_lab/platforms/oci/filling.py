"""Filling a registry in one line, whichever registry it is: embedded, a process, a container, or somebody's.

A registry only has to say how one artifact is pushed; what people want to push is told here once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kargo_lab.platforms.oci.images import Artifact, Child, Created, make_chart, make_image, make_index


class Filling:
    """Mixed into every registry. The same arguments give the same digests everywhere."""

    def push(self, repository: str, artifact: Artifact, *tags: str) -> str:
        """Store an artifact with all it refers to, under any number of tags; its digest."""
        raise NotImplementedError

    def push_image(
        self,
        repository: str,
        *tags: str,
        created: Created = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        platform: str = "linux/amd64",
        docker: bool = False,
        content: bytes | str | None = None,
        config_media_type: str = "",
    ) -> str:
        """Push a single-platform image; its digest.

        `content` goes into the layer; by default repository and tags do, so that images differ.
        """
        artifact = make_image(
            content if content is not None else f"{repository} {' '.join(tags)}",
            created=created,
            labels=labels,
            annotations=annotations,
            platform=platform,
            docker=docker,
            config_media_type=config_media_type,
        )
        return self.push(repository, artifact, *tags)

    def push_index(
        self,
        repository: str,
        *tags: str,
        platforms: Sequence[str] = ("linux/amd64", "linux/arm64"),
        created: Created = None,
        annotations: Mapping[str, str] | None = None,
        attestations: bool = False,
        docker: bool = False,
        content: str | None = None,
        children: Sequence[Child] | None = None,
    ) -> str:
        """Push a multi-platform image with one child a platform; its digest.

        `attestations` adds the `unknown/unknown` entries that BuildKit adds. `children` replaces
        `platforms` where the children have to be told apart.
        """
        text = content if content is not None else f"{repository} {' '.join(tags)}"
        if children is None:
            children = [
                Child(make_image(f"{text} {platform}", created=created, platform=platform, docker=docker), platform)
                for platform in platforms
            ]
        index = make_index(children, annotations=annotations, attestations=attestations, docker=docker)
        return self.push(repository, index, *tags)

    def push_chart(
        self,
        repository: str,
        version: str,
        *,
        name: str = "",
        app_version: str = "",
        created: Created = None,
        values: str = "",
    ) -> str:
        """Push a Helm chart as `helm push` does; its digest.

        The tag is the version with `+` replaced by `_`. The chart's name is the last part of the repository.
        """
        chart_name = name or repository.rpartition("/")[2]
        chart = make_chart(chart_name, version, app_version=app_version, created=created, values=values)
        return self.push(repository, chart, version.replace("+", "_"))
