"""The services over SASL_SSL with the table's ACLs, and without some of them."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic

from cli.composition import SERVICES
from cli.secrets_folder import renew_passwords
from cli.settings import Settings
from cli.settled import wait_until_settled
from domain.contracts import AuthorizePayment, NewOrder
from domain.errors import AccessDenied
from domain.house_accounts import house_address
from domain.money import Money
from domain.principals import Principal
from request_reply.correlation import ReturnAddress, request_headers
from request_reply.outcomes import NotSent
from request_reply.requester import Requester, RequesterSettings
from services.order import SOURCE
from services.watchdog import EXIT_DENIED
from streams.relaying import EXIT_FAILED
from tests import expected
from tests.access.conftest import change, home_of
from tests.conftest import Home
from tests.secured_broker import SecuredBroker
from tests.waiting import wait_for
from transport.access import Kind, Operation, Right
from transport.acls import set_passwords, unknown_passwords
from transport.clients import Publisher, admin_client
from transport.cluster import ClusterView
from transport.reading import read_partition
from transport.records import outgoing
from transport.rights import require_rights
from transport.topics import AUTHORIZATIONS, PAYMENT_REPLIES, PAYMENT_REQUESTS, TopicPartition

pytestmark = pytest.mark.slow


@dataclass
class Stack:
    """All services, each with its own password, in one home: its databases know the topics."""

    broker: SecuredBroker
    home: Home
    processes: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)
    placed: int = 0

    def of(self, principal: str) -> Home:
        """The home, for a process of a principal."""
        return home_of(self.broker, self.home, principal)

    def start(self, service: str) -> None:
        """Start a service that doesn't run; what it says is in its own log."""
        log = self.log(service)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as stream:
            self.processes[service] = self.of(service).start(
                "run", service, stdout=stream, stderr=subprocess.STDOUT
            )

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(60)

    def log(self, service: str) -> Path:
        return self.home.path / "logs" / f"{service}.log"

    def ended(self, service: str) -> tuple[int, str]:
        """Wait until a service has ended; its exit code, and what it said."""
        code = self.processes[service].wait(90)
        return code, self.log(service).read_text()

    def place(self, count: int, principal: str = "order", *options: str) -> None:
        """Place the first orders again, and `count` more."""
        self.placed += count
        file = str(expected.DATA)
        done = self.of(principal).shop("place", file, "--limit", str(self.placed), *options)
        assert done.returncode == 0, done.stderr

    def settle(self) -> None:
        """Wait until all orders are settled, and have been decided as they must be."""
        settings = Settings(home=self.home.path)
        wait_until_settled(settings, self.broker.servers("operator"), stalled_after=100)
        decided = expected.outcomes(expected.purchases(self.placed))
        assert self.home.recorded() == decided


@pytest.fixture(scope="module")
def stack(broker: SecuredBroker) -> Iterator[Stack]:
    made = Stack(broker, Home(broker.folder / "home"))
    try:
        for service in (*SERVICES, "responder"):
            made.start(service)
        made.place(100)
        made.settle()
        yield made
    finally:
        made.stop()


@contextmanager
def without(broker: SecuredBroker, right: Right) -> Iterator[None]:
    change(broker, take=[right])
    try:
        yield
    finally:
        change(broker, give=[right])


def test_both_ways_of_talking_give_the_right_decisions(stack: Stack) -> None:
    stack.place(300)
    stack.settle()
    stack.place(100, "order", "--style", "sync")
    stack.settle()
    decided = expected.outcomes(expected.purchases(stack.placed))
    assert stack.home.decisions() == decided
    # As the health of a service is checked: by its own rights.
    done = stack.of("responder").shop("status", "--service", "responder")
    assert done.returncode == 0, done.stdout
    operator = stack.of("operator")
    for command in (["status"], ["prove", "--settled"]):
        done = operator.shop(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    done = operator.shop("dead-letters", "list", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"letters": []})


REMOVED = [
    (Right(Principal.PAYMENT, Kind.TOPIC, "orders", Operation.READ), "READ topic orders"),
    # Of a group that can't be looked at the broker doesn't say what is in it, nor of its topics.
    (Right(Principal.PAYMENT, Kind.GROUP, "shop-payment", Operation.READ), "READ (group|topic)"),
    (Right(Principal.ORDER, Kind.TOPIC, "warehouse.requests", Operation.WRITE), "WRITE topic ware"),
]


@pytest.mark.parametrize(("right", "says"), REMOVED, ids=[says for _, says in REMOVED])
def test_a_service_that_loses_a_right_ends_and_says_which_and_loses_nothing(
    stack: Stack, right: Right, says: str
) -> None:
    """Whoever starts it again has it end before it begins, as long as that is so."""
    service = str(right.principal)
    with without(stack.broker, right):
        # The order service's own rights are those of who places orders, too.
        stack.place(50, "admin")
        code, last = stack.ended(service)
        again = stack.of(service).shop("run", service)
    stack.start(service)
    assert code in (1, EXIT_FAILED, EXIT_DENIED)
    assert "Traceback" not in last, last
    assert again.returncode == 1
    assert f"can't work as {service}" in again.stderr
    for told in (last, again.stderr):
        assert re.search(f"User:{service} may not {says}", told), told
    stack.settle()


def test_a_new_password_is_taken_up_when_a_service_connects_again(stack: Stack) -> None:
    """One that runs goes on with the old one; when that is refused it ends, and reads the new."""
    broker = stack.broker
    renew_passwords(broker.secrets, Principal.PAYMENT)
    new = {Principal.PAYMENT: broker.password("payment")}
    assert unknown_passwords(broker.servers("admin"), new) == [Principal.PAYMENT]
    set_passwords(broker.servers("admin"), new)
    stack.place(50)
    stack.settle()
    assert stack.processes["payment"].poll() is None
    broker.stop()
    broker.start()
    code, last = stack.ended("payment")
    assert code == EXIT_DENIED
    assert "doesn't accept the password of User:payment" in last
    stack.start("payment")
    stack.place(50)
    stack.settle()


class TestTheOtherWay:
    """Requester and responder."""

    def test_a_responder_that_loses_a_right_ends_and_no_request_is_lost(self, stack: Stack) -> None:
        right = Right(Principal.RESPONDER, Kind.TOPIC, PAYMENT_REPLIES, Operation.WRITE)
        order = ("--customer", "1", "--amount", "1.00", "--order", "asked/1")
        with without(stack.broker, right):
            asked = stack.of("order").start("ask", *order)
            code, last = stack.ended("responder")
        stack.start("responder")
        assert code in (1, EXIT_DENIED)
        assert "User:responder may not WRITE topic payment.replies" in last
        said, _ = asked.communicate(timeout=60)
        assert "accepted" in said

    def test_a_requester_without_a_right_says_which_and_nobody_waits(
        self, broker: SecuredBroker
    ) -> None:
        requester = Requester(RequesterSettings(broker.servers("warehouse"), 0)).start()
        try:
            outcome = requester.authorize(an_order("asked/2"), 60)
        finally:
            requester.stop()
        assert isinstance(outcome, NotSent)
        assert "User:warehouse may not READ topic payment.replies" in str(outcome)

    def test_a_stranger_reads_no_replies_and_gets_none(self, stack: Stack) -> None:
        """Who may ask gets answers where the responder may write, and nowhere else."""
        stranger = stack.broker.servers("dashboard")
        asks = Right(Principal.DASHBOARD, Kind.TOPIC, PAYMENT_REQUESTS, Operation.WRITE)
        admin = admin_client(stack.broker.servers("admin"))
        admin.create_topics([NewTopic("of.strangers", 1, 1)])["of.strangers"].result(30)
        cluster = ClusterView(stack.broker.servers("admin"))
        watched = [PAYMENT_REPLIES, "of.strangers", AUTHORIZATIONS]
        before = cluster.ends(watched)
        request = outgoing(AuthorizePayment(an_order("asked/3")), SOURCE, datetime.now(UTC))
        change(stack.broker, give=[asks])
        for topic in ("of.strangers", AUTHORIZATIONS, "payment.replies.dead-letter"):
            address = ReturnAddress(topic, 0, b"0123456789abcdef")
            headers = [*request.headers, *request_headers(address, None)]
            Publisher(stranger).publish([replace(request, headers=headers)])
        change(stack.broker, take=[asks])
        letters = ["payment.requests.dead-letter"]
        wait_for(lambda: sum(cluster.ends(letters).values()) == 3, "three dead letters")
        assert cluster.ends(watched) == before
        place, said_so = TopicPartition(PAYMENT_REPLIES, 0), "dashboard may not READ topic payment"
        with pytest.raises(AccessDenied, match=said_so):
            list(read_partition(stranger, place, lambda low: low, 1, 10, 10))

    def test_a_responder_may_not_reply_where_only_its_settings_say_so(
        self, broker: SecuredBroker
    ) -> None:
        servers = broker.servers("responder")
        require_rights(servers, Principal.RESPONDER)
        with pytest.raises(AccessDenied, match=r"User:responder may not WRITE topic of\.others"):
            require_rights(servers, Principal.RESPONDER, ["of.others"])


def an_order(order_id: str) -> NewOrder:
    now = datetime(1998, 1, 1, tzinfo=UTC)
    return NewOrder(order_id, "00042", now, Money(100, "USD"), 1, house_address("42"))
