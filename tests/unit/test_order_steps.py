"""What an order's events tell of what caused what, in every style and where something is odd."""

from datetime import UTC, datetime
from uuid import UUID

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizePayment,
    Event,
    NewOrder,
    OrderShipped,
    RecordRevenue,
    ShipOrder,
)
from domain.identity import message_id, message_id_of, reply_id
from domain.money import Money
from event_log.log import RecordedEvent
from reporting.dashboard.order_steps import Step, steps, style
from reporting.dashboard.orders_html import timeline
from transport.codec import encode, type_name
from transport.topics import topic_of

ID = "CDNOW_master/00001/19970101/1/11.77"
ORDERED = datetime(1997, 3, 28, tzinfo=UTC)
PLACED = NewOrder(ID, "00042", ORDERED, Money(2933, "USD"), 2, "<i>42</i> Street")
ACCEPTED = AuthorizationAccepted(ID, "00042", ORDERED, Money(2933, "USD"), 2)
SHIPPED = OrderShipped(ID, "00042", ORDERED, 2)
REQUEST = message_id(AuthorizePayment, ID)
REPLY = reply_id(ID, UUID(REQUEST).bytes)
SHIP = message_id(ShipOrder, ID)


def recorded(
    position: int, event: Event, cause: str | None, topic: str | None = None, month: int = 3
) -> RecordedEvent:
    name, _, version = type_name(event).rpartition(".v")
    said = datetime(1997, month, 28, 1, tzinfo=UTC)
    return RecordedEvent(
        *(position, message_id_of(event), name, int(version), "/shop/order", ID, ID, cause),
        *(event.ordered_at, said, said, topic or topic_of(type(event)), 2, 1000 + position),
        *(encode(event), bytes(32)),
    )


def told(found: list[Step]) -> list[tuple[str, str, str | None]]:
    return [(each.name, each.because.words, each.because.step) for each in found]


def test_event_driven() -> None:
    events = [
        recorded(5, SHIPPED, SHIP),
        recorded(2, PLACED, None),
        recorded(3, ACCEPTED, message_id_of(PLACED)),
    ]
    found = steps(ID, events)
    placed, decided = message_id_of(PLACED), message_id_of(ACCEPTED)
    assert told(found) == [
        ("NewOrder", "because a customer placed an order", None),
        ("AuthorizationAccepted", "because of NewOrder at position 2", placed),
        ("ShipOrder", "because of AuthorizationAccepted at position 3", decided),
        ("OrderShipped", "because of the message ShipOrder", SHIP),
    ]
    assert [each.is_message for each in found] == [False, False, True, False]
    assert (style(ID, events) or "").startswith("Event-driven")
    assert found[0].told == ("29.33 USD · 2 items · billed to <i>42</i> Street",)
    assert ("Kafka", "orders[2] at offset 1,002") in found[0].fields
    shown = timeline(found)
    assert "&lt;i&gt;42&lt;/i&gt; Street" in shown
    assert "<i>" not in shown


def test_message_driven() -> None:
    events = [recorded(3, ACCEPTED, REPLY, "reporting.requests"), recorded(4, SHIPPED, SHIP)]
    record = message_id(RecordRevenue, ID)
    assert told(steps(ID, events)) == [
        ("AuthorizePayment", "because the order was placed; the log has no event of that", None),
        ("The reply, AuthorizationAccepted", "because of the message AuthorizePayment", REQUEST),
        ("RecordRevenue", "because of the reply to AuthorizePayment", REPLY),
        ("AuthorizationAccepted", "carried by the message RecordRevenue", record),
        ("ShipOrder", "because of AuthorizationAccepted at position 3", message_id_of(ACCEPTED)),
        ("OrderShipped", "because of the message ShipOrder", SHIP),
    ]
    assert (style(ID, events) or "").startswith("Message-driven")


def test_a_request_that_caused_the_event_itself() -> None:
    events = [recorded(3, ACCEPTED, REQUEST)]
    assert told(steps(ID, events))[-1] == (
        "AuthorizationAccepted",
        "because of the message AuthorizePayment",
        REQUEST,
    )
    assert (style(ID, events) or "").startswith("Message-driven")


def test_causes_that_are_unknown_are_shown_as_they_are() -> None:
    events = [recorded(3, ACCEPTED, "someone-else"), recorded(4, SHIPPED, None)]
    assert told(steps(ID, events)) == [
        (
            "AuthorizationAccepted",
            "because of someone-else, which is no id of this order's events and messages",
            None,
        ),
        ("OrderShipped", "its cause isn't said", None),
    ]
    assert style(ID, events) is None


def test_what_the_log_lacks_is_said() -> None:
    assert told(steps(ID, [recorded(3, ACCEPTED, message_id_of(PLACED))])) == [
        ("AuthorizationAccepted", "because of NewOrder, which the log doesn't have", None)
    ]
    assert told(steps(ID, [recorded(4, SHIPPED, SHIP)]))[0] == (
        "ShipOrder",
        "because of the authorization, which the log doesn't have yet",
        None,
    )
    assert steps(ID, []) == []


def test_late_is_another_month_and_not_another_day() -> None:
    (in_time,) = steps(ID, [recorded(2, ACCEPTED, None)])
    assert in_time.late is None
    (late,) = steps(ID, [recorded(2, ACCEPTED, None, month=4)])
    assert late.late == "Recorded late: in 1997-04, when its business month 1997-03 was over."


def test_late_is_said_once_and_not_of_a_load_of_the_past() -> None:
    events = [
        recorded(2, PLACED, None, month=4),
        recorded(3, ACCEPTED, message_id_of(PLACED), month=4),
        recorded(4, SHIPPED, SHIP, month=5),
    ]
    late = [each.name for each in steps(ID, events) if each.late is not None]
    assert late == ["AuthorizationAccepted"]
    assert not any(each.late for each in steps(ID, events, loaded=True))
    assert 'class="late"' not in timeline(steps(ID, events, loaded=True))


def test_a_body_that_cannot_be_read_is_said() -> None:
    (step,) = steps(ID, [recorded(2, PLACED, None)._replace(body=b"{}")])
    assert step.told[0].startswith("What it says can't be read: ")
