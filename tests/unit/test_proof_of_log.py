"""The chain's proof over a database, in slices and by several processes."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.replay.synthetic import make_log
from domain.errors import StoreError
from event_log.database import Database
from event_log.inbox import PositionRow
from reporting import proof_of_log
from reporting.proof import Finding
from reporting.proof_of_log import look, open_log_to_prove, prove_chain

EVENTS = 205
SLICE = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "log.sqlite"
    make_log(path, EVENTS)
    return path


@pytest.fixture
def log(made: Path, tmp_path: Path) -> Path:
    path = tmp_path / "log.sqlite"
    path.write_bytes(made.read_bytes())
    return path


def tampered(log: Path, statement: str, position: int) -> None:
    connection = sqlite3.connect(log)
    for verb in ("update", "delete"):
        connection.execute(f"DROP TRIGGER event_log_no_{verb}")
    connection.execute(statement, (position,))
    connection.commit()
    connection.close()


@pytest.fixture(params=[1, 2, 3])
def prove(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], Finding]:
    monkeypatch.setattr(proof_of_log, "SLICE", SLICE)
    seen: list[int] = []

    def prove(log: Path) -> Finding:
        opened = open_log_to_prove(log)
        found = prove_chain(opened, look(opened), lambda done, _: seen.append(done), request.param)
        assert seen == sorted(seen)
        return found

    return prove


def test_a_whole_log_holds(log: Path, prove: Callable[[Path], Finding]) -> None:
    assert prove(log) == Finding({"positions": EVENTS})


@pytest.mark.parametrize("position", [1, 2, SLICE, SLICE + 1, 2 * SLICE, 101, EVENTS])
def test_the_first_bad_position_is_named_wherever_it_is(
    log: Path, prove: Callable[[Path], Finding], position: int
) -> None:
    tampered(log, "UPDATE event_log SET subject = 'x' WHERE position >= ?", position)
    found = prove(log)
    assert found.checked == {"positions": position - 1}
    assert found.failure is not None
    assert found.failure.where == f"position {position}"


@pytest.mark.parametrize("position", [1, 2, SLICE, SLICE + 1, 2 * SLICE, 101, EVENTS - 1])
def test_a_missing_row_is_named_wherever_it_was(
    log: Path, prove: Callable[[Path], Finding], position: int
) -> None:
    tampered(log, "DELETE FROM event_log WHERE position = ?", position)
    found = prove(log)
    assert found.failure is not None
    assert found.failure.where == f"position {position}"
    assert found.failure.by == {"positions": 1}


def test_rows_missing_over_several_slices_are_counted(
    log: Path, prove: Callable[[Path], Finding]
) -> None:
    tampered(log, "DELETE FROM event_log WHERE position > 15 AND position < ?", EVENTS)
    found = prove(log)
    assert found.failure is not None
    assert (found.failure.where, found.failure.by) == ("position 16", {"positions": EVENTS - 16})


def test_an_empty_log_holds(tmp_path: Path, prove: Callable[[Path], Finding]) -> None:
    make_log(tmp_path / "empty.sqlite", 0)
    assert prove(tmp_path / "empty.sqlite") == Finding({"positions": 0})


def test_a_log_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no event log at"):
        open_log_to_prove(tmp_path / "log.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_no_log_is_refused(tmp_path: Path) -> None:
    Database(tmp_path / "log.sqlite", [PositionRow]).close()
    with pytest.raises(StoreError, match=r"log\.sqlite is no event log"):
        open_log_to_prove(tmp_path / "log.sqlite")
