"""The processes of a service, in the service's own database: a table that each of them has."""

from datetime import datetime

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from event_log.database import UtcTime


class HeartbeatRow(SQLModel, table=True):
    """A process of a service; it removes its row when it stops as it was asked to.

    `throttled_until` is how long it counts as one that the broker makes wait, by a quota.
    """

    __tablename__ = "workers"
    service: str = Field(primary_key=True)
    process: str = Field(primary_key=True)
    started_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    seen_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    throttled_until: datetime | None = Field(sa_column=Column(UtcTime, nullable=True))
