"""A dead letter as people and scripts see it."""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.padding import Padding
from rich.text import Text

from cli.console import out
from services.letter_store import Letter
from transport.letters import DeadLetter

MAX_SHOWN = 20_000
"""Characters of a body that are shown to people."""


def as_json(letter: Letter) -> dict[str, Any]:
    """A letter as one JSON object; bytes that are no text are in base64, and say so.

    `as_it_came` is what an edit has changed; it is null where nothing was.
    """
    found = letter.letter
    return {
        "letter": letter.name,
        "state": letter.state.value,
        "tries": found.tries,
        "refusals": [
            {"service": r.service, "reason": r.reason, "time": r.time.isoformat()}
            for r in letter.refusals
        ],
        "history": [
            {"letter": f.name, "service": f.service, "reason": f.reason, "time": f.time}
            for f in found.history
        ],
        "done": [
            {"action": d.action.value, "at": d.at.isoformat(), "note": d.note} for d in letter.done
        ],
        **_record_as_json(found),
        "as_it_came": None if found == letter.came else _record_as_json(letter.came),
    }


def print_letters(letters: Sequence[Letter]) -> None:
    """Letters for people, two lines each: no reason fits beside the rest of it."""
    for letter in letters:
        last, tries = letter.refusals[-1], letter.letter.tries
        services = ", ".join(sorted({refusal.service for refusal in letter.refusals}))
        _say(
            f"{letter.name}: {letter.state.value}, refused by {services}, "
            f"last {last.time:%Y-%m-%d %H:%M:%S} UTC, {tries} {'try' if tries == 1 else 'tries'}",
            "bold",
        )
        # As text, not as markup: a stranger wrote some of it.
        reason = Text(harmless(last.reason))
        if out.is_terminal:
            out.print(Padding(reason, (0, 0, 0, 4)), soft_wrap=False, highlight=False)
        else:
            out.print("   ", reason, highlight=False)
    out.print(f"{len(letters):,} letters")


def print_letter(letter: Letter) -> None:
    """A letter, for people."""
    found = letter.letter
    _say(f"{letter.name}: {letter.state.value}, {found.tries} tries", "bold")
    for refusal in letter.refusals:
        _say(f"  {refusal.time:%Y-%m-%d %H:%M:%S} refused by {refusal.service}: {refusal.reason}")
    for before in reversed(found.history):
        _say(f"  {before.time} before, as {before.name}, by {before.service}: {before.reason}")
    for done in letter.done:
        note = f": {done.note}" if done.note else ""
        _say(f"  {done.at:%Y-%m-%d %H:%M:%S} {done.action.value}{note}")
    _print_record(found)
    if found != letter.came:
        _say("before it was edited", "bold")
        _print_record(letter.came)


def _print_record(found: DeadLetter) -> None:
    _say("key", "bold")
    _say(f"  {shown(found.key)}")
    _say("headers", "bold")
    for name, value in found.headers:
        _say(f"  {name}: {shown(value)}")
    _say("body", "bold")
    text = body_shown(found.body)
    for line in text[:MAX_SHOWN].splitlines() or [""]:
        _say(line)
    if len(text) > MAX_SHOWN:
        _say(f"… and {len(text) - MAX_SHOWN:,} characters more: --raw gives the whole body", "dim")


def _say(text: str, style: str = "") -> None:
    out.print(Text(harmless(text)), style=style, highlight=False)


def body_shown(body: bytes | None) -> str:
    """A body as people read it: JSON is indented, and what is no text is in hexadecimal."""
    if body is None:
        return "null"
    try:
        # It moves no more than blanks: numbers and keys that are there twice stay to be seen.
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return shown(body)


def shown(value: bytes | None) -> str:
    """Bytes as text, or in hexadecimal where they are none."""
    if value is None:
        return "null"
    try:
        readable = value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"
    return readable if _is_readable(readable) else f"0x{value.hex()}"


def _is_readable(text: str) -> bool:
    return all(part.isprintable() for part in text.replace("\t", " ").splitlines())


def harmless(text: str) -> str:
    """The text without what would steer a terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _record_as_json(found: DeadLetter) -> dict[str, Any]:
    return {
        "key": _text(found.key),
        "headers": [{"name": name, "value": _text(value)} for name, value in found.headers],
        "body": _text(found.body),
    }


def _text(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
