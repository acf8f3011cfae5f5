"""What the dashboard's page "Log and health" shows, as `shop status` finds it out."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from cli.dead_letters import collected
from cli.letter_view import MAX_SHOWN, body_shown, shown
from cli.settings import Settings
from cli.standings import ANSWER_WITHIN_SECONDS, Found, find_out
from cli.status import processes, what_is_wrong, what_waits
from domain.errors import ShopError
from domain.letters import LetterState
from domain.status import Facts, Verdict, Word, judge
from event_log.database import reason
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
from reporting.read_only import look_up
from services.letter_store import Letter, LetterActionRow, LetterRow, all_letters, letter_named
from transport.clients import cluster_id
from transport.servers import Servers

_log = logging.getLogger(__name__)

_LETTERS = (LetterRow, LetterActionRow, PositionRow)
_TONES: dict[Word, Tone] = {
    Word.OK: "good",
    Word.IDLE: "good",
    Word.BEHIND: "waiting",
    Word.THROTTLED: "waiting",
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
        None if found.servers is None else str(found.servers),
        found.broker_trouble,
        [
            _service(facts, verdict)
            for facts, verdict in zip(found.services, verdicts, strict=True)
            # The dashboard does the work of a projector that was never started.
            if facts.needed or facts.beats
        ],
        letters,
        what_is_wrong(found, verdicts),
        what_waits(found, verdicts, now),
    )


def letter_text(settings: Settings, name: str) -> LetterText | None:
    """What is in a letter; `None` if it isn't there, or can't be read at the moment."""
    try:
        place = settings.database("dead_letters")
        letter = look_up(place, lambda connection: letter_named(connection, name), *_LETTERS)
    except (SQLAlchemyError, OSError):
        return None
    if letter is None:
        return None
    body = body_shown(letter.letter.body)
    headers = [(header, shown(value)) for header, value in letter.letter.headers]
    cut = max(0, len(body) - MAX_SHOWN)
    return LetterText(shown(letter.letter.key), headers, body[:MAX_SHOWN], cut)


def _service(facts: Facts, verdict: Verdict) -> ServiceHealth:
    return ServiceHealth(
        facts.name,
        verdict.word.value,
        _TONES.get(verdict.word, "bad"),
        processes(verdict),
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
    place = settings.database("dead_letters")
    try:
        known = look_up(place, partial(all_letters, with_bodies=False), *_LETTERS)
    except (SQLAlchemyError, OSError) as error:
        return Letters(trouble=f"they can't be read: {reason(error)}")
    waiting = [letter for letter in known or () if letter.state is LetterState.OPEN]
    return Letters(len(waiting), _newest(waiting), trouble)


def _collect(settings: Settings, servers: Servers) -> None:
    cluster = cluster_id(servers, timeout=ANSWER_WITHIN_SECONDS)
    collected(settings, servers, cluster, _log.warning).database.close()


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
