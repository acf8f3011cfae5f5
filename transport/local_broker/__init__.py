"""Apache Kafka as one process on this machine, with its own Java and with no container engine."""

from transport.local_broker.broker import LocalBroker
from transport.local_broker.jars import KAFKA_VERSION, Progress, fetch_jars
from transport.local_broker.status import BrokerStatus

__all__ = ["KAFKA_VERSION", "BrokerStatus", "LocalBroker", "Progress", "fetch_jars"]
