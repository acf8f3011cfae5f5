"""The log read for projections, and what of it can't be."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, text

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    Event,
    NewOrder,
    OrderShipped,
)
from domain.errors import StoreError
from event_log.database import Database, table_of
from event_log.log import EventRow
from event_log.statements import end_of_batch
from reporting.projection import LEFT_OUT, Told
from transport.codec import kept_decoder, type_name

# What the log has was decoded strictly when it was recorded: here it need only be fast.
_DECODERS: dict[str, Callable[[bytes], Any]] = {
    type_name(kind): kept_decoder(kind)
    for kind in (NewOrder, AuthorizationAccepted, AuthorizationDeclined, OrderShipped)
}
# Past the types of the columns: times stay text, which is a third of the cost.
_TOLD = text(
    "SELECT position, type || '.v' || version, body, business_time, published_time, "
    "recorded_time, hash FROM event_log WHERE position > :after AND position <= :last "
    "ORDER BY position"
)
_events = table_of(EventRow)
_NAMED = text(
    "SELECT event_id, correlation_id, type || '.v' || version, hash, body FROM event_log "
    "WHERE position = :position"
)


class Unreadable(StoreError):
    """An event of the log that can't be read: no projection can take it in.

    Attributes:
        position: where the log has it.
        event_id: its id.
        order_id: its order.
        name: its type with the version.
        why: why it can't be read.
        hash: its chain hash.
    """

    def __init__(
        self, log: Database, position: int, named: tuple[str, str, str, bytes, str]
    ) -> None:
        self.position = position
        self.event_id, self.order_id, self.name, self.hash, self.why = named
        super().__init__(
            f"position {position} of the log {log} can't be read as {self.name}: {self.why}. It is "
            f"event {self.event_id} of order {self.order_id}, and projections stop before it. "
            "`shop prove` says what is wrong, and a newer log needs a newer program; "
            f'`shop replay --without {position} --note "…"` goes on without it'
        )


def read_told(
    log: Database, after: int, limit: int, aside: Collection[int] = frozenset()
) -> list[Told]:
    """The events after a position, at most `limit`, as projections need them.

    They are fewer where their bodies are large.

    Args:
        log: the event log.
        after: the position.
        limit: how many.
        aside: positions whose events are left out: there is `LEFT_OUT` in their place.

    Returns:
        Those up to the first that can't be read, if there are any.

    Raises:
        Unreadable: the first one can't be.
        StoreError: the first position is missing, and later ones are there.
    """

    def rows(connection: Connection) -> Sequence[Any]:
        ahead = _events.c.position > after
        last = end_of_batch(connection, _events.c.position, [_events.c.body], ahead, limit)
        if last is None:
            return []
        return connection.execute(_TOLD, {"after": after, "last": last}).all()

    told: list[Told] = []
    for wanted, (found, name, body, *rest) in enumerate(log.read(rows), after + 1):
        try:
            _refuse_gap(log, wanted, found)
            event = LEFT_OUT if found in aside else _decoded(log, found, name, body)
        except StoreError:
            if told:
                break
            raise
        told.append(Told(found, event, *rest))
    return told


def _refuse_gap(log: Database, wanted: int, found: int) -> None:
    if found != wanted:
        raise StoreError(f"the log {log} has no position {wanted}: `shop prove` says what is wrong")


def unreadable(log: Database, position: int) -> Unreadable | None:
    """Why an event of the log can't be read; `None` if it can be.

    Raises:
        StoreError: the log has no such position.
    """
    name, body = _named(log, position)[2::2]
    try:
        _decoded(log, position, name, body)
    except Unreadable as error:
        return error
    return None


def _decoded(log: Database, position: int, name: str, body: bytes) -> Event:
    try:
        return cast(Event, _DECODERS[name](body))
    except KeyError:
        why = f"no event is called so; known are {', '.join(_DECODERS)}"
    except (TypeError, ValueError, RecursionError, msgspec.DecodeError) as error:
        why = str(error)
    event_id, order_id, _, chained, _ = _named(log, position)
    raise Unreadable(log, position, (event_id, order_id, name, bytes(chained), why))


def _named(log: Database, position: int) -> Any:
    with log.reading() as connection:
        row = connection.execute(_NAMED, {"position": position}).first()
    if row is None:
        raise StoreError(f"the log {log} has no position {position}")
    return row
