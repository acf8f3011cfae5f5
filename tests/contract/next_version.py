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
running.VERSIONS = Path({versions!r})
"""


@dataclass(frozen=True)
class NextVersion:
    """This program with one more revision, in a folder."""

    folder: Path
    before: str = revisions.CURRENT
    after: str = str(int(revisions.CURRENT) + 1)

    @cached_property
    def versions(self) -> Path:
        made = self.folder / "versions"
        shutil.copytree(running.VERSIONS, made, ignore=shutil.ignore_patterns("__pycache__"))
        revision = _REVISION.format(before=self.before, after=self.after)
        (made / f"r{self.after}_more.py").write_text(revision)
        return made

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """What a process of the next version is started with."""
        program = _PROGRAM.format(after=self.after, versions=str(self.versions))
        (self.folder / "sitecustomize.py").write_text(program)
        return {"PYTHONPATH": f"{self.folder}:{ROOT}"}

    @contextmanager
    def here(self) -> Iterator[None]:
        """Inside, this process is of the next version."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(revisions, "CURRENT", self.after)
            patch.setattr(running, "VERSIONS", self.versions)
            yield
