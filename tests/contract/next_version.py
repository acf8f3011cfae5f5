"""A version after this one, with a revision more, which tests write: what `shop migrate` is for."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from event_log import revisions
from event_log.migrations import running
from tests.conftest import ROOT

_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{after}"
down_revision = "{before}"


def upgrade(database: str) -> None:
    op.add_column("cluster", sa.Column("note", sa.String()))
    if database == "event_log":
        op.create_index("ix_event_log_source", "event_log", ["source"])
        if op.get_bind().dialect.name == "postgresql":
            # A view shows it.
            op.alter_column("event_log", "source", type_=sa.Text())
"""
_PROGRAM = """
from pathlib import Path

from event_log import revisions
from event_log.migrations import running

revisions.CURRENT = "{after}"
running.SCRIPTS = Path({scripts!r})
"""


@dataclass(frozen=True)
class NextVersion:
    """This program with one more revision, in a folder."""

    folder: Path
    before: str = revisions.CURRENT
    after: str = str(int(revisions.CURRENT) + 1)

    @cached_property
    def scripts(self) -> Path:
        made = self.folder / "100%"
        shutil.copytree(running.SCRIPTS, made, ignore=shutil.ignore_patterns("__pycache__"))
        self._write(made)
        return made

    def _write(self, scripts: Path, end: str = "") -> None:
        revision = _REVISION.format(before=self.before, after=self.after)
        (scripts / "versions" / f"r{self.after}_more.py").write_text(revision + end)

    @contextmanager
    def ending(self, by: str) -> Iterator[None]:
        """Inside, the revision ends by a statement, after it has changed the warehouse's tables."""
        self._write(self.scripts, f'    if database == "warehouse":\n        {by}\n')
        try:
            yield
        finally:
            self._write(self.scripts)

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """What a process of the next version is started with."""
        program = _PROGRAM.format(after=self.after, scripts=str(self.scripts))
        (self.folder / "sitecustomize.py").write_text(program)
        return {"PYTHONPATH": f"{self.folder}:{ROOT}"}

    @contextmanager
    def here(self) -> Iterator[None]:
        """Inside, this process is of the next version."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(revisions, "CURRENT", self.after)
            patch.setattr(running, "SCRIPTS", self.scripts)
            yield
