"""Delivery as each platform does it, on a clock that the test holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from kargo_lab.errors import UsageError
from kargo_lab.platforms.habits import HABITS
from kargo_lab.platforms.hooks import Hook, Sender
from kargo_lab.platforms.losses import HELD_SECONDS, Fate, Losses, LossRule
from kargo_lab.platforms.outgoing import Outgoing, Response

START = datetime(2026, 1, 1, tzinfo=UTC)
HOOK = Hook(id=1, url="http://receiver.test/")


@attrs.define
class HandClock:
    """Time that moves when the test says so."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Receiver:
    """Answers with the given responses in turn, the last one for ever."""

    def __init__(self, statuses: Iterable[int]) -> None:
        self.statuses, self.seen = list(statuses), []

    def __call__(self, outgoing: Outgoing, timeout: float, follow: bool) -> Response:
        self.seen.append(outgoing)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Response(status=status) if status else Response(outcome="timed out")


def outgoing(**changes: object) -> Outgoing:
    return Outgoing(url=HOOK.url, headers=(("Authorization", "token s3cr3t"),), body=b'{"ref":"x"}', **changes)


def run(platform: str, statuses: Iterable[int], *, deliveries: int = 1, losses: Losses | None = None):
    """Send, then let time run until nothing is planned any more (or 30 attempts were made)."""
    clock, receiver = HandClock(), Receiver(statuses)
    sender = Sender(HABITS[platform], clock=clock, transport=receiver, losses=losses or Losses())
    moments: list[float] = []
    for _ in range(deliveries):
        sender.send(HOOK, outgoing())
        while (wait := sender.next_due_seconds()) is not None and len(moments) < 30:
            clock.seconds += wait
            moments += [clock.seconds] * sender.step()
    return sender, receiver, moments


@pytest.mark.parametrize(
    ("platform", "status", "moments"),
    [
        pytest.param("github", 503, [0], id="GitHub never retries"),
        pytest.param("gitlab.com", 503, [0], id="GitLab never retries"),
        pytest.param("gitea", 0, [0], id="Gitea never retries"),
        pytest.param("bitbucket", 503, [0, 5, 15], id="Bitbucket Cloud retries server errors"),
        pytest.param("bitbucket", 404, [0], id="Bitbucket Cloud does not retry client errors"),
        pytest.param("bitbucket-data-center", 503, [0], id="Bitbucket Data Center never retries"),
        pytest.param("quay", 404, [0, 30, 60], id="Quay retries all 30 s until the third failure disables"),
        pytest.param("artifactory", 500, [0, 10, 20, 30, 40], id="Artifactory tries five times"),
        pytest.param("artifactory", 0, [0, 10, 20, 30, 40], id="Artifactory retries what cannot be sent"),
        pytest.param("artifactory", 401, [0], id="Artifactory does not retry client errors"),
        pytest.param(
            "azure-devops", 503, [0, 1, 3, 7, 15, 31, 63, 123, 183], id="Azure DevOps retries transient errors 8 times"
        ),
        pytest.param(
            "azure-devops",
            500,
            [0, 1200, 3600, 8400, 18000, 37200, 75600, 129600],
            id="Azure DevOps retries other errors seven times on probation",
        ),
        pytest.param("azure-devops", 410, [0], id="Azure DevOps stops at once when the receiver is gone"),
    ],
)
def test_retries_come_when_the_platform_sends_them(platform: str, status: int, moments: list[float]) -> None:
    assert run(platform, [status])[2] == moments


def test_harbor_makes_three_attempts_with_pauses_of_its_formula() -> None:
    moments = run("harbor", [500])[2]
    first, second = moments[1] - moments[0], moments[2] - moments[1]
    assert len(moments) == 3
    assert first in range(16, 75, 2)
    assert second in range(31, 119, 3)


def test_the_registry_retries_for_ever_and_in_order() -> None:
    clock, receiver = HandClock(), Receiver([500] * 12 + [200])
    sender = Sender(HABITS["registry"], clock=clock, transport=receiver)
    for number in (1, 2, 3):
        sender.send(HOOK, outgoing(event=str(number)))
    while (wait := sender.next_due_seconds()) is not None:
        clock.seconds += wait
        sender.step()
    assert [seen.event for seen in receiver.seen] == ["1"] * 13 + ["2", "3"]


def test_a_success_ends_the_retries() -> None:
    assert len(run("artifactory", [500, 200])[2]) == 2


@pytest.mark.parametrize(
    ("platform", "status", "deliveries"),
    [
        pytest.param("quay", 500, 1, id="Quay after three failed attempts"),
        pytest.param("azure-devops", 410, 1, id="Azure DevOps after 410"),
        pytest.param("azure-devops", 500, 1, id="Azure DevOps after its probation"),
    ],
)
def test_gives_up_on_the_hook(platform: str, status: int, deliveries: int) -> None:
    sender, receiver, _ = run(platform, [status], deliveries=deliveries)
    attempts = len(receiver.seen)
    sender.send(HOOK, outgoing())
    assert sender.step() == 0
    assert len(receiver.seen) == attempts
    assert sender.rows[-1].outcome == "withheld"


def test_an_enabled_hook_is_served_again() -> None:
    sender, _, _ = run("quay", [500, 500, 500, 200])
    sender.enable(HOOK.id)
    sender.send(HOOK, outgoing())
    sender.step()
    assert sender.rows[-1].outcome == "delivered"


def test_gitlab_rests_a_minute_after_four_failures_then_longer_and_stops_for_good_after_forty() -> None:
    clock, receiver = HandClock(), Receiver([500])
    sender = Sender(HABITS["gitlab.com"], clock=clock, transport=receiver)
    rests = []
    for _ in range(40):
        sender.send(HOOK, outgoing())
        sender.step()
        health = sender.health(HOOK.id)
        rests.append(health.rest_seconds)
        clock.seconds = max(clock.seconds, health.rests_until)
    assert rests[:6] == [0, 0, 0, 60, 120, 240]
    assert max(rests) == 86_400
    assert sender.health(HOOK.id).disabled == "40 failures in a row"


def test_a_resting_hook_is_served_again_after_a_success_by_redelivery() -> None:
    clock, receiver = HandClock(), Receiver([500, 500, 500, 500, 200])
    sender = Sender(HABITS["gitlab.com"], clock=clock, transport=receiver)
    for _ in range(4):
        guid = sender.send(HOOK, outgoing())
        sender.step()
    sender.redeliver(guid)
    sender.step()
    assert sender.health(HOOK.id).rests_until == 0


def test_bitbucket_counts_its_attempts_in_a_header() -> None:
    receiver = run("bitbucket", [503])[1]
    assert [dict(seen.headers)["X-Attempt-Number"] for seen in receiver.seen] == ["1", "2", "3"]


def test_a_redelivery_keeps_guid_and_bytes() -> None:
    sender, receiver, _ = run("github", [500])
    sender.redeliver(sender.rows[0].guid)
    sender.step()
    first, second = receiver.seen
    assert first == second
    assert [row.redelivery for row in sender.rows] == [False, True]


def test_an_unknown_redelivery_is_refused() -> None:
    with pytest.raises(UsageError, match="no delivery"):
        run("github", [200])[0].redeliver("nobody")


def test_the_log_masks_secrets() -> None:
    sender = run("gitea", [200])[0]
    assert "s3cr3t" not in repr(attrs.asdict(sender.rows[0]))


def test_the_log_forgets_what_the_platform_forgets() -> None:
    clock = HandClock()
    sender = Sender(HABITS["gitea"], clock=clock, transport=Receiver([200]))
    sender.send(HOOK, outgoing())
    sender.step()
    clock.seconds = 7 * 86_400.0
    assert sender.rows == ()


def test_the_frame_has_the_columns_of_a_row() -> None:
    frame = run("gitea", [200])[0].to_frame()
    assert {"guid", "hook", "outcome", "status", "seconds", "attempt"} <= set(frame.columns)


@pytest.mark.parametrize(
    ("losses", "outcome", "arrivals"),
    [
        pytest.param(Losses(drop=1), "lost", 0, id="dropped"),
        pytest.param(Losses(outages=((0, 5),)), "lost", 0, id="in an outage"),
        pytest.param(Losses(outages=((5, 9),)), "delivered", 1, id="before an outage"),
        pytest.param(Losses(duplicate=1), "delivered", 2, id="duplicated"),
        pytest.param(Losses(answer=1, answers=(503,)), "refused", 0, id="answered by a proxy"),
        pytest.param(Losses(script={1: Fate(drop=True)}), "lost", 0, id="dropped by the script"),
        pytest.param(Losses(script={2: Fate(drop=True)}), "delivered", 1, id="spared by the script"),
    ],
)
def test_misfortunes(losses: Losses, outcome: str, arrivals: int) -> None:
    sender, receiver, _ = run("github", [200], losses=losses)
    assert (sender.rows[0].outcome, len(receiver.seen)) == (outcome, arrivals)


def test_a_corrupt_delivery_differs_in_one_byte() -> None:
    body = run("github", [200], losses=Losses(corrupt=1))[1].seen[0].body
    assert sum(left != right for left, right in zip(body, outgoing().body, strict=True)) == 1


def test_a_delayed_delivery_comes_later_and_once() -> None:
    moments = run("github", [200], losses=Losses(delay=1, delay_seconds=60))[2]
    assert len(moments) == 2  # looked at, put back, sent
    assert 0 < moments[1] < 60


def test_the_same_seed_loses_the_same_deliveries() -> None:
    def fates(seed: int) -> list[bool]:
        losses = Losses(seed=seed, drop=0.5)
        return [losses.fate(number, 1, 0.0).drop for number in range(100)]

    assert fates(7) == fates(7) != fates(8)


def test_a_lost_delivery_is_retried_where_the_platform_retries() -> None:
    sender, receiver, _ = run("artifactory", [200], losses=Losses(script={1: Fate(drop=True)}))
    assert [row.outcome for row in sender.rows] == ["lost", "delivered"]
    assert len(receiver.seen) == 1


@pytest.mark.parametrize(
    ("fate", "outcome", "status", "arrivals"),
    [
        pytest.param(Fate(half_close=True), "unreachable", 0, 0, id="half closed"),
        pytest.param(Fate(reset=True), "unreachable", 0, 0, id="reset"),
        pytest.param(Fate(slow=(1, 0.5)), "delivered", 200, 1, id="slow, but within the patience"),
        pytest.param(Fate(slow=(1, 5.0)), "timed out", 0, 0, id="slower than the patience"),
        pytest.param(Fate(slow=(1, 5.0), reset=True, share=0.0), "unreachable", 0, 0, id="reset before it gets slow"),
        pytest.param(Fate(answer=404), "refused", 404, 0, id="answered by a proxy"),
    ],
)
def test_a_broken_wire_without_a_wire_ends_as_the_sender_would_note(
    fate: Fate, outcome: str, status: int, arrivals: int
) -> None:
    sender, receiver, _ = run("github", [200], losses=Losses(script={1: fate}))
    ((row,), seen) = sender.rows, len(receiver.seen)
    assert (row.outcome, row.status, seen) == (outcome, status, arrivals)


def test_a_broken_wire_is_tried_again_when_the_platform_does() -> None:
    moments = run("quay", [200], losses=Losses(rules=(LossRule(attempts=2, fate=Fate(reset=True)),)))[2]
    assert moments == [0, 30, 60]


# -- order ----------------------------------------------------------------------------------------


def order(fates: dict[int, Fate], *, platform: str = "github", hooks: tuple[int, ...] = (1, 1, 1, 1)) -> list[str]:
    """What arrives, by number and moment, of one delivery each for these hooks."""
    clock, receiver, arrivals = HandClock(), Receiver([200]), []
    sender = Sender(HABITS[platform], clock=clock, transport=receiver, losses=Losses(script=fates))
    for number, hook in enumerate(hooks, 1):
        sender.send(attrs.evolve(HOOK, id=hook), outgoing(event=str(number)))
    while (wait := sender.next_due_seconds()) is not None:
        clock.seconds += wait
        sender.step()
        arrivals += [f"{seen.event} at {clock.seconds:g}" for seen in receiver.seen[len(arrivals) :]]
    return arrivals


LATE = f"at {HELD_SECONDS:g}"


@pytest.mark.parametrize(
    ("arrivals", "came"),
    [
        pytest.param(order({1: Fate(behind=1)}), ["2 at 0", "1 at 0", "3 at 0", "4 at 0"], id="behind the next"),
        pytest.param(order({1: Fate(behind=3)}), ["2 at 0", "3 at 0", "4 at 0", "1 at 0"], id="behind all others"),
        pytest.param(
            order({2: Fate(behind=9, delay_seconds=4)}),
            ["1 at 0", "3 at 0", "4 at 0", "2 at 4"],
            id="behind more than come, for a while",
        ),
        pytest.param(
            order({4: Fate(behind=1)}), ["1 at 0", "2 at 0", "3 at 0", f"4 {LATE}"], id="the last, with its patience"
        ),
        pytest.param(
            order({1: Fate(behind=1)}, hooks=(1, 2, 2)), ["2 at 0", "3 at 0", f"1 {LATE}"], id="others do not overtake"
        ),
        pytest.param(
            order({1: Fate(behind=1)}, platform="registry"),
            ["1 at 0", "2 at 0", "3 at 0", "4 at 0"],
            id="never where the platform sends in order",
        ),
    ],
)
def test_a_delivery_is_overtaken(arrivals: list[str], came: list[str]) -> None:
    assert arrivals == came


def test_reordering_by_chance_loses_nothing() -> None:
    sender, receiver, _ = run("github", [200], deliveries=8, losses=Losses(seed=3, reorder=0.5))
    assert sorted(row.number for row in sender.rows) == list(range(1, 9))
    assert len(receiver.seen) == 8


# -- rules ----------------------------------------------------------------------------------------

HIT = Fate(answer=418)


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        pytest.param(LossRule(fate=HIT), [1, 2, 3, 4], id="all"),
        pytest.param(LossRule(fate=HIT, after=1, times=2), [2, 3], id="by the delivery's number"),
        pytest.param(LossRule(fate=HIT, event="^tag"), [2, 4], id="by event"),
        pytest.param(LossRule(fate=HIT, url="other"), [], id="by URL"),
        pytest.param(LossRule(fate=HIT, between=(20, 40)), [3, 4], id="in a window of time"),
        pytest.param(LossRule(fate=HIT, between=(20, 40), event="^push"), [3], id="by event in a window"),
        pytest.param(LossRule(fate=HIT, probability=0.0), [], id="never, by the die"),
        pytest.param(LossRule(fate=HIT, attempts=0), [], id="no attempt"),
    ],
)
def test_a_rule_says_whom_it_hits(rule: LossRule, hit: list[int]) -> None:
    clock = HandClock()
    sender = Sender(HABITS["github"], clock=clock, transport=Receiver([200]), losses=Losses(rules=(rule,)))
    for event in ("push", "tag_push", "push", "tag_push"):
        sender.send(HOOK, outgoing(event=event))
        sender.step()
        clock.seconds += 10
    assert [row.number for row in sender.rows if row.status == 418] == hit


def test_the_first_rule_that_hits_decides_and_the_script_comes_before_all() -> None:
    rules = (LossRule(after=1, fate=Fate(answer=500)), LossRule(fate=Fate(answer=404)))
    losses = Losses(rules=rules, script={3: Fate(answer=410)}, outages=((0, 9),))
    assert [losses.fate(number, 1, 0.0).answer for number in (1, 2, 3)] == [404, 500, 410]


def test_a_delayed_delivery_keeps_its_fate() -> None:
    rule = LossRule(between=(0, 5), fate=Fate(delay_seconds=60, answer=503))
    sender, _, moments = run("github", [200], losses=Losses(rules=(rule,)))
    assert ([row.status for row in sender.rows], moments) == ([503], [0, 60])


def test_the_same_seed_makes_the_same_fates_of_every_kind() -> None:
    def fates(seed: int) -> list[Fate]:
        rule = LossRule(probability=0.3, fate=HIT)
        losses = Losses(seed=seed, rules=(rule,), reorder=0.3, slow=0.3, half_close=0.3, reset=0.3)
        return [losses.fate(number, attempt, 0.0) for number in range(50) for attempt in (1, 2)]

    assert fates(7) == fates(7) != fates(8)
    assert sum(fate == HIT for fate in fates(7)) in range(15, 46)


def test_a_further_probability_leaves_the_other_dice_alone() -> None:
    few, more = Losses(drop=0.5), Losses(drop=0.5, slow=0.5, reset=0.5, reorder=0.5)
    assert [few.fate(n, 1, 0.0).drop for n in range(50)] == [more.fate(n, 1, 0.0).drop for n in range(50)]


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"share": -0.1}, {"slow": (0, 1.0)}, {"slow": (1, -1.0)}])
def test_a_fate_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"share|sent"):
        Fate(**wrong)


def test_harbor_keeps_fifty_rows_of_a_hook() -> None:
    sender = Sender(HABITS["harbor"], clock=HandClock(), transport=Receiver([200]))
    for _ in range(60):
        sender.send(HOOK, outgoing())
    sender.step()
    assert [row.number for row in sender.rows] == list(range(11, 61))
