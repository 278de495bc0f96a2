from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.rules import labels
from kargo_lab.rules.labels import SelectorError

ENDS = "with a letter or digit at both ends"
LABELS = {"env": "prod", "example.com/team": "", "tier": "a.b_c-d"}


@pytest.mark.parametrize(
    ("requirement", "selected"),
    [
        pytest.param(("env", "In", ("prod", "dev")), True, id="one of the values"),
        pytest.param(("env", "In", ("dev",)), False, id="none of the values"),
        pytest.param(("nope", "In", ("",)), False, id="an absent label has no value, not even an empty one"),
        pytest.param(("example.com/team", "In", ("",)), True, id="a value may be empty"),
        pytest.param(("env", "NotIn", ("prod",)), False, id="a value that is ruled out"),
        pytest.param(("env", "NotIn", ("dev",)), True, id="another value"),
        pytest.param(("nope", "NotIn", ("dev",)), True, id="an absent label is not among the values"),
        pytest.param(("tier", "Exists", ()), True, id="there"),
        pytest.param(("nope", "Exists", ()), False, id="not there"),
        pytest.param(("tier", "DoesNotExist", ()), False, id="there though it should not be"),
        pytest.param(("nope", "DoesNotExist", ()), True, id="rightly not there"),
    ],
)
def test_a_requirement_selects(requirement, selected):
    assert labels.matches([requirement], LABELS) is selected


def test_all_requirements_have_to_hold():
    assert not labels.matches([("env", "Exists", ()), ("nope", "Exists", ())], LABELS)


def test_no_requirement_selects_everything():
    assert labels.matches([], {})


@pytest.mark.parametrize(
    "requirement",
    [
        pytest.param(("env", "in", ("a",)), id="an operator in another case"),
        pytest.param(("env", "Gt", ("1",)), id="an operator of node selectors"),
        pytest.param(("env", "In", ()), id="In without values"),
        pytest.param(("env", "NotIn", ()), id="NotIn without values"),
        pytest.param(("env", "Exists", ("x",)), id="Exists with values"),
        pytest.param(("", "Exists", ()), id="no key"),
        pytest.param(("-env", "Exists", ()), id="a key with a hyphen in front"),
        pytest.param(("a/b/c", "Exists", ()), id="two slashes"),
        pytest.param(("/env", "Exists", ()), id="an empty prefix"),
        pytest.param(("Example.com/x", "Exists", ()), id="a prefix in upper case"),
        pytest.param(("example.com/", "Exists", ()), id="no name behind the prefix"),
        pytest.param(("a" * 64, "Exists", ()), id="a name of 64 characters"),
        pytest.param((f"{'a' * 254}/x", "Exists", ()), id="a prefix of 254 characters"),
        pytest.param(("env", "In", ("ok", "b d")), id="a value with a blank"),
        pytest.param(("env", "In", ("v.",)), id="a value with a dot behind"),
        pytest.param(("env", "In", ("v\n",)), id="a value with a newline"),
        pytest.param(("env", "In", ("v" * 64,)), id="a value of 64 characters"),
        pytest.param(("env", "In", ("\u00e9",)), id="a value beyond ASCII"),
    ],
)
def test_kubernetes_refuses(requirement):
    with pytest.raises(SelectorError):
        labels.matches([requirement], {})


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        (("env", "in", ("a",)), "'in' is no label selector operator; there are In, NotIn, Exists, DoesNotExist"),
        (("env", "In", ()), "operator In on label 'env' needs at least one value"),
        (("env", "Exists", ("x",)), "operator Exists on label 'env' takes no values"),
        (("/x", "Exists", ()), "the prefix of label key '/x' is no DNS subdomain of at most 253 characters"),
        (
            ("-x", "Exists", ()),
            "the name part of label key '-x' must be 1 to 63 letters, digits, '-', '_' or '.', " + ENDS,
        ),
        (
            ("env", "In", ("x.",)),
            "label value 'x.' must be at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends",
        ),
    ],
    ids=["operator", "no values", "values", "prefix", "name", "value"],
)
def test_a_refusal_says_why_and_shows_the_key(requirement, message):
    with pytest.raises(SelectorError) as refused:
        labels.matches([requirement], {})
    assert (refused.value.message, refused.value.text) == (message, requirement[0])


def test_a_value_of_63_characters_is_fine():
    assert labels.problem(("env", "In", ("v" * 63,))) == ""


@pytest.mark.parametrize("key", ["a", "A_b.c-d", "a" * 63, f"{'a' * 253}/x", "kargo.akuity.io/project"])
def test_a_key_is_fine(key):
    assert labels.key_problem(key) == ""


@given(requirement=st.tuples(st.text(), st.sampled_from(["In", "Exists", "x"]), st.lists(st.text()).map(tuple)))
def test_any_requirement_is_judged_or_refused(requirement):
    with suppress(SelectorError):
        labels.matches([requirement], LABELS)
