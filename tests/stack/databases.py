"""Postgres' own programs, on the stack's database."""

import subprocess

from tests.contract.server import program
from tests.stack.composed import Composed


def run_postgres(composed: Composed, name: str, *arguments: str) -> None:
    """Run a program of Postgres as the database's owner."""
    password = (composed.secrets("admin") / "shop_database_password").read_text().strip()
    where = {
        "PGHOST": "127.0.0.1",
        "PGPORT": composed.place.port("postgres", "5432"),
        "PGUSER": "shop_admin",
        "PGPASSWORD": password,
        # Bodies as the text that they are, for whoever looks into a dump.
        "PGOPTIONS": "-c bytea_output=escape",
    }
    done = subprocess.run(
        [program(name), *arguments], env=where, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
