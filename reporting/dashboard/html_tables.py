"""Tables of any rows as HTML in the style of all tables; whatever is in a cell is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal, NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from reporting.dashboard.tables import STYLE

Tone = Literal["good", "waiting", "bad", "off"]

_STYLE = """
<style>
.revenue td.text, .revenue th.text { text-align: left; }
.revenue td.wide { white-space: normal; min-width: min(16rem, 50vw); overflow-wrap: anywhere; }
.revenue tbody th:first-child { max-width: min(18rem, 44vw); overflow: hidden;
  text-overflow: ellipsis; }
@media (max-width: 40rem) { .revenue tbody th:first-child { white-space: normal;
  min-width: 30vw; overflow-wrap: anywhere; } }
[class*="st-key-scroll-"] { overflow-x: auto; }
.tone { font-weight: 600; }
.tone.good { color: light-dark(#137a3e, #58d68d); }
.tone.waiting { color: light-dark(#8a5a00, #f5b041); }
.tone.bad { color: light-dark(#b3261e, #ff8a80); }
.tone.off { color: light-dark(#5b6470, #a7b0bd); }
</style>
"""


HEIGHT = 560
"""Of a place where a long table scrolls."""


class Column(NamedTuple):
    """A column: its heading, and whether it has numbers, short text, or text that wraps."""

    title: str
    kind: Literal["number", "text", "wide"] = "text"


class Cell(NamedTuple):
    """What a cell says; perhaps with a link, or with a tone that says whether it is good."""

    text: str
    link: str | None = None
    tone: Tone | None = None


def table(name: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell | str]]) -> str:
    """A table as HTML; the first column names its rows.

    Args:
        name: what the table is called by those who have it read out.
        columns: the columns.
        rows: a cell for each column; links are addresses that the page has made itself.
    """
    classes = ["" if each.kind == "number" else f"text {each.kind}" for each in columns]
    heads = "".join(
        f'<th scope="col" class="{kind}">{escape(each.title)}</th>'
        for each, kind in zip(columns, classes, strict=True)
    )
    body = "".join(_row(row, classes) for row in rows)
    return (
        f'{STYLE}{_STYLE}<table class="revenue narrow" aria-label="{escape(name)}">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


def scrolling(name: str, lines: int, most: int = 16) -> DeltaGenerator:
    """A place for a table that scrolls aside where the page is narrow, and down if it is long.

    The place scrolls, and not the table: so a new table doesn't lose the reader's place.

    Args:
        name: what no other place on the page is called.
        lines: how many lines the table has.
        most: how many lines are shown whole.
    """
    height = "content" if lines <= most else HEIGHT
    return st.container(height=height, border=False, key=f"scroll-{name}")  # type: ignore[arg-type]


def _row(row: Sequence[Cell | str], classes: Sequence[str]) -> str:
    first, *rest = (Cell(each) if isinstance(each, str) else each for each in row)
    cells = "".join(
        f'<td class="{kind}">{_shown(cell)}</td>'
        for cell, kind in zip(rest, classes[1:], strict=True)
    )
    title = escape(first.text)
    return f'<tr><th scope="row" title="{title}">{_shown(first)}</th>{cells}</tr>'


def _shown(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.tone is not None:
        text = f'<span class="tone {cell.tone}">{text}</span>'
    return text if cell.link is None else f'<a href="{escape(cell.link)}">{text}</a>'
