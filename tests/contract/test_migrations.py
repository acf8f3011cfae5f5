"""Revisions: from nothing and from what earlier versions made, on SQLite and on Postgres."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Integer, MetaData, Table, inspect
from sqlalchemy.exc import DatabaseError

import event_log.migrations as migrations
from event_log.database import Backend, Database, Place
from event_log.log import head
from event_log.migrations.files import migrate_file
from event_log.migrations.recognition import DATABASES
from event_log.migrations.running import upgrade
from event_log.migrations.schemas import migrate_schema
from event_log.postgres import PostgresSchema
from event_log.revisions import CURRENT, VERSION
from event_log.sqlite import SqliteFile
from reporting.projector import catch_up
from reporting.proof import Finding, Head
from reporting.proof_of_log import prove_rows
from reporting.report import report
from tests import earlier
from tests.contract.conftest import Places
from tests.contract.server import PostgresServer
from tests.contract.structure import OPENED, differences, structure
from tests.earlier.make import ORDERS
from tests.integration.pipes import NOW, Shop

FOUND = {
    "ee07c5a": {"order": "0002", "report": "0001", "": "0003"},
    "25ac314": {"report": "0005"},
    "dd2131c": {"order": "0003"},
    "077f4c1": {"report": "0005", "": "0004"},
    "077f4c1-b118d53": {"order": "0004"},
    "d531091": {"report": "0005", "": "0010"},
    "15e6b0d": {"report": "0006"},
    "15e6b0d-b118d53": {"report": "0008"},
    "c4c3845": {"report": "0007"},
    "7ce43e6": {"report": "0008"},
    "b118d53": {"": "0010"},
    "1598818-postgres": {"report": "0008", "": "0010"},
    "d868e11-postgres": {"report": "0010"},
    "b118d53-postgres": {"": "0010"},
}
"""The revision that each earlier version's databases are found at; the last is that of all others.

Nobody can tell, and need not, whether a database has a revision that changes nothing in it.
"""

FILES = [version for version in FOUND if not version.endswith("-postgres")]
CASES = [
    *((version, "sqlite") for version in FILES),
    # Those in Postgres are its own, and files' rows from before there was one.
    *((version, "postgresql") for version in FOUND if version not in FILES),
    *(
        (version, "postgresql")
        for version in FILES
        if "-" not in version and f"{version}-postgres" not in FOUND
    ),
]
WORKING = [
    *((version, "sqlite") for version in ("ee07c5a", "077f4c1", "d531091", "b118d53")),
    ("b118d53-postgres", "postgresql"),
]

# Which log the first version's revenue is of, nobody knows: it is made anew.
FORGOTTEN = ("projected", "revenue_by_day")
KEPT = {"event_log": "body", "letters": "body", "letter_actions": "body", "proofs": "parts"}
"""Tables that refuse changes, and a column of each."""

Rows = dict[str, list[dict[str, Any]]]
_numbers = itertools.count(1)


@dataclass
class Earlier:
    """Databases as an earlier version left them."""

    name: str
    places: dict[str, Place]

    def found_at(self, database: str) -> str:
        found = FOUND[self.name]
        return found.get(database) or found[""]

    def migrate(self, database: str) -> str | None:
        place = self.places[database]
        if isinstance(place, Path):
            done = migrate_file(place, database)
        else:
            done = migrate_schema(place, database)
        assert done.done
        return done.found


@contextmanager
def connected(place: Place) -> Iterator[Connection]:
    """A transaction in a database at whatever revision."""
    backend: Backend = SqliteFile(place) if isinstance(place, Path) else place
    engine = backend.connect()
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def all_rows(place: Place) -> Rows:
    with connected(place) as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        return {
            table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
            for table in metadata.sorted_tables
            if table.name not in ("schema_version", VERSION.name)
        }


def moved(files: dict[str, Path], server: PostgresServer, earlier_name: str) -> dict[str, Place]:
    """Files' rows in schemas of the same revision: no version had Postgres then."""
    places: dict[str, Place] = {}
    for database, file in files.items():
        place = server.place(f"earlier_{next(_numbers)}_{database}")
        at = Earlier(earlier_name, {}).found_at(database)
        with connected(place) as connection:
            place.claim(connection)
            upgrade(connection, database, to=at)
            metadata = MetaData()
            metadata.reflect(connection)
            for table, rows in all_rows(file).items():
                if rows:
                    made = metadata.tables[table]
                    connection.execute(made.insert(), [plain(made, row) for row in rows])
            VERSION.drop(connection)
        places[database] = place
    return places


def plain(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """A row of SQLite as Postgres takes it."""
    kinds = {column.name: column.type.python_type for column in table.columns}
    return {name: bool(each) if kinds[name] is bool else each for name, each in row.items()}


def as_schemas(name: str, server: PostgresServer) -> dict[str, Place]:
    """What a version made in Postgres, in a database of its own."""
    database = f"earlier_{next(_numbers)}"
    server.create(database)
    server.run(earlier.parts(name)["postgres"], database)
    public = PostgresSchema(server.url(database=database), "public")
    with connected(public) as connection:
        there = inspect(connection).get_schema_names()
    return {each: PostgresSchema(public.url, each) for each in DATABASES if each in there}


@pytest.fixture
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Earlier:
    """What a version left, as files or as schemas."""
    version, kind = request.param
    if kind == "sqlite":
        return Earlier(version, dict(earlier.as_files(version, tmp_path)))
    server: PostgresServer = request.getfixturevalue("server")
    if version.endswith("-postgres"):
        return Earlier(version, as_schemas(version, server))
    return Earlier(version, moved(earlier.as_files(version, tmp_path), server, version))


@pytest.fixture
def from_nothing(places: Places) -> dict[str, Place]:
    """All databases, made by the revisions."""
    made = {database: places.of(database) for database in DATABASES}
    for database, place in made.items():
        with connected(place) as connection:
            backend: Backend = SqliteFile(place) if isinstance(place, Path) else place
            backend.claim(connection)
            upgrade(connection, database)
    return made


def opened(database: str, place: Place) -> Database:
    made: Database = OPENED[database](place)
    return made


def looks(database: Database) -> dict[str, Any]:
    with database.reading() as connection:
        return structure(connection)


def test_the_history_is_one_line_that_ends_at_this_programs_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    revisions = [each.revision for each in script.walk_revisions()]
    assert script.get_heads() == [CURRENT]
    assert revisions == sorted(revisions, reverse=True)
    assert revisions[-1] == "0001"


def test_what_revisions_make_is_what_models_say_and_what_opening_makes(
    from_nothing: dict[str, Place], places: Places
) -> None:
    for name, place in from_nothing.items():
        migrated, new = opened(name, place), opened(name, places.of(f"new_{name}"))
        assert differences(migrated) == []
        assert differences(new) == []
        assert looks(migrated) == looks(new)
        # That would be seen.
        migrated.tables.append(Table("more", MetaData(), Column("id", Integer)))
        assert len(differences(migrated)) == 1
        for database in (migrated, new):
            database.close()


@pytest.mark.parametrize("left", CASES, indirect=True, ids="-on-".join)
def test_what_an_earlier_version_left_is_upgraded_and_nothing_is_lost(
    left: Earlier, places_now: dict[str, dict[str, Any]]
) -> None:
    for name, place in left.places.items():
        before = all_rows(place)
        assert any(before.values())
        assert left.migrate(name) == left.found_at(name)
        after = all_rows(place)
        for table, rows in before.items():
            if left.found_at(name) == "0001" and table in FORGOTTEN:
                assert after[table] == []
                continue
            for row, now in zip(rows, after[table], strict=True):
                assert row.items() <= now.items(), (name, table)
        database = opened(name, place)
        assert differences(database) == []
        assert looks(database) == places_now[name]
        for table in database.tables:
            if table.name in KEPT:
                for statement in (table.delete(), table.update().values({KEPT[table.name]: b""})):
                    with (
                        pytest.raises(DatabaseError, match=r"append-only|kept for good"),
                        database.transaction() as connection,
                    ):
                        connection.execute(statement)
        if name == "event_log":
            with database.reading() as connection:
                position, last = head(connection)
            found = prove_rows(database, Head(position, last, None, {}), lambda done, of: None)
            assert found == Finding({"positions": 8})
        database.close()


@pytest.fixture(scope="module")
def new_structures(
    tmp_path_factory: pytest.TempPathFactory, server: PostgresServer
) -> dict[str, dict[str, Any]]:
    """What each database looks like that is made now, by backend and name."""
    folder, found = tmp_path_factory.mktemp("now"), {}
    for kind in ("sqlite", "postgresql"):
        found[kind] = {}
        for name in DATABASES:
            place = folder / name if kind == "sqlite" else server.place(f"now_{name}")
            database = opened(name, place)
            found[kind][name] = looks(database)
            database.close()
    return found


@pytest.fixture
def places_now(left: Earlier, new_structures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    of_files = isinstance(next(iter(left.places.values())), Path)
    return new_structures["sqlite" if of_files else "postgresql"]


@pytest.mark.parametrize("left", WORKING, indirect=True, ids="-on-".join)
def test_work_that_an_earlier_version_left_is_gone_on_with_to_the_cent(left: Earlier) -> None:
    """All that was published comes again, which changes nothing; the rest comes to its end."""
    for name in left.places:
        left.migrate(name)
    shop = Shop(left.places.__getitem__)
    for record in earlier.published(left.name):
        shop.topics.records.setdefault((record.topic, record.partition), []).append(record)
    assert shop.order.place(ORDERS, NOW) == 1
    for service in shop.services:
        shop.relay(service)
    shop.run()
    shop.run()
    assert (shop.order.known_orders(), shop.order.open_orders()) == (6, 0)
    reasons = [
        dict(record.headers)["dead_letter_reason"]
        for (topic, _), records in shop.topics.records.items()
        if topic.endswith("dead-letter")
        for record in records
    ]
    assert all(b"Input data was truncated" in (reason or b"") for reason in reasons), reasons
    projections = opened("report", left.places["report"])
    # Six orders, four parcels, and each was decided once.
    assert catch_up(shop.recorder.database, projections) == 16
    totals = report(projections, "USD").totals
    assert totals.accepted == (4, 17_606)
    declined = {reason: told for reason, told in totals.declined.items() if told.orders}
    assert declined == {"no_funds": (1, 20_100), "account_closed": (1, 500)}
    for database in (projections, *(each.database for each in shop.services)):
        database.close()
