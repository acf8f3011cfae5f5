"""What revisions are written with: tables as SQLite and Postgres each have them."""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""An integer of 64 bits; in SQLite each is, and only INTEGER can be the key that numbers rows."""

TIME = sa.String(27)
"""A UTC time as RFC 3339 text, with six decimals."""


def upgrade_one(revision: Mapping[str, Any], database: str) -> None:
    """Run a revision's function for one database; where it has none, nothing changes."""
    change = revision.get(f"upgrade_{database}")
    if change is not None:
        change()


def text(name: str, *, key: bool = False, null: bool = False) -> sa.Column[Any]:
    """A column of text."""
    return sa.Column(name, sa.String(), primary_key=key, nullable=null)


def number(name: str, *, key: bool = False, null: bool = False) -> sa.Column[Any]:
    """A column of integers of 64 bits."""
    return sa.Column(name, BIG, primary_key=key, nullable=null)


def small(name: str, *, key: bool = False, null: bool = False) -> sa.Column[Any]:
    """A column of integers of 32 bits, in Postgres."""
    return sa.Column(name, sa.Integer(), primary_key=key, nullable=null)


def data(name: str, *, null: bool = False) -> sa.Column[Any]:
    """A column of bytes."""
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def time(name: str, *, null: bool = False) -> sa.Column[Any]:
    """A column of times."""
    return sa.Column(name, TIME, nullable=null)


def yes_or_no(name: str) -> sa.Column[Any]:
    """A column of booleans."""
    return sa.Column(name, sa.Boolean(), nullable=False)


def on_sqlite() -> bool:
    """Whether the database is a file."""
    return op.get_bind().dialect.name == "sqlite"


def is_there(table: str) -> bool:
    """Whether the database has a table."""
    return sa.inspect(op.get_bind()).has_table(table)


def create(
    table: str,
    *parts: sa.schema.SchemaItem,
    kept: str | None = None,
    with_rowid: bool = True,
) -> None:
    """Make a table, unless it is there.

    Before there were revisions, a program that opened a database made the tables that it knew and
    the database lacked: one may have those of a later revision, and no change that came before.

    Args:
        table: its name.
        parts: its columns, constraints and indexes.
        kept: why its rows can't be changed or deleted; `None` where they can.
        with_rowid: whether SQLite numbers its rows beside their key.
    """
    if is_there(table):
        return
    op.create_table(table, *parts, sqlite_with_rowid=with_rowid)
    if kept is not None:
        _append_only(table, kept)


def drop_indexes(table: str) -> None:
    """Drop all indexes of a table, whatever they are called.

    In SQLite a replay's table has the name of the one that it replaced, and indexes of other names.
    """
    for index in sa.inspect(op.get_bind()).get_indexes(table):
        if not index.get("duplicates_constraint"):
            op.drop_index(str(index["name"]), table)


def add_column(
    table: str, column: sa.Column[Any], value: str, create_anew: Callable[[], None]
) -> None:
    """Add a column, unless it is there.

    Args:
        table: the table.
        column: the column.
        value: what rows have there that are in the table already, in SQL: ``old`` is such a row.
        create_anew: makes the table with the column. SQLite can't add one that is never null, or
            one before others: there the rows are moved to a new table.
    """
    bind = op.get_bind()
    before = [each["name"] for each in sa.inspect(bind).get_columns(table)]
    if column.name in before:
        return
    if on_sqlite():
        drop_indexes(table)
        op.rename_table(table, f"{table}_before")
        create_anew()
        names = ", ".join(f'"{name}"' for name in before)
        op.execute(
            f'INSERT INTO "{table}" ({names}, "{column.name}") '  # noqa: S608 our own names
            f'SELECT {names}, {value} FROM "{table}_before" AS old'
        )
        op.drop_table(f"{table}_before")
        return
    wanted, column.nullable = column.nullable, True
    op.add_column(table, column)
    op.execute(f'UPDATE "{table}" AS old SET "{column.name}" = {value}')  # noqa: S608 our own names
    if not wanted:
        op.alter_column(table, column.name, nullable=False)


def _append_only(table: str, why: str) -> None:
    if on_sqlite():
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
            )
        return
    trigger = f"{table}_append_only"
    op.execute(
        f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{why}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {trigger}()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
