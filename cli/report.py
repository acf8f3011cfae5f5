"""`shop report`: the revenue report, now, as it was, or what changed between two moments."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.composition import read_report
from cli.console import out, print_json, progress_bar
from cli.settings import Settings
from cli.tables import Table
from domain.errors import ContractError
from domain.money import format_amount, unit_of
from event_log.database import Database
from event_log.log import last_position
from reporting import history
from reporting.figure import Stamp, as_fields, stamp, without_in_words
from reporting.history import (
    Comparison,
    Moment,
    compare,
    parse_moment,
    position_at,
    report_at,
)
from reporting.report import (
    REASONS,
    LateMonth,
    Period,
    Report,
    as_json,
    days_as_json,
    in_its_currency,
    late_as_json,
    left_out,
    month_end,
    months_in_words,
    others_in_words,
    report_and_late,
)
from reporting.revenue import Sum
from reporting.set_aside import aside_in

ORDERS_LISTED = 50


class By(StrEnum):
    """What a report's lines are."""

    DAY = "day"
    MONTH = "month"
    REASON = "reason"


def print_report(
    by: Annotated[By, typer.Option(help="What a line is.")] = By.MONTH,
    as_of: Annotated[
        str | None,
        typer.Option(help="What was recorded by then, such as 2026-11-25T10:00Z."),
    ] = None,
    at_position: Annotated[
        int | None, typer.Option(min=0, help="What the log had up to this position.")
    ] = None,
    compare_to: Annotated[
        str | None,
        typer.Option(help="What changed since or until then: a time or a position."),
    ] = None,
    orders: Annotated[
        int, typer.Option(min=0, help="With --compare-to: list so many orders at most.")
    ] = ORDERS_LISTED,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print the revenue report, up to the newest event of the log or as it was at a moment.

    A moment is a time of recording, not the one at which orders were placed. An order is late when
    its month was over before it was recorded: it changes a month that was reported already. Those
    are said below the months, and --compare-to lists them.
    """
    settings = Settings()
    then = moment_asked_for(as_of, at_position)
    other = None if compare_to is None else moment(compare_to, "--compare-to")
    log, projections = read_report(settings, newest=then is None and other is None)
    if other is not None:
        _print_comparison((log, projections), settings.currency, then, other, orders, json=json)
        return
    if then is None:
        found, late = report_and_late(projections, settings.currency)
    else:
        with _reading() as progress:
            at = position_at(log, then)
            found, late = report_at(log, projections, at, settings.currency, progress)
    in_its_currency(found)
    stamped = stamp(log, found.position, found.currency, aside_in(projections))
    if json:
        said = days_as_json if by is By.DAY else as_json
        own = said(found) if by is By.DAY else {**said(found), **late_as_json(late)}
        print_json({**own, **as_fields(stamped), "others": [said(each) for each in found.others]})
        return
    out.print(table(found, by))
    if by is By.MONTH:
        for months in left_out(found):
            out.print(f"no orders from {months}: left out", style="dim", highlight=False)
        _print_late(late, found)
    for each in found.others:
        out.print(table(each, by))
    out.print(_in_words(stamped), style="dim", highlight=False)


def moment_asked_for(as_of: str | None, at_position: int | None) -> Moment | None:
    """The moment of --as-of or --at-position; `None` where neither is given.

    Raises:
        BadParameter: both are given, or --as-of is no time.
    """
    if as_of is None:
        return at_position
    if at_position is not None:
        raise typer.BadParameter("--as-of and --at-position name two moments: choose one")
    then = moment(as_of, "--as-of")
    if isinstance(then, int):
        raise typer.BadParameter(f"--as-of is a time; --at-position {then} is the position")
    return then


def moment(text: str, option: str) -> Moment:
    """Read a moment from the command line.

    Raises:
        BadParameter: it is none.
    """
    try:
        return parse_moment(text, option)
    except ContractError as error:
        raise typer.BadParameter(
            f"{error}: write a position such as 1200, or a time such as 2026-11-25T10:00Z"
        ) from None


@contextmanager
def _reading() -> Iterator[Callable[[int, int], None]]:
    with progress_bar("events read") as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print_comparison(
    databases: tuple[Database, Database],
    currency: str,
    then: Moment | None,
    other: Moment,
    most: int,
    *,
    json: bool,
) -> None:
    log, projections = databases
    one = last_position(log) if then is None else position_at(log, then)
    with _reading() as progress:
        to = position_at(log, other)
        found = compare(log, projections, one, to, currency, most, progress)
    in_its_currency(found.after)
    reports = {"before": found.before, "after": found.after}
    aside = aside_in(projections)
    stamps = {name: stamp(log, each.position, currency, aside) for name, each in reports.items()}
    if json:
        whole: dict[str, Any] = {
            name: {
                **as_json(each),
                **as_fields(stamps[name]),
                "others": [as_json(other) for other in each.others],
            }
            for name, each in reports.items()
        }
        print_json({**whole, **history.as_json(found)})
        return
    out.print(_changes(found))
    if found.orders:
        out.print(_orders(found))
    _print_loaded(found.loaded)
    for name, each in reports.items():
        for others in others_in_words(each):
            out.print(f"not in the figures {name}: {others}", highlight=False)
        out.print(f"{name}: {_in_words(stamps[name])}", style="dim", highlight=False)


def _print_late(late: Sequence[LateMonth], of: Report) -> None:
    changed = [month for month in late if not month.whole]
    if changed:
        out.print(_late(changed, of))
        since = month_end(changed[0].part.name).isoformat()[:16] + "Z"
        which = f"shop report --as-of {since} --compare-to {of.position}"
        out.print(f"which orders they are: {which}", highlight=False)
    _print_loaded([month for month in late if month.whole])


def _print_loaded(loaded: Sequence[LateMonth]) -> None:
    if loaded:
        which = months_in_words(loaded)
        out.print(f"recorded only when the month was over, all of it: {which}", style="dim")


def _late(months: Sequence[LateMonth], of: Report) -> Table:
    money = unit_of(of.currency)
    names = ("month", "accepted", money, "declined", money, "recorded from", "to (UTC)")
    made = _columns("Late: orders above that were recorded when their month was over", names)
    for month in months:
        sums = (month.part.accepted, month.part.all_declined)
        cells = [text for each in sums for text in _pair(of, each)]
        made.add_row(month.part.name, *cells, month.first, month.last)
    return made


def _in_words(of: Stamp) -> str:
    recorded = f", recorded {of.recorded_time}" if of.recorded_time else ""
    return f"position {of.position:,}, hash {of.hash}{recorded}{without_in_words(of)}"


def _changes(found: Comparison) -> Table:
    currency, before, after = found.after.currency, found.before.position, found.after.position
    title = (
        f"What changed in the revenue, {currency}, from log position {before:,} to {after:,}: "
        f"{found.orders_in_all:,} orders, {found.late_in_all:,} of them late"
    )
    names = ("month", "accepted before", "change", "after", "orders", "declined", "late")
    made = _columns(title, names)
    for month in found.months:
        one, two = month.before.accepted, month.after.accepted
        declined = month.after.all_declined.orders - month.before.all_declined.orders
        made.add_row(
            month.after.name,
            format_amount(one.cents, currency),
            f"+{format_amount(two.cents - one.cents, currency)}",
            format_amount(two.cents, currency),
            f"+{two.orders - one.orders:,}",
            f"+{declined:,}",
            f"{month.late:,}",
        )
    return made


def _orders(found: Comparison) -> Table:
    currency = found.after.currency
    listed = len(found.orders)
    title = "The orders behind it"
    if listed < found.orders_in_all:
        title += f": {listed:,} of {found.orders_in_all:,}, late ones first (--orders)"
    made = Table(title)
    made.names("position", "recorded (UTC)")
    made.texts("order")
    made.names("customer", "ordered", "outcome")
    made.figures(currency)
    made.names("")
    for order in found.orders:
        recorded = f"{datetime.fromisoformat(order.recorded_at):%Y-%m-%d %H:%M}"
        made.add_row(
            f"{order.position:,}",
            recorded,
            escape(order.order_id),
            order.customer_id,
            order.ordered_at[:10],
            order.outcome.replace("_", " "),
            format_amount(order.cents, currency),
            "late" if order.late else "",
        )
    return made


def table(report: Report, by: By) -> Table:
    """The report as a table with a total line."""
    if by is By.REASON:
        return _by_outcome(report)
    lines = report.days if by is By.DAY else report.months
    return _by_period(report, by.value, lines)


def _by_period(report: Report, name: str, lines: Sequence[Period]) -> Table:
    money = unit_of(report.currency)
    made = _table(report, [name, "accepted", money, "declined", money, "all", money])
    for line in lines:
        made.add_row(line.name, *_cells(report, line))
    made.add_section()
    made.add_row("total", *_cells(report, report.totals), style="bold")
    return made


def _by_outcome(report: Report) -> Table:
    made = _table(report, ["outcome", "orders", unit_of(report.currency)])
    totals = report.totals
    made.add_row("accepted", *_pair(report, totals.accepted))
    for reason in REASONS:
        made.add_row(reason.replace("_", " "), *_pair(report, totals.declined[reason]))
    made.add_section()
    made.add_row("all", *_pair(report, totals.all), style="bold")
    return made


def _table(report: Report, titles: Sequence[str]) -> Table:
    return _columns(f"Revenue, {report.currency}, log position {report.position:,}", titles)


def _columns(title: str, titles: Sequence[str]) -> Table:
    made = Table(title)
    made.names(titles[0])
    made.figures(*titles[1:])
    return made


def _cells(report: Report, period: Period) -> list[str]:
    sums = (period.accepted, period.all_declined, period.all)
    return [text for each in sums for text in _pair(report, each)]


def _pair(report: Report, total: Sum) -> tuple[str, str]:
    return f"{total.orders:,}", format_amount(total.cents, report.currency)
