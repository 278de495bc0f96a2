"""What a Promotion can do: each step's name, and the function that runs it.

All have one shape: `run(config, work) -> Result`. A name that is not in the table is refused by name; the lab has
the steps that a lab needs, and says so. Names, configuration and outputs are Kargo's (its documentation,
"Promotion Steps Reference"); `noop` is the lab's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from kargo_lab.engine.pipeline.steps import git, plain, pulls, web, yaml_files
from kargo_lab.engine.pipeline.steps.work import Result, Work

Run = Callable[[Mapping[str, Any], Work], Result]

STEPS: Mapping[str, Run] = MappingProxyType(
    {
        "compose-output": plain.compose_output,
        "fail": plain.fail,
        "git-clear": git.clear,
        "git-clone": git.clone,
        "git-commit": git.commit,
        "git-open-pr": pulls.open_pull,
        "git-push": git.push,
        "git-wait-for-pr": pulls.wait_for_pull,
        "http": web.http,
        "noop": plain.noop,
        "yaml-update": yaml_files.update,
    }
)
