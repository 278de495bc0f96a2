"""Where the data that ships with the lab lies: the same call from a checkout and from an install.

In a checkout the folders stand beside the package, as the project's card wants them; the wheel carries
them inside the package (see `force-include` in pyproject.toml).
"""

from __future__ import annotations

from pathlib import Path

from kargo_lab.errors import UsageError

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `conformance`, `payloads`, `notebooks` or `docs/targets`. Raises UsageError if it is not installed."""
    for candidate in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise UsageError(f"this install of kargo-lab lacks its folder {name!r}; reinstall it from a wheel or a checkout")
