"""The page "Revenue": what the projections say, live while orders flow, or as it was."""

from typing import Any, Literal

import streamlit as st

from reporting.dashboard import looking_back
from reporting.dashboard.chart import COLOURS, chart
from reporting.dashboard.days import Days, choose_days
from reporting.dashboard.looking import Seen, look, others_in_sentences, stamp_in_words
from reporting.dashboard.orders_asked import asked_for
from reporting.dashboard.orders_html import found_as_html
from reporting.dashboard.orders_looking import look_for
from reporting.dashboard.plain_text import plain
from reporting.dashboard.revenue_html import late_as_html, month_as_html
from reporting.dashboard.revenue_rows import (
    OUTCOMES,
    By,
    Headline,
    changes,
    headline,
    label,
    left_out_in_words,
    running,
)
from reporting.dashboard.revenue_rows import table as table_of_periods
from reporting.dashboard.sources import Sources
from reporting.dashboard.tables import as_html, legend
from reporting.report import LateMonth, Report, months_in_words, within

LOOK_EVERY_SECONDS = 1.0

CHART_HEIGHT = 300
TABLE_HEIGHT = 500
ORDERS_HEIGHT = 300
_LINES_SHOWN_WHOLE = 24
_HEAD_AND_TOTAL = 3
_LINE_HEIGHT = 33
_SCROLL_BAR = 20
_SEEN = "seen"
_CLICKED = "clicked"
_BY: tuple[By, ...] = ("Month", "Day")
_EACH, _RUNNING = _SUMS = ("Each by itself", "Running total")
_LIVE, _BACK = _STATES = ("Live", "As it was")


def show(sources: Sources) -> None:
    """Draw the page, and keep it true for as long as someone looks at it."""
    if _SEEN not in st.session_state:
        st.session_state[_SEEN] = look(sources, Seen())
    seen: Seen = st.session_state[_SEEN]
    st.title("Revenue", anchor=False)
    _watch(sources, seen)
    # A slot of its own: a message that comes or goes must not move what is below to new elements.
    with st.container():
        _say_trouble(seen)
    if seen.report is None or not seen.report.days:
        _say_empty(seen.report)
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        state = st.segmented_control("State", _STATES, default=_LIVE, required=True, key="state")
        days = choose_days()
    if state != _BACK:
        looking_back.forget()
        _draw(seen.report, seen.late, days, sources)
        return
    then = looking_back.choose(sources)
    if then is None:
        return
    st.caption(f"As it was known at {then.at:%Y-%m-%d %H:%M:%S} UTC · {stamp_in_words(then.stamp)}")
    if then.report.days:
        # Orders are listed as they are now: looking back, only their sums are shown.
        _draw(then.report, then.late, days, None)
    elif then.report.others:
        st.warning(" ".join(others_in_sentences(then.report)))
    else:
        st.info("No order had been decided by then.")


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _watch(sources: Sources, drawn: Seen) -> None:
    """Look again, and draw the page anew only if there is something new to say."""
    seen = look(sources, st.session_state[_SEEN])
    st.session_state[_SEEN] = seen
    if seen != drawn:
        st.rerun()
    if seen.report is None:
        st.caption("Live · nothing to report yet")
        return
    said = stamp_in_words(seen.stamp) if seen.stamp else f"up to position {seen.report.position:,}"
    st.caption(f"{'Not live' if seen.trouble else 'Live'} · {said}")


def _say_trouble(seen: Seen) -> None:
    if seen.stopped is not None:
        st.error(f"{plain(seen.stopped[0].upper() + seen.stopped[1:])}.")
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
    if found is not None and found.others:
        st.warning(" ".join(others_in_sentences(found)))
        return
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


def _draw(whole: Report, late: tuple[LateMonth, ...], days: Days, sources: Sources | None) -> None:
    found = within(whole, *days)
    if not found.days:
        st.info("No order was placed on these days.")
        return
    _draw_headline(headline(found), found.currency)
    if others := others_in_sentences(found):
        st.caption(" ".join(others))
    _draw_changes(whole, found.months[-1].name)
    with st.container(horizontal=True, gap="medium"):
        by = _choose("Show by", _BY, "by")
        shown = running(found) if _choose("Sums", _SUMS, "sums") == _RUNNING else found
    st.html(legend(map(label, OUTCOMES), COLOURS))
    clicked = st.altair_chart(
        chart(shown, by), height=CHART_HEIGHT, key="chart", on_select="rerun", selection_mode="at"
    )
    if by == "Month" and (gaps := left_out_in_words(found)):
        st.caption(gaps)
    _draw_month(found, clicked, sources)
    lines = table_of_periods(shown, by)
    # The container scrolls, not the table: so a new table doesn't lose the reader's place.
    with st.container(height=_height_of(len(lines.lines)), border=False, key=f"scroll-{by}"):
        st.html(as_html(lines))
    _draw_late(late, found)


def _choose(name: str, options: tuple[Any, ...], key: Literal["by", "sums"]) -> Any:
    return st.segmented_control(
        name,
        options,
        default=options[0],
        required=True,
        key=key,
        label_visibility="collapsed",
        bind="query-params",
    )


def _draw_month(found: Report, clicked: Any, sources: Sources | None) -> None:
    """The orders of a month: the one clicked on in the chart, or chosen."""
    names = [month.name for month in found.months if month.all.orders]
    points = clicked["selection"].get("at") or [{}]
    month = str(points[0].get("month", ""))
    # What was clicked last counts until something else is chosen.
    if month in names and st.session_state.get(_CLICKED) != month:
        st.session_state["month"] = month
    st.session_state[_CLICKED] = month
    if st.session_state.get("month") not in names:
        st.session_state["month"] = None
    chosen = st.selectbox(
        "Orders of a month (or click on it in the chart)",
        names,
        index=None,
        key="month",
        placeholder="Choose a month",
        width=330,
    )
    if not chosen:
        return
    st.html(month_as_html(next(m for m in found.months if m.name == chosen), found.currency))
    if sources is None:
        return
    asked, _ = asked_for({"month": chosen}, found.currency)
    orders = look_for(sources, asked).found
    if orders is not None and orders.stories:
        st.caption(f"The newest {len(orders.stories)} of them; all are on the page Orders")
        with st.container(height=ORDERS_HEIGHT, border=False, key=f"scroll-{chosen}"):
            st.html(found_as_html(orders.stories, {"month": chosen}, "orders"))


def _draw_late(late: tuple[LateMonth, ...], found: Report) -> None:
    """Say which months were changed after they were over, when, and by which orders."""
    months = {month.name for month in found.months}
    changed = [each for each in late if not each.whole and each.part.name in months]
    if changed:
        st.html(late_as_html(changed, found.currency))
    loaded = [each for each in late if each.whole and each.part.name in months]
    if loaded:
        which = months_in_words(loaded)
        st.caption(f"Recorded only when the month was over, all of it: {which}")


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


def _draw_changes(whole: Report, month: str) -> None:
    found = changes(whole, month)
    if found is None:
        return
    before = whole.months[[each.name for each in whole.months].index(month) - 1].name
    st.caption(f"{month} against {before}, whole months")
    with st.container(horizontal=True, gap="medium"):
        for change in found:
            colour: Literal["normal", "inverse", "off"] = "off"
            if change.good is not None:
                colour = "normal" if change.good else "inverse"
            arrow: Literal["auto", "off"] = "off" if change.good is None else "auto"
            st.metric(change.name, change.value, change.by, delta_color=colour, delta_arrow=arrow)
