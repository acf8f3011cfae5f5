"""One stack for all of these tests: compose.yaml's services as processes."""

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from tests.stack.composed import Composed


@pytest.fixture(scope="package")
def composed() -> Iterator[Composed]:
    """All services that no profile is asked for, up and healthy."""
    # Not in pytest's own folder, which is root's alone: Postgres runs as somebody else.
    folder = Path(mkdtemp(prefix="stack-"))
    folder.chmod(0o755)
    made = Composed(folder)
    try:
        made.up()
        yield made
    finally:
        made.close()
        rmtree(folder, ignore_errors=True)
