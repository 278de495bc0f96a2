import inspect
from types import ModuleType

import pytest

from kargo_lab import profiles, receivers
from kargo_lab.receivers import MODULES, RECEIVERS
from kargo_lab.wire import Delivery, Refusal, Setup

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
def test_every_check_says_in_words_what_it_checks(module: ModuleType) -> None:
    assert [check.__name__ for check in module.CHECKS if not (check.__doc__ or "").endswith((".", "at."))] == []


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


def test_a_trace_ends_with_the_check_that_decided() -> None:
    delivery = Delivery(headers={"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=00"}, body=b"{}")
    steps = receivers.trace("github", delivery, Setup(secret=b"k"), profiles.LATEST)
    assert [(step.check, step.verdict) for step in steps] == [
        ("event_is_supported", None),
        ("header_is_there", None),
        ("hmac_matches", Refusal(401, "unauthorized")),
    ]


def test_a_trace_says_what_was_checked() -> None:
    steps = receivers.trace("gitea", Delivery(headers={"X-Gitea-Event": "push"}), Setup(secret=b"k"), profiles.LATEST)
    assert steps[-1].says == "The header x-hub-signature-256 is there and not empty."
