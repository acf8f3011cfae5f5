"""What a projection is: a table, a pure fold of the log into its rows, and SQL to check them by."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlmodel import SQLModel

from domain.contracts import Event

Key = tuple[str, ...]
"""The primary key of a row: its first columns."""

Row = tuple[Any, ...]
"""A row, in the order of the table's columns."""


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


@dataclass(frozen=True)
class Projection:
    """A view of the log, kept in a table that can be thrown away and made anew.

    Attributes:
        name: what commands and the table `projected` call it.
        title: what people call it.
        table: its live table; the columns of the primary key are text and come first.
        key: the key of the one row that an event touches; `None` when it touches none.
        step: the row after an event, from the row before, `None` where there is none. Pure.
        row: makes a row of the values of the columns.
        check: a SELECT over the table `event_log` that gives the rows which the projection must
            have at `:position`, its columns in the same order, and that shares nothing with `step`.
    """

    name: str
    title: str
    table: type[SQLModel]
    key: Callable[[Told], Key | None]
    step: Callable[[Any, Told], Row]
    row: Callable[[Iterable[Any]], Row]
    check: str

    def keys(self, events: Iterable[Told]) -> set[Key]:
        """The keys of all rows that events touch."""
        return {key for event in events if (key := self.key(event)) is not None}

    def fold(self, rows: Mapping[Key, Row], events: Iterable[Told]) -> dict[Key, Row]:
        """Take events into rows.

        Args:
            rows: the rows that they touch, by key, as far as they are there.
            events: events of the log, in order.

        Returns:
            Those rows afterwards.
        """
        after = dict(rows)
        key_of, step = self.key, self.step
        for event in events:
            key = key_of(event)
            if key is not None:
                after[key] = step(after.get(key), event)
        return after
