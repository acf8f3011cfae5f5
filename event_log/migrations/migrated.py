"""What came of migrating a database."""

from dataclasses import dataclass
from pathlib import Path

from event_log import revisions


@dataclass(frozen=True)
class Migrated:
    """A database, and what was, or would be, done to it.

    Attributes:
        database: its name.
        place: where it is, without a password.
        found: the revision that it was at; `None` if it was empty.
        done: whether it was migrated.
        copy: the copy that was made of it before.
    """

    database: str
    place: str
    found: str | None
    done: bool = False
    copy: Path | None = None

    @property
    def is_current(self) -> bool:
        """Whether it had this program's tables before."""
        return self.found == revisions.CURRENT
