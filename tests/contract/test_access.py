"""Rights in Postgres: each cell of their table, tried by the role itself with its own password."""

from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from cli.databases import OPENED
from event_log.access.rights import RIGHTS, VERBS, as_markdown, role_of
from tests.conftest import ROOT
from tests.contract.stack import Stack, tables_of

REFUSED = ("42501", "42809")
"""No right to it; and what can't be done with a view."""


def allowed(connection: psycopg.Connection, statement: sql.Composed | str) -> bool:
    """Whether a statement gets past the check of rights; whatever it does is undone."""
    try:
        connection.execute(statement)  # type: ignore[arg-type]
    except psycopg.Error as error:
        return error.sqlstate not in REFUSED
    else:
        return True
    finally:
        connection.rollback()


TRIES = {
    "S": "SELECT 1 FROM {} LIMIT 1",
    "I": "INSERT INTO {} DEFAULT VALUES",
    "U": "UPDATE {} SET {} = NULL WHERE false",
    "D": "DELETE FROM {} WHERE false",
    "T": "TRUNCATE {}",
}
NEVER = (
    "ALTER TABLE {} ADD COLUMN more integer",
    "DROP TABLE {}",
    "CREATE TRIGGER more AFTER INSERT ON {} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
)
NEVER_IN = (
    "CREATE TABLE {}.more (id integer)",
    "CREATE FUNCTION {}.more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DROP SCHEMA {} CASCADE",
)


def test_each_cell_of_the_table_is_what_the_role_can_do(stack: Stack) -> None:
    tables = tables_of(stack)
    assert set(tables) == set(OPENED)
    named = {schema: set() for schema in OPENED}
    for schemas in RIGHTS.values():
        for schema, rights in schemas.items():
            named[schema] |= set(rights)
    assert {schema: set(each) for schema, each in tables.items()} == named
    columns = columns_of(stack)
    wrong = []
    tried = 0
    for principal, schemas in RIGHTS.items():
        with closing(stack.connect(principal)) as connection:
            for schema, table in ((s, t) for s, each in tables.items() for t in each):
                rights = schemas.get(schema, {}).get(table, "")
                name, column = sql.Identifier(schema, table), columns[schema, table]
                for letter, statement in TRIES.items():
                    run = sql.SQL(statement).format(name, sql.Identifier(column))
                    tried += 1
                    if allowed(connection, run) != (letter in rights):
                        wrong.append((principal, schema, table, VERBS[letter]))
                for statement in NEVER:
                    # Whoever may delete may lock.
                    if "LOCK" in statement and set(rights) & set("UDT"):
                        continue
                    run = sql.SQL(statement).format(name)
                    if allowed(connection, run):
                        wrong.append((principal, schema, table, statement))
            wrong += [
                (principal, schema, statement)
                for schema in (*OPENED, "public")
                for statement in NEVER_IN
                if allowed(connection, sql.SQL(statement).format(sql.Identifier(schema)))
            ]
            wrong += [
                (principal, statement)
                for statement in (
                    "CREATE TEMP TABLE more (id integer)",
                    "CREATE SCHEMA more",
                    "CREATE ROLE more",
                    f"ALTER ROLE {role_of('recorder' if principal != 'recorder' else 'order')} "
                    "PASSWORD 'known'",
                    "SET session_replication_role = replica",
                    "SELECT rolpassword FROM pg_authid",
                    "COPY (SELECT 1) TO '/tmp/more'",
                )
                if allowed(connection, statement)
            ]
    assert wrong == []
    assert tried > 1500


def columns_of(stack: Stack) -> dict[tuple[str, str], str]:
    query = (
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        "WHERE ordinal_position = 1"
    )
    with psycopg.connect(stack.server.url(database=stack.database)) as connection:
        return {(schema, table): column for schema, table, column in connection.execute(query)}


def test_a_password_is_its_roles_alone_and_changes_with_its_file(stack: Stack) -> None:
    stack.server.run(f"ALTER DATABASE {stack.database} SET log_statement = 'all'")
    before = dict(stack.passwords)
    for password in ("wrong", before["payment"]):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            stack.connect("order", password)
    assert stack.done() == [], "all is as it should be"
    # What SQL would read otherwise.
    stack.write("order", 'it\'s "new" $$ \\ Ü')
    assert stack.done("--check") == ["role shop_order: its password is set"]
    stack.connect("order", before["order"]).close()
    assert stack.done() == ["role shop_order: its password is set"]
    stack.connect("order").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        stack.connect("order", before["order"])
    stack.connect("payment").close()
    assert stack.done("--check") == []
    said = (stack.server.folder / "log").read_text()
    assert "ALTER ROLE" in said
    for password in (*before.values(), stack.passwords["order"]):
        assert password not in said


def test_what_somebody_gave_besides_is_taken_away(stack: Stack) -> None:
    for statement in (
        "GRANT UPDATE ON event_log.event_log TO shop_recorder",
        "GRANT SELECT (body) ON event_log.event_log TO shop_order WITH GRANT OPTION",
        'GRANT USAGE, CREATE ON SCHEMA "order" TO shop_payment',
        "GRANT SELECT ON ALL TABLES IN SCHEMA proofs TO PUBLIC",
        f"GRANT TEMP ON DATABASE {stack.database} TO PUBLIC",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "GRANT pg_read_all_data TO shop_dashboard",
        "ALTER ROLE shop_dashboard SUPERUSER",
        "ALTER TABLE report.customers OWNER TO shop_dashboard",
        "REVOKE INSERT ON event_log.event_log FROM shop_recorder",
        # Anybody may carry out what is made.
        "CREATE PROCEDURE report.tidy(much int) LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION report.sum_of(one int) RETURNS int LANGUAGE sql AS 'SELECT one'",
    ):
        stack.server.run(statement, stack.database)
    told = stack.done("--check")
    assert "role shop_dashboard: NOSUPERUSER" in told
    assert "role shop_dashboard is no member of pg_read_all_data any more" in told
    assert "what shop_dashboard owns is the owner's" in told
    assert 'revoked: UPDATE ON TABLE "event_log"."event_log" FROM "shop_recorder"' in told
    assert 'revoked: SELECT ("body") ON TABLE "event_log"."event_log" FROM "shop_order"' in told
    assert "granted to shop_recorder: rights in schema event_log" in told
    for routine in ('"report"."tidy"(IN much integer)', '"report"."sum_of"(one integer)'):
        assert f"revoked: EXECUTE ON ROUTINE {routine} FROM PUBLIC" in told
    assert stack.done()
    assert stack.done("--check") == []
    test_each_cell_of_the_table_is_what_the_role_can_do(stack)


def test_the_documentation_has_the_table() -> None:
    assert as_markdown() in (ROOT / "docs" / "access-postgres.md").read_text()
