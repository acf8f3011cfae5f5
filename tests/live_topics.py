"""Topics on a real broker that tests delete, make anew and shorten."""

from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from domain.errors import BrokerError
from tests.waiting import wait_for
from transport.clients import admin_client, producer_client
from transport.topic_lives import TopicsView


def make(servers: str, topic: str, partitions: int = 1, **config: str) -> str:
    """Create a topic, and wait until it can be read and written; its id."""
    new = NewTopic(topic, partitions, 1, config=config)
    admin = admin_client(servers)
    admin.create_topics([new])[topic].result(30)
    view = TopicsView(servers)

    def ready() -> bool:
        try:
            return len(view.kept([topic])) == partitions
        except BrokerError:
            # A topic that was just made has no leader yet.
            return False

    wait_for(ready, f"topic {topic}", 20)
    return view.ids([topic])[topic]


def delete(servers: str, *topics: str) -> None:
    """Delete topics, and wait until they are gone."""
    admin = admin_client(servers)
    for answer in admin.delete_topics(list(topics)).values():
        answer.result(30)
    view = TopicsView(servers)
    wait_for(lambda: not view.there(topics), f"{topics} are gone", 20)


def make_anew(servers: str, topic: str, partitions: int = 1) -> str:
    """Delete a topic and create it again; its new id."""
    delete(servers, topic)
    return make(servers, topic, partitions)


def fill(servers: str, topic: str, count: int) -> None:
    """Write so many records to its partition 0."""
    producer = producer_client(servers)
    for number in range(count):
        producer.produce(topic, str(number).encode(), partition=0)
    assert producer.flush(30) == 0


def shorten(servers: str, topic: str, to: int) -> None:
    """Delete the records of its partition 0 before an offset."""
    place = KafkaTopicPartition(topic, 0, to)
    admin = admin_client(servers)
    for answer in admin.delete_records([place]).values():
        answer.result(30)
