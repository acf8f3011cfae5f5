"""Small files that are there whole or not at all."""

from pathlib import Path

from transport.private_files import private


def write_whole(file: Path, text: str, *, shared: bool = False) -> None:
    """Write a file in one step: a reader, or a crash on the way, finds the old one or the new one.

    Args:
        file: the file.
        text: what will be in it.
        shared: whether others may read it as the umask lets them; else it is its owner's alone.

    Raises:
        OSError: it can't be written; what was there is unchanged.
    """
    partial = file.with_name(file.name + ".part")
    try:
        with open(partial, "w", encoding="utf-8", opener=None if shared else private) as stream:
            stream.write(text)
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
