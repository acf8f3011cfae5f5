"""What the Revenue page looks at, and what it says when it can't."""

import sqlite3
from contextlib import closing

from reporting.dashboard.looking import Seen, look
from reporting.dashboard.sources import Sources
from reporting.projector import ProjectedRow, open_projections
from reporting.revenue import Revenue, RevenueRow, Sum


def at(path):
    return Sources(path.parent / "event_log.sqlite", path, "USD")


def _project(path, position, cents):
    projections = open_projections(path)
    with projections.transaction() as connection:
        before = connection.exec_driver_sql("SELECT orders, cents FROM revenue_by_day").first()
        orders, already = before or (0, 0)
        connection.execute(
            RevenueRow.__table__.insert().prefix_with("OR REPLACE"),
            Revenue("1997-01-01", "USD", "accepted", orders + 1, already + cents)._asdict(),
        )
        connection.execute(
            ProjectedRow.__table__.insert().prefix_with("OR REPLACE"),
            {"projection": "revenue", "position": position, "hash": bytes(32)},
        )
    projections.close()


def test_looking_makes_no_file(tmp_path):
    seen = look(at(tmp_path / "home" / "report.sqlite"), Seen())
    assert seen == Seen()
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_file_without_tables_is_no_trouble_and_makes_none(tmp_path):
    path = tmp_path / "report.sqlite"
    path.touch()
    assert look(at(path), Seen()) == Seen()
    assert path.stat().st_size == 0


def test_the_report_is_read_again_only_when_the_position_moved(tmp_path):
    path = tmp_path / "report.sqlite"
    _project(path, 3, 100)
    first = look(at(path), Seen())
    assert first.report is not None
    assert first.report.totals.accepted == Sum(1, 100)
    assert look(at(path), first) is first
    _project(path, 4, 1)
    second = look(at(path), first)
    assert second.report.position == 4
    assert second.report.totals.accepted == Sum(2, 101)


def test_while_the_file_is_away_the_last_report_stays(tmp_path):
    path, away = tmp_path / "report.sqlite", tmp_path / "away.sqlite"
    _project(path, 3, 100)
    first = look(at(path), Seen())
    path.rename(away)
    gone = look(at(path), first)
    assert gone.report is first.report
    assert "not there any more" in gone.trouble
    away.rename(path)
    assert look(at(path), gone) == first


def test_another_file_at_the_same_position_is_noticed(tmp_path):
    path = tmp_path / "report.sqlite"
    _project(path, 3, 100)
    first = look(at(path), Seen())
    other = tmp_path / "other.sqlite"
    _project(other, 3, 200)
    other.rename(path)
    assert look(at(path), first).report.totals.accepted == Sum(1, 200)


def test_while_the_file_is_locked_the_last_report_stays(tmp_path):
    path = tmp_path / "report.sqlite"
    _project(path, 3, 100)
    first = look(at(path), Seen())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        locked = look(at(path), first)
    assert locked.report is first.report
    assert "locked" in locked.trouble
    assert look(at(path), locked) == first


def test_what_is_no_database_is_said(tmp_path):
    path = tmp_path / "report.sqlite"
    path.write_bytes(b"no database" * 1000)
    assert "not a database" in look(at(path), Seen()).trouble
