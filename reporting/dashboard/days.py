"""Fields for a range of business days, the same on every page."""

from datetime import date

import streamlit as st

_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2199, 12, 31)


Days = tuple[str | None, str | None]
"""The first and the last day of a range, ``YYYY-MM-DD``; `None` is no bound."""


def choose_days(prefix: str = "") -> Days:
    """The first and the last day (``YYYY-MM-DD``) that the reader wants; `None` is no bound.

    They are in the address, by the names ``from`` and ``until`` after `prefix`.
    """
    days = [
        st.date_input(
            name,
            None,
            min_value=_FIRST_DAY,
            max_value=_LAST_DAY,
            key=f"{prefix}{key}",
            format="YYYY-MM-DD",
            width=180,
            bind="query-params",
        )
        for name, key in (("From", "from"), ("Until", "until"))
    ]
    first, last = (None if day is None else day.isoformat() for day in days)
    return first, last
