"""What the page "Log and health" says, as text and rows: made of facts, with no page."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from domain.money import MINOR_UNITS, format_amount
from reporting.dashboard.health_facts import Health, Letters, LetterText, ServiceHealth
from reporting.dashboard.health_looking import LastProof, Reached, Rows
from reporting.dashboard.html_tables import Cell, Column, Tone, table
from reporting.dashboard.prover import PartNow
from reporting.proof import PartName
from reporting.proof_words import FAILS, HOLDS, LEFT_OUT, sentence, word
from reporting.proofs import ProvedPart

OLD_AFTER = timedelta(seconds=20)
"""What was found out longer ago is said to be old."""

WHAT_PARTS_PROVE = {
    PartName.CHAIN: "The log has no gap, and nothing in it was changed",
    PartName.OFFSETS: "The log has each record of Kafka, to the byte",
    PartName.PROJECTIONS: "Reports have what a second computation gives",
    PartName.ORDERS: "Placed = accepted + declined + open, in orders and money",
    PartName.SHIPMENTS: "What is accepted is shipped once, and nothing else is",
}
"""The parts of a proof, in words for people who don't know it."""

_WORDS = {
    "ok": "Works",
    "idle": "Works, nothing to do",
    "behind": "Works, and is behind",
    "throttled": "Works as slowly as a quota says",
    "stuck": "Stuck",
    "gone": "Gone: it ended without being stopped",
    "not running": "Not running",
    "unknown": "Unknown",
}
_TONES: dict[str, Tone] = {HOLDS: "good", FAILS: "bad", LEFT_OUT: "waiting"}
_UNKNOWN = "?"
_READS_ONLY = "The dashboard's role reads projections only"
_PRE = (
    '<pre style="white-space: pre-wrap; overflow-wrap: anywhere; max-height: 24rem; '
    "overflow: auto; font-size: 0.8rem; padding: 0.6rem; border-radius: 6px; margin: 0; "
    'border: 1px solid rgba(128, 128, 128, 0.4);" tabindex="0">{text}</pre>'
)


def told_by(command: str) -> str:
    """Where to ask what the dashboard's role has no right to ask."""
    return f"{_READS_ONLY}: this is told by `shop {command}`, typed in a terminal."


def how_to_prove(*, here: bool) -> str:
    """How a proof is run: on the page, or in a terminal only."""
    if here:
        return "Run the proof here, or type `shop prove` in a terminal."
    return f"{_READS_ONLY}: it is proved by `shop prove`, typed in a terminal."


def positions_table(reached: Reached) -> str:
    """How far each projection has read the log."""
    end = reached.log.position if reached.log else None
    return table(
        "Projections",
        (
            Column("Projection"),
            Column("At position", "number"),
            Column("Events behind", "number"),
            Column("State"),
        ),
        (
            (title, f"{position:,}", *_behind(position, end))
            for title, position in reached.projections
        ),
    )


def _behind(position: int, end: int | None) -> tuple[str, Cell]:
    if end is None:
        return (_UNKNOWN, Cell("Nothing to read yet" if not position else "Unknown", tone="off"))
    if position > end:
        return ("0", Cell("Ahead of the log: it is another log", tone="bad"))
    behind = end - position
    state = Cell("Up to date", tone="good") if not behind else Cell("Behind", tone="waiting")
    return (f"{behind:,}", state)


def services_table(services: Sequence[ServiceHealth], now: datetime) -> str:
    """How each service does."""
    return table(
        "Services",
        (
            Column("Service"),
            Column("State"),
            Column("Records waiting", "number"),
            Column("Last progress"),
            Column("To publish", "number"),
            Column("Processes"),
        ),
        (
            (
                each.name.capitalize(),
                Cell(_WORDS.get(each.word, each.word), tone=each.tone),
                _UNKNOWN if each.lag is None else f"{each.lag:,}",
                "never" if each.last_progress is None else ago(now - each.last_progress),
                f"{each.outbox:,}",
                each.processes or "none",
            )
            for each in services
        ),
    )


def broker_line(health: Health, now: datetime) -> str:
    """Where the broker is, and how old what is shown is."""
    looked = f"looked at {health.looked_at:%H:%M:%S} UTC"
    if now - health.looked_at > OLD_AFTER:
        looked += f", {ago(now - health.looked_at)}; a newer look is under way"
    where = f"Broker {health.broker}" if health.broker else "No broker is known"
    state = "answers" if health.broker_trouble is None else "does not answer"
    return f"{where} {state} · {looked}" if health.broker else f"{where} · {looked}"


def letters_table(letters: Letters) -> str:
    """The newest open dead letters."""
    return table(
        "Open dead letters",
        (
            Column("Letter"),
            Column("Last refused (UTC)"),
            Column("Refused by"),
            Column("Reason", "wide"),
            Column("Tries", "number"),
            Column("Topic"),
            Column("Partition", "number"),
            Column("Offset", "number"),
        ),
        (
            (
                each.name,
                f"{each.refused_at:%Y-%m-%d %H:%M:%S}",
                each.services,
                each.reason,
                f"{each.tries:,}",
                each.topic,
                f"{each.partition:,}",
                f"{each.offset:,}",
            )
            for each in letters.newest
        ),
    )


def letters_line(letters: Letters) -> str:
    """How many dead letters are open, and how many of them are listed."""
    listed = len(letters.newest)
    if not letters.count:
        return "No dead letter is open: every record that came could be handled."
    many = f"{letters.count:,} dead letters are open"
    how_many = "1 dead letter is open" if letters.count == 1 else many
    return how_many + (f"; the newest {listed:,} are listed." if listed < letters.count else ".")


def letter_as_html(letter: LetterText) -> str:
    """What is in a letter; whatever it holds is shown, and nothing of it is carried out."""
    rest = f"\n… and {letter.cut:,} characters more" if letter.cut else ""
    headers = table("Headers", (Column("Header"), Column("Value", "wide")), letter.headers)
    key = f"<p>Key: {escape(_visible(letter.key))}</p>"
    return f"{key}{headers}{_PRE.format(text=escape(_visible(letter.body) + rest))}"


def _visible(text: str) -> str:
    """The text with what can't be printed as escapes."""
    return "".join(
        each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text
    )


def proof_line(last: LastProof, now: datetime) -> tuple[str, bool]:
    """What the last proof came to, in a sentence or two; and whether all is well."""
    proved = last.proved
    if proved is None:
        return "Nothing was proved yet.", True
    failing = ", ".join(part.name for part in proved.parts if part.word == FAILS)
    said = f"**It fails: {failing}** ·" if failing else "**It holds**"
    left_out = [part.name for part in proved.parts if part.word == LEFT_OUT]
    without = f", with {', '.join(left_out)} left out" if left_out else ""
    when = f"{proved.ended_at:%Y-%m-%d %H:%M:%S} UTC, {ago(now - proved.ended_at)}"
    said += f" up to position {proved.position:,}{without} · proved {when} · hash `{proved.hash}`"
    if not last.same:
        return f"{said}\n\n**The log has another event at that position now.** Prove again.", False
    since = last.log_position - proved.position
    if since > 0:
        events = "1 event is" if since == 1 else f"{since:,} events are"
        return f"{said}\n\nThe log has moved on since: {events} not proved yet.", not failing
    return f"{said}\n\nThe log has not moved on since.", not failing


def parts_table(parts: Sequence[ProvedPart]) -> str:
    """What each part of a proof came to."""
    return table(
        "Parts of the proof",
        (
            Column("Part"),
            Column("Result"),
            Column("Seconds", "number"),
            Column("What was found", "wide"),
        ),
        (
            (
                part.name.capitalize(),
                Cell(part.word.capitalize(), tone=_TONES.get(part.word)),
                f"{part.seconds:,.1f}",
                " · ".join((part.sentence, *part.notes)),
            )
            for part in parts
        ),
    )


def part_now(name: str, now: PartNow | None) -> tuple[float, str]:
    """How far a part of a running proof is: from 0 to 1, and in words."""
    title = name.capitalize()
    if now is None:
        return 0.0, f"{title}: waits for its turn"
    if now.ended is not None:
        return 1.0, f"{title}: {word(now.ended)}, {sentence(now.ended)}"
    if not now.total:
        return 0.0, f"{title}: begins"
    return min(now.done / now.total, 1.0), f"{title}: {now.done:,} of {now.total:,}"


def rows_table(title: str, found: Rows) -> str:
    """Rows of a projection; amounts are in the currency's main unit where a row says which."""
    currency = found.columns.index("currency") if "currency" in found.columns else None
    kinds = [
        Column(
            _heading(name, amount=currency is not None),
            "number" if any(isinstance(row[at], int) for row in found.rows) else "text",
        )
        for at, name in enumerate(found.columns)
    ]
    return table(
        title,
        kinds,
        (
            [
                _value(value, name, None if currency is None else row[currency])
                for name, value in zip(found.columns, row, strict=True)
            ]
            for row in found.rows
        ),
    )


def _heading(name: str, *, amount: bool) -> str:
    words = name.replace("_", " ")
    return (words.replace("cents", "amount") if amount else words).capitalize()


def _value(value: Any, name: str, currency: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int):
        if name.endswith("cents") and currency in MINOR_UNITS:
            return format_amount(value, currency)
        return f"{value:,}"
    return str(value)


def ago(age: timedelta) -> str:
    """An age as people say it: ``3 minutes ago``."""
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {unit}{'' if count == 1 else 's'} ago"
    return "just now" if seconds < 2 else f"{seconds} seconds ago"
