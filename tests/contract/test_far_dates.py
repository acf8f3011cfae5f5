"""Orders of the calendar's ends in a log: what is shown stays as small as what there is to show."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from event_log.database import Database
from reporting.agreement import disagreements
from reporting.dashboard.orders_asked import asked_for
from reporting.dashboard.orders_found import find
from reporting.export import By, cut
from reporting.exports import FORMS
from reporting.figure import as_fields, stamp
from reporting.history import compare, report_at
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.proof_of_figure import prove_figures
from reporting.proof_of_log import look, prove_chain
from reporting.proof_of_projections import prove_projections
from reporting.read_only import ReadOnlyDatabase
from reporting.report import (
    as_json,
    days_as_json,
    late_as_json,
    left_out,
    month_end,
    report_and_late,
)
from services.recorder import RecorderService
from tests.by_hand import accepted, declined, put
from tests.contract.conftest import Places

MONTHS = ["0001-01", "1997-01", "1997-02", "1997-03", "9999-12"]
"""All that are shown; February of 1997 has no order."""

MANY = 100_000
"""No file about five months has so many bytes."""


@pytest.fixture
def databases(places: Places, recorder: RecorderService) -> Iterator[tuple[Database, Database]]:
    log, projections = recorder.database, open_projections(places.of("report"))
    put(
        log,
        [
            accepted("a", "1997-01-05", 1000),
            accepted("b", "9999-12-31", 2500),
            declined("c", "0001-01-01", 300),
            accepted("d", "1997-03-05", 40),
        ],
    )
    catch_up(log, projections)
    yield log, projections
    projections.close()


def test_only_months_near_to_orders_are_shown(databases: tuple[Database, Database]) -> None:
    log, projections = databases
    found, late = report_and_late(projections, "USD")
    assert [month.name for month in found.months] == MONTHS
    assert [month.accepted.cents for month in found.months] == [0, 1000, 0, 40, 2500]
    assert (found.totals.accepted.cents, found.totals.all.cents) == (3540, 3840)
    assert left_out(found) == ["0001-02 to 1996-12", "1997-04 to 9999-11"]
    assert [each.part.name for each in late] == ["0001-01", "1997-01", "1997-03"]
    for position in range(5):
        assert len(report_at(log, projections, position, "USD")[0].months) <= 5
    assert report_at(log, projections, 4, "USD") == (found, late)
    compared = compare(log, projections, 0, 4, "USD", 10)
    assert [each.after.name for each in compared.months] == [*MONTHS[:2], *MONTHS[3:]]
    assert month_end("0001-01") == datetime(1, 2, 1, tzinfo=UTC)
    assert month_end("9999-12") > datetime(9999, 12, 31, 23, tzinfo=UTC)


def test_what_is_exported_is_small_and_holds_when_it_is_proved(
    databases: tuple[Database, Database], tmp_path: Path
) -> None:
    log, projections = databases
    found, late = report_and_late(projections, "USD")
    stamped = stamp(log, found.position, "USD")
    head = look(ReadOnlyDatabase(log.place))
    files = []
    for suffix, form in FORMS.items():
        for by in By:
            files.append(tmp_path / f"{by.value}{suffix}")
            files[-1].write_bytes(form.make(found, stamped, by, files[-1].name, datetime.now(UTC)))
    for name, figures in (
        ("months", {**as_json(found), **late_as_json(late)}),
        ("days", days_as_json(found)),
    ):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps({**figures, **as_fields(stamped)}))
    for file in files:
        assert file.stat().st_size < MANY
        assert prove_figures(log, head, file).failure is None, file.name
    lines = [line for line in (tmp_path / "month.csv").read_text().splitlines() if line[:1] != "#"]
    assert [row["month"] for row in csv.DictReader(StringIO("\n".join(lines)))] == MONTHS
    page = (tmp_path / "month.html").read_text()
    assert "No order is of 0001-02 to 1996-12, 1997-04 to 9999-11" in page
    part, _ = cut(found, stamped, "1997-01-05", None)
    assert [month.name for month in part.months] == MONTHS[1:]


def test_the_proofs_hold(databases: tuple[Database, Database]) -> None:
    log, projections = databases
    for projection in all_projections().values():
        assert disagreements(log, projections, projection, 4) == []
    told = (ReadOnlyDatabase(log.place), ReadOnlyDatabase(projections.place))
    assert prove_chain(told[0], look(told[0]), lambda done, total: None, 1).failure is None
    assert prove_projections(*told, lambda done, total: None).failure is None


def test_the_orders_of_the_last_month_are_found(databases: tuple[Database, Database]) -> None:
    with databases[1].reading() as connection:
        for month, order in (("9999-12", "b"), ("0001-01", "c"), ("1997-01", "a")):
            asked, wrong = asked_for({"month": month}, "USD")
            assert wrong == []
            assert [each.order_id for each in find(connection, asked).stories] == [order]
