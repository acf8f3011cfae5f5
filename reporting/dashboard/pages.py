"""The dashboard's pages, and the way from one to another."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import streamlit as st

from reporting.dashboard import export, health, orders, revenue
from reporting.dashboard.sources import Sources


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


def show(sources: Sources) -> None:
    """Draw the menu and the page that the address names."""
    st.set_page_config(layout="wide")
    pages = [
        st.Page(
            partial(page.show, sources),
            title=page.title,
            url_path=page.path or None,
            default=page is PAGES[0],
        )
        for page in PAGES
    ]
    st.navigation(pages, position="top").run()
