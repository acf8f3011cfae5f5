"""What docs/operations.md says that an operator does, done on the stack."""

from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from tests import expected
from tests.stack.attacks import Ground
from tests.stack.composed import Composed
from tests.stack.databases import run_postgres
from tests.stack.home import StackHome
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SERVICES = ("order", "payment", "responder", "warehouse", "recorder", "projector", "dashboard")
EACH = 400


@pytest.fixture(scope="module")
def orders() -> list[expected.Purchase]:
    """Others than those of the other tests: the last ones."""
    return expected.purchases()[-3 * EACH :]


@pytest.fixture(scope="module")
def files(composed: Composed, orders: Sequence[expected.Purchase]) -> list[str]:
    """Three files of orders, as the container that places knows them."""
    lines = expected.DATA.read_text(encoding="ascii").splitlines(keepends=True)
    folder = Path(composed.mounts("place")["/tmp"])  # noqa: S108
    names = []
    for number in range(3):
        name = f"operations-{number}.txt"
        part = orders[EACH * number : EACH * (number + 1)]
        (folder / name).write_text("".join(lines[order.line - 1] for order in part))
        names.append(f"/tmp/{name}")  # noqa: S108
    return names


def place(composed: Composed, file: str) -> None:
    done = composed.run("place", ["shop", "place", file])
    assert done.returncode == 0, done.stderr


def settle(composed: Composed, orders: int) -> None:
    """Wait until so many orders are in the report, and nothing is on its way."""
    home = StackHome(composed)

    def settled() -> bool:
        totals = home.report()["totals"]
        cells = [totals["accepted"], *totals["declined"].values()]
        return sum(cell["orders"] for cell in cells) == orders and status(composed)

    wait_for(settled, f"{orders} orders settled", 120, 0.3)


def status(composed: Composed) -> bool:
    return composed.run("operator", ["shop", "status"]).returncode == 0


def known(composed: Composed) -> int:
    """How many orders the report has."""
    totals = StackHome(composed).report()["totals"]
    return sum(cell["orders"] for cell in [totals["accepted"], *totals["declined"].values()])


def test_restored_from_a_dump_it_goes_on_and_is_proven(
    composed: Composed, files: Sequence[str]
) -> None:
    before = known(composed)
    place(composed, files[0])
    # Under load: the services are at work on what was just placed.
    dump = composed.folder / "shop.dump"
    run_postgres(composed, "pg_dump", "--format=custom", f"--file={dump}", "shop")
    place(composed, files[1])
    settle(composed, before + 2 * EACH)
    wanted = StackHome(composed).report()["totals"]
    for name in SERVICES:
        composed.stop(name)
    run_postgres(composed, "dropdb", "shop")
    run_postgres(composed, "createdb", "shop")
    run_postgres(composed, "pg_restore", "--exit-on-error", "--dbname=shop", str(dump))
    composed.start("migrate")
    for name in SERVICES:
        composed.start(name)
    # What was placed since is placed again: where it was heard of, it is the same order.
    place(composed, files[1])
    settle(composed, before + 2 * EACH)
    assert StackHome(composed).report()["totals"] == wanted
    done = composed.run("operator", ["shop", "prove", "--settled"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_renewed_password_is_the_only_one(composed: Composed, files: Sequence[str]) -> None:
    before = known(composed)
    former = Ground(composed).kafka("payment")
    secret = (composed.secrets("payment") / "shop_database_password").read_text()
    renew = ["shop", "secrets", "create", "/secrets/principals", "--renew", "payment"]
    done = composed.run("secrets", renew)
    assert done.returncode == 0, done.stderr
    for name in ("access", "migrate"):
        composed.start(name)
    composed.stop("payment")
    composed.start("payment")
    place(composed, files[2])
    settle(composed, before + EACH)
    assert Ground(composed).is_let_in(Ground(composed).kafka("payment"))
    assert not Ground(composed).is_let_in(former)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host="127.0.0.1",
            port=int(composed.place.port("postgres", "5432")),
            dbname="shop",
            user="shop_payment",
            password=secret,
        )
