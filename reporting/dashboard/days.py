"""Fields for a range of business days, the same on every page."""

from datetime import date

import streamlit as st

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2199, 12, 31)
"""What fields for days take, where nothing else bounds them."""

Days = tuple[str | None, str | None]
"""The first and the last day of a range, ``YYYY-MM-DD``; `None` is no bound."""


def choose_days(prefix: str = "", least: date = FIRST_DAY, most: date = LAST_DAY) -> Days:
    """The first and the last day (``YYYY-MM-DD``) that the reader wants; `None` is no bound.

    They are in the address, by the names ``from`` and ``until`` after `prefix`, and lie between
    `least` and `most`.
    """
    chosen = []
    for name, key in (("From", f"{prefix}from"), ("Until", f"{prefix}until")):
        before = st.session_state.get(key)
        # Bounds move with the figures, and a field refuses to be drawn with a day beyond them.
        if before is not None and not least <= before <= most:
            st.session_state[key] = None
        day = st.date_input(
            name,
            None,
            min_value=least,
            max_value=most,
            key=key,
            format="YYYY-MM-DD",
            width=180,
            bind="query-params",
        )
        chosen.append(None if day is None else day.isoformat())
    return chosen[0], chosen[1]
