"""What the broker's logs say about why it doesn't run."""

import re
from pathlib import Path

HELD = "another Kafka process holds its data directory; end that process"

_REASONS = (
    (r"Failed to acquire lock on file|OverlappingFileLockException", HELD),
    (r"No space left on device", "the disk is full; free space"),
    (
        r"InconsistentClusterId|cluster\.id .* doesn't match|Invalid cluster\.id",
        "its data belong to another cluster",
    ),
    (r"Address already in use|BindException", "its port was taken by another process; try again"),
    (
        r"insufficient memory|OutOfMemoryError|Could not reserve enough space",
        "there isn't enough free memory for Java (it takes about 400 MB)",
    ),
    (
        r"Permission denied|AccessDeniedException|Read-only file system",
        "it may not write to its directory; allow it to",
    ),
    (
        r"CorruptRecordException|NoSuchMethodError|NoClassDefFoundError|ClassNotFoundException",
        "a file it needs is damaged or missing",
    ),
)


class LogTail:
    """The part of some logs that is written from now on."""

    def __init__(self, *files: Path) -> None:
        self._from = {file: _size(file) for file in files}

    def text(self) -> str:
        """What was written since, the last 64 KiB of each log."""
        parts = []
        for file, start in self._from.items():
            size = _size(file)
            # A log smaller than it was has been rolled: all of it is new.
            begin = max(start if start <= size else 0, size - 64 * 1024)
            if size > begin:
                with file.open("rb") as stream:
                    stream.seek(begin)
                    parts.append(stream.read().decode("utf-8", errors="replace"))
        return "\n".join(parts)

    def reason(self) -> str | None:
        """Why the broker ended, in plain words, where the logs hold one of the known reasons."""
        text = self.text()
        return next((words for pattern, words in _REASONS if re.search(pattern, text)), None)

    def last_lines(self, count: int = 12) -> str:
        """The last lines that aren't a stack trace's, indented, each of at most 300 characters."""
        lines = [
            line.rstrip()
            for line in self.text().splitlines()
            if line.strip() and not re.match(r"\s+at |\t", line)
        ]
        # Warnings and errors tell more than what else was said on the way.
        telling = [
            line for line in lines if re.search(r"\b(ERROR|FATAL|\w*Error|\w*Exception)\b", line)
        ]
        return "\n".join(f"  {line[:300]}" for line in (telling or lines)[-count:])


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
