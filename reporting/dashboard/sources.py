"""Where the pages take what they show from."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sources:
    """What the pages need to know; files are only read, and need not be there yet.

    Attributes:
        log: the event log's database file. Pages look up single events in it by their position.
        projections: the projections' database file, which all lists and sums come from.
        currency: ISO 4217 code of the figures.
    """

    log: Path
    projections: Path
    currency: str
