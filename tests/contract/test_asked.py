"""Requests as the order service's database keeps them: each try, each reply, who asks again."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from domain.contracts import AuthorizationFailed, AuthorizePayment, Failure, NewOrder
from domain.identity import message_id_of
from domain.money import Money
from domain.requests import RequestState
from services.asked import Asked, Standing, counts, standings
from services.asking import Asking, Reply
from services.order import OrderService
from tests.contract.conftest import Places
from tests.integration.pipes import NOW
from tests.integration.scripted import accepted, new_order
from transport.codec import encode

SOON, LATER = NOW + timedelta(seconds=30), NOW + timedelta(seconds=60)
PENDING, ANSWERED, EXPIRED, LATE, NEVER = RequestState


@pytest.fixture
def asking(places: Places) -> Iterator[Asking]:
    made = Asking(OrderService(places.of("order")))
    yield made
    made.database.close()


def ask(asking: Asking, order: NewOrder, deadline: datetime, partition: int = 0) -> str:
    asked = Asked(message_id_of(AuthorizePayment(order)), order, deadline, partition)
    asking.database.in_transaction(lambda connection: asking.ask(connection, [asked], NOW))
    return asked.correlation_id


def give_up(asking: Asking, order: NewOrder, deadline: datetime) -> None:
    tries = [(message_id_of(AuthorizePayment(order)), deadline)]
    asking.database.in_transaction(lambda connection: asking.give_up(connection, tries, NOW))


def answer(asking: Asking, order: NewOrder, *said: AuthorizationFailed | None) -> None:
    correlation_id = message_id_of(AuthorizePayment(order))
    what = [each or accepted(order) for each in said]
    replies = [Reply(correlation_id, each, encode(each), None) for each in what]
    asking.database.in_transaction(
        lambda connection: asking.take_replies(connection, replies, {}, NOW)
    )


def failed(deadline: datetime | None, code: Failure = Failure.EXPIRED) -> AuthorizationFailed:
    retryable = code in (Failure.EXPIRED, Failure.INTERNAL_ERROR)
    return AuthorizationFailed("test/1", code, "why", retryable, deadline)


def standing(asking: Asking) -> Standing:
    with asking.database.reading() as connection:
        (found,) = standings(connection)
    return found


def open_requests(asking: Asking, partition: int = 0) -> list[Asked]:
    return [each for batch in asking.unanswered(partition, 2) for each in batch]


def test_what_comes_of_the_first_try_does_not_end_the_second(asking: Asking) -> None:
    order = new_order(number="1")
    ask(asking, order, SOON)
    ask(asking, order, LATER)
    for late in (failed(SOON), failed(None), failed(SOON, Failure.INTERNAL_ERROR)):
        answer(asking, order, late)
        assert (standing(asking).state, standing(asking).outcome) == (PENDING, None)
    give_up(asking, order, SOON)
    assert standing(asking).state is PENDING
    give_up(asking, order, LATER)
    assert standing(asking).state is EXPIRED
    answer(asking, order, failed(SOON), None)
    assert (standing(asking).state, standing(asking).outcome) == (LATE, "accepted")


def test_a_request_that_was_given_up_first_is_asked_again_all_the_same(asking: Asking) -> None:
    """The note that a try is over comes after the next try, where it could not be written."""
    order = new_order(number="1")
    ask(asking, order, SOON)
    give_up(asking, order, SOON)
    ask(asking, order, LATER, partition=3)
    give_up(asking, order, SOON)
    found = standing(asking)
    assert (found.state, found.expires_at, found.settled_at) == (PENDING, LATER, None)
    assert [each.expires_at for each in open_requests(asking, 3)] == [LATER]
    assert open_requests(asking, 0) == []
    ask(asking, order, SOON)
    assert standing(asking).expires_at == LATER, "so long it may be decided"


def test_confirmed_as_never_decided_it_is_at_its_end_until_somebody_asks_anew(
    asking: Asking,
) -> None:
    order = new_order(number="1")
    ask(asking, order, SOON)
    give_up(asking, order, SOON)
    assert len(open_requests(asking)) == 1
    answer(asking, order, failed(SOON))
    assert (standing(asking).state, standing(asking).outcome) == (NEVER, "error:expired")
    assert open_requests(asking) == []
    assert asking.partitions_unanswered() == []
    ask(asking, order, LATER)
    assert (standing(asking).state, standing(asking).outcome) == (PENDING, None)
    answer(asking, order, None)
    assert standing(asking).state is ANSWERED
    ask(asking, order, LATER + timedelta(days=1))
    assert standing(asking).state is ANSWERED, "what is decided stays so"


def test_an_error_that_may_pass_is_no_answer_and_one_that_stays_is(asking: Asking) -> None:
    order = new_order(number="1")
    ask(asking, order, SOON)
    answer(asking, order, failed(SOON, Failure.INTERNAL_ERROR))
    found = standing(asking)
    assert (found.state, found.outcome, found.settled_at) == (
        PENDING,
        "error:internal_error",
        None,
    )
    assert len(open_requests(asking)) == 1
    answer(asking, order, failed(SOON, Failure.REFUSED))
    assert standing(asking).state is ANSWERED
    assert open_requests(asking) == []
    mended = new_order(number="1", cents=2000)
    ask(asking, mended, LATER)
    assert [each.order.amount for each in open_requests(asking)] == [Money(2000, "USD")]
    answer(asking, mended, None)
    assert (standing(asking).state, standing(asking).outcome) == (ANSWERED, "accepted")


def test_what_is_open_is_read_in_batches_and_by_whose_it_is(asking: Asking) -> None:
    orders = [new_order(number=str(number)) for number in range(7)]
    for number, order in enumerate(orders):
        ask(asking, order, SOON, partition=number % 2)
    batches = list(asking.unanswered(0, 3))
    assert [len(each) for each in batches] == [3, 1]
    assert {each.order.order_id for batch in batches for each in batch} == {
        order.order_id for order in orders[::2]
    }
    assert asking.partitions_unanswered() == [0, 1]
    for order in orders:
        answer(asking, order, None)
    assert asking.partitions_unanswered() == []
    with asking.database.reading() as connection:
        assert counts(connection) == {ANSWERED: 7}
