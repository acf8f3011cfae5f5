"""Produces and consumes by each codec, in a container of the stack: its client is `admin` there."""

import os
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
EACH = 100
SETTINGS = {
    "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
    "security.protocol": "SASL_SSL",
    "ssl.ca.location": os.environ["KAFKA_SSL_CA"],
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "admin",
    "sasl.password": Path("/run/secrets/kafka_sasl_password").read_text().strip(),
}

admin = AdminClient(SETTINGS)
admin.create_topics([NewTopic("codecs", 1)])["codecs"].result(30)
try:
    for codec in CODECS:
        said: list[object] = []
        producer = Producer({**SETTINGS, "compression.codec": codec, "linger.ms": 200})
        for number in range(EACH):
            producer.produce(
                "codecs",
                f"{codec} {number}" * 10,
                on_delivery=lambda error, _, to=said: to.append(error),
            )
        assert producer.flush(60) == 0
        assert said == [None] * EACH, f"{codec}: {said[0]}"
    consumer = Consumer({**SETTINGS, "group.id": "codecs", "auto.offset.reset": "earliest"})
    consumer.subscribe(["codecs"])
    found = consumer.consume(len(CODECS) * EACH, 60)
    consumer.close()
    wanted = [f"{codec} {number}" * 10 for codec in CODECS for number in range(EACH)]
    assert [message.value().decode() for message in found] == wanted
finally:
    admin.delete_topics(["codecs"])["codecs"].result(30)
print("each codec")
