"""The recorder's dead letters, gathered so that a proof can look them up by what they are about."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import select

from event_log.database import Database, table_of, unpack_headers
from event_log.outbox import OutboxRow
from event_log.topic_ids import topic_ids
from reporting.proof_records import digest_of
from reporting.proof_topics import KafkaTopics
from services.recorder import RecorderService
from transport.records import Record
from transport.topics import TopicPartition, dead_letter_topic

_MOST = 2**63 - 1
"""What SQLite can keep; whoever writes a letter by our name may write any number."""

_outbox = table_of(OutboxRow)
_WAITING = select(_outbox.c.topic, _outbox.c.key, _outbox.c.headers, _outbox.c.body).where(
    _outbox.c.published.is_(False)
)


class Letter(NamedTuple):
    """Where a dead letter's record was, and the digest of its key and body."""

    place: TopicPartition
    offset: int
    digest: bytes


class Letters:
    """Dead letters in a temporary file, since there may be more than memory should hold.

    It must be closed.
    """

    def __init__(self) -> None:
        # An empty name is a file that SQLite itself removes.
        self._database = sqlite3.connect("")
        self._database.execute(
            'CREATE TABLE letters (topic, partition, "offset", digest, '
            'PRIMARY KEY (topic, partition, "offset")) WITHOUT ROWID'
        )

    def gather(self, topics: KafkaTopics, log: Database) -> None:
        """Read those that the recorder's outbox has not sent yet, and all of its topics.

        Raises:
            BrokerError: they can't be read.
        """
        # The outbox first: what it sends meanwhile is read from the topics then.
        with log.reading() as connection:
            ids = topic_ids(connection)
            waiting = connection.execute(_WAITING)
            self._keep(letter_in(_record_of(row), ids) for row in waiting)
        names = [dead_letter_topic(topic) for topic in RecorderService.subscriptions]
        for place, span in topics.spans(names).items():
            for records in topics.records(place, span):
                self._keep(letter_in(record, ids) for record in records)

    def within(self, place: TopicPartition, start: int, end: int) -> dict[int, bytes]:
        """By offset, the digests of letters about a partition's offsets from `start` to `end`."""
        rows = self._database.execute(
            'SELECT "offset", digest FROM letters '
            'WHERE topic = ? AND partition = ? AND "offset" >= ? AND "offset" < ?',
            (*place, start, end),
        )
        return dict(rows.fetchall())

    def close(self) -> None:
        """Forget them."""
        self._database.close()

    def _keep(self, letters: Iterable[Letter | None]) -> None:
        rows = ((*each.place, each.offset, each.digest) for each in letters if each is not None)
        # A relay that was killed sends a letter again.
        self._database.executemany("INSERT OR IGNORE INTO letters VALUES (?, ?, ?, ?)", rows)


def letter_in(record: Record, ids: Mapping[str, str]) -> Letter | None:
    """What a record of a dead-letter topic is about; `None` if it is no letter of the recorder.

    Nor is one about a record of a topic that was made anew since: `ids` are those of the
    topics that fed the log, as far as they are known.
    """
    # A letter has the headers of its record first, which may have been a letter before.
    said = dict(record.headers)
    if said.get("dead_letter_service") != RecorderService.name.encode():
        return None
    try:
        topic, partition, offset = (
            (said[f"dead_letter_{name}"] or b"").decode()
            for name in ("topic", "partition", "offset")
        )
        place, at = TopicPartition(topic, int(partition)), int(offset)
        fed_by = said.get("dead_letter_topic_id") or b""
        if fed_by and fed_by != ids.get(topic, "").encode():
            return None
        known = 0 <= place.partition <= _MOST and 0 <= at <= _MOST
        return Letter(place, at, digest_of(record)) if known else None
    except (KeyError, ValueError):
        return None


def _record_of(row: Any) -> Record:
    return Record(row.topic, 0, 0, row.key, row.body, tuple(unpack_headers(row.headers)))
