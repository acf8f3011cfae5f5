"""A payment worker that a test holds up; a process of its own.

Usage: ``python -m tests.integration.troubled hang`` never comes back from its first batch;
``python -m tests.integration.troubled gate FILE`` skips the first record of each partition, reads
what was skipped once FILE is there, and makes ``FILE.reached`` before;
``python -m tests.integration.troubled drop`` loses what Faust hands over of the first partition.
"""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import streams.intake
from cli.composition import worker
from cli.console import log_to_stderr
from cli.settings import Settings
from services.payment import PaymentService
from streams.intake import Intake
from transport.records import Record

_missing_records = streams.intake.missing_records
_take = Intake.take


def _hang(*_: object) -> Any:
    threading.Event().wait()


def _gated(gate: Path, *arguments: Any) -> Iterator[list[Record]]:
    gate.with_name(f"{gate.name}.reached").touch()
    while not gate.exists():
        time.sleep(0.02)
    return _missing_records(*arguments)


def _skipping(intake: Intake, records: Sequence[Record]) -> None:
    _take(intake, [record for record in records if record.offset])


def _dropping(intake: Intake, records: Sequence[Record]) -> None:
    _take(intake, [record for record in records if record.partition])


if __name__ == "__main__":
    log_to_stderr()
    way, *rest = sys.argv[1:]
    if way == "hang":
        PaymentService.handle = _hang  # type: ignore[method-assign]
    elif way == "drop":
        Intake.take = _dropping  # type: ignore[method-assign]
    else:
        Intake.take = _skipping  # type: ignore[method-assign]
        streams.intake.missing_records = lambda *args: _gated(Path(rest[0]), *args)  # type: ignore[assignment]
    worker(Settings(), "payment").run()
