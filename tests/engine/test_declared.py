"""The life of a receiver's path: receivers.md 1.5, cases CF-12, CF-13, RT-15 to RT-17 and URL-06."""

from __future__ import annotations

import attrs
import pytest

from kargo_lab import profiles
from kargo_lab.engine import intake
from kargo_lab.engine.declared import DeclaredObjects
from kargo_lab.engine.intake import Route
from kargo_lab.profiles import Profile
from kargo_lab.resources.configuration import ClusterConfig, ProjectConfig, ReceiverSpec, Secret
from kargo_lab.resources.loading import Resources
from kargo_lab.wire import Answer

BASE = "https://kargo.example.com"
NOT_FOUND, INTERNAL = Answer(status=404), Answer(status=500)


def receiver(name: str = "r") -> ReceiverSpec:
    return ReceiverSpec(name=name, types=("dockerhub",), secret_name="s")


def secret(namespace: str, value: str = "x") -> Secret:
    return Secret(namespace=namespace, name="s", data={"secret": value.encode()})


def project(namespace: str, *names: str) -> ProjectConfig:
    return ProjectConfig(namespace=namespace, name=namespace, receivers=tuple(receiver(name) for name in names))


def declared(*objects: Secret | ProjectConfig | ClusterConfig, profile: Profile = profiles.LATEST) -> DeclaredObjects:
    resources = Resources(
        secrets=tuple(each for each in objects if isinstance(each, Secret)),
        project_configs=tuple(each for each in objects if isinstance(each, ProjectConfig)),
        cluster_config=next((each for each in objects if isinstance(each, ClusterConfig)), None),
    )
    return DeclaredObjects(resources, base_url=BASE, profile=profile)


def routed(objects: DeclaredObjects, path: str) -> Route | Answer:
    return intake.route(path, objects, profile=objects.profile, base_url=BASE)


def only_path(objects: DeclaredObjects) -> str:
    return objects.receiver_entries(objects.configs()[-1])[0].path


@pytest.fixture
def objects() -> DeclaredObjects:
    return declared(secret("p1"), project("p1", "r"))


def rotate(objects: DeclaredObjects, value: str) -> None:
    objects._secrets["p1", "s"] = secret("p1", value)


def test_cf_12_the_old_path_routes_with_the_new_value_until_the_next_pass(objects: DeclaredObjects) -> None:
    path = only_path(objects)
    rotate(objects, "new")
    route = routed(objects, path)
    assert isinstance(route, Route)
    assert route.setup.secret == b"new"


def test_cf_13_after_the_next_pass_the_new_path_routes_and_the_old_does_not(objects: DeclaredObjects) -> None:
    path = only_path(objects)
    rotate(objects, "new")
    objects.reconcile()
    assert routed(objects, path) == NOT_FOUND
    assert isinstance(routed(objects, only_path(objects)), Route)


def test_rt_15_a_deleted_secret_is_an_internal_error_and_then_not_found(objects: DeclaredObjects) -> None:
    path = only_path(objects)
    objects._secrets.clear()
    assert routed(objects, path) == INTERNAL
    objects.reconcile()
    assert routed(objects, path) == NOT_FOUND


def test_rt_17_a_renamed_receiver_is_not_found_under_its_old_path(objects: DeclaredObjects) -> None:
    path = only_path(objects)
    objects.resources = attrs.evolve(objects.resources, project_configs=(project("p1", "other"),))
    assert routed(objects, path) == NOT_FOUND


def test_url_06_a_path_of_two_projects_is_neithers() -> None:
    both = declared(secret("ab"), secret("a"), project("ab", "c"), project("a", "bc"))
    assert routed(both, only_path(both)) == NOT_FOUND


def test_url_06_a_path_of_two_projects_is_the_clusters_if_it_owns_it_too() -> None:
    namespace = "kargo-system-resources"
    cluster = ClusterConfig(receivers=(receiver("abc"),))
    both = declared(secret("ab"), secret("a"), secret(namespace), project("ab", "c"), project("a", "bc"), cluster)
    route = routed(both, only_path(both))
    assert isinstance(route, Route)
    assert (route.namespace, route.receiver) == (None, "/abc")


def test_rt_18_a_path_of_a_project_and_the_cluster_is_the_projects() -> None:
    cluster = ClusterConfig(receivers=(receiver("ab"),))
    both = declared(secret("a"), secret("kargo-system-resources"), project("a", "b"), cluster)
    route = routed(both, only_path(both))
    assert isinstance(route, Route)
    assert route.namespace == "a"


def test_a_cluster_without_a_namespace_for_secrets_answers_an_internal_error_to_any_path() -> None:
    nowhere = attrs.evolve(profiles.get("v1.8"), cluster_secrets_namespace="")
    assert routed(declared(ClusterConfig(receivers=(receiver(),)), profile=nowhere), "/any") == INTERNAL


def test_up_to_1_9_6_the_paths_of_an_emptied_list_stay_in_the_status_and_are_not_found() -> None:
    old = declared(secret("p1"), project("p1", "r"), profile=profiles.get("v1.8"))
    path = only_path(old)
    old.resources = attrs.evolve(old.resources, project_configs=(project("p1"),))
    old.reconcile()
    assert only_path(old) == path
    assert routed(old, path) == NOT_FOUND
