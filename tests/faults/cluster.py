"""Three brokers on this machine: each record is on all, and acknowledged once two have it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli.settings import Settings
from tests.waiting import wait_for
from transport.clients import admin_client
from transport.local_broker.jars import fetch_jars
from transport.local_broker.java import Jvm, java_environment, java_executable
from transport.local_broker.ports import choose_ports
from transport.local_broker.server_properties import (
    render_log_properties,
    render_server_properties,
)
from transport.local_broker.storage import Storage

NODES = (1, 2, 3)


@dataclass
class Cluster:
    """Three nodes, each broker and controller."""

    folder: Path
    jvm: Jvm
    addresses: dict[int, str] = field(default_factory=dict)
    processes: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def servers(self) -> str:
        return ",".join(self.addresses.values())

    def start(self, node: int) -> None:
        """Start a node that doesn't run."""
        directory = self.folder / str(node)
        with (directory / "console.log").open("ab") as console:
            self.processes[node] = subprocess.Popen(
                self.jvm.command(
                    "kafka.Kafka", str(directory / "server.properties"), options=_options(directory)
                ),
                cwd=directory,
                env=java_environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, node: int) -> None:
        """SIGKILL."""
        os.kill(self.processes[node].pid, signal.SIGKILL)
        self.processes.pop(node).wait()

    def leader(self, topic: str, partition: int) -> int:
        """Which node leads a partition."""
        found = admin_client(self.servers).list_topics(topic, timeout=30).topics[topic]
        return int(found.partitions[partition].leader)

    def whole(self) -> bool:
        """Whether all nodes are there, and every partition is on all of them and up to date."""
        known = admin_client(self.servers).list_topics(timeout=30)
        partitions = [part for topic in known.topics.values() for part in topic.partitions.values()]
        return len(known.brokers) == len(NODES) and all(
            len(part.isrs) == len(part.replicas) for part in partitions
        )


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A fresh cluster that runs; nothing of it is left at the end."""
    jars = Settings().jars
    made = Cluster(folder, Jvm(java_executable(), fetch_jars(jars), jars))
    ports = {}
    for node in NODES:
        while node not in ports or len({p for o in ports.values() for p in o}) < 2 * len(ports):
            chosen, _ = choose_ports(None, None)
            ports[node] = (chosen.broker, chosen.controller)
        made.addresses[node] = f"127.0.0.1:{ports[node][0]}"
    storage = Storage(folder)
    for node in NODES:
        directory = folder / str(node)
        directory.mkdir(parents=True)
        _configure(directory, node, ports)
        storage.format(made.jvm, directory / "server.properties", _options(directory))
    try:
        for node in NODES:
            made.start(node)
        wait_for(
            lambda: len(admin_client(made.servers).list_topics(timeout=30).brokers) == 3,
            "3 brokers",
        )
        yield made
    finally:
        for process in made.processes.values():
            process.terminate()
        for process in made.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _options(directory: Path) -> tuple[str, ...]:
    return (f"-Dlog4j2.configurationFile={(directory / 'log4j2.properties').as_uri()}",)


def _configure(directory: Path, node: int, ports: dict[int, tuple[int, int]]) -> None:
    voters = ",".join(f"{n}@127.0.0.1:{controller}" for n, (_, controller) in ports.items())
    # A later line counts for more than an earlier one.
    more = {
        "node.id": node,
        "controller.quorum.voters": voters,
        "default.replication.factor": 3,
        "min.insync.replicas": 2,
        "offsets.topic.replication.factor": 3,
        "transaction.state.log.replication.factor": 3,
        "transaction.state.log.min.isr": 2,
        "replica.lag.time.max.ms": 5000,
    }
    text = render_server_properties(directory / "data", *ports[node])
    text += "".join(f"{name}={value}\n" for name, value in more.items())
    (directory / "server.properties").write_text(text)
    (directory / "log4j2.properties").write_text(render_log_properties(directory))
