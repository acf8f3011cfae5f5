"""What Streamlit's own markup lacks for people who read with little contrast or by keyboard.

What its theme can say is said in the theme; here is the rest (WCAG 2.2, level AA).
"""

import streamlit as st

# - While a part of the page is drawn anew, Streamlit fades it to a third; live parts of ours are
#   drawn anew every second, and what fades can't be read.
# - The page itself and the tables in it scroll by the arrow keys, but don't show that they would.
# - Links in HTML of ours have the browser's colours, which don't belong to the page.
# - Text on a primary button is white in either scheme, and the dark scheme's colour is a light one.
_STYLE = """
<style>
.stElementContainer, .stExpander summary, .stExpander > div { opacity: 1 !important; }
.stHtml a { color: light-dark(#1a6094, #5dade2); }
[data-testid="stBaseButton-primary"] { color: light-dark(#ffffff, #14171c) !important; }
[class*="st-key-scroll-"]:focus-visible, .stMain:focus-visible {
  outline: 2px solid currentColor !important; outline-offset: -2px; }
</style>
"""

# A container that scrolls is no stop for the Tab key in every browser, and has no name.
_SCRIPT = """
<script>
window.shopTabStops ??= (() => {
  const mark = () => document.querySelectorAll('[class*="st-key-scroll-"]').forEach(place => {
    place.tabIndex = 0;
    place.role = 'group';
    place.ariaLabel = place.querySelector('table')?.ariaLabel ?? null;
  });
  mark();
  const observer = new MutationObserver(mark);
  observer.observe(document.body, { childList: true, subtree: true });
  return observer;
})();
</script>
"""


def complete() -> None:
    """Add it to the page; it is text of ours alone, for its script is run."""
    st.html(_STYLE + _SCRIPT, unsafe_allow_javascript=True)
