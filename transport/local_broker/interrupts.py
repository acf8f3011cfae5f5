"""An interruption as an exception, and never between a process's birth and our knowing of it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


class Interrupts:
    """While entered, SIGTERM and SIGHUP raise ``SystemExit`` and SIGINT ``KeyboardInterrupt``.

    By default SIGTERM ends a Python process with no clean-up. A handler that the program has set
    itself is left alone, and so are threads other than the main one, which can't set handlers.
    """

    # Of the class: signals are the process's, and one may be entered inside another.
    _held: ClassVar[int] = 0
    _pending: ClassVar[int | None] = None

    def __init__(self) -> None:
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) in _DEFAULTS:
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as signal() gave it
        self._before.clear()

    @staticmethod
    @contextmanager
    def held() -> Iterator[None]:
        """Inside, a signal waits; it is raised at the end, unless something else is raised."""
        Interrupts._held += 1
        try:
            yield
        finally:
            Interrupts._held -= 1
        if not Interrupts._held and Interrupts._pending is not None:
            number, Interrupts._pending = Interrupts._pending, None
            Interrupts._raise(number)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if Interrupts._held:
            Interrupts._pending = number
        else:
            self._raise(number)

    @staticmethod
    def _raise(number: int) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)
