"""``python -m benchmarks.stack``: SQLite and Postgres, plaintext and TLS, in turn on one broker.

Kafka and Postgres are those of compose.yaml, as processes of this machine; Kafka has one more
listener, in plaintext. Orders per second are counted as in ``benchmarks.pipeline``, of the same
services; each run has fresh topics and fresh tables. The ways alternate, so that a drift of the
machine's speed meets them all.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import psycopg

from benchmarks.pipeline.__main__ import Run, run
from cli.console import err
from tests.ports import free_port
from tests.stack.composed import Composed

DATABASES = ("sqlite", "postgres")
LISTENERS = ("plaintext", "tls")


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    ways = [(database, listener) for database in DATABASES for listener in LISTENERS]
    runs: dict[tuple[str, str], list[Run]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Postgres runs as somebody else where root starts it.
        folder.chmod(0o755)
        composed = Composed(folder)
        plain = _with_plaintext(composed)
        try:
            for service in ("secrets", "kafka", "postgres"):
                composed.start(service)
            for service in ("kafka", "postgres"):
                composed.wait_until_healthy(service)
            for number in range(chosen.rounds):
                for way, found in runs.items():
                    said = _said(composed, plain, *way)
                    found.append(run("ours", chosen.orders, said, folder))
                    err.print(f"round {number + 1} {way}: {found[-1].rate:,.0f} orders/s")
        finally:
            composed.close()
    if chosen.json:
        found = {" ".join(way): [vars(each) for each in each_run] for way, each_run in runs.items()}
        print(json.dumps(found))
    else:
        _print(runs)


def _print(runs: dict[tuple[str, str], list[Run]]) -> None:
    base = runs[DATABASES[0], LISTENERS[0]]
    print(f"{'':20}{'orders/s: median':>18}{'min':>9}{'max':>9}{'ratio':>9}{'from':>7}{'to':>7}")
    for way, found in runs.items():
        rates = [each.rate for each in found]
        ratios = [a.rate / b.rate for a, b in zip(found, base, strict=True)]
        print(
            f"{' '.join(way):20}{statistics.median(rates):>18,.0f}{min(rates):>9,.0f}"
            f"{max(rates):>9,.0f}{statistics.median(ratios):>9.2f}{min(ratios):>7.2f}"
            f"{max(ratios):>7.2f}"
        )
    print("\nratio: of sqlite plaintext in the same round.")


def _with_plaintext(composed: Composed) -> str:
    """Let Kafka listen in plaintext too, on this machine, and give who comes so all rights."""
    plain = f"127.0.0.1:{free_port()}"
    composed.services["kafka"]["environment"]["KAFKA_NODE_PROPERTIES"] = "\n".join(
        (
            f"listeners=CLIENTS://:9092,PLAIN://{plain},CONTROLLER://127.0.0.1:9093",
            f"advertised.listeners=CLIENTS://kafka:9092,PLAIN://{plain}",
            "listener.security.protocol.map=CLIENTS:SASL_SSL,CONTROLLER:SSL,PLAIN:PLAINTEXT",
            "super.users=User:admin;User:ANONYMOUS",
        )
    )
    return plain


def _said(composed: Composed, plain: str, database: str, listener: str) -> dict[str, str]:
    """The variables of a way, over fresh tables."""
    said = {"KAFKA_BOOTSTRAP_SERVERS": plain}
    if listener == "tls":
        said = {
            name: value
            for name, value in composed.environment("topics").items()
            if name.startswith("KAFKA_")
        }
        said["SHOP_SECRETS"] = str(composed.secrets("admin"))
    if database == "postgres":
        said["SHOP_DATABASE_URL"] = composed.environment("migrate")["SHOP_DATABASE_URL"]
        said["SHOP_SECRETS"] = str(composed.secrets("admin"))
        _forget_tables(said["SHOP_DATABASE_URL"], composed.secrets("admin"))
    return said


def _forget_tables(url: str, secrets: Path) -> None:
    password = (secrets / "shop_database_password").read_text().strip()
    with psycopg.connect(url, password=password, autocommit=True) as connection:
        query = (
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' "
            "AND nspname NOT IN ('public', 'information_schema')"
        )
        for (schema,) in connection.execute(query).fetchall():
            drop = psycopg.sql.SQL("DROP SCHEMA {} CASCADE")
            connection.execute(drop.format(psycopg.sql.Identifier(schema)))


if __name__ == "__main__":
    main()
