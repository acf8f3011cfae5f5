"""What a database's tables look like, and whether that is what the models say."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Inspector, MetaData, inspect

from domain.house_accounts import HouseAccounts
from domain.money import Money
from event_log.database import Database
from reporting.projector import open_projections
from reporting.proofs import ProofRow
from services.letters import LetterDesk
from services.order import OrderService
from services.payment import PaymentService
from services.recorder import open_log
from services.warehouse import WarehouseService

OPENED = {
    "event_log": open_log,
    "order": lambda place: OrderService(place).database,
    "payment": lambda place: PaymentService(place, HouseAccounts(Money(30_000, "USD"))).database,
    "warehouse": lambda place: WarehouseService(place).database,
    "report": open_projections,
    "dead_letters": lambda place: LetterDesk(place).database,
    "proofs": lambda place: Database(place, [ProofRow]),
}
"""How each database is opened."""


def differences(database: Database) -> list[Any]:
    """What Alembic would put into a new revision: nothing, if all that models say is in one."""
    wanted = MetaData()
    for table in database.tables:
        table.to_metadata(wanted)
    with database.reading() as connection:
        options = {"compare_type": True, "compare_server_default": False}
        context = MigrationContext.configure(connection, opts=options)
        found: list[Any] = compare_metadata(context, wanted)
        return found


def structure(connection: Connection) -> dict[str, Any]:
    """Tables, columns, keys, indexes and triggers, to be compared with those of another."""
    looked = inspect(connection)
    return {
        "triggers": _triggers(connection),
        **{name: _table(looked, name) for name in looked.get_table_names()},
    }


def _table(looked: Inspector, name: str) -> dict[str, Any]:
    columns = {
        each["name"]: (str(each["type"]), each["nullable"], _local(each["default"]))
        for each in looked.get_columns(name)
    }
    unique = {tuple(each["column_names"]) for each in looked.get_unique_constraints(name)}
    indexes = {
        each["name"]: (
            tuple(each["column_names"]),
            bool(each["unique"]),
            {key: str(value) for key, value in each.get("dialect_options", {}).items()},
        )
        for each in looked.get_indexes(name)
    }
    key = looked.get_pk_constraint(name)["constrained_columns"]
    return {"columns": columns, "unique": unique, "indexes": indexes, "key": key}


def _local(default: str | None) -> str | None:
    # A sequence's schema is another one's in another place.
    return None if default is None else default.rpartition(".")[2].strip("'")


def _triggers(connection: Connection) -> set[tuple[Any, ...]]:
    query = {
        "sqlite": "SELECT tbl_name, name, sql FROM sqlite_schema WHERE type = 'trigger' "
        "UNION ALL SELECT name, 'rowid', sql LIKE '%WITHOUT ROWID%' FROM sqlite_schema "
        "WHERE type = 'table'",
        "postgresql": "SELECT relname, tgname, tgtype, tgenabled, prosrc FROM pg_trigger "
        "JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid "
        "WHERE relnamespace = current_schema()::regnamespace",
    }[connection.dialect.name]
    return {tuple(row) for row in connection.exec_driver_sql(query)}
