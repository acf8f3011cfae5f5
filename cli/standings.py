"""What `shop status` finds out: of the broker, the services, the report and dead letters."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from cli.composition import SERVICES, bootstrap_servers
from cli.responding import RESPONDER
from cli.settings import Settings
from domain.errors import BrokerError
from domain.progress import Standing
from domain.status import Facts
from event_log.log import EventRow, last_position
from reporting.projector import ProjectedRow, position
from reporting.read_only import ReadOnlyDatabase, has_tables
from request_reply.responder import GROUP
from services.order import OrderService
from services.payment import PaymentService
from services.recorder import RecorderService
from services.stored import Stored, stored
from services.warehouse import WarehouseService
from transport.clients import cluster_id
from transport.cluster import ClusterView, Group
from transport.topics import PAYMENT_REQUESTS, TOPICS, TopicPartition, dead_letter_topic

ANSWER_WITHIN_SECONDS = 5.0
"""How long the broker has for each answer."""


class Source(NamedTuple):
    """Where a service is found: its database, its consumer group, the topics it reads."""

    database: str
    group: str
    topics: Collection[str]
    twin: str | None = None
    """Another service that does the same work, asked another way."""


SOURCES = {
    "order": Source("order", "shop-order", OrderService.subscriptions),
    "payment": Source("payment", "shop-payment", PaymentService.subscriptions, RESPONDER),
    RESPONDER: Source("payment", GROUP, (PAYMENT_REQUESTS,), "payment"),
    "warehouse": Source("warehouse", "shop-warehouse", WarehouseService.subscriptions),
    "recorder": Source("event_log", "shop-recorder", RecorderService.subscriptions),
}
assert SOURCES.keys() == {*SERVICES, RESPONDER}  # noqa: S101 a service that is forgotten is seen


@dataclass(frozen=True)
class Found:
    """All that one look found; `ends` and what comes of it is `None` without a broker."""

    servers: str | None
    broker_trouble: str | None
    services: Sequence[Facts] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)
    dead_letters: Mapping[str, int] | None = None
    log_position: int | None = None
    report_position: int | None = None


def find_out(settings: Settings, now: datetime, only: str | None = None) -> Found:
    """Look once; nothing is created, locked or changed.

    Args:
        settings: the settings.
        now: the time (UTC, aware).
        only: a service to look at alone, without groups and dead letters.
    """
    names = [only] if only else list(SOURCES)
    known = {name: _stored(settings, name) for name in names}
    try:
        servers: str | None = bootstrap_servers(settings)
        assert servers is not None  # noqa: S101 it is returned, or an error raised
        cluster_id(servers, timeout=ANSWER_WITHIN_SECONDS)
        cluster = ClusterView(servers, ANSWER_WITHIN_SECONDS)
        facts = [_facts(settings, cluster, name, known[name], now) for name in names]
        letters = None if only else open_letters(cluster)
        groups = {} if only else _groups(cluster)
        trouble = None
    except BrokerError as error:
        servers, trouble = settings.bootstrap_servers, str(error)
        facts = [_without_broker(name, known[name]) for name in names]
        letters, groups = None, {}
    log, report = (None, None) if only else _positions(settings)
    return Found(servers, trouble, _aside(facts), groups, letters, log, report)


def open_letters(cluster: ClusterView) -> dict[str, int]:
    """How many dead letters are open, by the topic that their records came from.

    Raises:
        BrokerError: the broker doesn't say.
    """
    ends = cluster.ends(dead_letter_topic(topic.name) for topic in TOPICS)
    counts = {
        topic.name: sum(
            end for at, end in ends.items() if at.topic == dead_letter_topic(topic.name)
        )
        for topic in TOPICS
    }
    return {topic: count for topic, count in counts.items() if count}


def _groups(cluster: ClusterView) -> dict[str, Group]:
    found = cluster.groups(source.group for source in SOURCES.values())
    return {name: found[source.group] for name, source in SOURCES.items()}


def _stored(settings: Settings, name: str) -> Stored | str:
    """What the service's database says; or why it can't be read."""
    database = ReadOnlyDatabase(settings.database(SOURCES[name].database))
    try:
        if database.file() is None:
            return Stored()
        with database.reading() as connection:
            return stored(connection, name, SOURCES[name].topics)
    except (SQLAlchemyError, OSError) as error:
        return f"database {database.path} can't be read: {getattr(error, 'orig', None) or error}"


def _without_broker(name: str, known: Stored | str) -> Facts:
    if isinstance(known, str):
        return Facts(name, trouble=known)
    return Facts(
        name,
        known.beats,
        last_progress=max(known.moved_at.values(), default=None),
        outbox=known.outbox,
        outbox_since=known.outbox_since,
        early=known.early,
    )


def _facts(
    settings: Settings, cluster: ClusterView, name: str, known: Stored | str, now: datetime
) -> Facts:
    facts = _without_broker(name, known)
    if isinstance(known, str):
        return facts
    ends = cluster.ends(SOURCES[name].topics)
    standings = {place: Standing(end, known.next.get(place, 0)) for place, end in ends.items()}
    limit = timedelta(seconds=settings.stalled_after)
    stuck = []
    for place, standing in standings.items():
        moved = known.moved_at.get(place)
        if not standing.lag or (moved is not None and now - moved <= limit):
            continue
        since = cluster.waits_since(place, standing.position)
        if since is None:
            # Nothing to read: marks of transactions, or records that were deleted.
            standings[place] = Standing(standing.position, standing.position)
        elif now - since > limit:
            stuck.append(_named(place))
    named = {_named(place): standing for place, standing in sorted(standings.items())}
    return replace(facts, partitions=named, stuck=stuck if facts.beats else ())


def _named(place: TopicPartition) -> str:
    return f"{place.topic}[{place.partition}]"


def _aside(facts: Sequence[Facts]) -> list[Facts]:
    """Mark services that were never started and whose twin was."""
    started = {each.name for each in facts if each.beats}
    return [
        replace(each, stands_aside=True)
        if each.name not in started
        and each.last_progress is None
        and SOURCES[each.name].twin in started
        else each
        for each in facts
    ]


def _positions(settings: Settings) -> tuple[int | None, int | None]:
    """The positions of the log and of the report's projections, where they can be read."""
    log = ReadOnlyDatabase(settings.database("event_log"))
    report = ReadOnlyDatabase(settings.database("report"))
    reached: list[int | None] = []
    for database, table in ((log, EventRow), (report, ProjectedRow)):
        try:
            if database.file() is None:
                reached.append(None)
                continue
            with database.reading() as connection:
                if not has_tables(connection, table):
                    reached.append(None)
                elif table is ProjectedRow:
                    reached.append(position(connection))
                else:
                    reached.append(last_position(database))
        except (SQLAlchemyError, OSError):
            reached.append(None)
    return reached[0], reached[1]
