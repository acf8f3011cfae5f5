"""A Postgres database of its own, with the principals' passwords, as a whole stack has."""

import itertools
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from typer.testing import CliRunner

from cli.main import app
from cli.secrets_folder import DATABASE_PASSWORD
from event_log.access.rights import RIGHTS, role_of
from event_log.postgres import PostgresSchema
from tests.conftest import Home
from tests.contract.server import PostgresServer

_numbers = itertools.count(1)


@dataclass
class Stack:
    """A database of the tests' server, and a folder with the principals' passwords."""

    server: PostgresServer
    database: str
    folder: Path
    owner: str = "shop"
    version: Mapping[str, str] = field(default_factory=dict)
    """What processes of another version are started with."""
    passwords: dict[str, str] = field(default_factory=dict)

    def write(self, principal: str, password: str) -> None:
        self.passwords[principal] = password
        file = self.folder / "principals" / principal / DATABASE_PASSWORD
        file.parent.mkdir(parents=True, exist_ok=True)
        # As an editor leaves it.
        file.write_text(f"{password}\n")

    def migrate(self, *, principals: bool = True) -> Home:
        """What `shop migrate` is run in."""
        settings = {**self.server.settings(self.database, self.owner), **self.version}
        if principals:
            settings["SHOP_PRINCIPALS"] = str(self.folder / "principals")
        return Home(self.folder, settings)

    def done(self, *options: str) -> list[str]:
        """What `shop migrate` did to roles and rights; in this process, which is quicker."""
        environment = self.migrate().environment
        ended = CliRunner().invoke(app, ["migrate", "--json", *options], env=environment)
        found = json.loads(ended.stdout)
        assert found["troubles"] == []
        assert ended.exit_code == (0 if found["up_to_date"] or not options else 1)
        access: list[str] = found["access"]
        return access

    def place(self, principal: str, schema: str) -> PostgresSchema:
        url = f"postgresql://{role_of(principal)}@127.0.0.1:{self.server.port}/{self.database}"
        return PostgresSchema(url, schema, self.passwords[principal])

    def connect(self, principal: str, password: str | None = None) -> psycopg.Connection:
        given = self.passwords[principal] if password is None else password
        return psycopg.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=role_of(principal),
            password=given,
            dbname=self.database,
        )


def new_stack(server: PostgresServer, folder: Path, template: str = "template1") -> Stack:
    made = Stack(server, f"access_{next(_numbers)}", folder)
    server.create(made.database, template)
    for principal in RIGHTS:
        made.write(principal, secrets.token_urlsafe(12))
    return made


def tables_of(stack: Stack) -> dict[str, list[str]]:
    """All tables and views there are, by schema."""
    query = (
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_schema !~ '^pg_' AND table_schema <> 'information_schema'"
    )
    found: dict[str, list[str]] = {}
    with psycopg.connect(stack.server.url(database=stack.database)) as connection:
        for schema, table in connection.execute(query):
            found.setdefault(schema, []).append(table)
    return found
