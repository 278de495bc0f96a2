"""Which interval, and what it comes to: the closed forms put together for somebody's own numbers. Pure."""

from __future__ import annotations

import math

import attrs

from kargo_lab.errors import UsageError
from kargo_lab.experiments import formulas

DAY, HOUR = 86400.0, 3600.0
LONGEST = 24 * HOUR  # nobody wants to find out about a broken webhook later than the next day
RESERVE = 0.8  # of a quota: somebody else uses it as well


@attrs.frozen(kw_only=True)
class Situation:
    """What is known. Rates are of one Warehouse's matching events; `requests` are those of one discovery that the
    quota counts; the quota is `quota_requests` in `quota_seconds`, 0 for none.
    """

    warehouses: int = 1
    events_per_day: float
    interval_seconds: float = 300.0
    minimum_interval_seconds: float = 300.0
    loss: float = 0.01
    webhook_latency_seconds: float = 3.0
    discovery_seconds: float = 2.0
    requests: int = 2
    quota_requests: int = 0
    quota_seconds: float = HOUR
    target_seconds: float = 60.0

    def __attrs_post_init__(self) -> None:
        """Raises UsageError for what cannot be."""
        checks = (
            (self.warehouses >= 1, "there is at least one Warehouse"),
            (0 < self.events_per_day < math.inf, "events a day are above 0"),
            (self.interval_seconds > 0, "an interval is above 0"),
            (0 <= self.loss < 1, "loss is a share from 0 to below 1"),
            (self.requests >= 1, "a discovery makes at least one request"),
            (self.quota_requests >= 0 and self.quota_seconds > 0, "a quota is some requests in some time"),
            (self.target_seconds > 0, "a latency target is above 0"),
        )
        for good, text in checks:
            if not good:
                raise UsageError(text)


@attrs.frozen(kw_only=True)
class Choice:
    """One way to run it. `quota_use` is NaN without quota; `saved` compares requests with polling as it is now."""

    name: str
    interval_seconds: float
    mean_delay_seconds: float
    requests_per_hour: float
    quota_use: float
    saved: float


@attrs.frozen(kw_only=True)
class Advice:
    """The choices, the one that is recommended, and why; the break-even interval; and what would change the answer."""

    choices: tuple[Choice, ...]
    recommended: Choice
    because: str
    break_even_seconds: float
    would_change: tuple[str, ...]


def polling(situation: Situation, interval: float, name: str = "polling alone") -> Choice:
    """What polling comes to."""
    rate = 1 / (interval + situation.discovery_seconds)
    delay = formulas.polling_delay_mean(interval, situation.discovery_seconds)
    return _choice(situation, name, interval, delay, rate)


def hooked(situation: Situation, interval: float, name: str) -> Choice:
    """What webhooks with this interval behind them come to."""
    events = situation.events_per_day / DAY
    period = interval + situation.discovery_seconds
    rate = formulas.hybrid_rate(events * (1 - situation.loss), period)
    delay = formulas.hybrid_delay_mean(
        events,
        interval,
        loss=situation.loss,
        latency=situation.webhook_latency_seconds,
        duration=situation.discovery_seconds,
    )
    return _choice(situation, name, interval, delay, rate)


def _choice(situation: Situation, name: str, interval: float, delay: float, rate: float) -> Choice:
    hourly = rate * HOUR * situation.warehouses * situation.requests
    now = situation.warehouses * situation.requests * HOUR
    now /= situation.interval_seconds + situation.discovery_seconds
    allowed = situation.quota_requests / situation.quota_seconds * HOUR
    return Choice(
        name=name,
        interval_seconds=interval,
        mean_delay_seconds=float(delay),
        requests_per_hour=float(hourly),
        quota_use=float(hourly / allowed) if allowed else math.nan,
        saved=float(1 - hourly / now),
    )


def advise(situation: Situation) -> Advice:
    """Compare polling as it is with webhooks at several intervals; take the cheapest that meets target and quota."""
    events = situation.events_per_day / DAY
    even = float(formulas.break_even_interval(events * (1 - situation.loss), situation.interval_seconds))
    floor = situation.minimum_interval_seconds
    intervals = sorted({max(floor, each) for each in (situation.interval_seconds, 900, 1800, HOUR, 4 * HOUR, LONGEST)})
    choices = (
        polling(situation, situation.interval_seconds),
        *(hooked(situation, interval, f"webhooks, every {spelled(interval)} behind") for interval in intervals),
    )
    best, because = _best(situation, choices)
    return Advice(
        choices=choices,
        recommended=best,
        because=because,
        break_even_seconds=even,
        would_change=_changes(situation, best, even),
    )


def _best(situation: Situation, choices: tuple[Choice, ...]) -> tuple[Choice, str]:
    def fits(choice: Choice) -> bool:
        return math.isnan(choice.quota_use) or choice.quota_use <= RESERVE

    quick = [each for each in choices if each.mean_delay_seconds <= situation.target_seconds]
    good = [each for each in quick if fits(each)]
    if good:
        best = min(good, key=lambda each: (each.requests_per_hour, each.mean_delay_seconds))
        return best, "it is the cheapest that meets the target on average and leaves a fifth of the quota"
    affordable = [each for each in choices if fits(each)]
    if affordable:
        best = min(affordable, key=lambda each: each.mean_delay_seconds)
        return best, "nothing meets the target within four fifths of the quota; this is the quickest that fits it"
    best = min(choices, key=lambda each: each.requests_per_hour)
    return best, "nothing fits the quota; this needs least of it: share subscriptions, log in, or get a larger one"


def _changes(situation: Situation, best: Choice, even: float) -> tuple[str, ...]:
    """What would turn the answer, each with the value at which it does."""
    found = []
    if math.isinf(even):
        found.append(
            "one matching event or more in each old interval: webhooks cost more calls at any interval, and buy speed"
        )
    else:
        found.append(
            f"below an interval of {spelled(even)} webhooks cost more calls than polling every "
            f"{spelled(situation.interval_seconds)} does now; at an unchanged interval they never save any"
        )
    extra = best.mean_delay_seconds - situation.webhook_latency_seconds - situation.discovery_seconds
    if best.name != "polling alone" and situation.loss > 0 and extra > 0:
        room = situation.target_seconds - situation.webhook_latency_seconds - situation.discovery_seconds
        most = min(1.0, situation.loss * room / extra)
        found.append(
            f"the target holds until about {most:.1%} of the deliveries are lost ({situation.loss:.1%} assumed)"
        )
    if not math.isnan(best.quota_use) and best.quota_use > 0:
        fleet = int(situation.warehouses * RESERVE / best.quota_use)
        found.append(f"four fifths of the quota do for {fleet} Warehouses like these ({situation.warehouses} now)")
    return tuple(found)


def spelled(seconds: float) -> str:
    """A length of time as people say it."""
    if math.isinf(seconds):
        return "never"
    for unit, size in (("h", HOUR), ("m", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g}{unit}"
    return f"{seconds:.3g}s"
