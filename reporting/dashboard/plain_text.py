"""Text that others wrote, inside what Streamlit reads as Markdown."""

import re

_MARKS = re.compile(r"([\\\\`*_{}\[\]()<>#+\-.!|$:~&])")


def plain(text: str) -> str:
    """The text with all that Markdown would take for a mark escaped, on one line."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
