"""Proof of the log against Kafka: what became of every offset that the recorder is told to read."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import text

from reporting.proof import Failure, Finding, Head, Progress
from reporting.proof_letters import Letters
from reporting.proof_records import (
    DEAD_LETTERS,
    FATES,
    NOT_YET,
    RECORDED,
    REPEATS,
    Difference,
    Recorded,
    Repeat,
    fate_of,
)
from reporting.proof_rows import as_chained
from reporting.proof_topics import KafkaTopics, Span
from reporting.read_only import ReadOnlyDatabase
from services.recorder import RecorderService
from transport.records import Record
from transport.topics import TopicPartition

UNKNOWN = "unknown"
FATES_OF_DELETED = (RECORDED, REPEATS, DEAD_LETTERS, UNKNOWN)
"""What may be known of an offset that retention deleted; the log stands by its chain then."""

_AT_A_TIME = 2_000
_HERE = 'topic = :topic AND partition = :partition AND "offset" >= :start AND "offset" < :until'
_ROWS = text(f"""
SELECT "offset", position, event_id, type, version, source, subject, correlation_id, causation_id,
    business_time, published_time, body
FROM event_log WHERE {_HERE}
""")  # noqa: S608 no value from outside
_REPEATS = text(f"""
SELECT r."offset", r.event_id, l.position, l.type, l.version, l.body
FROM (SELECT * FROM repeats WHERE {_HERE}) r LEFT JOIN event_log l ON l.event_id = r.event_id
""")  # noqa: S608 no value from outside
_LAST_OF_EACH = """
SELECT topic, partition, max("offset") FROM (
    SELECT topic, partition, max("offset") AS "offset" FROM event_log GROUP BY topic, partition
    UNION ALL SELECT topic, partition, max("offset") FROM repeats GROUP BY topic, partition
) AS last_of_each GROUP BY topic, partition ORDER BY topic, partition
"""


class _Fails(Exception):
    """An offset that isn't accounted for."""

    def __init__(self, place: TopicPartition, offset: int, why: Difference) -> None:
        by = {} if why.cents is None else {"cents": why.cents}
        self.failure = Failure(f"{_name(place)}@{offset}", why.what, by)


def prove_offsets(
    log: ReadOnlyDatabase, head: Head, topics: KafkaTopics, progress: Progress, *, settled: bool
) -> Finding:
    """Account for every offset, and compare what was recorded with Kafka, byte for byte.

    Args:
        log: the event log.
        head: how far the recorder was; `topics` is asked after that.
        topics: Kafka.
        progress: is told the offsets that are accounted for.
        settled: whether an offset that was not recorded yet is a failure.

    Raises:
        BrokerError: Kafka can't be read.
    """
    spans = topics.spans(RecorderService.subscriptions)
    total = sum(span.end - span.low for span in spans.values())
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    failure = None
    with closing(Letters()) as letters:
        letters.gather(topics, log)
        accounts = [_Account(place, log, topics, letters) for place in spans]
        try:
            _refuse_other_places(log, topics, spans)
            for account in accounts:
                handled = head.handled.get(account.place, 0)
                account.take(spans[account.place], handled, advance)
                if settled:
                    account.refuse_what_is_not_recorded()
        except _Fails as found:
            failure = found.failure
    notes = [note for account in accounts for note in account.notes()]
    return Finding(_in_numbers(accounts), notes, failure)


def topics_behind(topics: KafkaTopics, head: Head) -> frozenset[str]:
    """The topics with records that the recorder had not come to.

    Raises:
        BrokerError: Kafka can't be read.
    """
    behind = set()
    for place, span in topics.spans(RecorderService.subscriptions).items():
        # The last offsets may hold no record: so one is looked for.
        rest = Span(max(span.low, head.handled.get(place, 0)), span.end)
        if next(topics.records(place, rest), None):
            behind.add(place.topic)
    return frozenset(behind)


def _refuse_other_places(
    log: ReadOnlyDatabase, topics: KafkaTopics, spans: dict[TopicPartition, Span]
) -> None:
    """Refuse what the log has of partitions that aren't there, and of offsets past their ends."""
    with log.reading() as connection:
        found = connection.exec_driver_sql(_LAST_OF_EACH).all()
    for topic, partition, last in found:
        place = TopicPartition(topic, partition)
        if place not in spans:
            what = "the log has this offset, and Kafka has no such partition for the recorder"
            raise _Fails(place, last, Difference(what))
        if last >= spans[place].end and last >= (end := topics.span(place).end):
            what = (
                f"the log has this offset, and the partition ends at {end}: a row is forged, or "
                "the topic was made anew"
            )
            raise _Fails(place, last, Difference(what))


class _Account:
    """What became of the offsets of one partition."""

    def __init__(
        self, place: TopicPartition, log: ReadOnlyDatabase, topics: KafkaTopics, letters: Letters
    ) -> None:
        self.place = place
        self.fates: Counter[str] = Counter()
        self.deleted: Counter[str] = Counter()
        self._first: dict[str, int] = {}
        self._low = 0
        self._log, self._topics, self._letters = log, topics, letters

    def take(self, span: Span, handled: int, advance: Callable[[int], None]) -> None:
        """Account for a span; the recorder has passed all before the offset `handled`.

        Raises:
            _Fails: the first offset that isn't accounted for.
        """
        self._take_deleted(0, span.low)
        at = span.low
        for records in self._topics.records(self.place, span):
            until = records[-1].offset + 1
            self._take_records(at, until, records, handled)
            advance(until - at)
            at = until
        # What Kafka gives no record for, up to the end.
        for start in range(at, span.end, _AT_A_TIME):
            until = min(start + _AT_A_TIME, span.end)
            self._take_records(start, until, (), handled)
            advance(until - start)

    def refuse_what_is_not_recorded(self) -> None:
        """Refuse offsets that the recorder has not come to.

        Raises:
            _Fails: there are some.
        """
        if count := self.fates[NOT_YET]:
            what = f"{count:,} offsets from here on are not recorded yet, and all is settled"
            raise _Fails(self.place, self._first[NOT_YET], Difference(what))

    def notes(self) -> list[str]:
        """What should be known, though nothing is wrong."""
        name, notes = _name(self.place), []
        if self._low:
            known = ", ".join(f"{self.deleted[fate]:,} {_words(fate)}" for fate in FATES_OF_DELETED)
            first = f" (first {self._first[UNKNOWN]})" if self.deleted[UNKNOWN] else ""
            notes.append(f"{name}: retention deleted offsets before {self._low}: {known}{first}")
        for fate in (DEAD_LETTERS, NOT_YET):
            if count := self.fates[fate]:
                first = f"from offset {self._first[fate]} on"
                notes.append(f"{name}: {count:,} {_words(fate)}, {first}")
        return notes

    def _take_deleted(self, start: int, low: int) -> None:
        self._low = max(low, self._low)
        for step in range(start, low, _AT_A_TIME):
            until = min(step + _AT_A_TIME, low)
            rows, repeats, letters = self._known(step, until)
            for offset in range(step, until):
                fate = UNKNOWN
                for name, found in ((RECORDED, rows), (REPEATS, repeats), (DEAD_LETTERS, letters)):
                    if offset in found:
                        fate = name
                        break
                self.deleted[fate] += 1
                if fate == UNKNOWN:
                    self._first.setdefault(fate, offset)

    def _take_records(
        self, start: int, until: int, records: Sequence[Record], handled: int
    ) -> None:
        if len(records) < until - start:
            # Retention may have been at work meanwhile.
            low = min(self._topics.span(self.place).low, until)
            self._take_deleted(start, low)
            start = max(start, low)
        there = {record.offset: record for record in records}
        rows, repeats, letters = self._known(start, until)
        for offset in range(start, until):
            fate = fate_of(
                there.get(offset),
                rows.get(offset),
                repeats.get(offset),
                letters.get(offset),
                handled=offset < handled,
            )
            if isinstance(fate, Difference):
                raise _Fails(self.place, offset, fate)
            self.fates[fate] += 1
            self._first.setdefault(fate, offset)

    def _known(
        self, start: int, until: int
    ) -> tuple[dict[int, Recorded], dict[int, Repeat], dict[int, bytes]]:
        where = {**self.place._asdict(), "start": start, "until": until}
        with self._log.reading() as connection:
            rows = connection.execute(_ROWS, where).all()
            repeats = connection.execute(_REPEATS, where).all()
        return (
            {row[0]: _recorded(row[1:]) for row in rows},
            {row[0]: Repeat(*row[1:]) for row in repeats},
            self._letters.within(self.place, start, until),
        )


def _recorded(columns: Sequence[Any]) -> Recorded:
    row = Recorded._make(columns)
    return row._replace(
        business_time=as_chained(row.business_time), published_time=as_chained(row.published_time)
    )


def _in_numbers(accounts: Collection[_Account]) -> dict[str, Any]:
    fates = sum((account.fates for account in accounts), Counter[str]())
    deleted = sum((account.deleted for account in accounts), Counter[str]())
    return {
        "offsets": fates.total(),
        **{fate: fates[fate] for fate in FATES},
        "deleted": {
            "offsets": deleted.total(),
            **{fate: deleted[fate] for fate in FATES_OF_DELETED},
        },
        "partitions": {
            _name(account.place): {fate: account.fates[fate] for fate in FATES}
            for account in accounts
        },
    }


def _name(place: TopicPartition) -> str:
    return f"{place.topic}[{place.partition}]"


def _words(fate: str) -> str:
    return fate.replace("_", " ")
