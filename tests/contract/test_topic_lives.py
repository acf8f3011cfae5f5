"""A database goes on with the topics that fed it, and refuses others; on a real broker."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection

from cli.settings import Settings
from domain.errors import BrokerError, ForeignTopic, OffsetGap
from event_log.database import Database
from event_log.inbox import PositionRow, advance, next_offsets
from event_log.topic_ids import TopicRow, topic_ids
from services.reading_on import read_on
from services.topic_lives import TopicLives
from tests.contract.conftest import Places
from tests.integration.pipes import NOW
from tests.integration.transacting import Foreign
from tests.live_topics import fill, make, make_anew, shorten
from tests.waiting import wait_for
from transport.cluster import ClusterView
from transport.local_broker import LocalBroker
from transport.reading import read_partition
from transport.records import Outgoing, Record
from transport.topics import TopicPartition

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = LocalBroker(tmp_path_factory.mktemp("lives") / "home", Settings().jars)
    found = broker.start().bootstrap_servers
    assert found
    yield found
    broker.stop()


@pytest.fixture
def database(places: Places) -> Iterator[Database]:
    made = Database(places.of("one"), [PositionRow, TopicRow])
    yield made
    made.close()


@pytest.fixture
def topic(servers: str) -> str:
    """A topic with four records in its only partition."""
    name = f"topic.{next(_numbers)}"
    make(servers, name)
    fill(servers, name, 4)
    return name


def handled(database: Database, topic: str, to: int) -> None:
    where = {TopicPartition(topic, 0): to}
    database.in_transaction(lambda connection: advance(connection, where, NOW))


def positions(database: Database) -> dict[str, int]:
    with database.reading() as connection:
        return {place.topic: offset for place, offset in next_offsets(connection).items()}


def test_the_same_topic_is_taken_again(servers: str, database: Database, topic: str) -> None:
    lives = TopicLives(servers, database, "payment", [topic])
    lives.bind()
    handled(database, topic, 4)
    lives.require()
    TopicLives(servers, database, "payment", [topic]).bind()


def test_one_that_was_made_anew_is_refused_until_that_is_accepted(
    servers: str, database: Database, topic: str
) -> None:
    running = TopicLives(servers, database, "payment", [topic])
    running.bind()
    handled(database, topic, 4)
    with database.reading() as connection:
        was = topic_ids(connection)[topic]
    found = make_anew(servers, topic)
    fill(servers, topic, 9)
    starting = TopicLives(servers, database, "payment", [topic])
    for refuses in (running.require_same, running.require, starting.bind):
        with pytest.raises(ForeignTopic) as refused:
            refuses()
        for word in (topic, was, found, "`shop positions accept payment`"):
            assert word in str(refused.value)
    assert positions(database) == {topic: 4}, "nothing was done"

    (said,) = starting.accept(NOW)
    assert topic in said
    assert positions(database) == {topic: 0}
    starting.bind()
    starting.require()
    assert starting.accept(NOW) == []


def test_the_recorder_never_goes_on_with_another_topic(
    servers: str, database: Database, topic: str
) -> None:
    lives = TopicLives(servers, database, "recorder", [topic])
    lives.bind()
    make_anew(servers, topic)
    for refuses in (lives.bind, lambda: lives.accept(NOW)):
        with pytest.raises(ForeignTopic, match="an empty database in the place of this one"):
            refuses()


def test_a_position_beyond_the_end_is_refused_and_not_to_be_accepted(
    servers: str, database: Database, topic: str
) -> None:
    """As after a disk was lost: the topic's id is kept by the controller."""
    lives = TopicLives(servers, database, "payment", [topic])
    lives.bind()
    handled(database, topic, 5)
    for refuses in (lives.bind, lives.require, lambda: lives.accept(NOW)):
        with pytest.raises(ForeignTopic, match=r"ends at offset 4, .* has read up to 5"):
            refuses()
    assert positions(database) == {topic: 5}


@pytest.mark.parametrize("position", [None, 2])
def test_a_beginning_that_was_deleted_unread_is_said_and_given_up_by_command_only(
    servers: str, database: Database, topic: str, position: int | None
) -> None:
    if position is not None:
        handled(database, topic, position)
    shorten(servers, topic, 3)
    lives = TopicLives(servers, database, "payment", [topic])
    with pytest.raises(OffsetGap, match=rf"begins at offset 3.* up to {position or 0}.*accept"):
        lives.bind()
    (said,) = lives.accept(NOW)
    assert f"{3 - (position or 0)} offset" in said
    assert positions(database) == {topic: 3}
    lives.bind()


def test_what_a_service_reads_back_may_be_gone(
    servers: str, database: Database, topic: str
) -> None:
    shorten(servers, topic, 3)
    TopicLives(servers, database, "payment", [], [topic]).bind()


def test_handled_before_its_beginning_was_deleted_nothing_is_missing(
    servers: str, database: Database, topic: str
) -> None:
    handled(database, topic, 3)
    shorten(servers, topic, 3)
    TopicLives(servers, database, "payment", [topic]).bind()


def test_two_services_over_one_database_have_topics_of_their_own(
    servers: str, database: Database, topic: str
) -> None:
    other = f"{topic}.other"
    make(servers, other)
    TopicLives(servers, database, "payment", [topic]).bind()
    twin = TopicLives(servers, database, "responder", [other])
    twin.bind()
    make_anew(servers, topic)
    twin.bind()
    with pytest.raises(ForeignTopic):
        TopicLives(servers, database, "payment", [topic]).bind()


def test_reading_on_ends_after_marks_so_that_retention_leaves_no_gap(
    servers: str, database: Database
) -> None:
    """Deleted marks can't be told from records that were deleted before anyone read them."""
    topic = f"topic.{next(_numbers)}"
    make(servers, topic)
    lives = TopicLives(servers, database, "dead-letters", [topic])
    lives.bind()
    foreign, cluster = Foreign(servers), ClusterView(servers)
    foreign.send([Outgoing(topic, None, [], b"one")], 0)
    foreign.commit()
    wait_for(lambda: cluster.ends([topic]) == {TopicPartition(topic, 0): 2}, "the mark")
    read: list[Record] = []

    def take(records: list[Record]) -> Callable[[Connection], int]:
        read.extend(records)
        return lambda _: len(records)

    assert read_on(database, servers, [topic], take) == 1
    assert [each.value for each in read] == [b"one"]
    assert positions(database) == {topic: 2}
    shorten(servers, topic, 2)
    lives.bind()
    assert read_on(database, servers, [topic], take) == 0


def test_what_is_deleted_while_it_is_read_is_not_passed_over(servers: str, topic: str) -> None:
    def begin(low: int) -> int:
        shorten(servers, topic, 3)
        return low

    with pytest.raises(BrokerError, match="can't be read up to offset 4"):
        list(read_partition(servers, TopicPartition(topic, 0), begin, 4, 10))
