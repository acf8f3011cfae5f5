"""What was known at a moment stays what was known then, on either database."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import ShopError
from event_log import log as event_log
from event_log.database import Database
from event_log.log import last_position, read
from reporting.dashboard.order_steps import steps
from reporting.dashboard.orders_looking import look_at
from reporting.dashboard.sources import Sources
from reporting.history import position_at, report_at
from reporting.projector import catch_up, open_projections
from reporting.read_only import ReadOnlyDatabase
from reporting.report import as_json, report_and_late
from services.batch import handle_batch
from services.recorder import RecorderService
from tests.by_hand import accepted, declined, deliveries, put
from tests.contract.conftest import Places
from transport.records import Record

FEBRUARY = datetime(1997, 2, 1, 0, 0, 1, tzinfo=UTC)


@pytest.fixture
def other(places: Places, recorder: RecorderService) -> Iterator[RecorderService]:
    """Another recorder of the same log."""
    made = RecorderService(places.of("event_log"))
    yield made
    made.database.close()


def recorded(log: Database) -> list[datetime]:
    return [event.recorded_time for event in read(log)]


def test_recorded_times_never_go_back(
    log: Database, recorder: RecorderService, other: RecorderService, records: list[Record]
) -> None:
    """Whatever the clocks of two recorders say."""
    late, early = FEBRUARY, FEBRUARY - timedelta(hours=1)
    for service, some, now in (
        (recorder, records[:5], early),
        (other, records[5:9], late),
        (recorder, records[9:12], early),
        (recorder, records[12:13], late + timedelta(hours=1)),
    ):
        handle_batch(service, some, now)
    wanted = [early] * 5 + [late] * 7 + [late + timedelta(hours=1)]
    assert recorded(log) == wanted
    for moment, known in ((early, 5), (late - timedelta(microseconds=1), 5), (late, 12)):
        assert position_at(log, moment) == known


def test_the_time_of_recording_is_after_the_lock_that_was_waited_for(
    log: Database, recorder: RecorderService, other: RecorderService, records: list[Record]
) -> None:
    begun = threading.Event()

    def record() -> None:
        begun.set()
        handle_batch(other, records[:3])

    with ThreadPoolExecutor() as pool:
        with recorder.database.transaction():
            done = pool.submit(record)
            assert begun.wait(30)
            free = datetime.now(UTC)
        done.result(60)
    assert min(recorded(log)) >= free - timedelta(milliseconds=5), "a clock of another process"
    assert max(recorded(log)) <= datetime.now(UTC) + timedelta(milliseconds=5)


def test_what_is_being_recorded_is_waited_for(log: Database, recorder: RecorderService) -> None:
    """Its time is over for others too, before they can see it."""
    put(log, [accepted("a", "1997-01-05", 100)])
    looking = ReadOnlyDatabase(log.place)
    with ThreadPoolExecutor() as pool:
        with recorder.database.transaction() as connection:
            now = recorder.database.now(connection)
            event_log.append(connection, deliveries([accepted("b", "1997-01-05", 7)], 1), now)
            asked = pool.submit(position_at, looking, now)
            with pytest.raises(TimeoutError):
                asked.result(0.5)
        assert asked.result(60) == 2
    for moment, known in ((now, 2), (now - timedelta(microseconds=1), 1)):
        assert position_at(looking, moment) == known
        put(log, [accepted(f"later {known}", "1997-01-05", 1)], datetime.now(UTC))
        assert position_at(looking, moment) == known


def test_a_moment_that_is_not_over_has_no_answer(log: Database) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for there in (0, 1):
        assert last_position(log) == there
        with pytest.raises(ShopError, match="isn't over yet"):
            position_at(log, tomorrow)
        assert position_at(log, datetime.now(UTC)) == there
        put(log, [accepted("a", "1997-01-05", 100)])


def test_a_batch_across_midnight_that_changes_a_closed_month_is_late(
    places: Places, log: Database
) -> None:
    """It was read in January, and recorded after what came in February."""
    january = datetime(1997, 1, 31, 23, 59, 59, tzinfo=UTC)
    put(log, [accepted("in time", "1997-01-30", 100)], january)
    put(log, [accepted("of february", "1997-02-01", 10)], FEBRUARY)
    put(log, [accepted("late", "1997-01-31", 20), declined("too", "1997-01-31", 3)], january)
    projections = open_projections(places.of("report"))
    assert catch_up(log, projections) == 4
    found, (late,) = report_and_late(projections, "USD")
    assert (late.part.name, late.first, late.whole) == ("1997-01", "1997-02-01", False)
    assert (late.part.accepted.cents, late.part.all_declined.cents) == (20, 3)
    assert report_at(log, projections, 4, "USD") == (found, (late,))
    closed = report_at(log, projections, position_at(log, january), "USD")[0]
    assert as_json(closed)["totals"]["accepted"] == {"orders": 1, "cents": 100}
    projections.close()


def test_a_load_of_the_past_is_told_from_a_late_order(places: Places, log: Database) -> None:
    january = datetime(1997, 1, 31, tzinfo=UTC)
    put(log, [accepted("in time", "1997-01-30", 100)], january)
    put(log, [accepted("loaded", "1996-12-30", 5), accepted("too", "1996-12-31", 6)], FEBRUARY)
    put(log, [declined("late", "1997-01-31", 20)], FEBRUARY)
    projections = open_projections(places.of("report"))
    assert catch_up(log, projections) == 4
    sources = Sources(log.place, projections.place, "USD")
    loaded = {name: look_at(sources, name).loaded for name in ("in time", "loaded", "too", "late")}
    assert loaded == {"in time": False, "loaded": True, "too": True, "late": False}
    for name, marked in (("in time", 0), ("loaded", 0), ("late", 1)):
        known = look_at(sources, name)
        told = steps(name, known.events, loaded=known.loaded)
        assert sum(each.late is not None for each in told) == marked
    projections.close()
