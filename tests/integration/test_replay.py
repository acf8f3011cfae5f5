"""Replay: projections made anew beside the live ones, and the log's events published again."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import grimp
import pytest
from confluent_kafka import Consumer, Message
from sqlalchemy import select
from typer.testing import CliRunner

from cli import replay as republishing
from cli.main import app, run
from cli.place import read_purchases
from domain.errors import BrokerError, ShopError, StoreError
from event_log.database import Database, table_of
from event_log.log import last_position
from reporting import projector
from reporting import replay as replaying
from reporting.agreement import disagreements
from reporting.projections import all_projections
from reporting.projector import catch_up, live, open_projections
from reporting.replay import CHECKING_LOG, ReplayRefused, replay, shadow
from reporting.report import report
from services.recorder import open_log
from tests import expected
from tests.conftest import ROOT, Home
from tests.integration.pipes import Shop
from tests.unit.test_proof_world import another_amount, hash_again, put, row_of
from transport.clients import Publisher
from transport.topics import TOPICS, dead_letter_topic

ORDERS = 300
MORE = 40
SMALL_BATCH = 40
SEED = random.randrange(10**6)

# A process that is ended by a signal before its n-th SQL statement, wherever that is.
DYING = """
import os, sys
from sqlalchemy import Engine, event
from reporting import projector
from reporting import replay as replaying
projector.BATCH = {batch}
number, left = int(sys.argv.pop(1)), int(sys.argv.pop(1))
@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), number)
import atexit
atexit.register(lambda: print("left", left, file=sys.stderr))
from cli.main import run
run()
"""
Tables = dict[str, list[tuple[Any, ...]]]


@dataclass
class Place:
    """A home with a log of real orders, and projections that are up to it."""

    home: Home
    log: Database
    projections: Database

    def tables(self) -> Tables:
        """All rows of the live projections."""
        with self.projections.reading() as connection:
            return {
                name: sorted(map(tuple, connection.execute(select(table_of(each.table)))), key=str)
                for name, each in all_projections().items()
            }

    def positions(self) -> dict[str, int]:
        with self.projections.reading() as connection:
            return {
                name: live(each).reached(connection).position
                for name, each in all_projections().items()
            }

    def mark(self) -> None:
        """Put a row into each live table that no log makes."""
        with self.projections.transaction() as connection:
            for name, rows in self.tables().items():
                table = table_of(all_projections()[name].table)
                marked = ("marked", *rows[0][1:])
                columns = [column.name for column in table.columns]
                connection.execute(table.insert(), dict(zip(columns, marked, strict=True)))

    def marked(self) -> set[str]:
        return {name for name, rows in self.tables().items() if rows[-1][0] == "marked"}

    def replay_until_killed(self, number: signal.Signals, statements: int) -> int:
        """Run `shop replay`, ended by a signal; returns how it ended."""
        return self._dying(number, statements).returncode

    def _dying(self, number: signal.Signals, statements: int) -> "subprocess.CompletedProcess[str]":
        script = DYING.format(batch=SMALL_BATCH)
        command = [sys.executable, "-c", script, str(int(number)), str(statements)]
        return subprocess.run(
            [*command, "replay", "--json"],
            cwd=ROOT,
            env=self.home.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def statements(self) -> int:
        """How many SQL statements a replay takes that nobody stops."""
        done = self._dying(signal.SIGKILL, 10**6)
        assert done.returncode == 0, done.stderr
        return 10**6 - int(done.stderr.split("left")[1])

    def shadow_tables(self) -> list[str]:
        found = self.home.rows("report", "SELECT name FROM sqlite_schema WHERE type = 'table'")
        return [name for (name,) in found if name.endswith("_replay")]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    shop = Shop(folder)
    shop.place(read_purchases(expected.DATA, "USD")[0][:ORDERS])
    shop.run()
    projections = open_projections(folder / "report.sqlite")
    catch_up(shop.recorder.database, projections)
    for database in (*(service.database for service in shop.services), projections):
        database.close()
    return folder


@pytest.fixture
def place(recorded: Path, tmp_path: Path) -> Iterator[Place]:
    home = Home(tmp_path / "home")
    copytree(recorded, home.path / "databases")
    folder = home.path / "databases"
    place = Place(
        home, open_log(folder / "event_log.sqlite"), open_projections(folder / "report.sqlite")
    )
    yield place
    place.log.close()
    place.projections.close()


@pytest.fixture(scope="module")
def servers(module_home: Home) -> Iterator[str]:
    done = module_home.shop("broker", "start", "--json")
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)["bootstrap_servers"]
    module_home.shop("broker", "stop")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "BATCH", SMALL_BATCH)


def everything() -> list[Any]:
    return list(all_projections().values())


def tamper(path: Path) -> "closing[sqlite3.Connection]":
    connection = sqlite3.connect(path, isolation_level=None)
    for verb in ("update", "delete"):
        connection.execute(f"DROP TRIGGER IF EXISTS event_log_no_{verb}")
    return closing(connection)


def test_what_is_replayed_is_what_was_live(place: Place, small_batches: None) -> None:
    before = place.tables()
    place.mark()
    assert place.marked() == set(all_projections())
    done = replay(place.log, place.projections, everything())
    assert (done.position, done.resumed_at) == (last_position(place.log), 0)
    assert place.tables() == before
    assert set(place.positions().values()) == {done.position}
    assert place.shadow_tables() == []
    orders = expected.purchases(ORDERS)
    wanted = expected.report(orders, expected.outcomes(orders))["totals"]
    assert report(place.projections, "USD").totals.accepted._asdict() == wanted["accepted"]


def test_indexes_and_the_next_replay_are_as_before(place: Place) -> None:
    def indexes() -> list[tuple[str, ...]]:
        found = place.home.rows(
            "report",
            "SELECT m.name, c.name FROM sqlite_schema m, pragma_index_list(m.name) i, "
            "pragma_index_info(i.name) c WHERE m.type = 'table'",
        )
        return sorted(each for each in found if each[0] != "replayed")

    before = indexes()
    assert ("order_stories", "customer_id") in before
    for _ in range(2):
        replay(place.log, place.projections, everything())
        assert indexes() == before
    catch_up(place.log, open_projections(place.projections.path))


def test_one_projection_may_be_chosen_and_the_others_stay(place: Place) -> None:
    place.mark()
    replay(place.log, place.projections, [all_projections()["stories"]])
    assert place.marked() == set(all_projections()) - {"stories"}
    done = place.home.shop("replay", "revenue", "--json")
    assert json.loads(done.stdout)["projections"] == ["revenue"]
    assert place.marked() == set(all_projections()) - {"stories", "revenue"}


def test_projections_that_were_never_made_are_at_the_logs_end_afterwards(place: Place) -> None:
    before = place.tables()
    fresh = replaced(place, projections=open_projections(place.home.path / "fresh.sqlite"))
    done = replay(fresh.log, fresh.projections, everything())
    assert fresh.tables() == before
    assert set(fresh.positions().values()) == {done.position} == {last_position(place.log)}


def test_what_comes_just_before_the_swap_is_in_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = replaying._swap
    late = new_orders(place)

    def swap_late(*arguments: Any) -> int:
        late()
        return swap(*arguments)

    monkeypatch.setattr(replaying, "_swap", swap_late)
    end = last_position(place.log)
    done = replay(place.log, place.projections, everything())
    assert done.position == last_position(place.log) > end
    assert set(place.positions().values()) == {done.position}
    for projection in everything():
        assert disagreements(place.log, place.projections, projection, done.position) == []


def new_orders(place: Place) -> Callable[[], None]:
    """Something that records more orders, each time that it is called."""
    purchases = read_purchases(expected.DATA, "USD")[0]
    coming = iter(range(ORDERS, ORDERS + 10 * MORE, MORE))
    again = Shop(place.log.path.parent.parent / "again")
    again.place(purchases[:ORDERS])
    again.run()
    shop = Shop(place.log.path.parent)
    shop.topics = again.topics

    def record() -> None:
        first = next(coming)
        shop.place(purchases[first : first + MORE])
        shop.run()

    return record


def test_the_live_view_serves_and_is_kept_up_to_date_until_the_swap(
    place: Place, small_batches: None
) -> None:
    """Orders come in while rows are made, and again while they are checked."""
    record = new_orders(place)
    seen: list[int] = []

    def progress(what: str, done: int, total: int) -> None:
        if (what, len(seen)) not in {("replayed", 0), (CHECKING_LOG, 1)} or not done:
            return
        record()
        reached = catch_up(place.log, place.projections)
        assert reached == last_position(place.log)
        now = report(place.projections, "USD")
        orders = expected.purchases(ORDERS + MORE * (len(seen) + 1))
        wanted = expected.report(orders, expected.outcomes(orders))["totals"]
        assert now.totals.accepted._asdict() == wanted["accepted"]
        assert place.shadow_tables()
        seen.append(reached)

    place.mark()
    with place.projections.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM revenue_by_day WHERE day = 'marked'")
    done = replay(place.log, place.projections, everything(), progress)
    assert len(seen) == 2
    assert done.position == seen[1] == last_position(place.log)
    assert place.marked() == set()
    for projection in everything():
        assert disagreements(place.log, place.projections, projection, done.position) == []


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_it_is_the_same(place: Place) -> None:
    before = place.tables()
    place.mark()
    picks, endings, kills = random.Random(SEED), [], 0
    while not endings or endings[-1] != 0:
        code = place.replay_until_killed(signal.SIGKILL, picks.randrange(40, 300))
        endings.append(code)
        assert code in (0, -signal.SIGKILL), f"seed {SEED}"
        # All are swapped at once, or none is.
        assert place.marked() in (set(), set(all_projections())), f"seed {SEED}"
        kills += code != 0
        if kills > 8:
            assert place.replay_until_killed(signal.SIGKILL, 10**6) == 0
            break
    assert kills, f"seed {SEED}: it was never killed"
    assert place.tables() == before, f"seed {SEED}"
    assert place.shadow_tables() == []


@pytest.mark.slow
def test_killed_around_the_swap_all_are_swapped_or_none(place: Place) -> None:
    before = place.tables()
    most = place.statements()
    states = []
    for back in sorted(random.Random(SEED).sample(range(36), 6), reverse=True):
        place.mark()
        place.replay_until_killed(signal.SIGKILL, most - back)
        marked = place.marked()
        assert marked in (set(), set(all_projections())), f"seed {SEED}, {back} before the end"
        states.append(bool(marked))
        assert place.home.shop("replay").returncode == 0
        assert place.tables() == before
        place.projections.close()
    assert True in states, f"seed {SEED}: it was killed after the swap only"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_order_and_it_goes_on_from_there(
    place: Place, number: signal.Signals, code: int
) -> None:
    before = place.tables()
    done = place._dying(number, 200)
    assert done.returncode == code, done.stderr
    assert "stopped; the next `shop replay` goes on from there" in done.stderr
    assert "Traceback" not in done.stderr
    assert place.shadow_tables()
    again = place.home.shop("replay", "--json")
    said = json.loads(again.stdout)
    assert said["swapped"] is True
    assert 0 < said["resumed_at"] < said["position"] == last_position(place.log)
    assert place.tables() == before


class Stop(Exception):
    """What a test stops a replay by."""


def stop_in_the_middle(place: Place) -> None:
    """Replay the first part, and no more: to where each projection has rows."""
    most = last_position(place.log) * 5 // 6

    def progress(what: str, done: int, total: int) -> None:
        if done >= most:
            raise Stop

    with pytest.raises(Stop):
        replay(place.log, place.projections, everything(), progress)


@pytest.mark.parametrize("name", list(all_projections()))
def test_tampered_rows_are_not_swapped_in(place: Place, small_batches: None, name: str) -> None:
    before = place.tables()
    stop_in_the_middle(place)
    cents = "cents" if name != "customers" else "accepted_cents"
    view = shadow(all_projections()[name])
    with place.projections.transaction() as connection:
        connection.execute(view.table.update().values({cents: view.table.c[cents] + 1}))
    done = place.home.shop("replay", "--json")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["swapped"] is False
    assert list(said["disagreements"]) == [name]
    assert said["disagreements"][name][0]["by"] == {cents: 1}
    assert place.tables() == before
    assert view.table.name in place.shadow_tables()
    # What came of it is no good to go on from.
    again = place.home.shop("replay")
    assert again.returncode == 0, again.stderr
    assert place.tables() == before


def test_a_refusal_is_said_to_people_without_a_traceback(place: Place, small_batches: None) -> None:
    stop_in_the_middle(place)
    with place.projections.transaction() as connection:
        view = shadow(all_projections()["revenue"])
        connection.execute(view.table.update().values(orders=view.table.c.orders + 1))
    done = place.home.shop("replay")
    assert done.returncode == 1
    assert "the rows are not what the log says, and the live ones stay. revenue: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_tampered_log_is_not_swapped_in(place: Place) -> None:
    before = place.tables()
    place.mark()
    with tamper(place.log.path) as connection:
        row = row_of(connection, "AuthorizationAccepted")
        put(connection, another_amount(row))
        with pytest.raises(ReplayRefused, match=f"fails at position {row['position']}: "):
            replay(place.log, place.projections, everything())
        assert place.marked() == set(all_projections())
        # Fold and check agree on it: only the hash chain tells.
        hash_again(connection)
        with pytest.raises(StoreError, match="made from another log"):
            replay(place.log, place.projections, everything())
        connection.execute("DELETE FROM event_log WHERE position = 100")
        with pytest.raises(StoreError):
            replay(place.log, place.projections, everything())
    assert place.marked() == set(all_projections())
    with place.projections.transaction() as connection:
        for name in all_projections():
            table = table_of(all_projections()[name].table)
            key = next(iter(table.primary_key))
            connection.execute(table.delete().where(key == "marked"))
    assert place.tables() == before


def test_two_at_once_are_one_too_many(place: Place) -> None:
    def progress(what: str, done: int, total: int) -> None:
        with pytest.raises(StoreError, match="another replay of"):
            replay(place.log, place.projections, everything())

    replay(place.log, place.projections, everything(), progress)


def test_no_path_of_it_can_publish(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a Kafka client fails: neither the whole way nor a refused one does."""

    class NoClient:
        def __init__(self, *_: object, **__: object) -> None:
            raise AssertionError("a Kafka client was made")

    names = ("Producer", "Consumer", "AdminClient")
    patched = 0
    for module in list(sys.modules.values()):
        for name in names:
            if getattr(getattr(module, name, None), "__module__", "").startswith(
                "confluent_kafka"
            ) or (
                getattr(module, name, None) in (confluent_kafka.Producer, confluent_kafka.Consumer)
            ):
                monkeypatch.setattr(module, name, NoClient)
                patched += 1
    assert patched >= 6
    with pytest.raises(AssertionError, match="a Kafka client was made"):
        confluent_kafka.Producer({})
    for name, value in place.home.environment.items():
        monkeypatch.setenv(name, value)
    # There is a broker, as far as anybody knows: it would be asked.
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    runner = CliRunner()
    done = runner.invoke(app, ["replay", "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["swapped"] is True
    with tamper(place.log.path) as connection:
        put(connection, another_amount(row_of(connection, "AuthorizationAccepted")))
    assert runner.invoke(app, ["replay", "--json"], catch_exceptions=False).exit_code == 1
    with pytest.raises(AssertionError, match="a Kafka client was made"):
        runner.invoke(app, ["replay", "--to", "copy"], catch_exceptions=False)


def test_nothing_that_a_replay_is_made_of_names_a_kafka_client() -> None:
    graph = grimp.build_graph(
        *("cli", "streams", "request_reply", "reporting", "services", "event_log", "transport"),
        "domain",
        include_external_packages=True,
    )
    # Projections are found at run time, and are a part of it.
    parts = {"reporting.replay", *(m for m in graph.modules if "reporting.projections." in m)}
    parts |= {each for part in parts for each in graph.find_upstream_modules(part)}
    ours = {part for part in parts if part.startswith("reporting")}
    assert {"reporting.projector", "reporting.agreement"} <= ours
    reached = {each for part in ours for each in graph.find_modules_directly_imported_by(part)}
    outward = ("confluent_kafka", "faust", "transport.clients", "event_log.outbox", "services")
    # Telemetry may be told, and reaches nobody where it is off; a replay tells it nothing.
    reached.discard("services.telemetry")
    assert not {each for each in reached if each.startswith(outward)}
    assert graph.find_modules_directly_imported_by("cli.replay") >= {"transport.clients"}


@pytest.mark.parametrize(
    "options",
    [("turnover",), ("--from", "1"), ("--to", "x", "revenue"), ("--to", "x", "--from", "soon")],
)
def test_a_wrong_command_line_is_said_so(place: Place, options: tuple[str, ...]) -> None:
    done = place.home.shop("replay", *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_without_a_log_there_is_nothing_to_replay(tmp_path: Path) -> None:
    done = Home(tmp_path / "home").shop("replay")
    assert done.returncode == 1
    assert "there is no event log at" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.fixture
def sigterm_fails() -> Iterator[None]:
    """A signal that nobody handles fails the test, and doesn't end all of them."""

    def fail(number: int, frame: object) -> None:
        pytest.fail("nobody handles SIGTERM")

    before = signal.signal(signal.SIGTERM, fail)
    yield
    signal.signal(signal.SIGTERM, before)


def broker_gone() -> None:
    raise BrokerError("the broker is gone")


class Ending:
    """Publishes some lots, and lets something happen when the last of them has arrived."""

    def __init__(self, sink: Publisher, lots: int, end: Callable[[], None]) -> None:
        self._sink, self._left, self._end = sink, lots, end

    def publish(self, records: list[Any]) -> None:
        self._sink.publish(records)
        self._left -= 1
        if not self._left:
            self._end()


class TestPublishedAgain:
    """On a broker of its own."""

    @pytest.fixture
    def on_broker(self, place: Place, servers: str) -> Place:
        place.home.settings |= {"KAFKA_BOOTSTRAP_SERVERS": servers, "SHOP_PARTITIONS": "3"}
        return place

    def test_all_events_in_order_as_they_were(self, on_broker: Place, servers: str) -> None:
        done = on_broker.home.shop("replay", "--to", "copy", "--json")
        assert done.returncode == 0, done.stderr
        last = last_position(on_broker.log)
        assert json.loads(done.stdout) == {
            "topic": "copy",
            "from": 1,
            "until": last,
            "published": last,
        }
        found = read_all(servers, "copy")
        assert {message.partition() for message in found} == {0, 1, 2}
        rows = on_broker.home.rows(
            "event_log",
            "SELECT event_id, type || '.v' || version, source, published_time, subject, "
            "correlation_id, causation_id, body FROM event_log ORDER BY position",
        )
        wanted = {row[0]: (number, row) for number, row in enumerate(rows)}
        assert len(found) == len(wanted) == last
        orders: dict[int, list[int]] = {}
        for message in found:
            headers = {name: value.decode() for name, value in message.headers()}
            number, (_, kind, source, when, subject, order, cause, body) = wanted[
                headers.pop("ce_id")
            ]
            assert message.value() == body
            assert message.key().decode() == json.loads(body)["customer_id"]
            assert datetime.fromisoformat(headers.pop("ce_time")) == datetime.fromisoformat(when)
            known = {"ce_causationid": cause} if cause else {}
            assert headers == {
                "ce_specversion": "1.0",
                "content-type": "application/json",
                "ce_type": kind,
                "ce_source": source,
                "ce_subject": subject,
                "ce_correlationid": order,
                **known,
            }
            orders.setdefault(message.partition(), []).append(number)
        assert all(numbers == sorted(numbers) for numbers in orders.values())
        assert any("ce_causationid" in dict(message.headers()) for message in found)
        again = on_broker.home.shop("replay", "--to", "copy")
        assert again.returncode == 1
        assert f"topic copy has {last:,} records already" in again.stderr

    def test_a_part_by_positions_and_by_times(self, on_broker: Place, servers: str) -> None:
        first = on_broker.home.shop("replay", "--to", "part", "--until", "10", "--json")
        assert json.loads(first.stdout)["published"] == 10
        rest = on_broker.home.shop(
            "replay", "--to", "part", "--from", "11", "--until", "25", "--json"
        )
        assert json.loads(rest.stdout)["published"] == 15, rest.stderr
        ids = {dict(m.headers())["ce_id"].decode() for m in read_all(servers, "part")}
        assert ids == {
            row[0]
            for row in on_broker.home.rows(
                "event_log", "SELECT event_id FROM event_log WHERE position <= 25"
            )
        }
        none = on_broker.home.shop(
            "replay", "--to", "later", "--from", "2030-01-01T00:00Z", "--json"
        )
        assert json.loads(none.stdout)["published"] == 0
        beyond = on_broker.home.shop("replay", "--to", "later", "--until", "1000000")
        assert beyond.returncode == 1
        assert "ends at position" in beyond.stderr

    @pytest.mark.parametrize(
        ("end", "code", "why"),
        [
            (lambda: os.kill(os.getpid(), signal.SIGTERM), 143, "shop: stopped; "),
            (lambda: os.kill(os.getpid(), signal.SIGINT), 130, "shop: stopped; "),
            (broker_gone, 1, "the broker is gone. "),
        ],
        ids=["SIGTERM", "SIGINT", "broker"],
    )
    @pytest.mark.usefixtures("sigterm_fails")
    def test_what_ends_it_early_says_where_to_go_on(
        self,
        on_broker: Place,
        servers: str,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        end: Callable[[], None],
        code: int,
        why: str,
    ) -> None:
        """Of three hundred events and more, some are there when the third lot has arrived."""
        for name, value in on_broker.home.environment.items():
            monkeypatch.setenv(name, value)
        topic = f"ended-{code}"
        monkeypatch.setattr(republishing, "PUBLISHED_AT_ONCE", 100)
        monkeypatch.setattr(republishing, "publisher", lambda at: Ending(Publisher(at), 3, end))
        monkeypatch.setattr(sys, "argv", ["shop", "replay", "--to", topic])
        with pytest.raises(SystemExit) as ended:
            run()
        assert ended.value.code == code
        said = capfd.readouterr().err
        assert f"{why}200 events were published to {topic}, up to position 200;" in said
        assert "Traceback" not in said
        assert "--from 201 goes on from there" in said
        monkeypatch.undo()
        done = on_broker.home.shop("replay", "--to", topic, "--from", "201")
        assert done.returncode == 0, done.stderr
        found = Counter(dict(m.headers())["ce_id"] for m in read_all(servers, topic))
        assert len(found) == last_position(on_broker.log)
        assert sum(found.values()) == len(found) + 100

    @pytest.mark.parametrize(
        ("damage", "why"),
        [
            ("DELETE FROM event_log WHERE position = 150", "no position 150"),
            ("UPDATE event_log SET body = x'7b' WHERE position = 150", "position 150 of the log"),
        ],
    )
    def test_a_damaged_log_is_published_up_to_where_it_is_whole(
        self,
        on_broker: Place,
        servers: str,
        monkeypatch: pytest.MonkeyPatch,
        damage: str,
        why: str,
    ) -> None:
        for name, value in on_broker.home.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(republishing, "PUBLISHED_AT_ONCE", 100)
        with tamper(on_broker.log.path) as connection:
            connection.execute(damage)
        topic = f"damaged-{damage[:6]}"
        with pytest.raises(ShopError, match=f"{why}.*100 events .* up to position 100;"):
            CliRunner().invoke(app, ["replay", "--to", topic], catch_exceptions=False)
        assert len(read_all(servers, topic)) == 100

    def test_live_topics_are_refused_unless_it_is_said(
        self, on_broker: Place, servers: str
    ) -> None:
        on_broker.home.shop("topics", "create")
        for topic in TOPICS:
            for name in (topic.name, dead_letter_topic(topic.name)):
                done = on_broker.home.shop("replay", "--to", name)
                assert done.returncode == 1
                assert f"topic {name} is live" in done.stderr
                assert "--into-live-topic" in done.stderr
        assert read_all(servers, "orders") == []
        done = on_broker.home.shop(
            "replay", "--to", "orders", "--into-live-topic", "--until", "7", "--json"
        )
        assert json.loads(done.stdout)["published"] == 7, done.stderr
        assert len(read_all(servers, "orders")) == 7

    def test_a_name_that_is_none_is_said_so(self, on_broker: Place) -> None:
        done = on_broker.home.shop("replay", "--to", "no such topic")
        assert done.returncode == 2
        assert "no such topic" in done.stderr
        assert "Traceback" not in done.stderr


def read_all(servers: str, topic: str) -> list[Message]:
    """All records of a topic, partition by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"test-{datetime.now(UTC).timestamp()}",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    places = [confluent_kafka.TopicPartition(topic, each, 0) for each in partitions]
    consumer.assign(places)
    found, ends = [], 0
    while ends < len(places):
        message = consumer.poll(30)
        assert message is not None, "the broker doesn't answer"
        if message.error() is None:
            found.append(message)
        else:
            ends += 1
    consumer.close()
    return found
