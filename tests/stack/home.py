"""The stack as other tests know a home: its commands, and what is in its databases."""

import subprocess

from cli.settings import Settings
from tests.faults.on_postgres import PostgresHome
from tests.stack.composed import Composed


class StackHome(PostgresHome):
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
