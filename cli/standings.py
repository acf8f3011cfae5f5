"""What `shop status` finds out: of the broker, the services, the report and dead letters."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from cli.composition import (
    PROJECTOR,
    READS,
    SERVICES,
    bootstrap_servers,
    keeping,
    learned,
    looked_up,
    require_home,
)
from cli.responding import RESPONDER
from cli.settings import Settings
from domain.errors import BrokerError, StoreError
from domain.progress import Standing
from domain.status import Facts, living, stands_still, throttled
from event_log.database import reason
from event_log.inbox import PositionRow, next_offsets
from event_log.log import EventRow, head
from event_log.outbox import OutboxRow, set_aside
from event_log.topic_ids import TopicRow, topic_ids
from reporting.progress import LogView
from reporting.projector import LOG, ProjectedRow, position, projected
from reporting.set_aside import SetAsideRow, StoppedRow, all_aside, stopped
from request_reply.responder import GROUP
from services.letter_store import LetterActionRow, LetterRow, all_letters
from services.letters import DEAD_LETTERS, DESK_READS, open_letters
from services.order import OrderService
from services.payment import PaymentService
from services.recorder import RecorderService
from services.stored import Stored, stored
from services.topic_lives import refusal
from services.warehouse import WarehouseService
from services.watchdog import Looks
from transport.clients import cluster_id
from transport.cluster import ClusterView, Group
from transport.servers import Servers
from transport.topic_lives import TopicsView
from transport.topic_settings import in_words, unsafe_topics
from transport.topics import ALL_TOPICS, PAYMENT_REQUESTS, TOPICS, TopicPartition, dead_letter_topic

ANSWER_WITHIN_SECONDS = 5.0
"""How long the broker has for each answer."""


class Source(NamedTuple):
    """Where a service is found: its database, its consumer group, the topics it reads.

    One without a group reads no topics of Kafka's.
    """

    database: str
    group: str | None
    topics: Collection[str]
    twin: str | None = None
    """Another service that does the same work, asked another way."""


SOURCES = {
    "order": Source("order", "shop-order", OrderService.subscriptions),
    "payment": Source("payment", "shop-payment", PaymentService.subscriptions, RESPONDER),
    RESPONDER: Source("payment", GROUP, (PAYMENT_REQUESTS,), "payment"),
    "warehouse": Source("warehouse", "shop-warehouse", WarehouseService.subscriptions),
    "recorder": Source("event_log", "shop-recorder", RecorderService.subscriptions),
    PROJECTOR: Source("report", None, (LOG.topic,)),
}
_NAMES = {*SERVICES, RESPONDER, PROJECTOR}
assert SOURCES.keys() == _NAMES  # noqa: S101 a service that is forgotten is seen


@dataclass(frozen=True)
class Found:
    """All that one look found; `None` is what nobody knows.

    `troubles` say what is wrong, or not known, beside broker and services. `held_up` are partitions
    whose records wait for somebody's open transaction, and since when; `set_aside` says which
    events the report goes on without. `broker_asked` is not so where only a service was looked at
    that needs none.
    """

    servers: Servers | None
    broker_trouble: str | None = None
    services: Sequence[Facts] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)
    dead_letters: Mapping[str, int] | None = None
    log_position: int | None = None
    report_position: int | None = None
    troubles: Sequence[str] = ()
    held_up: Mapping[str, datetime] = field(default_factory=dict)
    set_aside: Sequence[str] = ()
    broker_asked: bool = True


def find_out(settings: Settings, now: datetime, only: str | None = None) -> Found:
    """Look once; nothing is created, locked or changed.

    Args:
        settings: the settings.
        now: the time (UTC, aware).
        only: a service to look at alone, without groups, dead letters and report.
    """
    known = {name: _stored(settings, name) for name in ([only] if only else SOURCES)}
    apart = [_projector(settings, known.pop(PROJECTOR), now)] if PROJECTOR in known else []
    if only and apart:
        return Found(None, services=apart, broker_asked=False)
    try:
        servers = bootstrap_servers(settings)
        cluster_id(servers, timeout=ANSWER_WITHIN_SECONDS)
        cluster = ClusterView(servers, ANSWER_WITHIN_SECONDS)
        facts = [_facts(settings, cluster, name, found, now) for name, found in known.items()]
        view = TopicsView(servers, ANSWER_WITHIN_SECONDS)
        facts = [_of_these_topics(settings, view, each, known[each.name]) for each in facts]
        found = Found(servers, services=[*_beside_twins(facts, now), *apart])
        if not only:
            found = replace(found, groups=_groups(cluster))
            found = _with_letters(settings, cluster, view, found)
            found = _with_settings(settings, view, found)
            found = _with_held_up(settings, cluster, found, now)
    except BrokerError as error:
        facts = [_without_broker(name, found) for name, found in known.items()]
        services = [*_beside_twins(facts, now), *apart]
        found = Found(settings.bootstrap_servers, str(error), services)
    try:
        require_home(settings)
    except StoreError as error:
        found = replace(found, troubles=[*found.troubles, str(error)])
    return found if only else _with_positions(settings, found)


def _of_these_topics(
    settings: Settings, view: TopicsView, facts: Facts, known: Stored | StoreError
) -> Facts:
    """With why the service does nothing with the topics that are there, where that is so.

    Raises:
        BrokerError: the broker doesn't say which topics it has.
    """
    if isinstance(known, StoreError) or facts.trouble:
        return facts
    name, topics = facts.name, {*READS[facts.name], *learned(facts.name)}
    lives = {topic: life for topic, life in known.topics.items() if topic in topics}
    database = settings.database(SOURCES[name].database)
    why = refusal(view, database, name, lives, known.next, READS[name])
    return replace(facts, trouble=why) if why else facts


def _with_settings(settings: Settings, view: TopicsView, found: Found) -> Found:
    """With which topics can lose records by their settings.

    Raises:
        BrokerError: the broker doesn't say.
    """
    assert found.servers is not None  # noqa: S101 it was asked before
    wrong = unsafe_topics(found.servers, view.there(ALL_TOPICS), keeping(settings))
    return replace(found, troubles=[*found.troubles, in_words(wrong)]) if wrong else found


def _with_letters(
    settings: Settings, cluster: ClusterView, view: TopicsView, found: Found
) -> Found:
    """With how many dead letters are open, by the topic that they came from.

    Those that the letter desk has read are one a record; those it hasn't are one a refusal.

    Raises:
        BrokerError: the broker doesn't say.
    """
    ends = cluster.ends(DESK_READS)
    try:
        known = looked_up(
            settings.database("dead_letters"),
            lambda connection: (
                next_offsets(connection),
                _open_letters(connection),
                set_aside(connection),
                topic_ids(connection),
            ),
            *(LetterRow, LetterActionRow, PositionRow, OutboxRow, TopicRow),
        )
    except StoreError as error:
        return replace(found, troubles=[*found.troubles, f"dead letters: {error}"])
    read, counts, refused, lives = known or ({}, {}, (), {})
    desk = settings.database("dead_letters")
    if why := refusal(view, desk, DEAD_LETTERS, lives, read, DESK_READS):
        return replace(found, troubles=[*found.troubles, f"dead letters: {why}"])
    if refused:
        why = f"dead letters: {len(refused):,} were sent and are not out: {refused[0]}"
        found = replace(found, troubles=[*found.troubles, why])
    came_from = {dead_letter_topic(topic.name): topic.name for topic in TOPICS}
    for place, standing in cluster.standings(ends, read).items():
        if standing.lag:
            name = came_from[place.topic]
            counts[name] = counts.get(name, 0) + standing.lag
    return replace(found, dead_letters=counts)


def _with_held_up(settings: Settings, cluster: ClusterView, found: Found, now: datetime) -> Found:
    """With the partitions that wait for an open transaction; for long, something is wrong.

    Raises:
        BrokerError: the broker doesn't say.
    """
    places = sorted(cluster.held_up(ALL_TOPICS).items())
    held_up = {_named(place): since for place, since in places}
    limit = timedelta(seconds=settings.stalled_after)
    long = [waits_in_words(name, since) for name, since in held_up.items() if now - since > limit]
    return replace(found, held_up=held_up, troubles=[*found.troubles, *long])


def waits_in_words(name: str, since: datetime) -> str:
    """What is said of a partition that is held up."""
    return (
        f"{name} waits for a transaction that is open since {since:%Y-%m-%d %H:%M:%S} UTC: its "
        "producer must end it, or the broker does when its time is over"
    )


def _open_letters(connection: Connection) -> dict[str, int]:
    return open_letters(all_letters(connection, with_bodies=False))


def _with_positions(settings: Settings, found: Found) -> Found:
    """With how far the log goes, and how far the report has read it."""
    # Where the log can't be read, the recorder's line says so.
    with suppress(StoreError):
        log = settings.database("event_log")
        found = replace(found, log_position=looked_up(log, _last_event, EventRow))
    try:
        reached = looked_up(settings.database("report"), position, ProjectedRow)
        return _with_what_is_left_out(settings, replace(found, report_position=reached))
    except StoreError as error:
        return replace(found, troubles=[*found.troubles, f"report: {error}"])


def _with_what_is_left_out(settings: Settings, found: Found) -> Found:
    """With what stops the projections, and what they go on without.

    Raises:
        StoreError: their database can't be read.
    """
    place = settings.database("report")
    stop = looked_up(place, stopped, StoppedRow)
    troubles = found.troubles if stop is None else [*found.troubles, f"report: {stop}"]
    left_out = looked_up(place, all_aside, SetAsideRow) or ()
    return replace(found, troubles=troubles, set_aside=list(map(str, left_out)))


def _last_event(connection: Connection) -> int:
    return head(connection)[0]


def _groups(cluster: ClusterView) -> dict[str, Group]:
    groups = {name: source.group for name, source in SOURCES.items() if source.group is not None}
    found = cluster.groups(groups.values())
    return {name: found[group] for name, group in groups.items()}


def _stored(settings: Settings, name: str) -> Stored | StoreError:
    """What the service's database says, or why it can't be read."""
    source = SOURCES[name]
    try:
        found = looked_up(
            settings.database(source.database),
            lambda connection: stored(connection, name, source.topics),
        )
    except StoreError as error:
        return error
    return found or Stored()


def _without_broker(name: str, known: Stored | StoreError) -> Facts:
    if isinstance(known, StoreError):
        return Facts(name, trouble=str(known))
    return Facts(
        name,
        known.beats,
        last_progress=max(known.moved_at.values(), default=None),
        outbox=known.outbox,
        outbox_since=known.outbox_since,
        early=known.early,
        refused=known.refused,
    )


def _projector(settings: Settings, known: Stored | StoreError, now: datetime) -> Facts:
    """How the projector does; it asks no broker.

    With SQLite nothing waits for it: whoever shows projections brings them up to date.
    """
    log = settings.database("event_log")
    try:
        reached = looked_up(settings.database("report"), projected, ProjectedRow)
        if isinstance(known, Stored):
            known = replace(known, next=reached or {})
        facts = _facts(settings, LogView(log), PROJECTOR, known, now)
    except StoreError as error:
        return Facts(PROJECTOR, trouble=str(error))
    except (SQLAlchemyError, OSError) as error:
        return Facts(PROJECTOR, trouble=f"database {log} can't be read: {reason(error)}")
    # Before there is a log nobody knows how far it goes.
    partitions = facts.partitions or None
    return replace(facts, partitions=partitions, needed=settings.on_postgres)


def _facts(
    settings: Settings, cluster: Looks, name: str, known: Stored | StoreError, now: datetime
) -> Facts:
    facts = _without_broker(name, known)
    if isinstance(known, StoreError):
        return facts
    ends = cluster.ends(SOURCES[name].topics)
    held_back = throttled(facts, now)
    # To count is to read, and what is read here may be taken from the service's share.
    standings = (
        {place: Standing(end, known.next.get(place, 0)) for place, end in ends.items()}
        if held_back
        else cluster.standings(ends, known.next)
    )
    limit = timedelta(seconds=settings.stalled_after)
    stuck = []
    for place, standing in standings.items():
        moved = known.moved_at.get(place)
        if held_back or not standing.lag or (moved is not None and now - moved <= limit):
            continue
        since = cluster.waits_since(place, standing)
        if since is not None and stands_still(known.beats, moved, since, now, limit):
            stuck.append(_named(place))
    named = {_named(place): standing for place, standing in standings.items()}
    return replace(facts, partitions=named, stuck=stuck)


def _named(place: TopicPartition) -> str:
    return f"{place.topic}[{place.partition}]"


def _beside_twins(facts: Sequence[Facts], now: datetime) -> list[Facts]:
    running = {each.name for each in facts if living(each.beats, now)}
    twins = {each.name: SOURCES[each.name].twin for each in facts}
    return [
        replace(each, twin=twins[each.name], twin_runs=twins[each.name] in running)
        for each in facts
    ]
