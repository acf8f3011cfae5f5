"""Grants: what Postgres has, compared with the table of rights."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from event_log.access.rights import RIGHTS, VERBS, VIEWS_IN, role_of
from event_log.access.roles import Change

_PUBLIC = "PUBLIC"

_FOUND = """
WITH grantees AS (
    SELECT oid, rolname::text AS name FROM pg_roles WHERE rolname = ANY(%(roles)s)
    UNION ALL SELECT 0, 'PUBLIC'
), objects AS (
    SELECT 'DATABASE' AS kind, NULL::text AS schema, datname::text AS name, NULL::text AS part,
        coalesce(datacl, acldefault('d', datdba)) AS acl
    FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'SCHEMA', NULL, nspname, NULL, coalesce(nspacl, acldefault('n', nspowner))
    FROM pg_namespace
    UNION ALL SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname, NULL,
        relacl
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    UNION ALL SELECT 'TABLE', nspname, relname, attname, attacl
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE attacl IS NOT NULL
    UNION ALL SELECT 'ROUTINE', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid),
        coalesce(proacl, acldefault('f', proowner))
    FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
)
SELECT kind, schema, objects.name, part, grantees.name AS grantee, privilege_type, is_grantable
FROM objects CROSS JOIN LATERAL aclexplode(acl) JOIN grantees ON grantees.oid = grantee
WHERE coalesce(schema, objects.name) !~ '^pg_'
    AND coalesce(schema, objects.name) <> 'information_schema'
    -- What is PUBLIC's in a schema of somebody else can't be reached without that schema.
    AND (grantees.oid <> 0 OR schema IS NULL OR schema = ANY(%(schemas)s))
"""
_SEQUENCES = """
SELECT nspname AS schema, sequence.relname AS sequence, owner.relname AS table
FROM pg_class AS sequence JOIN pg_namespace ON pg_namespace.oid = sequence.relnamespace
JOIN pg_depend ON pg_depend.objid = sequence.oid AND deptype IN ('a', 'i')
    AND classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
JOIN pg_class AS owner ON owner.oid = refobjid
WHERE sequence.relkind = 'S' AND nspname = ANY(%(schemas)s)
"""


class Grant(NamedTuple):
    """One privilege on one thing: to whom, and whether it may be given on, which nobody should.

    `part` is a column of a table, or what a function or procedure takes.
    """

    kind: str
    schema: str | None
    name: str
    part: str | None
    grantee: str
    privilege: str
    grantable: bool = False


def missing_in_grants(connection: Connection) -> Iterator[Change]:
    """What makes the grants those of the table: first what is too much, then what is missing."""
    schemas = {schema for rights in RIGHTS.values() for schema in rights} | {VIEWS_IN}
    known = {"roles": [role_of(each) for each in RIGHTS], "schemas": sorted(schemas)}
    rows = connection.exec_driver_sql(_FOUND, known)
    found = {Grant(*row) for row in rows}
    wanted = set(_wanted(connection, sorted(schemas)))
    quote = connection.dialect.identifier_preparer.quote_identifier

    def on(grant: Grant) -> str:
        name = quote(grant.name)
        if grant.schema is not None:
            name = f"{quote(grant.schema)}.{name}"
        if grant.kind == "ROUTINE":
            name = f"{name}({grant.part})"
        return f"{grant.kind} {name}"

    def to(grant: Grant) -> str:
        return grant.grantee if grant.grantee == _PUBLIC else quote(grant.grantee)

    for grant in sorted(found - wanted, key=str):
        column = f" ({quote(grant.part)})" if grant.kind == "TABLE" and grant.part else ""
        words = f"{grant.privilege}{column} ON {on(grant)} FROM {to(grant)}"
        yield Change(f"revoked: {words}", f"REVOKE {words} CASCADE")
    for grant in sorted(wanted - found, key=str):
        words = f"{grant.privilege} ON {on(grant)} TO {to(grant)}"
        where = f" in schema {grant.schema}" if grant.schema else f" on {grant.kind.lower()}"
        yield Change(f"granted to {grant.grantee}: rights{where}", f"GRANT {words}")


def _wanted(connection: Connection, schemas: list[str]) -> Iterator[Grant]:
    database = str(connection.exec_driver_sql("SELECT current_database()").scalar())
    sequences: dict[tuple[str, str], list[str]] = {}
    for row in connection.exec_driver_sql(_SEQUENCES, {"schemas": schemas}):
        sequences.setdefault((row.schema, row.table), []).append(row.sequence)
    for principal, rights in RIGHTS.items():
        role = role_of(principal)
        yield Grant("DATABASE", None, database, None, role, "CONNECT")
        for schema, tables in rights.items():
            yield Grant("SCHEMA", None, schema, None, role, "USAGE")
            for table, letters in tables.items():
                for letter in letters:
                    yield Grant("TABLE", schema, table, None, role, VERBS[letter])
                for sequence in sequences.get((schema, table), []) if "I" in letters else []:
                    yield Grant("SEQUENCE", schema, sequence, None, role, "USAGE")
