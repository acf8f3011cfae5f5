"""What is in a home is readable by its owner only, whatever the umask."""

import stat
from pathlib import Path
from shutil import rmtree

import pytest

from tests import expected
from tests.conftest import Home
from tests.waiting import wait_for


@pytest.mark.slow
def test_nobody_else_can_read_what_a_demo_leaves_in_its_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "above" / "home", {"ORDERS": "50"})
    exported = tmp_path / "report.csv"
    for command in (
        ("demo",),
        ("demo", "--style", "async"),
        ("prove", "--offline"),
        ("export", str(exported)),
        ("broker", "start"),
    ):
        process = home.start(*command, umask=0)
        out, err = process.communicate(timeout=280)
        assert process.returncode == 0, out + err
    try:
        rmtree(home.path / "faust" / "warehouse")
        service = home.start("run", "warehouse", umask=0)
        wait_for((home.path / "faust" / "warehouse" / "v1").exists, "Faust's own folder")
        service.terminate()
        service.communicate(timeout=60)
        found = {path: path.lstat() for path in [home.path.parent, *home.path.parent.rglob("*")]}
        names = {path.name for path in found}
        assert {"order.sqlite", "order.log", "cluster-id"} <= names
        assert {"kafka.log", "meta.properties", "proofs.sqlite", "lock"} <= names
        open_to_others = {
            str(path.relative_to(tmp_path)): oct(stat.S_IMODE(status.st_mode))
            for path, status in found.items()
            if status.st_mode & 0o077 and not stat.S_ISSOCK(status.st_mode)
        }
        assert open_to_others == {}
        # What is exported is the user's own, as the umask says.
        assert stat.S_IMODE(exported.stat().st_mode) == 0o666
    finally:
        home.shop("broker", "stop")
    assert home.report()["totals"] == _wanted()


def _wanted() -> object:
    orders = expected.purchases(50)
    return expected.report(orders, expected.outcomes(orders))["totals"]
