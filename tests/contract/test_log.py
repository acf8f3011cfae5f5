"""The event log, the same on SQLite and on Postgres."""

import hashlib
import json
import threading
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from domain.errors import StoreError
from event_log.database import Database
from event_log.log import GENESIS, READ_BATCH, last_position, read
from event_log.outbox import waiting
from services.batch import handle_batch
from services.recorder import RecorderService
from tests.contract.conftest import Places
from tests.integration.pipes import NOW
from transport.records import Record


def raw(
    log: Database, what: str = "* FROM event_log ORDER BY position"
) -> list[tuple[object, ...]]:
    """Rows as the database has them, past the project's types."""
    with log.reading() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(f"SELECT {what}")]


def assert_chained(rows: Iterable[tuple[object, ...]]) -> None:
    """Computed apart, with json and hashlib only."""
    before = GENESIS
    for row in rows:
        fields = [
            b64encode(value).decode() if isinstance(value, bytes) else _short(value)
            for value in row[:-1]
        ]
        text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        before = hashlib.sha256(before + text).digest()
        assert row[-1] == before


def _short(value: object) -> object:
    return value.replace(".000000Z", "Z") if isinstance(value, str) else value


def test_events_are_appended_in_order_and_each_hash_covers_its_row_and_the_one_before(
    recorded: Database, records: list[Record]
) -> None:
    rows = raw(recorded)
    assert [row[0] for row in rows] == list(range(1, len(records) + 1))
    assert [row[14] for row in rows] == [record.value for record in records]
    assert [row[11:14] for row in rows] == [(r.topic, r.partition, r.offset) for r in records]
    assert_chained(rows)
    assert all(len(str(time)) == 27 for row in rows for time in row[8:11])


def test_both_databases_hold_the_same_to_the_byte(
    recorded: Database, records: list[Record], tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = RecorderService(tmp_path_factory.mktemp("other") / "event_log.sqlite")
    handle_batch(other, records, NOW)
    assert raw(recorded) == raw(other.database)
    assert list(read(recorded)) == list(read(other.database))


@pytest.mark.parametrize(
    "statement", ["UPDATE event_log SET body = hash", "DELETE FROM event_log", "TRUNCATE event_log"]
)
def test_the_log_refuses_update_delete_and_truncate(
    places: Places, recorded: Database, statement: str
) -> None:
    if (places.kind, statement[:8]) == ("sqlite", "TRUNCATE"):
        # Where nobody can say it, there is nothing to refuse.
        statement = "DELETE FROM event_log WHERE true"
    before = raw(recorded)
    with (
        pytest.raises(IntegrityError, match="the event log is append-only"),
        recorded.transaction() as connection,
    ):
        connection.exec_driver_sql(statement)
    assert raw(recorded) == before != []


def test_it_can_be_read_from_any_position_in_bounded_memory(
    recorded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = list(read(recorded))
    assert 100 < len(everything) < READ_BATCH
    monkeypatch.setattr("event_log.log.READ_BATCH", 7)
    for after in (0, 1, 17, len(everything) - 1, len(everything)):
        assert list(read(recorded, after=after)) == everything[after:]
    for limit in (0, 1, 7, 8, 20):
        assert list(read(recorded, after=17, limit=limit)) == everything[17 : 17 + limit]
    # A reading that nobody ends holds no more than what it has read.
    reading = read(recorded)
    assert next(reading) == everything[0]
    assert recorded.in_transaction(lambda connection: True)


def test_a_repeat_is_noted_once(
    log: Database, recorder: RecorderService, records: list[Record]
) -> None:
    handle_batch(recorder, records[:10], NOW)
    again = replace(records[3], offset=10_000)
    for _ in range(3):
        handle_batch(recorder, [again, *records[:10], again], NOW)
    assert last_position(log) == 10
    assert [row[:3] for row in raw(log, "* FROM repeats")] == [
        (again.topic, again.partition, 10_000)
    ]


def test_an_id_that_says_something_else_is_refused(
    log: Database, recorder: RecorderService, records: list[Record]
) -> None:
    handle_batch(recorder, records[:5], NOW)
    body = (records[2].value or b"").replace(b'"items":', b'"items":1')
    assert body != records[2].value
    for number in range(2):
        handle_batch(recorder, [replace(records[2], offset=10_000 + number, value=body)], NOW)
    assert last_position(log) == 5
    assert raw(log, "* FROM repeats") == []
    assert waiting(log) == 2, "each is a dead letter"


def test_another_event_at_a_recorded_offset_is_an_error_and_nothing_is_lost(
    log: Database, recorder: RecorderService, records: list[Record]
) -> None:
    handle_batch(recorder, records[:2], NOW)
    clash = replace(records[2], partition=records[0].partition, offset=records[0].offset)
    with pytest.raises(StoreError, match="another event than the log recorded"):
        handle_batch(recorder, [records[3], clash], NOW)
    assert last_position(log) == 2


def test_what_is_rolled_back_leaves_nothing(
    log: Database, recorder: RecorderService, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    handle_batch(recorder, records[:5], NOW)
    tables = [f"* FROM {name}" for name in ("event_log", "repeats", "outbox", "positions")]
    before = [raw(log, table) for table in tables]

    def fail(*_: object) -> None:
        raise ArithmeticError

    broken = replace(records[6], offset=10_001, value=b"{")
    repeat = replace(records[0], offset=10_000)
    with monkeypatch.context() as patch:
        patch.setattr("services.batch.advance", fail)
        with pytest.raises(ArithmeticError):
            handle_batch(recorder, [records[5], repeat, broken], NOW)
    assert [raw(log, table) for table in tables] == before
    handle_batch(recorder, [records[5], repeat, broken], NOW)
    assert [len(raw(log, table)) for table in tables[:3]] == [6, 1, 1]


def test_two_writers_at_once_make_no_gap_and_no_fork(places: Places, records: list[Record]) -> None:
    """Both take the same events in, as two owners of a partition may for a moment."""
    recorders = [RecorderService(places.of("event_log")) for _ in range(2)]
    start = threading.Barrier(2)
    failures: list[BaseException] = []

    def take(recorder: RecorderService, size: int) -> None:
        try:
            start.wait(60)
            for first in range(0, len(records), size):
                handle_batch(recorder, records[first : first + size], NOW)
        except BaseException as error:  # noqa: BLE001 the test says it
            failures.append(error)

    threads = [
        threading.Thread(target=take, args=each) for each in zip(recorders, (7, 11), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    rows = raw(recorders[0].database)
    assert [row[0] for row in rows] == list(range(1, len(records) + 1))
    assert_chained(rows)
    assert {row[1] for row in rows} == {dict(r.headers)["ce_id"].decode() for r in records}  # type: ignore[union-attr]
    for recorder in recorders:
        recorder.database.close()


def test_offsets_have_64_bits(
    log: Database, recorder: RecorderService, records: list[Record]
) -> None:
    far = replace(records[0], offset=2**62)
    for _ in range(2):
        handle_batch(recorder, [far, far], NOW)
    assert [event.offset for event in read(log)] == [2**62]
    assert raw(log, "next_offset FROM positions") == [(2**62 + 1,)]
