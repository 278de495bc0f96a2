import attrs
import pytest

from kargo_lab import matching
from kargo_lab.matching import MatchFailure, SubscribedURLs
from kargo_lab.profiles import LATEST, PROFILES
from kargo_lab.resources.pipeline import Promotion, PromotionStatus, PromotionStep
from kargo_lab.resources.warehouse import (
    ChartSubscription,
    GenericSubscription,
    GitSubscription,
    ImageSubscription,
    Warehouse,
    WarehouseSpec,
)
from kargo_lab.wire import Push, Target

RECOMMENDED = PROFILES["recommended"]
REPO = "https://github.com/ex/repo"
GIT = GitSubscription(repo_url=f"{REPO}.git", branch="main")
BROKEN = GitSubscription(repo_url=REPO, commit_selection_strategy="NewestTag", allow_tags_regexes=("(",))
IMAGE = ImageSubscription(repo_url="ghcr.io/ex/app")
MAIN = ("refs/heads/main",)


def _warehouse(name, *subscriptions, namespace="p1", labels=None):
    spec = WarehouseSpec(subscriptions=subscriptions)
    return Warehouse(namespace=namespace, name=name, spec=spec, labels=labels or {})


def _names(warehouses):
    return [each.name for each in warehouses]


def _push(*refs, urls=(REPO,), files=()):
    return Push(repo_urls=urls, qualifiers=refs, changed_files=files)


def _left(found):
    return {warehouse.name: reason.rule for warehouse, reason in found.left_alone}


def test_a_push_refreshes_the_subscribers_that_it_concerns():
    found = matching.match(_push(*MAIN), [_warehouse("a", GIT), _warehouse("b", IMAGE)])
    assert (_names(found.refresh), _left(found)) == (["a"], {"b": "not-subscribed"})


def test_each_refreshed_warehouse_has_its_reason():
    assert matching.match(_push(*MAIN), [_warehouse("a", GIT)]).because["p1/a"].rule == "branch"


def test_without_qualifiers_every_subscriber_is_refreshed_whatever_its_settings():
    found = matching.match(_push("", urls=(REPO, "")), [_warehouse("a", GIT), _warehouse("b", BROKEN)])
    assert _names(found.refresh) == ["a", "b"]


def test_a_warehouse_that_two_urls_name_is_refreshed_once():
    warehouse = _warehouse("a", GIT, IMAGE)
    assert matching.match(_push(urls=(REPO, "ghcr.io/ex/app")), [warehouse]).refresh == (warehouse,)


def _on(branch, url=REPO):
    return GitSubscription(repo_url=url, branch=branch)


FORK = "https://github.com/ex/fork"  # is asked about before the other


def test_warehouses_come_in_the_order_of_the_answers_that_refresh_them():
    refused_at_first = _warehouse("a", _on("dev", FORK), _on("main"))
    found = matching.match(_push(*MAIN, urls=(REPO, FORK)), [refused_at_first, _warehouse("b", _on("main", FORK))])
    assert _names(found.refresh) == ["b", "a"]


def test_a_warehouse_that_two_urls_leave_alone_tells_of_both():
    found = matching.match(_push(*MAIN, urls=(REPO, FORK)), [_warehouse("a", _on("dev", FORK), _on("beta"))])
    [(_, reason)] = found.left_alone
    assert [branch for branch in ("dev", "beta") if branch in reason.text] == ["dev", "beta"]


def test_a_second_subscription_to_the_url_may_be_the_one_concerned():
    tags = GitSubscription(repo_url=REPO, commit_selection_strategy="NewestTag")
    assert matching.match(_push("refs/tags/v1"), [_warehouse("a", GIT, tags)]).refresh


def test_an_unusable_subscription_behind_a_matching_one_does_no_harm():
    assert _names(matching.match(_push(*MAIN), [_warehouse("a", GIT, BROKEN)]).refresh) == ["a"]


def test_an_unusable_subscription_to_another_repository_does_no_harm():
    other = GitSubscription(repo_url="https://github.com/ex/other", expression_filter="(")
    assert matching.match(_push(*MAIN), [_warehouse("a", other, GIT)]).refresh


def test_a_warehouse_found_by_one_url_is_not_asked_again_for_the_next():
    broken = GitSubscription(repo_url="ssh://git@github.com/ex/repo", exclude_paths=("regex:(",))
    push = _push(*MAIN, urls=("ssh://git@github.com/ex/repo", REPO))
    assert _names(matching.match(push, [_warehouse("a", GIT, broken)]).refresh) == ["a"]


def test_one_unusable_warehouse_fails_the_whole_delivery():
    broken = _warehouse("b", BROKEN)
    found = matching.match(_push(*MAIN), [_warehouse("a", GIT), broken])
    assert (found.refresh, found.failure.warehouse, _left(found)) == (
        (),
        broken,
        {"a": "delivery-failed", "b": "delivery-failed"},
    )


def test_the_failure_names_the_setting():
    assert "allowTagsRegexes" in matching.match(_push(*MAIN), [_warehouse("b", BROKEN)]).failure.text


def test_recommended_leaves_the_unusable_warehouse_alone():
    found = matching.match(_push(*MAIN), [_warehouse("a", GIT), _warehouse("b", BROKEN)], RECOMMENDED)
    assert (_names(found.refresh), _left(found), found.failure) == (["a"], {"b": "broken-subscription"}, None)


def test_recommended_asks_the_subscriptions_beside_an_unusable_one():
    assert matching.match(_push(*MAIN), [_warehouse("a", BROKEN, GIT)], RECOMMENDED).refresh


def test_a_project_receiver_reaches_its_namespace_only():
    warehouses = [_warehouse("a", GIT), _warehouse("b", GIT, namespace="p2")]
    found = matching.match(_push(*MAIN), warehouses, namespace="p2")
    assert (_names(found.refresh), _left(found)) == (["b"], {"a": "other-namespace"})


def test_an_unusable_warehouse_of_another_project_does_no_harm_to_a_project_receiver():
    warehouses = [_warehouse("a", GIT), _warehouse("b", BROKEN, namespace="p2")]
    assert matching.match(_push(*MAIN), warehouses, namespace="p1").failure is None


def test_v1_6_refreshes_every_subscriber():
    found = matching.match(_push("refs/heads/dev"), [_warehouse("a", GIT), _warehouse("b", BROKEN)], PROFILES["v1.6"])
    assert _names(found.refresh) == ["a", "b"]


def test_the_refusal_of_several_subscriptions_tells_all():
    release = GitSubscription(repo_url=REPO, branch="release")
    found = matching.match(_push("refs/heads/dev"), [_warehouse("a", GIT, release)])
    assert all(word in found.left_alone[0][1].text for word in ("'main'", "'release'"))


@pytest.mark.parametrize(
    ("push", "profile", "rule", "text"),
    [
        pytest.param(
            _push(), LATEST, "no-qualifier", "nothing tells what was pushed, so every subscriber is refreshed", id="all"
        ),
        pytest.param(
            _push("x"), PROFILES["v1.6"], "subscribed", "this release refreshes every subscriber", id="in v1.6"
        ),
        pytest.param(_push(*MAIN), LATEST, "branch", "'main' is the branch of the subscription", id="the one pushed"),
    ],
)
def test_it_is_told_why_a_warehouse_is_refreshed(push, profile, rule, text):
    reason = matching.match(push, [_warehouse("a", GIT)], profile).because["p1/a"]
    assert (reason.rule, reason.text) == (rule, text)


BROKEN_TEXT = "allowTagsRegexes: missing )"


@pytest.mark.parametrize(
    ("warehouse", "profile", "rule", "text"),
    [
        pytest.param(
            _warehouse("a", IMAGE),
            LATEST,
            "not-subscribed",
            "no subscription is to a repository that the delivery names",
            id="another repository",
        ),
        pytest.param(
            _warehouse("a", GIT, namespace="p2"),
            LATEST,
            "other-namespace",
            "a receiver of project 'p1' does not reach other namespaces",
            id="another project",
        ),
        pytest.param(
            _warehouse("a", BROKEN),
            RECOMMENDED,
            "broken-subscription",
            f"a subscription cannot be used: {BROKEN_TEXT}",
            id="unusable",
        ),
        pytest.param(
            _warehouse("a", BROKEN),
            LATEST,
            "delivery-failed",
            f"the whole delivery fails: Warehouse p1/a has a subscription that cannot be used: {BROKEN_TEXT}",
            id="unusable, as Kargo has it",
        ),
        pytest.param(
            _warehouse("a", attrs.evolve(GIT, branch="x"), attrs.evolve(GIT, branch="y")),
            LATEST,
            "no-match",
            "no subscription is concerned: 'main' is not the branch of the subscription, 'x'; "
            "'main' is not the branch of the subscription, 'y'",
            id="two subscriptions",
        ),
    ],
)
def test_it_is_told_why_a_warehouse_is_left_alone(warehouse, profile, rule, text):
    ((_, reason),) = matching.match(_push(*MAIN), [warehouse], profile, namespace="p1").left_alone
    assert (reason.rule, reason.text) == (rule, text)


def test_an_unusable_subscription_before_a_matching_one_fails_the_delivery():
    assert matching.match(_push(*MAIN), [_warehouse("a", BROKEN, GIT)]).failure


def test_a_repository_that_nobody_subscribes_to_concerns_nobody():
    assert matching.match(_push(*MAIN, urls=("https://nowhere",)), [_warehouse("a", GIT)]).refresh == ()


def test_the_index_knows_a_warehouse_once_for_each_url():
    warehouse = _warehouse("a", GIT, attrs.evolve(GIT, branch="dev"))
    index = SubscribedURLs([warehouse])
    assert (index.subscribers(REPO), index.subscribers("https://nowhere")) == ((warehouse,), ())


def test_urls_are_compared_in_the_normal_form_of_the_release():
    upper = ImageSubscription(repo_url="Ex/App", image_selection_strategy="Lexical")
    profile, push = PROFILES["v1.8"], _push(urls=("Ex/App",))
    assert matching.match(push, [_warehouse("a", upper)], profile).refresh


def test_generic_subscriptions_have_no_url():
    generic = GenericSubscription(kind="s3", name="files")
    assert _left(matching.match(_push(urls=("",)), [_warehouse("a", generic)])) == {"a": "not-subscribed"}


def test_charts_are_found_by_url_whatever_their_name():
    charts = [ChartSubscription(repo_url="https://charts.example.com/stable", chart_name=name) for name in "xy"]
    index = SubscribedURLs([_warehouse(f"w{number}", chart) for number, chart in enumerate(charts)])
    assert _names(index.subscribers("https://charts.example.com/stable")) == ["w0", "w1"]


def test_the_index_can_be_asked_again_and_again():
    index = SubscribedURLs([_warehouse("a", GIT), _warehouse("b", BROKEN, namespace="p2")])
    assert [bool(index.match(_push(*MAIN)).failure) for _ in range(2)] == [True, True]


# Promotions

URL = "https://github.com/ex/repo/pull/7"
WAITS = PromotionStep(uses="git-wait-for-pr", alias="wait")


def _promotion(name="pr1", *, steps=(WAITS,), namespace="p1", state=None, phase="Running", current_step=0):
    state = {"wait": {"pr": {"url": URL}}} if state is None else state
    status = PromotionStatus(phase=phase, current_step=current_step, state=state)
    return Promotion(namespace=namespace, name=name, stage="s", steps=steps, status=status)


def test_a_running_promotion_that_waits_for_the_pull_request_is_found():
    promotion = _promotion()
    assert matching.match_promotions(URL, [promotion]) == (promotion,)


OTHER = PromotionStep(uses="git-clone", alias="clone")
UNFOUND = [
    pytest.param(_promotion(phase="Succeeded"), URL, id="one that has ended"),
    pytest.param(_promotion(), URL.upper(), id="another spelling of the URL"),
    pytest.param(_promotion(), "", id="an empty URL"),
    pytest.param(_promotion(state={"wait": {"pr": {"url": ""}}}), "", id="an empty URL in the state"),
    pytest.param(_promotion(steps=(OTHER, WAITS)), URL, id="a step that is not reached"),
    pytest.param(_promotion(current_step=-1), URL, id="a step before the first"),
    pytest.param(_promotion(steps=(PromotionStep(uses="git-wait-for-pr"),)), URL, id="a step without an alias"),
    pytest.param(_promotion(steps=(PromotionStep(uses="git-open-pr", alias="wait"),)), URL, id="another kind of step"),
    pytest.param(_promotion(state={}), URL, id="no state"),
    pytest.param(_promotion(state={"wait": {"pr": [URL]}}), URL, id="a state of another shape"),
    pytest.param(_promotion(state={"wait": {"pr": {"url": 7}}}), URL, id="a URL that is no text"),
    pytest.param(_promotion(state={"wait": {"pr": {"url": [URL]}}}), URL, id="a list of URLs"),
]


@pytest.mark.parametrize(("promotion", "url"), UNFOUND)
def test_other_promotions_are_left_alone(promotion, url):
    assert matching.match_promotions(url, [promotion]) == ()


def test_a_project_receiver_finds_promotions_of_its_namespace_only():
    assert matching.match_promotions(URL, [_promotion(namespace="p2")], namespace="p1") == ()


def test_up_to_1_10_no_promotion_is_found():
    assert matching.match_promotions(URL, [_promotion()], PROFILES["v1.10"]) == ()


# Targets of generic actions

ALL = [
    _warehouse("b", GIT, labels={"env": "prod"}),
    _warehouse("a", GIT, IMAGE, labels={"env": "dev"}),
    _warehouse("c", IMAGE, namespace="p0", labels={"env": "prod"}),
]


def _select(*targets, namespace=None, profile=LATEST, promotions=()):
    found = matching.select_targets(targets, SubscribedURLs(ALL, profile), list(promotions), namespace)
    return "error" if isinstance(found, MatchFailure) else [f"{where}/{name}" for _, where, name in found]


def _indexed(*index, **fields):
    return Target(kind="Warehouse", index=index, **fields)


BY_GIT = ("subscribedURLs", "Equals", REPO)
BY_IMAGE = ("subscribedURLs", "Equals", "ghcr.io/ex/app")


@pytest.mark.parametrize(
    ("target", "selected"),
    [
        pytest.param(Target(kind="Warehouse", name="a"), ["p1/a"], id="by name"),
        pytest.param(Target(kind="Warehouse", name=""), [], id="by an empty name, which nothing has"),
        pytest.param(Target(kind="Warehouse"), ["p0/c", "p1/a", "p1/b"], id="all, sorted by namespace and name"),
        pytest.param(Target(kind="Warehouse", labels=(("env", "In", ("prod",)),)), ["p0/c", "p1/b"], id="by label"),
        pytest.param(
            Target(kind="Warehouse", name="a", labels=(("env", "In", ("prod",)),)), [], id="name and label both count"
        ),
        pytest.param(_indexed(BY_GIT), ["p1/a", "p1/b"], id="by index"),
        pytest.param(_indexed(("subscribedURLs", "Equals", f"{REPO}.git")), [], id="by an index in normal form only"),
        pytest.param(_indexed(BY_IMAGE, BY_GIT), ["p1/a", "p1/b"], id="of several indices the last counts"),
        pytest.param(_indexed(("receiverPaths", "NotEquals", "x"), BY_GIT), ["p1/a", "p1/b"], id="whatever was first"),
        pytest.param(_indexed(("subscribedURLs", "NotEquals", REPO)), "error", id="NotEquals never works"),
        pytest.param(_indexed(("receiverPaths", "Equals", "/x")), "error", id="receiverPaths is not on Warehouses"),
        pytest.param(_indexed(("subscribedURLs", "equals", REPO), BY_GIT), "error", id="an unknown operator"),
        pytest.param(Target(kind="Promotion", index=(BY_GIT,)), "error", id="Promotions have no such index"),
        pytest.param(Target(kind="Stage"), "error", id="an unknown kind"),
        pytest.param(Target(kind="Warehouse", labels=(("env", "In", ()),)), "error", id="an invalid label selector"),
    ],
)
def test_a_target_selects(target, selected):
    assert _select(target) == selected


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Target(kind="Stage"), "'Stage' cannot be a target; there are Warehouse, Promotion"),
        (Target(kind="Warehouse", labels=(("env", "In", ()),)), "operator In on label 'env' needs at least one value"),
        (
            _indexed(("subscribedURLs", "equals", REPO)),
            "matchIndices: operator 'equals' is none of Equals, NotEquals",
        ),
        (_indexed(("receiverPaths", "Equals", "/x")), "matchIndices: there is no index 'receiverPaths' on Warehouse"),
        (
            _indexed(("subscribedURLs", "NotEquals", REPO)),
            "matchIndices: the cache takes exact matches only, so NotEquals cannot work",
        ),
    ],
)
def test_it_is_told_why_a_target_selects_nothing(target, text):
    assert matching.select_targets([target], SubscribedURLs(ALL), [], None) == MatchFailure(None, text)


def test_no_warehouse_is_found_by_an_empty_url():
    generic = _warehouse("g", GenericSubscription(kind="s3", name="files"))
    target = _indexed(("subscribedURLs", "Equals", ""))
    assert matching.select_targets([target], SubscribedURLs([generic]), [], None) == ()


def test_an_index_holds_the_normal_form_of_the_release():
    odd = _warehouse("a", GitSubscription(repo_url="https://::1/X"))
    targets = [_indexed(("subscribedURLs", "Equals", "https://::1/x"))]
    indices = [SubscribedURLs([odd], PROFILES[name]) for name in ("v1.9", "v1.10")]
    found = [matching.select_targets(targets, index, [], None) for index in indices]
    assert found == [(("Warehouse", "p1", "a"),), ()]


def test_targets_of_one_action_are_added_up_and_each_object_counts_once():
    assert _select(Target(kind="Warehouse", name="b"), Target(kind="Warehouse", name="b"), _indexed(BY_IMAGE)) == [
        "p0/c",
        "p1/a",
        "p1/b",
    ]


def test_a_project_receiver_selects_in_its_namespace_only():
    assert _select(Target(kind="Warehouse"), namespace="p0") == ["p0/c"]


def test_a_promotion_can_be_selected_since_1_11():
    assert _select(Target(kind="Promotion"), promotions=[_promotion()]) == ["p1/pr1"]


def test_and_before_it_is_an_error():
    assert _select(Target(kind="Promotion"), promotions=[_promotion()], profile=PROFILES["v1.10"]) == "error"


@pytest.mark.parametrize(
    ("index", "selected"),
    [
        pytest.param((("pullRequestURL", "Equals", URL),), ["p1/pr1"], id="the pull request that it waits for"),
        pytest.param((("pullRequestURL", "Equals", f"{URL}0"),), [], id="another pull request"),
        pytest.param((("pullRequestURL", "NotEquals", URL),), "error", id="NotEquals never works"),
        pytest.param((("subscribedURLs", "Equals", URL),), "error", id="an index of Warehouses"),
    ],
)
def test_promotions_are_selected_by_their_pull_request(index, selected):
    promotions = [_promotion(), _promotion("pr2", phase="Succeeded")]
    assert _select(Target(kind="Promotion", index=index), promotions=promotions) == selected


def test_warehouses_are_not_selected_by_a_pull_request():
    assert _select(_indexed(("pullRequestURL", "Equals", URL))) == "error"


def test_a_warehouse_and_a_promotion_of_one_name_collapse_into_the_first():
    targets = [Target(kind="Warehouse", name="b"), Target(kind="Promotion", name="b")]
    found = matching.select_targets(targets, SubscribedURLs(ALL), [_promotion("b")], None)
    assert found == (("Warehouse", "p1", "b"),)


@pytest.mark.parametrize(
    ("index", "selected"),
    [
        pytest.param((BY_IMAGE, BY_GIT), ["p1/a"], id="all index requirements count"),
        pytest.param((("subscribedURLs", "NotEquals", REPO),), ["p0/c"], id="and NotEquals works"),
    ],
)
def test_recommended_selects_by_index_as_the_words_say(index, selected):
    assert _select(_indexed(*index), profile=RECOMMENDED) == selected
