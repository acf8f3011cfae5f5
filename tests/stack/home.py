"""The stack as other tests know a home: its commands, and what is in its databases."""

import subprocess
from typing import Any

from sqlalchemy import text

from cli.settings import Settings
from reporting.read_only import ReadOnlyDatabase
from tests.conftest import Home
from tests.stack.composed import Composed


class StackHome(Home):
    """Commands are an operator's, and the test itself has the rights of `admin`."""

    def __init__(self, composed: Composed) -> None:
        super().__init__(composed.folder)
        self.composed = composed

    @property
    def known_settings(self) -> Settings:
        kafka, database = (self.composed.environment(name) for name in ("topics", "migrate"))
        secrets = self.composed.secrets("admin")
        return Settings(
            home=self.path,
            bootstrap_servers=kafka["KAFKA_BOOTSTRAP_SERVERS"],
            security_protocol="SASL_SSL",
            sasl_username="admin",
            sasl_password=(secrets / "kafka_sasl_password").read_text(),
            ssl_ca=kafka["KAFKA_SSL_CA"],
            database_url=database["SHOP_DATABASE_URL"],
            database_password=(secrets / "shop_database_password").read_text(),
        )

    def shop(self, *arguments: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        return self.composed.run("operator", ["shop", *arguments], timeout)

    def count(self, database: str, what: str) -> int:
        return int(self.rows(database, f"SELECT count(*) FROM {what}")[0][0])  # noqa: S608

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        with ReadOnlyDatabase(self.known_settings.database(database)).reading() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
