"""The floor: a producer, a consumer, a dictionary, and nothing else."""

import struct
import threading
from concurrent.futures import Future
from uuid import uuid4

from confluent_kafka import TopicPartition

from domain.contracts import NewOrder
from transport.clients import consumer_client, producer_client
from transport.codec import encode


class PingPong:
    """Sends a request and completes a future when its bytes come back."""

    def __init__(self, servers: str, requests: str, replies: str, partition: int) -> None:
        """Listen from the end of the reply partition."""
        self._requests, self._replies, self._partition = requests, replies, partition
        self._waiting: dict[bytes, Future[None]] = {}
        self._producer = producer_client(servers)
        self._consumer = consumer_client(servers, "floor", **{"fetch.wait.max.ms": 100})
        here = TopicPartition(replies, partition)
        _low, high = self._consumer.get_watermark_offsets(here, timeout=30)
        self._consumer.assign([TopicPartition(replies, partition, high)])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def submit(self, order: NewOrder) -> "Future[None]":
        """Ask, and go on."""
        correlation = uuid4().bytes
        done = self._waiting[correlation] = Future()
        self._producer.produce(
            self._requests,
            value=encode(order),
            key=order.customer_id,
            headers=[
                ("kafka_correlationId", correlation),
                ("kafka_replyTopic", self._replies.encode()),
                ("kafka_replyPartition", struct.pack(">i", self._partition)),
            ],
        )
        self._producer.poll(0)
        return done

    def stop(self) -> None:
        """Stop listening."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            headers = dict(message.headers() or ())
            waiting = self._waiting.pop(headers["kafka_correlationId"], None)  # type: ignore[arg-type]
            if waiting is not None:
                waiting.set_result(None)
