"""The page "Revenue": what the projections say, live while orders flow."""

from pathlib import Path

import streamlit as st

from reporting.dashboard.chart import COLOURS, chart
from reporting.dashboard.looking import Seen, look
from reporting.dashboard.revenue_rows import (
    OUTCOMES,
    By,
    Headline,
    headline,
    label,
)
from reporting.dashboard.revenue_rows import table as table_of_periods
from reporting.dashboard.sources import Sources
from reporting.dashboard.tables import as_html, legend
from reporting.report import Report

LOOK_EVERY_SECONDS = 1.0

CHART_HEIGHT = 300
TABLE_HEIGHT = 500
_LINES_SHOWN_WHOLE = 24
_HEAD_AND_TOTAL = 3
_LINE_HEIGHT = 33
_SCROLL_BAR = 20
_SEEN = "seen"
_BY: tuple[By, ...] = ("Month", "Day")


def show(sources: Sources) -> None:
    """Draw the page, and keep it true for as long as someone looks at it."""
    projections, currency = sources.projections, sources.currency
    if _SEEN not in st.session_state:
        st.session_state[_SEEN] = look(projections, currency, Seen())
    seen: Seen = st.session_state[_SEEN]
    st.title("Revenue", anchor=False)
    _watch(projections, currency, seen)
    # A slot of its own: a message that comes or goes must not move what is below to new elements.
    with st.container():
        _say_trouble(seen)
    found = seen.report
    if found is None or not found.days:
        _say_empty(found)
    else:
        _draw(found)


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _watch(projections: Path, currency: str, drawn: Seen) -> None:
    """Look again, and draw the page anew only if there is something new to say."""
    seen = look(projections, currency, st.session_state[_SEEN])
    st.session_state[_SEEN] = seen
    if seen != drawn:
        st.rerun()
    if seen.report is not None and seen.trouble is None:
        st.caption(f"Live · up to position {seen.report.position:,} of the event log")
    elif seen.report is not None:
        st.caption(f"Not live · up to position {seen.report.position:,} of the event log")
    else:
        st.caption("Live · nothing to report yet")


def _say_trouble(seen: Seen) -> None:
    if seen.trouble is None:
        return
    last = (
        f"The figures below are the last that could be read, up to position "
        f"{seen.report.position:,}. "
        if seen.report is not None
        else ""
    )
    st.warning(
        f"The projections can't be read at the moment: {seen.trouble}. {last}"
        "The page tries again every second; there is no need to reload it."
    )


def _say_empty(found: Report | None) -> None:
    st.info(
        "**No order has been decided yet.** Figures appear here by themselves as soon as the "
        "event log has the first authorization. To run everything and place the real orders, "
        "type `make demo`; where the services run already, type `shop place FILE`."
    )
    if found is not None and found.position:
        st.caption(
            f"Events up to position {found.position:,} are read; none of them is an authorization "
            f"in {found.currency}."
        )


def _draw(found: Report) -> None:
    _draw_headline(headline(found), found.currency)
    by = st.segmented_control(
        "Show by", _BY, default=_BY[0], required=True, key="by", label_visibility="collapsed"
    )
    by = by or _BY[0]
    st.html(legend(map(label, OUTCOMES), COLOURS))
    st.altair_chart(chart(found, by), height=CHART_HEIGHT, key="chart")
    lines = table_of_periods(found, by)
    # The container scrolls, not the table: so a new table doesn't lose the reader's place.
    with st.container(height=_height_of(len(lines.lines)), border=False, key=f"table-{by}"):
        st.html(as_html(lines))


def _height_of(lines: int) -> int:
    # Two years of months are shown whole; what is longer scrolls under its head and total.
    if lines > _LINES_SHOWN_WHOLE:
        return TABLE_HEIGHT
    return _LINE_HEIGHT * (lines + _HEAD_AND_TOTAL) + _SCROLL_BAR


def _draw_headline(figures: Headline, currency: str) -> None:
    # Side by side as far as they fit: four in a row, or two on a phone.
    with st.container(horizontal=True, gap="medium"):
        for name, value, beside in (
            (f"Accepted revenue, {currency}", figures.accepted_amount, figures.of_amount),
            ("Accepted orders", figures.accepted_orders, figures.of_orders),
            (f"Declined, {currency}", figures.declined_amount, figures.declined_orders),
            ("Share of orders accepted", figures.share_of_orders, figures.share_of_amount),
        ):
            st.metric(name, value, beside, delta_color="off", delta_arrow="off")
