"""Where the pages take what they show from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from event_log.database import Place
from reporting.dashboard.health_facts import Health, LetterText
from reporting.dashboard.prover import Prover


@dataclass(frozen=True)
class Sources:
    """What the pages need to know; databases are only read, and need not be there yet.

    Attributes:
        log: the event log's database. Pages look up single events in it by their position.
        projections: the projections' database, which all lists and sums come from.
        currency: ISO 4217 code of the figures.
        proofs: the database with results of proofs.
        health: what broker and services say, at once: what was found some seconds ago will do;
            `None` while nothing is known yet. There is none where this process may not ask them:
            the page says then what tells it.
        letter: what is in the open dead letter of a name; `None` if there is none any more.
        prover: proves in the background; `None` where that can't be asked for.
        written: where the log is written, if `log` is a view of it.
    """

    log: Place
    projections: Place
    currency: str
    proofs: Place = Path("proofs.sqlite")
    health: Callable[[], Health | None] | None = lambda: None
    letter: Callable[[str], LetterText | None] = lambda name: None
    prover: Prover | None = None
    written: Place | None = None
