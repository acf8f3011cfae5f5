"""Each side of a conversation with spring-kafka itself."""

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
from tests.java_peers.peers import ask, class_path, need_maven, peer
from transport.clients import Publisher
from transport.codec import decode, encode
from transport.local_broker import LocalBroker
from transport.topics import create_topics

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    need_maven()
    class_path()
    broker = LocalBroker(tmp_path_factory.mktemp("broker"), Settings().jars)
    found = broker.start().bootstrap_servers
    assert found is not None
    create_topics(found, 3, 1, 1)
    yield found
    broker.stop()


def test_a_java_listener_answers_our_requester(servers: str) -> None:
    """A KafkaListener with SendTo, whose replies carry no CloudEvents headers."""
    answerer = peer("Answerer", servers, "payment.requests")
    try:
        requester = Requester(RequesterSettings(servers, 2)).start()
        orders = [new_order(number, cents=100 * number) for number in range(1, 21)]
        futures = [requester.submit(order, 60) for order in orders]
        poor = requester.submit(new_order(cents=30_001), 60)
        assert [future.result(90) for future in futures] == [
            Accepted(accepted(order)) for order in orders
        ]
        declined = poor.result(90)
        assert isinstance(declined, Declined)
        assert declined.reason is Reason.NO_FUNDS
        requester.stop()
    finally:
        _, err = answerer.communicate("", timeout=60)
    assert answerer.returncode == 0, err[-3000:]


def test_our_responder_answers_a_java_replying_template(servers: str, tmp_path: Path) -> None:
    """A ReplyingKafkaTemplate that sets its own headers and no others."""
    service = PaymentService(tmp_path / "payment.sqlite", HouseAccounts(Money(30_000, "USD")))
    stop = threading.Event()
    responder = Responder(service, servers, Publisher(servers))
    thread = threading.Thread(target=responder.run, args=(stop,))
    thread.start()
    try:
        orders = [new_order(number, cents=100 * number) for number in range(1, 21)]
        asked = [(order.customer_id, encode(order)) for order in orders]
        asked += [("00097", encode(new_order(97))), ("00001", b"{broken")]
        found = ask(servers, "payment.requests", "payment.replies", asked, 60)
    finally:
        stop.set()
        thread.join(60)
    for order, (kind, body) in zip(orders, found[:20], strict=True):
        assert kind == "shop.AuthorizationAccepted.v1"
        assert decode(kind, body.encode()) == accepted(order)
    assert found[20][0] == "shop.AuthorizationDeclined.v1"
    assert '"account_closed"' in found[20][1]
    assert found[21][0] == "shop.AuthorizationFailed.v1"
    assert '"malformed_request"' in found[21][1]
