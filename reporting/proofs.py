"""Results of proofs, kept: what was proved, of which state of the log, and when."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Column, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Field, SQLModel

from domain.errors import StoreError
from event_log.database import Database, Int64, Place, UtcTime, reason, table_of
from event_log.statements import append_only
from reporting.proof import Head, Part, holds
from reporting.proof_words import sentence, word
from reporting.read_only import look_up


class ProofRow(SQLModel, table=True):
    """One proof of all parts; `parts` is JSON, and says of each what people are told."""

    __tablename__ = "proofs"
    id: int | None = Field(default=None, primary_key=True, sa_type=Int64)
    ended_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    position: int = Field(sa_type=Int64)
    hash: bytes
    holds: bool
    parts: bytes


class ProvedPart(msgspec.Struct, frozen=True):
    """A part as it was proved: in a word, in a sentence, with notes, and how long it took."""

    name: str
    word: str
    sentence: str
    notes: tuple[str, ...]
    seconds: float


class Proved(msgspec.Struct, frozen=True):
    """A proof that ended; `position` and `hash` are the end of the log that it looked at."""

    ended_at: datetime
    position: int
    hash: str
    holds: bool
    parts: tuple[ProvedPart, ...]


_proofs = table_of(ProofRow)
append_only(_proofs, "results of proofs are kept for good")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[ProvedPart, ...]).decode


def keep(place: Place, head: Head, parts: Sequence[Part], ended_at: datetime) -> None:
    """Keep a proof of all parts in the database at `place`.

    Raises:
        StoreError: it can't be kept; nobody waits until it can.
    """
    row = {
        "ended_at": ended_at,
        "position": head.position,
        "hash": head.hash,
        "holds": holds(parts),
        "parts": _encode([_of(part) for part in parts]),
    }
    database = Database(place, [ProofRow])
    try:
        with database.transaction() as connection:
            connection.execute(_proofs.insert(), row)
    except SQLAlchemyError as error:
        raise StoreError(f"database {place} can't be written: {reason(error)}") from error
    finally:
        database.close()


def newest(place: Place) -> Proved | None:
    """The proof that was kept last; `None` while there is none.

    Raises:
        SQLAlchemyError: the database can't be read.
        OSError: the file can't be looked at.
    """
    query = select(_proofs).order_by(_proofs.c.id.desc()).limit(1)
    row = look_up(place, lambda connection: connection.execute(query).first(), ProofRow)
    if row is None:
        return None
    return Proved(row.ended_at, row.position, row.hash.hex(), row.holds, _decode(row.parts))


def _of(part: Part) -> ProvedPart:
    notes = tuple(part.finding.notes) if part.finding else ()
    return ProvedPart(str(part.name), word(part), sentence(part), notes, round(part.seconds, 3))
