"""Programs that are run, and threads of libraries: nothing is left when the end comes early."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.waiting import wait_for
from transport.local_broker.interrupts import Interrupts
from transport.local_broker.process import run_to_its_end


def test_a_signal_at_a_childs_birth_leaves_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    born: list[int] = []

    class Interrupted(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            born.append(self.pid)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with Interrupts(), pytest.raises(SystemExit) as ended:
        run_to_its_end([sys.executable, "-c", "import time; time.sleep(60)"], timeout=60)
    assert ended.value.code == 128 + signal.SIGTERM
    assert not psutil.pid_exists(born[0])


def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(subprocess.TimeoutExpired):
        run_to_its_end([sys.executable, "-c", code], timeout=2)
    assert not pid.exists() or not psutil.pid_exists(int(pid.read_text()))


def test_a_worker_ends_though_fausts_thread_does_not() -> None:
    """Asked to stop while it starts, Faust's consumer thread may go on for ever."""
    code = (
        "import time\n"
        "from streams.lean import CommittedConsumerThread\n"
        "class Service:\n"
        "    def _start_thread(self):\n"
        "        time.sleep(600)\n"
        "CommittedConsumerThread.Worker(Service()).start()\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", code], cwd=root) as process:
        try:
            wait_for(lambda: process.poll() is not None, "its end")
            assert process.returncode == 0
        finally:
            process.kill()
