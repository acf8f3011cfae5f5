"""Topics that are read to their ends and no further, when somebody asks for it or at a start."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from sqlalchemy import Connection

from event_log.database import Database
from event_log.inbox import advance, next_offsets
from transport.cluster import ClusterView
from transport.reading import TIMEOUT_SECONDS, read_partition
from transport.records import Record
from transport.servers import Servers
from transport.topics import TopicPartition

Take = Callable[[list[Record]], Callable[[Connection], int]]
"""Understands records of one partition, and gives what keeps them and says how many were new."""


def read_on(
    database: Database, servers: Servers, topics: Iterable[str], take: Take, batch: int = 2000
) -> int:
    """Take in what topics have past a database's positions; how many records were new.

    Each batch is kept in one transaction with its positions. These end where the partition does:
    behind its last record there may be marks of transactions, and once retention has deleted them
    they can't be told from records that nobody has read.

    Raises:
        BrokerError: the topics can't be read.
        StoreError: the database can't be written.
    """
    positions = database.read(next_offsets)
    new = 0
    for place, end in sorted(ClusterView(servers, TIMEOUT_SECONDS).ends(topics).items()):
        reached = positions.get(place, 0)
        if reached >= end:
            continue
        for records in read_partition(servers, place, partial(max, reached), end, batch):
            reached = records[-1].offset + 1
            new += _keep(database, {place: reached}, take(records))
        if reached < end:
            _keep(database, {place: end}, lambda _: 0)
    return new


def _keep(
    database: Database,
    positions: Mapping[TopicPartition, int],
    work: Callable[[Connection], int],
) -> int:
    def both(connection: Connection) -> int:
        advance(connection, positions, database.now(connection))
        return work(connection)

    return database.in_transaction(both)
