"""A dead letter as people and scripts see it."""

import base64
import json
from typing import Any

from cli.console import out
from services.letter_store import Letter


def as_json(letter: Letter) -> dict[str, Any]:
    """A letter as one JSON object; bytes that are no text are in base64, and say so."""
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
            {
                "letter": f"{f.topic}/{f.partition}/{f.offset}",
                "service": f.service,
                "reason": f.reason,
                "time": f.time,
            }
            for f in found.history
        ],
        "done": [
            {"action": d.action.value, "at": d.at.isoformat(), "note": d.note} for d in letter.done
        ],
        "key": _text(found.key),
        "headers": [{"name": name, "value": _text(value)} for name, value in found.headers],
        "body": _text(found.body),
    }


def print_letter(letter: Letter) -> None:
    """A letter for people."""

    def say(text: str, style: str = "") -> None:
        out.print(text, style=style, markup=False, highlight=False)

    found = letter.letter
    say(f"{letter.name}: {letter.state.value}, {found.tries} tries", "bold")
    for refusal in letter.refusals:
        say(f"  {refusal.time:%Y-%m-%d %H:%M:%S} refused by {refusal.service}: {refusal.reason}")
    for before in reversed(found.history):
        place = f"{before.topic}/{before.partition}/{before.offset}"
        say(f"  {before.time} before, as {place}, by {before.service}: {before.reason}")
    for done in letter.done:
        note = f": {done.note}" if done.note else ""
        say(f"  {done.at:%Y-%m-%d %H:%M:%S} {done.action.value}{note}")
    say("key", "bold")
    say(f"  {_shown(found.key)}")
    say("headers", "bold")
    for name, value in found.headers:
        say(f"  {name}: {_shown(value)}")
    say("body", "bold")
    try:
        say(json.dumps(json.loads(found.body or b""), indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        say(_shown(found.body))


def _shown(value: bytes | None) -> str:
    if value is None:
        return "null"
    readable = value.decode(errors="replace")
    return readable if readable.isprintable() else f"0x{value.hex()}"


def _text(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
