"""Amounts whose sum is no 64-bit integer: reported to the cent, on either database."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from event_log.database import Database, table_of
from event_log.sums import ExactSum
from reporting.agreement import disagreements
from reporting.dashboard.health_looking import look_into
from reporting.dashboard.looking import Seen, look
from reporting.dashboard.revenue_rows import headline
from reporting.dashboard.sources import Sources
from reporting.export import By
from reporting.exports import FORMS
from reporting.figure import as_fields, stamp
from reporting.history import compare, report_at
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.proof_of_figure import prove_figures
from reporting.proof_of_log import look as look_at_log
from reporting.proof_of_projections import prove_projections
from reporting.read_only import ReadOnlyDatabase
from reporting.replay import replay
from reporting.report import as_json, report, report_and_late
from reporting.revenue import RevenueRow
from reporting.telling import _state
from services.recorder import RecorderService
from tests.by_hand import accepted, declined, put
from tests.contract.conftest import Places

LARGEST = 2**63 - 1
LOST = 3 * LARGEST
"""What three declined orders would have brought: 276,701,161,105,643,274.21 USD."""

Databases = tuple[Database, Database]


@pytest.fixture
def databases(places: Places, recorder: RecorderService) -> Iterator[Databases]:
    log, projections = recorder.database, open_projections(places.of("report"))
    put(log, [declined("a", "1997-01-05", LARGEST), accepted("b", "1997-01-05", 2500)])
    catch_up(log, projections)
    put(log, [declined("c", "1997-01-05", LARGEST)])
    catch_up(log, projections)
    put(log, [declined("d", "1997-01-06", LARGEST), accepted("e", "1997-02-05", LARGEST)])
    put(log, [accepted("f", "1997-02-05", 1)])
    assert catch_up(log, projections) == 6
    yield log, projections
    projections.close()


def test_they_are_added_up_exactly(databases: Databases, tmp_path: Path) -> None:
    log, projections = databases
    found, (january, february) = report_and_late(projections, "USD")
    assert found.totals.declined["no_funds"].cents == LOST
    assert found.totals.accepted.cents == LARGEST + 2501
    assert [day.all_declined.cents for day in found.days] == [2 * LARGEST, LARGEST, 0]
    assert (january.part.all_declined.cents, february.part.accepted.cents) == (LOST, LARGEST + 1)
    assert report_at(log, projections, 6, "USD") == (found, (january, february))
    assert compare(log, projections, 1, 6, "USD", 9).after == found
    place = ReadOnlyDatabase(projections.place)
    for projection in all_projections().values():
        assert disagreements(log, projections, projection, 6) == []
        assert len(look_into(_sources(databases), projection, "").rows) >= 1
    assert prove_projections(log, place, lambda done, total: None).failure is None
    replay(log, projections, list(all_projections().values()))
    assert report(projections, "USD") == found
    figures = {each.outcome: each.cents for each in _state(log, projections, lambda _: 6).figures}
    assert figures == {"no_funds": LOST, "accepted": LARGEST + 2501}


def test_looking_back_adds_up_whole_parts_of_the_log(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, projections = databases
    wanted = report_at(log, projections, 6, "USD")
    # By the parts that the projection of growth keeps, in place of the log's events.
    monkeypatch.setattr("reporting.history.POSITIONS", 6)
    monkeypatch.setattr("reporting.history.part_of", lambda position: "000000000001")
    assert report_at(log, projections, 6, "USD") == wanted


def test_every_file_has_them_and_holds_when_it_is_proved(
    databases: Databases, tmp_path: Path
) -> None:
    log, projections = databases
    found = report(projections, "USD")
    stamped = stamp(log, found.position, "USD")
    for suffix, form in FORMS.items():
        for by in By:
            file = tmp_path / f"{by.value}{suffix}"
            file.write_bytes(form.make(found, stamped, by, file.name, datetime.now(UTC)))
            proved = prove_figures(log, look_at_log(ReadOnlyDatabase(log.place)), file)
            assert proved.failure is None, file.name
    file = tmp_path / "report.json"
    file.write_text(json.dumps({**as_json(found), **as_fields(stamped)}))
    assert str(LOST) in file.read_text()
    assert prove_figures(log, look_at_log(ReadOnlyDatabase(log.place)), file).failure is None
    assert "276,701,161,105,643,274.21" in (tmp_path / "month.html").read_text()
    assert "276701161105643274.21" not in (tmp_path / "day.csv").read_text()
    assert "184467440737095516.14" in (tmp_path / "day.csv").read_text()


def test_the_page_shows_them(databases: Databases) -> None:
    seen = look(_sources(databases), Seen())
    assert seen.report is not None
    assert headline(seen.report).declined_amount == "276,701,161,105,643,274.21"


def _sources(databases: Databases) -> Sources:
    log, projections = databases
    return Sources(log.place, projections.place, "USD")


_amounts = st.one_of(
    st.integers(0, 2 * LARGEST), st.integers(LARGEST - 10**9, LARGEST + 10**9), st.integers(0, 9)
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(amounts=st.lists(_amounts, max_size=12))
def test_sums_of_any_numbers_are_exact_in_sql(databases: Databases, amounts: list[int]) -> None:
    table = table_of(RevenueRow)
    rows = [
        {"day": f"{at:03}", "currency": "X", "outcome": "x", "orders": 1, "cents": cents}
        for at, cents in enumerate(amounts)
    ]
    with databases[1].transaction() as connection:
        connection.execute(table.delete())
        if rows:
            connection.execute(table.insert(), rows)
        assert [
            row.cents for row in connection.execute(select(table).order_by(table.c.day))
        ] == amounts
        assert connection.scalar(select(ExactSum(table.c.cents))) == sum(amounts)
