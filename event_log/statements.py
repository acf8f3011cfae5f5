"""Statements that SQLite and Postgres write differently, under one name each."""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Self

from sqlalchemy import (
    DDL,
    Boolean,
    ColumnElement,
    Connection,
    Insert,
    Integer,
    String,
    Table,
    event,
    func,
    literal,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from transport.bounds import BATCH_BYTES


class _Among(FunctionElement[bool]):
    name = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Self:
        # It is a condition already: compared with 1, SQLite would not use an index for it.
        return self


def among(column: ColumnElement[Any], values: Iterable[str | int]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`, passed as one parameter however many they are."""
    return _Among(column, literal(json.dumps(list(values)), String))


@compiles(_Among, "sqlite")
def _among_in_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, listed = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({listed})))"  # noqa: S608 compiled parts


@compiles(_Among, "postgresql")
def _among_in_postgres(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, listed = (compiler.process(each, **options) for each in element.clauses)
    kind = "BIGINT" if isinstance(element.clauses.clauses[0].type, Integer) else "TEXT"
    # An array, so that an index of the column is used.
    return (
        f"({column} = ANY (ARRAY(SELECT CAST(value AS {kind}) "  # noqa: S608 compiled parts
        f"FROM json_array_elements_text(CAST({listed} AS JSON)) AS listed (value))))"
    )


def end_of_batch(
    connection: Connection,
    key: ColumnElement[int],
    sized: Sequence[ColumnElement[Any]],
    where: ColumnElement[bool],
    most: int,
) -> int | None:
    """The key of the last row of a batch: after it `most` rows, or `BATCH_BYTES`, are reached.

    Only lengths are read here, so that nothing large is in memory before it is known to fit.

    Args:
        connection: sees the state that the rows are then read from.
        key: by which the rows are in order.
        sized: the columns that may be large, by bytes or characters.
        where: which rows.
        most: most rows.

    Returns:
        The key; `None` where there is no row.
    """
    size = sum((func.coalesce(func.length(each), 0) for each in sized), start=literal(0))
    rows = select(key.label("key"), size.label("size")).where(where).order_by(key).limit(most)
    each = rows.subquery()
    before = func.sum(each.c.size).over(order_by=each.c.key) - each.c.size
    summed = select(each.c.key, before.label("before")).subquery()
    found = select(func.max(summed.c.key)).where(summed.c.before < BATCH_BYTES)
    last: int | None = connection.scalar(found)
    return last


def insert_new(connection: Connection, table: Table) -> Insert:
    """An insert that passes over rows whose key, or another unique value, is there already."""
    return _insert_new(connection.dialect.name, table)


def insert_or_replace(connection: Connection, table: Table) -> Insert:
    """An insert that puts a row in the place of the one that has its key."""
    return _insert_or_replace(connection.dialect.name, table)


def insert_into(connection: Connection, table: Table) -> Any:
    """An insert of SQLite's or Postgres' own: both have the same ``on_conflict_…`` methods."""
    return _insert_into(connection.dialect.name, table)


def _insert_into(dialect: str, table: Table) -> Any:
    # By name, so that nobody waits for the import of the other one.
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


@lru_cache
def _insert_new(dialect: str, table: Table) -> Insert:
    made: Insert = _insert_into(dialect, table).on_conflict_do_nothing()
    return made


@lru_cache
def _insert_or_replace(dialect: str, table: Table) -> Insert:
    statement = _insert_into(dialect, table)
    keys = [column.name for column in table.primary_key]
    made: Insert = statement.on_conflict_do_update(
        index_elements=keys,
        set_={
            column.name: statement.excluded[column.name]
            for column in table.columns
            if column.name not in keys
        },
    )
    return made


def append_only(table: Table, why: str) -> None:
    """Let a table refuse update, delete and truncate from its creation on, saying `why`."""
    name = table.name
    for verb in ("UPDATE", "DELETE"):
        _after_create(
            table,
            "sqlite",
            f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{why}'); END",
        )
    trigger = f"{name}_append_only"
    _after_create(
        table,
        "postgresql",
        f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{why}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
        f"CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {trigger}()",
        # Also for sessions that replicate, which pass over other triggers.
        f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {trigger}",
    )


def _after_create(table: Table, dialect: str, *statements: str) -> None:
    for statement in statements:
        ddl = DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
        event.listen(table, "after_create", ddl)
