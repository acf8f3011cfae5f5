"""An interruption as an exception, and never between a process's birth and our knowing of it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


class Interrupts:
    """While entered, SIGTERM and SIGHUP raise ``SystemExit`` and SIGINT ``KeyboardInterrupt``.

    By default SIGTERM ends a Python process with no clean-up. A handler that the program has set
    itself is left alone, and so are threads other than the main one, which can't set handlers.
    """

    def __init__(self) -> None:
        self._held = 0
        self._pending: int | None = None
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

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, a signal waits; it is raised at the end, unless something else is raised."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if not self._held and self._pending is not None:
            number, self._pending = self._pending, None
            self._raise(number)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._held:
            self._pending = number
        else:
            self._raise(number)

    @staticmethod
    def _raise(number: int) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)
