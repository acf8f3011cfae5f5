"""The recorder: every event into the event log."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Connection

from event_log import log
from event_log.database import Database, Place
from event_log.inbox import PositionRow
from event_log.log import EventRow, RepeatRow
from event_log.outbox import OutboxRow
from event_log.topic_ids import TopicRow
from services.batch import Handled, Subscriptions
from services.heartbeat import HeartbeatRow
from transport.records import Delivery
from transport.topics import AUTHORIZATIONS, ORDERS, REPORTING_REQUESTS


def open_log(place: Place) -> Database:
    """Open the event log's database."""
    return Database(place, [EventRow, RepeatRow, OutboxRow, PositionRow, TopicRow, HeartbeatRow])


class RecorderService:
    """Consumes all events; its outbox holds dead letters only."""

    name: ClassVar[str] = "recorder"
    # The log itself knows which events it has.
    inbox: ClassVar[bool] = False
    subscriptions: ClassVar[Subscriptions] = {
        ORDERS: None,
        AUTHORIZATIONS: None,
        REPORTING_REQUESTS: None,
    }

    def __init__(self, place: Place) -> None:
        """Keep the log in the database at `place`."""
        self.database = open_log(place)

    def handle(
        self, connection: Connection, deliveries: Sequence[Delivery], now: datetime
    ) -> Handled:
        """Append the events that the log doesn't have."""
        appended = log.append(connection, deliveries, now)
        handled = Handled(repeats=appended.repeats)
        handled.refused += [(delivery.record, why) for delivery, why in appended.reused]
        return handled
