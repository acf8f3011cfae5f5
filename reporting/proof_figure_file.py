"""Figures in files, read back: the stamp, and what the file says."""

import csv
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

from domain.errors import ShopError
from reporting.figure import HTML_ID, PERIODS, SHOWN, Stamp, stamp_in

_COMPARED = {"before", "after"}
"""The two reports of a comparison."""


@dataclass(frozen=True)
class Exported:
    """An exported file: a report as a JSON object, or a table of rows whose values are text."""

    stamp: Stamp
    report: Mapping[str, Any] = field(default_factory=dict)
    columns: Sequence[str] = ()
    rows: Sequence[Mapping[str, str]] = ()


def read_exported(path: Path) -> Sequence[Exported]:
    """Read an exported file: ``.json``, ``.html``, ``.csv`` or ``.parquet``.

    Returns:
        What it says; that is two reports where it compares them, and for a page the report in it
        and the figures that people see.

    Raises:
        ShopError: it can't be read, or has no stamp.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ShopError(f"{path} is none of {', '.join(_READERS)}: export the figures as one")
    try:
        return reader(path)
    except OSError as error:
        raise ShopError(f"{path} can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise ShopError(
            f"{path} can't be checked: {error}. Only a file that this program exported can be"
        ) from error


def _json(path: Path) -> list[Exported]:
    return _report(path.read_text(encoding="utf-8"))


def _html(path: Path) -> list[Exported]:
    found = _Page()
    found.feed(path.read_text(encoding="utf-8"))
    if not found.text:
        raise ValueError(f"it has no script block of the id {HTML_ID!r}")
    reports = _report(found.text)
    return [*reports, *_shown(reports[0].stamp, found.shown)]


def _shown(stamp: Stamp, shown: Sequence[tuple[str, str]]) -> list[Exported]:
    """The figures that people see on a page, as tables: by day, by month, and in all."""
    lines: dict[str, dict[str, str]] = defaultdict(dict)
    for name, value in shown:
        period, _, column = name.partition(" ")
        # The grouping of digits is for people.
        value = value.strip().replace(",", "")
        if lines[period].setdefault(column, value) != value:
            raise ValueError(f"it shows {name} as two figures")
    tables: dict[str, list[dict[str, str]]] = defaultdict(list)
    for period, cells in lines.items():
        kind = next((kind for kind, size in PERIODS.items() if len(period) == size), "total")
        tables[kind].append({kind: "" if kind == "total" else period, **cells})
    for rows in tables.values():
        if any(row.keys() != rows[0].keys() for row in rows):
            raise ValueError("a line of it has more or fewer figures than another")
    return [Exported(stamp, columns=tuple(rows[0]), rows=rows) for rows in tables.values()]


def _report(text: str) -> list[Exported]:
    said = json.loads(text)
    reports = [said]
    if isinstance(said, dict) and said.keys() >= _COMPARED:
        reports = [said[name] for name in sorted(_COMPARED, reverse=True)]
    if not all(isinstance(report, dict) for report in reports):
        raise ValueError("it is no JSON object")
    found = [Exported(stamp_in(report), report) for report in reports]
    return [*found, *(other for each in found for other in _others(each))]


def _others(found: Exported) -> list[Exported]:
    """The reports in other currencies beside a report, which have its stamp."""
    return [
        Exported(replace(found.stamp, currency=str(other["currency"])), other)
        for other in found.report.get("others", ())
        if isinstance(other, dict) and "currency" in other
    ]


def _csv(path: Path) -> list[Exported]:
    text = path.read_text(encoding="utf-8-sig")
    fields: dict[str, str] = {}
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        name, _, value = lines.pop(0).lstrip("# ").partition(":")
        fields[name.strip()] = value.strip()
    table = csv.DictReader(StringIO("".join(lines)), strict=True)
    rows = list(table)
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("a line has more or fewer fields than its head")
    return [Exported(stamp_in(fields), columns=tuple(table.fieldnames or ()), rows=rows)]


def _parquet(path: Path) -> list[Exported]:
    # Only here: it takes longer to import than most commands take.
    from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]

    try:
        # Given a path, it would take one with a colon for an address, and ask the network.
        with path.open("rb") as opened:
            table = parquet.read_table(opened)
    except ArrowException as error:
        raise ValueError(str(error)) from error
    metadata = table.schema.metadata or {}
    fields = {name.decode(): value.decode() for name, value in metadata.items()}
    rows = [{name: _text(value) for name, value in row.items()} for row in table.to_pylist()]
    return [Exported(stamp_in(fields), columns=tuple(table.column_names), rows=rows)]


def _text(value: object) -> str:
    return "" if value is None else str(value)


class _Page(HTMLParser):
    """Finds the block of JSON in a page, and the figures that are marked as such.

    A figure is the text of an element whose attribute says its period and column.
    """

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.shown: list[tuple[str, str]] = []
        self._tag = ""
        self._figure: str | None = None
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin where the block or a figure begins."""
        self._inside = tag == "script" and ("id", HTML_ID) in attrs
        figure = dict(attrs).get(SHOWN)
        if self._figure is not None:
            raise ValueError(f"there is an element inside of the figure {self._figure}")
        if tag == "td" and figure is None:
            raise ValueError("a cell of a table doesn't say which figure it is")
        if figure is not None:
            self._tag, self._figure = tag, figure
            self.shown.append((figure, ""))

    def handle_endtag(self, tag: str) -> None:
        """End where the block or the figure ends."""
        self._inside = False
        if tag == self._tag:
            self._figure = None

    def handle_data(self, data: str) -> None:
        """Take what is inside."""
        if self._inside:
            self.text += data
        if self._figure is not None:
            self.shown[-1] = (self._figure, self.shown[-1][1] + data)


_READERS = {".json": _json, ".html": _html, ".htm": _html, ".csv": _csv, ".parquet": _parquet}
