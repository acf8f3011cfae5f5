"""Small files that are there whole or not at all."""

from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Write a file in one step: a reader, or a crash on the way, finds the old one or the new one.

    Raises:
        OSError: it can't be written; what was there is unchanged.
    """
    partial = file.with_name(file.name + ".part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
