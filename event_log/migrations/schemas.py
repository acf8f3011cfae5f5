"""Migrates schemas of a Postgres database: each in one transaction, with nobody else in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from domain.errors import StoreError
from event_log.access.views import drop_view_of
from event_log.database import Database, reason
from event_log.holding import HELD_FOR_SECONDS, still_held
from event_log.migrations.migrated import Migrated
from event_log.migrations.running import upgrade
from event_log.postgres import PostgresSchema
from event_log.revisions import find_revision


def look_at_schema(place: PostgresSchema, database: str) -> Migrated:
    """What migrating a schema would do; nothing is changed.

    Raises:
        StoreError: it is none of ours, of another version's, or can't be read.
    """
    engine = place.connect()
    try:
        with engine.connect().execution_options(**place.reading) as connection:
            return Migrated(database, str(place), find_revision(connection, place))
    except DBAPIError as error:
        raise StoreError(f"database {place} can't be read: {reason(error)}") from error
    finally:
        engine.dispose()


def migrate_schema(
    place: PostgresSchema, database: str, make: Callable[[PostgresSchema], Database]
) -> Migrated:
    """Bring a schema to this program's revision, or make it; as a whole or not at all.

    Nobody has it open meanwhile: whoever tries then waits.

    Args:
        place: the schema, by its database's owner.
        database: which database it is.
        make: opens such a database, and makes its schema and tables.

    Raises:
        StoreError: a process has it open, it is none of ours, of another version's, or can't be
            changed; it is as it was.
    """
    looked = look_at_schema(place, database)
    if looked.is_current:
        return looked
    if looked.found is None:
        make(place).close()
        return Migrated(database, str(place), None, done=True)
    engine = place.connect()
    try:
        with engine.begin() as connection:
            if place.is_open_elsewhere(connection):
                raise StoreError(
                    f"database {place} is open in another process: stop the services, and run "
                    "`shop migrate` again"
                )
            # No column of a table can be changed that a view shows; it is made anew afterwards.
            drop_view_of(connection, place.schema)
            upgrade(connection, database)
    except DBAPIError as error:
        raise StoreError(
            f"database {place} can't be migrated, and is as it was: {reason(error)}"
        ) from error
    finally:
        engine.dispose()
    return Migrated(database, str(place), looked.found, done=True)


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
