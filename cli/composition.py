"""The composition root: which real part is used for what, and where its state lives."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from cli.settings import Settings
from domain.errors import BrokerError, NotLetIn, StoreError
from domain.principals import Principal
from event_log.database import RETRY_FOR_SECONDS, Database, Place, reason
from event_log.log import last_position
from event_log.outbox import Publishes, Relay
from event_log.sqlite import can_be_written
from reporting.projector import ProjectedRow, catch_up, open_projections, position
from reporting.proof_of_log import open_log_to_prove
from reporting.read_only import ReadOnlyDatabase, look_up
from reporting.set_aside import StoppedRow, stopped
from reporting.told import Unreadable
from services.batch import Service
from services.learning import learn_decisions
from services.order import OrderService
from services.payment import PaymentService
from services.recorder import RecorderService, open_log
from services.telemetry import telemetry
from services.topic_lives import TopicLives
from services.warehouse import WarehouseService
from streams.relaying import RelayThread
from transport.access import kept_for, learned_by
from transport.clients import Publisher, cluster_id
from transport.local_broker.broker import LocalBroker
from transport.private_files import make_folder
from transport.retrying import may_pass, until_it_works
from transport.rights import require_rights
from transport.servers import SecuredServers, Servers
from transport.topic_settings import Keeping, require_safe
from transport.topics import PAYMENT_REPLIES, PAYMENT_REQUESTS

if TYPE_CHECKING:
    from streams.worker import Worker

_log = logging.getLogger(__name__)

Read = TypeVar("Read")
Opened = TypeVar("Opened")


def order_service(settings: Settings) -> OrderService:
    """The order service over its own database."""
    return OrderService(settings.database("order"))


def recorder_service(settings: Settings) -> RecorderService:
    """The recorder over the event log's database."""
    return RecorderService(settings.database("event_log"))


def payment_service(settings: Settings) -> PaymentService:
    """The payment service over its own database, with the house accounts."""
    return PaymentService(settings.database("payment"), settings.house_accounts())


PROJECTOR = "projector"
"""A service that has no part in Kafka: it takes the log into the projections."""

SERVICES: dict[str, Callable[[Settings], Service]] = {
    "order": order_service,
    "payment": payment_service,
    "warehouse": lambda settings: WarehouseService(settings.database("warehouse")),
    "recorder": recorder_service,
}


READS = {
    "order": tuple(OrderService.subscriptions),
    "payment": tuple(PaymentService.subscriptions),
    "responder": (PAYMENT_REQUESTS,),
    "warehouse": tuple(WarehouseService.subscriptions),
    "recorder": tuple(RecorderService.subscriptions),
}
"""By service, the topics of which it must have every record."""


def local_broker(settings: Settings) -> LocalBroker:
    """The home's own broker."""
    return LocalBroker(settings.home, settings.jars, settings.broker_port)


def named_servers(settings: Settings) -> Servers | None:
    """The broker that was set, and as whom it is spoken with; `None` if none was.

    Raises:
        NotLetIn: SASL_SSL was asked for, and something that it needs was not set.
    """
    if settings.security_protocol != "SASL_SSL":
        return settings.bootstrap_servers
    servers, name, password, ca = (
        settings.bootstrap_servers,
        settings.sasl_username,
        settings.sasl_password,
        settings.ssl_ca,
    )
    if servers and name and password and ca:
        return SecuredServers(servers, name, password.get_secret_value().strip(), ca)
    needed = {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "KAFKA_SASL_USERNAME": name,
        "KAFKA_SASL_PASSWORD": password,
        "KAFKA_SSL_CA": ca,
    }
    missing = ", ".join(variable for variable, value in needed.items() if not value)
    raise NotLetIn(
        f"KAFKA_SECURITY_PROTOCOL=SASL_SSL needs {missing} too; a file kafka_sasl_password in the "
        "folder that SHOP_SECRETS names sets the password"
    )


def bootstrap_servers(settings: Settings) -> Servers:
    """Where the broker is: the one that was set, or the home's own.

    Raises:
        BrokerError: none was set, and the home's own isn't running; or something else that it
            needs was not set.
    """
    named = named_servers(settings)
    if named:
        return named
    status = local_broker(settings).status()
    if not status.running or not status.bootstrap_servers:
        raise BrokerError(
            f"no broker runs in {settings.home}: start one with `shop broker start`, or set "
            "KAFKA_BOOTSTRAP_SERVERS to one that is there"
        )
    return status.bootstrap_servers


def wait_for_topics(
    settings: Settings, who: Principal, seconds: float = 60.0
) -> tuple[Servers, str]:
    """Where the broker is and its cluster's id, as soon as it answers and `who` can work there.

    Raises:
        NotLetIn: a password, a certificate or the protocol is the wrong one: waiting is no use.
        AccessDenied: a right is missing that `who` needs.
        UnsafeTopic: the settings of a topic that `who` reads can lose records.
        BrokerError: it did not within `seconds`.
    """

    def ask() -> tuple[Servers, str]:
        servers = bootstrap_servers(settings)
        cluster = cluster_id(servers, timeout=10)
        require_rights(servers, who, settings.reply_topics)
        require_safe(servers, kept_for(who), keeping(settings))
        return servers, cluster

    return until_it_works(
        ask,
        "the broker can't be worked with",
        lambda error: may_pass(error) and not isinstance(error, NotLetIn),
        within=seconds,
    )


def keeping(settings: Settings) -> Keeping:
    """How topics are to keep their records."""
    return Keeping(settings.replication, settings.retention_days)


def learned(name: str) -> tuple[str, ...]:
    """The topics that a service reads as far as they go: what it has said, and its replies."""
    replies = (PAYMENT_REPLIES,) if name == Principal.ORDER else ()
    return (*learned_by(Principal(name)), *replies)


def topic_lives(name: str, servers: Servers, database: Database) -> TopicLives:
    """The topics of a service, to be compared with what its database knows of them."""
    return TopicLives(servers, database, name, READS[name], learned(name))


def publisher(servers: Servers) -> Publishes:
    """What sends records to Kafka."""
    return telemetry().publishing(Publisher(servers))


def worker(
    settings: Settings, name: str, publishes: Callable[[Servers], Publishes] = publisher
) -> "Worker":
    """A service's worker, on a broker that answers and a database that belongs to it.

    `publishes` makes what its relay publishes by, from where the broker is.

    Raises:
        BrokerError: there is no broker.
        StoreError: the database can't be used, or is not of these topics.
        OffsetGap: records are gone that the service has not handled.
    """
    # Faust, which is a third of the start of any command, is for those who work by it.
    from streams.worker import Worker, WorkerSettings

    service = until_open(partial(SERVICES[name], settings), f"{name}'s database", float("inf"))
    service.database.be_patient()
    servers, cluster = wait_for_topics(settings, Principal(name))
    service.database.bind_to_cluster(cluster)
    lives = topic_lives(name, servers, service.database)
    lives.bind()
    if isinstance(service, PaymentService):
        learn_decisions(service, servers)
    relay = RelayThread(Relay(service.database, publishes(servers)), name)
    data = settings.home / "faust" / name
    make_folder(data)
    return Worker(
        service,
        WorkerSettings(
            servers, data, settings.batch, settings.batch_within, settings.stalled_after
        ),
        relay,
        lives,
    )


def until_open(open_it: Callable[[], Opened], whose: str, within: float | None = None) -> Opened:
    """What `open_it` opens; a database that is away or locked is waited for.

    Args:
        open_it: opens databases.
        whose: what they are called.
        within: seconds after which that is given up; else a minute.

    Raises:
        StoreAway: it is given up.
        StoreError: a database can't be used.
    """
    seconds = RETRY_FOR_SECONDS if within is None else within
    return until_it_works(open_it, f"{whose} can't be opened", within=seconds)


def require_home(settings: Settings) -> None:
    """Refuse to look into a home that isn't there: to look never makes one.

    Raises:
        StoreError: there is none.
    """
    if not settings.on_postgres and not settings.home.is_dir():
        raise StoreError(
            f"there is no home at {settings.home}: set SHOP_HOME to the folder that is one, or "
            "begin one there with `shop demo`, or with `shop broker start` and `shop run`"
        )


def open_report(settings: Settings) -> tuple[Database, Database]:
    """The event log and the projections over it."""
    log = open_log(settings.database("event_log"))
    return log, open_projections(settings.database("report"))


def looked_up(
    place: Place, read: Callable[[Connection], Read], *tables: type[SQLModel]
) -> Read | None:
    """What `read` finds in a database; `None` where that, or one of its tables, isn't there yet.

    Raises:
        StoreError: the database can't be read.
    """
    try:
        return look_up(place, read, *tables)
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"database {place} can't be read: {reason(error)}") from error


def read_report(settings: Settings, *, newest: bool) -> tuple[Database, Database]:
    """The event log, which must be there, and the projections, to be read.

    Args:
        settings: the settings.
        newest: whether the projections are to have what the log has by now. In files they are
            brought up to date, and made where there are none yet. In Postgres that is the
            projector's right alone, and in a home that can only be read nobody's: how far they are
            behind is said.

    Raises:
        StoreError: a database can't be used, or is not there yet.
    """
    log, place = open_log_to_prove(settings.database("event_log")), settings.database("report")
    reached = looked_up(place, position, ProjectedRow)
    if isinstance(place, Path) and can_be_written(place):
        projections = open_projections(place)
        if newest or reached is None:
            try:
                catch_up(log, projections)
            except Unreadable as error:
                # What comes before it is in the report all the same.
                _log.warning("the report ends before position %d: %s", error.position, error)
        return log, projections
    how = f"`shop run {PROJECTOR}` takes them in"
    if isinstance(place, Path):
        how = (
            f"{place} can only be read here. Allow writing it and its folder, or copy the home to "
            "where it can be written, and set SHOP_HOME to that copy"
        )
    if reached is None:
        raise StoreError(f"the events of the log are in no projections at {place} yet: {how}")
    stop = looked_up(place, stopped, StoppedRow)
    if newest and stop is not None:
        _log.warning("%s", stop)
        return log, ReadOnlyDatabase(place)
    behind = last_position(log) - reached
    if newest and behind > 0:
        _log.warning("the projections are %d events behind the log: %s", behind, how)
    return log, ReadOnlyDatabase(place)
