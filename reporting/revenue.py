"""Revenue as it is kept and added up: orders and cents by day, accepted or declined and why."""

from typing import NamedTuple

from sqlmodel import Field, SQLModel

from event_log.database import Int64
from event_log.sums import Whole

ACCEPTED = "accepted"


class RevenueRow(SQLModel, table=True):
    """What one day (UTC, of `ordered_at`) had of one outcome; `cents` are minor units."""

    __tablename__ = "revenue_by_day"
    day: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    orders: int = Field(sa_type=Int64)
    cents: int = Field(sa_type=Whole)


class Revenue(NamedTuple):
    """A row of revenue; a declined order's outcome is its reason."""

    day: str
    currency: str
    outcome: str
    orders: int
    cents: int


class Sum(NamedTuple):
    """Orders, and their amounts in minor units."""

    orders: int = 0
    cents: int = 0
