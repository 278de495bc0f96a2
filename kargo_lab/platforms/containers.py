"""Whether a container can run here, and if not, which of the two things is missing."""

from __future__ import annotations

import os
from pathlib import Path


def why_no_container(image: str) -> str | None:
    """None if `image` can run here, else the sentence to skip with: no library, no engine, or no image."""
    try:
        import docker
    except ImportError:
        return "the extra `containers` is not installed"
    place = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if place.startswith("unix://") and not Path(place.removeprefix("unix://")).exists():
        return "no container engine answers"  # the library would find out too, and leave its socket open
    try:
        client = docker.from_env()
    except docker.errors.DockerException:
        return "no container engine answers"
    try:
        client.ping()
        if not client.images.list(name=image):
            return f"an engine answers, but image {image} is not on this machine"
    except docker.errors.DockerException:
        return "no container engine answers"
    finally:
        client.close()
    return None
