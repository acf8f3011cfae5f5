"""The revenue report as one page of HTML: to be read, printed, filed, and checked again later."""

from datetime import datetime
from html import escape

import altair as alt
import vl_convert

from reporting.dashboard.chart import COLOURS, chart
from reporting.dashboard.revenue_rows import OUTCOMES, headline, label, table
from reporting.dashboard.revenue_rows import By as PageBy
from reporting.dashboard.tables import as_html, legend
from reporting.export import By
from reporting.figure import Stamp, as_script
from reporting.report import Report, as_json, days_as_json

_WIDTH, _HEIGHT = 640, 220

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { margin: 0; font-size: 1.9rem; }
.of { margin: 0 0 1.2rem; }
.figures { display: flex; flex-wrap: wrap; gap: 0.6rem 2.2rem; margin: 0 0 1.2rem; padding: 0; }
.figures div { display: flex; flex-direction: column; }
.figures dt { font-size: 0.8rem; }
.figures dd { margin: 0; font-size: 1.45rem; }
.figures dd + dd { font-size: 0.8rem; }
.chart { background: #fff; border-radius: 4px; }
.chart svg { width: 100%; height: auto; display: block; }
.scrolls { overflow-x: auto; margin-top: 1rem; }
footer { margin-top: 1.2rem; font-size: 0.75rem; overflow-wrap: anywhere; }
footer p { margin: 0.2rem 0; }
@page { size: A4 portrait; margin: 12mm; }
@media print {
  :root { color-scheme: light; }
  body { margin: 0; padding: 0; max-width: none; font-size: 11px; }
  .scrolls { overflow: visible; margin-top: 0.5rem; }
  .revenue { font-size: 9px !important; }
  .revenue th, .revenue td { padding: 0.18rem 0.3rem !important; }
  .revenue thead, .revenue tfoot { position: static !important; }
  .revenue th:first-child { position: static !important; }
  tr { break-inside: avoid; }
}
"""


def as_page(found: Report, stamp: Stamp, by: By, now: datetime) -> bytes:
    """The report as a page of HTML that asks nobody for anything, with figures and stamp in it.

    Args:
        found: the report, of the days that the stamp says.
        stamp: of which state of the log it is.
        by: what a bar and a line are of.
        now: the time (UTC, aware).
    """
    page_by: PageBy = "Day" if by is By.DAY else "Month"
    figures = days_as_json(found) if by is By.DAY else as_json(found)
    made = headline(found)
    told = (
        (f"Accepted revenue, {found.currency}", made.accepted_amount, made.of_amount),
        ("Accepted orders", made.accepted_orders, made.of_orders),
        (f"Declined, {found.currency}", made.declined_amount, made.declined_orders),
        ("Share of orders accepted", made.share_of_orders, made.share_of_amount),
    )
    headlines = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd><dd>{escape(beside)}</dd></div>"
        for name, value, beside in told
    )
    recorded = f", recorded {stamp.recorded_time}" if stamp.recorded_time else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Revenue, {escape(days_in_words(found, stamp))}</title><style>{_STYLE}</style></head><body>
<h1>Revenue</h1><p class="of">{escape(days_in_words(found, stamp))}</p>
<dl class="figures">{headlines}</dl>
{legend(map(label, OUTCOMES), COLOURS)}
<div class="chart" role="img" aria-label="Revenue by {by.value}">{_svg(found, page_by)}</div>
<div class="scrolls">{as_html(table(found, page_by))}</div>
<footer><p>From the event log up to position {stamp.position:,}{escape(recorded)}.</p>
<p>Hash {escape(stamp.hash)}</p>
<p>Exported {now:%Y-%m-%d %H:%M:%S} UTC. Whether it is still what the log says:
<code>shop prove --figure FILE</code></p></footer>
{as_script(stamp, figures)}
</body></html>
""".encode()


def days_in_words(found: Report, stamp: Stamp) -> str:
    """Which business days a report is of: those asked for, or all that it has."""
    first = stamp.first_day or (found.days[0].name if found.days else "")
    last = stamp.last_day or (found.days[-1].name if found.days else "")
    return f"{first} to {last}" if first and last else "no orders yet"


def _svg(found: Report, by: PageBy) -> str:
    if not found.days:
        return ""
    drawn = chart(found, by).properties(width=_WIDTH, height=_HEIGHT)
    with alt.data_transformers.disable_max_rows():
        svg: str = vl_convert.vegalite_to_svg(drawn.to_dict())
    return svg
