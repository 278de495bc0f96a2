"""Any text in any setting, and any pushed or listed name, gives an answer or the documented error."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from kargo_lab import selection
from kargo_lab.errors import SelectionError
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.warehouse import ChartSubscription, GitSubscription, ImageSubscription

TEXT = st.text(max_size=12) | st.text(alphabet="v1.0-rc+_x*^~<>=|&,[]{}()\\/:glob regxp\ud800", max_size=12)
TEXTS = st.lists(TEXT, max_size=2).map(tuple)
STRICT = st.sampled_from([True, False, None])
PROFILE = st.sampled_from([PROFILES["v1.6"], PROFILES["v1.10"], PROFILES["latest"], PROFILES["recommended"]])
TAG_FIELDS = {"allow_tags": TEXT, "ignore_tags": TEXTS, "allow_tags_regexes": TEXTS, "ignore_tags_regexes": TEXTS}
STRATEGY = st.sampled_from(
    ["", "SemVer", "Lexical", "NewestBuild", "Digest", "NewestTag", "NewestFromBranch", "semver"]
)


@given(
    subscription=st.builds(
        ImageSubscription,
        repo_url=TEXT | st.just("ex/app"),
        image_selection_strategy=STRATEGY,
        constraint=TEXT,
        semver_constraint=TEXT,
        strict_semvers=STRICT,
        platform=TEXT,
        **TAG_FIELDS,
    ),
    tags=TEXTS,
    profile=PROFILE,
)
def test_images(subscription, tags, profile):
    selection.repository_key(subscription, profile)
    with suppress(SelectionError):
        selector = selection.build(subscription, profile)
        selector.matches(tags)
        selector.shortlist(tags)


@given(
    subscription=st.builds(
        GitSubscription,
        repo_url=TEXT,
        commit_selection_strategy=STRATEGY,
        branch=TEXT,
        semver_constraint=TEXT,
        strict_semvers=STRICT,
        include_paths=TEXTS,
        exclude_paths=TEXTS,
        expression_filter=TEXT,
        **TAG_FIELDS,
    ),
    refs=st.lists(TEXT | TEXT.map("refs/tags/".__add__) | TEXT.map("refs/heads/".__add__), max_size=3),
    files=TEXTS,
    profile=PROFILE,
)
def test_commits(subscription, refs, files, profile):
    selection.repository_key(subscription, profile)
    with suppress(SelectionError):
        selector = selection.build(subscription, profile)
        selector.matches(refs, files)
        selector.observation([(ref, "id") for ref in refs])
        selector.paths_reason(files)


@given(
    subscription=st.builds(
        ChartSubscription,
        repo_url=TEXT | TEXT.map("oci://".__add__) | TEXT.map("https://".__add__),
        chart_name=TEXT,
        semver_constraint=TEXT,
    ),
    versions=TEXTS,
    profile=PROFILE,
)
def test_charts(subscription, versions, profile):
    selection.repository_key(subscription, profile)
    with suppress(SelectionError):
        selector = selection.build(subscription, profile)
        selector.matches(versions)
        selector.order(versions)
