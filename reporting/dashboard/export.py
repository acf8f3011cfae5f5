"""The page "Export": the report as a file for Finance, with what it takes to check it again."""

from datetime import UTC, datetime
from functools import partial

import streamlit as st

from reporting.dashboard.days import choose_days
from reporting.dashboard.looking import Seen, look
from reporting.dashboard.revenue_rows import headline
from reporting.dashboard.sources import Sources
from reporting.export import By, file_name
from reporting.exports import FORMS, Form
from reporting.figure import Stamp
from reporting.report import Report, within

LOOK_EVERY_SECONDS = 1.0

_SEEN = "export seen"


def show(sources: Sources) -> None:
    """Draw the page; what is offered is of one position, until the reader asks for a newer one."""
    st.title("Export", anchor=False)
    if st.session_state.get(_SEEN) is None:
        seen = look(sources, Seen())
        if seen.report is None or not seen.report.days or seen.stamp is None:
            _wait(sources, seen)
            return
        st.session_state[_SEEN] = seen
    held: Seen = st.session_state[_SEEN]
    assert held.report is not None  # noqa: S101 only such are held
    assert held.stamp is not None  # noqa: S101
    _say_newer(sources, held)
    _offer(held.report, held.stamp)


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _wait(sources: Sources, before: Seen) -> None:
    """Say why there is nothing to export yet, and go on by itself once there is."""
    seen = look(sources, before)
    if seen.report is not None and seen.report.days and seen.stamp is not None:
        st.rerun()
    if seen.trouble is not None:
        st.warning(f"The projections can't be read at the moment: {seen.trouble}.")
    elif seen.report is not None and seen.report.days:
        st.warning("The event log can't be read at the moment, which every export names.")
    else:
        st.info("**No order has been decided yet.** There is nothing to export.")


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _say_newer(sources: Sources, held: Seen) -> None:
    """Files must not change under the reader's hand: newer figures come when they are asked for."""
    newest = look(sources, held)
    assert held.report is not None  # noqa: S101 only such are held
    assert held.stamp is not None  # noqa: S101
    st.caption(f"Figures up to position {held.report.position:,} · hash {held.stamp.hash}")
    if newest.trouble is not None:
        st.warning(f"The projections can't be read at the moment: {newest.trouble}.")
    elif newest.report is not None and newest.report.position != held.report.position:
        newer = f"Take the newest figures, up to position {newest.report.position:,}"
        if st.button(newer, key="newest"):
            st.session_state[_SEEN] = None
            st.rerun(scope="app")


def _offer(whole: Report, stamp: Stamp) -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        first, last = choose_days("export-")
        by = st.segmented_control(
            "A row is of a", list(By), default=By.MONTH, required=True, format_func=str.capitalize
        )
    found = within(whole, first, last)
    if not found.days:
        st.info("No order was placed on these days: choose others.")
        return
    by = by or By.MONTH
    periods = found.days if by is By.DAY else found.months
    made = headline(found)
    st.write(
        f"{made.accepted_amount} {found.currency} accepted in {made.accepted_orders} orders, "
        f"{made.of_orders} and {made.of_amount}; {len(periods):,} {by.value}s, "
        f"{found.days[0].name} to {found.days[-1].name}."
    )
    stamped = stamp.of_days(first, last)
    with st.container(horizontal=True, gap="medium"):
        for suffix, form in FORMS.items():
            st.download_button(
                f"Download {form.title}",
                partial(_made, form, found, stamped, by),
                file_name(stamped, suffix),
                form.media_type,
                key=f"download{suffix}",
                on_click="ignore",
            )
    st.caption(
        "Each file says of which state of the event log it is. Whether it is still what the log "
        "says: `shop prove --figure FILE`."
    )


def _made(form: Form, found: Report, stamp: Stamp, by: By) -> bytes:
    return form.make(found, stamp, by, datetime.now(UTC))
