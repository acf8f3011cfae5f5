"""What the log says of each order, taken from the bodies by SQL and not by a projection's fold."""

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined, NewOrder, OrderShipped
from event_log.database import Database
from event_log.sqlite import BUSY_TIMEOUT_SECONDS, look_into
from reporting.proof import Progress

PLACED = f"shop.{NewOrder.__name__}"
ACCEPTED = f"shop.{AuthorizationAccepted.__name__}"
DECLINED = f"shop.{AuthorizationDeclined.__name__}"
SHIPPED = f"shop.{OrderShipped.__name__}"

BATCH = 20_000
"""Rows of the log in one reading."""


class Said(NamedTuple):
    """One event of an order; `cents` are minor units, `business_time` is when it was ordered.

    What a body doesn't have, or not as what it should be, is `None`.
    """

    order_id: str
    position: int
    type: str
    customer_id: str | None
    business_time: str
    cents: int | None
    currency: str | None
    items: int | None
    reason: str | None
    topic: str
    partition: int
    offset: int

    @property
    def about(self) -> tuple[object, ...]:
        """What all events of an order say alike, amounts apart."""
        return self.customer_id, self.business_time, self.items


_COLUMNS = (
    *("position", "correlation_id", "type", "business_time", "topic", "partition", '"offset"'),
    "body",
)
_INSERT = """
INSERT INTO temp.said
SELECT correlation_id, position, type,
    CASE WHEN ok THEN json_extract(body, '$.customer_id') END,
    business_time,
    CASE WHEN ok AND json_type(body, '$.amount.cents') = 'integer'
        THEN json_extract(body, '$.amount.cents') END,
    CASE WHEN ok THEN json_extract(body, '$.amount.currency') END,
    CASE WHEN ok THEN json_extract(body, '$.items') END,
    CASE WHEN ok THEN json_extract(body, '$.reason') END,
    topic, partition, "offset"
FROM (SELECT *, json_valid(body) AS ok FROM (
    SELECT position, correlation_id, type, business_time, topic, partition, "offset",
        CAST(body AS TEXT) AS body
    FROM ({rows})))
"""
_NAMES = ", ".join(_COLUMNS)
_RECORDED = _INSERT.format(
    rows=f"SELECT {_NAMES} FROM event_log WHERE position > ? AND position <= ?"  # noqa: S608
)
_GIVEN = _INSERT.format(rows=f"SELECT {', '.join(f'? AS {name}' for name in _COLUMNS)}")
_ROWS = text(
    f"SELECT {_NAMES} FROM event_log "  # noqa: S608 the table's own columns
    "WHERE position > :after AND position <= :until"
)


class Stories:
    """The events of each order, in order of their ids, up to a position of the log.

    They are gathered once, in a temporary file, so that memory is bounded and no long reading holds
    an old state of the log. Bodies are read by SQLite's JSON wherever the log is. It must be
    closed.
    """

    def __init__(self, log: Database, until: int) -> None:
        """Read `log` up to position `until`."""
        self._log = log
        # A file is read by SQLite itself, which takes a third of the time.
        self._file = isinstance(log.place, Path)
        # An empty name is a file that SQLite itself removes.
        self._database = (
            look_into(log.path, BUSY_TIMEOUT_SECONDS)
            if self._file
            else sqlite3.connect("", isolation_level=None)
        )
        # A body that is no UTF-8 is wrong elsewhere, and must not end a proof of orders.
        self._database.text_factory = lambda text: text.decode(errors="replace")
        self._database.execute("PRAGMA temp_store=FILE")
        self._database.execute(f"CREATE TEMP TABLE said ({', '.join(map(_quoted, Said._fields))})")
        self._until = until
        self._gathered = 0

    def gather(self, progress: Progress) -> None:
        """Read the log; what was gathered before is not read again."""
        while self._gathered < self._until:
            until = min(self._gathered + BATCH, self._until)
            if self._file:
                self._database.execute(_RECORDED, (self._gathered, until))
            else:
                self._take(until)
            self._gathered = until
            progress(until, self._until)

    def _take(self, until: int) -> None:
        with self._log.reading() as connection:
            rows = connection.execute(_ROWS, {"after": self._gathered, "until": until}).all()
        self._database.execute("BEGIN")
        self._database.executemany(_GIVEN, map(tuple, rows))
        self._database.execute("COMMIT")

    def __iter__(self) -> Iterator[tuple[str, list[Said]]]:
        """Each order's id and its events, in the order of the log."""
        rows = self._database.execute("SELECT * FROM temp.said ORDER BY order_id, position")
        for order_id, events in groupby(map(Said._make, rows), itemgetter(0)):
            yield order_id, list(events)

    def close(self) -> None:
        """Forget them."""
        self._database.close()


def _quoted(name: str) -> str:
    return f'"{name}"'
