"""The composition root: which real part is used for what, and where its state lives."""

import logging
from collections.abc import Callable

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from cli.settings import Settings
from domain.errors import BrokerError
from event_log.database import Database
from event_log.outbox import Publishes, Relay
from reporting.projector import open_projections
from services.batch import Service
from services.order import OrderService
from services.payment import PaymentService
from services.recorder import RecorderService, open_log
from services.warehouse import WarehouseService
from streams.relaying import RelayThread
from streams.worker import Worker, WorkerSettings
from transport.clients import Publisher, cluster_id
from transport.local_broker.broker import LocalBroker
from transport.topics import require_topics

_log = logging.getLogger(__name__)


def order_service(settings: Settings) -> OrderService:
    """The order service over its own database."""
    return OrderService(settings.database("order"))


def recorder_service(settings: Settings) -> RecorderService:
    """The recorder over the event log's database."""
    return RecorderService(settings.database("event_log"))


def payment_service(settings: Settings) -> PaymentService:
    """The payment service over its own database, with the house accounts."""
    return PaymentService(settings.database("payment"), settings.house_accounts())


SERVICES: dict[str, Callable[[Settings], Service]] = {
    "order": order_service,
    "payment": payment_service,
    "warehouse": lambda settings: WarehouseService(settings.database("warehouse")),
    "recorder": recorder_service,
}


def local_broker(settings: Settings) -> LocalBroker:
    """The home's own broker."""
    return LocalBroker(settings.home, settings.jars, settings.broker_port)


def bootstrap_servers(settings: Settings) -> str:
    """Where the broker is: the one that was set, or the home's own.

    Raises:
        BrokerError: none was set, and the home's own isn't running.
    """
    if settings.bootstrap_servers:
        return settings.bootstrap_servers
    status = local_broker(settings).status()
    if not status.running or not status.bootstrap_servers:
        raise BrokerError(
            f"no broker runs in {settings.home}: start one with `shop broker start`, or set "
            "KAFKA_BOOTSTRAP_SERVERS to one that is there"
        )
    return status.bootstrap_servers


def wait_for_topics(settings: Settings, seconds: float = 60.0) -> tuple[str, str]:
    """Where the broker is and its cluster's id, as soon as it answers and has the topics.

    Raises:
        BrokerError: it did not within `seconds`.
    """
    for attempt in Retrying(
        retry=retry_if_exception_type(BrokerError),
        wait=wait_random_exponential(multiplier=0.3, max=5),
        stop=stop_after_delay(seconds),
        before_sleep=lambda state: _log.warning(
            "waiting for the broker: %s", state.outcome.exception() if state.outcome else ""
        ),
        reraise=True,
    ):
        with attempt:
            servers = bootstrap_servers(settings)
            cluster = cluster_id(servers, timeout=10)
            require_topics(servers)
            return servers, cluster
    raise AssertionError("unreachable: the loop returns or raises")


def publisher(servers: str) -> Publisher:
    """What sends records to Kafka."""
    return Publisher(servers)


def worker(
    settings: Settings, name: str, publishes: Callable[[str], Publishes] = publisher
) -> Worker:
    """A service's worker, on a broker that answers and a database that belongs to it.

    `publishes` makes what its relay publishes by, from where the broker is.

    Raises:
        BrokerError: there is no broker.
        StoreError: the database can't be used.
    """
    service = SERVICES[name](settings)
    servers, cluster = wait_for_topics(settings)
    service.database.bind_to_cluster(cluster)
    relay = RelayThread(Relay(service.database, publishes(servers)), name)
    data = settings.home / "faust" / name
    data.mkdir(parents=True, exist_ok=True)
    return Worker(
        service,
        WorkerSettings(
            servers, data, settings.batch, settings.batch_within, settings.stalled_after
        ),
        relay,
    )


def open_report(settings: Settings) -> tuple[Database, Database]:
    """The event log and the projections over it."""
    log = open_log(settings.database("event_log"))
    return log, open_projections(settings.database("report"))
