"""`shop prove` on Apache Kafka, as a user runs it: what it says, and what it finds."""

import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as KafkaTopicPartition

from reporting.proofs import newest
from tests.conftest import Home
from tests.waiting import wait_for
from transport.clients import admin_client
from transport.topics import ORDERS

pytestmark = pytest.mark.slow

ORDERS_PLACED = 200
_OTHERS = ("--part", "offsets", "--part", "projections", "--part", "orders", "--part", "shipments")


@pytest.fixture(scope="module")
def servers(module_home: Home) -> Iterator[str]:
    """A broker with orders that are all settled, in the module's home."""
    module_home.settings["ORDERS"] = str(ORDERS_PLACED)
    done = module_home.shop("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    done = module_home.shop("broker", "start", "--json")
    yield json.loads(done.stdout)["bootstrap_servers"]
    module_home.shop("broker", "stop")


@pytest.fixture
def copied(module_home: Home, servers: str, tmp_path: Path) -> Home:
    """A home with a copy of the databases, to be changed, on the module's broker."""
    made = Home(tmp_path / "home", {"KAFKA_BOOTSTRAP_SERVERS": servers})
    shutil.copytree(module_home.path / "databases", made.path / "databases")
    return made


def prove(home: Home, *options: str, code: int = 0) -> dict[str, Any]:
    """What `shop prove --json` says, by part; and beside them whether all holds."""
    done = home.shop("prove", "--json", *options)
    assert done.returncode == code, done.stdout + done.stderr
    said = json.loads(done.stdout)
    return {**{part["name"]: part for part in said["parts"]}, "holds": said["holds"]}


def tamper(home: Home, statement: str, *values: object) -> None:
    file = home.path / "databases" / "event_log.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for verb in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS event_log_no_{verb}")
        connection.execute(statement, values)


def produce(servers: str, value: bytes, partition: int, **settings: Any) -> None:
    """Write to a topic behind everybody's back."""
    producer = Producer({"bootstrap.servers": servers, **settings})
    if settings:
        producer.init_transactions(30)
        producer.begin_transaction()
    producer.produce(ORDERS, value, key=b"1", partition=partition)
    if settings:
        producer.commit_transaction(30)
    assert producer.flush(30) == 0


class TestWhatHolds:
    """Nobody has touched anything. First of its module: what follows writes to Kafka."""

    def test_every_part_holds_and_says_what_it_counted(
        self, module_home: Home, servers: str
    ) -> None:
        done = module_home.shop("prove", "--settled", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        said = json.loads(done.stdout)
        events = module_home.count("event_log", "event_log")
        last = "SELECT hex(hash) FROM event_log ORDER BY position DESC LIMIT 1"
        assert said["holds"] is True
        assert said["position"] == events
        assert said["hash"] == module_home.rows("event_log", last)[0][0].lower()
        assert said["recorded_time"].startswith("20")
        assert [part["name"] for part in said["parts"]] == [
            *("chain", "offsets", "projections", "orders", "shipments")
        ]
        for part in said["parts"]:
            assert part["holds"] is True
            assert part["failure"] is part["skipped"] is None
            assert part["seconds"] >= 0
        parts = {part["name"]: part["checked"] for part in said["parts"]}
        assert parts["chain"]["positions"] == parts["offsets"]["recorded"] == events
        assert parts["orders"]["currencies"]["USD"]["placed"]["orders"] == ORDERS_PLACED
        assert parts["orders"]["order_service"] == {"orders": ORDERS_PLACED}

    def test_people_read_it_part_by_part(self, module_home: Home, servers: str) -> None:
        done = module_home.shop("prove")
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        assert [line.split()[:2] for line in lines[:5]] == [
            [name, "holds"] for name in ("chain", "offsets", "projections", "orders", "shipments")
        ]
        assert "200 placed = " in done.stdout
        assert lines[-1].startswith("holds up to position ")
        assert done.stderr == ""

    def test_some_parts_may_be_chosen(self, module_home: Home, servers: str) -> None:
        parts = prove(module_home, "--part", "shipments", "--part", "chain")
        assert list(parts) == ["chain", "shipments", "holds"]

    def test_a_result_of_all_parts_is_kept(self, copied: Home) -> None:
        before = copied.count("proofs", "proofs")
        prove(copied, "--part", "chain")
        assert copied.count("proofs", "proofs") == before
        said = prove(copied)
        assert copied.count("proofs", "proofs") == before + 1
        kept = newest(copied.path / "databases" / "proofs.sqlite")
        assert kept is not None
        assert kept.holds
        assert [part.name for part in kept.parts] == [name for name in said if name != "holds"]

    def test_a_result_that_cannot_be_kept_is_said_and_no_failure(self, copied: Home) -> None:
        (copied.path / "databases" / "proofs.sqlite").write_text("no database")
        done = copied.shop("prove", "--part", "chain", *_OTHERS)
        assert done.returncode == 0
        assert "this result is not kept: " in done.stderr

    def test_nothing_is_written_but_its_result(self, copied: Home) -> None:
        def state() -> dict[str, bytes]:
            return {
                file.name: file.read_bytes()
                for file in (copied.path / "databases").iterdir()
                if not file.name.endswith("-shm") and not file.name.startswith("proofs.")
            }

        before = state()
        prove(copied)
        assert state() == before

    def test_without_a_broker_it_says_what_to_do_and_offline_it_goes_without(
        self, copied: Home
    ) -> None:
        copied.settings["KAFKA_BOOTSTRAP_SERVERS"] = "127.0.0.1:9"
        done = copied.shop("prove")
        assert done.returncode == 1
        assert "127.0.0.1:9" in done.stderr
        assert "--offline" in done.stderr
        assert "Traceback" not in done.stderr
        parts = prove(copied, "--offline", "--settled")
        assert parts["holds"] is True
        assert parts["offsets"]["holds"] is None
        assert parts["offsets"]["skipped"] == "Kafka was not asked"
        assert "left out: Kafka was not asked" in copied.shop("prove", "--offline").stdout
        # What needs no broker doesn't ask for one.
        assert prove(copied, "--part", "chain", "--part", "projections")["holds"] is True

    @pytest.mark.parametrize(
        "options", [("--part", "offsets", "--offline"), ("--part", "everything"), ("--what",)]
    )
    def test_a_wrong_command_line_is_said_so(self, copied: Home, options: tuple[str, ...]) -> None:
        assert copied.shop("prove", *options).returncode == 2

    def test_an_empty_home_has_nothing_to_prove(self, tmp_path: Path) -> None:
        done = Home(tmp_path / "home").shop("prove", "--offline")
        assert done.returncode == 1
        assert "there is no event log at" in done.stderr
        assert not (tmp_path / "home").exists()


class TestFigures:
    """Files that left the product."""

    @pytest.mark.parametrize(
        "options", [(), ("--by", "day"), ("--at-position", "300"), ("--compare-to", "300")]
    )
    def test_a_report_that_was_written_to_a_file_holds(
        self, copied: Home, options: tuple[str, ...]
    ) -> None:
        file = copied.path / "report.json"
        file.write_text(copied.shop("report", "--json", *options).stdout)
        done = copied.shop("prove", "--figure", str(file))
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"figures of {file} at position" in done.stdout

    def test_a_changed_figure_is_named_and_by_how_much(self, copied: Home) -> None:
        file = copied.path / "report.json"
        said = json.loads(copied.shop("report", "--json").stdout)
        said["months"][0]["accepted"]["cents"] += 1000
        file.write_text(json.dumps(said))
        part = prove(copied, "--figure", str(file), code=1)["figure"]
        assert part["failure"]["where"] == "1997-01 accepted"
        assert part["failure"]["by"] == {"cents": 1000}
        done = copied.shop("prove", "--figure", str(file))
        assert done.returncode == 1
        assert "fails at 1997-01 accepted (by 1,000 cents)" in done.stdout

    def test_a_file_that_is_none_of_ours_is_said_so(self, copied: Home) -> None:
        file = copied.path / "report.json"
        file.write_text("{}")
        done = copied.shop("prove", "--figure", str(file))
        assert done.returncode == 1
        assert "it has no position, hash, recorded_time, currency" in done.stderr
        assert "Traceback" not in done.stderr
        assert copied.shop("prove", "--figure", str(file), "--offline").returncode == 2


class TestWhatFails:
    """Databases that somebody changed, beside the same Kafka."""

    def test_a_changed_amount_is_named_with_its_place_and_by_how_much(self, copied: Home) -> None:
        ((position, topic, partition, offset),) = copied.rows(
            "event_log",
            'SELECT position, topic, partition, "offset" FROM event_log '
            "WHERE type = 'shop.AuthorizationAccepted' "
            "AND CAST(body AS TEXT) LIKE '%\"cents\":1177,%' LIMIT 1",
        )
        tamper(
            copied,
            "UPDATE event_log SET body = CAST(replace(CAST(body AS TEXT), '\"cents\":1177,', "
            "'\"cents\":9177,') AS BLOB) WHERE position = ?",
            position,
        )
        parts = prove(copied, code=1)
        assert parts["holds"] is False
        assert parts["chain"]["failure"]["where"] == f"position {position}"
        assert parts["offsets"]["failure"]["where"] == f"{topic}[{partition}]@{offset}"
        assert parts["offsets"]["failure"]["by"] == {"cents": 8000}
        done = copied.shop("prove")
        assert done.returncode == 1
        assert f"fails at {topic}[{partition}]@{offset} (by 8,000 cents): the body" in done.stdout
        assert "fails: chain, offsets, projections, orders; up to position" in done.stdout

    def test_a_tail_that_was_cut_off(self, copied: Home) -> None:
        events = copied.count("event_log", "event_log")
        tamper(copied, "DELETE FROM event_log WHERE position > ?", events - 3)
        parts = prove(copied, code=1)
        assert parts["chain"]["holds"] is True
        assert parts["offsets"]["holds"] is False
        assert parts["projections"]["failure"]["where"] == f"position {events}"

    def test_another_cluster_is_not_compared(self, copied: Home) -> None:
        tamper(copied, "UPDATE cluster SET id = 'another'")
        done = copied.shop("prove")
        assert done.returncode == 1
        assert "the log was fed by Kafka cluster another" in done.stderr
        assert "Traceback" not in done.stderr


class TestKafka:
    """What others write to Kafka, and what retention takes away; in this order."""

    def test_a_record_behind_the_recorders_back_is_on_its_way(self, copied: Home) -> None:
        produce(copied.settings["KAFKA_BOOTSTRAP_SERVERS"], b"no order", 1)
        parts = prove(copied)
        assert parts["offsets"]["checked"]["not_recorded_yet"] == 1
        assert any("1 not recorded yet" in note for note in parts["offsets"]["notes"])
        parts = prove(copied, "--settled", code=1)
        assert parts["offsets"]["failure"]["where"].startswith("orders[1]@")

    def test_transactions_leave_offsets_without_a_record(self, copied: Home) -> None:
        servers = copied.settings["KAFKA_BOOTSTRAP_SERVERS"]
        produce(servers, b"no order either", 1, **{"transactional.id": str(uuid.uuid4())})
        parts = prove(copied)
        assert parts["offsets"]["checked"]["not_recorded_yet"] == 2
        assert parts["offsets"]["checked"]["without_record"] == 1

    def test_dead_letters_are_named_once_the_recorder_has_come_to_them(self, copied: Home) -> None:
        process = copied.start("run", "recorder")
        try:
            wait_for(lambda: copied.count("event_log", "outbox WHERE published") == 2, "letters")
        finally:
            process.terminate()
            process.communicate(timeout=60)
        parts = prove(copied, "--settled")
        assert parts["offsets"]["checked"]["dead_letters"] == 2
        assert any("2 dead letters, from offset" in note for note in parts["offsets"]["notes"])

    def test_what_retention_deleted_is_named(self, module_home: Home, servers: str) -> None:
        place = KafkaTopicPartition(ORDERS, 0, 7)
        admin = admin_client(servers)
        answers = admin.delete_records([place])
        assert [answer.result(30).low_watermark for answer in answers.values()] == [7]
        parts = prove(module_home)
        assert parts["offsets"]["checked"]["deleted"]["recorded"] == 7
        assert parts["offsets"]["notes"][0].startswith(
            "orders[0]: retention deleted offsets before 7: 7 recorded"
        )
