"""What the databases have in common, and each does in its own way."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Engine


class Backend(Protocol):
    """What SQLite and Postgres do each in its own way."""

    @property
    def reading(self) -> Mapping[str, Any]:
        """The execution options of a connection that only reads."""

    def connect(self) -> Engine:
        """An engine whose transactions hold the write lock, unless they are for reading."""

    def claim(self, connection: Connection) -> None:
        """Make an empty place ready for tables, or refuse one that can't be used."""

    def is_passing(self, error: BaseException) -> bool:
        """Whether the same may work in a moment."""

    def blocker(self, engine: Engine, error: BaseException) -> str | None:
        """Who holds the lock that was waited for; `None` where it was none, or nobody knows."""

    def alone(self, engine: Engine, purpose: str, *, within: float) -> AbstractContextManager[bool]:
        """Hold a lock for a purpose, taken within so many seconds; gives whether it is held."""

    def holder(self, engine: Engine, purpose: str) -> str | None:
        """Who holds the lock for a purpose; `None` if nobody knows."""

    def is_copy(self, connection: Connection) -> bool:
        """Whether it is a copy, to which what is written elsewhere comes later."""

    def now(self, connection: Connection) -> datetime:
        """The time (UTC, aware) by the clock that all have in common who write there."""
