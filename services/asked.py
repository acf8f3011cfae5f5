"""What the order service has asked the payment service, kept from the decision to ask on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, bindparam, func, select
from sqlmodel import Field, SQLModel

from domain.contracts import NewOrder
from domain.requests import RequestState
from event_log.database import UtcTime, table_of
from event_log.statements import among, insert_into
from transport.codec import decode, encode, type_name


class RequestRow(SQLModel, table=True):
    """A request and how it stands; `order` is the encoded NewOrder, `outcome` the reply."""

    __tablename__ = "requests"
    correlation_id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    state: str = Field(index=True)
    outcome: str | None
    order: bytes
    asked_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    settled_at: datetime | None = Field(sa_column=Column(UtcTime, nullable=True))


_requests = table_of(RequestRow)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its correlation id (a UUID), its order, and when it is given up (UTC)."""

    correlation_id: str
    order: NewOrder
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands, for people to read."""

    correlation_id: str
    order_id: str
    state: RequestState
    outcome: str | None
    asked_at: datetime
    expires_at: datetime
    settled_at: datetime | None


def keep_asked(connection: Connection, asked: Iterable[Asked], now: datetime) -> None:
    """Keep requests as pending; a known one keeps its state, but is given up no longer."""
    rows = [
        {
            "correlation_id": each.correlation_id,
            "order_id": each.order.order_id,
            "state": RequestState.PENDING.value,
            "outcome": None,
            "order": encode(each.order),
            "asked_at": now,
            "expires_at": each.expires_at,
            "settled_at": None,
        }
        for each in asked
    ]
    if not rows:
        return
    statement = insert_into(connection, _requests)
    again = {name: statement.excluded[name] for name in ("state", "expires_at", "settled_at")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_requests.c.correlation_id],
            set_=again,
            where=_requests.c.state == RequestState.EXPIRED.value,
        ),
        rows,
    )


def states_of(connection: Connection, ids: Iterable[str]) -> dict[str, RequestState]:
    """How requests stand, by correlation id; unknown ones are left out."""
    rows = connection.execute(
        select(_requests.c.correlation_id, _requests.c.state).where(
            among(_requests.c.correlation_id, ids)
        )
    )
    return {row.correlation_id: RequestState(row.state) for row in rows}


def keep_states(
    connection: Connection,
    states: Sequence[tuple[str, RequestState, str | None]],
    now: datetime,
) -> None:
    """Keep how requests stand now: correlation id, state, and the reply in a word."""
    if not states:
        return
    statement = (
        _requests.update()
        .where(_requests.c.correlation_id == bindparam("of"))
        .values(state=bindparam("now"), outcome=bindparam("word"), settled_at=bindparam("at"))
    )
    connection.execute(
        statement,
        [
            {"of": correlation_id, "now": state.value, "word": word, "at": now}
            for correlation_id, state, word in states
        ],
    )


def unanswered(connection: Connection) -> list[Asked]:
    """Requests that nobody has answered, oldest first: pending ones and those given up."""
    rows = connection.execute(
        select(_requests.c.correlation_id, _requests.c.order, _requests.c.expires_at)
        .where(_requests.c.state.in_([RequestState.PENDING.value, RequestState.EXPIRED.value]))
        .order_by(_requests.c.asked_at)
    )
    found = []
    for row in rows:
        order = decode(type_name(NewOrder), row.order)
        if isinstance(order, NewOrder):
            found.append(Asked(row.correlation_id, order, row.expires_at))
    return found


def standings(
    connection: Connection, state: RequestState | None = None, limit: int = 1000
) -> list[Standing]:
    """How requests stand, newest first."""
    query = select(
        _requests.c.correlation_id,
        _requests.c.order_id,
        _requests.c.state,
        _requests.c.outcome,
        _requests.c.asked_at,
        _requests.c.expires_at,
        _requests.c.settled_at,
    ).order_by(_requests.c.asked_at.desc())
    if state is not None:
        query = query.where(_requests.c.state == state.value)
    return [
        Standing(row[0], row[1], RequestState(row[2]), *row[3:])
        for row in connection.execute(query.limit(limit))
    ]


def counts(connection: Connection) -> dict[RequestState, int]:
    """How many requests stand how."""
    rows = connection.execute(select(_requests.c.state, func.count()).group_by(_requests.c.state))
    return {RequestState(state): count for state, count in rows}
