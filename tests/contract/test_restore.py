"""Databases restored from a backup while Kafka went on: what was said since stays said."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from cli.composition import topic_lives
from cli.settings import Settings
from domain.errors import BrokerError
from domain.house_accounts import HouseAccounts
from domain.money import Money
from domain.order import OrderState
from domain.requests import RequestState
from event_log.database import Place, table_of
from event_log.outbox import OutboxRow
from request_reply.durable import DurableRequests
from request_reply.learning import know_asked, learn_asked, recover
from request_reply.outcomes import Accepted
from request_reply.requester import Requester, RequesterSettings
from request_reply.responder import Responder
from services.asked import counts
from services.asking import Asking
from services.learning import learn_decisions
from services.order import OrderService, load_orders
from services.payment import PaymentService
from tests.contract.conftest import Places
from tests.contract.server import program
from tests.integration.test_responder import (
    accepted,
    address_of,
    failure,
    inbox,
    kept,
    no_funds,
    order_of,
    request,
    responding,
    said,
    send,
)
from tests.live_topics import delete
from tests.waiting import wait_for
from transport.clients import Publisher
from transport.local_broker import LocalBroker
from transport.topic_lives import TopicsView
from transport.topics import ALL_TOPICS, PAYMENT_REPLIES, create_topics

ACCOUNTS = HouseAccounts(Money(30_000, "USD"))
LIMIT = "300.00 USD a month"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    made = LocalBroker(tmp_path_factory.mktemp("restore") / "home", Settings().jars)
    found = made.start().bootstrap_servers
    assert found
    yield found
    made.stop()


@pytest.fixture
def servers(broker: str) -> str:
    """A broker with topics in which nothing is yet."""
    view = TopicsView(broker)
    if there := view.there(ALL_TOPICS):
        delete(broker, *there)
    create_topics(broker, 1, 1, 3650)

    def ready() -> bool:
        try:
            return len(view.kept(ALL_TOPICS)) == len(ALL_TOPICS)
        except BrokerError:
            return False

    wait_for(ready, "topics", 30)
    return broker


def back_up(place: Place, folder: Path) -> Callable[[], None]:
    """Take a backup of a database that nobody has open; call what is given to restore it."""
    if isinstance(place, Path):
        copy = folder / "backup.sqlite"
        shutil.copy(place, copy)

        def restore() -> None:
            for end in ("-wal", "-shm"):
                place.with_name(place.name + end).unlink(missing_ok=True)
            shutil.copy(copy, place)

        return restore
    dump = folder / "backup.dump"

    def run(name: str, *arguments: str) -> None:
        done = subprocess.run(
            [program(name), *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    run("pg_dump", "--format=custom", f"--schema={place.schema}", f"--file={dump}", place.url)

    def restore_schema() -> None:
        run("psql", "--quiet", "-c", f"DROP SCHEMA {place.schema} CASCADE", place.url)
        run("pg_restore", "--exit-on-error", f"--dbname={place.url}", str(dump))

    return restore_schema


def test_a_payment_database_that_was_restored_exceeds_no_limit(
    servers: str, places: Places, tmp_path: Path
) -> None:
    """200.00 were accepted after the backup, whose deadline is over; then 200.00 are asked for."""
    place = places.of("payment")
    PaymentService(place, ACCOUNTS).database.close()
    restore = back_up(place, tmp_path)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    first, late, second = (order_of(n, cents=20_000) for n in (1, 2, 3))

    def responder(now: datetime) -> tuple[PaymentService, Responder]:
        service = PaymentService(place, ACCOUNTS)
        lives = topic_lives("responder", servers, service.database)
        lives.bind()
        learn_decisions(service, servers)
        publisher = Publisher(servers)
        return service, Responder(service, servers, publisher, clock=lambda: now, lives=lives)

    with inbox(servers, PAYMENT_REPLIES, 0) as replies:
        service, made = responder(soon - timedelta(minutes=1))
        with responding(made):
            send(servers, request(first, address_of(0), soon))
            send(servers, request(late, address_of(0), soon - timedelta(minutes=2)))
            assert said(replies.wait_for(2)[0]) == accepted(first)
            expired = failure(said(replies.records[1]))
        service.database.close()

        restore()
        service, made = responder(soon + timedelta(days=1))
        assert kept(service) == [("00042", "test/1")], "it is known again"
        with responding(made):
            send(servers, request(second, address_of(0)))
            again = replies.wait_for(5)[2:]
        service.database.close()
    assert said(again[0]) == accepted(first)
    assert failure(said(again[1])) == expired, "what was never decided is not decided now"
    assert said(again[2]) == no_funds(second), LIMIT


def test_an_order_database_that_was_restored_knows_again_what_it_asked(
    servers: str, places: Places, tmp_path: Path
) -> None:
    place = places.of("order")
    OrderService(place).database.close()
    restore = back_up(place, tmp_path)
    payment = PaymentService(tmp_path / "payment.sqlite", ACCOUNTS)
    order = order_of(1, cents=20_000)

    def asking() -> tuple[Asking, DurableRequests, Requester]:
        made = Asking(OrderService(place))
        topic_lives("order", servers, made.database).bind()
        learn_asked(made, servers)
        store = DurableRequests(made)
        return made, store, Requester(RequesterSettings(servers, 0), store).start()

    def end(made: Asking, store: DurableRequests, requester: Requester) -> None:
        requester.stop()
        store.close()
        made.database.close()

    with responding(Responder(payment, servers, Publisher(servers))):
        made, store, requester = asking()
        assert requester.authorize(order, 30) == Accepted(accepted(order))
        know_asked(made, servers)
        assert learn_asked(made, servers) == 0, "nothing is to be read twice"
        end(made, store, requester)

        restore()
        made, store, requester = asking()
        assert requester.wait_until_ready(30)
        # Perhaps its reply is taken from the partition before.
        assert recover(requester, made, [0]) in ({}, {"accepted": 1})
        with made.database.reading() as connection:
            known = load_orders(connection, ["test/1"])["test/1"]
            stand = counts(connection)
            outbox = table_of(OutboxRow)
            told = connection.execute(select(outbox.c.topic).order_by(outbox.c.topic)).scalars()
            assert list(told) == ["reporting.requests", "warehouse.requests"]
        assert known.state is OrderState.ACCEPTED
        assert sum(stand.values()) == stand.get(RequestState.ANSWERED, 0) == 1
        end(made, store, requester)
    assert kept(payment) == [("00042", "test/1")], "charged once"
    payment.database.close()
