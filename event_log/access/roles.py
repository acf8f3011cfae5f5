"""The principals' roles in Postgres: there, able to log in by their passwords, and nothing more."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from event_log.access.passwords import is_of, kept_verifiers, verifier
from event_log.access.rights import RIGHTS, role_of

_PLAIN = {
    "rolcanlogin": ("LOGIN", True),
    "rolsuper": ("NOSUPERUSER", False),
    "rolcreaterole": ("NOCREATEROLE", False),
    "rolcreatedb": ("NOCREATEDB", False),
    "rolreplication": ("NOREPLICATION", False),
    "rolbypassrls": ("NOBYPASSRLS", False),
}
"""What a role must be, by its column in `pg_roles`."""

_ROLES = f"SELECT rolname, {', '.join(_PLAIN)} FROM pg_roles WHERE rolname = ANY(%(roles)s)"  # noqa: S608
_MEMBERS = """
SELECT granted.rolname AS granted, role.rolname AS role FROM pg_auth_members AS member
JOIN pg_roles AS role ON role.oid = member.member
JOIN pg_roles AS granted ON granted.oid = member.roleid
WHERE role.rolname = ANY(%(roles)s)
"""
_OWNERS = """
SELECT DISTINCT role.rolname FROM pg_roles AS role WHERE role.rolname = ANY(%(roles)s) AND (
    EXISTS (SELECT FROM pg_class WHERE relowner = role.oid)
    OR EXISTS (SELECT FROM pg_namespace WHERE nspowner = role.oid)
    OR EXISTS (SELECT FROM pg_proc WHERE proowner = role.oid)
)
"""


@dataclass(frozen=True)
class Change:
    """A statement, and what people are told of it; a password is in neither."""

    told: str
    statement: str


def missing_in_roles(
    connection: Connection, passwords: Mapping[str, str], *, unseen: bool
) -> Iterator[Change]:
    """What makes the roles what they should be.

    Args:
        connection: one of the database's owner.
        passwords: by principal.
        unseen: whether passwords are set of which the owner may not see what is kept, being no
            superuser, so that nobody can tell whether they are others.
    """
    roles = {role_of(principal): principal for principal in RIGHTS}
    known = {"roles": list(roles)}
    rows = connection.exec_driver_sql(_ROLES, known).mappings()
    there = {row["rolname"]: row for row in rows}
    kept = kept_verifiers(connection)
    for role, principal in roles.items():
        password = passwords[principal]
        found = there.get(role)
        if found is None:
            made = verifier(connection, role, password)
            yield Change(f"role {role} is made", f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{made}'")
            continue
        wrong = [word for column, (word, right) in _PLAIN.items() if found[column] != right]
        if wrong:
            yield Change(
                f"role {role}: {', '.join(wrong)}", f'ALTER ROLE "{role}" {" ".join(wrong)}'
            )
        if unseen if kept is None else not is_of(kept.get(role), password):
            made = verifier(connection, role, password)
            yield Change(
                f"role {role}: its password is set", f"ALTER ROLE \"{role}\" PASSWORD '{made}'"
            )
    quote = connection.dialect.identifier_preparer.quote_identifier
    for row in connection.exec_driver_sql(_MEMBERS, known):
        yield Change(
            f"role {row.role} is no member of {row.granted} any more",
            f"REVOKE {quote(row.granted)} FROM {quote(row.role)}",
        )
    for row in connection.exec_driver_sql(_OWNERS, known):
        yield Change(
            f"what {row.rolname} owns is the owner's",
            f"REASSIGN OWNED BY {quote(row.rolname)} TO CURRENT_USER",
        )
