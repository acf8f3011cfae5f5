"""`shop run projector` as a process, on either database: what the log has, the report has once."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.projecting import run_projector
from cli.standings import find_out
from cli.status import what_is_wrong
from domain.errors import StoreError
from domain.status import Verdict, Word, judge
from event_log.database import Database
from event_log.log import last_position
from event_log.revisions import VERSION
from reporting.agreement import disagreements
from reporting.projections import all_projections
from reporting.projector import LOG, ProjectedRow, open_projections, projected
from reporting.read_only import ReadOnlyDatabase, look_up
from reporting.report import as_json, report
from services.batch import handle_batch
from services.recorder import RecorderService
from tests import expected
from tests.conftest import ROOT
from tests.contract.conftest import ORDERS
from tests.contract.server import PostgresServer
from tests.contract.world import World
from tests.integration.pipes import NOW
from tests.waiting import wait_for
from transport.records import Record

# Seven events a transaction, so that there is a middle to be killed in.
IN_SMALL_STEPS = """
from reporting import projector
projector.BATCH = 7
from cli.main import run
run()
"""


@pytest.fixture
def recorder(empty_world: World) -> Iterator[RecorderService]:
    made = RecorderService(empty_world.of("event_log"))
    yield made
    made.database.close()


@contextmanager
def projector(world: World, *how: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A projector; what it says is in the file `said`."""
    with said(world).open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, *(how or ("-m", "cli.start")), "run", "projector"],
            cwd=ROOT,
            env={**world.home.environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def said(world: World) -> Path:
    world.home.path.parent.mkdir(exist_ok=True)
    return world.home.path.parent / "said"


def reached(world: World) -> int:
    found = look_up(world.of("report"), projected, ProjectedRow)
    return 0 if found is None else found[LOG]


def wait_until_projected(world: World, log: Database) -> None:
    end = last_position(log)
    try:
        wait_for(lambda: reached(world) == end, "the projections have it")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{said(world).read_text()}") from None


def look(world: World, only: str | None = None) -> dict[str, Verdict]:
    now = datetime.now(UTC)
    found = find_out(world.settings, now, only)
    return {facts.name: judge(facts, now) for facts in found.services}


def word(world: World) -> Word:
    return look(world, "projector")["projector"].word


def is_right(world: World, log: Database) -> None:
    """All rows are what SQL over the log gives, and the report is right to the cent."""
    projections = ReadOnlyDatabase(world.of("report"))
    for projection in all_projections().values():
        assert disagreements(log, projections, projection, last_position(log)) == []
    orders = expected.purchases(ORDERS)
    wanted = expected.report(orders, expected.outcomes(orders))
    found = as_json(report(projections, "USD"))
    assert {name: found[name] for name in wanted} == wanted


def test_it_follows_the_log_until_it_is_asked_to_end(
    empty_world: World, recorder: RecorderService, records: list[Record]
) -> None:
    world, log = empty_world, recorder.database
    assert word(world) is Word.NOT_RUNNING
    with projector(world) as process:
        wait_for(lambda: "follows" in said(world).read_text(), "it begins, with nothing to do")
        for first in range(0, len(records), 500):
            handle_batch(recorder, records[first : first + 500], NOW)
            wait_until_projected(world, log)
        is_right(world, log)
        done = world.home.shop("status", "--service", "projector", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        asked = json.loads(done.stdout)
        assert asked["broker"] is None, "it needs none"
        found = asked["services"]["projector"]
        assert found["status"] == "ok"
        assert (found["lag"], found["stuck"], found["gone"], found["wrong"]) == (0, [], [], [])
        assert found["partitions"] == {
            "event_log[0]": {"end": len(records), "position": len(records), "lag": 0}
        }
        assert found["processes"][0]["process"].endswith(f":{process.pid}")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "projector: stopped" in said(world).read_text()
    assert word(world) is Word.NOT_RUNNING, "it is not missed"


def test_killed_in_the_middle_and_started_again_nothing_is_lost_or_doubled(
    empty_world: World, recorder: RecorderService, records: list[Record]
) -> None:
    world, log = empty_world, recorder.database
    handle_batch(recorder, records, NOW)
    with projector(world, "-c", IN_SMALL_STEPS) as process:
        wait_for(lambda: reached(world) > len(records) // 4, "it is on its way")
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    assert len(records) // 4 < reached(world) < len(records)
    assert report(ReadOnlyDatabase(world.of("report")), "USD").position == reached(world)
    with projector(world):
        wait_until_projected(world, log)
        is_right(world, log)
        assert look(world, "projector")["projector"].gone == [], "another took its place"


def test_one_that_cannot_go_on_says_why_and_ends_to_be_started_again(
    empty_world: World, recorder: RecorderService, records: list[Record]
) -> None:
    handle_batch(recorder, records[:200], NOW)
    with empty_world.changing() as connection:
        connection.exec_driver_sql("DELETE FROM event_log WHERE position = 1")
    with projector(empty_world, SHOP_STALLED_AFTER="1") as process:
        assert process.wait(60) == 71
    text = said(empty_world).read_text()
    assert "has no position 1: `shop prove` says what is wrong" in text
    assert "projector is stuck and ends with exit code 71" in text
    assert "event_log[0] stands at 0 of 200 since" in text
    assert "Traceback" not in text


def test_projections_of_another_revision_are_refused_at_once(empty_world: World) -> None:
    with closing(open_projections(empty_world.of("report"))) as made, made.transaction() as at:
        at.execute(VERSION.update().values(version_num="9999"))
    with pytest.raises(StoreError, match=r"is at revision 9999, .*use the program that made it"):
        run_projector(empty_world.settings)


@pytest.mark.parametrize("empty_world", ["postgresql"], indirect=True)
def test_a_server_that_is_away_is_waited_for(
    server: PostgresServer, empty_world: World, recorder: RecorderService, records: list[Record]
) -> None:
    with projector(empty_world) as process:
        handle_batch(recorder, records[:200], NOW)
        wait_until_projected(empty_world, recorder.database)
        server.stop()
        try:
            # A look that fails is told of, and a transaction is tried again.
            waits = re.compile("the projections stay behind for now|can't be used, trying again")
            wait_for(lambda: waits.search(said(empty_world).read_text()), "it is said")
        finally:
            server.start()
        handle_batch(recorder, records[200:], NOW)
        wait_until_projected(empty_world, recorder.database)
        assert process.poll() is None
    text = said(empty_world).read_text()
    assert server.password not in text
    assert "Traceback" not in text


def test_the_status_of_all_services_is_told_by_their_databases(world: World) -> None:
    found = find_out(world.settings, datetime.now(UTC))
    assert found.broker_trouble is not None
    assert found.log_position == found.report_position > ORDERS // 2
    assert list(found.troubles) == []
    facts = {each.name: each for each in found.services}
    assert {each.trouble for each in facts.values()} == {None}
    for name in ("order", "payment", "warehouse", "recorder"):
        assert (facts[name].last_progress, facts[name].outbox) == (NOW, 0)
    assert facts["order"].early == 0
    assert facts["projector"].lag == 0
    assert facts["projector"].last_progress is not None


def test_events_that_nobody_takes_in_are_missed_where_only_the_projector_may(world: World) -> None:
    """With SQLite whoever shows projections brings them up to date first."""
    for name in ("projected", "positions"):
        world.change("report", f"DELETE FROM {name}")  # noqa: S608
    wrong = look(world)["projector"].wrong
    if world.kind == "sqlite":
        assert wrong == []
    else:
        assert wrong == [
            f"projector: {last_position(ReadOnlyDatabase(world.of('event_log'))):,} records wait "
            "to be handled, and no process runs"
        ]


def test_what_cannot_be_read_is_said(empty_world: World) -> None:
    if empty_world.kind == "sqlite":
        for name in ("report", "event_log"):
            place = empty_world.of(name)
            assert isinstance(place, Path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("no database, but long enough to be looked at as one")
    else:
        empty_world.home.settings["SHOP_DATABASE_PASSWORD"] = "n0t-it"  # noqa: S105 none at all
    found = find_out(empty_world.settings, datetime.now(UTC))
    assert [each for each in found.troubles if each.startswith("report: database ")]
    verdicts = [judge(each, datetime.now(UTC)) for each in found.services]
    wrong = "\n".join(what_is_wrong(found, verdicts))
    assert f"projector: database {empty_world.of('report')} can't be read: " in wrong
    assert f"recorder: database {empty_world.of('event_log')} can't be read: " in wrong
    assert "n0t-it" not in wrong
