"""The receivers that are wrong on purpose: enough of them, put right again afterwards, and caught."""

from __future__ import annotations

import pytest

from kargo_lab.conformance import proving
from kargo_lab.conformance.cases import Case, load, select
from kargo_lab.conformance.faults import FAULTS, Fault
from kargo_lab.conformance.faults.fault import _found
from kargo_lab.errors import UsageError

A_FEW = (
    "accepts-any-signature",
    "signs-the-reserialised-body",
    "bitbucket-bare-names",
    "unknown-paths-are-fine",
    "limit-one-byte-low",
    "quay-first-tag-only",
    "generic-templates-untyped",
    "promotions-in-any-phase",
)


@pytest.fixture(scope="module")
def every() -> tuple[Case, ...]:
    return load()


def test_there_are_at_least_a_hundred() -> None:
    assert len(FAULTS) >= 100


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_changes_something_and_says_what(fault: Fault, every: tuple[Case, ...]) -> None:
    assert fault.switches or fault.receivers or fault.endpoint or fault.replaced
    assert fault.says
    assert fault.source
    select(every, fault.touches)  # a pattern that names no case is an error


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.replaced])
def test_is_put_right_again(name: str) -> None:
    places = [_found(place) for place in FAULTS[name].replaced]
    before = [getattr(owner, attribute) for owner, attribute in places]
    with FAULTS[name].target():
        pass
    assert [getattr(owner, attribute) for owner, attribute in places] == before


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", A_FEW)
def test_is_noticed(name: str) -> None:
    trial = proving.judge(name, "latest", 7)
    assert trial.killers
    assert trial.errors == ()


def test_a_pattern_that_names_no_fault_is_an_error() -> None:
    with pytest.raises(UsageError, match="no fault is called"):
        proving.names(("no-such-*",))
