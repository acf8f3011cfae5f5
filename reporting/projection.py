"""What a projection is: a table, a pure fold of the log into its rows, and SQL to check them by."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

from sqlalchemy import MetaData, Table, quoted_name
from sqlmodel import SQLModel

from domain.contracts import Event
from event_log.database import table_of
from event_log.sums import Whole, kept, sum_in, whole

Key = tuple[str, ...]
"""The primary key of a row: its first columns."""

Row = tuple[Any, ...]
"""A row, in the order of the table's columns."""


_SUMMED = re.compile(r"\bsummed\(((?:[^()]|\([^()]*\))*)\)")
_UP_TO = "position <= :position"
_SAID = re.compile(r"\bsaid\(([a-z.]+)\)")
_JSON = {
    "sqlite": "CAST({body} AS TEXT)",
    # Postgres reads no JSON with a NUL in it. An address may have one, and is of no matter here.
    "postgresql": r"CAST(CASE WHEN strpos(convert_from({body}, 'UTF8'), '\u0000') = 0 "
    r"THEN convert_from({body}, 'UTF8') ELSE regexp_replace(convert_from({body}, 'UTF8'), "
    r"'(?<!\\)((\\\\)*)\\u0000', '\1', 'g') END AS JSON)",
}
"""By dialect, how a body of bytes is read as JSON."""


class Told(NamedTuple):
    """An event of the log, as projections need it.

    `event` is what its body says. Times are text as the log keeps it, RFC 3339 in UTC with six
    decimals, so that their order is the order of time: `ordered_at` is business time,
    `published_at` when its source said it, `recorded_at` when the log took it in.
    """

    position: int
    event: Event
    ordered_at: str
    published_at: str
    recorded_at: str
    hash: bytes


LEFT_OUT = cast(Event, None)
"""What is in the place of an event that was set aside: it makes no row."""


@dataclass(frozen=True)
class Projection:
    """A view of the log, kept in a table that can be thrown away and made anew.

    Attributes:
        name: what commands and the table `projected` call it.
        title: what people call it.
        table: its live table; the columns of the primary key are text and come first.
        row: makes a row of the values of the columns.
        alone: the row that one event makes if it is the only one; `None` if it makes none. Pure.
        merge: the row that two of one key make together, the one of earlier events first. Pure,
            and associative: how the events are split into batches makes no difference.
        check: a SELECT over the table `event_log` that gives the rows which the projection must
            have at `:position`, the columns in the same order. It shares nothing with the fold.
            ``said(body)`` in it stands for the JSON that a body is, and ``summed(cents)`` for a sum
            of any size; see `check_in`.
    """

    name: str
    title: str
    table: type[SQLModel]
    row: Callable[[Iterable[Any]], Row]
    alone: Callable[[Told], Row | None]
    merge: Callable[[Any, Any], Row]
    check: str

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The names of the columns that a row is found by."""
        return tuple(str(column.name) for column in table_of(self.table).primary_key)

    def check_in(self, dialect: str, aside: Iterable[int] = ()) -> str:
        """The check as a database reads it: ``sqlite`` or ``postgresql``.

        Events at the positions `aside` are left out.
        """
        check = _SUMMED.sub(lambda found: sum_in(dialect, found[1]), self.check)
        if positions := ", ".join(f"{int(each)}" for each in aside):
            without = f"{_UP_TO} AND position NOT IN ({positions})"
            check = check.replace(_UP_TO, without)
        return _SAID.sub(lambda found: _JSON[dialect].format(body=found[1]), check)

    @cached_property
    def sums(self) -> tuple[int, ...]:
        """Which columns, counted from 0, are numbers of any size."""
        columns = table_of(self.table).columns
        return tuple(at for at, each in enumerate(columns) if isinstance(each.type, Whole))

    def read(self, values: Iterable[Any]) -> Row:
        """A row of the values that a database has in the columns."""
        if not self.sums:
            return self.row(values)
        read = list(values)
        for at in self.sums:
            read[at] = whole(read[at])
        return self.row(read)

    def written(self, row: Row, dialect: str) -> Row:
        """The values of a row as a database keeps them."""
        if not self.sums or dialect != "sqlite":
            return tuple(row)
        written = list(row)
        for at in self.sums:
            written[at] = kept(written[at])
        return tuple(written)

    def fold(self, events: Iterable[Told]) -> dict[Key, Row]:
        """The rows that events make by themselves, by key; the events are in the log's order."""
        made: dict[Key, Row] = {}
        length, alone, merge = len(self.key_columns), self.alone, self.merge
        for event in events:
            row = None if event.event is LEFT_OUT else alone(event)
            if row is not None:
                key = row[:length]
                before = made.get(key)
                made[key] = row if before is None else merge(before, row)
        return made

    def take(self, rows: Mapping[Key, Row], made: Mapping[Key, Row]) -> dict[Key, Row]:
        """The rows after events, from those before and what the events made by themselves.

        Args:
            rows: the rows before, as far as they are there: those of the keys in `made` at least.
            made: what `fold` gave for the events.

        Returns:
            The rows of the keys in `made`.
        """
        merge = self.merge
        return {key: merge(rows[key], new) if key in rows else new for key, new in made.items()}


def shadow_table(projection: Projection) -> Table:
    """The table in which a replay makes the rows of a projection, beside the live ones."""
    live = table_of(projection.table)
    name = f"{live.name}_replay"
    table = live.to_metadata(MetaData(), name=name)
    for index in table.indexes:
        # Names of indexes are the schema's.
        index.name = quoted_name(str(index.name).replace(live.name, name), None)
    return table
