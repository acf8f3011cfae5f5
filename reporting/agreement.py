"""Whether a projection has the rows that its check gives, which is SQL straight over the log."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, text

from domain.errors import StoreError
from event_log.database import Database
from reporting.projection import Projection, Row
from reporting.projector import View, live
from reporting.set_aside import aside

ROWS_AT_ONCE = 1000
"""Rows of each side that are held in memory."""

MOST = 10
"""Disagreements that are given, if nothing else is said."""

_RANKS: dict[type, int] = {type(None): 0, int: 1, float: 1, str: 2, bytes: 3}


@dataclass(frozen=True)
class Disagreement:
    """A row that is not as the log says.

    `key` is the row's; `found` and `wanted` are its values by column, in the projection and by the
    check, `None` where it is not there. `by` says by how much numbers are too large in the
    projection.
    """

    key: tuple[Any, ...]
    found: dict[str, Any] | None
    wanted: dict[str, Any] | None
    by: dict[str, int | float] = field(default_factory=dict)

    def __str__(self) -> str:
        """What people read: the key, and what is different."""
        row = " ".join(str(value) for value in self.key)
        if self.found is None:
            return f"{row}: the log has this row, and the projection doesn't"
        if self.wanted is None:
            return f"{row}: the projection has this row, and the log doesn't"
        different = [
            f"{name} is {value!r}, by the log {self.wanted[name]!r}"
            for name, value in self.found.items()
            if value != self.wanted[name]
        ]
        return f"{row}: {'; '.join(different)}"


class MovedOn(StoreError):
    """A projection that is at another position than the one that it was to be compared at."""


def disagreements(
    log: Database,
    projections: Database,
    projection: Projection,
    position: int | None = None,
    *,
    most: int = MOST,
    view: View | None = None,
    again: Collection[int] = frozenset(),
) -> list[Disagreement]:
    """Compare the rows of a projection with what its check computes from the log.

    Both sides are read in the order of their keys and held a few rows at a time. Events that are
    set aside are in neither. Nothing is written.

    Args:
        log: the event log.
        projections: the database of the projections.
        projection: which one.
        position: where the projection must be; `None` for where it is when its rows are read.
        most: how many disagreements are given, at most.
        view: rows that are compared instead of the live ones.
        again: positions that are in the rows though they are set aside.

    Returns:
        The first disagreements in the order of the keys; none if the projection is right.

    Raises:
        MovedOn: the projection is not at `position`.
    """
    rows = view or live(projection)
    with ExitStack() as stack:
        kept = stack.enter_context(projections.reading())
        # The first reading fixes the state of the database that all of it sees.
        reached = rows.reached(kept).position
        if position is not None and reached != position:
            raise MovedOn(
                f"the projection {projection.name} is at position {reached}, not at {position}: "
                "try again"
            )
        left_out = [each for each in aside(kept) if each not in again]
        recorded = stack.enter_context(log.reading())
        found = _sorted(kept, projection, f'SELECT * FROM "{rows.table.name}"', {})  # noqa: S608
        wanted = _sorted(
            recorded,
            projection,
            projection.check_in(recorded.dialect.name, left_out),
            {"position": reached},
        )
        return list(islice(_differing(projection, found, wanted), most))


def _sorted(
    connection: Connection, projection: Projection, query: str, values: dict[str, int]
) -> Iterator[Row]:
    # Byte by byte, as SQLite compares by itself and `_rank` does.
    collation = "BINARY" if connection.dialect.name == "sqlite" else '"C"'
    keys = ", ".join(f'"{name}" COLLATE {collation}' for name in projection.key_columns)
    statement = text(f"SELECT * FROM ({query}) AS rows ORDER BY {keys}")  # noqa: S608 our own
    for row in connection.execute(statement, values).yield_per(ROWS_AT_ONCE):
        yield tuple(projection.read(row))


def _differing(
    projection: Projection, found: Iterable[Row], wanted: Iterable[Row]
) -> Iterator[Disagreement]:
    """Rows that differ between two sides in the order of their keys."""
    length = len(projection.key_columns)
    left, right = iter(found), iter(wanted)
    mine, due = next(left, None), next(right, None)
    while mine is not None or due is not None:
        if due is None or (mine is not None and _rank(mine[:length]) < _rank(due[:length])):
            yield _disagreement(projection, mine, None)
            mine = next(left, None)
        elif mine is None or _rank(due[:length]) < _rank(mine[:length]):
            yield _disagreement(projection, None, due)
            due = next(right, None)
        else:
            if mine != due:
                yield _disagreement(projection, mine, due)
            mine, due = next(left, None), next(right, None)


def _rank(key: Row) -> tuple[tuple[int, Any], ...]:
    # As SQLite sorts types: whoever tampers may put anything into a key.
    return tuple((_RANKS[type(value)], value if value is not None else 0) for value in key)


def _disagreement(projection: Projection, found: Row | None, wanted: Row | None) -> Disagreement:
    names = [str(column.name) for column in projection.table.__table__.columns]  # type: ignore[attr-defined]
    mine = None if found is None else dict(zip(names, found, strict=True))
    due = None if wanted is None else dict(zip(names, wanted, strict=True))
    key = found or wanted or ()
    by = {
        name: difference
        for name in names
        if (difference := _number(mine, name) - _number(due, name))
    }
    return Disagreement(key[: len(projection.key_columns)], mine, due, by)


def _number(row: dict[str, Any] | None, name: str) -> int | float:
    value = 0 if row is None else row[name]
    return value if isinstance(value, int | float) else 0
