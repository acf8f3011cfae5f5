"""Roles' passwords: kept by Postgres as SCRAM verifiers, which is also how they are sent there."""

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping

from sqlalchemy import Connection

_ALGORITHM = "SCRAM-SHA-256"


def verifier(connection: Connection, role: str, password: str) -> str:
    """What Postgres keeps of a password, made here: the server never sees it in clear."""
    driver = connection.connection.driver_connection
    made: bytes = driver.pgconn.encrypt_password(  # type: ignore[union-attr]
        password.encode(), role.encode(), _ALGORITHM.lower().encode()
    )
    return made.decode()


def kept_verifiers(connection: Connection) -> Mapping[str, str | None] | None:
    """What Postgres keeps, by role; `None` where the owner may not see it, being no superuser."""
    may = connection.exec_driver_sql(
        "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT')"
    ).scalar()
    if not may:
        return None
    rows = connection.exec_driver_sql("SELECT rolname, rolpassword FROM pg_catalog.pg_authid")
    return {row.rolname: row.rolpassword for row in rows}


def is_of(kept: str | None, password: str) -> bool:
    """Whether a verifier is of a password (RFC 5803).

    One that isn't plain ASCII may be taken for another one; it is set again then, to the same.
    """
    try:
        algorithm, salted, keys = (kept or "").split("$")
        iterations, salt = salted.split(":")
        stored = b64decode(keys.split(":")[0])
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), b64decode(salt), int(iterations))
    except ValueError:
        return False
    client = hmac.digest(key, b"Client Key", "sha256")
    same = hmac.compare_digest(hashlib.sha256(client).digest(), stored)
    return algorithm == _ALGORITHM and same
