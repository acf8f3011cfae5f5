"""What each session of Postgres relies on, and sets, whatever the server's own defaults are."""

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.errors import InvalidAuthorizationSpecification

from event_log.addresses import hosts_of

CONNECT_TIMEOUT_SECONDS = 10

GONE_AFTER_SECONDS = 30
"""After so long without a sign of life, server and client each take the other for gone."""

_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
_GONE = {"tcp_user_timeout": GONE_AFTER_SECONDS * 1000}
"""By libpq's names, which are the server's for its own side, but for a prefix."""

_RELIED_ON = {
    # What texts in statements mean.
    "standard_conforming_strings": "on",
    # What a transaction is. On a standby there is none that is serializable.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "synchronous_commit": "on",
    # How values come back.
    "DateStyle": "ISO",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
_UNLESS_SAID = {
    **{f"tcp_{name}": str(value) for name, value in _KEEPALIVES.items()},
    **{name: str(value) for name, value in _GONE.items()},
    # Also while it waits for a lock.
    "client_connection_check_interval": str(GONE_AFTER_SECONDS * 1000),
    # A session may be a lock, which ends with it.
    "idle_session_timeout": "0",
    # Who reads all of a log takes his time.
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""What an address may say otherwise in its ``options``."""

_SAID = re.compile(r"(?:-c\s*|--)([A-Za-z_-]+)\s*=")

# A server that doesn't know one of them has no default for it, either.
_SET = """
SELECT set_config(name, value, false)
FROM unnest(CAST(%s AS text[]), CAST(%s AS text[])) AS wanted (name, value)
WHERE current_setting(name, true) IS NOT NULL
"""

_LOOKS_AT_A_POOLER = 3


def parameters_of(said: Mapping[str, str], name: str) -> dict[str, Any]:
    """What a session is begun by: what the address says, and ours where it says nothing.

    Args:
        said: what the address says.
        name: the program's, by which the server's own views know it.
    """
    ours: dict[str, Any] = {**_KEEPALIVES, **_GONE, "connect_timeout": CONNECT_TIMEOUT_SECONDS}
    if "application_name" not in _said_in(said):
        ours["application_name"] = name
    if len(hosts_of(said)) > 1:
        # A standby's report would be behind, and it takes no writes.
        ours["target_session_attrs"] = "primary"
    return {**ours, **said, "client_encoding": "utf8"}


def set_up(
    connection: psycopg.Connection[Any],
    parameters: Mapping[str, Any],
    own: Mapping[str, str],
) -> None:
    """Set what our statements rely on, in a session that was just begun.

    It is not asked for by ``options`` at the session's start: a pooler would refuse that, or leave
    it out in silence.

    Args:
        connection: the session.
        parameters: what it was begun by.
        own: settings beside those that all have.

    Raises:
        InvalidAuthorizationSpecification: it is no session, but a pooler's that changes from one
            transaction to the next.
        Error: the server's own.
    """
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    if _process(connection) != connection.info.backend_pid:
        _refuse_shared(connection, parameters)
    said = _said_in(parameters)
    unless = {name: value for name, value in _UNLESS_SAID.items() if name not in said}
    wanted = {**unless, **_RELIED_ON, **own}
    connection.execute(_SET, (list(wanted), list(wanted.values())))
    connection.commit()


def _said_in(parameters: Mapping[str, Any]) -> set[str]:
    """The settings that are named in ``options``, in lower case."""
    found = _SAID.findall(parameters.get("options", ""))
    return {name.replace("-", "_").lower() for name in found}


def _refuse_shared(connection: psycopg.Connection[Any], parameters: Mapping[str, Any]) -> None:
    """Refuse a pooler that gives a session of the server to several clients in turn.

    It said another process than the server does, so it is one. What was set, and locks that were
    taken, would be another client's a moment later. Two clients at once have a process each then,
    and keep it. Else one who asks twice finds another one where they go round, and one who asks
    after somebody else finds his where the last one is the next.
    """
    mine: set[int] = set()
    theirs: set[int] = set()
    with psycopg.connect(**parameters) as other:
        for _ in range(_LOOKS_AT_A_POOLER):
            mine |= {_process(connection), _process(connection)}
            theirs |= {_process(other), _process(other)}
    if len(mine) > 1 or len(theirs) > 1 or mine & theirs:
        raise InvalidAuthorizationSpecification(
            "its address is a pooler's that gives each transaction another session, such as "
            "PgBouncer with pool_mode=transaction, and locks are held by sessions here: name the "
            "server itself, or have the pooler use pool_mode=session for this database"
        )


def _process(connection: psycopg.Connection[Any]) -> int:
    """The server's process that carries out a transaction of the session's."""
    # What is prepared stays in a session, which may be another one's by now.
    row = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    connection.commit()
    return int(row[0]) if row else 0
