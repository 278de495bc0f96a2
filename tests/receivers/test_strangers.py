"""Whatever a stranger sends is answered, by every receiver on every version."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from kargo_lab import payloads, profiles
from kargo_lab.profiles import EVENTS, PROFILES
from kargo_lab.receivers import RECEIVERS
from kargo_lab.resources.configuration import GenericAction
from kargo_lab.wire import (
    Acknowledged,
    Actions,
    Delivery,
    NoAnswer,
    PullRequestClosed,
    Push,
    Refusal,
    Setup,
)

VERDICTS = Acknowledged | Actions | NoAnswer | PullRequestClosed | Push | Refusal
SECRET = b"k"
EVENT_HEADERS = {
    "github": "x-github-event",
    "gitlab": "x-gitlab-event",
    "bitbucket": "x-event-key",
    "gitea": "x-gitea-event",
}
AGENTS = ["AzureContainerRegistry/1.0", "VSServices/1", "curl/8", ""]
# Keys that the receivers read, so that random documents reach deep into them.
WORDS = (
    "ref commits repository clone_url after deleted head_commit added modified removed package package_version "
    "package_type package_url container_metadata manifest tag name action pull_request html_url registry_package "
    "object_attributes url total_commits_count git_http_url merge_params force_remove_source_branch push changes new "
    "type links html href clone self pullrequest pullRequest push_data repo_name media_type docker_url updated_tags "
    "event_data resources resource_url target request host mediaType eventType resource refUpdates remoteUrl _links "
    "web status total_commits domain event_type data path repo_key image_type jpd_origin timestamp"
)
KEYS = st.sampled_from(WORDS.split())
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "published",
            "CONTAINER",
            "closed",
            "merge",
            "push",
            "git.push",
            "pushed",
            "docker",
            "oci",
            "PUSH_ARTIFACT",
            "tag",
        ]
    ),
    st.sampled_from(
        ["https://github.com/Ex/Repo.git", "git@h:a/b", "ghcr.io/x/y:z", "://", "http://[::1", "a/b/c", "0" * 40]
    ),
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@st.composite
def deliveries(draw: st.DrawFn, kind: str) -> Delivery:
    body = draw(st.one_of(st.binary(max_size=40), DOCUMENTS.map(lambda value: json.dumps(value).encode())))
    headers = {"user-agent": draw(st.sampled_from(AGENTS)), "x-odd": draw(st.text(max_size=5))}
    if kind in EVENT_HEADERS:
        headers[EVENT_HEADERS[kind]] = draw(st.sampled_from(EVENTS[kind]) | st.text(max_size=8))
    delivery = Delivery(headers=headers, body=body, query=draw(st.text(max_size=8)))
    if draw(st.integers(0, 9)) == 0:
        return Delivery(
            headers={**headers, "x-hub-signature-256": draw(st.text()), "authorization": draw(st.text())}, body=body
        )
    request = payloads.Request(headers=delivery.headers, body=body, target=f"/?{delivery.query}")
    return payloads.sign(request, kind, SECRET).delivery()


@given(data=st.data())
@settings(max_examples=600, deadline=None)
def test_any_headers_and_any_body_give_a_verdict(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(RECEIVERS)))
    profile = PROFILES[data.draw(st.sampled_from(sorted(PROFILES)))]
    delivery = data.draw(deliveries(kind))
    action = GenericAction(
        when_expression=data.draw(st.sampled_from(["", "true", "request.body.ref == 'x'"]) | st.text(max_size=20))
    )
    verdict = RECEIVERS[kind](delivery, Setup(secret=SECRET, actions=(action,)), profile)
    assert isinstance(verdict, VERDICTS)


@given(
    cut=st.integers(0, 400),
    entry=st.sampled_from(
        [
            entry
            for entry in payloads.entries()
            if "size-" not in entry.variant and "2047" not in entry.variant and "2048" not in entry.variant
        ]
    ),
    byte=st.integers(0, 255),
)
@settings(max_examples=300, deadline=None)
def test_a_damaged_delivery_of_the_corpus_gives_a_verdict(cut: int, entry: payloads.Entry, byte: int) -> None:
    request = payloads.render(entry.platform, entry.event, entry.variant)
    place = cut * 31 % max(1, len(request.body))
    body = request.body[:place] + bytes((byte,)) + request.body[place + 1 :]
    damaged = payloads.sign(
        payloads.Request(headers=request.headers, body=body, target=request.target), entry.platform, SECRET
    )
    verdict = RECEIVERS[entry.receiver](damaged.delivery(), Setup(secret=SECRET), profiles.LATEST)
    assert isinstance(verdict, VERDICTS)
