"""Tables for people, of which nothing is cut: half a figure is another figure."""

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import measure_renderables
from rich.table import Table as RichTable
from rich.text import Text

TEXT_COLUMNS = 20
"""Columns of a terminal below which a text isn't folded: it would be a column of syllables."""

_ENDLESS = 1_000_000
_BETWEEN = 2


class Table(RichTable):
    """A table that is as wide as it must be.

    Not on a terminal, that is what its cells need. On one, texts are folded to its width; where
    that isn't enough, each line of the table is written as a list, a cell below the other.
    """

    def __init__(self, title: str | None = None) -> None:
        """A table without columns; `title` is in Rich's markup."""
        super().__init__(
            title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True
        )

    def names(self, *headings: str) -> None:
        """Add columns of words that stay whole."""
        for heading in headings:
            self.add_column(heading, no_wrap=True)

    def figures(self, *headings: str) -> None:
        """Add columns of figures."""
        for heading in headings:
            self.add_column(heading, justify="right", no_wrap=True)

    def texts(self, *headings: str) -> None:
        """Add columns whose cells may be folded."""
        for heading in headings:
            self.add_column(heading, overflow="fold")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give Rich what to print where `options` say."""
        endless = options.update_width(_ENDLESS)
        width = self.__rich_measure__(console, endless).maximum
        if console.is_terminal and width > options.max_width:
            if width - self._foldable(console, endless) > options.max_width:
                yield from self._lists(console, options)
                return
            width = options.max_width
        yield from super().__rich_console__(console, options.update_width(width))

    def _foldable(self, console: Console, endless: ConsoleOptions) -> int:
        """By how many columns its texts can be made narrower."""
        texts = [[each.header, *each.cells] for each in self.columns if not each.no_wrap]
        widths = [measure_renderables(console, endless, cells).maximum for cells in texts]
        return sum(max(0, width - TEXT_COLUMNS) for width in widths)

    def _lists(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text.from_markup(str(self.title), style="table.title")
        endless = options.update_width(_ENDLESS)
        headings = [column.header for column in self.columns]
        whole = [cell for column in self.columns if column.no_wrap for cell in column.cells]
        least = sum(
            measure_renderables(console, endless, some).maximum for some in (headings, whole)
        )
        room = options.update_width(max(options.max_width, least + _BETWEEN))
        cells = [list(column.cells) for column in self.columns]
        for row, line in zip(self.rows, zip(*cells, strict=True), strict=True):
            yield ""
            listed = RichTable.grid(padding=(0, _BETWEEN))
            listed.add_column(style="table.header", no_wrap=True)
            listed.add_column(overflow="fold")
            for column, cell in zip(self.columns, line, strict=True):
                if cell:
                    listed.add_row(column.header, cell, style=row.style)
            yield from console.render(listed, room)
