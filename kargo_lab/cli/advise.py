"""`kargo-lab advise`: an interval for somebody's own rates, quota, loss and target."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kargo_lab.cli.options import FILE
from kargo_lab.errors import DurationError, UsageError


def _duration(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    from kargo_lab.rules import durations

    try:
        return durations.parse(value) / durations.SECOND
    except DurationError as error:
        raise click.BadParameter(str(error)) from None


def _quota(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, float]:
    count, slash, per = value.partition("/")
    if not value:
        return 0, 3600.0
    if not slash or not count.isdecimal() or int(count) < 1:
        raise click.BadParameter("expected REQUESTS/TIME such as 5000/1h")
    return int(count), _duration(_context, _parameter, per)


@click.command()
@click.option("--events-per-day", type=float, help="Matching events of one Warehouse.")
@click.option("--from-git", type=click.Path(exists=True, path_type=Path), help="Estimate them from a local clone.")
@click.option("--tags", is_flag=True, help="With --from-git: from the dates of its tags instead of its commits.")
@click.option("--from-dates", type=click.Path(exists=True, path_type=Path), help="Estimate from a file of ISO dates.")
@click.option("--from-warehouse", type=FILE, metavar="PATH", help="Estimate from what a Warehouse of yours finds now.")
@click.option("--warehouse", "name", default="", metavar="NAME", help="With --from-warehouse: which of several.")
@click.option("--warehouses", default=1, show_default=True, type=click.IntRange(1), help="How many share the quota.")
@click.option("--interval", default="5m", show_default=True, callback=_duration, help="What they poll at now.")
@click.option("--minimum", default="5m", show_default=True, callback=_duration, help="The operator's minimum.")
@click.option("--target", default="1m", show_default=True, callback=_duration, help="Mean push to Freight you want.")
@click.option("--loss", default=0.01, show_default=True, type=float, help="Share of deliveries that never arrive.")
@click.option("--quota", default="", callback=_quota, metavar="N/TIME", help="Of the source, such as 5000/1h.")
@click.option("--requests", default=2, show_default=True, type=click.IntRange(1), help="Counted, for each discovery.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(
    events_per_day: float | None,
    from_git: Path | None,
    tags: bool,
    from_dates: Path | None,
    from_warehouse: Path | None,
    name: str,
    warehouses: int,
    interval: float,
    minimum: float,
    target: float,
    loss: float,
    quota: tuple[int, float],
    requests: int,
    as_json: bool,
) -> None:
    """Recommend an interval for your rates and quotas, and say what would change the answer.

    \b
    Examples:
      kargo-lab advise --events-per-day 4 --warehouses 50 --quota 5000/1h
      kargo-lab advise --from-git . --tags --loss 0.05 --target 2m
      kargo-lab advise --from-warehouse warehouse.yaml --warehouses 20 --quota 100/6h
    """
    import attrs

    from kargo_lab.experiments import advice, rates
    from kargo_lab.resources import loading

    if sum(each is not None for each in (events_per_day, from_git, from_dates, from_warehouse)) != 1:
        raise UsageError(
            "say how often something happens: one of --events-per-day, --from-git, --from-dates and --from-warehouse"
        )
    rate = None
    if from_git is not None:
        rate = rates.from_moments(rates.git_moments(from_git, tags=tags))
    elif from_dates is not None:
        rate = rates.from_moments(rates.file_moments(from_dates))
    elif from_warehouse is not None:
        rate = rates.from_warehouse(loading.load([from_warehouse]), name)
    found = advice.advise(
        advice.Situation(
            warehouses=warehouses,
            events_per_day=rate.per_day if rate else events_per_day or 0.0,
            interval_seconds=interval,
            minimum_interval_seconds=minimum,
            loss=loss,
            requests=requests,
            quota_requests=quota[0],
            quota_seconds=quota[1],
            target_seconds=target,
        )
    )
    if as_json:
        whole = {"rate": attrs.asdict(rate) if rate else None, **attrs.asdict(found)}
        click.echo(json.dumps(whole, indent=2, default=str))
        return
    if rate:
        click.echo(
            f"{rate.per_day:.2f} events a day ({rate.low:.2f} to {rate.high:.2f}), from {rate.events} in "
            f"{rate.days:.0f} days; burstiness {rate.burstiness:.1f}, where 1 is chance"
        )
    click.echo(f"{'':42}{'push to Freight':>16}{'requests/h':>12}{'of quota':>10}{'saved':>8}")
    for each in found.choices:
        mark = "* " if each == found.recommended else "  "
        share = "-" if each.quota_use != each.quota_use else f"{each.quota_use:.0%}"
        line = f"{mark}{each.name:40}{advice.spelled(each.mean_delay_seconds):>16}{each.requests_per_hour:>12.1f}"
        click.echo(f"{line}{share:>10}{round(100 * each.saved):>7}%")
    click.echo(f"\nTake the one with the star: {found.because}.")
    click.echo(f"Break-even interval: {advice.spelled(found.break_even_seconds)}.\nWhat would change the answer:")
    for text in found.would_change:
        click.echo(f"  - {text}")
