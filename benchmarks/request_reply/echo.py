"""The floor's other side: answers each request with its own bytes, and does nothing else.

``python -m benchmarks.request_reply.echo SERVERS TOPIC``
"""

import struct
import sys

from transport.clients import consumer_client, producer_client


def main() -> None:
    """Echo until SIGTERM."""
    servers, topic = sys.argv[1:3]
    consumer = consumer_client(servers, "echo", **{"fetch.wait.max.ms": 100})
    consumer.subscribe([topic])
    producer = producer_client(servers)
    while True:
        message = consumer.poll(0.1)
        producer.poll(0)
        if message is None or message.error() is not None:
            continue
        headers = dict(message.headers() or ())
        (partition,) = struct.unpack(">i", headers["kafka_replyPartition"])  # type: ignore[arg-type]
        correlation = headers["kafka_correlationId"]
        producer.produce(
            headers["kafka_replyTopic"].decode(),  # type: ignore[union-attr]
            value=message.value(),
            headers=[("kafka_correlationId", correlation)],
            partition=partition,
        )


if __name__ == "__main__":
    main()
