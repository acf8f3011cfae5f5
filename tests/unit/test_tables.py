"""Tables of which nothing is cut, wherever they are printed."""

from io import StringIO

import pytest
from rich.console import Console
from rich.live import Live

from cli.tables import Table

FIGURES = ("10,499,999", "1,234,567,890,123.45", "987,654,321.09")
ORDER = "CDNOW_master/00001/19970101/1/11.77/" + "x" * 60


def made() -> Table:
    table = Table("Revenue, USD, log position 10,499,999")
    table.names("month")
    table.figures("orders", "USD", "declined")
    table.texts("order")
    table.add_row("1997-01", *FIGURES, ORDER)
    table.add_row("total", *FIGURES, "", style="bold")
    return table


def printed(width: int, *, terminal: bool) -> str:
    file = StringIO()
    console = Console(
        file=file, width=width, force_terminal=terminal, color_system=None, soft_wrap=True
    )
    console.print(made())
    return file.getvalue()


@pytest.mark.parametrize("width", [1, 10, 40, 60, 80, 100, 500])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_figure_is_cut_on_any_width(width: int, *, terminal: bool) -> None:
    shown = printed(width, terminal=terminal)
    assert "…" not in shown
    assert [shown.count(figure) for figure in FIGURES] == [3, 2, 2]
    assert shown.count("1997-01") == 1


def test_not_on_a_terminal_each_line_is_one_line_whatever_its_width() -> None:
    lines = printed(40, terminal=False).splitlines()
    (line,) = [line for line in lines if "1997-01" in line]
    assert line.split() == ["1997-01", *FIGURES, ORDER]


def test_on_a_terminal_texts_are_folded_and_then_cells_are_below_each_other() -> None:
    wide, narrow = (printed(width, terminal=True).splitlines() for width in (100, 60))
    assert max(map(len, wide)) <= 100
    assert any(all(figure in line for figure in FIGURES) for line in wide)
    assert max(map(len, narrow)) <= 60
    assert [line.split() for line in narrow if "USD  " in line] == [["USD", FIGURES[1]]] * 2


def test_a_page_that_is_drawn_again_and_again_has_whole_figures_too() -> None:
    file = StringIO()
    console = Console(file=file, width=40, force_terminal=True, color_system=None)
    with Live(made(), console=console, auto_refresh=False):
        pass
    assert all(figure in file.getvalue() for figure in FIGURES)
