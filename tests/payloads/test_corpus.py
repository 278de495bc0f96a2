import json
import re

import pytest

from kargo_lab import payloads, profiles
from kargo_lab.errors import UsageError
from kargo_lab.payloads import corpus
from kargo_lab.payloads.format import placeholders
from kargo_lab.receivers import RECEIVERS
from kargo_lab.wire import PullRequestClosed, Push, Setup

ENTRIES = payloads.entries()
NAMES = "artifactory azure bitbucket dockerhub forgejo generic gitea github gitlab gogs harbor quay registry"
PLATFORMS = NAMES.split()
BY_ID = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)


def test_the_corpus_has_every_platform_and_hundreds_of_deliveries() -> None:
    assert (sorted({entry.platform for entry in ENTRIES}), len(ENTRIES) >= 450) == (PLATFORMS, True)


@BY_ID
def test_a_delivery_says_what_it_is_and_which_facts_it_follows(entry: payloads.Entry) -> None:
    assert re.search(r"[.?]$", entry.says)
    assert re.search(r"(platforms|receivers)\.md \d", entry.follows)


@BY_ID
def test_a_delivery_declares_exactly_the_parameters_that_it_has(entry: payloads.Entry) -> None:
    file = payloads.load(entry.platform, entry.event, entry.variant)
    text = file.text.decode(errors="replace") + file.target + " ".join(value for _, value in file.headers)
    assert placeholders(text) == set(file.parameters)


@BY_ID
def test_a_delivery_renders_without_a_rest_and_without_a_signature(entry: payloads.Entry) -> None:
    request = payloads.render(entry.platform, entry.event, entry.variant)
    proofs = {name for scheme in payloads.SCHEMES.values() for name in scheme.headers} - {"Authorization"}
    assert not placeholders(request.body.decode(errors="replace"))
    assert not {name for name, _ in request.headers} & proofs


@BY_ID
def test_what_is_not_called_malformed_is_json(entry: payloads.Entry) -> None:
    file = payloads.load(entry.platform, entry.event, entry.variant)
    request = payloads.render(entry.platform, entry.event, entry.variant)
    text = request.body if request.signed is None else request.signed
    odd = "malformed" in entry.variant or entry.id in {"generic/push/text", "generic/push/blank"}
    if not odd and request.body:
        json.loads(text)
    assert file.origin.endswith(f"{entry.variant}.http")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_has_a_minimal_or_default_delivery_of_its_main_event(platform: str) -> None:
    main = {"harbor": "push-artifact", "bitbucket": "repo:push", "gitlab": "push", "artifactory": "docker-pushed"}
    assert payloads.render(platform, main.get(platform, "push")).method == "POST"


@pytest.mark.parametrize(
    ("platform", "event", "settings", "expected"),
    [
        (
            "github",
            "push",
            {"repository": "o/r", "branch": "dev"},
            Push(
                repo_urls=("https://github.com/o/r", "ssh://git@github.com/o/r"),
                qualifiers=("refs/heads/dev",),
                changed_files=("apps/guestbook/greeting.txt",),
            ),
        ),
        ("github", "package", {"repository": "o/r", "tag": "v9"}, Push(repo_urls=("ghcr.io/o/r",), qualifiers=("v9",))),
        (
            "github",
            "pull_request",
            {"repository": "o/r", "number": 3},
            PullRequestClosed("https://github.com/o/r/pull/3"),
        ),
        (
            "gitlab",
            "tag_push",
            {"repository": "g/s/r", "tag": "v9", "host": "git.lab"},
            Push(repo_urls=("https://git.lab/g/s/r", "ssh://git@git.lab/g/s/r"), qualifiers=("refs/tags/v9",)),
        ),
        (
            "bitbucket",
            "repo:push",
            {"repository": "o/r", "branch": "dev"},
            Push(repo_urls=("https://bitbucket.org/o/r",), qualifiers=("refs/heads/dev",)),
        ),
        ("dockerhub", "push", {"repository": "o/r", "tag": "v9"}, Push(repo_urls=("o/r",), qualifiers=("v9",))),
        ("quay", "push", {"repository": "o/r", "tag": "v9"}, Push(repo_urls=("quay.io/o/r",), qualifiers=("v9",))),
        (
            "harbor",
            "push-artifact",
            {"host": "h.test", "tag": "v9"},
            Push(repo_urls=("h.test/acme/guestbook",), qualifiers=("v9",)),
        ),
        (
            "azure",
            "push",
            {"host": "r.azurecr.io", "tag": "v9"},
            Push(repo_urls=("r.azurecr.io/guestbook",), qualifiers=("v9",)),
        ),
        (
            "azure",
            "git.push",
            {"organization": "o", "ref": "refs/heads/x"},
            Push(repo_urls=("https://dev.azure.com/o/shop/_git/guestbook",), qualifiers=("refs/heads/x",)),
        ),
        (
            "gitea",
            "push",
            {"host": "h.test:3000", "branch": "dev"},
            Push(
                repo_urls=("https://h.test:3000/acme/guestbook",),
                qualifiers=("refs/heads/dev",),
                changed_files=("apps/guestbook/greeting.txt",),
            ),
        ),
        (
            "artifactory",
            "docker-pushed",
            {"repo_key": "k", "image": "i", "tag": "v9"},
            Push(repo_urls=("acme.jfrog.example/k/i",), qualifiers=("v9",)),
        ),
    ],
)
def test_one_file_serves_any_repository_and_tag(
    platform: str, event: str, settings: dict[str, object], expected: object
) -> None:
    request = payloads.sign(payloads.render(platform, event, **settings), platform, "s3cr3t")
    verdict = RECEIVERS[platform](request.delivery(), Setup(secret=b"s3cr3t"), profiles.LATEST)
    assert verdict == expected


def test_the_time_comes_in_the_spelling_of_each_platform() -> None:
    body = json.loads(payloads.render("dockerhub", "push", time="2026-01-02T03:04:05+01:00").body)
    assert body["push_data"]["pushed_at"] == 1767319445


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: payloads.render("svn", "push"), "the corpus has no platform 'svn'; it has artifactory, azure"),
        (lambda: payloads.render("quay", "pushed"), "quay has no event 'pushed' in the corpus; it has build-cancelled"),
        (
            lambda: payloads.render("quay", "push", "x"),
            "quay push has no variant 'x' in the corpus; it has chart, default",
        ),
        (lambda: payloads.render("quay", "push", brnch="x"), "has no parameter brnch; it has"),
        (lambda: payloads.render("github", "push", time="noon"), "the time 'noon' is not spelled like"),
        (lambda: payloads.render("github", "push", branch="{{ ref }}"), "need one another"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(call: object, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("repo:push", "repo-push"),
        ("Tag Push Hook", "tag-push-hook"),
        ("registry_package", "registry-package"),
        ("git.push", "git-push"),
    ],
)
def test_an_event_is_found_under_the_name_its_platform_gives_it(name: str, folder: str) -> None:
    assert corpus.slug(name) == folder


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if entry.platform != "generic"], ids=lambda entry: entry.id
)
def test_no_delivery_holds_a_real_address_or_person(entry: payloads.Entry) -> None:
    text = payloads.load(entry.platform, entry.event, entry.variant).text.decode(errors="replace")
    mails = set(re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)(?![:/\w])", text))
    assert mails <= {"example.com", "github.com"}
