"""Closed forms for polling and webhooks: what a simulation has to agree with, and what fits in a head.

Each function is one formula; its row in `FORMULAS` says what is assumed, where it comes from and where
it holds. Rates are events a second, times are seconds; `x` in the texts is rate times interval. Plain
floats or NumPy arrays go in and come out alike.

Sources: [CG-refresh] J. Cho, H. Garcia-Molina, Effective page refresh policies for Web crawlers, ACM
TODS 28(4), 2003. [CG-estimate] the same, Estimating frequency of change, ACM TOIT 3(3), 2003.
[Kleinrock] L. Kleinrock, Queueing Systems I, 1975. [Kaul] S. Kaul, R. Yates, M. Gruteser, Real-time
status: how often should one update?, INFOCOM 2012. [Cox] D. R. Cox, Renewal Theory, 1962. Where none
is named, the derivation stands in the docstring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Number = Any  # a float or an array of floats: what goes in comes out
Array = NDArray[np.float64]


# Polling alone


def polling_delay_mean(interval: Number, duration: Number = 0.0) -> Number:
    """Mean wait of a push for the end of the discovery that finds it: (interval + duration) / 2 + duration.

    The period is interval + duration, since the next poll is counted from the end of the last discovery;
    a push is anywhere in it with the same chance, and then the discovery itself takes its time.
    """
    return (interval + duration) / 2 + duration


def polling_delay_quantile(share: Number, interval: Number, duration: Number = 0.0) -> Number:
    """The wait that `share` of all pushes do not exceed."""
    return share * (interval + duration) + duration


def effective_period(interval: Number, duration: Number, *, warehouses: int, workers: int) -> Number:
    """Seconds between two discoveries of one Warehouse: interval + duration, or more when workers are short.

    C workers make C/duration discoveries a second, which all Warehouses share.
    """
    return np.maximum(interval + duration, warehouses * duration / workers)


def wasted_polls(rate: Number, interval: Number) -> Number:
    """Share of polls that find nothing new."""
    return np.exp(-rate * interval)


def events_per_productive_poll(rate: Number, interval: Number) -> Number:
    """Mean number of events that a poll finds if it finds any."""
    x = rate * interval
    return x / -np.expm1(-x)


# Freshness and age of what is known


def freshness_fixed(rate: Number, interval: Number) -> Number:
    """Share of time in which nothing new waits, polls at equal distances."""
    x = rate * interval
    return -np.expm1(-x) / x


def freshness_memoryless(rate: Number, interval: Number) -> Number:
    """As `freshness_fixed`, distances between polls exponential with mean `interval`."""
    return 1 / (1 + rate * interval)


def freshness_random_order(rate: Number, interval: Number) -> Number:
    """As `freshness_fixed`, one poll a round of `interval`, at a place that is drawn anew in each round."""
    x = rate * interval
    return (1 - (-np.expm1(-x) / x) ** 2) / x


def age_fixed(rate: Number, interval: Number) -> Number:
    """Mean time for which the first unseen event has been waiting, zero while none is; polls at equal distances."""
    x = rate * interval
    return interval * (1 / 2 - 1 / x - np.expm1(-x) / x**2)


def age_memoryless(rate: Number, interval: Number) -> Number:
    """As `age_fixed`, distances between polls exponential with mean `interval`."""
    x = rate * interval
    return interval * x / (1 + x)


def age_random_order(rate: Number, interval: Number) -> Number:
    """As `age_fixed`, the place in each round drawn anew."""
    x = rate * interval
    return interval * (7 / 12 - 1 / x + (1 - (-np.expm1(-x) / x) ** 2) / x**2)


# A budget of polls over unequal sources


def allocate_for_freshness(rates: Sequence[float], polls_per_second: float) -> Array:
    """Polls a second for each source, so that the sum of their freshness is greatest.

    At the optimum every polled source has the same gain by one more poll, (1 - (1 + x) exp(-x)) / rate with
    x = rate / frequency; what changes so fast that its first poll gains less is not polled at all.
    """
    rate = np.asarray(rates, dtype=np.float64)
    low, high = 0.0, 1.0 / float(rate.min())
    for _ in range(200):
        price = (low + high) / 2
        if _frequencies(rate, price).sum() > polls_per_second:
            low = price
        else:
            high = price
    found = _frequencies(rate, high)
    return found * (polls_per_second / found.sum()) if found.sum() else found


def _frequencies(rate: Array, price: float) -> Array:
    """Polls a second at which the gain by one more equals `price`, by bisection on x."""
    gain = rate * price
    low, high = np.zeros_like(rate), np.full_like(rate, 60.0)
    for _ in range(80):
        x = (low + high) / 2
        below = 1 - (1 + x) * np.exp(-x) < gain
        low, high = np.where(below, x, low), np.where(below, high, x)
    return np.where(gain < 1, rate / high, 0.0)


def allocate_for_delay(rates: Sequence[float], polls_per_second: float) -> Array:
    """Polls a second for each source, so that the mean wait of all events is shortest: by the root of the rate.

    The sum of rate / (2 frequency) under a fixed sum of frequencies is least where rate / frequency**2 is equal.
    """
    root = np.sqrt(np.asarray(rates, dtype=np.float64))
    return np.asarray(polls_per_second * root / root.sum())


# How often does a source change? From polls that only say whether it did.


def rate_naive(polls: int, changed: Number, interval: float) -> Number:
    """Polls that found something, by time: too low, as several changes between two polls count once."""
    return changed / (polls * interval)


def rate_likely(polls: int, changed: Number, interval: float) -> Number:
    """The maximum likelihood estimate; infinite if every poll found something."""
    with np.errstate(divide="ignore"):
        return -np.log1p(-np.asarray(changed) / polls) / interval


def rate_estimate(polls: int, changed: Number, interval: float) -> Number:
    """The bias-reduced estimate: always finite, and nearly without bias for x up to about 2."""
    return -np.log((polls - changed + 0.5) / (polls + 0.5)) / interval


# Webhooks with a poll clock behind them


def hybrid_rate(hooks: Number, interval: Number) -> Number:
    """Discoveries a second of one Warehouse whose poll clock starts anew at each discovery, as Kargo's does.

    Distances are min(exponential, interval), with mean (1 - exp(-x)) / hooks. Never below 1/interval and never
    below `hooks`: a webhook saves nothing while the interval stays.
    """
    x = hooks * interval
    return hooks / -np.expm1(-x)


def separate_rate(hooks: Number, interval: Number) -> Number:
    """As `hybrid_rate`, for a poll clock that takes no notice of webhooks."""
    return hooks + 1 / interval


def break_even_interval(hooks: Number, old_interval: Number) -> Number:
    """The interval from which webhooks cost no more discoveries than polling at `old_interval` did.

    Solves hybrid_rate(hooks, T) = 1/old_interval. Infinite if an old period had one matching event or more:
    then webhooks alone are more discoveries than the polls were.
    """
    x = np.asarray(hooks * old_interval, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x < 1, -np.log1p(-np.minimum(x, 1.0)) / hooks, np.inf)[()]


def lost_event_delay_reset(hooks: Number, interval: Number) -> Number:
    """Mean wait of an event whose webhook was lost, for the next discovery; the clock starts anew at each.

    The mean rest of a renewal distance, E[G²] / 2E[G] with G = min(exponential, interval). `hooks` counts
    the webhooks that do arrive at this Warehouse.
    """
    x = hooks * interval
    return -(np.expm1(-x) + x * np.exp(-x)) / (hooks * -np.expm1(-x))


def lost_event_delay_separate(hooks: Number, interval: Number) -> Number:
    """As `lost_event_delay_reset`, for a poll clock of its own: the lesser of uniform and exponential."""
    return 1 / hooks + np.expm1(-hooks * interval) / (hooks**2 * interval)


def hybrid_delay_mean(events: Number, interval: Number, *, loss: Number, latency: Number, duration: Number) -> Number:
    """Mean push to Freight with webhooks of which the share `loss` never arrives (Kargo's clock)."""
    arriving = events * (1 - loss)
    return (1 - loss) * latency + loss * lost_event_delay_reset(arriving, interval + duration) + duration


# Waiting in line


def md1_wait(arrivals: Number, duration: Number) -> Number:
    """Mean wait for one worker, discoveries of equal length, arrivals at random."""
    load = arrivals * duration
    return load * duration / (2 * (1 - load))


def mmc_wait(arrivals: float, duration: float, workers: int) -> float:
    """Mean wait for one of several workers, discoveries of exponential length (Erlang C)."""
    offered = arrivals * duration
    if offered >= workers:
        return math.inf
    blocked = 1.0  # Erlang B by its recursion, which does not overflow
    for number in range(1, workers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    waits = blocked / (1 - (offered / workers) * (1 - blocked))
    return waits * duration / (workers - offered)


# Age of information


def information_age_polling(interval: Number, duration: Number, loss: Number = 0.0) -> Number:
    """Mean age of the newest look at the source, as the Warehouse knows it.

    Looks `interval` apart, each known `duration` later, each failing with chance `loss`: the distance of
    successful looks is geometric, E[G²] / 2E[G] = interval (1 + loss) / (2 (1 - loss)).
    """
    return interval * (1 + loss) / (2 * (1 - loss)) + duration


def information_age_mm1(arrivals: Number, duration: Number) -> Number:
    """Mean age of the newest processed event, one worker, first come first served, exponential lengths."""
    load = arrivals * duration
    return duration * (1 + 1 / load + load**2 / (1 - load))


# Deliveries that are tried again


def survival(loss: Number, retries: int) -> Number:
    """Share of deliveries that arrive, each attempt failing by itself with chance `loss`."""
    return 1 - loss ** (retries + 1)


def survival_of_outage(outage: Number, pauses: Sequence[float]) -> Number:
    """Share of deliveries first sent during an outage of the receiver that arrive in the end.

    A delivery sent at a moment that is uniform in the outage survives if the outage has less left than all pauses
    together: min(1, sum of pauses / outage).
    """
    return np.minimum(1.0, sum(pauses) / outage)


@attrs.frozen(kw_only=True)
class Formula:
    """What a reader has to know before believing a function of this module."""

    name: str
    formula: str
    assumes: str
    source: str
    holds: str


_POISSON = "events are a Poisson process, apart from the polls"
_POSITIVE = "rate > 0, interval > 0"
FORMULAS: tuple[Formula, ...] = tuple(
    Formula(name=name, formula=formula, assumes=assumes, source=source, holds=holds)
    for name, formula, assumes, source, holds in (
        (
            "polling_delay_mean",
            "(T + d)/2 + d",
            "pushes do not follow the polls' rhythm; equal durations",
            "discovery.md 2.4; uniform residual",
            "T >= 0, d >= 0",
        ),
        ("polling_delay_quantile", "q (T + d) + d", "as polling_delay_mean", "uniform residual", "0 <= q <= 1"),
        (
            "effective_period",
            "max(T + d, n d / C)",
            "equal durations; long run",
            "conservation of work",
            "C >= 1; exact for equal durations",
        ),
        ("wasted_polls", "exp(-x)", _POISSON, "Poisson", _POSITIVE),
        ("events_per_productive_poll", "x / (1 - exp(-x))", _POISSON, "zero-truncated Poisson", _POSITIVE),
        ("freshness_fixed", "(1 - exp(-x)) / x", _POISSON, "[CG-refresh]", _POSITIVE),
        ("freshness_memoryless", "1 / (1 + x)", f"{_POISSON}; polls too", "[CG-refresh]", _POSITIVE),
        ("freshness_random_order", "(1 - ((1 - exp(-x)) / x)^2) / x", _POISSON, "[CG-refresh]", _POSITIVE),
        ("age_fixed", "T (1/2 - 1/x + (1 - exp(-x)) / x^2)", _POISSON, "[CG-refresh]", _POSITIVE),
        ("age_memoryless", "T x / (1 + x)", f"{_POISSON}; polls too", "[CG-refresh]", _POSITIVE),
        ("age_random_order", "T (7/12 - 1/x + (1 - ((1 - exp(-x)) / x)^2) / x^2)", _POISSON, "[CG-refresh]", _POSITIVE),
        (
            "allocate_for_freshness",
            "(1 - (1 + x) exp(-x)) / rate equal for all polled",
            _POISSON,
            "[CG-refresh]",
            "all rates > 0",
        ),
        ("allocate_for_delay", "proportional to sqrt(rate)", _POISSON, "Lagrange", "all rates > 0"),
        ("rate_naive", "X / (n T)", _POISSON, "[CG-estimate]", "x much less than 1"),
        ("rate_likely", "-ln(1 - X/n) / T", _POISSON, "[CG-estimate]", "X < n"),
        (
            "rate_estimate",
            "-ln((n - X + 0.5) / (n + 0.5)) / T",
            _POISSON,
            "[CG-estimate]",
            "n >= 10 and x up to about 2",
        ),
        (
            "hybrid_rate",
            "mu / (1 - exp(-mu T))",
            f"{_POISSON}; clock starts anew; short discoveries",
            "renewal reward, [Cox]",
            "mu > 0; d much less than T and 1/mu",
        ),
        ("separate_rate", "mu + 1/T", "clock of its own", "sum of rates", "d much less than T"),
        (
            "break_even_interval",
            "-ln(1 - mu T0) / mu",
            "as hybrid_rate",
            "inverse of hybrid_rate",
            "finite for mu T0 < 1",
        ),
        (
            "lost_event_delay_reset",
            "(1 - (1 + x) exp(-x)) / (mu (1 - exp(-x)))",
            "loss by chance; clock starts anew",
            "renewal rest, [Cox]",
            "mu > 0",
        ),
        (
            "lost_event_delay_separate",
            "1/mu - (1 - exp(-x)) / (mu^2 T)",
            "loss by chance; clock of its own",
            "least of two",
            "mu > 0",
        ),
        (
            "hybrid_delay_mean",
            "(1-p) l + p W((1-p) rate) + d",
            "as lost_event_delay_reset",
            "sum",
            "d much less than T",
        ),
        (
            "md1_wait",
            "rho d / (2 (1 - rho))",
            "Poisson arrivals, equal durations, one worker",
            "[Kleinrock]",
            "rho < 1",
        ),
        (
            "mmc_wait",
            "C(c, a) d / (c - a)",
            "Poisson arrivals, exponential durations",
            "Erlang C, [Kleinrock]",
            "a < c, else infinite",
        ),
        (
            "information_age_polling",
            "T (1 + p) / (2 (1 - p)) + d",
            "looks fail by chance",
            "renewal rest",
            "0 <= p < 1",
        ),
        (
            "information_age_mm1",
            "d (1 + 1/rho + rho^2 / (1 - rho))",
            "Poisson arrivals, exponential durations",
            "[Kaul]",
            "rho < 1",
        ),
        ("survival", "1 - p^(k + 1)", "attempts fail by themselves", "independence", "0 <= p <= 1"),
        (
            "survival_of_outage",
            "min(1, sum of pauses / L)",
            "first attempt uniform in the outage",
            "uniform rest",
            "L > 0",
        ),
    )
)


def table() -> pd.DataFrame:
    """All formulas with their assumptions, sources and domains, to be read."""
    import pandas as pd

    return pd.DataFrame([attrs.asdict(each) for each in FORMULAS]).set_index("name")


def as_markdown() -> str:
    """The table as docs/experiments.md has it."""
    head = "| function | formula | assumes | source | holds for |\n| --- | --- | --- | --- | --- |\n"
    rows = (f"| `{each.name}` | {each.formula} | {each.assumes} | {each.source} | {each.holds} |" for each in FORMULAS)
    return head + "\n".join(rows) + "\n"
