"""A hook that is registered through a platform's API is the one that the next push goes to."""

from __future__ import annotations

import pytest

from kargo_lab.errors import UpstreamError, UsageError
from kargo_lab.platforms.git.bodies.writing import stable_uuid
from kargo_lab.platforms.git.personas import PERSONAS
from kargo_lab.platforms.hook_registration import CALLS, Wanted, install, registration

WANTED = Wanted(repository="acme/app", url="http://new.test/", secret="s3cr3t")


@pytest.mark.parametrize("persona", sorted(PERSONAS))
def test_the_next_push_goes_to_the_installed_hook(persona: str, scene) -> None:
    one = scene(persona)
    ids = {"repository": stable_uuid("repository", one.host.forge.repository("acme/app").id)}
    wanted = Wanted(repository="acme/app", url="http://new.test/", secret="s3cr3t", ids=ids)
    install(persona, one.host.url, wanted, headers={"Authorization": f"Bearer {one.host.token}"})
    one.host.commit("acme/app", {"a": "1"})
    assert "http://new.test/" in [sent.url for sent in one.sent()]


@pytest.mark.parametrize("platform", sorted(CALLS))
def test_a_call_is_data_and_hides_its_secret(platform: str) -> None:
    call = registration(platform, WANTED)
    assert call.method == "POST"
    assert "new.test" in str(call.body)
    assert "s3cr3t" not in repr(call) + repr(WANTED)


def test_a_platform_without_api_is_told() -> None:
    with pytest.raises(UsageError, match="docker-hub offers no API"):
        registration("docker-hub", WANTED)


def test_a_refusal_is_an_error_with_its_status(scene) -> None:
    one = scene("gitea")
    with pytest.raises(UpstreamError) as caught:
        install("gitea", one.host.url, WANTED, headers={})
    assert caught.value.status == 401


def test_a_platform_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="does not answer"):
        install("gitea", "http://127.0.0.1:9", WANTED, headers={})
