"""The dashboard's pages, and the way from one to another."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import streamlit as st

from reporting.dashboard import export, health, orders, revenue
from reporting.dashboard.accessible import complete
from reporting.dashboard.login import is_let_in, say_who_looks
from reporting.dashboard.sources import Sources
from reporting.dashboard.visitors import Visitors


class Page(NamedTuple):
    """A page: its title, its path in the address (the first one's is empty), and what draws it.

    No icon: Streamlit would fetch the tab's from another host.
    """

    title: str
    path: str
    show: Callable[[Sources], None]


PAGES = (
    Page("Revenue", "", revenue.show),
    Page("Orders", "orders", orders.show),
    Page("Log and health", "health", health.show),
    Page("Export", "export", export.show),
)
"""In the order that the menu has; the first one is shown at the start."""


def show(sources: Sources, visitors: Visitors | None) -> None:
    """Draw the menu and the page that the address names.

    Args:
        sources: what the pages show from.
        visitors: who must have logged in to look; `None` where whoever gets here may.
    """
    st.set_page_config(layout="wide")
    let_in = visitors is None or is_let_in(visitors)
    pages = [
        st.Page(
            partial(page.show, sources) if let_in else _nothing,
            title=page.title if let_in else "Log in",
            url_path=page.path or None,
            default=page is PAGES[0],
        )
        for page in PAGES
    ]
    st.navigation(pages, position="top" if let_in else "hidden").run()
    if let_in and visitors is not None:
        say_who_looks()
    complete()


def _nothing() -> None:
    """A page with nothing on it: its address is known, so that nobody is told that it isn't."""
