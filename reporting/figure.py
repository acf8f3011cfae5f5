"""Figures that leave the product: what they are stamped with, and how a file carries the stamp.

A stamp says which state of the log a figure was made from, so that it can be checked later. It is
four fields, in whatever file: of the object itself in JSON, comment lines in CSV, the table's
metadata in Parquet, and a script block with the JSON object in HTML.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import text

from domain.errors import StoreError
from event_log.database import Database
from event_log.log import GENESIS
from reporting.proof_rows import as_chained

_DAYS = ("first_day", "last_day")
_OPTIONAL = (*_DAYS, "set_aside")
_HASHED = text("SELECT hash, recorded_time FROM event_log WHERE position = :position")

HTML_ID = "figure"
"""The id of the script block that holds a figure's JSON object."""

SHOWN = "data-figure"
"""The attribute of an element whose text is a figure: ``1997-01 accepted_amount`` names it by its
period, or ``total``, and its column."""

PERIODS = {"day": 10, "month": 7}
"""The periods that figures are of, and how much of a day's name names one."""


@dataclass(frozen=True)
class Stamp:
    """The state of the log that a figure was made from.

    `position` is the last event that is in it, `hash` that event's chain hash in hexadecimal,
    `recorded_time` when it was recorded (RFC 3339, UTC), and `currency` the ISO 4217 code of the
    amounts. Position 0 is the empty log, which has no time. `first_day` and `last_day` are the
    business dates (``YYYY-MM-DD``) that the figures are of, where they are not of all. `set_aside`
    are the positions of events that can't be read, and are in no figure.
    """

    position: int
    hash: str
    recorded_time: str | None
    currency: str
    first_day: str | None = None
    last_day: str | None = None
    set_aside: tuple[int, ...] = ()

    def of_days(self, first: str | None, last: str | None) -> "Stamp":
        """The stamp of figures that are of these days only; `None` is no bound."""
        return replace(self, first_day=first, last_day=last)

    @property
    def is_of_some_days(self) -> bool:
        """Whether there is a bound to the days that the figures are of."""
        return bool(self.first_day or self.last_day)

    def has(self, day: str) -> bool:
        """Whether figures of a day (``YYYY-MM-DD``) are in it."""
        return (self.first_day or day) <= day <= (self.last_day or day)


def stamp(log: Database, position: int, currency: str, aside: Iterable[int] = ()) -> Stamp:
    """The stamp of figures in `currency` that were made from the log up to `position`.

    Events at the positions `aside` are left out of the figures.

    Raises:
        StoreError: the log has no such position.
    """
    if position == 0:
        return Stamp(0, GENESIS.hex(), None, currency)
    with log.reading() as connection:
        row = connection.execute(_HASHED, {"position": position}).first()
    if row is None:
        raise StoreError(
            f"the log {log} has no position {position}, which the projections have come to: "
            "`shop prove` says what is wrong"
        )
    left_out = tuple(each for each in aside if each <= position)
    recorded = as_chained(row.recorded_time)
    return Stamp(position, bytes(row.hash).hex(), recorded, currency, set_aside=left_out)


def as_fields(of: Stamp) -> dict[str, Any]:
    """The stamp as fields of a JSON object, to be put beside the figures in it."""
    fields = asdict(of)
    return {name: value for name, value in fields.items() if name not in _OPTIONAL or value}


def as_comments(of: Stamp) -> str:
    """The stamp as lines to put before a CSV table: ``# position: 17``."""
    return "".join(f"# {name}: {_text(value)}\n" for name, value in as_fields(of).items())


def as_metadata(of: Stamp) -> dict[bytes, bytes]:
    """The stamp as key-value metadata of a Parquet file's schema."""
    return {name.encode(): _text(value).encode() for name, value in as_fields(of).items()}


def as_script(of: Stamp, figures: Mapping[str, Any]) -> str:
    """Stamp and figures as a block of JSON for an HTML page; browsers show none of it."""
    # `</` would end the block.
    text = json.dumps({**figures, **as_fields(of)}).replace("</", "<\\/")
    return f'<script type="application/json" id="{HTML_ID}">{text}</script>'


def without_in_words(of: Stamp) -> str:
    """Which events are in no figure, since they can't be read; nothing if all are."""
    if not of.set_aside:
        return ""
    positions = ", ".join(f"{each:,}" for each in of.set_aside)
    return f", without position {positions}, which can't be read"


def stamp_in(fields: Mapping[str, Any]) -> Stamp:
    """Read a stamp back from the fields of whatever file it was in.

    Raises:
        ValueError: a field is missing or is not what it should be.
    """
    wanted = [name for name in Stamp.__dataclass_fields__ if name not in _OPTIONAL]
    if missing := [name for name in wanted if name not in fields]:
        raise ValueError(f"it has no {', '.join(missing)}")
    days = [str(fields[name]) if fields.get(name) else None for name in _DAYS]
    for day in filter(None, days):
        date.fromisoformat(day)
    return Stamp(
        # By its text: neither nothing nor an infinity is a number then.
        int(str(fields["position"])),
        str(fields["hash"]).lower(),
        str(fields["recorded_time"]) if fields["recorded_time"] else None,
        str(fields["currency"]),
        first_day=days[0],
        last_day=days[1],
        set_aside=_positions(fields.get("set_aside", ())),
    )


def _positions(said: object) -> tuple[int, ...]:
    found = said.split() if isinstance(said, str) else said
    if not isinstance(found, Iterable):
        raise ValueError("set_aside is no list of positions")  # noqa: TRY004 as other fields
    return tuple(int(str(each)) for each in found)


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
