"""An order's way as steps: events that the log has, and messages that can be inferred from them.

Messages aren't in the log. But the ids of what is said are derived from order and kind, so that an
event which says what caused it tells of the message by its id, exactly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizePayment,
    NewOrder,
    OrderShipped,
    RecordRevenue,
    ShipOrder,
)
from domain.errors import ContractError
from domain.identity import message_id, reply_id
from domain.money import format_amount, unit_of
from event_log.log import RecordedEvent
from reporting.projections.late import is_late
from transport.codec import decode
from transport.envelope import format_time
from transport.topics import REPORTING_REQUESTS

ORDER, PAYMENT, WAREHOUSE = "the order service", "the payment service", "the warehouse"

_SOURCES = {"/shop/order": ORDER, "/shop/payment": PAYMENT, "/shop/warehouse": WAREHOUSE}
_DECISIONS = ("AuthorizationAccepted", "AuthorizationDeclined")
_RANK = {"NewOrder": 0, "AuthorizationAccepted": 1, "AuthorizationDeclined": 1, "OrderShipped": 2}


@dataclass(frozen=True)
class Because:
    """What a step was caused by: in words, and the id of that step where it is one of the story."""

    words: str
    step: str | None = None


@dataclass(frozen=True)
class Step:
    """One step of an order.

    `id` is the event's or the message's. `position` is `None` for a message, which isn't in the
    log; `told` are sentences about it, and `late` one that says so if it came late to the report.
    `fields` are names and values as they are recorded.
    """

    id: str
    name: str
    by: str
    because: Because
    position: int | None = None
    at: str | None = None
    told: tuple[str, ...] = ()
    late: str | None = None
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def is_message(self) -> bool:
        """Whether it is a message, and inferred."""
        return self.position is None


class _Ids:
    """The ids that an order's events and messages have."""

    def __init__(self, order_id: str) -> None:
        self.placed = message_id(NewOrder, order_id)
        self.decided = message_id(AuthorizationAccepted, order_id)
        self.shipped = message_id(OrderShipped, order_id)
        self.request = message_id(AuthorizePayment, order_id)
        self.reply = reply_id(order_id, UUID(self.request).bytes)
        self.record = message_id(RecordRevenue, order_id)
        self.ship = message_id(ShipOrder, order_id)


def steps(order_id: str, events: Iterable[RecordedEvent], *, loaded: bool = False) -> list[Step]:
    """The steps of an order in the order of cause and effect, from its events in the log.

    Args:
        order_id: the order.
        events: its events.
        loaded: whether its month was loaded from the past: then no step of it is late.
    """
    ids = _Ids(order_id)
    found = sorted(events, key=lambda event: (_RANK.get(_name(event), 3), event.position))
    positions = {event.event_id: event.position for event in found}
    told: list[Step] = []
    for event in found:
        before = _messages_before(event, ids, positions)
        told += (each for each in before if each.id not in {known.id for known in told})
        step = _of_event(event, ids, positions, {each.id for each in told})
        told.append(replace(step, late=None) if loaded else step)
    return told


def style(order_id: str, events: Sequence[RecordedEvent]) -> str | None:
    """By which style the order was authorized, in a sentence; `None` if it doesn't tell."""
    ids = _Ids(order_id)
    for event in events:
        if event.event_id != ids.decided:
            continue
        if event.causation_id == ids.placed:
            return (
                "Event-driven: the order service published NewOrder, and the payment service, "
                "which had subscribed to it, published its decision."
            )
        if event.causation_id in (ids.request, ids.reply):
            return (
                "Message-driven: the order service asked the payment service by a message, and "
                "was answered by another."
            )
    return None


def _messages_before(event: RecordedEvent, ids: _Ids, positions: dict[str, int]) -> list[Step]:
    """The messages that an event tells of, in the order in which they were sent."""
    cause = event.causation_id
    messages = []
    if event.event_id == ids.shipped and cause == ids.ship:
        paid = positions.get(ids.decided)
        messages.append(
            Step(
                ids.ship,
                "ShipOrder",
                f"{ORDER} to {WAREHOUSE}",
                _because_of("AuthorizationAccepted", ids.decided, positions)
                if paid is not None
                else Because("because of the authorization, which the log doesn't have yet"),
                told=("Its payload is the encoded AuthorizationAccepted.", _known_by(event)),
            )
        )
    if event.event_id != ids.decided:
        return messages
    if cause in (ids.request, ids.reply):
        messages.append(
            Step(
                ids.request,
                "AuthorizePayment",
                f"{ORDER} to {PAYMENT}",
                Because("because the order was placed; the log has no event of that")
                if ids.placed not in positions
                else Because("because the order was placed", ids.placed),
                told=("It asks for an authorization, and waits for a reply.", _known_by(event)),
            )
        )
    if cause == ids.reply:
        messages.append(
            Step(
                ids.reply,
                f"The reply, {_name(event)}",
                f"{PAYMENT} to {ORDER}",
                Because("because of the message AuthorizePayment", ids.request),
                told=("Its payload is the encoded authorization.", _known_by(event)),
            )
        )
    if event.topic == REPORTING_REQUESTS:
        known = {each.id for each in messages}
        messages.append(
            Step(
                ids.record,
                "RecordRevenue",
                f"{ORDER} to reporting",
                _cause(event, ids, positions, known),
                told=(
                    "It carried the authorization into the log, for in this style nobody "
                    "subscribes to it.",
                    f"Not in the log itself; the event at position {event.position:,} came from "
                    f"the topic {event.topic}, which carries these messages only.",
                ),
            )
        )
    return messages


def _known_by(event: RecordedEvent) -> str:
    return (
        f"Not in the log; known by the event at position {event.position:,}, whose cause has the "
        "id that this message must have."
    )


def _of_event(
    event: RecordedEvent, ids: _Ids, positions: dict[str, int], messages: set[str]
) -> Step:
    by = _SOURCES.get(event.source, event.source)
    if event.topic == REPORTING_REQUESTS:
        # What carries it was said by the order service; what it says is the payment service's.
        by = f"{PAYMENT}, told by {by}"
        because = Because("carried by the message RecordRevenue", ids.record)
    else:
        because = _cause(event, ids, positions, messages)
    return Step(
        event.event_id,
        _name(event),
        by,
        because,
        event.position,
        format_time(event.published_time),
        _said(event),
        _late(event),
        _fields(event),
    )


def _cause(
    event: RecordedEvent, ids: _Ids, positions: dict[str, int], messages: set[str]
) -> Because:
    cause = event.causation_id
    if cause is None:
        if event.event_id == ids.placed:
            return Because("because a customer placed an order")
        return Because("its cause isn't said")
    if cause == ids.placed:
        return _because_of("NewOrder", cause, positions)
    if cause == ids.decided:
        return _because_of("the authorization", cause, positions)
    names = {
        ids.request: "the message AuthorizePayment",
        ids.reply: "the reply to AuthorizePayment",
        ids.ship: "the message ShipOrder",
        ids.record: "the message RecordRevenue",
    }
    if cause in names:
        return Because(f"because of {names[cause]}", cause if cause in messages else None)
    return Because(f"because of {cause}, which is no id of this order's events and messages")


def _because_of(name: str, event_id: str, positions: dict[str, int]) -> Because:
    position = positions.get(event_id)
    if position is None:
        return Because(f"because of {name}, which the log doesn't have")
    return Because(f"because of {name} at position {position:,}", event_id)


def _name(event: RecordedEvent) -> str:
    return event.type.removeprefix("shop.")


def _said(event: RecordedEvent) -> tuple[str, ...]:
    """What the event says, for people."""
    try:
        said = decode(f"{event.type}.v{event.version}", event.body)
    except ContractError as error:
        return (f"What it says can't be read: {error}.",)
    told = []
    amount = getattr(said, "amount", None)
    if amount is not None:
        told.append(f"{format_amount(amount.cents, amount.currency)} {unit_of(amount.currency)}")
    items = getattr(said, "items", None)
    if items is not None:
        told.append("1 item" if items == 1 else f"{items:,} items")
    if (reason := getattr(said, "reason", None)) is not None:
        told.append(f"declined: {reason.value.replace('_', ' ')}")
    if (address := getattr(said, "billing_address", None)) is not None:
        told.append(f"billed to {address}")
    return (" · ".join(told),) if told else ()


def _late(event: RecordedEvent) -> str | None:
    if _name(event) not in _DECISIONS:
        # An order is in the report by its decision; it may well be shipped a month later.
        return None
    ordered, recorded = format_time(event.business_time), format_time(event.recorded_time)
    if not is_late(ordered, recorded):
        return None
    return f"Recorded late: in {recorded[:7]}, when its business month {ordered[:7]} was over."


def _fields(event: RecordedEvent) -> tuple[tuple[str, str], ...]:
    return (
        ("Business time", in_words(format_time(event.business_time))),
        ("Published", in_words(format_time(event.published_time))),
        ("Recorded", in_words(format_time(event.recorded_time))),
        ("Kafka", f"{event.topic}[{event.partition}] at offset {event.offset:,}"),
        ("Source", event.source),
        ("Event id", event.event_id),
        ("Causation id", event.causation_id or "none"),
        ("Correlation id", event.correlation_id),
        ("Hash", event.hash.hex()),
    )


def in_words(time: str) -> str:
    """A time of the log as people read it, to the second: ``1997-03-28 00:00:00 UTC``."""
    return f"{time[:10]} {time[11:19]} UTC"
