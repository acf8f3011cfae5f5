"""How `shop` begins and ends, as the system has it: signals, and standard streams that fail."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import main
from tests.conftest import ROOT

STUB = """
import sys, types
stub = types.ModuleType("cli.main", "what takes a second to load")
stub.EXIT_INTERRUPTED = 130
def run():
    {run}
stub.run = run
sys.modules["cli.main"] = stub
import cli.start
cli.start.run()
"""

LOADING = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "cli.main":
            print("loading", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
import cli.start
cli.start.run()
"""


def start(code: str, **options: Any) -> subprocess.Popen[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, **streams)


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    return process.returncode, err


def default_sigint() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_while_modules_are_loaded_ends_it_without_a_word() -> None:
    process = start(LOADING, preexec_fn=default_sigint)
    assert interrupted(process) == (-signal.SIGINT, "")


def test_ctrl_c_in_a_command_and_after_it_ends_it_without_a_word() -> None:
    within = "import time; print('here', flush=True); time.sleep(60)"
    assert interrupted(start(STUB.format(run=within), preexec_fn=default_sigint)) == (130, "")
    code = STUB.format(run="sys.exit(0)").replace(
        "cli.start.run()",
        f"import atexit; atexit.register(lambda: exec({within!r}))\ncli.start.run()",
    )
    process = start(code, preexec_fn=default_sigint)
    assert interrupted(process) == (-signal.SIGINT, "")


def test_what_is_started_with_ctrl_c_ignored_goes_on_ignoring_it() -> None:
    code = STUB.format(run="import signal; print(signal.getsignal(signal.SIGINT).name)")
    process = start(code, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert process.communicate(timeout=30) == ("SIG_IGN\n", "")


def test_closed_standard_streams_get_their_numbers_back() -> None:
    """Else a database would be opened as number 1, and written to by whoever prints."""
    code = STUB.format(
        run="import os; print('said', file=sys.stderr, flush=True); "
        "fd = os.open('.', os.O_RDONLY); os._exit(fd + (sys.stdin.read() != ''))"
    )
    process = start(code, preexec_fn=lambda: os.closerange(0, 3), stdout=None, stderr=None)
    assert process.wait(timeout=30) > 2


def test_what_an_encoding_does_not_have_is_escaped() -> None:
    code = STUB.format(run=r"print('\udcff ä ─'); print('\udcff ─', file=sys.stderr)")
    process = start(code, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)})
    assert process.communicate(timeout=30) == ("\\udcff \\xe4 \\u2500\n", "\\udcff \\u2500\n")


def test_who_stops_reading_ends_it_quietly_and_standard_error_need_not_be_read() -> None:
    gone, closed = os.pipe()
    os.close(gone)
    code = STUB.format(run="print('x', file=sys.stderr); print('x', flush=True)")
    process = start(code, stdout=closed)
    os.close(closed)
    assert process.communicate(timeout=30)[1] == "x\n"
    assert process.returncode == 141
    with Path("/dev/full").open("w") as full:
        process = start(code, stderr=full)
        assert process.communicate(timeout=30)[0] == "x\n"
    assert process.returncode == 0


def test_a_full_device_behind_standard_output_is_said_once() -> None:
    with Path("/dev/full").open("w") as full:
        process = start("import cli.start; cli.start.run()", stdout=full)
        # Of the real command line, without a command: its help.
        assert process.communicate(timeout=120)[1].splitlines() == [
            "shop: standard output can't be written: No space left on device"
        ]
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "/full/x"), "/full/x: No space left on device"),
        (PermissionError(13, "Permission denied", b"/x"), "/x: Permission denied"),
        (MemoryError(), "there is not enough memory for this"),
        (KeyboardInterrupt(), ""),
    ],
)
def test_what_the_system_answers_is_a_message(
    error: BaseException,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refused(**_: object) -> None:
        raise error

    monkeypatch.setattr(main, "app", refused)
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == (1 if said else 130)
    assert capfd.readouterr().err == (f"shop: {said}\n" if said else "")
