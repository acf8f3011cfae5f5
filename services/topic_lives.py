"""Before a service does anything: whether its topics are the ones that its positions belong to."""

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from domain.errors import BrokerError, ForeignTopic, OffsetGap
from domain.topic_life import Kept, beyond_the_end, deleted_unread, made_anew
from event_log.database import Database
from event_log.inbox import next_offsets, put
from event_log.topic_ids import keep_topic_ids, replace_topic_ids, topic_ids
from transport.retrying import may_pass, until_it_works
from transport.servers import Servers
from transport.topic_lives import TopicsView
from transport.topics import TopicPartition

EXIT_FOREIGN = 73
"""Exit code of a process that ended itself because a topic isn't any more the one it knew."""

START_SECONDS = 30.0
"""How long the broker has at a start to say which topics it has."""

KEEPS_OFFSETS = frozenset({"recorder"})
"""Services whose database holds offsets for good: it can't go on with a topic made anew."""


class TopicLives:
    """The topics that a service reads, as its database knows them and as the broker has them."""

    def __init__(
        self,
        servers: Servers,
        database: Database,
        service: str,
        reads: Iterable[str],
        learns: Iterable[str] = (),
    ) -> None:
        """Ask nothing yet.

        Args:
            servers: where the topics are.
            database: the service's own.
            service: its name, for messages and for `shop positions accept`.
            reads: topics of which it must have every record.
            learns: topics that it reads back, as far as they still go.
        """
        self._database = database
        self._service = service
        self._reads = tuple(reads)
        self._topics = (*self._reads, *learns)
        self._view = TopicsView(servers)
        self._known: Mapping[str, str] = {}
        self._unknown = f"{service}: not known which topics these are"

    def bind(self, within: float = START_SECONDS) -> None:
        """Remember which topics feed the database, or refuse others; before anything else is done.

        Args:
            within: seconds that the broker has to say which topics it has.

        Raises:
            ForeignTopic: a topic was made anew, or ends before a position.
            OffsetGap: records are gone that the service has not handled.
            BrokerError: the broker doesn't say which topics it has.
        """
        until_it_works(self._bind, self._unknown, within=within)

    def _bind(self) -> None:
        found = self._view.ids(self._topics)

        def work(connection: Connection) -> dict[str, str]:
            keep_topic_ids(connection, found)
            return topic_ids(connection)

        known: Mapping[str, str] = self._database.read(topic_ids)
        self._refuse_made_anew(known, found)
        if not found.keys() <= known.keys():
            known = self._database.in_transaction(work)
            # Another process may have been the first.
            self._refuse_made_anew(known, found)
        self._known = {topic: known[topic] for topic in self._topics}
        positions, kept = self._positions(), self._view.kept(self._topics)
        self._refuse_lost(positions, kept)
        if gone := self._gone(positions, kept):
            raise OffsetGap(deleted(self._service, gone, positions, kept))

    def require(self) -> None:
        """Check, while the service runs, that its topics are the same, and have what was read.

        Raises:
            ForeignTopic: a topic was made anew, or ends before a position.
            BrokerError: the broker doesn't say which topics it has.
        """
        self.require_same()
        self._refuse_lost(self._positions(), self._view.kept(self._topics))

    def require_same(self) -> None:
        """Check that no topic was made anew: what was fetched before this is of the known ones.

        Raises:
            ForeignTopic: one was.
            BrokerError: the broker doesn't say which topics it has.
        """
        self._refuse_made_anew(self._known, self._view.ids(self._topics))

    def wait_until_same(self, stopping: threading.Event, *, watched: bool) -> None:
        """Check as `require_same`; while the broker doesn't say, wait for it until `stopping`.

        Args:
            stopping: ends the waiting.
            watched: whether a watchdog ends this process where a right is missing, and names it;
                else that is raised.

        Raises:
            ForeignTopic: a topic was made anew.
            BrokerError: the end came first, or a right is missing.
        """
        until_it_works(
            self.require_same,
            self._unknown,
            lambda error: may_pass(error) or (watched and isinstance(error, BrokerError)),
            stopping=stopping,
        )

    def accept(self, now: datetime) -> list[str]:
        """Go on with the topics as they are, from their beginning, and say what is given up.

        Raises:
            ForeignTopic: a topic ends before a position, or the service can't go on with one that
                was made anew.
            BrokerError: the broker doesn't say which topics it has.
            StoreError: the database can't be written.
        """
        found, kept = self._view.ids(self._topics), self._view.kept(self._topics)

        def work(connection: Connection) -> list[str]:
            known, positions = topic_ids(connection), next_offsets(connection)
            anew = made_anew(known, found)
            if anew and self._service in KEEPS_OFFSETS:
                raise ForeignTopic(self._anew(anew[0], known, found))
            begins = {place: kept[place].low for place in kept if place.topic in anew}
            said = [
                f"topic {topic} is {found[topic]}, made anew, and read from its beginning"
                for topic in anew
            ]
            rest = {place: span for place, span in kept.items() if place.topic not in anew}
            self._refuse_lost(positions, rest)
            for place in self._gone(positions, rest):
                begins[place] = kept[place].low
                said.append(
                    f"{_name(place)} is read from offset {kept[place].low} on; before were "
                    f"{_count(positions, place, kept)} that nobody handled"
                )
            keep_topic_ids(connection, found)
            replace_topic_ids(connection, {topic: found[topic] for topic in anew})
            put(connection, begins, now)
            return said

        return self._database.in_transaction(work)

    def _positions(self) -> dict[TopicPartition, int]:
        return self._database.read(next_offsets)

    def _gone(
        self, positions: Mapping[TopicPartition, int], kept: Mapping[TopicPartition, Kept]
    ) -> list[TopicPartition]:
        gone = deleted_unread(positions, kept)
        return [place for place in gone if place.topic in self._reads]

    def _refuse_made_anew(self, known: Mapping[str, str], found: Mapping[str, str]) -> None:
        for topic in made_anew(known, found):
            raise ForeignTopic(self._anew(topic, known, found))

    def _refuse_lost(
        self, positions: Mapping[TopicPartition, int], kept: Mapping[TopicPartition, Kept]
    ) -> None:
        for place in beyond_the_end(positions, kept):
            raise ForeignTopic(lost(self._database, self._service, place, positions, kept))

    def _anew(self, topic: str, known: Mapping[str, str], found: Mapping[str, str]) -> str:
        return anew(self._database, self._service, topic, known[topic], found[topic])


def refusal(
    view: TopicsView,
    database: object,
    service: str,
    known: Mapping[str, str],
    positions: Mapping[TopicPartition, int],
    reads: Iterable[str],
) -> str | None:
    """Why a service would refuse the topics that are there now; `None` where it would not.

    Args:
        view: Kafka.
        database: what the service's database is called.
        service: its name.
        known: the ids of the topics that fed its database; without any it was never started.
        positions: how far it has read.
        reads: topics of which it must have every record.

    Raises:
        BrokerError: the broker doesn't say which topics it has.
    """
    found = view.there(known)
    for topic in made_anew(known, found):
        return anew(database, service, topic, known[topic], found[topic])
    if absent := sorted(known.keys() - found.keys()):
        return f"topic {', '.join(absent)} is not there any more: use the former broker again"
    kept = view.kept(topic for topic in reads if topic in known)
    for place in beyond_the_end(positions, kept):
        return lost(database, service, place, positions, kept)
    gone = deleted_unread(positions, kept)
    return deleted(service, gone, positions, kept) if gone else None


def anew(database: object, service: str, topic: str, known: str, found: str) -> str:
    """What to say of a topic that was made anew."""
    way_out = (
        "go on with an empty database in the place of this one, for it holds the former topic's "
        "offsets"
        if service in KEEPS_OFFSETS
        else f"go on with the new one by `shop positions accept {service}`"
    )
    return (
        f"topic {topic} has id {found}, and {service}'s database {database} was fed by the one "
        f"with id {known}: it was deleted and made anew, or the broker lost its data. Use the "
        f"former topic or its backup again; or give up what {service} has not read there, and "
        f"{way_out}"
    )


def lost(
    database: object,
    service: str,
    place: TopicPartition,
    positions: Mapping[TopicPartition, int],
    kept: Mapping[TopicPartition, Kept],
) -> str:
    """What to say of a partition that ends before a position."""
    return (
        f"{_name(place)} ends at offset {kept[place].end}, and {service}'s database {database} has "
        f"read up to {positions[place]}: the broker lost its data. Restore them; or, since what "
        "comes next would have the offsets of what was lost, delete the topic, run `shop topics "
        "create`, and do then what is said of a topic made anew"
    )


def deleted(
    service: str,
    gone: Iterable[TopicPartition],
    positions: Mapping[TopicPartition, int],
    kept: Mapping[TopicPartition, Kept],
) -> str:
    """What to say of partitions whose first records are gone, and were not handled."""
    where = ", ".join(
        f"{_name(place)} begins at offset {kept[place].low}, and {service} has read up to "
        f"{positions.get(place, 0)}"
        for place in gone
    )
    return (
        f"{where}: what is between was deleted, and never handled. Restore it, or give it up by "
        f"`shop positions accept {service}`"
    )


def _count(
    positions: Mapping[TopicPartition, int],
    place: TopicPartition,
    kept: Mapping[TopicPartition, Kept],
) -> str:
    count = kept[place].low - positions.get(place, 0)
    return "1 offset" if count == 1 else f"{count:,} offsets"


def _name(place: TopicPartition) -> str:
    return f"{place.topic}[{place.partition}]"
