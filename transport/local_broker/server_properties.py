"""What Kafka is told at its start: ``server.properties`` and its logging."""

from pathlib import Path

HOST = "127.0.0.1"
NODE_ID = 1
INTERNAL_PARTITIONS = 4
"""Partitions of Kafka's own topics; the 50 that it would make cost a start for nothing here."""


def render_server_properties(data: Path, port: int, controller_port: int) -> str:
    """``server.properties`` for one node that is broker and controller, reached from here only.

    Args:
        data: the directory for the records.
        port: the port that clients use.
        controller_port: the port that the node's controller uses, from this machine only.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        # A fixed voter, not one kept in the metadata log: the port may change between two starts.
        "controller.quorum.voters": f"{NODE_ID}@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": escape(str(data)),
        # A topic nobody created on purpose is a misspelt one.
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": INTERNAL_PARTITIONS,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": INTERNAL_PARTITIONS,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": INTERNAL_PARTITIONS,
        # A group's first member needn't wait 3 s for others: they join a moment later all the same.
        "group.initial.rebalance.delay.ms": 0,
        # Offsets outlive a home that lies idle for long: a service goes on where it stopped.
        "offsets.retention.minutes": 10 * 365 * 24 * 60,
        "log.segment.bytes": 64 * 1024 * 1024,
        # Kafka's default, one week. The project's topics state their own.
        "log.retention.hours": 168,
        # After a kill the controller takes the broker back once the dead one's session is over:
        # with Kafka's 9 s a start would last that long.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def render_log_properties(directory: Path) -> str:
    """The log4j2 settings: one log in ``directory``, at most four files of 5 MiB."""
    settings = {
        "status": "error",
        "appender.file.type": "RollingFile",
        "appender.file.name": "file",
        "appender.file.fileName": escape(str(directory / "kafka.log")),
        "appender.file.filePattern": escape(str(directory / "kafka.%i.log")),
        "appender.file.layout.type": "PatternLayout",
        "appender.file.layout.pattern": "%d{ISO8601} %p %c{1}: %m%n",
        "appender.file.policies.type": "Policies",
        "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
        "appender.file.policies.size.size": "5MB",
        "appender.file.strategy.type": "DefaultRolloverStrategy",
        "appender.file.strategy.max": 3,
        "rootLogger.level": "info",
        "rootLogger.appenderRef.file.ref": "file",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def escape(value: str) -> str:
    """A value as Java's ``Properties`` reads it: escapes for backslashes and beyond ASCII."""
    units = value.replace("\\", "\\\\").encode("utf-16-be", "surrogatepass")
    codes = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
    return "".join(chr(code) if code < 0x80 else f"\\u{code:04x}" for code in codes)
