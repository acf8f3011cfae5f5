"""One reading of a log by one contender: ``python -m benchmarks.replay.contender KIND LOG``.

`raw` reads every column of every row in order and does nothing with it: what SQLite and its Python
driver take. `chain` proves the hash chain with all processors, `chain1` with one. `rebuild` takes
the log into all projections, which are empty; `replay` does so beside them, proves chain and rows,
and swaps. It says as one JSON line how long that took, without starting up.
"""

import json
import os
import resource
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from event_log.database import Database, table_of
from event_log.log import EventRow
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.proof_of_log import look, open_log_to_prove, prove_chain
from reporting.replay import replay
from services.recorder import open_log


def raw(log: Path) -> int:
    """Read all rows in order."""
    names = ", ".join(f'"{column.name}"' for column in table_of(EventRow).columns)
    connection = sqlite3.connect(f"{log.absolute().as_uri()}?mode=ro", uri=True)
    rows = connection.execute(f"SELECT {names} FROM event_log ORDER BY position")  # noqa: S608
    count = sum(1 for _ in rows)
    connection.close()
    return count


def chain(log: Path, processes: int | None = None) -> int:
    """Prove the chain."""
    opened = open_log_to_prove(log)
    head = look(opened)
    finding = prove_chain(opened, head, lambda done, total: None, processes)
    assert finding.failure is None, finding.failure
    return head.position


def rebuild(log: Path) -> int:
    """Make all projections."""
    with _projections() as projections:
        return catch_up(open_log(log), projections)


def replayed(log: Path) -> int:
    """Make all projections anew, as `shop replay` does."""
    with _projections() as projections:
        return replay(open_log(log), projections, list(all_projections().values())).position


@contextmanager
def _projections() -> Iterator[Database]:
    # Beside the log, where the disk is.
    with tempfile.TemporaryDirectory(dir=Path(sys.argv[2]).parent) as folder:
        yield open_projections(Path(folder) / "report.sqlite")


def processor() -> float:
    """Seconds of processor time that this process had, and those that it forked and are over."""
    return sum(os.times()[:4])


def peak_mb() -> float:
    """The most memory that this process had, or one that it forked."""
    # What `getrusage` says of this process itself may be what the one that started it had.
    status = Path("/proc/self/status").read_text()
    own = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)


KINDS: dict[str, Callable[[Path], int]] = {
    "raw": raw,
    "chain": chain,
    "chain1": lambda log: chain(log, 1),
    "rebuild": rebuild,
    "replay": replayed,
}


def main() -> None:
    """Run one contender and print what it took."""
    kind, log = sys.argv[1], Path(sys.argv[2])
    before, began = processor(), perf_counter()
    events = KINDS[kind](log)
    seconds = perf_counter() - began
    took = {"seconds": seconds, "processor": processor() - before, "peak_mb": peak_mb()}
    print(json.dumps({"events": events, **took}), flush=True)


if __name__ == "__main__":
    main()
