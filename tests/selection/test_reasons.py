from kargo_lab.selection.reasons import accept, first_accepted, refuse

YES, NO, OTHER, NONE = (
    accept("yes", "a yes"),
    refuse("no", "a no"),
    refuse("no", "another"),
    refuse("none", "nothing fits"),
)


def test_a_reason_is_true_if_it_accepts():
    assert (bool(YES), bool(NO)) == (True, False)


def test_the_first_yes_ends_the_question():
    assert first_accepted(iter([NO, YES, NO]), NONE) == YES


def test_nothing_asked_is_answered_by_the_other_reason():
    assert first_accepted([], NONE) == NONE


def test_a_single_no_stands_for_itself():
    assert first_accepted([NO], NONE) == NO


def test_several_are_told_together():
    assert first_accepted([NO, OTHER, NO], NONE) == refuse("none", "nothing fits: a no; another")


def test_up_to_three_are_told() -> None:
    reasons = [NO, OTHER, refuse("no", "a third")]
    assert first_accepted(reasons, NONE) == refuse("none", "nothing fits: a no; another; a third")


def test_of_many_the_first_few_are_told():
    assert first_accepted([NO] * 100_000, NONE) == refuse("none", "nothing fits: a no; and 99997 more")
