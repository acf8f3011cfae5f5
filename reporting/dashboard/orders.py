"""The page "Orders": orders found by what is known of them, and the story of each."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from reporting.dashboard.days import FIRST_DAY, LAST_DAY
from reporting.dashboard.html_tables import scrolling
from reporting.dashboard.order_steps import steps, style
from reporting.dashboard.orders_asked import (
    FIELDS,
    LAST_PAGE,
    REASONS,
    STATES,
    asked_for,
    day_of,
    link,
)
from reporting.dashboard.orders_html import (
    counted,
    found_as_html,
    headline,
    timeline,
)
from reporting.dashboard.orders_looking import (
    Looked,
    Orders,
    after,
    after_orders,
    look_at,
    look_for,
)
from reporting.dashboard.plain_text import plain
from reporting.dashboard.sources import Sources
from reporting.projections.stories import Story

LOOK_EVERY_SECONDS = 1.0

_LAST = "orders last seen"
_EMPTY = (
    "**No order has been placed yet.** Orders appear here by themselves as soon as the event log "
    "has the first one. To run everything and place the real orders, type `make demo`; where the "
    "services run already, type `shop place FILE`."
)


def show(sources: Sources) -> None:
    """Draw the orders that the address asks for, or the story of the one that it names."""
    st.title("Orders", anchor=False)
    if st.query_params.get("order", "").strip():
        st.button("Back to the orders found", on_click=partial(_go, order=""))
        _one(sources)
        return
    _ask(sources.currency)
    _found(sources)


def _ask(currency: str) -> None:
    """The fields to find orders by; the address has what they say."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        _text("Order id", "order", 357, "CDNOW_master/00001/19970101/1/11.77")
        _text("Customer", "customer", 170, "00042")
        _text("Month", "month", 170, "1997-03")
        _day("From", "from")
        _day("To", "to")
        _text(f"Amount from, {currency}", "least", 170, "")
        _text(f"Amount to, {currency}", "most", 170, "")
        _one_of("State", "state", STATES)
        _one_of("Reason", "reason", REASONS)
        st.button("Clear", on_click=partial(_go, **dict.fromkeys(FIELDS, "")))


def _go(**changed: str) -> None:
    """Have the address ask for something else, from its first page on."""
    for name, value in {"page": "", **changed}.items():
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)


def _typed(name: str, read: Callable[[object], str]) -> None:
    _go(**{name: read(st.session_state[_key(name)])})


def _key(name: str) -> str:
    return f"orders: {name}"


def _text(title: str, name: str, width: int, example: str) -> None:
    st.session_state[_key(name)] = st.query_params.get(name, "")
    st.text_input(
        title,
        key=_key(name),
        width=width,
        placeholder=example,
        on_change=partial(_typed, name, lambda value: str(value).strip()),
    )


def _day(title: str, name: str) -> None:
    day = day_of(st.query_params.get(name, "").strip())
    known = day is not None and FIRST_DAY <= day <= LAST_DAY
    st.session_state[_key(name)] = day if known else None
    st.date_input(
        title,
        key=_key(name),
        min_value=FIRST_DAY,
        max_value=LAST_DAY,
        format="YYYY-MM-DD",
        width=170,
        on_change=partial(_typed, name, lambda value: str(value or "")),
    )


def _one_of(title: str, name: str, names: dict[str, str]) -> None:
    chosen = st.query_params.get(name)
    st.session_state[_key(name)] = chosen if chosen in names else None
    st.selectbox(
        title,
        list(names),
        key=_key(name),
        index=None,
        format_func=lambda each: names[each],
        placeholder="Any",
        width=263,
        on_change=partial(_typed, name, lambda value: str(value or "")),
    )


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _found(sources: Sources) -> None:
    address = st.query_params.to_dict()
    asked, wrong = asked_for(address, sources.currency)
    for sentence in wrong:
        st.error(plain(sentence))
    if wrong:
        return
    before, here = st.session_state.get(_LAST), link(address)
    same = before[1] if before is not None and before[0] == here else Orders()
    known = after_orders(same, look_for(sources, asked))
    st.session_state[_LAST] = (here, known)
    # A slot of its own: a message that comes or goes must not move what is below to new elements.
    with st.container():
        _say_trouble(known.trouble, shown=known.found is not None)
    if known.empty:
        st.info(_EMPTY)
        return
    if known.found is None:
        return
    shown = len(known.found.stories)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.caption(counted(shown, asked.page, more=known.found.more), width="content")
        last = asked.page >= LAST_PAGE
        if asked.page > 1:
            st.button("Newer", on_click=partial(_go, page=str(asked.page - 1)))
        if known.found.more and not last:
            st.button("Older", on_click=partial(_go, page=str(asked.page + 1)))
        if known.found.more and last:
            st.caption("To see what is older, ask for less: a month, say.", width="content")
    if not shown:
        st.info(_nothing(address, anything=asked.anything))
        return
    with scrolling("orders", shown):
        st.html(found_as_html(known.found.stories, address))


def _nothing(address: dict[str, str], *, anything: bool) -> str:
    if int(address.get("page", "1")) > 1 or not anything:
        return "There are no orders on this page any more: go back to newer ones."
    return "**No order is like that.** Change what you ask for, or clear it."


def _say_trouble(trouble: str | None, *, shown: bool) -> None:
    if trouble is not None:
        last = "What is below was read before. " if shown else ""
        st.warning(
            f"The projections can't be read at the moment: {plain(trouble)}. {last}"
            "The page tries again every second; there is no need to reload it."
        )


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _one(sources: Sources) -> None:
    order_id = st.query_params.get("order", "").strip()
    kept = st.session_state.get(_LAST)
    before = kept[1] if kept is not None and kept[0] == f"order {order_id}" else Looked()
    known = after(before, look_at(sources, order_id))
    st.session_state[_LAST] = (f"order {order_id}", known)
    with st.container():
        _say_trouble(known.trouble, shown=known.story is not None)
    if known.empty:
        st.info(_EMPTY)
    elif known.story is not None:
        _story(known, known.story)
    elif known.trouble is None:
        st.header("There is no such order", anchor=False)
        # As text: whoever wrote the address wrote this too.
        st.text(order_id)
        st.info(
            "Look at its id again: it is written as the order was placed, such as "
            "CDNOW_master/00001/19970101/1/11.77. An order that was placed just now appears here "
            "by itself as soon as the event log has it. Or go back, and find it by its customer or "
            "its day."
        )


def _story(known: Looked, story: Story) -> None:
    st.html(headline(story))
    with st.container():
        if known.log_trouble is not None:
            st.warning(
                "The event log can't tell all of this order's story at the moment: "
                f"{plain(known.log_trouble)}. What is above comes from the projections."
            )
    said = style(story.order_id, known.events)
    if said is not None:
        st.write(said)
    if known.loaded:
        month = story.ordered_at[:7]
        st.caption(
            f"Loaded from the past: nothing of {month} was recorded before the month was over."
        )
    st.html(timeline(steps(story.order_id, known.events, loaded=known.loaded)))
