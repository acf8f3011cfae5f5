"""What the order service has asked the payment service, kept from the decision to ask on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, bindparam, case, func, literal, or_, select, tuple_
from sqlmodel import Field, SQLModel

from domain.contracts import NewOrder
from domain.requests import RequestStanding, RequestState
from event_log.database import UtcTime, table_of
from event_log.statements import among, insert_into
from transport.codec import decode, encode, type_name


class RequestRow(SQLModel, table=True):
    """A request and how it stands; `order` is the encoded NewOrder, `outcome` the reply.

    `expires_at` is the latest deadline of all times it was asked, and `reply_partition` that of who
    asked last: whoever has that partition after him asks for what he left.
    """

    __tablename__ = "requests"
    correlation_id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    state: str = Field(index=True)
    outcome: str | None
    order: bytes
    asked_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    reply_partition: int
    settled_at: datetime | None = Field(sa_column=Column(UtcTime, nullable=True))


_requests = table_of(RequestRow)
_OPEN = (RequestState.PENDING.value, RequestState.EXPIRED.value)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its correlation id (a UUID), its order, and when it is given up (UTC).

    `reply_partition` is where whoever asks reads his replies.
    """

    correlation_id: str
    order: NewOrder
    expires_at: datetime
    reply_partition: int = 0


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
    """Keep requests as pending; one that is decided stays so, any other is asked once more."""
    rows = [
        {
            "correlation_id": each.correlation_id,
            "order_id": each.order.order_id,
            "state": RequestState.PENDING.value,
            "outcome": None,
            "order": encode(each.order),
            "asked_at": now,
            "expires_at": each.expires_at,
            "reply_partition": each.reply_partition,
            "settled_at": None,
        }
        for each in asked
    ]
    if not rows:
        return
    statement = insert_into(connection, _requests)
    new, before = statement.excluded, _requests.c
    again = {
        name: new[name] for name in ("state", "outcome", "order", "reply_partition", "settled_at")
    }
    # As long as any of its tries may be decided, it may be.
    again["expires_at"] = case(
        (new.expires_at > before.expires_at, new.expires_at), else_=before.expires_at
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[before.correlation_id],
            set_=again,
            where=or_(before.outcome.is_(None), before.outcome.startswith("error:")),
        ),
        rows,
    )


def standings_of(connection: Connection, ids: Iterable[str]) -> dict[str, RequestStanding]:
    """How requests stand, by correlation id; unknown ones are left out."""
    rows = connection.execute(
        select(
            _requests.c.correlation_id,
            _requests.c.state,
            _requests.c.expires_at,
            _requests.c.outcome,
        ).where(among(_requests.c.correlation_id, ids))
    )
    return {row[0]: RequestStanding(RequestState(row[1]), row[2], row[3]) for row in rows}


def keep_standings(
    connection: Connection, standings: Mapping[str, RequestStanding], now: datetime
) -> None:
    """Keep how requests stand now, by correlation id."""
    if not standings:
        return
    statement = (
        _requests.update()
        .where(_requests.c.correlation_id == bindparam("of"))
        .values(state=bindparam("now"), outcome=bindparam("word"), settled_at=bindparam("at"))
    )
    connection.execute(
        statement,
        [
            {
                "of": correlation_id,
                "now": each.state.value,
                "word": each.outcome,
                "at": None if each.state is RequestState.PENDING else now,
            }
            for correlation_id, each in standings.items()
        ],
    )


def partitions_unanswered(connection: Connection) -> list[int]:
    """The reply partitions whose requests nobody has answered, of some at least."""
    query = select(_requests.c.reply_partition).where(_requests.c.state.in_(_OPEN)).distinct()
    return sorted(connection.scalars(query))


def unanswered(
    connection: Connection, reply_partition: int, after: tuple[datetime, str] | None, most: int
) -> tuple[list[Asked], tuple[datetime, str] | None]:
    """Requests of a partition that nobody has answered: pending ones and those given up.

    Returns:
        At most `most` of them, oldest first, that come after the place `after`; and the place of
        the last, `None` after the last of all.
    """
    place = (_requests.c.asked_at, _requests.c.correlation_id)
    query = select(_requests.c.order, _requests.c.expires_at, *place).where(
        _requests.c.state.in_(_OPEN), _requests.c.reply_partition == reply_partition
    )
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(literal(after[0], UtcTime), after[1]))
    rows = connection.execute(query.order_by(*place).limit(most)).all()
    found = []
    for row in rows:
        order = decode(type_name(NewOrder), row.order)
        if isinstance(order, NewOrder):
            found.append(Asked(row.correlation_id, order, row.expires_at, reply_partition))
    return found, (rows[-1].asked_at, rows[-1].correlation_id) if rows else None


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
