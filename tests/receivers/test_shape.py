import inspect
from types import ModuleType

import pytest

from kargo_lab import profiles, receivers
from kargo_lab.receivers import MODULES, RECEIVERS
from kargo_lab.wire import Delivery, Setup

SECRET_KEYS = {
    "artifactory": "secret-token",
    "azure": "secret",
    "bitbucket": "secret",
    "dockerhub": "secret",
    "generic": "secret",
    "gitea": "secret",
    "github": "secret",
    "gitlab": "secret-token",
    "harbor": "auth-header",
    "quay": "secret",
}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.TYPE)
def test_every_receiver_has_the_same_parts(module: ModuleType) -> None:
    parameters = list(inspect.signature(module.receive).parameters)
    assert (parameters, type(module.CHECKS), module.CHECKS[-1].__name__) == (
        ["delivery", "setup", "profile"],
        tuple,
        "conclude",
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.TYPE)
def test_every_check_says_what_it_checks(module: ModuleType) -> None:
    assert [
        check.__name__ for check in module.CHECKS if not check.__name__.isidentifier() or check.__name__ == "check"
    ] == []


def test_the_secret_of_each_type_is_under_kargos_key() -> None:
    assert dict(receivers.SECRET_KEYS) == SECRET_KEYS


@pytest.mark.parametrize(
    ("profile", "types"),
    [
        ("v1.6", "bitbucket dockerhub github gitlab quay"),
        ("v1.7", "artifactory azure bitbucket dockerhub gitea github gitlab quay"),
        ("v1.8", "artifactory azure bitbucket dockerhub gitea github gitlab harbor quay"),
        ("v1.9", " ".join(SECRET_KEYS)),
        ("latest", " ".join(SECRET_KEYS)),
    ],
)
def test_each_version_has_the_types_of_its_time_in_the_order_of_choice(profile: str, types: str) -> None:
    assert receivers.types(profiles.get(profile)) == tuple(types.split())


@pytest.mark.parametrize("kind", RECEIVERS)
def test_a_delivery_without_anything_is_answered(kind: str) -> None:
    assert RECEIVERS[kind](Delivery(), Setup(secret=b"k"), profiles.LATEST) is not None
