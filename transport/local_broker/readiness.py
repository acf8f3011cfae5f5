"""Whether a broker can be used: reached, and for the local one, a record written and read back."""

import logging
import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from domain.errors import BrokerError

Settings = dict[str, Any]
"""A client's settings; its type stubs leave out loggers and callbacks."""

READY_TOPIC = "__shop-ready"
"""The topic of the records by which the local broker is tried."""

# A broker that isn't there yet is no news: librdkafka's lines about it must not reach the terminal.
_quiet = logging.getLogger(f"{__name__}.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def _client(bootstrap_servers: str) -> Settings:
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": "shop-ready",
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 200,
        "socket.timeout.ms": 10_000,
        "log_level": 0,
        "logger": _quiet,
        "error_cb": lambda _error: None,
    }


def prove(bootstrap_servers: str, deadline: float, still_alive: Callable[[], None]) -> str | None:
    """Write a record, read that very one back, and return the cluster's id.

    Args:
        bootstrap_servers: host:port of the one broker.
        deadline: the ``time.monotonic()`` by which it must have worked.
        still_alive: called often; what it raises ends the wait.

    Raises:
        BrokerError: it hasn't worked in time; the last reason is in the message.
    """
    _wait_for_port(bootstrap_servers, deadline, still_alive)
    reason = "the port is open, but no answer came"
    client = _client(bootstrap_servers)
    while time.monotonic() < deadline:
        still_alive()
        try:
            cluster_id = _prepare_topic(client, still_alive)
            _round_trip(client, deadline, still_alive)
        except KafkaException as error:
            reason = str(error.args[0])
            time.sleep(0.05)
        else:
            return cluster_id
    raise BrokerError(f"no record could be written and read back at {bootstrap_servers}: {reason}")


def _wait_for_port(
    bootstrap_servers: str, deadline: float, still_alive: Callable[[], None]
) -> None:
    host, _, port = bootstrap_servers.rpartition(":")
    while time.monotonic() < deadline:
        still_alive()
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise BrokerError(f"nothing listens at {bootstrap_servers}")


def _prepare_topic(client: Settings, still_alive: Callable[[], None]) -> str | None:
    admin = AdminClient(client)
    # One small partition; a record from a minute ago is of no use to anybody.
    topic = NewTopic(
        READY_TOPIC, 1, 1, config={"retention.ms": "60000", "segment.bytes": str(1024 * 1024)}
    )
    creation = admin.create_topics([topic], request_timeout=5.0)[READY_TOPIC]
    while not creation.done():
        still_alive()
        wait([creation], timeout=0.05)
    try:
        creation.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    cluster_id: str | None = admin.list_topics(topic=READY_TOPIC, timeout=1).cluster_id
    return cluster_id


def _round_trip(client: Settings, deadline: float, still_alive: Callable[[], None]) -> None:
    sent = uuid.uuid4().bytes
    offset = OFFSET_INVALID
    failed: KafkaError | None = None

    def delivered(error: KafkaError | None, message: Message) -> None:
        nonlocal offset, failed
        failed = error
        if error is None:
            offset = message.offset() or 0

    producer = Producer({**client, "acks": "all", "message.timeout.ms": 5000})
    producer.produce(READY_TOPIC, sent, partition=0, on_delivery=delivered)
    while producer.flush(0.05):
        still_alive()
    if failed is not None:
        raise KafkaException(failed)

    consumer = Consumer(
        {
            **client,
            "group.id": "shop-ready",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        consumer.assign([TopicPartition(READY_TOPIC, 0, offset)])
        until = min(deadline, time.monotonic() + 10)
        while time.monotonic() < until:
            still_alive()
            message = consumer.poll(0.05)
            if message is None:
                continue
            if (error := message.error()) is not None:
                raise KafkaException(error)
            if message.value() == sent:
                return
    finally:
        consumer.close()
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the record written wasn't read back"))
