"""Revisions, by one that the test makes: what is there is upgraded, on SQLite and on Postgres."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.exc import DatabaseError

import event_log.migrations as migrations
from cli.databases import OPENED
from cli.place import read_purchases
from domain.errors import StoreError
from event_log.database import Backend, Place
from event_log.migrations.files import look_at_file, migrate_file
from event_log.migrations.migrated import Migrated
from event_log.migrations.schemas import look_at_schema, migrate_schema
from event_log.revisions import CURRENT, FIRST, VERSION
from event_log.sqlite import SqliteFile
from reporting.projector import catch_up
from reporting.report import report
from tests import expected
from tests.conftest import Home
from tests.contract.conftest import Places
from tests.contract.next_version import NextVersion
from tests.contract.world import ORDERS_PLACED, World
from tests.integration.pipes import Shop
from tests.waiting import wait_for


@contextmanager
def connected(place: Place) -> Iterator[Connection]:
    """A transaction in a database at whatever revision."""
    backend: Backend = SqliteFile(place) if isinstance(place, Path) else place
    engine = backend.connect()
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def all_rows(place: Place) -> dict[str, list[dict[str, Any]]]:
    with connected(place) as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        return {
            table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
            for table in metadata.sorted_tables
            if table.name != VERSION.name
        }


def look(place: Place, name: str) -> Migrated:
    return look_at_file(place, name) if isinstance(place, Path) else look_at_schema(place, name)


def migrate(place: Place, name: str) -> Migrated:
    if isinstance(place, Path):
        return migrate_file(place, name, OPENED[name])
    return migrate_schema(place, name, OPENED[name])


TABLES = "c0d501a75b7a4c5f"
"""Of what the models make in SQLite at `CURRENT`."""


def test_the_history_is_one_line_that_ends_at_this_programs_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    numbers = [each.revision for each in script.walk_revisions()]
    assert script.get_heads() == [CURRENT]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] == FIRST
    # Earlier versions, too, compare them as text.
    assert FIRST > "0012"


def test_tables_that_are_changed_have_another_revision(tmp_path: Path) -> None:
    made = sha256()
    for name, opened in OPENED.items():
        opened(tmp_path / name).close()
        with connected(tmp_path / name) as connection:
            for row in connection.exec_driver_sql("SELECT sql FROM sqlite_schema ORDER BY name"):
                made.update(repr(row).encode())
    assert made.hexdigest()[:16] == TABLES, "event_log/migrations says what is to be done for it"


def test_all_is_upgraded_nothing_is_lost_and_work_goes_on_to_the_cent(
    world: World, next_version: NextVersion
) -> None:
    for name, opened in OPENED.items():
        opened(world.of(name)).close()
        before = all_rows(world.of(name))
        with next_version.here():
            done = migrate(world.of(name), name)
        assert (done.found, done.done) == (CURRENT, True)
        now = all_rows(world.of(name))
        assert now.keys() == before.keys()
        for table, rows in before.items():
            assert all(
                row.items() <= new.items() for row, new in zip(rows, now[table], strict=True)
            )
        with connected(world.of(name)) as connection:
            looked = inspect(connection)
            assert "note" in {each["name"] for each in looked.get_columns("cluster")}
            has_index = "ix_event_log_source" in {
                each["name"] for table in now for each in looked.get_indexes(table)
            }
            assert has_index is (name == "event_log")
    with next_version.here():
        for statement in ("DELETE FROM event_log", "UPDATE event_log SET body = ''"):
            with (
                pytest.raises(DatabaseError, match="append-only"),
                connected(world.of("event_log")) as connection,
            ):
                connection.exec_driver_sql(statement)
        shop = Shop(world.of)
        shop.topics = world.topics
        shop.place(read_purchases(expected.DATA, "USD")[0][: ORDERS_PLACED + 30])
        shop.run()
        with closing(OPENED["report"](world.of("report"))) as projections:
            catch_up(shop.recorder.database, projections)
            told = expected.purchases(ORDERS_PLACED + 30)
            wanted = expected.report(told, expected.outcomes(told))["totals"]["accepted"]
            assert report(projections, "USD").totals.accepted._asdict() == wanted
        for service in shop.services:
            service.database.close()


def test_each_version_says_what_to_do_with_the_others_database(
    places: Places, next_version: NextVersion
) -> None:
    place = places.of("order")
    OPENED["order"](place).close()
    with next_version.here():
        with pytest.raises(StoreError, match=rf"at revision {CURRENT}, .*run `shop migrate`"):
            OPENED["order"](place)
        assert look(place, "order").found == CURRENT
        migrate(place, "order")
        OPENED["order"](place).close()
        assert look(place, "order").is_current
    for opening in (OPENED["order"], lambda at: look(at, "order"), lambda at: migrate(at, "order")):
        with pytest.raises(StoreError, match=r"knows none after .*: use the program that made it"):
            opening(place)


@pytest.mark.parametrize("noted", ["1001", None])
def test_what_an_earlier_version_left_is_refused_and_stays(
    places: Places, noted: str | None
) -> None:
    place = places.of("order")
    with closing(OPENED["order"](place)) as database, database.transaction() as connection:
        if noted is None:
            VERSION.drop(connection)
        else:
            connection.execute(VERSION.update().values(version_num=noted))
    before = all_rows(place)
    has = "tables without a revision" if noted is None else f"tables of revision {noted}"
    for opening in (OPENED["order"], lambda at: look(at, "order"), lambda at: migrate(at, "order")):
        with pytest.raises(StoreError, match=rf"{has}, .* put it away, and begin with a fresh"):
            opening(place)
    assert all_rows(place) == before


def test_a_migration_that_fails_or_is_killed_changes_nothing_and_the_next_one_goes_on(
    world: World, next_version: NextVersion
) -> None:
    for name, opened in OPENED.items():
        opened(world.of(name)).close()
    place = world.of("warehouse")
    before = all_rows(place)
    with (
        next_version.here(),
        next_version.ending(by='op.execute("no SQL")'),
        pytest.raises(StoreError, match=r"can't be migrated(: .*;|, and) .*is as it was"),
    ):
        migrate(place, "warehouse")
    assert all_rows(place) == before
    home = Home(world.home.path, {**world.home.settings, **next_version.environment})
    with next_version.ending(by="import os; os.kill(os.getpid(), 9)"):
        assert home.shop("migrate").returncode == -SIGKILL
    assert all_rows(place) == before
    with next_version.here():
        current = [name for name in OPENED if look(world.of(name), name).is_current]
        assert current == ["event_log", "order", "payment"]
        # Postgres notices in a moment that the process is gone.
        wait_for(lambda: home.shop("migrate").returncode == 0, "all are migrated", 60)
        assert all(look(world.of(name), name).is_current for name in OPENED)
