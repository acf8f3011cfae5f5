"""What the dashboard's page "Log and health" shows, as `shop status` finds it out."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from cli.dead_letters import collected
from cli.letter_view import MAX_SHOWN, body_shown, shown
from cli.settings import Settings
from cli.standings import ANSWER_WITHIN_SECONDS, Found, find_out
from cli.status import what_is_wrong
from domain.errors import ShopError
from domain.letters import LetterState
from domain.status import Facts, Verdict, Word, judge
from event_log.inbox import PositionRow
from reporting.dashboard.health_facts import (
    LETTERS_SHOWN,
    Health,
    Letters,
    LetterText,
    OpenLetter,
    ServiceHealth,
)
from reporting.dashboard.html_tables import Tone
from reporting.read_only import ReadOnlyDatabase, has_tables
from services.letter_store import Letter, LetterActionRow, LetterRow, all_letters, letter_named
from transport.clients import cluster_id

_log = logging.getLogger(__name__)

_TONES: dict[Word, Tone] = {
    Word.OK: "good",
    Word.IDLE: "good",
    Word.BEHIND: "waiting",
    Word.NOT_RUNNING: "off",
}


def health_of(settings: Settings) -> Health:
    """Look once at broker, services and dead letters."""
    now = datetime.now(UTC)
    found = find_out(settings, now)
    verdicts = [judge(facts, now) for facts in found.services]
    letters = _letters(settings, found)
    return Health(
        now,
        found.servers,
        found.broker_trouble,
        [_service(*each) for each in zip(found.services, verdicts, strict=True)],
        letters,
        what_is_wrong(found, verdicts),
    )


def letter_text(settings: Settings, name: str) -> LetterText | None:
    """What is in a letter; `None` if it isn't there, or can't be read at the moment."""
    database = ReadOnlyDatabase(settings.database("dead_letters"))
    try:
        if database.file() is None:
            return None
        with database.reading() as connection:
            letter = letter_named(connection, name) if _has_letters(connection) else None
    except (SQLAlchemyError, OSError):
        return None
    if letter is None:
        return None
    body = body_shown(letter.letter.body)
    headers = [(header, shown(value)) for header, value in letter.letter.headers]
    cut = max(0, len(body) - MAX_SHOWN)
    return LetterText(shown(letter.letter.key), headers, body[:MAX_SHOWN], cut)


def _service(facts: Facts, verdict: Verdict) -> ServiceHealth:
    processes = [beat.process for beat in verdict.alive]
    processes += [f"{beat.process} gone" for beat in verdict.gone]
    return ServiceHealth(
        facts.name,
        verdict.word.value,
        _TONES.get(verdict.word, "bad"),
        ", ".join(processes),
        facts.lag,
        facts.last_progress,
        facts.outbox,
    )


def _letters(settings: Settings, found: Found) -> Letters:
    trouble = None
    if found.broker_trouble is not None:
        trouble = "the broker doesn't answer, so that only those seen before are listed"
    elif found.dead_letters and found.servers is not None:
        # Some wait to be collected, or to be mended; without any there is nothing to read or make.
        try:
            _collect(settings, found.servers)
        except (ShopError, SQLAlchemyError) as error:
            trouble = str(error)
    database = ReadOnlyDatabase(settings.database("dead_letters"))
    try:
        if database.file() is None:
            return Letters(trouble=trouble)
        with database.reading() as connection:
            if not _has_letters(connection):
                return Letters(trouble=trouble)
            known = all_letters(connection, with_bodies=False)
    except (SQLAlchemyError, OSError) as error:
        return Letters(trouble=f"they can't be read: {getattr(error, 'orig', None) or error}")
    waiting = [letter for letter in known if letter.state is LetterState.OPEN]
    return Letters(len(waiting), _newest(waiting), trouble)


def _collect(settings: Settings, servers: str) -> None:
    cluster = cluster_id(servers, timeout=ANSWER_WITHIN_SECONDS)
    collected(settings, servers, cluster, _log.warning).database.close()


def _has_letters(connection: Connection) -> bool:
    return has_tables(connection, LetterRow, LetterActionRow, PositionRow)


def _newest(letters: Sequence[Letter]) -> list[OpenLetter]:
    found = [
        OpenLetter(
            letter.name,
            ", ".join(sorted({refusal.service for refusal in letter.refusals})),
            letter.refusals[-1].reason,
            letter.letter.failure.topic,
            letter.letter.failure.partition,
            letter.letter.failure.offset,
            max(refusal.time for refusal in letter.refusals),
            letter.letter.tries,
        )
        for letter in letters
    ]
    found.sort(key=lambda letter: letter.refused_at, reverse=True)
    return found[:LETTERS_SHOWN]
