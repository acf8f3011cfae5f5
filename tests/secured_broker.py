"""The stack's broker as a local process: `deploy/kafka/server.properties`, and a secrets folder."""

import secrets as randomness
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cli.secrets_folder import DAYS, HOSTS, KAFKA_PASSWORD, make_folder
from cli.settings import Settings
from domain.errors import BrokerError
from domain.principals import Principal
from tests.conftest import ROOT
from tests.waiting import wait_for
from transport.clients import cluster_id
from transport.local_broker.jars import fetch_jars
from transport.local_broker.java import Jvm, java_environment, java_executable
from transport.local_broker.ports import choose_ports
from transport.local_broker.server_properties import escape, render_log_properties
from transport.servers import SecuredServers

PROPERTIES = ROOT / "deploy" / "kafka" / "server.properties"


@dataclass
class SecuredBroker:
    """A broker that asks for passwords and has an authorizer; ACLs are made by `shop acl apply`."""

    folder: Path
    secrets: Path
    port: int
    controller: int
    jvm: Jvm
    more: Mapping[str, object] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that the broker has logged."""
        return (self.folder / "kafka.log").read_text(errors="replace")

    def password(self, principal: str) -> str:
        return (self.secrets / principal / KAFKA_PASSWORD).read_text()

    def servers(self, principal: str, password: str | None = None) -> SecuredServers:
        """The broker as a principal speaks with it."""
        known = self.password(principal) if password is None else password
        return SecuredServers(self.address, principal, known, self.secrets / "ca.pem")

    def environment(self, principal: str) -> dict[str, str]:
        """What a process of a principal gets; admin's is what sets up."""
        found = {
            "KAFKA_BOOTSTRAP_SERVERS": self.address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": principal,
            "KAFKA_SSL_CA": str(self.secrets / "ca.pem"),
            "SHOP_SECRETS": str(self.secrets / principal),
        }
        if principal == Principal.ADMIN:
            found["SHOP_PRINCIPALS"] = str(self.secrets)
        return found

    def start(self) -> None:
        """Start, and wait until admin is let in."""
        self._configure()
        with (self.folder / "console.log").open("ab") as console:
            self.process = subprocess.Popen(
                self.jvm.command("kafka.Kafka", str(self._properties), options=self._options),
                cwd=self.folder,
                env=java_environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self._answers, "the secured broker")

    def stop(self) -> None:
        """End it; its data stay."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def format(self) -> None:
        """Make its storage, with admin's password in it, as compose.yaml does."""
        self._configure()
        made = urlsafe_b64encode(randomness.token_bytes(16)).rstrip(b"=").decode()
        scram = f"SCRAM-SHA-512=[name=admin,password={self.password('broker')}]"
        done = subprocess.run(
            self.jvm.command(
                "kafka.tools.StorageTool",
                *("format", "--ignore-formatted", "--cluster-id", f"s{made[1:]}"),
                *("--config", str(self._properties), "--add-scram", scram),
                options=self._options,
            ),
            env=java_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _options(self) -> tuple[str, ...]:
        return (f"-Dlog4j2.configurationFile={(self.folder / 'log4j2.properties').as_uri()}",)

    def _answers(self) -> str:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-3000:]
        try:
            return cluster_id(self.servers("admin", self.password("broker")), timeout=1)
        except BrokerError:
            return ""

    def _configure(self) -> None:
        own = escape(str(self.secrets / "broker"))
        # A later line counts for more than an earlier one.
        more: dict[str, object] = {
            "listeners": f"CLIENTS://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller}",
            "advertised.listeners": f"CLIENTS://{self.address}",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller}",
            "log.dirs": escape(str(self.folder / "data")),
            "ssl.keystore.location": f"{own}/keystore.pem",
            "ssl.truststore.location": f"{own}/truststore.pem",
            "listener.name.clients.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required "
                f'username="admin" password="${{directory:{own}:{KAFKA_PASSWORD}}}";'
            ),
            # A start of 50 partitions of Kafka's own topics costs seconds.
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.num.partitions": 4,
            **self.more,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{name}={value}\n" for name, value in more.items())
        self._properties.write_text(f"{PROPERTIES.read_text()}\n{lines}")
        (self.folder / "log4j2.properties").write_text(render_log_properties(self.folder))


@contextmanager
def secured_broker(
    folder: Path, secrets: Path | None = None, **more: object
) -> Iterator[SecuredBroker]:
    """A fresh broker that runs, without topics and ACLs; it has ended afterwards.

    Args:
        folder: for its data, its log and its configuration.
        secrets: what `shop secrets create` made; else `folder`/secrets is made.
        more: settings of the broker's, with _ for a dot in their names.
    """
    if secrets is None:
        secrets = folder / "secrets"
        make_folder(secrets, HOSTS, DAYS, datetime.now(UTC))
    jars = Settings().jars
    ports, _ = choose_ports(None, None)
    made = SecuredBroker(
        folder,
        secrets,
        ports.broker,
        ports.controller,
        Jvm(java_executable(), fetch_jars(jars), jars),
        {name.replace("_", "."): value for name, value in more.items()},
    )
    made.format()
    try:
        made.start()
        yield made
    finally:
        made.stop()
