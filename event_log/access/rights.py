"""The rights in a Postgres database, as one table: principal, schema, table, what it may do there.

A service may do what its code does with its own schema's rows, and no more. Nobody but the owner
makes, alters or drops anything.
"""

from collections.abc import Mapping

VERBS = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE", "T": "TRUNCATE"}
"""What can be done with a table's rows, by the letter that stands for it in `RIGHTS`."""

Tables = Mapping[str, str]

VIEWS = {"event_log": "event_log", "proofs": "proofs"}
"""Tables, by their schemas, that `VIEWS_IN` has a view of under the same name."""

VIEWS_IN = "report"

_SERVICE: Tables = {
    "alembic_version": "S",
    "cluster": "SI",
    "outbox": "SIU",
    "positions": "SIU",
    "topics": "SIU",
    "workers": "SIUD",
}
_PROJECTIONS = (
    "customers",
    "declines_by_month",
    "late_by_month",
    "order_stories",
    "revenue_by_day",
    "revenue_growth",
)
_SERVICES: dict[str, dict[str, Tables]] = {
    "order": {
        "order": {**_SERVICE, "early": "SID", "inbox": "SID", "orders": "SIU", "requests": "SIU"}
    },
    "payment": {"payment": {**_SERVICE, "account_events": "SI", "inbox": "SI"}},
    # The payment service, asked another way: who asks again is known by the account's events.
    "responder": {"payment": {**_SERVICE, "account_events": "SI"}},
    "warehouse": {"warehouse": {**_SERVICE, "inbox": "SI", "parcels": "SI"}},
    "recorder": {"event_log": {**_SERVICE, "event_log": "SI", "repeats": "SI"}},
    "projector": {
        "event_log": {"alembic_version": "S", "event_log": "S"},
        "report": {
            "alembic_version": "S",
            "cluster": "SI",
            "positions": "SIU",
            "projected": "SIU",
            "replayed": "SIUD",
            "set_aside": "SIUD",
            "stopped": "SID",
            "workers": "SIUD",
            **dict.fromkeys(_PROJECTIONS, "SIUD"),
            **{f"{name}_replay": "SIUT" for name in _PROJECTIONS},
        },
    },
}
_DESKS: dict[str, Tables] = {
    "dead_letters": {
        "alembic_version": "S",
        "cluster": "SI",
        "letter_actions": "SI",
        "letters": "SI",
        "outbox": "SIU",
        "positions": "SIU",
        "topics": "SIU",
    },
    "proofs": {"alembic_version": "S", "cluster": "SI", "proofs": "SI"},
}


def _read_all() -> dict[str, dict[str, str]]:
    seen: dict[str, dict[str, str]] = {}
    for schemas in _SERVICES.values():
        for schema, tables in schemas.items():
            seen.setdefault(schema, {}).update(dict.fromkeys(tables, "S"))
    return seen


RIGHTS: Mapping[str, Mapping[str, Tables]] = {
    **_SERVICES,
    "dashboard": {
        "report": {
            **dict.fromkeys(
                ("alembic_version", "positions", "projected", "set_aside", "stopped", "workers"),
                "S",
            ),
            **dict.fromkeys(_PROJECTIONS, "S"),
            **dict.fromkeys(VIEWS.values(), "S"),
        }
    },
    "operator": {**_read_all(), **_DESKS},
}
"""By principal and schema: the letters of what it may do, by table."""


def role_of(principal: str) -> str:
    """The role that a principal has in Postgres."""
    return f"shop_{principal}"


def as_markdown() -> str:
    """The table of rights, for the documentation: one for each schema."""
    parts = []
    for schema in sorted({schema for schemas in RIGHTS.values() for schema in schemas}):
        who = [principal for principal, schemas in RIGHTS.items() if schema in schemas]
        tables = sorted({table for principal in who for table in RIGHTS[principal][schema]})
        rows = [
            f"| `{table}` | "
            + " | ".join(RIGHTS[principal][schema].get(table, "") for principal in who)
            + " |"
            for table in tables
        ]
        head = " | ".join(f"`{role_of(principal)}`" for principal in who)
        rule = "---|" * (len(who) + 1)
        parts.append("\n".join([f"### Schema `{schema}`", "", f"| | {head} |", f"|{rule}", *rows]))
    return "\n\n".join(parts) + "\n"
