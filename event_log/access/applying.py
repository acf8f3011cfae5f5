"""Brings roles, grants and views about, or says what is missing of them."""

from collections import Counter
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from domain.errors import StoreError
from event_log.access.grants import missing_in_grants
from event_log.access.roles import Change, missing_in_roles
from event_log.access.views import make_views, missing_views
from event_log.database import reason
from event_log.postgres import PostgresSchema

Passwords = Mapping[str, str] | None


def look_at_access(place: PostgresSchema, passwords: Passwords) -> list[str]:
    """What `bring_about_access` would do; nothing is changed.

    Raises:
        StoreError: the database can't be read.
    """
    engine = place.connect()
    try:
        with engine.connect().execution_options(**place.reading) as connection:
            told = [f"the view of {schema} is made" for schema in missing_views(connection)]
            if passwords is None:
                return told
            changes = missing_in_roles(connection, passwords, unseen=False)
            return told + list(_in_words([*changes, *missing_in_grants(connection)]))
    except DBAPIError as error:
        raise StoreError(f"database {place} can't be read: {reason(error)}") from error
    finally:
        engine.dispose()


def bring_about_access(place: PostgresSchema, passwords: Passwords) -> list[str]:
    """Make the views, and the roles with their passwords and exactly the rights of the table.

    All of it is one transaction: nobody is without a right meanwhile that he had and is to have.

    Args:
        place: any schema of the database, by its owner; the schemas of the table are there.
        passwords: by principal; `None` for views only.

    Returns:
        What was done; nothing where all was as it should be.

    Raises:
        StoreError: it can't be done, or not all of it; nothing has changed.
    """
    engine = place.connect()
    try:
        with engine.begin() as connection:
            told = [f"the view of {schema} is made" for schema in make_views(connection)]
            if passwords is None:
                return told
            changes = list(missing_in_roles(connection, passwords, unseen=True))
            _run(connection, changes)
            grants = list(missing_in_grants(connection))
            _run(connection, grants)
            left = next(missing_in_grants(connection), None)
            if left is not None:
                raise StoreError(
                    f"rights in {place} can't be brought about by its role, not so: {left.told}. "
                    "Run it as the role that owns the database and gave them"
                )
            return told + list(_in_words([*changes, *grants]))
    except DBAPIError as error:
        raise StoreError(
            f"rights in {place} can't be changed, and are as they were: {reason(error)}"
        ) from error
    finally:
        engine.dispose()


def _run(connection: Connection, changes: list[Change]) -> None:
    for change in changes:
        connection.exec_driver_sql(change.statement)


def _in_words(changes: list[Change]) -> Iterator[str]:
    """What was done, once where it is the same for many tables."""
    for told, times in Counter(change.told for change in changes).items():
        yield told if times == 1 else f"{told} ({times} times)"
