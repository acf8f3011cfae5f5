"""Migrates schemas of a Postgres database: each in one transaction, with nobody else in it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from domain.errors import StoreError
from event_log.access.views import drop_view_of
from event_log.database import reason
from event_log.holding import HELD_FOR_SECONDS, still_held
from event_log.migrations.migrated import Migrated
from event_log.migrations.recognition import find_revision
from event_log.migrations.running import upgrade_found
from event_log.postgres import PostgresSchema


def look_at_schema(place: PostgresSchema, database: str) -> Migrated:
    """What migrating a schema would do; nothing is changed.

    Raises:
        StoreError: it is none of ours, of a newer program, or can't be read.
    """
    engine = place.connect()
    try:
        with engine.connect().execution_options(**place.reading) as connection:
            return Migrated(database, str(place), _find(connection, place, database))
    except DBAPIError as error:
        raise StoreError(f"database {place} can't be read: {reason(error)}") from error
    finally:
        engine.dispose()


def migrate_schema(place: PostgresSchema, database: str) -> Migrated:
    """Bring a schema to this program's revision, or make it; as a whole or not at all.

    Nobody has it open meanwhile: whoever tries then waits.

    Args:
        place: the schema, by its database's owner.
        database: which database it is.

    Raises:
        StoreError: a process has it open, it is none of ours, of a newer program, or can't be
            changed; it is as it was.
    """
    engine = place.connect()
    try:
        with engine.begin() as connection:
            looked = Migrated(database, str(place), _find(connection, place, database))
            if looked.is_current:
                return looked
            if place.is_open_elsewhere(connection):
                raise StoreError(
                    f"database {place} is open in another process: stop the services, and run "
                    "`shop migrate` again"
                )
            if looked.found is None:
                place.claim(connection)
            # No column of a table can be changed that a view shows; it is made anew afterwards.
            drop_view_of(connection, place.schema)
            upgrade_found(connection, place, database)
    except DBAPIError as error:
        raise StoreError(
            f"database {place} can't be migrated, and is as it was: {reason(error)}"
        ) from error
    finally:
        engine.dispose()
    return Migrated(database, str(place), looked.found, done=True)


def _find(connection: Connection, place: PostgresSchema, database: str) -> str | None:
    if place.schema not in inspect(connection).get_schema_names():
        return None
    return find_revision(connection, place, database)


@contextmanager
def one_at_a_time(place: PostgresSchema) -> Iterator[None]:
    """Inside, no other process migrates this database; one that does is waited for.

    Raises:
        StoreError: the database can't be reached, or another one does for too long.
    """
    engine = place.connect()
    try:
        with place.alone(engine, "migrate", within=HELD_FOR_SECONDS) as held:
            if not held:
                holder = place.holder(engine, "migrate")
                raise still_held("migrate", place, HELD_FOR_SECONDS, holder)
            yield
    except DBAPIError as error:
        raise StoreError(f"database {place} can't be used: {reason(error)}") from error
    finally:
        engine.dispose()
