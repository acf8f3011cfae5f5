"""The event log as those look at it who look at topics: the status, and a watchdog."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select

from domain.progress import Standing
from event_log.database import Place, table_of
from event_log.log import EventRow, last_position
from reporting.projector import LOG
from reporting.read_only import ReadOnlyDatabase, has_tables
from transport.topics import TopicPartition

_events = table_of(EventRow)


class LogView:
    """What there is for the projector to read."""

    def __init__(self, place: Place) -> None:
        """Look at the log at `place`, which need not be there yet."""
        self._log = ReadOnlyDatabase(place)

    def ends(self, _topics: Iterable[str] = ()) -> dict[TopicPartition, int]:
        """How many events the log has; nothing while there is no log.

        Raises:
            SQLAlchemyError: it can't be read.
            OSError: its file can't be looked at.
        """
        if self._log.identity() is None:
            return {}
        with self._log.reading() as connection:
            if not has_tables(connection, EventRow):
                return {}
        return {LOG: last_position(self._log)}

    def standings(
        self, ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, Standing]:
        """How many events were projected; every position has one."""
        return {place: Standing(end, positions.get(place, 0)) for place, end in ends.items()}

    def waits_since(self, _place: TopicPartition, standing: Standing) -> datetime | None:
        """When the first event that waits was recorded; `None` if there is none.

        Raises:
            SQLAlchemyError: the log can't be read.
        """
        # The very next one may be missing, and what is behind it waits nevertheless.
        query = select(_events.c.recorded_time).where(_events.c.position > standing.position)
        with self._log.reading() as connection:
            found: datetime | None = connection.scalar(query.order_by(_events.c.position).limit(1))
        return found
