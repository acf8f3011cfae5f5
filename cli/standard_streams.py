"""Standard input, output and error, of which a process may find each closed, full or gone."""

import io
import os
import sys
from select import select
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

EXIT_PIPE = 141
"""Whoever read standard output has gone away: 128 and SIGPIPE, as shells have it."""

_STDIN, _STDOUT, _STDERR = range(3)


def guard_streams() -> None:
    """Make standard streams whose failures nobody takes for an error of the program.

    Each is open, so that no database gets a number that something else writes to. What an encoding
    doesn't have is written as an escape.
    """
    for number, mode in ((_STDIN, os.O_RDONLY), (_STDOUT, os.O_RDONLY), (_STDERR, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # Output that is closed can't be written: what is asked for would be lost.
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = open(_STDIN, closefd=False)  # noqa: SIM115 open as long as the process is
    sys.stdout = _guarded(cast("TextIO | None", sys.stdout), _Output(_STDOUT, "w", closefd=False))
    sys.stderr = _guarded(cast("TextIO | None", sys.stderr), _Said(_STDERR, "w", closefd=False))


def _guarded(before: TextIO | None, raw: io.FileIO) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",
        line_buffering=raw.isatty() or raw.fileno() == _STDERR,
    )


class _Output(io.FileIO):
    """Standard output. That it can't be written is said once; what follows is let go."""

    _lost = False

    def write(self, data: "ReadableBuffer", /) -> int:
        from domain.errors import ShopError

        size = memoryview(data).nbytes
        if self._lost:
            return size
        try:
            # Nothing is written where somebody made it not wait, and it is full.
            while (written := cast("int | None", super().write(data))) is None:
                select([], [self], [])
        except BrokenPipeError:
            self._lost = True
            raise SystemExit(EXIT_PIPE) from None
        except OSError as error:
            self._lost = True
            raise ShopError(f"standard output can't be written: {error.strerror}") from None
        return written


class _Said(io.FileIO):
    """Standard error: what is said on the way is no reason to leave off."""

    def write(self, data: "ReadableBuffer", /) -> int:
        size = memoryview(data).nbytes
        try:
            written = cast("int | None", super().write(data))
        except OSError:
            return size
        return size if written is None else written
