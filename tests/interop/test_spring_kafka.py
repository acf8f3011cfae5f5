"""Each side of a conversation with spring-kafka itself."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.settings import Settings
from domain.contracts import Reason
from domain.house_accounts import HouseAccounts
from domain.money import Money
from request_reply.outcomes import Accepted, Declined
from request_reply.requester import Requester, RequesterSettings
from request_reply.responder import Responder
from services.payment import PaymentService
from tests.integration.scripted import accepted, new_order
from tests.interop.peers import answering, ask, require_maven
from transport.clients import Publisher
from transport.codec import decode, encode
from transport.local_broker import LocalBroker
from transport.topics import create_topics

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require_maven()
    broker = LocalBroker(tmp_path_factory.mktemp("broker"), Settings().jars)
    found = broker.start().bootstrap_servers
    assert found is not None
    try:
        create_topics(found, 3, 1, 3650)
        yield found
    finally:
        broker.stop()


@pytest.mark.parametrize("partition", [None, 2])
def test_our_responder_answers_a_java_replying_template(
    servers: str, tmp_path: Path, partition: int | None
) -> None:
    """A ReplyingKafkaTemplate that sets its own headers and no others."""
    service = PaymentService(tmp_path / "payment.sqlite", HouseAccounts(Money(30_000, "USD")))
    stop = threading.Event()
    responder = Responder(service, servers, Publisher(servers))
    thread = threading.Thread(target=responder.run, args=(stop,))
    thread.start()
    try:
        orders = [new_order(number, cents=100 * number) for number in range(1, 21)]
        asked = [f"{order.customer_id}\t{encode(order).decode()}" for order in orders]
        asked += [f"00097\t{encode(new_order(97)).decode()}", "00001\t{broken"]
        found = ask(servers, "payment.requests", "payment.replies", asked, 60, partition)
    finally:
        stop.set()
        thread.join(60)
    for order, answer in zip(orders, found[:20], strict=True):
        assert answer.type == "shop.AuthorizationAccepted.v1"
        assert decode(answer.type, answer.body.encode()) == accepted(order)
    assert found[20].type == "shop.AuthorizationDeclined.v1"
    assert json.loads(found[20].body)["reason"] == "account_closed"
    assert found[21].type == "shop.AuthorizationFailed.v1"
    assert json.loads(found[21].body)["code"] == "malformed_request"


def test_a_java_listener_answers_our_requester(servers: str) -> None:
    """A KafkaListener with SendTo, whose replies carry no CloudEvents headers.

    Last in its module: the listener stays with the request topic's group of its own.
    """
    with answering(servers, "payment.requests"):
        requester = Requester(RequesterSettings(servers, 2)).start()
        try:
            orders = [new_order(number, cents=100 * number) for number in range(1, 21)]
            futures = [requester.submit(order, 60) for order in orders]
            poor = requester.submit(new_order(cents=30_001), 60)
            assert [future.result(90) for future in futures] == [
                Accepted(accepted(order)) for order in orders
            ]
            declined = poor.result(90)
            assert isinstance(declined, Declined)
            assert declined.reason is Reason.NO_FUNDS
            assert requester.in_flight() == 0
        finally:
            requester.stop()
