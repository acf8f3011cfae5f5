"""What people are told who are not let in, or lack a right: what it is, and what to do."""

import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from cli.certificates import new_authority
from cli.composition import named_servers
from cli.settings import Settings
from domain.errors import AccessDenied, BrokerError, NotLetIn
from domain.principals import Principal
from tests.access.conftest import change, home_of
from tests.conftest import Home
from tests.secured_broker import SecuredBroker
from transport.access import SERVICES, Kind, Operation, Right, rights
from transport.acls import difference, make_so, set_passwords
from transport.clients import Publisher, cluster_id
from transport.cluster import ClusterView
from transport.reading import read_partition
from transport.records import Outgoing
from transport.rights import require_rights
from transport.servers import tls_context
from transport.topics import TopicPartition


def told(home: Home, *command: str, seconds: float = 60) -> str:
    """The one line that a command ends with, which failed."""
    done = home.shop(*command, timeout=seconds)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.fixture
def payment(broker: SecuredBroker, tmp_path: Path) -> Home:
    return home_of(broker, Home(tmp_path / "home"), "payment")


class TestWhoIsNotLetIn:
    def test_a_wrong_password(self, broker: SecuredBroker, payment: Home) -> None:
        payment.settings["KAFKA_SASL_PASSWORD"] = "not-this-one"  # noqa: S105
        line = told(payment, "run", "payment")
        assert "doesn't accept the password of User:payment" in line
        assert "KAFKA_SASL_PASSWORD" in line
        assert "not-this-one" not in line
        done = payment.shop("status", "--service", "payment")
        assert done.returncode == 1
        assert "doesn't accept the password of User:payment" in done.stdout

    def test_a_name_that_nobody_has(self, broker: SecuredBroker, payment: Home) -> None:
        payment.settings["KAFKA_SASL_USERNAME"] = "mallory"
        assert "User:mallory, or knows nobody of that name" in told(payment, "broker", "status")

    def test_another_authority(self, broker: SecuredBroker, payment: Home, tmp_path: Path) -> None:
        other = tmp_path / "other.pem"
        other.write_bytes(new_authority(datetime.now(UTC))[1])
        payment.settings["KAFKA_SSL_CA"] = str(other)
        line = told(payment, "run", "payment")
        assert "isn't trusted" in line
        assert f"{other}, which KAFKA_SSL_CA names" in line

    def test_an_authority_that_cannot_be_read(self, broker: SecuredBroker, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        servers = replace(broker.servers("payment"), ca=file)
        for content in (None, "no certificate"):
            if content is not None:
                file.write_text(content)
            with pytest.raises(NotLetIn, match="KAFKA_SSL_CA must name a PEM file"):
                cluster_id(servers)

    def test_a_name_that_the_certificate_does_not_have(self, broker: SecuredBroker) -> None:
        with forwarded("127.0.0.9", broker.port) as port:
            elsewhere = replace(broker.servers("payment"), addresses=f"127.0.0.9:{port}")
            with pytest.raises(NotLetIn, match=r"127.0.0.9:\d+ is for other names than 127.0.0.9"):
                cluster_id(elsewhere)

    def test_a_client_without_tls(self, broker: SecuredBroker) -> None:
        with pytest.raises(NotLetIn, match=r"speaks TLS, .* KAFKA_SECURITY_PROTOCOL=SASL_SSL"):
            cluster_id(broker.address, timeout=3)

    def test_a_broker_without_tls(self, broker: SecuredBroker) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            Thread(target=hang_up, args=(server,), daemon=True).start()
            address = f"127.0.0.1:{server.getsockname()[1]}"
            with pytest.raises(BrokerError, match="doesn't speak TLS as Kafka does"):
                cluster_id(replace(broker.servers("payment"), addresses=address), timeout=5)

    def test_the_controller_asks_for_a_certificate(self, broker: SecuredBroker) -> None:
        there = replace(broker.servers("admin"), addresses=f"127.0.0.1:{broker.controller}")
        with pytest.raises(BrokerError, match="no Kafka broker answers"):
            cluster_id(there, timeout=3)

    @pytest.mark.parametrize("version", [v for v in ssl.TLSVersion if v.name.startswith("TLSv")])
    def test_an_old_tls(self, broker: SecuredBroker, version: ssl.TLSVersion) -> None:
        context = tls_context(broker.servers("payment"))
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = context.maximum_version = version
        # This machine's own OpenSSL would refuse them otherwise, and the broker is not asked.
        context.set_ciphers("ALL:@SECLEVEL=0")

        def shake_hands() -> None:
            with (
                socket.create_connection(("127.0.0.1", broker.port), 10) as raw,
                context.wrap_socket(raw, server_hostname="127.0.0.1"),
            ):
                pass

        if version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            shake_hands()
        else:
            with pytest.raises(ssl.SSLError, match="ALERT"):
                shake_hands()

    @pytest.mark.parametrize(
        "name", ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SASL_USERNAME", "KAFKA_SSL_CA", "SHOP_SECRETS"]
    )
    def test_a_setting_that_is_missing(
        self, broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        for variable, value in broker.environment("payment").items():
            monkeypatch.setenv(variable, value)
        assert named_servers(Settings()) == broker.servers("payment")
        monkeypatch.delenv(name)
        missing = "KAFKA_SASL_PASSWORD" if name == "SHOP_SECRETS" else name
        with pytest.raises(NotLetIn, match=f"SASL_SSL needs {missing} too"):
            named_servers(Settings())


def hang_up(server: socket.socket) -> None:
    """Answer what a PLAINTEXT listener of Kafka's does to TLS: nothing, and the end."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        connection.recv(1)
        connection.close()


@contextmanager
def forwarded(host: str, port: int) -> Iterator[int]:
    """A listener at another address of this machine, from which all goes to the broker."""
    with closing(socket.create_server((host, 0))) as server:

        def pump(source: socket.socket, to: socket.socket) -> None:
            try:
                while data := source.recv(65536):
                    to.sendall(data)
            except OSError:
                pass
            finally:
                to.close()

        def accept() -> None:
            while True:
                try:
                    there, _ = server.accept()
                except OSError:
                    return
                here = socket.create_connection(("127.0.0.1", port))
                for pair in ((there, here), (here, there)):
                    Thread(target=pump, args=pair, daemon=True).start()

        Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


class TestWhichRightIsMissing:
    @pytest.mark.parametrize("service", ["payment", "responder"])
    def test_a_service_with_the_credentials_of_another(
        self, broker: SecuredBroker, tmp_path: Path, service: str
    ) -> None:
        line = told(home_of(broker, Home(tmp_path / "home"), "warehouse"), "run", service)
        topic = "orders" if service == "payment" else "payment.requests"
        assert f"this process can't work as {service}" in line
        assert f"User:warehouse may not READ topic {topic}. `shop acl show`" in line

    @pytest.mark.parametrize("service", SERVICES)
    def test_no_service_can_work_with_the_credentials_of_another(
        self, broker: SecuredBroker, service: Principal
    ) -> None:
        for other in Principal:
            servers = broker.servers(other)
            if other in (service, Principal.ADMIN):
                require_rights(servers, service)
            else:
                said = f"can't work as {service}.*: User:{other} may not (READ|WRITE) (topic|group)"
                with pytest.raises(AccessDenied, match=said):
                    require_rights(servers, service)

    def test_who_places_orders_with_the_credentials_of_another(
        self, broker: SecuredBroker, tmp_path: Path
    ) -> None:
        home = home_of(broker, Home(tmp_path / "home"), "recorder")
        line = told(home, "ask", "--customer", "42", "--amount", "1.00")
        assert "can't work as order" in line
        assert "User:recorder may not" in line

    def test_publishing(self, broker: SecuredBroker) -> None:
        publisher = Publisher(broker.servers("warehouse"))
        records = [Outgoing("orders", b"k", [], b"{}"), Outgoing("authorizations", b"k", [], b"{}")]
        with pytest.raises(AccessDenied, match="User:warehouse may not WRITE topic authorizations"):
            publisher.publish(records)

    def test_publishing_where_nothing_may_be_written(self, broker: SecuredBroker) -> None:
        """And as soon as something may, the same publisher does it."""
        publisher = Publisher(broker.servers("dashboard"))
        record = Outgoing("orders.dead-letter", b"k", [], b"{}")
        for _ in range(2):
            with pytest.raises(AccessDenied, match=r"User:dashboard may not WRITE .*orders"):
                publisher.publish([record])
        right = Right(Principal.DASHBOARD, Kind.TOPIC, "orders.dead-letter", Operation.WRITE)
        change(broker, give=[right])
        publisher.publish([record])
        change(broker, take=[right])

    def test_reading(self, broker: SecuredBroker) -> None:
        orders = TopicPartition("orders", 0)
        for principal, place in (("warehouse", orders), ("dashboard", orders)):
            with pytest.raises(AccessDenied, match=f"User:{principal} may not READ topic orders"):
                list(read_partition(broker.servers(principal), place, lambda low: low, 1, 10, 10))

    def test_looking(self, broker: SecuredBroker) -> None:
        cluster = ClusterView(broker.servers("warehouse"))
        with pytest.raises(AccessDenied, match="User:warehouse may not DESCRIBE topic authoriz"):
            cluster.ends(["authorizations"])
        with pytest.raises(AccessDenied, match="User:warehouse may not DESCRIBE group shop-order"):
            cluster.groups(["shop-order"])
        with pytest.raises(AccessDenied, match="may not DESCRIBE_CONFIGS topic orders"):
            cluster.largest(["orders"])
        with pytest.raises(AccessDenied, match=r"may not DESCRIBE topic of\.strangers"):
            cluster.ends(["of.strangers"])

    def test_administration(self, broker: SecuredBroker, payment: Home) -> None:
        assert "may not DESCRIBE cluster" in told(payment, "acl", "check")
        assert "User:payment may not" in told(payment, "topics", "create")
        servers = broker.servers("payment")
        with pytest.raises(AccessDenied, match="User:payment may not ALTER cluster"):
            set_passwords(servers, {Principal.ORDER: "mine"})
        with pytest.raises(AccessDenied, match="User:payment may not ALTER cluster"):
            make_so(servers, difference(broker.servers("admin"), rights(["of.strangers"])))
        # What no right is needed for.
        require_rights(broker.servers("dashboard"), Principal.PROJECTOR)
