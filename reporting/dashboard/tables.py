"""Parts of the Revenue page as HTML: exact text that can be read out, searched and copied."""

from collections.abc import Iterable
from html import escape

from reporting.dashboard.revenue_rows import Line, Table

LIGHT_BACKGROUND = "#ffffff"
DARK_BACKGROUND = "#14171c"
"""The page's own: cells that stay in place while others scroll under them need it too."""

_STYLE = """
<style>
.revenue { border-collapse: separate; border-spacing: 0; width: 100%; margin: 0;
  font-size: 0.875rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.revenue th, .revenue td { padding: 0.3rem 0.7rem; text-align: right; font-weight: 400;
  border: 0; border-bottom: 1px solid rgba(128, 128, 128, 0.25); }
.revenue .first { padding-left: 1.4rem; }
.revenue thead th { font-weight: 600; }
.revenue thead tr + tr th { font-weight: 400; }
.revenue th:first-child { text-align: left; position: sticky; left: 0; z-index: 1; }
.revenue thead, .revenue tfoot { position: sticky; z-index: 2; }
.revenue thead { top: 0; }
.revenue tfoot { bottom: 0; }
.revenue thead th, .revenue tfoot th, .revenue tfoot td, .revenue th:first-child {
  background: light-dark(LIGHT, DARK); }
.revenue tfoot th, .revenue tfoot td { font-weight: 600; border-bottom: 0;
  border-top: 2px solid rgba(128, 128, 128, 0.6); }
.revenue.narrow { width: auto; }
.revenue tbody tr:hover td, .revenue tbody tr:hover th {
  background: light-dark(#f0f2f6, #222730); }
</style>
""".replace("LIGHT", LIGHT_BACKGROUND).replace("DARK", DARK_BACKGROUND)

STYLE = _STYLE
"""How tables of class ``revenue`` look; other pages have theirs in the same style."""

_KEY = (
    '<span style="display: inline-block; white-space: nowrap; margin-right: 1.1rem;">'
    '<span style="display: inline-block; width: 0.75em; height: 0.75em; border-radius: 2px; '
    'margin-right: 0.4em; background: {colour};"></span>{name}</span>'
)


def legend(names: Iterable[str], colours: Iterable[str]) -> str:
    """The chart's legend, which wraps where the page is narrow."""
    keys = (
        _KEY.format(colour=colour, name=escape(name))
        for name, colour in zip(names, colours, strict=True)
    )
    return f'<div style="font-size: 0.875rem;">{"".join(keys)}</div>'


def as_html(table: Table) -> str:
    """The table as one HTML element with its style."""
    groups = "".join(
        f'<th scope="colgroup" colspan="2">{escape(name)}</th>' for name in table.columns
    )
    units = (
        f'<th scope="col" class="first">Orders</th><th scope="col">{escape(table.currency)}</th>'
    )
    return (
        f'{_STYLE}<table class="revenue" aria-label="Revenue by {table.by.lower()}"><thead>'
        f'<tr><th scope="col" rowspan="2">{table.by}</th>{groups}</tr>'
        f"<tr>{units * len(table.columns)}</tr></thead>"
        f"<tbody>{''.join(_row(line) for line in table.lines)}</tbody>"
        f"<tfoot>{_row(table.total)}</tfoot></table>"
    )


def _row(line: Line) -> str:
    return f'<tr><th scope="row">{escape(line.name)}</th>{_cells(line)}</tr>'


def _cells(line: Line) -> str:
    return "".join(
        f'<td class="first">{escape(orders)}</td><td>{escape(amount)}</td>'
        for orders, amount in line.cells
    )
