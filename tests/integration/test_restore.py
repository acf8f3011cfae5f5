"""All databases restored from a backup while Kafka went on: the same end, asked or published.

Who asks and waits learns in the same way (`tests/contract/test_restore.py`).
"""

import shutil
import sqlite3
from pathlib import Path

import pytest

from cli.asking import desk
from cli.settled import wait_until_settled
from tests import expected
from tests.conftest import Home
from tests.integration.test_styles import running, settings_of
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

BEFORE, AFTER = 150, 400


@pytest.fixture
def home(home_on_shared_broker: Home) -> Home:
    return home_on_shared_broker


@pytest.mark.timeout(600)
@pytest.mark.parametrize("style", ["events", "async"])
def test_a_shop_that_was_restored_learns_again_what_the_topics_have(
    home: Home, style: str, tmp_path: Path
) -> None:
    payment = "payment" if style == "events" else "responder"
    services = ("order", payment, "warehouse", "recorder")
    databases, backup = home.path / "databases", tmp_path / "backup"

    def place(count: int) -> None:
        limit = ("--limit", str(count), "--style", style)
        done = home.shop("place", str(expected.DATA), *limit)
        assert done.returncode == 0, done.stderr
        settle()

    def settle() -> None:
        settings = settings_of(home)
        assert settings.bootstrap_servers is not None
        wait_until_settled(settings, settings.bootstrap_servers)

    backup.mkdir()
    with running(home, *services):
        place(BEFORE)
        for file in databases.glob("*.sqlite"):
            with sqlite3.connect(file) as source, sqlite3.connect(backup / file.name) as target:
                source.backup(target)
        place(AFTER)
    before = home.decisions()
    assert len(before) == AFTER

    shutil.rmtree(databases)
    shutil.copytree(backup, databases)
    assert len(home.decisions()) == BEFORE
    with running(home, *services):
        if style != "events":
            # Who asks learns first what was asked.
            with desk(settings_of(home)):
                pass
        wait_for(lambda: home.count("order", "orders") == AFTER, "all orders are known again")
        settle()
    orders = expected.purchases(AFTER)
    decided = expected.outcomes(orders)
    assert before == home.decisions() == home.recorded() == decided
    assert set(home.recorded_times().values()) == {1}
    assert home.report()["totals"] == expected.report(orders, decided)["totals"]
    accepted = sum(outcome == "accepted" for outcome in decided.values())
    assert home.count("warehouse", "parcels") == accepted
    assert home.count("order", "orders WHERE state = 'shipped'") == accepted
    assert home.count("order", "requests WHERE state NOT IN ('answered', 'late')") == 0
