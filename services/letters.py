"""The letter desk: every dead letter, and what is done with it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from domain.errors import MalformedRecord
from domain.letters import Action, LetterState
from event_log.database import Database
from event_log.inbox import PositionRow, advance, next_offsets
from event_log.outbox import OutboxRow, enqueue
from services.letter_store import (
    Letter,
    LetterActionRow,
    LetterRow,
    all_letters,
    keep_action,
    keep_letters,
)
from transport.letters import DeadLetter, again, read_letter
from transport.reading import read_partition
from transport.records import Record
from transport.topics import TOPICS, TopicPartition, dead_letter_topic, end_offsets

BATCH = 200
"""Letters in one transaction, at most."""


class LetterDesk:
    """Reads the dead-letter topics into its database, and takes letters back from there."""

    def __init__(self, path: Path) -> None:
        """Keep letters in the database at `path`."""
        self.database = Database(path, [LetterRow, LetterActionRow, OutboxRow, PositionRow])

    def take_in(
        self, bootstrap_servers: str, now: datetime, refused: Callable[[str], None]
    ) -> None:
        """Read what the dead-letter topics have by now.

        Args:
            bootstrap_servers: where the topics are.
            now: the time (UTC, aware).
            refused: is told of each record there that is no letter of ours.

        Raises:
            BrokerError: the topics can't be read.
        """
        with self.database.reading() as connection:
            positions = next_offsets(connection)
        topics = [dead_letter_topic(topic.name) for topic in TOPICS]
        for place, end in sorted(end_offsets(bootstrap_servers, topics).items()):
            start = positions.get(place, 0)
            if start < end:
                for records in read_partition(bootstrap_servers, place, start, end, BATCH):
                    self._keep(place, records, now, refused)

    def letters(self) -> list[Letter]:
        """All letters, oldest first."""
        with self.database.reading() as connection:
            return all_letters(connection)

    def edit(self, letter: Letter, to: DeadLetter, note: str, now: datetime) -> None:
        """Keep a letter's record as it is to be sent; what it was stays."""
        self._act(letter, Action.EDITED, note, now, to)

    def drop(self, letter: Letter, note: str, now: datetime) -> None:
        """Note that a letter will not be sent again, and why."""
        self._act(letter, Action.DROPPED, note, now, None)

    def send(self, letters: Sequence[Letter], now: datetime) -> None:
        """Put letters into the outbox, on their way back to where they came from."""

        def work(connection: Connection) -> None:
            for letter in letters:
                keep_action(connection, letter, Action.SENT, "", now, None)
            enqueue(
                connection,
                [
                    again(letter.letter, to_its_partition=not letter.edited_key)
                    for letter in letters
                ],
            )

        self.database.in_transaction(work)

    def _act(
        self, letter: Letter, action: Action, note: str, now: datetime, to: DeadLetter | None
    ) -> None:
        self.database.in_transaction(
            lambda connection: keep_action(connection, letter, action, note, now, to)
        )

    def _keep(
        self,
        place: TopicPartition,
        records: Sequence[Record],
        now: datetime,
        refused: Callable[[str], None],
    ) -> None:
        letters = []
        for record in records:
            try:
                letters.append(read_letter(record))
            except MalformedRecord as error:
                refused(str(error))

        def work(connection: Connection) -> None:
            keep_letters(connection, letters)
            advance(connection, {place: records[-1].offset + 1}, now)

        self.database.in_transaction(work)


def open_letters(letters: Iterable[Letter]) -> dict[str, int]:
    """How many letters are open, by the topic that they came from."""
    counts: dict[str, int] = {}
    for letter in letters:
        if letter.state is LetterState.OPEN:
            topic = letter.letter.failure.topic
            counts[topic] = counts.get(topic, 0) + 1
    return counts
