"""The log and the databases under it."""

import hashlib
import json
import sqlite3
import threading
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from cli.place import read_purchases
from domain.errors import ForeignCluster, StoreError
from event_log.database import Database
from event_log.inbox import PositionRow
from event_log.log import GENESIS, last_position, read
from reporting.projector import catch_up, open_projections
from services.batch import handle_batch
from services.recorder import open_log
from tests import expected
from tests.integration.pipes import NOW, Shop
from transport.topics import ORDERS


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.place(read_purchases(expected.DATA, "USD")[0][:60])
    shop.run()
    return shop


def test_the_log_refuses_update_and_delete(shop: Shop) -> None:
    for statement in ("UPDATE event_log SET body = x''", "DELETE FROM event_log"):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            shop.recorder.database.transaction() as connection,
        ):
            connection.exec_driver_sql(statement)
    assert last_position(shop.recorder.database) > 100


def test_positions_count_from_one_without_gaps(shop: Shop) -> None:
    positions = [event.position for event in read(shop.recorder.database)]
    assert positions == list(range(1, len(positions) + 1))


def test_the_log_can_be_read_from_any_position(shop: Shop) -> None:
    everything = list(read(shop.recorder.database))
    assert list(read(shop.recorder.database, after=17)) == everything[17:]
    assert list(read(shop.recorder.database, after=17, limit=5)) == everything[17:22]
    assert list(read(shop.recorder.database, after=len(everything))) == []


def test_each_hash_covers_its_row_and_the_hash_before(shop: Shop, tmp_path: Path) -> None:
    """Computed apart: from the file, with json and hashlib only."""
    connection = sqlite3.connect(tmp_path / "event_log.sqlite")
    before = GENESIS
    rows = connection.execute("SELECT * FROM event_log ORDER BY position").fetchall()
    for row in rows:
        fields = [
            b64encode(value).decode() if isinstance(value, bytes) else _short(value)
            for value in row[:-1]
        ]
        text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        before = hashlib.sha256(before + text).digest()
        assert row[-1] == before
    assert len(rows) > 100


def _short(value: object) -> object:
    return value.replace(".000000Z", "Z") if isinstance(value, str) else value


def test_another_event_at_a_recorded_offset_is_an_error_and_nothing_is_lost(shop: Shop) -> None:
    first, second = shop.topics.of(ORDERS)[:2]
    made_anew = Shop(shop.order.database.path.parent / "other")
    handle_batch(made_anew.recorder, [first], NOW)
    clash = replace(second, partition=first.partition, offset=first.offset)
    with pytest.raises(StoreError, match="another event than the log recorded"):
        handle_batch(made_anew.recorder, [clash], NOW)
    assert last_position(made_anew.recorder.database) == 1


def test_a_database_belongs_to_one_kafka_cluster(tmp_path: Path) -> None:
    database = open_log(tmp_path / "log.sqlite")
    database.bind_to_cluster("one")
    database.bind_to_cluster("one")
    with pytest.raises(ForeignCluster, match="cluster one, and this is two"):
        database.bind_to_cluster("two")


def test_what_is_no_database_is_refused_with_its_path(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite"
    file.write_text("this is a text of some length, and certainly no database at all\n" * 20)
    with pytest.raises(StoreError, match=f"{file}.*not a database"):
        open_log(file)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be made"):
        open_log(tmp_path / "file" / "log.sqlite")


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.sqlite", [PositionRow])
    other = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    entered = threading.Event()
    done: list[int] = []

    def work() -> None:
        entered.set()
        done.append(database.in_transaction(lambda connection: 1))

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(60)
    assert not done
    other.execute("COMMIT")
    thread.join(timeout=20)
    assert done == [1]


def test_durability_is_as_decided(tmp_path: Path) -> None:
    database = open_log(tmp_path / "log.sqlite")
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_projections_refuse_a_log_that_they_were_not_made_from(shop: Shop, tmp_path: Path) -> None:
    projections = open_projections(tmp_path / "report.sqlite")
    reached = catch_up(shop.recorder.database, projections)
    assert catch_up(shop.recorder.database, projections) == reached > 100
    other = Shop(tmp_path / "other")
    with pytest.raises(StoreError, match="made from another log"):
        catch_up(other.recorder.database, projections)
    other.place(read_purchases(expected.DATA, "USD")[0][30:120])
    other.run()
    assert last_position(other.recorder.database) > reached
    with pytest.raises(StoreError, match="made from another log"):
        catch_up(other.recorder.database, projections)
