"""`shop export`: the report as a file, from the command line."""

import csv
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.export import write_whole
from domain.errors import ShopError
from tests import expected
from tests.browser.small_log import SmallLog
from tests.conftest import Home
from tests.expected import Purchase, purchases

ORDERS = [each for each in purchases() if each.customer <= 700]
EARLY = 500


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose log has `ORDERS`; no broker is needed."""
    made = Home(tmp_path_factory.mktemp("export") / "home")
    log = SmallLog(made.path)
    log.append(ORDERS)
    log.close()
    return made


def export(shop: Home, file: Path, *options: str) -> str:
    done = shop.shop("export", str(file), *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def accepted(
    file: Path, orders: list[Purchase], by: str, first: str = "", last: str = "9"
) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """What a CSV file says was accepted, and what it should."""
    lines = file.read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    wanted = expected.lines(orders, expected.outcomes(orders), by, first, last)
    del wanted["total"]
    return (
        [(row[by], row["accepted_orders"], row["accepted_cents"]) for row in rows],
        [(name, *map(str, wanted[name]["accepted"])) for name in sorted(wanted)],
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".html"])
def test_a_file_is_written_and_its_proof_holds_until_a_cent_is_changed(
    shop: Home, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"june{suffix}"
    said = json.loads(export(shop, file, "--from", "1998-06-01", "--by", "day", "--json"))
    assert said["path"] == str(file)
    assert said["bytes"] == file.stat().st_size
    assert said["position"] == 2 * len(ORDERS)
    assert said["first_day"] == "1998-06-01"
    assert "last_day" not in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~_umask()
    assert list(tmp_path.iterdir()) == [file]
    done = shop.shop("prove", "--figure", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    if suffix == ".parquet":
        return
    one = expected.lines(ORDERS, expected.outcomes(ORDERS), "day")["1998-06-03"]["accepted"][1]
    amounts = [f"{(one + more) / 100:,.2f}" for more in (0, 1)]
    if suffix == ".csv":
        amounts = [each.replace(",", "") for each in amounts]
    text = file.read_text()
    assert amounts[0] in text
    file.write_text(text.replace(*amounts))
    done = shop.shop("prove", "--figure", str(file))
    assert done.returncode == 1
    assert "fails at 1998-06-03: accepted_amount is" in done.stdout


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_it_is_of_all_days_or_some_by_day_or_month(shop: Home, tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    said = export(shop, file)
    assert f"18 months, {len(ORDERS):,} orders of any day" in said
    found, wanted = accepted(file, ORDERS, "month")
    assert found == wanted
    days = ("1997-02-10", "1997-03-09")
    said = export(shop, file, "--force", "--by", "day", "--from", days[0], "--until", days[1])
    assert "orders of 1997-02-10 to 1997-03-09, up to position" in said
    found, wanted = accepted(file, ORDERS, "day", *days)
    assert found == wanted


def test_it_is_as_the_log_was_at_a_position_or_time(shop: Home, tmp_path: Path) -> None:
    file = tmp_path / "early.csv"
    export(shop, file, "--at-position", str(2 * EARLY))
    found, wanted = accepted(file, ORDERS[:EARLY], "month")
    assert found == wanted
    assert f"# position: {2 * EARLY}\n" in file.read_text()
    assert shop.shop("prove", "--figure", str(file)).returncode == 0
    export(shop, file, "--as-of", datetime.now(UTC).isoformat(), "--force")
    found, wanted = accepted(file, ORDERS, "month")
    assert found == wanted
    assert "no order of any day was decided up to position 0" in _refused(
        shop, 1, tmp_path / "b.csv", "--as-of", "2001-01-01T00:00Z"
    )


def _refused(shop: Home, code: int, file: Path, *options: str) -> str:
    before = file.read_bytes() if file.is_file() else None
    done = shop.shop("export", str(file), *options)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert (file.read_bytes() if file.is_file() else None) == before
    # A message of a wrong command line is in a frame that wraps it.
    return " ".join(done.stderr.replace("│", " ").split())


def test_what_cannot_be_exported_is_refused_with_the_reason(shop: Home, tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.write_text("mine")
    assert "is there already: name another file, or give --force" in _refused(shop, 1, there)
    for name in ("a.xlsx", "csv"):
        assert "none of .csv, .parquet, .html" in _refused(shop, 2, tmp_path / name)
    new = tmp_path / "new.csv"
    said = _refused(shop, 2, new, "--from", "1997-03-01", "--until", "1997-02-01")
    assert "--from 1997-03-01 is after --until 1997-02-01" in said
    assert "2000-01-01 or later" in _refused(shop, 1, new, "--from", "2000-01-01")
    assert "1997-02-30" in _refused(shop, 2, new, "--from", "1997-02-30")
    both = ("--as-of", "2026-11-25T10:00Z", "--at-position", "1")
    assert "two moments" in _refused(shop, 2, new, *both)
    assert "is a time" in _refused(shop, 2, new, "--as-of", "12")
    assert "ends at position" in _refused(shop, 1, new, "--at-position", "1000000")
    away = tmp_path / "away" / "new.csv"
    assert f"{away} can't be written: No such file or directory" in _refused(shop, 1, away)
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert "is a folder: name a file in it" in _refused(shop, 1, folder, "--force")
    assert sorted(tmp_path.iterdir()) == [folder, there]


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"before")

    def full(number: int) -> None:
        # All is written, and the disk doesn't take it.
        assert file.read_bytes() == b"before"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ShopError, match=r"a.csv can't be written: No space left on device"):
        write_whole(file, b"after")
    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]
    monkeypatch.undo()
    write_whole(file, b"after")
    assert file.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [file]
