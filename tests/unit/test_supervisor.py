"""When the supervisor gives up, and that it says so."""

import sys
from pathlib import Path

import pytest

import cli.supervisor
from cli.supervisor import Supervisor, crash_loop, pause_before_start
from domain.errors import ShopError
from tests.waiting import wait_for
from transport.local_broker.interrupts import Interrupts


def every(seconds: float, times: int) -> list[float]:
    return [seconds * number for number in range(1, times + 1)]


@pytest.mark.parametrize(
    ("ends", "loop"),
    [
        ([], None),
        (every(1, 4), None),
        (every(1, 5), (5, 60)),
        (every(14, 5), (5, 60)),
        (every(16, 5), None),
        # A watchdog's minute and a half, and a locked database's minute.
        (every(90, 9), None),
        (every(90, 10), (10, 1800)),
        (every(135, 10), (10, 1800)),
        (every(61, 10), (10, 1800)),
        ([*every(60, 4), 10_000.0], None),
        # Now and then, for days.
        (every(300, 50), None),
    ],
)
def test_a_crash_loop_is_fast_or_slow(ends: list[float], loop: tuple[int, float] | None) -> None:
    now = ends[-1] if ends else 0.0
    assert crash_loop(ends, now) == loop


def test_the_pause_grows_and_is_short_again_after_a_quiet_minute() -> None:
    assert [pause_before_start(every(1, n), n) for n in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert pause_before_start([1.0, 2.0, 3.0, 100.0], 100) == 0.5


def test_a_process_that_always_ends_is_given_up_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.supervisor, "pause_before_start", lambda ended_at, now: 0.0)
    with Interrupts() as interrupts:
        supervisor = Supervisor(tmp_path, {"SHOP_HOME": str(tmp_path)}, interrupts)
        try:
            supervisor.start("order", "run", "nobody")
            with pytest.raises(ShopError) as raised:
                wait_for(lambda: supervisor.check(), "the crash loop")
        finally:
            supervisor.stop()
    assert "order ended 5 times within 60 s, last with exit code 2" in str(raised.value)
    assert "nobody" in str(raised.value)
    assert str(tmp_path / "order.log") in str(raised.value)


def test_what_ended_is_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = tmp_path / "starts"
    script = tmp_path / "once_71"
    script.write_text(
        "import signal, sys\n"
        f"with open({str(counter)!r}, 'a+') as file:\n"
        "    file.write('x')\n"
        "    file.seek(0)\n"
        "    starts = len(file.read())\n"
        "sys.exit(71) if starts == 1 else signal.pause()\n"
    )
    launcher = tmp_path / "python"
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} {script}\n")
    launcher.chmod(0o755)
    monkeypatch.setattr(cli.supervisor.sys, "executable", str(launcher))
    with Interrupts() as interrupts:
        supervisor = Supervisor(tmp_path, {}, interrupts)
        supervisor.start("order", "run", "order")

        def started_twice() -> bool:
            supervisor.check()
            return counter.exists() and counter.read_text() == "xx"

        try:
            wait_for(started_twice, "the second start")
        finally:
            supervisor.stop()
    assert "order ended with exit code 71; starting it again in 0.5 s" in caplog.text
