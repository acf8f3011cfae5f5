"""What people see who haven't logged in, or may not look."""

import streamlit as st

from reporting.dashboard.plain_text import plain
from reporting.dashboard.visitors import Visitors


def is_let_in(visitors: Visitors) -> bool:
    """Whether this person may look; if not, all that he sees is drawn here."""
    if not st.user.is_logged_in:
        st.button("Log in", on_click=st.login, type="primary", key="log-in")
        return False
    refusal = visitors.refusal(st.user.to_dict())
    if refusal is None:
        return True
    st.markdown(plain(refusal))
    _offer_to_log_out()
    return False


def say_who_looks() -> None:
    """Draw whom the page is shown to, with a button to log out."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Logged in as {plain(str(st.user['email']))}")
        _offer_to_log_out()


def _offer_to_log_out() -> None:
    st.button("Log out", on_click=st.logout, key="log-out")
