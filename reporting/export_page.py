"""The revenue report as one page of HTML: to be read, printed, filed, and checked again later.

The page asks nobody for anything. Each figure on it says which one it is, so that the proof of the
file looks at what people see and not only at the data beside it.
"""

from collections.abc import Iterable
from datetime import datetime
from html import escape
from shlex import quote

from domain.money import format_amount
from reporting.dashboard.revenue_rows import label, left_out_in_words, share
from reporting.export import By, cut_off, periods
from reporting.export_chart import drawn
from reporting.export_style import STYLE
from reporting.figure import SHOWN, Stamp, as_script, without_in_words
from reporting.report import REASONS, Period, Report, as_json, days_as_json, others_in_words
from reporting.revenue import Sum

_NO_REQUESTS = "default-src 'none'; style-src 'unsafe-inline'"


def as_page(found: Report, stamp: Stamp, by: By, name: str, now: datetime) -> bytes:
    """The report as a page of HTML, with its figures and stamp as data in it too.

    Args:
        found: the report, of the days that the stamp says; it has orders.
        stamp: the state of the log that it is of.
        by: what a bar and a line are of.
        name: the file's, for the command that checks it.
        now: the time (UTC, aware).
    """
    first = stamp.first_day or found.days[0].name
    last = stamp.last_day or found.days[-1].name
    title = escape(f"Revenue, {first} to {last}")
    figures = days_as_json(found) if by is By.DAY else as_json(found)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_NO_REQUESTS}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{STYLE}</style></head><body><main>
<h1>{title}</h1>
<p class="of">Orders by the day (UTC) on which they were placed; amounts in
{escape(found.currency)}.{escape(_what_is_not_here(found, stamp, by))}</p>
{_headline(found)}
{drawn(found, by)}
{_table(found, by)}
{_declines(found)}</main>
{_footer(stamp, name, now)}
{as_script(stamp, figures)}
</body></html>
""".encode()


def _what_is_not_here(found: Report, stamp: Stamp, by: By) -> str:
    parts = cut_off(found, stamp)
    said = [f"Not whole months: {', '.join(parts)}."] if parts else []
    gaps = left_out_in_words(found) if by is By.MONTH else None
    others = [f"Not in these figures: {each}." for each in others_in_words(found)]
    return "".join(f" {sentence}" for sentence in [*said, *filter(None, [gaps]), *others])


def _headline(found: Report) -> str:
    totals, currency = found.totals, found.currency
    said = (
        (
            f"Accepted revenue, {currency}",
            _amount("total", "accepted", totals.accepted, currency),
            f"of {_amount('total', 'all', totals.all, currency)} ordered",
        ),
        (
            "Accepted orders",
            _orders("total", "accepted", totals.accepted),
            f"of {_orders('total', 'all', totals.all)} orders",
        ),
        (
            f"Declined, {currency}",
            _amount("total", "declined", totals.all_declined, currency),
            f"{_orders('total', 'declined', totals.all_declined)} orders",
        ),
        (
            "Share of orders accepted",
            share(totals.accepted.orders, totals.all.orders),
            f"{share(totals.accepted.cents, totals.all.cents)} of the amount",
        ),
    )
    made = (
        f"<div><dt>{escape(name)}</dt><dd>{value}</dd><dd>{beside}</dd></div>"
        for name, value, beside in said
    )
    return f'<dl class="headline">{"".join(made)}</dl>'


def _table(found: Report, by: By) -> str:
    lines = "".join(_line(period, period.name, found.currency) for period in periods(found, by))
    heads = "".join(
        f'<th scope="colgroup" colspan="2">{name}</th>' for name in ("Accepted", "Declined", "All")
    )
    units = f'<th scope="col">Orders</th><th scope="col">{escape(found.currency)}</th>'
    return (
        f'<div class="scrolls" tabindex="0"><table aria-label="Revenue by {by.value}"><thead>'
        f'<tr><th scope="col" rowspan="2">{by.value.capitalize()}</th>{heads}</tr>'
        f"<tr>{units * 3}</tr></thead><tbody>{lines}</tbody>"
        f'<tbody class="total">{_line(found.totals, "total", found.currency)}</tbody></table></div>'
    )


def _line(period: Period, name: str, currency: str) -> str:
    sums = {"accepted": period.accepted, "declined": period.all_declined, "all": period.all}
    cells = (_cells(name, group, its, currency) for group, its in sums.items())
    return f'<tr><th scope="row">{escape(name.capitalize())}</th>{"".join(cells)}</tr>'


def _declines(found: Report) -> str:
    sums = {reason: found.totals.declined[reason] for reason in REASONS}
    sums["declined"] = found.totals.all_declined
    lines = [
        f'<tr><th scope="row">{escape(label(reason) if reason in REASONS else "Total")}</th>'
        f"{_cells('total', reason, its, found.currency)}</tr>"
        for reason, its in sums.items()
    ]
    return (
        '<table class="narrow" aria-label="Declined by reason"><thead>'
        '<tr><th scope="col">Declined because of</th><th scope="col">Orders</th>'
        f'<th scope="col">{escape(found.currency)}</th></tr></thead>'
        f'<tbody>{"".join(lines[:-1])}</tbody><tbody class="total">{lines[-1]}</tbody></table>'
    )


def _cells(period: str, group: str, its: Sum, currency: str) -> str:
    orders = _orders(period, group, its, "td")
    return orders + _amount(period, group, its, currency, "td")


def _orders(period: str, group: str, its: Sum, tag: str = "span") -> str:
    return _shown(f"{period} {group}_orders", f"{its.orders:,}", tag)


def _amount(period: str, group: str, its: Sum, currency: str, tag: str = "span") -> str:
    return _shown(f"{period} {group}_amount", format_amount(its.cents, currency), tag)


def _shown(name: str, figure: str, tag: str) -> str:
    return f'<{tag} {SHOWN}="{escape(name)}">{escape(figure)}</{tag}>'


def _footer(stamp: Stamp, name: str, now: datetime) -> str:
    said: Iterable[tuple[str, str]] = (
        ("Event log", f"up to position {stamp.position:,}{without_in_words(stamp)}"),
        ("Recorded", stamp.recorded_time or ""),
        ("Hash of the chain there", stamp.hash),
        ("Exported", f"{now:%Y-%m-%dT%H:%M:%SZ}"),
    )
    lines = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in said)
    command = escape(f"shop prove --figure {quote(name)}")
    return (
        f"<footer><dl>{lines}<dt>To check this file again</dt>"
        f"<dd><code>{command}</code></dd></dl></footer>"
    )
