"""The corners of single receivers that no table has a row for."""

import json
from typing import Any

import pytest

from kargo_lab import payloads, profiles
from kargo_lab.profiles import LATEST
from kargo_lab.receivers import RECEIVERS, artifactory, generic
from kargo_lab.receivers.examination import Examination, examine
from kargo_lab.resources.configuration import GenericAction, IndexRequirement, LabelRequirement, TargetCriteria
from kargo_lab.wire import Actions, Delivery, Push, Setup, Verdict

RECOMMENDED = profiles.get("recommended")


def _sent(platform: str, event: str, body: Any, profile: profiles.Profile = LATEST, **setup: Any) -> Verdict:
    request = payloads.render(platform, event)
    changed = payloads.Request(headers=request.headers, body=json.dumps(body).encode())
    signed = payloads.sign(changed, platform, b"k")
    return RECEIVERS[platform](signed.delivery(), Setup(secret=b"k", **setup), profile)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("npm", '"npm"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("\a\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'),
        ("\x00\x7f", '"\\x00\\x7f"'),
        ("é 客 😀", '"é 客 😀"'),
        ("\u200b\u00a0", '"\\u200b\\u00a0"'),
        ("\U000e0001", '"\\U000e0001"'),
        ("\ufffd", '"\ufffd"'),
    ],
)
def test_a_value_in_an_error_is_quoted_as_go_does(text: str, quoted: str) -> None:
    assert artifactory.go_quoted(text) == quoted


@pytest.mark.parametrize("media_type", [7, None, [], {}])
def test_a_media_type_that_is_no_text_counts_as_none(media_type: object) -> None:
    body = json.loads(payloads.render("github", "package", "minimal").body)
    body["package"]["package_version"]["container_metadata"]["manifest"]["config"]["media_type"] = media_type
    assert _sent("github", "package", body) == Push(repo_urls=("ghcr.io/acme/guestbook",), qualifiers=("v1.4.0",))


@pytest.mark.parametrize("config", [7, None, "x", []])
def test_a_manifest_without_a_usable_config_is_taken(config: object) -> None:
    body = json.loads(payloads.render("github", "package", "minimal").body)
    body["package"]["package_version"]["container_metadata"]["manifest"]["config"] = config
    assert isinstance(_sent("github", "package", body), Push)


@pytest.mark.parametrize("flag", [True, False, None, "1", "t", "FALSE"])
def test_a_merge_request_takes_its_flag_as_boolean_or_text(flag: object) -> None:
    body = json.loads(payloads.render("gitlab", "merge_request").body)
    body["object_attributes"]["merge_params"]["force_remove_source_branch"] = flag
    assert str(_sent("gitlab", "merge_request", body)).startswith("PullRequestClosed")


@pytest.mark.parametrize("flag", ["yes", "", "tRUE", 1, [], {}])
def test_a_merge_request_with_another_flag_is_refused(flag: object) -> None:
    body = json.loads(payloads.render("gitlab", "merge_request").body)
    body["object_attributes"]["merge_params"]["force_remove_source_branch"] = flag
    assert str(_sent("gitlab", "merge_request", body)) == "Refusal(status=400, reason='invalid request body')"


def test_recommended_passes_over_a_commit_that_is_null() -> None:
    body = json.loads(payloads.render("gitlab", "push").body)
    body |= {"commits": [None, *body["commits"]], "total_commits_count": 2}
    verdict = _sent("gitlab", "push", body, RECOMMENDED)
    assert isinstance(verdict, Push)
    assert verdict.changed_files == ("apps/guestbook/greeting.txt",)


def test_recommended_leaves_refs_alone_that_it_finds_under_another_spelling_only() -> None:
    azure = {"eventType": "git.push", "resource": {"RefUpdates": [{"name": "refs/heads/x", "newObjectId": "0" * 40}]}}
    bitbucket = {"Changes": [{"ref": {"id": "refs/heads/x"}, "toHash": "0" * 40}]}
    found = [
        _sent("azure", "git.push", azure, RECOMMENDED),
        _sent("bitbucket", "repo:refs_changed", bitbucket, RECOMMENDED),
    ]
    assert [getattr(verdict, "qualifiers", None) for verdict in found] == [("refs/heads/x",), ("refs/heads/x",)]


@pytest.mark.parametrize("ref_type", [7, None, {}])
def test_the_type_of_a_cloud_ref_was_not_looked_at_before_1_11(ref_type: object) -> None:
    body = {"push": {"changes": [{"new": {"type": ref_type, "name": "main"}}]}}
    assert _sent("bitbucket", "repo:push", body, profiles.get("v1.10")) == Push(repo_urls=(), qualifiers=("main",))


def test_the_tag_of_docker_hub_was_not_looked_at_in_1_6() -> None:
    body = {"push_data": {"tag": 7}, "repository": {"repo_name": "acme/guestbook"}}
    assert _sent("dockerhub", "push", body, profiles.get("v1.6")) == Push(repo_urls=("acme/guestbook",))


def test_the_commits_of_gitea_were_not_looked_at_before_1_10() -> None:
    body = {
        "ref": "refs/heads/main",
        "commits": 7,
        "total_commits": "x",
        "repository": {"clone_url": "https://h/a.git"},
    }
    assert _sent("gitea", "push", body, profiles.get("v1.9")) == Push(
        repo_urls=("https://h/a",), qualifiers=("refs/heads/main",)
    )


@pytest.mark.parametrize("value", ["inf", "nan", "5", "true", "[1]", "null"])
def test_a_template_that_gives_no_text_is_an_error_whatever_it_gives(value: str) -> None:
    action = GenericAction(targets=(TargetCriteria(kind="Warehouse", name="${{ request.body.v }}"),))
    verdict = generic.receive(
        Delivery(body=json.dumps({"v": value}).encode()), Setup(secret=b"k", actions=(action,)), LATEST
    )
    assert isinstance(verdict, Actions)
    assert (verdict.plans[0].outcome, verdict.plans[0].summary) == ("error", "Error evaluating targetSelectionCriteria")


def test_selectors_are_echoed_in_full() -> None:
    criteria = TargetCriteria(
        kind="Warehouse",
        match_labels={"a": "b"},
        match_expressions=(
            LabelRequirement(key="c", operator="Exists"),
            LabelRequirement(key="d", operator="In", values=("e",)),
        ),
        match_indices=(IndexRequirement(key="subscribedURLs", operator="Equals", value="f"),),
    )
    setup = Setup(secret=b"k", actions=(GenericAction(targets=(criteria,)),))
    verdict = generic.receive(Delivery(), setup, LATEST)
    assert isinstance(verdict, Actions)
    assert verdict.plans[0].echo["targetSelectionCriteria"] == [
        {
            "kind": "Warehouse",
            "labelSelector": {
                "matchLabels": {"a": "b"},
                "matchExpressions": [
                    {"key": "c", "operator": "Exists"},
                    {"key": "d", "operator": "In", "values": ["e"]},
                ],
            },
            "indexSelector": {"matchIndices": [{"key": "subscribedURLs", "operator": "Equals", "value": "f"}]},
        }
    ]


@pytest.mark.parametrize("body", [b"{", b'{"a":1e999}'])
def test_a_body_that_cannot_be_read_without_types_is_no_document(body: bytes) -> None:
    examination = Examination(receiver_type="x", delivery=Delivery(body=body), setup=Setup(secret=b"k"), profile=LATEST)
    assert examination.document is None


def test_checks_that_come_to_no_conclusion_are_a_mistake_of_ours() -> None:
    examination = Examination(receiver_type="x", delivery=Delivery(), setup=Setup(secret=b"k"), profile=LATEST)
    with pytest.raises(AssertionError, match="no check of the x receiver"):
        examine((), examination)
