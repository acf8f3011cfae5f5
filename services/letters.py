"""The letter desk: every dead letter, and what is done with it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from domain.errors import MalformedRecord, ShopError
from domain.letters import Action, LetterState
from event_log.database import Database, Place
from event_log.inbox import PositionRow
from event_log.outbox import OutboxRow, enqueue
from event_log.topic_ids import TopicRow
from services.letter_store import (
    Letter,
    LetterActionRow,
    LetterRow,
    all_letters,
    keep_action,
    keep_letters,
    letter_named,
)
from services.reading_on import read_on
from services.topic_lives import TopicLives
from transport.letters import DeadLetter, again, read_letter, size_of
from transport.records import Outgoing, Record
from transport.servers import Servers
from transport.topics import TOPICS, dead_letter_topic

DEAD_LETTERS = "dead-letters"
"""What the desk is called among those who read topics."""

DESK_READS = tuple(dead_letter_topic(topic.name) for topic in TOPICS)
"""The topics that the desk reads."""

BATCH = 200
"""Letters in one transaction, at most."""


class LetterDesk:
    """Reads the dead-letter topics into its database, and takes letters back from there."""

    def __init__(self, place: Place) -> None:
        """Keep letters in the database at `place`."""
        self.database = Database(
            place, [LetterRow, LetterActionRow, OutboxRow, PositionRow, TopicRow]
        )

    def take_in(self, servers: Servers, refused: Callable[[str], None]) -> None:
        """Read what the dead-letter topics have by now.

        Args:
            servers: where the topics are.
            refused: is told of each record there that is no letter of ours.

        Raises:
            BrokerError: the topics can't be read.
            ForeignTopic: a topic isn't the one that was read before.
            OffsetGap: letters were deleted before they were read.
        """

        def take(records: list[Record]) -> Callable[[Connection], int]:
            letters = []
            for record in records:
                try:
                    letters.append(read_letter(record))
                except MalformedRecord as error:
                    refused(str(error))
            return partial(keep_letters, letters=letters)

        self.lives(servers).bind(within=0)
        read_on(self.database, servers, DESK_READS, take, BATCH)

    def lives(self, servers: Servers) -> TopicLives:
        """Whether the dead-letter topics are the ones that were read before."""
        return TopicLives(servers, self.database, DEAD_LETTERS, DESK_READS)

    def letters(self, *, with_bodies: bool = True) -> list[Letter]:
        """All letters, oldest first; without bodies, none has its key and headers either."""
        with self.database.reading() as connection:
            return all_letters(connection, with_bodies=with_bodies)

    def letter(self, name: str) -> Letter:
        """The letter of a name such as ``orders/2/17``.

        Raises:
            ShopError: there is none.
        """
        with self.database.reading() as connection:
            return _named(connection, name)

    def edit(self, letter: Letter, to: DeadLetter, note: str, now: datetime) -> None:
        """Keep a letter's record as it is to be sent; what it was stays.

        Raises:
            ShopError: something was done with the letter since it was read.
        """

        def work(connection: Connection) -> None:
            if _named(connection, letter.name).done != letter.done:
                raise ShopError(
                    f"{letter.name} was changed by someone else meanwhile, and this edit is not "
                    f"kept: see `shop dead-letters show {letter.name}`"
                )
            keep_action(connection, letter, Action.EDITED, note, now, to)

        self.database.in_transaction(work)

    def drop(self, names: Collection[str], note: str, now: datetime) -> None:
        """Note that letters will not be sent again, and why: all of them, or none.

        Raises:
            ShopError: one is not there, or not open.
        """

        def work(connection: Connection) -> None:
            for name in dict.fromkeys(names):
                letter = _named(connection, name)
                if letter.state is not LetterState.OPEN:
                    raise ShopError(f"{_closed(letter)}; only an open letter can be dropped")
                keep_action(connection, letter, Action.DROPPED, note, now, None)

        self.database.in_transaction(work)

    def send(
        self,
        names: Collection[str],
        now: datetime,
        *,
        closed_too: bool = False,
        largest: Mapping[str, int] | None = None,
    ) -> int:
        """Put letters into the outbox, on their way back to where they came from: all, or none.

        Args:
            names: the letters; each goes once.
            now: the time (UTC, aware).
            closed_too: whether those that were sent or dropped before go again.
            largest: how many bytes a record may have, by topic; no bound where none is given.

        Returns:
            How many go.

        Raises:
            ShopError: one is not there, was sent or dropped before, or is too large for its topic:
                it would hold up all that is sent after it.
        """

        def work(connection: Connection) -> int:
            sent = 0
            for name in dict.fromkeys(names):
                # Read here, and not before: two that send at once must not both find it open.
                letter = _named(connection, name)
                if letter.state is not LetterState.OPEN and not closed_too:
                    raise ShopError(f"{_closed(letter)}; --again sends it nevertheless")
                keep_action(connection, letter, Action.SENT, "", now, None)
                sent += enqueue(connection, [_on_its_way(letter, largest or {})])
            return sent

        return self.database.in_transaction(work)


def open_letters(letters: Iterable[Letter]) -> dict[str, int]:
    """How many letters are open, by the topic that they came from."""
    counts: dict[str, int] = {}
    for letter in letters:
        if letter.state is LetterState.OPEN:
            topic = letter.letter.failure.topic
            counts[topic] = counts.get(topic, 0) + 1
    return counts


def _named(connection: Connection, name: str) -> Letter:
    letter = letter_named(connection, name)
    if letter is None:
        raise ShopError(
            f"there is no letter {name!r}; `shop dead-letters list --state all` shows all"
        )
    return letter


def _closed(letter: Letter) -> str:
    return f"{letter.name} was {letter.state.value} on {letter.done[-1].at:%Y-%m-%d %H:%M:%S} UTC"


def _on_its_way(letter: Letter, largest: Mapping[str, int]) -> Outgoing:
    bound = largest.get(letter.letter.failure.topic)
    its_own = letter.letter.key == letter.came.key
    sent = again(letter.letter, to_its_partition=its_own, largest=bound)
    size = size_of(sent)
    if bound is not None and size > bound:
        raise ShopError(
            f"{letter.name} has {size:,} bytes without its history, and topic {sent.topic} takes "
            f"{bound:,}: make it smaller, or raise the topic's max.message.bytes"
        )
    return sent
