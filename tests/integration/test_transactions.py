"""What a transaction rolled back was never said, and what is open waits: on every topic."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from cli.asking import desk
from cli.composition import order_service, publisher
from cli.place import read_purchases
from cli.settings import Settings
from cli.settled import wait_until_settled
from domain.contracts import (
    AuthorizationDeclined,
    AuthorizePayment,
    Contract,
    NewOrder,
    Reason,
    RecordRevenue,
    ShipOrder,
)
from event_log.outbox import Relay
from request_reply.correlation import CORRELATION_ID, ReturnAddress, request_headers, return_address
from request_reply.outcomes import Accepted, Outcome
from tests import expected
from tests.conftest import Home
from tests.integration.pipes import NOW
from tests.integration.scripted import accepted, new_order
from tests.integration.test_pipeline import records
from tests.integration.test_styles import running, servers_of, settings_of
from tests.integration.transacting import Foreign
from tests.waiting import wait_for
from transport.records import Outgoing, Record, outgoing, record_of
from transport.topics import (
    PAYMENT_REPLIES,
    PAYMENT_REQUESTS,
    TOPICS,
    dead_letter_topic,
)

pytestmark = pytest.mark.slow

SERVICES = ("order", "payment", "responder", "warehouse", "recorder")
PARTITIONS = 4
NEVER = "never/said"

Processes = dict[str, "subprocess.Popen[str]"]


def said(contract: Contract, topic: str | None = None) -> Outgoing:
    made = outgoing(contract, "/test", NOW)
    headers = list(made.headers)
    if isinstance(contract, AuthorizePayment):
        headers += request_headers(ReturnAddress(PAYMENT_REPLIES, 0, bytes(16)), None)
    return Outgoing(topic or made.topic, made.key, headers, made.body)


def on_every_topic(number: int) -> list[Outgoing]:
    """What each topic carries, and something that would be a dead letter, of one order."""
    order = new_order(number, number=f"{NEVER}/{number}")
    paid = accepted(order)
    good = [said(each) for each in (order, paid, ShipOrder(paid), RecordRevenue(paid))]
    good += [said(AuthorizePayment(order)), said(paid, PAYMENT_REPLIES)]
    bad = [Outgoing(each.topic, each.key, each.headers, b"{") for each in good]
    letter = [("dead_letter_service", b"recorder"), ("dead_letter_offset", b"9" * 30)]
    return good + bad + [Outgoing(dead_letter_topic(t.name), b"1", letter, b"{") for t in TOPICS]


def mark_every_end(servers: str) -> None:
    """Have every partition of every topic end in the mark of a transaction that was rolled back."""
    foreign = Foreign(servers)
    sent = on_every_topic(7)
    for partition in range(PARTITIONS):
        foreign.send([each for each in sent if "dead-letter" not in each.topic], partition)
    foreign.send([each for each in sent if "dead-letter" in each.topic])
    foreign.abort()


def send(servers: str, orders: Sequence[NewOrder], partition: int) -> None:
    """Without a transaction."""
    producer = Producer({"bootstrap.servers": servers})
    for made in map(said, orders):
        headers: list[tuple[str, str | bytes | None]] = list(made.headers)
        producer.produce(made.topic, made.body, made.key, headers=headers, partition=partition)
    assert producer.flush(30) == 0


def decided(home: Home) -> list[str]:
    """The orders that were authorized or declined, in turn."""
    if not home.count("payment", "account_events"):
        return []
    rows = home.rows("payment", "SELECT order_id FROM account_events ORDER BY id")
    return [order_id for (order_id,) in rows]


def recorded(home: Home, order: NewOrder) -> int:
    where = f"correlation_id = '{order.order_id}' AND type LIKE 'shop.Authorization%'"
    return home.count("event_log", f"event_log WHERE {where}")


def status(home: Home) -> dict[str, object]:
    done = home.shop("status", "--json")
    assert "Traceback" not in done.stderr, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def start(home: Home, name: str) -> "subprocess.Popen[str]":
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return home.start("run", name, **quiet)


def stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    assert process.wait(60) == 0


def newest(servers: str, topic: str, before: int) -> Record | None:
    """The last record of a topic, once it has more than `before`."""
    found = records(servers, topic)
    return record_of(max(found, key=lambda each: each.timestamp())) if len(found) > before else None


def lags(home: Home) -> dict[str, int]:
    services: dict[str, dict[str, int]] = status(home)["services"]  # type: ignore[assignment]
    return {name: services[name]["lag"] for name in SERVICES}


def nothing_was_said(home: Home) -> None:
    """No service, no letter and no proof knows of what was rolled back."""
    assert [order for order in decided(home) if NEVER in order] == []
    never = f"'{NEVER}%'"
    assert home.count("event_log", f"event_log WHERE correlation_id LIKE {never}") == 0
    assert home.count("warehouse", f"parcels WHERE order_id LIKE {never}") == 0
    for name in ("order", "payment", "warehouse", "event_log"):
        assert home.count(name, "outbox WHERE topic LIKE '%.dead-letter'") == 0
    assert home.count("order", "early") == 0
    assert status(home)["dead_letters"] == {}
    listed = home.shop("dead-letters", "list", "--state", "all")
    assert "0 letters" in listed.stdout, listed.stdout + listed.stderr
    done = home.shop("prove")
    assert done.returncode == 0, done.stdout + done.stderr


def settle(settings: Settings) -> None:
    wait_until_settled(settings, settings.bootstrap_servers or "", stalled_after=60)


@pytest.fixture(scope="module")
def shop(module_home: Home) -> Iterator[tuple[Home, Processes]]:
    # Whoever waits for a transaction is not stuck.
    module_home.settings["SHOP_STALLED_AFTER"] = "8"
    with running(module_home, *SERVICES) as processes:
        yield module_home, processes
        assert {name: each.poll() for name, each in processes.items()} == dict.fromkeys(SERVICES)


def place(settings: Settings, first: int, end: int, foreign: Foreign | None = None) -> None:
    orders = order_service(settings)
    orders.place(read_purchases(expected.DATA, "USD")[0][first:end], datetime.now(UTC))
    Relay(orders.database, foreign or publisher(settings.bootstrap_servers or "")).drain()


def the_report_is_right(home: Home, settings: Settings) -> None:
    orders = expected.purchases(300)
    wanted = expected.report(orders, expected.outcomes(orders))
    found = home.report()
    assert (found["months"], found["totals"]) == (wanted["months"], wanted["totals"])
    assert home.decisions() == home.recorded() == expected.outcomes(orders)
    assert home.count("warehouse", "parcels") == wanted["totals"]["accepted"]["orders"]


def test_all_styles_settle_with_a_mark_at_every_end_and_say_nothing_that_was_rolled_back(
    shop: tuple[Home, Processes],
) -> None:
    home, _ = shop
    settings = settings_of(home)
    servers = servers_of(home)
    foreign = Foreign(servers)
    foreign.send(on_every_topic(1))
    place(settings, 0, 50, Foreign(servers, "zstd"))
    foreign.abort()
    mark_every_end(servers)
    settle(settings)
    bought = read_purchases(expected.DATA, "USD")[0]
    with desk(settings) as made:
        waited_for: list[Outcome] = [made.requester.authorize(o, 60) for o in bought[50:60]]
        futures: list[Future[Outcome]] = [made.requester.submit(o, 60) for o in bought[60:100]]
        mark_every_end(servers)
        waited_for += [future.result(60) for future in futures]
        assert len(waited_for) == 50
    mark_every_end(servers)
    settle(settings)
    wait_for(lambda: lags(home) == dict.fromkeys(SERVICES, 0), "no lag")
    place(settings, 100, 300)
    settle(settings)
    the_report_is_right(home, settings)
    nothing_was_said(home)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_of_many_transactions_at_once_what_is_committed_is_decided_once_and_in_turn(
    shop: tuple[Home, Processes], codec: str
) -> None:
    """Three producers take turns on one partition; their transactions end in another order."""
    home, _ = shop
    servers = servers_of(home)
    one, two = Foreign(servers, codec), Foreign(servers, codec)
    wanted: list[NewOrder] = []

    def orders(count: int, *, kept: bool) -> list[NewOrder]:
        made = [new_order(1, 1, number=None if kept else f"{NEVER}/{n}") for n in range(count)]
        wanted.extend(made if kept else [])
        return made

    def turn(*, first: bool, second: bool) -> None:
        one.send([said(each) for each in orders(20, kept=first)], 0)
        two.send([said(each) for each in orders(3, kept=second)], 0)
        send(servers, orders(2, kept=True), 0)
        one.send([said(each) for each in orders(1, kept=first)], 0)
        two.commit() if second else two.abort()
        send(servers, orders(1, kept=True), 0)
        one.commit() if first else one.abort()

    for first in (False, True):
        for second in (False, True):
            turn(first=first, second=second)
    turn(first=False, second=False)
    ids = [order.order_id for order in wanted]

    def ours() -> list[str]:
        return [order for order in decided(home) if order in set(ids)]

    wait_for(lambda: len(ours()) == len(ids), "all are decided", 120)
    assert ours() == ids
    wait_for(lambda: all(recorded(home, order) for order in wanted), "recorded")
    assert [recorded(home, order) for order in wanted] == [1] * len(wanted)
    assert [order for order in decided(home) if NEVER in order] == []


def test_more_than_a_fetch_that_was_rolled_back_is_passed(shop: tuple[Home, Processes]) -> None:
    home, _ = shop
    servers = servers_of(home)
    foreign = Foreign(servers)
    rolled_back = [said(new_order(5, number=f"{NEVER}/{n}")) for n in range(5_000)]
    foreign.send(rolled_back, 1)
    foreign.abort()
    after = new_order(5, 1)
    send(servers, [after], 1)
    wait_for(lambda: recorded(home, after), "the order after it is recorded")
    foreign.send(rolled_back, 1)
    foreign.abort()
    wait_for(lambda: set(lags(home).values()) == {0}, "no lag")
    assert [order for order in decided(home) if NEVER in order] == []


def test_an_open_order_waits_and_holds_up_its_own_partition_only(
    shop: tuple[Home, Processes],
) -> None:
    home, processes = shop
    servers = servers_of(home)
    foreign = Foreign(servers)
    opened, behind, beside = (new_order(3, 7) for _ in range(3))
    foreign.send([said(opened)], 2)
    send(servers, [behind], 2)
    send(servers, [beside], 3)
    wait_for(lambda: beside.order_id in decided(home), "another partition goes on")
    wait_for(lambda: set(lags(home).values()) == {0}, "what is open is no work")
    other, held_up = Foreign(servers), ["orders[2]", "orders.dead-letter[0]", "payment.replies[1]"]
    other.send([Outgoing("orders.dead-letter", b"1", [], b"{")])
    other.send([Outgoing("payment.replies", b"1", [], b"{")], 1)
    assert list(status(home)["held_up"]) == held_up  # type: ignore[call-overload]
    other.abort()
    (wrong,) = wait_for(lambda: status(home)["wrong"], "it waits too long")  # type: ignore[misc]
    assert wrong.startswith("orders[2] waits for a transaction that is open since 20")
    assert {name: each.poll() for name, each in processes.items()} == dict.fromkeys(SERVICES)
    assert not {opened.order_id, behind.order_id} & set(decided(home))
    foreign.commit()
    wait_for(lambda: recorded(home, behind), "what was behind it is recorded")
    assert [o for o in decided(home) if o in (opened.order_id, behind.order_id)] == [
        opened.order_id,
        behind.order_id,
    ]
    wait_for(lambda: not status(home)["held_up"], "nothing is held up")


def test_a_reply_that_was_rolled_back_settles_nobody(shop: tuple[Home, Processes]) -> None:
    home, processes = shop
    settings = settings_of(home)
    servers = servers_of(home)
    order = new_order(11, 1)
    stop(processes["responder"])
    with desk(settings) as made:
        before = len(records(servers, PAYMENT_REQUESTS))
        future = made.requester.submit(order, 120)
        asked = wait_for(lambda: newest(servers, PAYMENT_REQUESTS, before), "the request")
        address = return_address(asked.headers)
        assert address.partition is not None
        declined = AuthorizationDeclined(
            order.order_id,
            order.customer_id,
            order.ordered_at,
            order.amount,
            order.items,
            Reason.ACCOUNT_CLOSED,
        )
        forged = said(declined, address.topic)
        headers = [*forged.headers, (CORRELATION_ID, address.correlation_id)]
        foreign = Foreign(servers)
        foreign.send([replace(forged, headers=headers)], address.partition)
        foreign.abort()
        processes["responder"] = start(home, "responder")
        assert isinstance(future.result(120), Accepted)
    settle(settings)


def test_what_was_rolled_back_while_nobody_ran_is_passed_and_lag_is_records(
    shop: tuple[Home, Processes],
) -> None:
    """Two of them: one used to be charged and the other not, and no proof held from then on."""
    home, processes = shop
    settings = settings_of(home)
    servers = servers_of(home)
    wait_for(lambda: set(lags(home).values()) == {0}, "nothing is under way")
    for name in SERVICES:
        stop(processes[name])
    foreign = Foreign(servers)
    for number in range(2):
        foreign.send([said(new_order(1, number=f"{NEVER}/{number}"))], 0)
        foreign.abort()
    kept = [new_order(1, 1) for _ in range(3)]
    for order in kept:
        foreign.send([said(order)], 1)
        foreign.commit()
    mark_every_end(servers)
    wanted = dict.fromkeys(SERVICES, 0) | {"order": 3, "payment": 3, "recorder": 3}
    wait_for(lambda: lags(home) == wanted, "three records wait, and twice as many offsets")
    for name in SERVICES:
        processes[name] = start(home, name)
    wait_for(lambda: all(recorded(home, order) for order in kept), "recorded")
    settle(settings)
    wait_for(lambda: set(lags(home).values()) == {0}, "no lag")
    assert [order for order in decided(home) if NEVER in order] == []
    done = home.shop("prove")
    assert done.returncode == 0, done.stdout + done.stderr
