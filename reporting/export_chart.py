"""The chart of an exported page: the dashboard's, as a picture that needs no program or font."""

import json
from html import escape

import altair as alt
import vl_convert

from reporting.dashboard.chart import COLOURS, chart
from reporting.dashboard.revenue_rows import OUTCOMES, label
from reporting.dashboard.revenue_rows import By as ChartBy
from reporting.export import By
from reporting.report import Report

_WIDTH, _HEIGHT = 620, 165

# Texts and lines have the page's own colour, in light, in dark and on paper.
_LOOK = {
    "background": None,
    "font": "sans-serif",
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridColor": "currentColor",
        "domainOpacity": 0.4,
        "tickOpacity": 0.4,
        "gridOpacity": 0.15,
        "labelFontSize": 10,
        "titleFontSize": 10,
        "titleFontWeight": "normal",
        # The reader's font may be wider than the one that the places were computed with.
        "titlePadding": 14,
    },
}


def drawn(found: Report, by: By) -> str:
    """The chart with its legend as one HTML element."""
    chart_by: ChartBy = "Day" if by is By.DAY else "Month"
    made = chart(found, chart_by).properties(width=_WIDTH, height=_HEIGHT)
    with alt.data_transformers.enable("default", max_rows=None):
        spec = json.loads(made.to_json())
    svg: str = vl_convert.vegalite_to_svg({**spec, "config": _LOOK})
    # The place that it is in says what it is; its marks would be read out one by one.
    hidden = svg.replace("<svg", '<svg aria-hidden="true"', 1)
    keys = "".join(
        f'<span><svg viewBox="0 0 1 1"><rect width="1" height="1" fill="{colour}"/></svg>'
        f"{escape(label(outcome))}</span>"
        for outcome, colour in zip(OUTCOMES, COLOURS, strict=True)
    )
    return (
        f'<figure><figcaption>{keys}</figcaption><div role="img" tabindex="0" '
        f'aria-label="Accepted and declined amounts by {by.value}; the table below has them">'
        f"{hidden}</div></figure>"
    )
